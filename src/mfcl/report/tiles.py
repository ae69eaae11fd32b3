"""The figures of the first screen: the pre-trained encoders, and beside them what they must be compared with."""

from collections.abc import Sequence
from dataclasses import dataclass

from mfcl.report.aggregate import CONTROLS, Mean, best, leading, means, view
from mfcl.report.load import Figure
from mfcl.report.svg.styles import style
from mfcl.report.text import PRETRAINED
from mfcl.report.units import PERCENT, write


@dataclass(frozen=True)
class Bar:
    """One figure of a tile.

    Attributes:
        name: Who.
        text: The figure.
        share: Length of its bar in percent.
        colour: A CSS variable of the page.
        ours: Whether it is the pre-trained encoders'.
    """

    name: str
    text: str
    share: float
    colour: str
    ours: bool


@dataclass(frozen=True)
class Tile:
    """One task of the first screen."""

    title: str
    detail: str
    text: str
    unit: str
    interval: str
    representation: str
    bars: tuple[Bar, ...]


def tiles(figures: Sequence[Figure], most: int = 4) -> list[Tile]:
    """Return the tasks that matter most, of those on which pre-trained encoders were measured."""
    found = means(figure for figure in figures if figure.table in ("labels", "voices", "traits"))
    groups: dict[tuple[str, str], list[Mean]] = {}
    for one in found:
        groups.setdefault((one.task, one.metric), []).append(one)
    ready = {key: own for key, own in groups.items() if leading(own, PRETRAINED)}
    made = [_tile(ready[key]) for key in _chosen(list(ready))[:most]]
    return [tile for tile in made if tile is not None]


def _chosen(keys: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """Return tasks in the order in which they matter: few labels, neighbours, voices, verification, then the rest."""
    voices = [key for key in keys if key[0].startswith("voices")]
    wishes = (
        [key for key in keys if "labels a class" in key[0]][:1],
        [key for key in keys if "NN, no training" in key[0]][:1],
        [key for key in voices if key[1] == "accuracy"][:1],
        [key for key in voices if key[1] == "eer"][:1],
    )
    return list(dict.fromkeys([key for wish in wishes for key in wish] + keys))


def _tile(found: Sequence[Mean]) -> Tile | None:
    ours = leading(found, PRETRAINED)
    if ours is None:
        return None
    format = view(ours.representation)
    beside = [
        leading(found, "untrained", format),
        best([one for one in found if one.representation in CONTROLS]),
        leading(found, "supervised", format),
    ]
    full = (
        100.0 if ours.metric == "accuracy" else 50.0 if ours.metric == "eer" else max(one.value for one in found) or 1.0
    )
    bars = tuple(
        Bar(
            one.representation,
            write(one.metric, one.value),
            min(100 * one.value / full, 100.0),
            style(one.representation).colour,
            one is ours,
        )
        for one in (ours, *beside)
        if one is not None
    )
    title, _, detail = ours.task.partition(", ")
    interval = (
        f"{write(ours.metric, ours.low)} to {write(ours.metric, ours.high)}"
        if ours.low is not None and ours.high is not None
        else ""
    )
    error = " · equal error rate, less is better" if ours.metric == "eer" else ""
    return Tile(
        title, detail + error, write(ours.metric, ours.value), "%" if ours.metric in PERCENT else "", interval,
        ours.representation, bars,
    )  # fmt: skip
