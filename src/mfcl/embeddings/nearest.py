"""Exact nearest-neighbour search by cosine, in bounded memory, with the same order of ties on every machine."""

from collections.abc import Iterable

import numpy as np
from jaxtyping import Float, Float32, Float64, Int64

from mfcl.core.parallel import Mapped
from mfcl.embeddings.linalg import check_measurable, lengths_of, unit_rows
from mfcl.errors import MeasureError

VALUES_AT_ONCE = 2**22  # 16 MiB of float32
LEAST_AT_ONCE = 16
"""Fewest queries per block, whatever the gallery's size: with fewer, reading the gallery would dominate the time."""
SPARE = 8
"""Extra candidates beyond k that single precision finds and double precision ranks."""
GROUP = 16
"""Similarities per group; only groups with the highest maxima are searched further."""
STEPS = 2.0**32
"""Cosines are rounded to 1 / STEPS: last bits depend on the position in a block, and equal vectors must tie."""


def top_k(
    queries: Float[np.ndarray, "queries _"],
    gallery: Float[np.ndarray, "items _"],
    k: int,
    *,
    block: int | None = None,
    mapped: Mapped = map,
) -> tuple[Int64[np.ndarray, "queries {k}"], Float64[np.ndarray, "queries {k}"]]:
    """Return the indices and cosines of each query's k nearest gallery items, nearest first.

    Of equally similar items (to 2e-10) the earlier comes first.

    Args:
        queries: Vectors to search for.
        gallery: Vectors to search in.
        k: Neighbours to return, at most the gallery's size.
        block: Queries per block; by default chosen for a few dozen MiB, or a few hundred for a million items.
        mapped: Does the work block by block, such as `mfcl.core.distributed.shared_out`.

    Raises:
        MeasureError: k is out of range, the vectors differ in length, or one is NaN or infinite.

    Example:
        >>> places, cosines = top_k(np.array([[1.0, 0.0]]), np.array([[0.0, 1.0], [2.0, 0.0]]), 1)
        >>> places.tolist(), cosines.tolist()
        ([[1]], [[1.0]])
    """
    check_pair(queries, gallery)
    if not 1 <= k <= len(gallery):
        raise MeasureError(f"neighbours: wanted k from 1 to {len(gallery)} (the gallery's size), got {k}")
    lengths = lengths_of(gallery)
    single, scale = gallery, (1 / lengths).astype(np.float32)
    if gallery.dtype != np.float32 or not 1e-15 < lengths.min() <= lengths.max() < 1e15:  # no product may overflow
        single, scale = unit_rows(gallery).astype(np.float32), np.ones(len(gallery), dtype=np.float32)
    if block is None:
        ranked = min(k + SPARE, len(gallery)) * gallery.shape[1]  # values per query in the double-precision pass
        block = max(1, min(max(LEAST_AT_ONCE, VALUES_AT_ONCE // len(gallery)), VALUES_AT_ONCE // ranked))

    def searched(start: int) -> Float64[np.ndarray, "2 _ _"]:
        part = queries[start : start + block]
        return np.stack(_search(unit_rows(part), gallery, lengths, single, scale, k), dtype=np.float64)

    found = np.concatenate(list(mapped(searched, range(0, len(queries), block))), axis=1)  # places are exact as floats
    return found[0].astype(np.int64), found[1]


def top_k_of_blocks(
    queries: Float[np.ndarray, "queries _"], blocks: Iterable[Float[np.ndarray, "_ _"]], k: int
) -> tuple[Int64[np.ndarray, "queries {k}"], Float64[np.ndarray, "queries {k}"]]:
    """Return what `top_k` finds in all blocks put together, with one of them in memory at a time.

    Args:
        queries: Vectors to search for.
        blocks: Vectors to search in, in order; indices count through all of them.
        k: Neighbours to return, at most the number of all vectors.

    Raises:
        MeasureError: see `top_k`.

    Example:
        >>> blocks = (np.array([[0.0, 1.0]]), np.array([[2.0, 0.0], [1.0, 1.0]]))
        >>> top_k_of_blocks(np.array([[1.0, 0.0]]), blocks, 2)[0].tolist()
        [[1, 2]]
    """
    if k < 1:
        raise MeasureError(f"neighbours: wanted k of 1 or more, got {k}")
    places = np.zeros((len(queries), 0), dtype=np.int64)
    cosines, start = np.zeros((len(queries), 0), dtype=np.float64), 0
    for block in blocks:
        found, near = top_k(queries, block, min(k, len(block)))
        places = np.concatenate([places, found + start], axis=1)
        cosines = np.concatenate([cosines, near], axis=1)
        order = np.argsort(-cosines, axis=1, kind="stable")[:, :k]  # of equal ones the earlier block comes first
        places, cosines = np.take_along_axis(places, order, axis=1), np.take_along_axis(cosines, order, axis=1)
        start += len(block)
    if k > start:
        raise MeasureError(f"neighbours: wanted k from 1 to {start} (the gallery's size), got {k}")
    return places, cosines


def _search(
    asked: Float64[np.ndarray, "queries dim"],
    gallery: Float[np.ndarray, "items dim"],
    lengths: Float64[np.ndarray, " items"],
    single: Float32[np.ndarray, "items dim"],
    scale: Float32[np.ndarray, " items"],
    k: int,
) -> tuple[Int64[np.ndarray, "queries {k}"], Float64[np.ndarray, "queries {k}"]]:
    """Search one block of unit vectors: single precision finds k + SPARE candidates, double precision ranks them.

    Where the rounding error could hide a nearer item, all items within that error are ranked too.
    """
    items = len(gallery)
    rough = np.full((len(asked), items + -items % GROUP), -np.inf, dtype=np.float32)  # in whole groups
    np.matmul(asked.astype(np.float32), single.T, out=rough[:, :items])
    rough[:, :items] *= scale
    few = min(k + SPARE, items)
    found = np.sort(_highest(rough, few), axis=1)
    left_out = np.take_along_axis(rough, found, axis=1).min(axis=1)  # no item outside `found` is above this
    ranks, cosines = nearest(in_steps(np.einsum("qd,qfd->qf", asked, gallery[found]) / lengths[found]), k)
    places = np.take_along_axis(found, ranks, axis=1)
    doubt = rounding_doubt(gallery.shape[1])
    unsure = np.flatnonzero(cosines[:, -1] <= left_out + doubt) if few < items else np.empty(0, dtype=np.int64)
    if len(unsure):
        close = np.flatnonzero((rough[unsure] >= cosines[unsure, -1:] - doubt).any(axis=0))
        ranks, cosines[unsure] = nearest(in_steps(asked[unsure] @ unit_rows(gallery[close]).T), k)
        places[unsure] = close[ranks]
    return places, cosines


def _highest(values: Float32[np.ndarray, "rows columns"], few: int) -> Int64[np.ndarray, "rows {few}"]:
    """Return the indices of the `few` highest values of each row, which lie in the `few` groups of highest maxima."""
    rows, columns = values.shape
    grouped = values.reshape(rows, GROUP, columns // GROUP)  # strided groups make the maximum a fast vector operation
    groups = min(few, columns // GROUP)
    first = np.argpartition(grouped.max(axis=1), -groups, axis=1)[:, None, -groups:]
    some = np.take_along_axis(grouped, first, axis=2).reshape(rows, GROUP * groups)
    places = (first + np.arange(0, columns, columns // GROUP)[:, None]).reshape(rows, GROUP * groups)
    return np.take_along_axis(places, np.argpartition(some, -few, axis=1)[:, -few:], axis=1)


def rounding_doubt(dim: int) -> float:
    """Return by how much single precision may err in the dot product of two unit vectors.

    Source: Higham and Mary, "A new approach to probabilistic rounding error analysis", 2019,
        doi:10.1137/18M1226312; times four.
    """
    return float((4 * np.sqrt(dim) + 4) * 2.0**-24)


def in_steps(cosines: Float64[np.ndarray, "..."]) -> Float64[np.ndarray, "..."]:
    """Round cosines in place, so that equal vectors have equal cosines."""
    cosines *= STEPS
    np.rint(cosines, out=cosines)
    cosines /= STEPS
    return cosines


def nearest(
    similarity: Float64[np.ndarray, "queries items"], k: int
) -> tuple[Int64[np.ndarray, "queries {k}"], Float64[np.ndarray, "queries {k}"]]:
    """Return the indices and values of the k highest of each row, highest first; ties go to the lower index."""
    if k < similarity.shape[1]:
        places = np.sort(np.argpartition(similarity, -k, axis=1)[:, -k:], axis=1)
    else:
        places = np.broadcast_to(np.arange(k), similarity.shape).copy()
    values = np.take_along_axis(similarity, places, axis=1)
    last = values.min(axis=1, keepdims=True)
    cut = np.flatnonzero((similarity >= last).sum(axis=1) > k)  # a tie at rank k: argpartition kept an arbitrary one
    if len(cut):
        places[cut] = np.argsort(-similarity[cut], axis=1, kind="stable")[:, :k]
        values[cut] = np.take_along_axis(similarity[cut], places[cut], axis=1)
    order = np.argsort(-values, axis=1, kind="stable")
    return np.take_along_axis(places, order, axis=1), np.take_along_axis(values, order, axis=1)


def check_pair(queries: Float[np.ndarray, "queries _"], gallery: Float[np.ndarray, "items _"]) -> None:
    """Check that queries and gallery can be compared."""
    for what, vectors in (("queries", queries), ("gallery", gallery)):
        check_measurable(vectors, np.ones(len(vectors)), what=what)
    if queries.shape[1] != gallery.shape[1]:
        raise MeasureError(
            f"neighbours: wanted queries of {gallery.shape[1]} values like the gallery's, got {queries.shape[1]}; "
            "embed both with one checkpoint"
        )
