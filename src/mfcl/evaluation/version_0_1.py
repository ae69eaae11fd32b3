"""Find the fields of rows of version 0.1, which have only display texts.

All possible texts are generated with `mfcl.evaluation.wording` and the row's text is looked up among them.
"""

import dataclasses
import functools
import itertools
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from mfcl.core.console import plural
from mfcl.errors import MfclError
from mfcl.evaluation import wording
from mfcl.evaluation.result import (
    BASELINE,
    CLEAN,
    CONTENT,
    ENROLLED,
    FINE_TUNED,
    FROM_SCRATCH,
    GAIN,
    IDENTIFY,
    IDENTIFY_APART,
    JOINT,
    KNN,
    LINEAR,
    NETWORK,
    NOISE,
    PAIRS,
    PRETRAINED,
    SPEAKER,
    SUPERVISED,
    UNTRAINED,
    Question,
    Representation,
)
from mfcl.evaluation.typed_rows import optional, text


def old_view(row: Mapping[str, Any], where: str, about: Sequence[Representation] = ()) -> Representation:
    """Find the representation of a row of version 0.1 by its display name.

    Args:
        row: The row.
        where: The file and the row, for error messages.
        about: Representations to try first.
    """
    named = text(row, "representation", where)
    frozen = ", frozen"
    for suffix in ("", frozen):  # frozen encoders had this suffix in tables with trained networks
        for one in (*about, *_old_views()):
            if wording.name(one) + suffix == named:
                return one
    for kind, view in itertools.product((PRETRAINED, UNTRAINED), _VIEWS):
        start, end = f"{kind}, ", f", {wording.name(Representation('', '', *view))}"
        if named.startswith(start) and named.endswith(end) and len(named) > len(start) + len(end):
            return Representation(kind, named[len(start) : -len(end)], *view)
    return Representation(BASELINE, named)


def old_question(row: Mapping[str, Any], where: str, labels: Sequence[str], speaker: str, *, trained: bool) -> Question:
    """Find the question of a row of version 0.1 by its display text.

    Raises:
        MfclError: no question has that text.
    """
    section, asked, metric = (text(row, key, where) for key in ("table", "task", "metric"))
    question = _old_texts(section, metric, tuple(labels), speaker, optional(row, "x", where), trained).get(asked)
    if question is not None:
        return question
    endings = _old_texts(section, metric, ("",), speaker, optional(row, "x", where), trained)
    for ending, question in sorted(endings.items(), key=lambda entry: -len(entry[0])):
        if question.label == "" and ending and asked.endswith(ending) and len(asked) > len(ending):
            return dataclasses.replace(question, label=asked[: -len(ending)])  # a label column that is not in `labels`
    raise MfclError(f"{where}: {asked[:80]!r} is no question that this version knows; run `mfcl study` again")


_VIEWS = (("both", ""), ("wave", ""), ("mel", ""), ("both", CONTENT), ("both", SPEAKER))
_COUNTS = (1, 5, 10, 50, 2, 3, 20, 25, 100, 200)
_LEVELS = (20.0, 10.0, 0.0, 15.0, 5.0, -5.0, -10.0)


def _old_views() -> Iterable[Representation]:
    for kind, view in itertools.product((UNTRAINED, PRETRAINED, SUPERVISED, FINE_TUNED, FROM_SCRATCH, JOINT), _VIEWS):
        yield Representation(kind, "", *view)


def old_task(question: Question) -> str:
    """Return the text of a question as version 0.1 wrote it: with an s after the name of any column.

    Example:
        >>> old_task(Question("voices", "accuracy", "speaker", IDENTIFY_APART, apart="words"))
        'voices, kNN, wordss of enrolment and test apart'
    """
    now, then = (f"{words} of enrolment" for words in (plural(question.apart), f"{question.apart}s"))
    return wording.task(question).replace(now, then) if question.apart else wording.task(question)


@functools.lru_cache(maxsize=256)
def _old_texts(
    section: str, metric: str, labels: tuple[str, ...], speaker: str, x: float | None, trained: bool
) -> Mapping[str, Question]:
    """Map every possible text of a version 0.1 question to its question; the first one if a text is ambiguous."""
    found: dict[str, Question] = {}
    for question in _old_questions(section, metric, labels, speaker, x, trained):
        found.setdefault(old_task(question), question)
    return found


def _old_questions(
    section: str, metric: str, labels: Sequence[str], speaker: str, x: float | None, trained: bool
) -> Iterable[Question]:
    if section in ("cost", "geometry"):
        yield Question(section, metric)
        return
    counts = (None, *([int(x)] if x is not None and x == int(x) and x > 0 else []), *_COUNTS)
    conditions = (
        [(CLEAN, None), *((kind, level) for kind in (NOISE, GAIN) for level in _LEVELS)]
        if section == "robustness"
        else [("", None)]
    )
    for label in labels:
        for count, (condition, level) in itertools.product(counts, conditions):
            probe = NETWORK if trained else LINEAR
            yield Question(section, metric, label, probe, count, condition=condition, condition_value=level)
        yield Question(section, metric, label, KNN)
    for probe in (IDENTIFY, PAIRS):
        yield Question(section, metric, speaker, probe)
    for apart in labels:
        yield Question(section, metric, speaker, IDENTIFY_APART, apart=apart)
    for enrolled in range(1, 51):
        yield Question(section, metric, speaker, ENROLLED, enrolled=enrolled)
