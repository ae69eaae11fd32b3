"""The tables of a study: a line a representation, a column a task, the mean over seeds with its interval."""

import csv
import dataclasses
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mfcl.core.files import write_text
from mfcl.report.aggregate import best, means
from mfcl.report.load import FIELDS, Figure
from mfcl.report.units import BEST, head, write

TITLES: dict[str, str] = {
    "labels": "Labels", "voices": "Voices", "traits": "Traits of the speaker", "efficiency": "Few labels, many labels",
    "augmentation": "Augmentation", "crops": "Where the crops lie", "formats": "Formats in training",
    "ablation": "Choices of the recipe",
    "geometry": "Geometry of the vectors", "robustness": "Noise and loudness", "cost": "Cost",
}  # fmt: skip
"""Table -> its title, in the order of the page; a table of another name comes last under its own."""


@dataclass(frozen=True)
class Cell:
    """One figure of a table.

    Attributes:
        text: The figure.
        interval: Its 95 % interval as text, empty where there is none.
        order: What to sort by, none where there is no figure.
        best: Whether it is the best of its column.
    """

    text: str
    interval: str
    order: float | None
    best: bool


@dataclass(frozen=True)
class Line:
    """One representation of a table."""

    representation: str
    cells: tuple[Cell, ...]
    seconds: Cell
    command: str


@dataclass(frozen=True)
class Column:
    """The head of a column: the task, and what the figures are."""

    task: str
    metric: str


@dataclass(frozen=True)
class Table:
    """A table as the page shows it."""

    name: str
    title: str
    columns: tuple[Column, ...]
    lines: tuple[Line, ...]
    seeds: tuple[int, ...]


EMPTY = Cell("–", "", None, best=False)  # noqa: RUF001  # a dash for what was not measured


def tables(figures: Sequence[Figure]) -> list[Table]:
    """Return every table of a study in the page's order."""
    names = list(dict.fromkeys(figure.table for figure in figures))
    known = [name for name in TITLES if name in names]
    ordered = [*known, *(name for name in names if name not in TITLES)]
    return [_table(name, [figure for figure in figures if figure.table == name]) for name in ordered]


def _table(name: str, figures: Sequence[Figure]) -> Table:
    found = means(figures)
    columns = list(dict.fromkeys((one.task, one.metric) for one in found))
    cells: dict[tuple[str, str, str], Cell] = {}
    for task, metric in columns:
        own = [one for one in found if (one.task, one.metric) == (task, metric)]
        winner = best(own)
        for one in own:
            top = metric in BEST and len(own) > 1 and winner is not None
            shown = winner is not None and write(metric, one.value) == write(metric, winner.value)
            interval = (
                f"{write(metric, one.low)} to {write(metric, one.high)}"
                if one.low is not None and one.high is not None
                else ""
            )
            cells[one.representation, task, metric] = Cell(write(metric, one.value), interval, one.value, top and shown)
    lines = []
    for representation in dict.fromkeys(figure.representation for figure in figures):
        own_rows = [figure for figure in figures if figure.representation == representation]
        lines.append(
            Line(
                representation,
                tuple(cells.get((representation, *column), EMPTY) for column in columns),
                _seconds(own_rows),
                own_rows[0].command,
            )
        )
    seeds = tuple(sorted({figure.seed for figure in figures}))
    heads = tuple(Column(task, head(metric)) for task, metric in columns)
    return Table(name, TITLES.get(name, name), heads, tuple(lines), seeds)


def _seconds(figures: Sequence[Figure]) -> Cell:
    known = [figure.seconds for figure in figures if figure.seconds is not None]
    if not known:
        return EMPTY
    value = sum(known) / len(known)
    return Cell(write("seconds", value), "", value, best=False)


def write_csv(path: Path, figures: Sequence[Figure]) -> None:
    """Write every figure as a line of CSV, one a seed, empty where there is no value."""
    text = io.StringIO(newline="")
    table = csv.writer(text, lineterminator="\n")
    table.writerow(FIELDS)
    table.writerows([["" if value is None else value for value in dataclasses.astuple(figure)] for figure in figures])
    write_text(path, text.getvalue())
