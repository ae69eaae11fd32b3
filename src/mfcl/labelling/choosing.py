"""Choose, by cross-validation over the given labels alone, by which graph they are spread."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Bool, Int64, Shaped

from mfcl.core.random import generator
from mfcl.labelling.propagate import Spread

FARTHER = 0.05
"""A way that spreads labels to so many more of all recordings is taken where it reads no fewer hidden labels."""
FEWEST = 10
"""Fewest labels that can be hidden and read again for a choice; with fewer the first way is taken."""
FOLDS = 5
MOST_FOLDS = 40
VALUES = 200_000
"""Recordings times folds: small collections have more folds, which hide fewer labels at once."""


@dataclass(frozen=True)
class Way:
    """A way to spread labels.

    Attributes:
        name: Its name.
        graph: Name of its graph; "" if the labels are not spread by a graph.
        features: Kind of features that the classifier reads.
        fallback: Tried after all others, and only where they miss so many labels that it could be clearly better.
    """

    name: str
    graph: str
    features: str
    fallback: bool = False


@dataclass(frozen=True)
class Checked:
    """How well a way reads given labels that were hidden from it.

    Attributes:
        way: Name of the way.
        right: Labels that it read right.
        count: Labels that were hidden.
        rights: Whether each hidden label was read right.
        reached: Share of all recordings that the labels were spread to, 0 to 1: of a graph that falls apart, some
            pieces have none.
    """

    way: str
    right: int
    count: int
    rights: tuple[bool, ...]
    reached: float = 1.0

    @property
    def share(self) -> float:
        """Share that was read right, 0 to 1."""
        return self.right / self.count


@runtime_checkable
class Spreads(Protocol):
    """What the choice needs of a collection."""

    @property
    def ways(self) -> Sequence[Way]:
        """All ways."""
        ...

    @property
    def files(self) -> Shaped[np.ndarray, " items"]:
        """The file that each recording is of."""
        ...

    def __len__(self) -> int: ...

    def spread_sets(self, way: Way, sets: Shaped[np.ndarray, "sets items"]) -> list[Spread]:
        """Spread several sets of labels."""
        ...


def checked_ways(collection: Spreads, labels: Shaped[np.ndarray, " items"], *, seed: int) -> tuple[Checked, ...]:
    """Hide given labels in turn, and count for each way how many it reads right from the others.

    Only labels of classes with two or more are hidden: another's class would be gone.
    """
    fold = folds_of(labels, seed=seed, most=VALUES // max(1, len(collection)), files=collection.files)
    if fold is None:
        return ()
    sets = hidden_sets(labels, fold)
    found: list[Checked] = []
    for way in collection.ways:
        missed = min((one.count - one.right for one in found), default=len(labels))
        if way.fallback and not _clear(missed, missed):
            break
        spreads = collection.spread_sets(way, sets)
        rights = np.zeros(len(labels), dtype=np.bool_)
        reached = np.mean([(spread.scores > 0).any(axis=1).mean() for spread in spreads])
        for part, spread in enumerate(spreads):
            inside = fold == part
            rights[inside] = spread.labels[inside] == labels[inside]
        hidden = rights[fold >= 0]
        found.append(Checked(way.name, int(hidden.sum()), len(hidden), tuple(hidden.tolist()), float(reached)))
    return tuple(found)


def chosen_way(ways: Sequence[Way], checked: Sequence[Checked]) -> Way:
    """Return the way that read most labels right, if it is clearly better than all ways before it.

    It is clearly better if it alone is right for more labels than chance would give: more by one standard error of the
    difference, which is the root of the labels that only one of both reads right. One that reads no fewer and spreads
    labels to clearly more of the recordings is taken, too.
    """
    best = 0
    for place in range(1, len(checked)):
        better = np.array(checked[place].rights, dtype=np.int64)
        worse = np.array(checked[best].rights, dtype=np.int64)
        gain, differ = int((better - worse).sum()), int((better != worse).sum())
        farther = checked[place].reached >= checked[best].reached + FARTHER
        if _clear(gain, differ) or (farther and gain >= 0):
            best = place
    return ways[best]


def _clear(gain: int, differ: int) -> bool:
    """Return whether a gain is more than one standard error of the difference."""
    return gain > 0 and gain * gain > differ


def folds_of(
    labels: Shaped[np.ndarray, " items"],
    *,
    seed: int,
    most: int = MOST_FOLDS,
    files: Shaped[np.ndarray, " items"] | None = None,
) -> Int64[np.ndarray, " items"] | None:
    """Return the fold in which each label is hidden, -1 for none; None if too few can be hidden.

    Each class is dealt evenly, so that every fold leaves labels of every class. Windows of one recording are alike, and
    would be read from one another: labels of one file are hidden together, if enough can be.

    Args:
        labels: Labels, "" where unknown.
        seed: Seed of the folds.
        most: Most folds.
        files: The file that each recording is of; default: each is one of its own.
    """
    folds = max(FOLDS, min(most, MOST_FOLDS))
    whole = None if files is None else _folds_of_files(labels, files, seed, folds)
    if whole is not None and int((whole >= 0).sum()) >= FEWEST:
        return whole
    _, codes, counts = np.unique(labels, return_inverse=True, return_counts=True)
    several: Bool[np.ndarray, " items"] = (labels != "") & (counts[codes] >= 2)
    places = np.flatnonzero(several)
    if len(places) < FEWEST:
        return None
    fold = np.full(len(labels), -1, dtype=np.int64)
    fold[places] = _dealt(codes[places], seed, folds)
    return fold


def _dealt(codes: Int64[np.ndarray, " some"], seed: int, folds: int) -> Int64[np.ndarray, " some"]:
    """Deal things in random order to folds, those of one class after another."""
    shuffled = generator(seed, "label folds").permutation(len(codes))
    ordered = shuffled[np.argsort(codes[shuffled], kind="stable")]
    fold = np.empty(len(codes), dtype=np.int64)
    fold[ordered] = np.arange(len(codes)) % min(len(codes), folds)
    return fold


def _folds_of_files(
    labels: Shaped[np.ndarray, " items"], files: Shaped[np.ndarray, " items"], seed: int, folds: int
) -> Int64[np.ndarray, " items"] | None:
    """Return folds of whole files, of classes that two or more have; None if each label has a file of its own."""
    known = np.flatnonzero(labels != "")
    names, first, own = np.unique(files[known], return_index=True, return_inverse=True)
    if len(names) == len(known):
        return None
    codes = np.unique(labels[known], return_inverse=True)[1]
    dealt = _dealt(codes[first], seed, folds)[own]
    for code in range(int(codes.max()) + 1):
        if len(np.unique(dealt[codes == code])) < 2:
            dealt[codes == code] = -1  # else this class would be gone where they are hidden
    fold = np.full(len(labels), -1, dtype=np.int64)
    fold[known[dealt >= 0]] = np.unique(dealt[dealt >= 0], return_inverse=True)[1]
    return fold


def divides_files(fold: Int64[np.ndarray, " items"], files: Shaped[np.ndarray, " items"]) -> bool:
    """Return whether labels of one file are hidden in several folds, so that each is read from others of it.

    Example:
        >>> divides_files(np.array([0, 0, 1, -1]), np.array(["a", "a", "b", "b"])), divides_files(
        ...     np.array([0, 1]), np.array(["a", "a"])
        ... )
        (False, True)
    """
    hidden = np.flatnonzero(fold >= 0)
    own = np.unique(files[hidden], return_inverse=True)[1]
    return len(np.unique(np.stack([own, fold[hidden]]), axis=1).T) > int(own.max(initial=-1)) + 1


def hidden_sets(
    labels: Shaped[np.ndarray, " items"], fold: Int64[np.ndarray, " items"]
) -> Shaped[np.ndarray, "sets items"]:
    """Return the labels that are left when each fold is hidden."""
    parts = np.arange(int(fold.max()) + 1)
    return np.where(fold[None] == parts[:, None], "", labels[None])
