"""Results beside the first checkpoint's on the same questions: paired differences, and tables of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from mfcl.core.console import table
from mfcl.data.ids import whole_id
from mfcl.evaluation import wording
from mfcl.evaluation.result import Result
from mfcl.evaluation.result_file import to_row
from mfcl.evaluation.summary import difference


@dataclass(frozen=True)
class Compared:
    """One result of one checkpoint, with its difference to the first checkpoint.

    Attributes:
        run: The checkpoint's name.
        result: Its result.
        difference: Its value minus the first checkpoint's; None for the first itself.
        low: Lower end of the difference's paired 95 % interval over speakers; None if there is none.
        high: Upper end.
        no_interval: Why the difference has no interval.
    """

    run: str
    result: Result
    difference: float | None = None
    low: float | None = None
    high: float | None = None
    no_interval: str = ""

    def row(self) -> dict[str, Any]:
        """Return JSON values, as they are saved."""
        ends = {"difference": self.difference, "difference_low": self.low, "difference_high": self.high}
        return {"run": self.run, **to_row(self.result), **ends}


def paired(found: Mapping[str, Sequence[Result]]) -> list[Compared]:
    """Pair every result with the first checkpoint's result on the same question, if it has one.

    Args:
        found: Checkpoint name -> results, for the same recordings and seed.
    """
    names = list(found)
    first = {result.question: result for result in found[names[0]]}
    return [Compared(names[0], result) for result in found[names[0]]] + [
        _beside(name, result, first.get(result.question)) for name in names[1:] for result in found[name]
    ]


def compare_tables(compared: Sequence[Compared], *, style: str = "simple") -> str:
    """Format tables with one row per question and one column per checkpoint, with differences to the first.

    Args:
        compared: The result of `compare`.
        style: Table style of `tabulate`: `simple` for a terminal, `github` for Markdown.
    """
    names = list(dict.fromkeys(one.run for one in compared))
    blocks = []
    for section in dict.fromkeys(one.result.question.section for one in compared):
        chosen = {(one.result.question, one.run): one for one in compared if one.result.question.section == section}
        questions = dict.fromkeys(question for question, _ in chosen)
        lines = [
            [wording.task(question), question.metric, *(_cell(chosen.get((question, name))) for name in names)]
            for question in questions
        ]
        over = _groups([one.result for one in chosen.values()])
        known = any(one.result.low is not None for one in chosen.values())
        intervals = f"95 % intervals over {over} in [ ]" if known else "no figure has an interval, all may be chance"
        title = f"{section}: {intervals}; in ( ) the difference to {names[0]}, of the same {over}"
        said = [text for one in chosen.values() for text in (one.result.note, one.no_interval)]
        notes = "".join(f"\n- {text}" for text in dict.fromkeys(said) if text)
        blocks.append(f"{title}\n\n{table(lines, ['task', 'metric', *names], style=style)}" + (notes and f"\n{notes}"))
    return "\n\n".join(blocks)


def _groups(found: Sequence[Result]) -> str:
    """Return what the intervals are over: recordings if each, or its windows, are a group, files if their segments are.

    Else they are over speakers. See `mfcl.evaluation.tasks.labelled_rows.groups_of`.
    """
    known = [one.evidence for one in found if one.evidence is not None]
    if known and all(len(np.unique(one.groups)) == len(one.groups) == len(one.ids) for one in known):
        return "recordings"
    for name, window in (("files", False), ("recordings", True)):
        wholes = ([whole_id(own, window=window) for own in one.ids.tolist()] for one in known)
        if known and all(own == one.groups.tolist() for own, one in zip(wholes, known, strict=True)):
            return name
    return "speakers"


def _beside(name: str, result: Result, first: Result | None) -> Compared:
    if first is None:
        return Compared(name, result)
    if _ids(result) != _ids(first):
        said = f"{name}: {wording.task(result.question)} is of other recordings than the first's: no difference"
        return Compared(name, result, no_interval=said)
    apart = difference([result], [first])
    said = "" if apart.low is not None else result.note
    return Compared(name, result, apart.value, apart.low, apart.high, said)


def _ids(result: Result) -> list[str] | None:
    return None if result.evidence is None else result.evidence.ids.tolist()


def _cell(one: Compared | None) -> str:
    if one is None:
        return "-"
    digits = wording.metric(one.result.question.metric).digits
    text = f"{one.result.value:.{digits}f}" + _ends(one.result.low, one.result.high, f".{digits}f")
    if one.difference is None:
        return text
    return f"{text} ({one.difference:+.{digits}f}{_ends(one.low, one.high, f'+.{digits}f')})"


def _ends(low: float | None, high: float | None, style: str) -> str:
    return "" if low is None or high is None else f" [{low:{style}}, {high:{style}}]"
