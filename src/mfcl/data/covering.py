"""Sides of a split that hold every class: what a draw left out is mended by exchanges."""

from collections import Counter
from collections.abc import Mapping, Set

RANKS = {"train": 0, "test": 1, "valid": 2}
"""A class is wanted first where it is learned, then where it is measured, then where choices are made."""

MOST_CLASSES = 1000
"""Of more, such as sentences, no side can be asked to hold all."""


def covering(sides: Mapping[str, str], classes: Mapping[str, Set[str]]) -> dict[str, str]:
    """Return the sides of units such that every class is on every side, as far as exchanges of two units can do it.

    The sides keep their sizes; an exchange never takes a class away from a side. Sides that hold all classes stay as
    they were drawn.

    Args:
        sides: Unit, such as a speaker -> its side, in the order of the draw, which decides between equals.
        classes: Unit -> the classes of its recordings.

    Example:
        >>> covering({"a": "train", "b": "train", "c": "test"}, {"a": {"x"}, "b": {"y"}, "c": {"x"}})
        {'a': 'train', 'b': 'train', 'c': 'test'}
        >>> covering({"a": "train", "b": "train", "c": "test", "d": "test"},
        ...     {"a": {"x"}, "b": {"x"}, "c": {"y"}, "d": {"y"}})
        {'a': 'test', 'b': 'train', 'c': 'train', 'd': 'test'}
    """
    mended = dict(sides)
    members: dict[str, list[str]] = {}
    for unit in sides:
        for one in classes.get(unit, ()):
            members.setdefault(one, []).append(unit)
    counts = Counter((one, sides[unit]) for one, units in members.items() for unit in units)

    def spared(unit: str, besides: str) -> bool:
        """Whether a unit can leave its side without taking the last of a class along."""
        return all(counts[one, mended[unit]] > 1 for one in classes.get(unit, ()) if one != besides)

    shared = [one for one, units in members.items() if len(units) > 1]  # no other can be on two sides
    if len(shared) > MOST_CLASSES:
        return mended
    wanted = sorted(set(sides.values()), key=lambda side: RANKS[side])
    for one in sorted(shared, key=lambda name: (len(members[name]), name)):  # the rarest have the fewest ways
        for side in wanted:
            if counts[one, side]:
                continue
            giver = next(
                (unit for unit in members[one] if _can_give(one, mended[unit], side, counts) and spared(unit, one)),
                None,
            )
            taker = next((unit for unit in sides if mended[unit] == side and spared(unit, "")), None)
            if giver is None or taker is None:
                continue
            for unit, target in ((giver, side), (taker, mended[giver])):
                for each in classes.get(unit, ()):
                    counts[each, mended[unit]] -= 1
                    counts[each, target] += 1
                mended[unit] = target
    return mended


def _can_give(one: str, source: str, side: str, counts: Mapping[tuple[str, str], int]) -> bool:
    """Whether a side has a unit of a class to give: more than one, or it is wanted less there."""
    return counts[one, source] > 1 or RANKS[source] > RANKS[side]
