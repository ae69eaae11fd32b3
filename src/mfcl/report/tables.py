"""The tables of a study: a line a representation, a column a question, the mean over seeds with its interval."""

import csv
import dataclasses
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mfcl.core.files import write_text
from mfcl.evaluation import wording
from mfcl.evaluation.result import LINEAR, NETWORK, Question, Representation, Result
from mfcl.evaluation.result_file import COLUMNS, to_row
from mfcl.evaluation.summary import Summary
from mfcl.report import glossary
from mfcl.report.names import called, saw_more, whole_name
from mfcl.report.phrases import WHOLE, shortened
from mfcl.report.selection import best

TITLES: dict[str, str] = {
    "labels": "Labels", "voices": "Voices", "traits": "Traits of the speaker", "efficiency": "Few labels, many labels",
    "augmentation": "Augmentation", "crops": "Where the crops lie", "formats": "Formats in training",
    "ablation": "Choices of the recipe",
    "geometry": "Geometry of the vectors", "robustness": "Noise and loudness", "cost": "Cost",
}  # fmt: skip
"""Section -> its title, in the order of the page; a section of another name comes last under its own."""


@dataclass(frozen=True)
class Cell:
    """One figure of a table.

    Attributes:
        text: The figure.
        interval: Its 95 % interval as text, empty where there is none.
        order: What to sort by, None where there is no figure.
        best: Whether it is the best of its column.
        told_more: Whether it is of encoders that saw more labels than the column allows, which are never the best.
    """

    text: str
    interval: str
    order: float | None
    best: bool
    told_more: bool = False


@dataclass(frozen=True)
class Line:
    """One representation of a table; `meaning` is shown on hover over its name."""

    representation: str
    meaning: str
    cells: tuple[Cell, ...]
    seconds: Cell
    command: str


@dataclass(frozen=True)
class Column:
    """The head of a column: the question and what the figures are, with what is shown on hover over each."""

    task: str
    meaning: str
    metric: str
    unit: str


@dataclass(frozen=True)
class Table:
    """A table as the page shows it.

    Attributes:
        name: Its section.
        title: Above it.
        columns: A question each.
        lines: A representation each.
        seeds: Those that any figure has.
        mean: How many seeds a figure is the mean of, in words.
        intervals: Whether any figure has an interval.
        told_more: Whether there are figures of encoders that saw more labels than their column allows.
    """

    name: str
    title: str
    columns: tuple[Column, ...]
    lines: tuple[Line, ...]
    seeds: tuple[int, ...]
    mean: str
    intervals: bool
    told_more: bool = False


EMPTY = Cell("–", "", None, best=False)  # noqa: RUF001  # a dash for what was not measured


def tables(found: Sequence[Summary]) -> list[Table]:
    """Return every table of a study in the page's order."""
    names = list(dict.fromkeys(one.question.section for one in found))
    known = [name for name in TITLES if name in names]
    ordered = [*known, *(name for name in names if name not in TITLES)]
    return [_table(name, [one for one in found if one.question.section == name]) for name in ordered]


def interval_text(one: Summary) -> str:
    """Return the interval of a figure, "" where it has none."""
    if one.low is None or one.high is None:
        return ""
    metric = one.question.metric
    return f"{wording.figure(metric, one.low)} to {wording.figure(metric, one.high)}"


def _table(name: str, found: Sequence[Summary]) -> Table:
    questions: dict[Question, list[Summary]] = {}
    for one in found:
        # trained networks answer by their own output layer; among few labels they stand beside the linear probe
        beside = name == "efficiency" and one.question.probe == NETWORK
        probe = LINEAR if beside else one.question.probe
        questions.setdefault(dataclasses.replace(one.question, probe=probe), []).append(one)
    cells = {(one.representation, question): _cell(one, own) for question, own in questions.items() for one in own}
    groups: dict[Representation, list[Summary]] = {}
    for one in found:
        groups.setdefault(one.representation, []).append(one)
    lines = tuple(
        Line(
            called(whose, name), _hover(whole_name(whose, name), glossary.of_representation(whose)),
            tuple(cells.get((whose, question), EMPTY) for question in questions), _seconds(own), own[0].command,
        )
        for whose, own in groups.items()
    )  # fmt: skip
    seeds = tuple(sorted({seed for one in found for seed in one.seeds}))
    fewest, most = (end(len(one.seeds) for one in found) for end in (min, max))
    mean = f"Mean over {most if fewest == most else f'{fewest} to {most}'} seeds." if most > 1 else "One seed."
    intervals = any(cell.interval for cell in cells.values())
    title = shortened(TITLES.get(name, name))
    more = any(cell.told_more for cell in cells.values())
    return Table(name, title, tuple(_column(question) for question in questions), lines, seeds, mean, intervals, more)


def _column(question: Question) -> Column:
    task = wording.task(question)
    metric = question.metric
    return Column(
        shortened(task, 90), _hover(task, glossary.of_question(question), 90),
        shortened(wording.metric(metric).head), glossary.of_metric(metric),
    )  # fmt: skip


def _cell(one: Summary, own: Sequence[Summary]) -> Cell:
    metric = one.question.metric
    text = wording.figure(metric, one.value)
    winner = best(own)
    top = winner is not None and len(own) > 1 and wording.metric(metric).best != 0
    more = saw_more(one.representation, one.question)
    equal = winner is not None and wording.figure(metric, winner.value) == text
    return Cell(text, interval_text(one), one.value, top and equal and not more, more)


def _seconds(own: Sequence[Summary]) -> Cell:
    value = sum(one.seconds for one in own) / len(own)
    return Cell(wording.figure("seconds", value), "", value, best=False) if value > 0 else EMPTY


def _hover(text: str, meaning: str, room: int = 60) -> str:
    """Return what is shown on hover: the whole text where it was shortened, and what it means."""
    return ". ".join([*([shortened(text, WHOLE)] if len(text) > room else []), *([meaning] if meaning else [])])


def write_csv(path: Path, results: Sequence[Result]) -> None:
    """Write every result as a line of CSV, one a seed, empty where there is no value."""
    text = io.StringIO(newline="")
    table = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    table.writeheader()
    table.writerows([{key: "" if value is None else value for key, value in to_row(one).items()} for one in results])
    write_text(path, text.getvalue())
