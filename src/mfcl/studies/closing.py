"""The summary screen at the end of a study: the data, the main results beside baselines, and the files."""

import json
import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mfcl.core.console import counted, plural, table
from mfcl.evaluation import standing, wording
from mfcl.evaluation.bootstrap import FEWEST_GROUPS
from mfcl.evaluation.result_file import differences_from, summaries_from
from mfcl.evaluation.summary import Difference, Summary

SHOWN = 6
"""Most results on the closing screen."""
WIDTH = 79
"""Columns of a sentence."""
Cell = str | tuple[str, ...]
"""A text, or lines below one another."""


def closing_screen(folder: Path) -> str:
    """Return the closing screen of a study's folder; see `closing`."""
    found, apart, about = (
        json.loads((folder / name).read_text(encoding="utf-8"))
        for name in ("summaries.json", "differences.json", "about.json")
    )
    where = str(folder)
    return closing(folder, summaries_from(found, where), differences_from(apart, where), about)


def closing(folder: Path, found: Sequence[Summary], differences: Sequence[Difference], about: Mapping[str, Any]) -> str:
    """Return the closing screen; it fits 80 columns if names are short.

    It leads with the clearest paired differences, each against its control by name, and with what was not shown. Then
    it counts two things apart, and a third: where the encoders are better than the best simple features, where
    pre-training adds to the same model untrained, and where they are better than alignment without training.

    Args:
        folder: Folder of the study.
        found: All summaries over seeds.
        differences: Paired differences of the pre-trained representations.
        about: Contents of `about.json`.
    """
    lines = [_studied(about)]
    ours = standing.main_results(found)
    if ours:
        told = [one.text for one in standing.clearest(ours, found, differences)]
        open_ = standing.not_shown(ours, found, differences)
        told += [f"Not shown, against {rival}: {names}" for rival, names in open_.items()]
        lines += ["", *_wrapped(told)] if told else []
        counts = standing.counts(ours, found, differences)
        if counts:
            rows = [(f"than {one.rival}", one.better, one.worse, one.open, one.unknown) for one in counts]
            heads = [f"of {len(ours)} measures, paired", "better", "worse", "open", "unpaired"]
            lines += ["", table(rows, heads)]
        heads = ["measure, %", "pre-trained", "to untrained", "to the best", "of the four"]
        lines += ["", table([_row(one, found, differences) for one in ours[:SHOWN]], heads), ""]
        lines += _wrapped([_intervals(ours, differences, about)])
    else:
        lines += [
            "",
            "No pre-trained encoder was measured by a label or by voices; the report shows what else was made.",
        ]
    lines += [*about.get("notes", ())][:3]
    lines += [f"report      {folder / 'report.html'}", f"all tables  {folder / 'results.md'}, results.csv"]
    return "\n".join(lines)


def _wrapped(texts: Sequence[str]) -> list[str]:
    return [line for text in texts for line in textwrap.wrap(text, WIDTH, subsequent_indent="  ")]


def _studied(about: Mapping[str, Any]) -> str:
    sides = about.get("parts") or {}
    recordings = sum(int(side.get("recordings", 0)) for side in sides.values())
    test = sides.get("test", {})
    speakers = f" of {counted(test['speakers'], about['speaker'])}" if "speakers" in test else ""
    seeds = about.get("seeds") or []
    return (
        f"{about.get('data')}: {recordings:,} recordings, {test.get('recordings', 0):,}{speakers} for the test; "
        f"recipe {about.get('recipe')}, {counted(len(seeds), 'seed')}"
    )


def _intervals(ours: Sequence[Summary], differences: Sequence[Difference], about: Mapping[str, Any]) -> str:
    """Return what the intervals are over, or why there is none: without one no difference can be told from chance.

    Where all is right, no figure has an interval, and its difference to another representation may have one.
    """
    over = plural(about["speaker"]) if about.get("speaker") else "recordings"
    asked = {one.question for one in ours}
    apart = [one.low for one in differences if one.question in asked]
    if any(low is not None for low in [*(one.low for one in ours), *apart]):
        seeds = " and seeds" if len(about.get("seeds") or []) > 1 else ""
        return f"In [ ] 95 % intervals over {over}{seeds}; differences are paired by item."
    test = (about.get("parts") or {}).get("test", {})
    there = test.get("speakers" if about.get("speaker") else "recordings", FEWEST_GROUPS)
    few = (
        f": the test has {counted(there, about.get('speaker') or 'recording')}, and {FEWEST_GROUPS} are wanted"
        if there < FEWEST_GROUPS
        else ""
    )
    return f"No figure has a 95 % interval{few}. Any difference here may be chance."


def _row(one: Summary, found: Sequence[Summary], differences: Sequence[Difference]) -> list[Cell]:
    """Return a row of the table; its figures stand above their intervals, so that it is narrow."""
    interval = _ends(one.question.metric, one.low, one.high, sign=False)
    best = standing.best_simple(one, found)
    untrained, baseline = (_gap(one, rival, differences) for rival in (standing.untrained(one, found), best))
    named = tuple(wording.name(best.representation).split(" ", 1)) if best else "-"
    error = " (error)" if one.question.metric == "eer" else ""
    value = wording.figure(one.question.metric, one.value)
    return [wording.task(one.question) + error, (value, *interval), untrained, baseline, named]


def _gap(one: Summary, rival: Summary | None, differences: Sequence[Difference]) -> Cell:
    if rival is None:
        return "-"
    apart = standing.paired(one, rival, differences)
    if apart is None:
        return f"{one.value - rival.value:+.1f}"
    verdict = f" {apart.verdict}" if apart.verdict in ("better", "worse") else ""
    return (f"{apart.value:+.1f}{verdict}", *_ends(one.question.metric, apart.low, apart.high, sign=True))


def _ends(metric: str, low: float | None, high: float | None, *, sign: bool) -> list[str]:
    """Return an interval as a line, or no line."""
    if low is None or high is None:
        return []
    if sign:
        return [f"[{low:+.1f}, {high:+.1f}]"]
    return [f"[{wording.figure(metric, low)}, {wording.figure(metric, high)}]"]
