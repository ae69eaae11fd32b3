"""Nearest neighbours among the items of other groups, for cross-validation: one product serves both of its sides."""

import collections
import itertools
import threading
from collections.abc import Iterator

import numpy as np
from jaxtyping import Float, Float32, Float64, Int64

from mfcl.core.blas import one_blas_thread
from mfcl.core.parallel import in_parallel
from mfcl.core.random import generator
from mfcl.embeddings.linalg import check_measurable, lengths_of
from mfcl.embeddings.nearest import in_steps, rounding_doubt, top_k
from mfcl.errors import MeasureError

SIDE = 1024
"""Most items on each side of a block of similarities: 4 MiB of float32."""
GROUP = 16
"""Most similarities per group; the k-th highest maximum of groups is a lower bound of the k-th highest similarity."""
VALUES_AT_ONCE = 2**18
"""Values of vectors that are compared at once in double precision: 2 MiB."""
ROOM = 4
"""Candidates that an item has room for, in multiples of k, beside `SPARE`."""
SPARE = 64

NOTHING = -2.0
"""Stands where there is no candidate: less than any cosine."""


def nearest_outside(
    vectors: Float[np.ndarray, "items dim"], groups: Int64[np.ndarray, " items"], k: int
) -> Int64[np.ndarray, "items {k}"]:
    """Return the indices of each item's k nearest items of other groups, nearest first.

    They are those that `top_k` finds group by group, ties included, on every machine and however many threads there
    are. Each similarity of two items is computed once, in single precision; double precision ranks those that its
    rounding could have put in another order. Beside the vectors in single precision, memory is needed for some 5 k
    candidates an item, and for a few blocks of similarities.

    Args:
        vectors: One row per item.
        groups: The group of each item, 0 or more.
        k: Neighbours to return, at most the number of items outside the largest group.

    Raises:
        MeasureError: k is out of range, or a vector is NaN or infinite.

    Example:
        >>> nearest_outside(np.array([[1.0, 0.0], [1.0, 0.1], [0.0, 1.0]]), np.array([0, 0, 1]), 1).tolist()
        [[2], [2], [1]]
    """
    check_measurable(vectors, groups, what="neighbours")
    sizes = np.bincount(groups)
    most = len(vectors) - int(sizes.max())
    if not 1 <= k <= most:
        raise MeasureError(f"neighbours: wanted k from 1 to {most} (the items outside the largest group), got {k}")
    shuffled = generator(0, "nearest outside").permutation(len(vectors))  # near items seldom share groups of values
    order = shuffled[np.argsort(groups[shuffled], kind="stable")]
    lengths = lengths_of(vectors)
    single = _single(vectors, lengths, order)
    doubt = 2 * rounding_doubt(vectors.shape[1])  # of a difference
    lists = _Shortlists(len(vectors), k, doubt)

    places = np.empty((len(vectors), k), dtype=np.int64)

    def compare(pair: tuple[slice, slice]) -> None:
        lists.add(*pair, single[pair[0]] @ single[pair[1]].T)

    def rank(own: slice) -> None:
        candidates = order[lists.places[own]]
        places[order[own]] = _ranked(vectors, lengths, order[own], candidates, lists.values[own], k, doubt)

    with one_blas_thread():  # our own threads share the picking of candidates, too, which those of BLAS would not
        collections.deque(in_parallel(compare, list(_blocks(sizes)), what="", shown=False), maxlen=0)
        collections.deque(in_parallel(rank, list(_split(0, len(order))), what="", shown=False), maxlen=0)
    crowded = np.zeros(len(vectors), dtype=bool)
    crowded[order] = lists.crowded
    for group in np.unique(groups[crowded]):
        outside = np.flatnonzero(groups != group)
        asked = crowded & (groups == group)
        places[asked] = outside[top_k(vectors[asked], vectors[outside], k)[0]]
    return places


def _single(
    vectors: Float[np.ndarray, "items dim"], lengths: Float64[np.ndarray, " items"], order: Int64[np.ndarray, " items"]
) -> Float32[np.ndarray, "items dim"]:
    """Return the unit vectors in single precision, in another order."""
    found = np.empty(vectors.shape, dtype=np.float32)
    rows = max(1, VALUES_AT_ONCE // vectors.shape[1])
    for start in range(0, len(order), rows):
        own = order[start : start + rows]
        found[start : start + rows] = vectors[own] / lengths[own, None]
    return found


def _blocks(sizes: Int64[np.ndarray, " groups"]) -> Iterator[tuple[slice, slice]]:
    """Yield every pair of ranges of items, ordered by group, that lie in two groups; none is wider than `SIDE`."""
    edges = np.cumsum([0, *sizes]).tolist()
    ranges = [list(_split(start, stop)) for start, stop in itertools.pairwise(edges)]
    for one, other in itertools.combinations(ranges, 2):
        yield from itertools.product(one, other)


def _split(start: int, stop: int) -> Iterator[slice]:
    parts = -(-(stop - start) // SIDE)
    for first, last in itertools.pairwise(np.linspace(start, stop, parts + 1).astype(int).tolist()) if parts else ():
        yield slice(first, last)


class _Shortlists:
    """The items that may be among the k nearest of each item, from similarities that come block by block.

    An item is left out only if its similarity is below the k-th highest by more than `doubt`.

    Attributes:
        values: Similarities of the candidates, in any order; `NOTHING` where there is none.
        places: Their numbers.
        crowded: Items with more candidates than there is room for; theirs are not complete.
    """

    def __init__(self, items: int, k: int, doubt: float) -> None:
        room = min(items, ROOM * k + SPARE)
        self.values = np.full((items, room), NOTHING, dtype=np.float32)
        self.places = np.zeros((items, room), dtype=np.int32)
        self.crowded = np.zeros(items, dtype=bool)
        self._k, self._doubt, self._lock = k, np.float32(doubt), threading.Lock()
        self._best = np.full((items, k), -np.inf, dtype=np.float32)  # the highest maxima of groups of similarities
        self._count = np.zeros(items, dtype=np.int64)

    def add(self, rows: slice, columns: slice, tile: Float32[np.ndarray, "_ _"]) -> None:
        """Take the similarities of the items `rows` to the items `columns`, which are also those of the columns."""
        across_best, down_best = _maxima(tile, self._k), _maxima(tile.T, self._k)
        with self._lock:
            across, down = self._bar(rows, across_best), self._bar(columns, down_best)
        found = np.flatnonzero((tile >= across[:, None]) | (tile >= down))
        row, column = np.divmod(found, tile.shape[1])
        values = tile.reshape(-1)[found]
        own = np.flatnonzero(values >= across[row])
        turned = np.flatnonzero(values >= down[column])
        turned = turned[np.argsort(column[turned].astype(np.uint16), kind="stable")]
        with self._lock:
            self._keep(rows, row[own], columns.start + column[own], values[own])
            self._keep(columns, column[turned], rows.start + row[turned], values[turned])

    def _bar(self, own: slice, maxima: Float32[np.ndarray, "_ _"]) -> Float32[np.ndarray, " _"]:
        """Return the similarity below which an item need not be kept, after new maxima of groups."""
        best = np.partition(np.concatenate([self._best[own], maxima], axis=1), -self._k, axis=1)[:, -self._k :]
        self._best[own] = best
        bar = best[:, 0] - self._doubt
        bar[self.crowded[own]] = np.inf
        return bar

    def _keep(
        self,
        own: slice,
        item: Int64[np.ndarray, " found"],
        places: Int64[np.ndarray, " found"],
        values: Float32[np.ndarray, " found"],
    ) -> None:
        """Add candidates, in the order of the items that they are for."""
        new = np.bincount(item, minlength=own.stop - own.start)
        first = self._count[own] - np.cumsum(new) + new
        place = np.arange(len(item)) + np.repeat(first, new)
        room = self.values.shape[1]
        self._count[own] += new
        over = self._count[own] > room
        if over.any():
            self.crowded[own] |= over
            keep = place < room
            item, places, values, place = item[keep], places[keep], values[keep], place[keep]
        flat = (own.start + item) * room + place
        self.values.reshape(-1)[flat] = values
        self.places.reshape(-1)[flat] = places


def _maxima(tile: Float32[np.ndarray, "rows columns"], k: int) -> Float32[np.ndarray, "rows groups"]:
    """Return the highest similarity of each group of columns; the last few columns may be in none."""
    rows, columns = tile.shape
    size = max(1, min(GROUP, columns // (2 * k)))
    each = columns // size
    if tile.flags.c_contiguous:
        found = tile[:, : size * each].reshape(rows, size, each).max(axis=1)
    else:
        found = tile.T[: size * each].reshape(size, each, rows).max(axis=0).T
    return np.asarray(found)


def _ranked(
    vectors: Float[np.ndarray, "items dim"],
    lengths: Float64[np.ndarray, " items"],
    asked: Int64[np.ndarray, " queries"],
    places: Int64[np.ndarray, "queries candidates"],
    values: Float32[np.ndarray, "queries candidates"],
    k: int,
    doubt: float,
) -> Int64[np.ndarray, "queries {k}"]:
    """Return the k nearest of the candidates: by single precision where it tells them apart, else by double."""
    order = np.argsort(-values, axis=1)
    values = np.take_along_axis(values, order, axis=1)
    width = min(values.shape[1], max(k, int((values >= values[:, k - 1 : k] - doubt).sum(axis=1).max())))
    values, places = values[:, :width], np.take_along_axis(places, order[:, :width], axis=1)
    close = np.zeros((len(values), width + 1), dtype=bool)  # to the one before
    close[:, 1:-1] = (values[:, :-1] - values[:, 1:] <= doubt) & (values[:, 1:] > NOTHING)
    run = np.cumsum(~close[:, :-1])
    tied = np.flatnonzero(close[:, :-1] | close[:, 1:])
    flat = places.reshape(-1)
    cosines = _cosines(vectors, lengths, asked[tied // width], flat[tied])
    flat[tied] = flat[tied][np.lexsort((flat[tied], -cosines, run[tied]))]
    return places[:, :k]


def _cosines(
    vectors: Float[np.ndarray, "items dim"],
    lengths: Float64[np.ndarray, " items"],
    one: Int64[np.ndarray, " pairs"],
    other: Int64[np.ndarray, " pairs"],
) -> Float64[np.ndarray, " pairs"]:
    """Return the cosines of pairs of items in double precision, rounded as those of `top_k`."""
    found = np.empty(len(one))
    rows = max(1, VALUES_AT_ONCE // vectors.shape[1])
    for start in range(0, len(one), rows):
        ends = (side[start : start + rows] for side in (one, other))
        a, b = (vectors[end].astype(np.float64) / lengths[end, None] for end in ends)
        found[start : start + rows] = np.einsum("pd,pd->p", a, b)
    return in_steps(found)
