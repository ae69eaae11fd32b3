"""The figures of the first screen: the pre-trained encoders, and beside them what they must be compared with."""

from collections.abc import Sequence
from dataclasses import dataclass

from mfcl.evaluation import wording
from mfcl.evaluation.result import KNN, PRETRAINED, SPEAKER_PROBES, Question
from mfcl.evaluation.summary import Summary
from mfcl.report import glossary
from mfcl.report.names import ALL_LABELS, saw_more
from mfcl.report.phrases import shortened
from mfcl.report.selection import COMPARED, beside, by_question, leading
from mfcl.report.svg.styles import style
from mfcl.report.tables import interval_text

WORSE: dict[str, str] = {"eer": "equal error rate, less is better", "min_dcf": "minDCF, less is better"}
"""Metric of errors -> what a tile says of it."""


@dataclass(frozen=True)
class Bar:
    """One figure of a tile.

    Attributes:
        name: Who.
        meaning: How it is made, shown on hover.
        text: The figure.
        share: Length of its bar in percent.
        colour: A CSS variable of the page.
        ours: Whether it is the pre-trained encoders'.
    """

    name: str
    meaning: str
    text: str
    share: float
    colour: str
    ours: bool


@dataclass(frozen=True)
class Tile:
    """One question of the first screen; `meaning` is shown on hover over its title."""

    title: str
    detail: str
    meaning: str
    text: str
    unit: str
    interval: str
    bars: tuple[Bar, ...]


def tiles(found: Sequence[Summary], most: int = 4) -> list[Tile]:
    """Return the questions that matter most, of those on which pre-trained encoders were measured."""
    groups = by_question(one for one in found if one.question.section in COMPARED)
    ready = {question: own for question, own in groups.items() if leading(own, PRETRAINED)}
    made = [_tile(ready[question]) for question in _chosen(list(ready))[:most]]
    return [tile for tile in made if tile is not None]


def _chosen(questions: list[Question]) -> list[Question]:
    """Return questions in the order in which they matter: few labels, neighbours, voices, verification, the rest."""
    voices = [one for one in questions if one.probe in SPEAKER_PROBES]
    wishes = (
        [one for one in questions if one.labels_per_class is not None][:1],
        [one for one in questions if one.probe == KNN][:1],
        [one for one in voices if one.metric == "accuracy"][:1],
        [one for one in voices if one.metric == "eer"][:1],
    )
    return list(dict.fromkeys([one for wish in wishes for one in wish] + questions))


def _tile(found: Sequence[Summary]) -> Tile | None:
    ours = leading(found, PRETRAINED)
    if ours is None:
        return None
    asked = ours.question
    full = {"accuracy": 100.0, "eer": 50.0}.get(asked.metric, max(abs(one.value) for one in found) or 1.0)
    bars = tuple(
        Bar(
            _bar_name(one), glossary.of_representation(one.representation),
            wording.figure(asked.metric, one.value), min(max(100 * one.value / full, 0.0), 100.0),
            style(one.representation).colour, one is ours,
        )
        for one in (ours, *beside(found, ours))
    )  # fmt: skip
    meanings = (glossary.of_question(asked), glossary.of_metric(asked.metric))
    words = (wording.reading(asked), wording.amount(asked), WORSE.get(asked.metric, ""))
    return Tile(
        shortened(wording.subject(asked), 30), ", ".join(shortened(word) for word in words if word),
        " ".join(meaning for meaning in meanings if meaning), wording.figure(asked.metric, ours.value),
        wording.metric(asked.metric).unit, interval_text(ours), bars,
    )  # fmt: skip


def _bar_name(one: Summary) -> str:
    """Return a name that a tile has room for; what saw more labels than the question allows is told apart."""
    return shortened(
        f"{one.representation.kind}, {ALL_LABELS}"
        if saw_more(one.representation, one.question)
        else wording.name(one.representation)
    )
