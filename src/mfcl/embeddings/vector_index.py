"""Approximate nearest-neighbour search by cosine: a graph on disk proposes candidates, their true vectors rank them.

The graph is usearch's (extra `ann`). Source: Malkov & Yashunin, "Efficient and robust approximate nearest neighbor
search using hierarchical navigable small world graphs", arXiv:1603.09320.
"""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Float32, Float64, Int64

from mfcl.core.extras import need
from mfcl.core.random import generator
from mfcl.embeddings.linalg import unit_rows
from mfcl.embeddings.nearest import check_pair, top_k, top_k_of_blocks
from mfcl.errors import MeasureError

EXTRA = "ann"
ROWS, GRAPH, ALIKE = FILES = ("rows.npy", "graph.usearch", "alike.npy")
CANDIDATES = 128
"""Fewest vectors that the graph proposes, and the least width of its search; measured by `python -m benchmarks ann`."""
WIDER = 2
"""Times as many candidates as neighbours, where that is more."""
CONNECTIVITY = 16
"""Edges of a vector in the graph (M of the source)."""
EXPANSION = 128
"""Width of the search for a new vector's edges (efConstruction of the source)."""
GRID = 2**14
"""Unit vectors that are equal on a grid of 1 / GRID are one in the graph: hundreds of equal ones would cut it apart."""
ROWS_AT_ONCE, ROWS_ALONE = 8192, 1000
TRIED = 100
"""Vectors whose neighbours are searched exactly, too, for the recall of an index."""
TRIED_FOR = 10


@dataclass(frozen=True, eq=False)
class VectorIndex:
    """Vectors on disk, mapped into memory, and the graph over them.

    Attributes:
        rows: The vectors as they were given.
        graph: usearch's index of those that are not alike, scaled to length 1, by their places among the rows.
        alike: The place of each row's twin in the graph, and all rows ordered by it.
    """

    rows: Float32[np.ndarray, "items dim"]
    graph: Any
    alike: Int64[np.ndarray, "2 items"]

    def nearest(
        self, queries: Float[np.ndarray, "queries _"], k: int, *, candidates: int = CANDIDATES
    ) -> tuple[Int64[np.ndarray, "queries {k}"], Float64[np.ndarray, "queries {k}"]]:
        """Return what `mfcl.embeddings.nearest.top_k` finds among the candidates that the graph proposes.

        So cosines and the order of ties are those of an exact search; a near vector may be missed. A query for which
        the graph proposes fewer than k is searched exactly.

        Args:
            queries: Vectors to search for.
            k: Neighbours to return, at most the number of vectors.
            candidates: Fewest candidates; more miss less and take longer.

        Raises:
            MeasureError: k is out of range, the vectors differ in length, or one is NaN or infinite.
        """
        check_pair(queries, self.rows[:1])
        if not 1 <= k <= len(self.rows):
            raise MeasureError(f"neighbours: wanted k from 1 to {len(self.rows)} (the gallery's size), got {k}")
        wanted = max(candidates, WIDER * k)
        places, cosines = np.empty((len(queries), k), dtype=np.int64), np.empty((len(queries), k))
        for place, query in enumerate(queries):
            found = self._candidates(unit_rows(query[None]).astype(np.float32)[0], wanted)
            if len(found) < k:
                ranks, near = self.exact(query[None], k)
                places[place], cosines[place] = ranks[0], near[0]
            else:
                ranks, near = top_k(query[None], self.rows[found], k)
                places[place], cosines[place] = found[ranks[0]], near[0]
        return places, cosines

    def exact(
        self, queries: Float[np.ndarray, "queries _"], k: int
    ) -> tuple[Int64[np.ndarray, "queries {k}"], Float64[np.ndarray, "queries {k}"]]:
        """Return the k nearest of all vectors, some thousands of which are in memory at a time.

        Raises:
            MeasureError: see `nearest`.
        """
        edges = range(0, len(self.rows), ROWS_AT_ONCE)
        return top_k_of_blocks(queries, (np.asarray(self.rows[start : start + ROWS_AT_ONCE]) for start in edges), k)

    def recall(self, k: int = TRIED_FOR, *, tried: int = TRIED, candidates: int = CANDIDATES) -> float:
        """Return the share of the k nearest that `nearest` finds, over some of the index's own vectors.

        Each vector is searched for among the others. As near as the k-th nearest is near enough: of equal vectors it
        does not matter which is found.
        """
        count = len(self.rows)
        k = min(k, count - 1)
        if k < 1:
            return 1.0
        drawn = np.sort(generator(0, "recall").permutation(count)[:tried])
        asked = np.asarray(self.rows[drawn])
        (_, found), (_, best) = self.nearest(asked, k + 1, candidates=candidates), self.exact(asked, k + 1)
        right = (found >= best[:, -1:] - 1e-6).sum(axis=1) - 1  # each finds itself, too
        return float(right.mean() / k)

    def _candidates(self, query: Float32[np.ndarray, " dim"], wanted: int) -> Int64[np.ndarray, " candidates"]:
        """Return the places of about `wanted` rows near a unit vector, ascending."""
        count = min(wanted, len(self.graph))
        self.graph.expansion_search = count
        twins = self.graph.search(query, count, threads=1).keys.astype(np.int64)
        kept, order = self.alike[0], self.alike[1]
        starts, ends = np.searchsorted(kept, twins, side="left"), np.searchsorted(kept, twins, side="right")
        sizes = np.minimum(ends - starts, wanted)  # rows that are alike are in order, and the first come first in ties
        enough = np.cumsum(sizes) - sizes < wanted
        groups = [order[start : start + size] for start, size in zip(starts[enough], sizes[enough], strict=True)]
        return np.sort(np.concatenate(groups)) if groups else np.empty(0, dtype=np.int64)


def write_rows(folder: Path, items: int, dim: int) -> Any:
    """Return the open file of an index's rows, to which blocks of float32 are written in order; see `write_graph`."""
    file = (folder / ROWS).open("wb")
    np.lib.format.write_array_header_1_0(file, {"descr": "<f4", "fortran_order": False, "shape": (items, dim)})
    return file


def write_graph(folder: Path, *, threads: int, bar: Any) -> None:
    """Write the other files of an index whose rows are there; the graph is in memory until it is complete.

    Vectors are joined in an order drawn at random: in the order of a list, which is mostly sorted by source, parts of
    the graph would have no way to each other. With several threads the graph is a little different each time. The first
    `ROWS_ALONE` are joined by one: rows that threads join to a graph of a few at once do not see each other, and in one
    of 40 some could not be found.

    Args:
        folder: The folder that holds the rows.
        threads: Processor threads.
        bar: Progress, by rows.

    Raises:
        MissingExtraError: usearch is not installed.
        MeasureError: the graph cannot be written.
    """
    rows = np.load(folder / ROWS, mmap_mode="r")
    alike = _alike(rows)
    np.save(folder / ALIKE, alike)
    twins = np.unique(alike[0])
    graph = _empty(rows.shape[1])
    twins = twins[generator(0, "vector index").permutation(len(twins))]
    for start in (0, *range(ROWS_ALONE, len(twins), ROWS_AT_ONCE)):
        some = twins[start : start + ROWS_AT_ONCE] if start else twins[:ROWS_ALONE]
        graph.add(some.astype(np.uint64), unit_rows(rows[some], np.float32), threads=threads if start else 1)
        bar.update(len(some))
    try:
        graph.save(folder / GRAPH)
    except RuntimeError as error:
        raise MeasureError(f"{folder}: the index cannot be written ({error}); free some space") from None


def read_vector_index(folder: Path, items: int, dim: int) -> VectorIndex:
    """Open an index without reading it: the system reads what a search needs.

    usearch trusts its file, so open only what was checked to be as it was written.

    Raises:
        MissingExtraError: usearch is not installed.
        ValueError: a file is of something else; or OSError, RuntimeError.
    """
    rows, alike = (np.load(folder / name, mmap_mode="r", allow_pickle=False) for name in (ROWS, ALIKE))
    if rows.shape != (items, dim) or rows.dtype != np.float32 or alike.shape != (2, items) or alike.dtype != np.int64:
        raise ValueError(f"{ROWS} holds {rows.dtype} of shape {rows.shape}, wanted {items} x {dim}")
    graph = _empty(dim)
    graph.view(folder / GRAPH)
    if not 1 <= len(graph) <= items or graph.ndim != dim:
        raise ValueError(f"{GRAPH} holds {len(graph)} x {graph.ndim}, wanted at most {items} x {dim}")
    return VectorIndex(rows, graph, alike)


def _alike(rows: Float32[np.ndarray, "items dim"]) -> Int64[np.ndarray, "2 items"]:
    """Return, ordered by the first: the place of the first row that is equal on the grid, and each row's own place."""
    seen: dict[bytes, int] = {}
    first = np.empty(len(rows), dtype=np.int64)
    for start in range(0, len(rows), ROWS_AT_ONCE):
        coarse = np.rint(unit_rows(rows[start : start + ROWS_AT_ONCE], np.float32) * GRID).astype(np.int16)
        for place, row in enumerate(coarse, start):
            first[place] = seen.setdefault(hashlib.blake2b(row, digest_size=16).digest(), place)
    order = np.argsort(first, kind="stable")
    return np.stack([first[order], order])


def _empty(dim: int) -> Any:
    # not in half precision, which would take half the memory: it mixes up vectors that lie close together
    return need("usearch.index", EXTRA).Index(
        ndim=dim, metric="ip", dtype="f32", connectivity=CONNECTIVITY, expansion_add=EXPANSION
    )
