"""The figures of a study: rows for programs, tables for people."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mfcl.console import table


@dataclass(frozen=True)
class Row:
    """One figure of a study; the fields are those of `results.json`.

    Attributes:
        table: `labels` or `voices`.
        task: What was asked.
        representation: What was asked about.
        metric: `accuracy` or `eer`, in percent.
        value: The figure.
        low: Lower end of the 95 % interval, bootstrapped over speakers.
        high: Upper end.
        n: Test items or pairs behind it.
        seed: Of the weights, the draws and the bootstrap.
        seconds: To make the representation: training and embedding.
        command: What to type to have it again.
    """

    table: str
    task: str
    representation: str
    metric: str
    value: float
    low: float
    high: float
    n: int
    seed: int
    seconds: float
    command: str


def tables(rows: Sequence[Row], *, style: str = "simple") -> str:
    """Return the rows as tables: a line a representation, a column a task, the mean over seeds with its interval.

    Args:
        rows: Of one study.
        style: Of `tabulate`: `simple` for a terminal, `github` for Markdown.
    """
    blocks = []
    for name in dict.fromkeys(row.table for row in rows):
        chosen = [row for row in rows if row.table == name]
        heads = {row.task: _head(row, style) for row in chosen}
        lines = []
        for representation in dict.fromkeys(row.representation for row in chosen):
            own = [row for row in chosen if row.representation == representation]
            seconds = np.mean([row.seconds for row in own])
            lines.append(
                [representation, *(_cell([r for r in own if r.task == task]) for task in heads), f"{seconds:.0f}"]
            )
        seeds = len({row.seed for row in chosen})
        title = (
            f"{chosen[0].task.split(', ')[0]}: % of test items and 95 % interval over speakers, mean of {seeds} seed(s)"
        )
        text = table(lines, ["representation", *heads.values(), "seconds"], style=style)
        blocks.append(f"{title}\n\n{text}")
    return "\n\n".join(blocks)


def _head(row: Row, style: str) -> str:
    """Return a task's words for the top of a column, without those that stand above the table."""
    words = row.task.split(", ")[1:]
    return (", " if style == "github" else ",\n").join([*words, "error (EER)"] if row.metric == "eer" else words)


def _cell(rows: Sequence[Row]) -> str:
    if not rows:
        return "-"
    value, low, high = (float(np.mean([getattr(row, field) for row in rows])) for field in ("value", "low", "high"))
    return f"{value:.1f} [{low:.1f}, {high:.1f}]"
