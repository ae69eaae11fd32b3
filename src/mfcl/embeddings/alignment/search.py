"""Alignment distances of many clips, and the nearest by them."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, Int64
from threadpoolctl import threadpool_limits

from mfcl.core.parallel import in_parallel
from mfcl.embeddings import nearest as by_similarity
from mfcl.embeddings.alignment.paths import CELLS_AT_ONCE, other_sides, path_costs, query_sides
from mfcl.errors import MeasureError

LANES = 512
"""Clips that one query is compared with at once, at most."""
VALUES_AT_ONCE = 2**22
"""Numbers in the frames of those clips, at most (16 MiB a thread), unless one clip alone has more."""
QUERIES_AT_ONCE = 64
"""Queries that a thread compares with them before it fetches others."""
TABLE_AT_ONCE = 2**22
"""Distances that are held at once where only the nearest are wanted: 16 MiB."""
STEPS = 2.0**20
"""Distances are rounded to this part: a sum's last bits depend on its place, and equal clips must come out equal."""

Frames = Float32[np.ndarray, "_ _"]


def distances(
    queries: Sequence[Frames],
    gallery: Sequence[Frames] | None = None,
    *,
    workers: int | None = None,
    cells: int = CELLS_AT_ONCE,
    progress: bool = False,
) -> Float32[np.ndarray, "queries items"]:
    """Return the alignment distance of every query to every item of a gallery.

    It is the cost of the best path that stretches one clip to the other, over the sum of both lengths. The cost of two
    frames is one minus their cosine. So it is 0 for a clip with itself, the same both ways, and at most 2. It depends
    on the two clips alone, and is exact to a millionth.

    Args:
        queries: Frames of each clip, of unit length; see `frames`.
        gallery: Frames of the clips to compare with; none: the queries themselves, in half the time.
        workers: Threads; none: all cores.
        cells: Costs of frames that each thread holds at once. A thread also holds the frames of up to 512 clips.
        progress: Whether to show a bar.

    Raises:
        MeasureError: there is no clip, or frames are not finite or not of one size.

    Source: Park and Glass, "Unsupervised pattern discovery in speech", 2008, for the path's cost over its length.

    Example:
        >>> rise = np.array([[1, 0], [0, 1]], dtype=np.float32)
        >>> distances([rise], [rise.repeat(3, axis=0), rise[::-1]]).tolist()
        [[0.0, 0.5]]
    """
    asked = _stacked(queries, "queries")
    if gallery is None:
        return _table(asked, asked, None, workers, cells, progress)
    return _table(asked, _stacked(gallery, "gallery"), np.arange(len(queries)), workers, cells, progress)


def nearest(
    queries: Sequence[Frames],
    gallery: Sequence[Frames],
    k: int,
    *,
    candidates: Int64[np.ndarray, "queries _"] | None = None,
    workers: int | None = None,
    cells: int = CELLS_AT_ONCE,
    progress: bool = False,
) -> tuple[Int64[np.ndarray, "queries {k}"], Float32[np.ndarray, "queries {k}"]]:
    """Return each query's k nearest gallery items by alignment, nearest first, and their distances.

    Of items equally far the earlier comes first. A query that is also in the gallery finds itself.

    Args:
        queries: Frames of each clip; see `frames`.
        gallery: Frames of the clips to look among.
        k: How many to return.
        candidates: Gallery items that each query is compared with, such as the 200 nearest by whitened log-mel
            pictures (`mfcl.embeddings.nearest.top_k`); none: all of them.
        workers: Threads; none: all cores.
        cells: Costs of frames that each thread holds at once; see `distances`.
        progress: Whether to show a bar.

    Raises:
        MeasureError: see `distances`; or k or a candidate is out of range, or a candidate is there twice.
    """
    choices = len(gallery) if candidates is None else candidates.shape[1]
    if not 1 <= k <= choices:
        raise MeasureError(f"alignment: k from 1 to {choices} (the items to choose from) is wanted, but came {k}")
    asked, held = _stacked(queries, "queries"), _stacked(gallery, "gallery")
    if candidates is not None:
        chosen = _checked(candidates, len(queries), len(gallery))
        ranks, values = smallest(_among(asked, held, chosen, workers, cells, progress), k)
        return np.take_along_axis(chosen, ranks, axis=1), values
    found = []
    for rows in np.array_split(np.arange(len(queries)), -(-len(queries) * len(gallery) // TABLE_AT_ONCE)):
        found.append(smallest(_table(asked, held, rows, workers, cells, progress), k))
    return np.concatenate([places for places, _ in found]), np.concatenate([values for _, values in found])


def smallest(
    table: Float32[np.ndarray, "queries items"], k: int
) -> tuple[Int64[np.ndarray, "queries {k}"], Float32[np.ndarray, "queries {k}"]]:
    """Return the places and values of the k smallest of each row, smallest first, ties to the earlier place."""
    places, values = by_similarity.nearest(-table.astype(np.float64), k)
    return places, (-values).astype(np.float32)


@dataclass(frozen=True)
class _Clips:
    """Frames of clips one after the other, without padding.

    Attributes:
        values: All frames.
        starts: Where each clip's begin.
        lengths: How many each clip has.
    """

    values: Float32[np.ndarray, "frames dim"]
    starts: Int64[np.ndarray, " items"]
    lengths: Int64[np.ndarray, " items"]


def _stacked(clips: Sequence[Frames], what: str) -> _Clips:
    if not len(clips):
        raise MeasureError(f"alignment: {what} of at least one clip are wanted, but there is none; give recordings")
    sizes = {clip.shape[1:] for clip in clips}
    if len(sizes) != 1 or not all(len(clip) for clip in clips):
        raise MeasureError(f"alignment: {what} of frames of one size, one or more a clip, are wanted; use `frames`")
    values = np.concatenate(clips).astype(np.float32, copy=False)
    if not np.isfinite(values).all():
        raise MeasureError(f"alignment: {what} of finite frames are wanted, but one is NaN or infinite; leave it out")
    lengths = np.array([len(clip) for clip in clips], dtype=np.int64)
    return _Clips(values, np.cumsum(lengths) - lengths, lengths)


def _table(
    asked: _Clips,
    held: _Clips,
    rows: Int64[np.ndarray, " rows"] | None,
    workers: int | None,
    cells: int,
    progress: bool,
) -> Float32[np.ndarray, "rows items"]:
    """Return the distances of some queries to all items; of none: of all items to each other, each pair once."""
    order = np.argsort(held.lengths, kind="stable")  # clips of like length side by side need little padding
    blocks = _blocks(held, order)
    mutual = rows is None
    every = np.arange(len(asked.lengths)) if rows is None else rows
    tasks = []  # places in the table's rows, and in its columns
    for start, stop in blocks:
        places = order[:stop] if mutual else np.arange(len(every))
        tasks += [
            (places[at : at + QUERIES_AT_ONCE], order[start:stop]) for at in range(0, len(places), QUERIES_AT_ONCE)
        ]

    def compared(task: tuple[Int64[np.ndarray, " queries"], Int64[np.ndarray, " lanes"]]) -> Frames:
        return _compare(asked, every[task[0]], held, task[1], cells)

    found = np.empty((len(every), len(order)), dtype=np.float32)
    with threadpool_limits(1, "blas"):  # the threads are here
        parts = in_parallel(compared, tasks, workers=workers, what="Aligning", unit="block", shown=progress)
        for (places, columns), part in zip(tasks, parts, strict=True):
            found[np.ix_(places, columns)] = part
            if mutual:
                found[np.ix_(columns, places)] = part.T
    for start, stop in blocks if mutual else []:  # in a block both directions were compared: one of them holds
        square = np.ix_(order[start:stop], order[start:stop])
        found[square] = np.minimum(found[square], found[square].T)
    return found


def _among(
    asked: _Clips,
    held: _Clips,
    candidates: Int64[np.ndarray, "queries choices"],
    workers: int | None,
    cells: int,
    progress: bool,
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

    with threadpool_limits(1, "blas"):
        queries = range(len(candidates))
        parts = in_parallel(compared, queries, workers=workers, what="Aligning", unit="clip", shown=progress)
        return np.stack(list(parts))


def _blocks(held: _Clips, order: Int64[np.ndarray, " items"]) -> list[tuple[int, int]]:
    """Return ranges of an order by length, each of so many clips as fit the memory together."""
    found, start = [], 0
    sizes = held.lengths[order] * held.values.shape[1]
    while start < len(order):
        padded = np.arange(1, LANES + 1)[: len(order) - start] * sizes[start : start + LANES]  # rising
        stop = start + max(1, int(np.searchsorted(padded, VALUES_AT_ONCE, side="right")))
        found.append((start, stop))
        start = stop
    return found


def _compare(
    asked: _Clips,
    queries: Int64[np.ndarray, " queries"],
    held: _Clips,
    items: Int64[np.ndarray, " lanes"],
    cells: int,
) -> Float32[np.ndarray, "queries lanes"]:
    """Return the distances of some queries to some items of a gallery."""
    if asked.values.shape[1] != held.values.shape[1]:
        raise MeasureError(
            f"alignment: queries of {held.values.shape[1]} values a frame like the gallery's are wanted, but came "
            f"{asked.values.shape[1]}; make both with `frames`"
        )
    lengths = held.lengths[items]
    places = held.starts[items] + np.minimum(np.arange(lengths.max())[:, None], lengths - 1)  # (longest, lanes)
    others = other_sides(held.values[places])
    found = np.empty((len(queries), len(items)), dtype=np.float32)
    for row, query in enumerate(queries):
        start, length = asked.starts[query], asked.lengths[query]
        costs = path_costs(query_sides(asked.values[start : start + length]), others, lengths, cells=cells)
        found[row] = costs / (length + lengths)
    return np.asarray(np.rint(np.maximum(found, 0) * STEPS) / STEPS, dtype=np.float32)


def _checked(candidates: Int64[np.ndarray, "_ _"], queries: int, items: int) -> Int64[np.ndarray, "_ _"]:
    """Return the candidates in the gallery's order, so that ties go to the earlier item."""
    if len(candidates) != queries:
        raise MeasureError(f"alignment: candidates for {queries} queries are wanted, but came {len(candidates)} rows")
    ordered = np.sort(candidates, axis=1)
    if ordered.size and not 0 <= ordered.min() <= ordered.max() < items:
        raise MeasureError(f"alignment: candidates from 0 to {items - 1} are wanted, but one lies outside")
    if (np.diff(ordered, axis=1) == 0).any():
        raise MeasureError("alignment: candidates that differ are wanted, but one is there twice for a query")
    return ordered
