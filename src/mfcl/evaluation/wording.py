"""Display texts of questions, representations and metric values, all made here."""

from dataclasses import dataclass

from mfcl.core.console import plural
from mfcl.embeddings.parts import WORDS
from mfcl.evaluation.result import (
    CHOSEN,
    ENROLLED,
    FINE_TUNED,
    FORMATLESS,
    FROM_SCRATCH,
    GAIN,
    IDENTIFY,
    IDENTIFY_APART,
    KNN,
    LINEAR,
    NETWORK,
    NOISE,
    OTHER_NOISE,
    PAIRS,
    PRETRAINED,
    SPEAKER_PROBES,
    SPREAD,
    Question,
    Representation,
)

NEIGHBOURS = 5
"""k of the kNN classifier for labels."""
PART_WORDS: dict[str, str] = {"": "", **{str(role): word for role, word in WORDS.items()}}
"""Part -> its name in recipes, the command and tables."""


@dataclass(frozen=True)
class Metric:
    """Display of a metric.

    Attributes:
        unit: "%", "s" or "".
        head: Column heading.
        best: 1 if higher is better, -1 if lower is better, 0 if neither.
        digits: Digits after the decimal point; None for a count with thousands separators.
    """

    unit: str
    head: str
    best: int
    digits: int | None


METRICS: dict[str, Metric] = {
    "accuracy": Metric("%", "accuracy, %", 1, 1),
    "eer": Metric("%", "equal error rate, %", -1, 1),
    "min_dcf": Metric("", "minDCF, 0 to 1", -1, 3),
    "r_at_1": Metric("%", "found first, %", 1, 1),
    "r_at_5": Metric("%", "found among five, %", 1, 1),
    "alignment": Metric("", "alignment", 0, 3),
    "uniformity": Metric("", "uniformity", 0, 3),
    "rankme": Metric("", "effective rank", 0, 1),
    "cka": Metric("", "CKA, 0 to 1", 0, 3),
    "seconds": Metric("s", "seconds", 0, 1),
    "parameters": Metric("", "parameters", 0, None),
    "multiply_adds": Metric("", "multiply-adds a second of sound", 0, None),
    "clips_per_second": Metric("", "clips a second", 1, 1),
}


def metric(name: str) -> Metric:
    """Return the display of a metric; an unknown one is shown by its name."""
    return METRICS.get(name) or Metric("", name.replace("_", " "), 0, 3)


def amount(question: Question) -> str:
    """Return how many labels are known, and how they were selected; "" where the classifier's name says all.

    Example:
        >>> amount(Question("labels", "accuracy", "digit", LINEAR, 10)), amount(Question("labels", "eer"))
        ('10 labels a class', '')
        >>> amount(Question("efficiency", "accuracy", "digit", SPREAD, labels_in_all=20, selection=CHOSEN))
        '20 labels in all, chosen'
    """
    if question.labels_in_all is not None:
        how = "chosen" if question.selection == CHOSEN else "drawn at random"
        return f"{question.labels_in_all} labels in all, {how}"
    if question.probe == SPREAD and question.labels_per_class == 1:
        return "1 label a class"
    if question.probe not in (LINEAR, NETWORK, SPREAD):
        return ""
    if question.labels_per_class is None:
        return "all labels"
    some = f", {question.classes} of {question.of_classes} classes" if question.classes is not None else ""
    return f"{question.labels_per_class} labels a class{some}"


def condition(question: Question) -> str:
    """Return how the test recordings were altered.

    Example:
        >>> condition(Question("robustness", "accuracy", condition=GAIN, condition_value=10.0))
        'gain +10 dB'
        >>> condition(Question("robustness", "accuracy", condition="babble", condition_value=10.0))
        'babble at 10 dB'
    """
    if question.condition in (NOISE, *OTHER_NOISE):
        return f"{question.condition} at {question.condition_value:g} dB"
    if question.condition == GAIN:
        return f"gain {question.condition_value:+g} dB"
    return question.condition


def task(question: Question) -> str:
    """Return the question as one text, the column `task` of `results.json`.

    Example:
        >>> task(Question("labels", "accuracy", "digit", LINEAR, 10))
        'digit, linear probe, 10 labels a class'
        >>> task(Question("voices", "eer", "speaker", ENROLLED, enrolled=1))
        'voices, 1 clip enrolled'
    """
    if question.section == "cost":
        return "cost"
    if not question.probe:
        return f"{question.section}, test recordings"
    words = (subject(question), reading(question), amount(question), heard(question), condition(question))
    return ", ".join(word for place, word in enumerate(words) if word or not place)


def subject(question: Question) -> str:
    """Return what is predicted: the label column, or voices."""
    return "voices" if question.probe in SPEAKER_PROBES else question.label


def reading(question: Question) -> str:
    """Return the classifier or protocol; "" if the task's text does not name it.

    Example:
        >>> reading(Question("labels", "accuracy", "digit", KNN))
        '5-NN, no training'
        >>> reading(Question("voices", "accuracy", "who", IDENTIFY_APART, apart="words"))
        'kNN, words of enrolment and test apart'
    """
    if question.section == "efficiency" and question.probe != SPREAD and question.labels_in_all is None:
        return ""
    words = plural(question.apart)
    return {
        LINEAR: "linear probe",
        NETWORK: "own output layer",
        KNN: f"{NEIGHBOURS}-NN, no training",
        SPREAD: "labels spread",
        IDENTIFY: "kNN, half of each enrolled",
        IDENTIFY_APART: f"kNN, {words} of enrolment and test apart",
        PAIRS: "all pairs of unseen speakers" if question.seen is None else "all pairs of speakers",
        ENROLLED: f"{question.enrolled} clip{'s' if question.enrolled != 1 else ''} enrolled"
        + (f", {words} of enrolment and test apart" if question.apart else ""),
    }.get(question.probe, "")


def heard(question: Question) -> str:
    """Return how many tested speakers occur in training; "" if none do."""
    return "" if question.seen is None else f"{question.seen} of {question.speakers} seen in training"


def name(one: Representation, section: str = "") -> str:
    """Return a representation as one text, the column `representation` of `results.json`.

    Args:
        one: The representation.
        section: Section of the table; in `efficiency`, encoders are marked as frozen beside fine-tuned networks.

    Example:
        >>> name(Representation("pre-trained", "crops 45 % disjoint", "both", "content"))
        'pre-trained, crops 45 % disjoint, words'
    """
    if one.kind in FORMATLESS:
        return one.variant
    view = PART_WORDS[one.part] or one.format
    if one.kind == FROM_SCRATCH:
        return f"{view}, {FROM_SCRATCH}"
    if one.kind in (FINE_TUNED, "joint"):
        return f"{PRETRAINED}, {view}, {one.kind}"
    frozen = "frozen" if section == "efficiency" else ""
    return ", ".join(word for word in (one.kind, one.variant, view, frozen) if word)


def figure(metric_name: str, value: float) -> str:
    """Format a metric value without its unit.

    Example:
        >>> figure("accuracy", 95.1234), figure("min_dcf", 0.5), figure("parameters", 1234567.0)
        ('95.1', '0.500', '1,234,567')
    """
    about = metric(metric_name)
    if about.digits is None or (metric_name == "seconds" and value >= 10):
        return f"{value:,.0f}"
    return f"{value:,.{about.digits}f}".replace("-", "\N{MINUS SIGN}")


def figure_with_unit(metric_name: str, value: float) -> str:
    """Format a metric value with its unit.

    Example:
        >>> figure_with_unit("eer", 12.0), figure_with_unit("seconds", 90.0)
        ('12.0 %', '90 s')
    """
    unit = metric(metric_name).unit
    return f"{figure(metric_name, value)} {unit}".rstrip()
