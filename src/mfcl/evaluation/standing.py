"""How the pre-trained encoders stand: the measures that matter most, their rivals, and paired verdicts on them.

The screen that ends a study and the first page of its report count by these, so that they say the same.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from mfcl.evaluation import wording
from mfcl.evaluation.result import (
    ALIGNED,
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


def best_simple(one: Summary, found: Sequence[Summary]) -> Summary | None:
    """Return the best result of MFCC statistics, log-mel picture, Hydra-like features and average spectrum."""
    return _best([other for other in _baselines(one, found) if other.representation.variant not in ALIGNED])


def untrained(one: Summary, found: Sequence[Summary]) -> Summary | None:
    """Return the result of the same format and part of untrained encoders."""
    wanted = Representation(UNTRAINED, "", one.representation.format, one.representation.part)
    return next((other for other in found if other.question == one.question and other.representation == wanted), None)


def best_aligned(one: Summary, found: Sequence[Summary]) -> Summary | None:
    """Return the best result of alignment, with nothing trained, on the same question."""
    return _best([other for other in _baselines(one, found) if other.representation.variant in ALIGNED])


RIVALS: dict[str, Callable[[Summary, Sequence[Summary]], Summary | None]] = {
    "the best of MFCC, log-mel, Hydra-like and average spectrum": best_simple,
    "the same model untrained": untrained,
    "alignment, nothing trained": best_aligned,
}
"""What pre-trained encoders are compared with -> function that finds its result on the same question."""


NAMED = 3
"""Most measures that a sentence on what was not shown names."""


@dataclass(frozen=True)
class Count:
    """In how many measures pre-trained encoders are better or worse than a rival, by paired intervals.

    Attributes:
        rival: A key of `RIVALS`.
        better: Measures whose interval excludes 0 in their favour.
        worse: Measures whose interval excludes 0 against them.
        open: Measures whose interval includes 0.
        unknown: Measures without a paired interval.
    """

    rival: str
    better: int
    worse: int
    open: int
    unknown: int

    @property
    def sentence(self) -> str:
        """Return the count in words."""
        measures = self.better + self.worse + self.open + self.unknown
        rest = f", {self.unknown} without a paired interval" if self.unknown else ""
        return (
            f"Of {measures} measures against {self.rival}: better in {self.better}, worse in {self.worse}, "
            f"open in {self.open}{rest}."
        )


def counts(ours: Sequence[Summary], found: Sequence[Summary], differences: Sequence[Difference]) -> list[Count]:
    """Count the measures in which pre-trained encoders are better, worse or open, against each rival of `RIVALS`.

    Returns:
        A count for each rival with any paired interval.
    """
    made = []
    for name in RIVALS:
        words = [apart.verdict if apart else "" for _, _, apart in _pairs(ours, found, differences, name)]
        words += [""] * (len(ours) - len(words))
        if any(words):
            made.append(Count(name, *(words.count(word) for word in ("better", "worse", "open", ""))))
    return made


def verdicts(ours: Sequence[Summary], found: Sequence[Summary], differences: Sequence[Difference]) -> list[str]:
    """Return the counts in words, a sentence for each rival; see `counts`."""
    return [one.sentence for one in counts(ours, found, differences)]


@dataclass(frozen=True)
class Told:
    """The clearest paired difference of a measure.

    Attributes:
        question: The measure.
        verdict: "better", or "worse".
        clearness: The difference beside the width of its interval.
        text: The difference in words, against the control that it is told of.
    """

    question: Question
    verdict: str
    clearness: float
    text: str


def clearest(
    ours: Sequence[Summary], found: Sequence[Summary], differences: Sequence[Difference], *, most: int = 3
) -> list[Told]:
    """Return the clearest paired differences, each against the strongest control that it is better than, by name.

    Measures come first to which pre-training adds, then those that are better than most rivals of `RIVALS`, then those
    whose difference is largest beside the width of its interval; one that is worse than any is never told as better.
    Where pre-trained encoders are clearly worse anywhere, the clearest of those is the last.

    Args:
        ours: Results of `main_results`.
        found: All summaries.
        differences: Paired differences.
        most: Most differences.
    """
    against: dict[Question, list[Told]] = {}
    added: set[Question] = set()
    for name in RIVALS:
        for one, rival, apart in _pairs(ours, found, differences, name):
            if apart and apart.verdict in ("better", "worse"):
                told = Told(one.question, apart.verdict, _clearness(apart), _told(one, rival, apart))
                against.setdefault(one.question, []).append(told)
                added |= {one.question} if RIVALS[name] is untrained else set()
    better, worse = [], []
    for own in against.values():
        lost = [one for one in own if one.verdict == "worse"]
        if lost:
            worse.append(max(lost, key=lambda one: one.clearness))
        else:
            told = min(own, key=lambda one: one.clearness)
            better.append((told.question in added, len(own), told.clearness, told))
    first = [told for *_, told in sorted(better, key=lambda entry: entry[:3], reverse=True)]
    last = sorted(worse, key=lambda one: one.clearness, reverse=True)[:1]
    return [*first[: most - len(last)], *last]


def not_shown(ours: Sequence[Summary], found: Sequence[Summary], differences: Sequence[Difference]) -> dict[str, str]:
    """Return for each rival, in words, the measures that show no difference to it: their intervals include 0."""
    told = {}
    for name in RIVALS:
        names = [
            wording.task(one.question)
            for one, _, apart in _pairs(ours, found, differences, name)
            if apart is not None and apart.verdict == "open"
        ]
        if names:
            more = f"; and {len(names) - NAMED} more" if len(names) > NAMED else ""
            told[name] = f"{'; '.join(names[:NAMED])}{more}."
    return told


def _pairs(
    ours: Sequence[Summary], found: Sequence[Summary], differences: Sequence[Difference], rival: str
) -> list[tuple[Summary, Summary, Difference | None]]:
    """Return each measure that the rival has too, with its result and the paired difference."""
    beside = [(one, RIVALS[rival](one, found)) for one in ours]
    return [(one, other, paired(one, other, differences)) for one, other in beside if other is not None]


def _clearness(apart: Difference) -> float:
    assert apart.low is not None
    assert apart.high is not None
    return abs(apart.value) / max(apart.high - apart.low, 1e-9)


def _told(one: Summary, rival: Summary, apart: Difference) -> str:
    metric = one.question.metric
    assert apart.low is not None
    assert apart.high is not None
    low, high = sorted((abs(apart.low), abs(apart.high)))
    amount, ends = wording.figure(metric, abs(apart.value)), [wording.figure(metric, end) for end in (low, high)]
    fewer = apart.of_fewer(one, rival)
    return (
        f"{wording.task(one.question)}: {wording.figure_with_unit(metric, one.value)}, {apart.verdict} than "
        f"{wording.name(rival.representation)} by {amount} [{ends[0]}, {ends[1]}]"
        f"{f', {fewer}' if fewer else ''}."
    )


def _matters(question: Question) -> bool:
    if question.section == "robustness":
        return question.condition == NOISE and question.condition_value == NOISE_DB
    if question.metric not in ("accuracy", "eer"):
        return False
    if question.probe == ENROLLED and question.apart:
        return False  # a harder form of a question that is counted
    return question.section in ("labels", "voices", "traits")


def _rank(question: Question) -> int:
    """Return a question's position: few labels first, then kNN, noise, speakers, all labels."""
    order = (
        question.probe == LINEAR and question.labels_per_class == FEW and question.section == "labels",
        question.probe == KNN,
        question.section == "robustness" and question.labels_per_class == FEW,
        question.probe == IDENTIFY_APART,
        question.probe == ENROLLED and question.enrolled == 1 and not question.apart,
        question.probe == LINEAR and question.section == "labels",
        question.probe == PAIRS,
    )
    return order.index(True) if True in order else len(order)


def made_for(question: Question) -> str:
    """Return the part of an embedding that a question is asked of: the voices' of speakers and of their traits."""
    return SPEAKER if question.probe in SPEAKER_PROBES or question.section == "traits" else CONTENT


def _view_rank(question: Question, about: Representation) -> int:
    return 0 if about.part == made_for(question) else 1 if about.format == "both" and not about.part else 2


def paired(one: Summary, rival: Summary, differences: Sequence[Difference]) -> Difference | None:
    """Return the paired difference to a rival, if one is known."""
    key = (one.question, one.representation, rival.representation)
    return next((apart for apart in differences if (apart.question, apart.first, apart.second) == key), None)


def _baselines(one: Summary, found: Sequence[Summary]) -> list[Summary]:
    return [other for other in found if other.question == one.question and other.representation.kind == BASELINE]


def _best(rivals: Sequence[Summary]) -> Summary | None:
    return max(rivals, key=lambda one: (wording.metric(one.question.metric).best or 1) * one.value, default=None)
