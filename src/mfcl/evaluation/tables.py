"""Text tables of a study's results: one row per representation, one column per question."""

from collections.abc import Sequence

import numpy as np

from mfcl.core.console import table
from mfcl.evaluation import wording
from mfcl.evaluation.result import SUPERVISED, Result
from mfcl.evaluation.summary import Summary, summaries


def tables(found: Sequence[Summary | Result], *, style: str = "simple", over: str = "speakers") -> str:
    """Format results as tables of means over seeds with intervals over groups and seeds.

    Args:
        found: Results or summaries of one study.
        style: Table style of `tabulate`: `simple` for a terminal, `github` for Markdown.
        over: What the groups of the intervals are: the speakers, or the recordings where no column names speakers.
    """
    means = summaries([one for one in found if isinstance(one, Result)])
    means += [one for one in found if isinstance(one, Summary)]
    blocks = []
    for section, in_all in dict.fromkeys(_table_of(one) for one in means):
        chosen = [one for one in means if _table_of(one) == (section, in_all)]
        heads = {_key(one): _head(one, style) for one in chosen}
        lines = []
        for name in dict.fromkeys(wording.name(one.representation, section) for one in chosen):
            own = [one for one in chosen if wording.name(one.representation, section) == name]
            cells = {_key(one): _cell(one) for one in own}
            seconds = float(np.mean([one.seconds for one in own]))
            lines.append([name, *(cells.get(key, "-") for key in heads), f"{seconds:.0f}"])
        fewest, most = (end(len(one.seeds) for one in chosen) for end in (min, max))
        seeds = f"{most}" if fewest == most else f"{fewest} to {most}"
        title = f"{f'{section}, labels counted in all' if in_all else section}: mean of {seeds} seed{'s' * (most > 1)}"
        if any(one.low is not None for one in chosen):
            title += f", 95 % interval over {over}{' and seeds' if most > 1 else ''}"
        if any(one.representation.kind == SUPERVISED and one.question.labels_per_class is not None for one in chosen):
            title += "; supervised encoders saw all labels in training, also where a column allows fewer"
        text = table(lines, ["representation", *heads.values(), "seconds"], style=style)
        blocks.append(f"{title}\n\n{text}")
    return "\n\n".join(blocks)


def _table_of(one: Summary) -> tuple[str, bool]:
    """Return the section, and whether labels are counted in all: those questions make a table of their own."""
    return one.question.section, one.question.labels_in_all is not None


def _key(one: Summary) -> tuple[str, str]:
    return wording.task(one.question), one.question.metric


def _head(one: Summary, style: str) -> str | tuple[str, ...]:
    words = [] if one.question.section in ("geometry", "cost") else [wording.task(one.question)]
    head = wording.metric(one.question.metric).head
    return ": ".join([*words, head]) if style == "github" else (*(f"{text}," for text in words), head)


def _cell(one: Summary) -> str:
    value = wording.figure(one.question.metric, one.value)
    if one.low is None or one.high is None:
        return value
    low, high = (wording.figure(one.question.metric, end) for end in (one.low, one.high))
    return f"{value} [{low}, {high}]"
