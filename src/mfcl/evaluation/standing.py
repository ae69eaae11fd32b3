"""How the pre-trained encoders stand: the measures that matter most, their rivals, and paired verdicts on them.

The screen that ends a study and the first page of its report count by these, so that they say the same.
"""

from collections.abc import Sequence

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
from mfcl.evaluation.summary import Difference, Summary

FEW, NOISE_DB = 10, 10.0
"""Labels a class, and the noise, of the measures that are counted."""


def main_results(found: Sequence[Summary]) -> list[Summary]:
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
    for name, rival in (("the best baseline", best_baseline), ("untrained encoders", untrained)):
        judged = [_verdict(one, rival(one, found), differences) for one in ours]
        known = [verdict for verdict in judged if verdict]
        if known:
            unknown = f", {len(ours) - len(known)} without a paired interval" if len(known) < len(ours) else ""
            words.append(
                f"Of {len(ours)} measures against {name}: better in {known.count('better')}, "
                f"worse in {known.count('worse')}, open in {known.count('open')}{unknown}."
            )
    return words


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


def _verdict(one: Summary, rival: Summary | None, differences: Sequence[Difference]) -> str:
    apart = None if rival is None else paired(one, rival, differences)
    return "" if apart is None else apart.verdict


def paired(one: Summary, rival: Summary, differences: Sequence[Difference]) -> Difference | None:
    """Return the paired difference to a rival, if one is known."""
    key = (one.question, one.representation, rival.representation)
    return next((apart for apart in differences if (apart.question, apart.first, apart.second) == key), None)


def untrained(one: Summary, found: Sequence[Summary]) -> Summary | None:
    """Return the result of the same format and part of untrained encoders."""
    wanted = Representation(UNTRAINED, "", one.representation.format, one.representation.part)
    return next((other for other in found if other.question == one.question and other.representation == wanted), None)


def best_baseline(one: Summary, found: Sequence[Summary]) -> Summary | None:
    """Return the best result of a baseline on the same question."""
    way = wording.metric(one.question.metric).best or 1
    rivals = [other for other in found if other.question == one.question and other.representation.kind == BASELINE]
    return max(rivals, key=lambda other: way * other.value, default=None)
