"""Which figures stand for a kind of representation, and what they are compared with."""

from collections.abc import Iterable, Sequence

from mfcl.evaluation.result import (
    BASELINE,
    CONTENT,
    PRETRAINED,
    SPEAKER,
    SUPERVISED,
    UNTRAINED,
    Question,
    Representation,
)
from mfcl.evaluation.standing import made_for
from mfcl.evaluation.summary import Summary
from mfcl.evaluation.wording import metric
from mfcl.report.names import saw_more

VIEWS = (("both", ""), ("both", CONTENT), ("both", SPEAKER), ("mel", ""), ("wave", ""))
"""Format and part of an encoder pair, the one to show first: both formats, a part of them, one format."""
COMPARED = ("labels", "voices", "traits")
"""Sections in which every representation is asked the same."""


def view(one: Representation) -> tuple[str, str]:
    """Return the format and the part of a representation."""
    return one.format, one.part


def best(found: Sequence[Summary]) -> Summary | None:
    """Return the figure that is best by its metric, the first of equals; None where there is none.

    Encoders that saw more labels than the question allows are left out.
    """
    fair = [one for one in found if not saw_more(one.representation, one.question)]
    return max(fair, key=lambda one: (metric(one.question.metric).best or 1) * one.value) if fair else None


def exceeds(first: Summary, second: Summary) -> bool:
    """Say whether the first figure is the better one of the two, whatever their intervals; less is better of errors."""
    return (metric(first.question.metric).best or 1) * (first.value - second.value) > 0


def leading(found: Iterable[Summary], kind: str, like: Representation | None = None) -> Summary | None:
    """Return the figure that stands for a kind of encoders; None where none was measured with the recipe as it is.

    It is that of the same format and part as `like`, else of the part that is made for the question, else of both
    formats, else the best one.
    """
    own = [one for one in found if one.representation.kind == kind and not one.representation.variant]
    if not own:
        return None
    for choice in (*([view(like)] if like else []), ("both", made_for(own[0].question)), ("both", "")):
        for one in own:
            if view(one.representation) == choice:
                return one
    return best(own) or own[0]


def beside(found: Sequence[Summary], ours: Summary) -> list[Summary]:
    """Return what a pre-trained figure must be shown beside: untrained, the best baseline, supervised."""
    baselines = [one for one in found if one.representation.kind == BASELINE]
    rivals = (
        leading(found, UNTRAINED, ours.representation),
        best(baselines),
        leading(found, SUPERVISED, ours.representation),
    )
    return [one for one in rivals if one is not None]


def shown(representations: Iterable[Representation]) -> list[Representation]:
    """Return the representations that a chart has room for: untrained and supervised encoders by one view alone."""
    unique = list(dict.fromkeys(representations))
    kept = []
    for one in unique:
        rivals = [other for other in unique if (other.kind, other.variant) == (one.kind, one.variant)]
        if one.kind not in (UNTRAINED, SUPERVISED) or one == foremost(rivals):
            kept.append(one)
    return kept


def foremost(representations: Sequence[Representation], first: tuple[str, str] = VIEWS[0]) -> Representation:
    """Return the representation whose view is shown first; there is at least one.

    Args:
        representations: Of one kind.
        first: The format and part to prefer.
    """
    order = (first, *VIEWS)
    return min(representations, key=lambda one: order.index(view(one)) if view(one) in order else len(order))


def pictured(representations: Iterable[Representation], kind: str = PRETRAINED) -> Representation | None:
    """Return the representation of a kind that stands for it in pictures of the label; None where there is none."""
    own = [one for one in representations if one.kind == kind and (kind == BASELINE or not one.variant)]
    if kind == BASELINE:
        return own[0] if own else None
    return foremost(own, ("both", CONTENT)) if own else None


def by_question(found: Iterable[Summary]) -> dict[Question, list[Summary]]:
    """Return question -> its figures, in the order of their first."""
    groups: dict[Question, list[Summary]] = {}
    for one in found:
        groups.setdefault(one.question, []).append(one)
    return groups
