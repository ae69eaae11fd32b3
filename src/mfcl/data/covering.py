"""Repair drawn splits that lack classes, by exchanging units such as speakers."""

from collections import Counter
from collections.abc import Mapping, Set

RANKS = {"train": 0, "test": 1, "valid": 2}
"""Which split needs a class most: train, to learn it, then test, to evaluate it, then valid."""

MOST_CLASSES = 1000
"""Above this number of classes, such as sentences, a split is not repaired."""


def covering(drawn: Mapping[str, str], classes: Mapping[str, Set[str]]) -> dict[str, str]:
    """Exchange units between splits so that every split has every class, as far as possible.

    Splits keep their number of units. An exchange never removes a class from a split that needs it as much. If no split
    lacks a class, the draw is returned unchanged.

    Args:
        drawn: Unit, such as a speaker -> its split, in the order of the draw, which breaks ties.
        classes: Unit -> the classes of its recordings.

    Example:
        >>> covering({"a": "train", "b": "train", "c": "test"}, {"a": {"x"}, "b": {"y"}, "c": {"x"}})
        {'a': 'train', 'b': 'train', 'c': 'test'}
        >>> covering({"a": "train", "b": "train", "c": "test", "d": "test"},
        ...     {"a": {"x"}, "b": {"x"}, "c": {"y"}, "d": {"y"}})
        {'a': 'test', 'b': 'train', 'c': 'train', 'd': 'test'}
    """
    split_of = dict(drawn)
    members: dict[str, list[str]] = {}
    for unit in drawn:
        for name in classes.get(unit, ()):
            members.setdefault(name, []).append(unit)
    counts = Counter((name, drawn[unit]) for name, units in members.items() for unit in units)

    def can_leave(unit: str, besides: str) -> bool:
        """Return whether no class but `besides` is lost when a unit leaves its split."""
        return all(counts[name, split_of[unit]] > 1 for name in classes.get(unit, ()) if name != besides)

    shared = [name for name, units in members.items() if len(units) > 1]  # no other class can be in two splits
    if len(shared) > MOST_CLASSES:
        return split_of
    splits = sorted(set(drawn.values()), key=lambda split: RANKS[split])
    for wanted in sorted(shared, key=lambda name: (len(members[name]), name)):  # rare classes have the fewest options
        for split in splits:
            if counts[wanted, split]:
                continue
            giver = next(
                (
                    unit
                    for unit in members[wanted]
                    if _can_give(wanted, split_of[unit], split, counts) and can_leave(unit, wanted)
                ),
                None,
            )
            taker = next((unit for unit in drawn if split_of[unit] == split and can_leave(unit, "")), None)
            if giver is None or taker is None:
                continue
            for unit, target in ((giver, split), (taker, split_of[giver])):
                for name in classes.get(unit, ()):
                    counts[name, split_of[unit]] -= 1
                    counts[name, target] += 1
                split_of[unit] = target
    return split_of


def _can_give(name: str, source: str, target: str, counts: Mapping[tuple[str, str], int]) -> bool:
    """Return whether a split has two units of a class, or needs it less than the target does."""
    return counts[name, source] > 1 or RANKS[source] > RANKS[target]
