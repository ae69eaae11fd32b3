"""The summary screen at the end of a study: the data, the main results beside baselines, and the files."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mfcl.core.console import table
from mfcl.evaluation import wording
from mfcl.evaluation.result import (
    BASELINE,
    CONTENT,
    ENROLLED,
    IDENTIFY_APART,
    KNN,
    LINEAR,
    NOISE,
    PAIRS,
    PRETRAINED,
    SPEAKER,
    SPEAKER_PROBES,
    UNTRAINED,
    Question,
    Representation,
)
from mfcl.evaluation.result_file import differences_from, summaries_from
from mfcl.evaluation.summary import Difference, Summary

SHOWN = 6
"""Most results on the closing screen."""
FEW, NOISE_DB = 10, 10.0
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
    """Return the closing screen; it fits 24 lines of 80 columns if names are short.

    Args:
        folder: Folder of the study.
        found: All summaries over seeds.
        differences: Paired differences of the pre-trained representations.
        about: Contents of `about.json`.
    """
    lines = [_studied(about)]
    ours = leading(found)
    if ours:
        rows = [_row(one, found, differences) for one in ours[:SHOWN]]
        heads = ["measure, %", "pre-trained", "to untrained", "to the best", "baseline"]
        lines += ["", table(rows, heads), "", *verdicts(ours, found, differences)]
        lines += ["In [ ] 95 % intervals over speakers and seeds; differences are paired by item."]
    else:
        lines += ["", "No pre-trained encoder was measured by a label; the report has maps, geometry and training."]
    lines += [*about.get("notes", ())][:3]
    lines += [f"report      {folder / 'report.html'}", f"all tables  {folder / 'results.md'}, results.csv"]
    return "\n".join(lines)


def leading(found: Sequence[Summary]) -> list[Summary]:
    """Return one pre-trained summary per question of the main sections, the most informative questions first.

    Preferred is the embedding part trained for the task (words or voices), then both formats, then a single format.
    """
    groups: dict[Question, list[Summary]] = {}
    for one in found:
        about = one.representation
        if about.kind == PRETRAINED and not about.variant and _matters(one.question):
            groups.setdefault(one.question, []).append(one)
    chosen = [min(own, key=lambda one: _view_rank(one.question, one.representation)) for own in groups.values()]
    return sorted(chosen, key=lambda one: _rank(one.question))


def verdicts(ours: Sequence[Summary], found: Sequence[Summary], differences: Sequence[Difference]) -> list[str]:
    """Count the measures in which pre-trained encoders are better, worse or open, by paired intervals.

    Returns:
        One line for the best baseline and one for the untrained encoders; a line without any interval is omitted.
    """
    words = []
    for name, rival in (("the best baseline", _best_baseline), ("untrained encoders", _untrained)):
        judged = [_verdict(one, rival(one, found), differences) for one in ours]
        known = [verdict for verdict in judged if verdict]
        if known:
            words.append(
                f"Of {len(ours)} measures against {name}: better in {known.count('better')}, "
                f"worse in {known.count('worse')}, open in {known.count('open')}."
            )
    return words


def _studied(about: Mapping[str, Any]) -> str:
    sides = about.get("parts") or {}
    recordings = sum(int(side.get("recordings", 0)) for side in sides.values())
    test = sides.get("test", {})
    speakers = f" of {test['speakers']} {about['speaker']}s" if "speakers" in test else ""
    seeds = about.get("seeds") or []
    return (
        f"{about.get('data')}: {recordings:,} recordings, {test.get('recordings', 0):,}{speakers} for the test; "
        f"recipe {about.get('recipe')}, {len(seeds)} seed{'s' * (len(seeds) != 1)}"
    )


def _matters(question: Question) -> bool:
    if question.section == "robustness":
        return question.condition == NOISE and question.condition_value == NOISE_DB
    if question.metric not in ("accuracy", "eer"):
        return False
    return question.section in ("labels", "voices", "traits")


def _rank(question: Question) -> int:
    """Return a question's position: few labels first, then kNN, noise, speakers, all labels."""
    order = (
        question.probe == LINEAR and question.labels_per_class == FEW and question.section == "labels",
        question.probe == KNN,
        question.section == "robustness" and question.labels_per_class == FEW,
        question.probe == IDENTIFY_APART,
        question.probe == ENROLLED and question.enrolled == 1,
        question.probe == LINEAR and question.section == "labels",
        question.probe == PAIRS,
    )
    return order.index(True) if True in order else len(order)


def _view_rank(question: Question, about: Representation) -> int:
    made_for = SPEAKER if question.probe in SPEAKER_PROBES or question.section == "traits" else CONTENT
    return 0 if about.part == made_for else 1 if about.format == "both" and not about.part else 2


def _row(one: Summary, found: Sequence[Summary], differences: Sequence[Difference]) -> list[Cell]:
    """Return a row of the table; its figures stand above their intervals, so that it is narrow."""
    interval = _ends(one.question.metric, one.low, one.high, sign=False)
    best = _best_baseline(one, found)
    untrained, baseline = (_gap(one, rival, differences) for rival in (_untrained(one, found), best))
    named = tuple(wording.name(best.representation).split(" ", 1)) if best else "-"
    error = " (error)" if one.question.metric == "eer" else ""
    value = wording.figure(one.question.metric, one.value)
    return [wording.task(one.question) + error, (value, *interval), untrained, baseline, named]


def _gap(one: Summary, rival: Summary | None, differences: Sequence[Difference]) -> Cell:
    if rival is None:
        return "-"
    apart = _paired(one, rival, differences)
    if apart is None:
        return f"{one.value - rival.value:+.1f}"
    verdict = f" {apart.verdict}" if apart.verdict in ("better", "worse") else ""
    return (f"{apart.value:+.1f}{verdict}", *_ends(one.question.metric, apart.low, apart.high, sign=True))


def _verdict(one: Summary, rival: Summary | None, differences: Sequence[Difference]) -> str:
    apart = None if rival is None else _paired(one, rival, differences)
    return "" if apart is None else apart.verdict


def _paired(one: Summary, rival: Summary, differences: Sequence[Difference]) -> Difference | None:
    key = (one.question, one.representation, rival.representation)
    return next((apart for apart in differences if (apart.question, apart.first, apart.second) == key), None)


def _untrained(one: Summary, found: Sequence[Summary]) -> Summary | None:
    wanted = Representation(UNTRAINED, "", one.representation.format, one.representation.part)
    return next((other for other in found if other.question == one.question and other.representation == wanted), None)


def _best_baseline(one: Summary, found: Sequence[Summary]) -> Summary | None:
    way = wording.metric(one.question.metric).best or 1
    rivals = [other for other in found if other.question == one.question and other.representation.kind == BASELINE]
    return max(rivals, key=lambda other: way * other.value, default=None)


def _ends(metric: str, low: float | None, high: float | None, *, sign: bool) -> list[str]:
    """Return an interval as a line, or no line."""
    if low is None or high is None:
        return []
    if sign:
        return [f"[{low:+.1f}, {high:+.1f}]"]
    return [f"[{wording.figure(metric, low)}, {wording.figure(metric, high)}]"]
