"""The figures of a study: rows for programs, tables for people."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mfcl.core.console import table

PERCENT = ("accuracy", "eer", "r_at_1", "r_at_5")
METRICS = {
    "accuracy": "%", "eer": "EER %", "min_dcf": "minDCF", "r_at_1": "R@1 %", "r_at_5": "R@5 %", "rankme": "RankMe",
    "cka": "CKA", "multiply_adds": "multiply-adds a second", "clips_per_second": "clips a second",
}  # fmt: skip
"""Metric -> how it is called at the top of a column, where that is another word."""


@dataclass(frozen=True)
class Row:
    """One figure of a study; the fields are those of `results.json`.

    Attributes:
        table: The section of the study that it belongs to.
        task: What was asked.
        representation: What was asked about.
        metric: `accuracy`, `eer`, `r_at_1` and `r_at_5` are in percent; `min_dcf`, `rankme`, `uniformity`, `alignment`,
            `cka`, `seconds`, `parameters`, `multiply_adds` and `clips_per_second` are what they are.
        value: The figure.
        low: Lower end of the 95 % interval, bootstrapped over speakers; None where there is none.
        high: Upper end.
        n: Test items or pairs behind it.
        x: Where it stands on a chart's axis, such as labels a class; None where it is on none.
        seed: Of the weights, the draws and the bootstrap.
        seconds: To make the representation: training and embedding.
        command: What to type to have it again.
    """

    table: str
    task: str
    representation: str
    metric: str
    value: float
    low: float | None
    high: float | None
    n: int
    x: float | None
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
        heads = {(row.task, row.metric): _head(row, style) for row in chosen}
        lines = []
        for representation in dict.fromkeys(row.representation for row in chosen):
            own = [row for row in chosen if row.representation == representation]
            seconds = np.mean([row.seconds for row in own])
            cells = [_cell([row for row in own if (row.task, row.metric) == head]) for head in heads]
            lines.append([representation, *cells, f"{seconds:.0f}"])
        seeds = len({row.seed for row in chosen})
        about = chosen[0].task.split(", ")[0]
        subject = name if name in ("traits", about) else f"{name}, {about}"
        title = f"{subject}: mean of {seeds} seed(s), 95 % interval over speakers"
        text = table(lines, ["representation", *heads.values(), "seconds"], style=style)
        blocks.append(f"{title}\n\n{text}")
    return "\n\n".join(blocks)


def _head(row: Row, style: str) -> str:
    """Return what a column is about, without the words that stand above the table."""
    words = row.task.split(", ")
    if row.table in ("geometry", "cost"):
        words = []  # the metric says it all
    elif row.table == "traits":
        words = words[:1]
    else:
        words = words[1:]
    return (", " if style == "github" else ",\n").join([*words, METRICS.get(row.metric, row.metric)])


def _cell(rows: Sequence[Row]) -> str:
    if not rows:
        return "-"
    value = float(np.mean([row.value for row in rows]))
    if rows[0].metric in ("parameters", "multiply_adds", "clips_per_second"):
        return f"{value:,.0f}"
    places = 1 if rows[0].metric in PERCENT or abs(value) >= 100 else 3
    ends = [(row.low, row.high) for row in rows if row.low is not None and row.high is not None]
    if not ends:
        return f"{value:.{places}f}"
    low, high = np.mean(ends, axis=0)
    return f"{value:.{places}f} [{low:.{places}f}, {high:.{places}f}]"
