"""What a representation is called in tables, charts and legends."""

from mfcl.evaluation import wording
from mfcl.evaluation.result import SUPERVISED, Question, Representation
from mfcl.report.phrases import shortened

ALL_LABELS = "all labels"
"""What supervised encoders saw in training, however few labels a probe on their vectors knows."""


def whole_name(one: Representation, section: str = "") -> str:
    """Return a representation's name; that of supervised encoders says that they saw all labels.

    Example:
        >>> whole_name(Representation("supervised", "", "mel")), whole_name(Representation("untrained", "", "mel"))
        ('supervised, mel (all labels)', 'untrained, mel')
    """
    name = wording.name(one, section)
    return f"{name} ({ALL_LABELS})" if one.kind == SUPERVISED else name


def called(one: Representation, section: str = "") -> str:
    """Return a representation's name, as long as a chart has room for."""
    return shortened(whole_name(one, section))


def saw_more(one: Representation, question: Question) -> bool:
    """Say whether a representation was made with more labels than the question allows its probe."""
    return one.kind == SUPERVISED and wording.amount(question) not in ("", ALL_LABELS)
