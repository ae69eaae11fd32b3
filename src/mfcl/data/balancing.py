"""Stratify drawn splits: exchange units such as speakers until every split has its share of every class."""

from collections.abc import Iterator, Mapping

import numpy as np
from jaxtyping import Float64, Int64

MOST_KINDS = 2000
"""Above this number of units that differ in their classes, a draw is left as it is: all pairs are compared."""
MOST_EXCHANGES = 10_000
LEAST_GAIN = 1e-9
"""Of an exchange; smaller ones are rounding."""
DECIMALS = 9
"""Of what an exchange changes: of equally good ones the last bits must not choose, which differ between processors."""


def balanced(drawn: Mapping[str, str], counts: Mapping[str, Mapping[str, int]]) -> dict[str, str]:
    """Exchange units between splits while this brings each split's share of each class closer to its share of units.

    Splits keep their number of units. The best exchange of all is made, then the next, until none helps: of units of
    one class each, such as files, every class is divided as evenly as its number allows. A draw that is even is
    returned unchanged. Rare classes count as much as frequent ones.

    Args:
        drawn: Unit, such as a speaker -> its split, in the order of the draw, which breaks ties.
        counts: Unit -> the number of its recordings of each class.

    Example:
        >>> balanced({"a": "train", "b": "train", "c": "test", "d": "test"},
        ...     {"a": {"x": 1}, "b": {"x": 1}, "c": {"y": 1}, "d": {"y": 1}})
        {'a': 'test', 'b': 'train', 'c': 'train', 'd': 'test'}
    """
    split_of = dict(drawn)
    classes = sorted({name for unit in drawn for name in counts.get(unit, ())})
    splits = sorted(set(drawn.values()))
    if not classes or len(splits) < 2:
        return split_of
    column = {name: place for place, name in enumerate(classes)}
    table = np.zeros((len(drawn), len(classes)))
    for row, unit in enumerate(drawn):
        for name, count in counts.get(unit, {}).items():
            table[row, column[name]] = count
    kinds, kind_of = np.unique(table, axis=0, return_inverse=True)  # units of one kind are exchanged alike
    if len(kinds) > MOST_KINDS:
        return split_of
    members: dict[tuple[str, int], list[str]] = {}
    for unit, kind in zip(drawn, kind_of.reshape(-1).tolist(), strict=True):
        members.setdefault((drawn[unit], kind), []).append(unit)
    held = np.array([[len(members.get((split, kind), ())) for kind in range(len(kinds))] for split in splits])
    for one, other, given, taken in _exchanges(kinds, held):
        leaving, coming = members[splits[one], given].pop(0), members[splits[other], taken].pop(0)
        for unit, split, kind in ((leaving, splits[other], given), (coming, splits[one], taken)):
            split_of[unit] = split
            members.setdefault((split, kind), []).append(unit)
    return split_of


def _exchanges(
    kinds: Float64[np.ndarray, "kinds classes"], held: Int64[np.ndarray, "splits kinds"]
) -> Iterator[tuple[int, int, int, int]]:
    """Yield the exchanges to make: two splits, and the kinds of the units that leave the first and the second.

    With n the recordings of a class in a split and t its even share, the sum over splits and classes of
    (n - t)^2 / (recordings of the class) is lowered by each.

    Args:
        kinds: Recordings of each class in a unit of each kind.
        held: Number of units of each kind in each split; changed in place.
    """
    total = held.sum(axis=0) @ kinds
    even = np.outer(held.sum(axis=1) / held.sum(), total)
    weighted = kinds / total
    products = weighted @ kinds.T
    norms = np.diagonal(products)
    for _ in range(MOST_EXCHANGES):
        excess = held @ kinds - even
        best = (-LEAST_GAIN, 0, 0, 0, 0)
        for one in range(len(held)):
            for other in range(one + 1, len(held)):
                own, its = np.flatnonzero(held[one]), np.flatnonzero(held[other])
                pull = weighted @ (excess[one] - excess[other])
                change = pull[its][None] - pull[own][:, None] + norms[own][:, None] + norms[its][None]
                change -= 2 * products[np.ix_(own, its)]
                np.round(change, DECIMALS, out=change)
                place = int(change.argmin())
                if change.flat[place] < best[0]:
                    row, col = divmod(place, len(its))
                    best = (float(change.flat[place]), one, other, int(own[row]), int(its[col]))
        gain, one, other, given, taken = best
        if gain >= -LEAST_GAIN:
            return
        held[one, given] -= 1
        held[other, given] += 1
        held[other, taken] -= 1
        held[one, taken] += 1
        yield one, other, given, taken
