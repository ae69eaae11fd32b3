"""DTW distances of many clips, and nearest-neighbour search by them."""

import functools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, Int64

from mfcl.core.blas import one_blas_thread
from mfcl.core.parallel import Mapped, in_parallel
from mfcl.embeddings import nearest as by_similarity
from mfcl.embeddings.alignment.paths import CELLS_AT_ONCE, other_sides, path_costs, query_sides
from mfcl.errors import MeasureError

LANES = 512
"""Most gallery clips per block, compared with one query at once."""
VALUES_AT_ONCE = 2**22
"""Most frame values in a block (16 MiB per thread), unless one clip alone has more."""
QUERIES_AT_ONCE = 64
"""Queries per task of a thread."""
TABLE_AT_ONCE = 2**22
"""Distances held at once by `nearest`: 16 MiB."""
STEPS = 2.0**20
"""Distances are rounded to 1 / STEPS: last bits depend on the position in a block, and equal clips must tie."""

Frames = Float32[np.ndarray, "_ _"]


def distances(
    queries: Sequence[Frames],
    gallery: Sequence[Frames] | None = None,
    *,
    workers: int | None = None,
    cells: int = CELLS_AT_ONCE,
    progress: bool = False,
    mapped: Mapped | None = None,
) -> Float32[np.ndarray, "queries items"]:
    """Return the DTW distance of every query to every gallery item.

    The distance is the cost of the cheapest alignment path over the sum of both lengths; two frames cost one minus
    their cosine. It is symmetric, at most 2, and 0 for a clip with itself. It depends on the two clips alone, and is
    exact to a millionth.

    Args:
        queries: Frames of each clip, of unit length; see `frames`.
        gallery: Frames of the clips to compare with; default: the queries themselves, in half the time.
        workers: Threads; default: all cores.
        cells: Frame-pair costs held at once by each thread, beside the frames of up to 512 clips.
        progress: Show a progress bar.
        mapped: Does the work instead of threads, such as `mfcl.core.distributed.shared_out`.

    Raises:
        MeasureError: there is no clip, or frames are not finite or not of one size.

    Source: Park and Glass, "Unsupervised pattern discovery in speech", 2008, for the path's cost over its length.

    Example:
        >>> rise = np.array([[1, 0], [0, 1]], dtype=np.float32)
        >>> distances([rise], [rise.repeat(3, axis=0), rise[::-1]]).tolist()
        [[0.0, 0.5]]
    """
    asked = stacked(queries, "queries")
    if gallery is None:
        return _table(asked, asked, None, _mapped(mapped, workers, progress), cells)
    return _table(
        asked, stacked(gallery, "gallery"), np.arange(len(queries)), _mapped(mapped, workers, progress), cells
    )


def nearest(
    queries: Sequence[Frames],
    gallery: Sequence[Frames],
    k: int,
    *,
    candidates: Int64[np.ndarray, "queries _"] | None = None,
    workers: int | None = None,
    cells: int = CELLS_AT_ONCE,
    progress: bool = False,
    mapped: Mapped | None = None,
) -> tuple[Int64[np.ndarray, "queries {k}"], Float32[np.ndarray, "queries {k}"]]:
    """Return the indices and DTW distances of each query's k nearest gallery items, nearest first.

    Ties go to the earlier item. A query that is also in the gallery finds itself.

    Args:
        queries: Frames of each clip; see `frames`.
        gallery: Frames of the clips to search in.
        k: Neighbours to return.
        candidates: Indices of the gallery items to compare each query with, such as the 200 nearest by whitened log-mel
            pictures (`mfcl.embeddings.nearest.top_k`); default: all items.
        workers: Threads; default: all cores.
        cells: Frame-pair costs held at once by each thread; see `distances`.
        progress: Show a progress bar.
        mapped: Does the work instead of threads, such as `mfcl.core.distributed.shared_out`.

    Raises:
        MeasureError: see `distances`; or k or a candidate is out of range, or a candidate is given twice.
    """
    choices = len(gallery) if candidates is None else candidates.shape[1]
    if not 1 <= k <= choices:
        raise MeasureError(f"alignment: wanted k from 1 to {choices} (the items to choose from), got {k}")
    asked, held = stacked(queries, "queries"), stacked(gallery, "gallery")
    if candidates is not None:
        chosen = _checked(candidates, len(queries), len(gallery))
        ranks, values = smallest(_among(asked, held, chosen, _mapped(mapped, workers, progress), cells), k)
        return np.take_along_axis(chosen, ranks, axis=1), values
    found = []
    for rows in np.array_split(np.arange(len(queries)), -(-len(queries) * len(gallery) // TABLE_AT_ONCE)):
        found.append(smallest(_table(asked, held, rows, _mapped(mapped, workers, progress), cells), k))
    return np.concatenate([places for places, _ in found]), np.concatenate([values for _, values in found])


def smallest(
    table: Float32[np.ndarray, "queries items"], k: int
) -> tuple[Int64[np.ndarray, "queries {k}"], Float32[np.ndarray, "queries {k}"]]:
    """Return the indices and values of the k smallest of each row, smallest first; ties go to the lower index."""
    places, values = by_similarity.nearest(-table.astype(np.float64), k)
    return places, (-values).astype(np.float32)


@dataclass(frozen=True)
class Stacked:
    """Frames of all clips concatenated, without padding.

    Attributes:
        values: All frames.
        starts: Index of each clip's first frame.
        lengths: Number of frames of each clip.
    """

    values: Float32[np.ndarray, "frames dim"]
    starts: Int64[np.ndarray, " items"]
    lengths: Int64[np.ndarray, " items"]


def stacked(clips: Sequence[Frames], what: str) -> Stacked:
    """Check the frames of clips, and concatenate them.

    Raises:
        MeasureError: there is no clip, or frames are not finite or not of one size.
    """
    if not len(clips):
        raise MeasureError(f"alignment: wanted {what} of at least one clip, but there is none; give recordings")
    sizes = {clip.shape[1:] for clip in clips}
    if len(sizes) != 1 or not all(len(clip) for clip in clips):
        raise MeasureError(f"alignment: wanted {what} with frames of one size, one or more per clip; use `frames`")
    values = np.concatenate(clips).astype(np.float32, copy=False)
    if not np.isfinite(values).all():
        raise MeasureError(f"alignment: wanted {what} of finite frames, but one is NaN or infinite; leave it out")
    lengths = np.array([len(clip) for clip in clips], dtype=np.int64)
    return Stacked(values, np.cumsum(lengths) - lengths, lengths)


def _table(
    asked: Stacked,
    held: Stacked,
    rows: Int64[np.ndarray, " rows"] | None,
    mapped: Mapped,
    cells: int,
) -> Float32[np.ndarray, "rows items"]:
    """Return the distances of the queries `rows` to all items; None: of all items to each other, each pair once."""
    order = np.argsort(held.lengths, kind="stable")  # blocks of similar lengths need little padding
    blocks = _blocks(held, order)
    mutual = rows is None
    every = np.arange(len(asked.lengths)) if rows is None else rows
    tasks, squares = [], []  # (row indices, column indices) of the table; indices that a task has on both sides
    for start, stop in blocks:
        places = order[:stop] if mutual else np.arange(len(every))
        for at in range(0, len(places), QUERIES_AT_ONCE):
            first = max(start, at) if mutual else start  # what precedes these queries was compared with them already
            tasks.append((places[at : at + QUERIES_AT_ONCE], order[first:stop]))
            squares.append(order[first : min(stop, at + QUERIES_AT_ONCE)])

    def compared(task: tuple[Int64[np.ndarray, " queries"], Int64[np.ndarray, " lanes"]]) -> Frames:
        return _compare(asked, every[task[0]], held, task[1], cells)

    found = np.empty((len(every), len(order)), dtype=np.float32)
    with one_blas_thread():  # `in_parallel` already uses all cores
        parts = mapped(compared, tasks)
        for (places, columns), part in zip(tasks, parts, strict=True):
            found[np.ix_(places, columns)] = part
            if mutual:
                found[np.ix_(columns, places)] = part.T
    for own in squares if mutual else []:  # both directions were computed: make them equal
        square = np.ix_(own, own)
        found[square] = np.minimum(found[square], found[square].T)
    return found


def _among(
    asked: Stacked,
    held: Stacked,
    candidates: Int64[np.ndarray, "queries choices"],
    mapped: Mapped,
    cells: int,
) -> Float32[np.ndarray, "queries choices"]:
    """Return the distances of each query to its own candidates."""

    def compared(query: int) -> Float32[np.ndarray, " choices"]:
        row = candidates[query]
        order = np.argsort(held.lengths[row], kind="stable")
        found = np.empty(len(row), dtype=np.float32)
        for start, stop in _blocks(held, row[order]):
            some = order[start:stop]
            found[some] = _compare(asked, np.array([query]), held, row[some], cells)[0]
        return found

    with one_blas_thread():
        queries = range(len(candidates))
        return np.stack(list(mapped(compared, queries)))


def _mapped(given: Mapped | None, workers: int | None, progress: bool) -> Mapped:
    if given is not None:
        return given
    return functools.partial(in_parallel, workers=workers, what="Aligning", unit="blocks", shown=progress)


def _blocks(held: Stacked, order: Int64[np.ndarray, " items"]) -> list[tuple[int, int]]:
    """Split clips, ordered by length, into ranges whose padded frames fit the memory limit."""
    found, start = [], 0
    sizes = held.lengths[order] * held.values.shape[1]
    while start < len(order):
        padded = np.arange(1, LANES + 1)[: len(order) - start] * sizes[start : start + LANES]  # rising
        stop = start + max(1, int(np.searchsorted(padded, VALUES_AT_ONCE, side="right")))
        found.append((start, stop))
        start = stop
    return found


def _compare(
    asked: Stacked,
    queries: Int64[np.ndarray, " queries"],
    held: Stacked,
    items: Int64[np.ndarray, " lanes"],
    cells: int,
) -> Float32[np.ndarray, "queries lanes"]:
    """Return the distances of chosen queries to chosen gallery items."""
    check_sizes(asked, held)
    lengths = held.lengths[items]
    places = held.starts[items] + np.minimum(np.arange(lengths.max())[:, None], lengths - 1)  # (longest, lanes)
    others = other_sides(held.values[places])
    found = np.empty((len(queries), len(items)), dtype=np.float32)
    for row, query in enumerate(queries):
        start, length = asked.starts[query], asked.lengths[query]
        costs = path_costs(query_sides(asked.values[start : start + length]), others, lengths, cells=cells)
        found[row] = costs / (length + lengths)
    return np.asarray(np.rint(np.maximum(found, 0) * STEPS) / STEPS, dtype=np.float32)


def check_sizes(asked: Stacked, held: Stacked) -> None:
    """Refuse frames of two sizes."""
    if asked.values.shape[1] != held.values.shape[1]:
        raise MeasureError(
            f"alignment: wanted queries of {held.values.shape[1]} values a frame like the gallery's, got "
            f"{asked.values.shape[1]}; make both with `frames`"
        )


def _checked(candidates: Int64[np.ndarray, "_ _"], queries: int, items: int) -> Int64[np.ndarray, "_ _"]:
    """Check the candidates and sort each row, so that ties go to the earlier item."""
    if len(candidates) != queries:
        raise MeasureError(f"alignment: wanted candidates for {queries} queries, got {len(candidates)} rows")
    ordered = np.sort(candidates, axis=1)
    if ordered.size and not 0 <= ordered.min() <= ordered.max() < items:
        raise MeasureError(f"alignment: wanted candidates from 0 to {items - 1}, but one lies outside")
    if (np.diff(ordered, axis=1) == 0).any():
        raise MeasureError("alignment: wanted different candidates, but one is given twice for a query")
    return ordered
