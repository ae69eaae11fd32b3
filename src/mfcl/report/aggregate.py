"""Figures over seeds, and who they are about: controls, and encoders by how they were made and what they are given."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from mfcl.report.load import Figure
from mfcl.report.units import BEST

CONTROLS = ("MFCC statistics", "log-mel picture", "Hydra-like features")
"""Representations that need no training and no encoder."""

VIEWS = ("both", "words", "voices", "mel", "wave")
"""What an encoder pair is asked for, the one to show first: all of it, a part of both formats, a format."""


@dataclass(frozen=True)
class Mean:
    """A figure over seeds.

    Attributes:
        representation: What it is about.
        task: What was asked.
        metric: What the value is.
        value: Mean over seeds.
        low: Mean lower end of the 95 % interval; none where a seed has none.
        high: Mean upper end.
        x: Mean place on the horizontal axis.
        n: Test items of one seed.
        seeds: How many seeds.
    """

    representation: str
    task: str
    metric: str
    value: float
    low: float | None
    high: float | None
    x: float | None
    n: int | None
    seeds: int

    def overlaps(self, other: "Mean") -> bool | None:
        """Say whether the two intervals overlap; none where one of them is not known."""
        if self.low is None or self.high is None or other.low is None or other.high is None:
            return None
        return self.low <= other.high and other.low <= self.high


def mean(figures: Sequence[Figure]) -> Mean:
    """Return one figure's mean over its seeds; there is at least one."""
    first = figures[0]
    return Mean(
        first.representation, first.task, first.metric,
        sum(figure.value for figure in figures) / len(figures),
        _mean([figure.low for figure in figures]), _mean([figure.high for figure in figures]),
        _mean([figure.x for figure in figures]), first.n, len({figure.seed for figure in figures}),
    )  # fmt: skip


def means(figures: Iterable[Figure]) -> list[Mean]:
    """Return the mean over seeds of every (representation, task, metric), in the order of their first row."""
    groups: dict[tuple[str, str, str], list[Figure]] = {}
    for figure in figures:
        groups.setdefault((figure.representation, figure.task, figure.metric), []).append(figure)
    return [mean(group) for group in groups.values()]


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known and len(known) == len(values) else None


def better(first: Mean, second: Mean) -> bool:
    """Say whether the first is better; less is better of errors."""
    return BEST.get(first.metric, 1) * (first.value - second.value) > 0


def best(found: Sequence[Mean]) -> Mean | None:
    """Return the best of figures of one metric, the first of equals; none where there are none."""
    return max(found, key=lambda one: BEST.get(one.metric, 1) * one.value) if found else None


def kind(representation: str) -> str:
    """Return how a representation was made: its name without the format.

    Example:
        >>> kind("pre-trained, crops 45 % disjoint, both"), kind("MFCC statistics")
        ('pre-trained, crops 45 % disjoint', 'MFCC statistics')
    """
    words = [word for word in representation.split(", ") if word not in VIEWS]
    return ", ".join(words) or representation


def view(representation: str) -> str | None:
    """Return what of an encoder pair a representation is: a format, a part or both.

    Example:
        >>> view("pre-trained, mel, frozen"), view("MFCC statistics")
        ('mel', None)
    """
    return next((word for word in representation.split(", ") if word in VIEWS), None)


def of_kind(found: Iterable[Mean], name: str) -> list[Mean]:
    """Return the figures of one kind of encoder, or of one control."""
    return [one for one in found if kind(one.representation) == name]


def leading(found: Iterable[Mean], name: str, wanted: str | None = None) -> Mean | None:
    """Return the figure of a kind that stands for it: of the wanted view, else of the part that is made for the task.

    Else of both formats, else the best.
    """
    own = of_kind(found, name)
    made_for = "voices" if own and own[0].task.startswith("voices") else "words"
    for choice in (wanted, made_for, "both"):
        for one in own:
            if choice and view(one.representation) == choice:
                return one
    return best(own)


def shown(representations: Iterable[str]) -> list[str]:
    """Return the representations that a chart has room for: of untrained and supervised encoders only one format."""
    unique = list(dict.fromkeys(representations))
    kept = []
    for name in unique:
        crowd = kind(name).split(", ")[0] in ("untrained", "supervised")
        rivals = [other for other in unique if kind(other) == kind(name)]
        first = next((other for choice in VIEWS for other in rivals if view(other) == choice), name)
        if not crowd or name == first:
            kept.append(name)
    return kept


def number_in(text: str, unit: str) -> float | None:
    """Return the number that stands before a unit.

    Example:
        >>> number_in("noise at -5 dB", "dB")
        -5.0
    """
    match = re.search(rf"([-+\u2212]?\d+(?:\.\d+)?) ?{re.escape(unit)}", text)
    return float(match[1].replace("\N{MINUS SIGN}", "-")) if match else None
