"""Write results as JSON and CSV rows, and read them back with every value checked.

The display columns of version 0.1 (`table`, `task`, `representation`, ...) are written beside the fields that they are
made from. A row of version 0.1 has only display columns. Its fields are found by generating all possible texts with
`mfcl.evaluation.wording` and looking up the row's text among them.
"""

import dataclasses
import functools
import itertools
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeGuard, TypeVar

import numpy as np
from jaxtyping import Shaped

from mfcl.errors import MfclError
from mfcl.evaluation import wording
from mfcl.evaluation.result import (
    BASELINE,
    CLEAN,
    CONDITIONS,
    CONTENT,
    EMBEDDED_FORMATS,
    ENROLLED,
    FINE_TUNED,
    FROM_SCRATCH,
    GAIN,
    IDENTIFY,
    IDENTIFY_APART,
    JOINT,
    KINDS,
    KNN,
    LINEAR,
    NETWORK,
    NOISE,
    PAIRS,
    PRETRAINED,
    PROBES,
    SPEAKER,
    SUPERVISED,
    UNTRAINED,
    Question,
    Representation,
    Result,
)
from mfcl.evaluation.summary import Difference, Summary

COLUMNS = (
    *("table", "task", "representation", "metric", "value", "low", "high", "n", "x", "seed", "seconds", "command"),
    *("kind", "variant", "format", "part", "label", "probe", "labels_per_class", "apart", "enrolled"),
    *("condition", "condition_value", "classes", "of_classes", "seen", "speakers", "unit", "note"),
)
"""Columns of `results.json` and `results.csv`; those of version 0.1 come first."""
TRAINED_HEADS = (FINE_TUNED, FROM_SCRATCH, JOINT)
"""Kinds that predict with their own output layer."""
ITEMS: dict[type, str] = {str: "texts", int: "whole numbers", float: "finite numbers", dict: "key: value pairs"}
"""Type of the values in a list -> its name in error messages."""
LARGEST = 1e18
"""Largest absolute value of a metric; a larger one means a damaged file."""
T = TypeVar("T")
Numbers = Shaped[np.ndarray, "_ _"]


def view_row(one: Representation) -> dict[str, Any]:
    """Return the fields of a representation, with its name."""
    return {
        "representation": wording.name(one),
        "kind": one.kind, "variant": one.variant, "format": one.format, "part": one.part,
    }  # fmt: skip


def question_row(asked: Question) -> dict[str, Any]:
    """Return the fields of a question, with its text."""
    return {
        "table": asked.section, "task": wording.task(asked), "metric": asked.metric, "label": asked.label,
        "probe": asked.probe, "labels_per_class": asked.labels_per_class, "apart": asked.apart,
        "enrolled": asked.enrolled, "condition": asked.condition, "condition_value": asked.condition_value,
        "classes": asked.classes, "of_classes": asked.of_classes, "seen": asked.seen, "speakers": asked.speakers,
        "unit": wording.metric(asked.metric).unit,
    }  # fmt: skip


def to_row(one: Result) -> dict[str, Any]:
    """Return a result as plain values, keyed by `COLUMNS`; its evidence is kept elsewhere."""
    row = {
        **question_row(one.question), **view_row(one.representation), "value": one.value, "low": one.low,
        "high": one.high, "n": one.n, "x": one.x, "seed": one.seed, "seconds": one.seconds, "command": one.command,
        "note": one.note,
    }  # fmt: skip
    row["representation"] = wording.name(one.representation, one.question.section)
    return {column: row[column] for column in COLUMNS}


def from_rows(
    rows: Any,
    where: str,
    *,
    labels: Iterable[str] = (),
    speaker: str | None = None,
    about: Iterable[Representation] = (),
) -> list[Result]:
    """Read results from rows.

    Args:
        rows: The parsed JSON.
        where: The file, for error messages.
        labels: Possible label columns; for rows of version 0.1.
        speaker: The speaker column; for rows of version 0.1.
        about: Likely representations; for rows of version 0.1, whose names do not include the format of a part.

    Raises:
        MfclError: not a list of rows, or a value of the wrong type; the message names file, row and key.
    """
    known, likely = [*labels], [*about]
    return [
        result_of(row, f"{where}, row {place}", known, speaker or "", likely)
        for place, row in enumerate(listed(rows, where), 1)
    ]


def result_of(
    row: Mapping[str, Any],
    where: str,
    labels: Sequence[str] = (),
    speaker: str = "",
    about: Sequence[Representation] = (),
) -> Result:
    """Read the result of one row; see `from_rows`."""
    if "kind" in row:
        question, representation = question_of(row, where), view_of(row, where)
    else:
        representation = old_view(row, where, about)
        question = old_question(row, where, labels, speaker, trained=representation.kind in TRAINED_HEADS)
    return Result(
        question, number(row, "value", where), optional(row, "low", where), optional(row, "high", where),
        optional_whole(row, "n", where) or 0, optional(row, "x", where), representation, whole(row, "seed", where),
        optional(row, "seconds", where) or 0.0, text(row, "command", where),
        text(row, "note", where) if "note" in row else "",
    )  # fmt: skip


def question_of(row: Mapping[str, Any], where: str) -> Question:
    """Read the question of a row."""
    probe = chosen(row, "probe", PROBES, where)
    condition = chosen(row, "condition", CONDITIONS, where)
    enrolled = whole(row, "enrolled", where) if probe == ENROLLED else optional_whole(row, "enrolled", where)
    level = number if condition in (NOISE, GAIN) else optional  # their texts hold the value
    return Question(
        text(row, "table", where), text(row, "metric", where), text(row, "label", where), probe,
        optional_whole(row, "labels_per_class", where), text(row, "apart", where), enrolled, condition,
        level(row, "condition_value", where),
        *(optional_whole(row, key, where) for key in ("classes", "of_classes", "seen", "speakers")),
    )  # fmt: skip


def view_of(row: Mapping[str, Any], where: str) -> Representation:
    """Read the representation of a row; for a row of version 0.1 from its display name."""
    if "kind" not in row:
        return old_view(row, where)
    return Representation(
        chosen(row, "kind", ("", *KINDS), where), text(row, "variant", where),
        chosen(row, "format", ("", *EMBEDDED_FORMATS), where), chosen(row, "part", ("", CONTENT, SPEAKER), where),
    )  # fmt: skip


def summary_row(one: Summary) -> dict[str, Any]:
    """Return a summary as plain values."""
    row = {**question_row(one.question), **view_row(one.representation)}
    row["representation"] = wording.name(one.representation, one.question.section)
    return row | {
        "value": one.value, "low": one.low, "high": one.high, "n": one.n, "x": one.x, "seeds": list(one.seeds),
        "seconds": one.seconds, "command": one.command,
    }  # fmt: skip


def summaries_from(rows: Any, where: str) -> list[Summary]:
    """Read summaries from rows; see `from_rows`."""
    found = []
    for place, row in enumerate(listed(rows, where), 1):
        here = f"{where}, row {place}"
        seeds = tuple(int(seed) for seed in items(row, "seeds", int, here))
        found.append(
            Summary(
                question_of(row, here),
                view_of(row, here),
                number(row, "value", here),
                optional(row, "low", here),
                optional(row, "high", here),
                whole(row, "n", here),
                optional(row, "x", here),
                seeds,
                number(row, "seconds", here),
                text(row, "command", here),
            )
        )
    return found


def difference_row(one: Difference) -> dict[str, Any]:
    """Return a difference as plain values."""
    return {
        **question_row(one.question), "first": view_row(one.first), "second": view_row(one.second),
        "value": one.value, "low": one.low, "high": one.high, "verdict": one.verdict,
    }  # fmt: skip


def differences_from(rows: Any, where: str) -> list[Difference]:
    """Read differences from rows; see `from_rows`."""
    found = []
    for place, row in enumerate(listed(rows, where), 1):
        here = f"{where}, row {place}"
        first, second = (view_of(mapping(row, side, here), f"{here}, {side}") for side in ("first", "second"))
        found.append(
            Difference(
                question_of(row, here),
                first,
                second,
                number(row, "value", here),
                optional(row, "low", here),
                optional(row, "high", here),
            )
        )
    return found


def listed(rows: Any, where: str) -> list[Mapping[str, Any]]:
    """Check that `rows` is a list of mappings."""
    if not isinstance(rows, list):
        raise _wrong(where, "a list of rows", rows)
    for place, row in enumerate(rows, 1):
        if not isinstance(row, dict):
            raise _wrong(f"{where}, row {place}", "key: value pairs", row)
    return rows


def mapping(row: Mapping[str, Any], key: str, where: str) -> Mapping[str, Any]:
    """Return a value that is a mapping."""
    value = row.get(key)
    if not isinstance(value, dict):
        raise _wrong(f"{where}, {key!r}", "key: value pairs", value)
    return value


def items(row: Mapping[str, Any], key: str, kind: type[T], where: str) -> list[T]:
    """Return a list of values of one type; whole numbers are accepted as floats."""
    value = row.get(key)
    if not isinstance(value, list) or not all(_is(one, kind) for one in value):
        raise _wrong(f"{where}, {key!r}", f"a list of {ITEMS.get(kind, kind.__name__)}", value)
    return [kind(one) for one in value] if kind is float else value  # type: ignore[call-arg]


def table(row: Mapping[str, Any], key: str, where: str, *, width: int | None = None) -> Numbers:
    """Return a value that is a table of finite numbers, with rows of one length.

    Args:
        row: The mapping that holds it.
        key: Its key.
        where: The file, for error messages.
        width: Numbers in each row; None allows any, if equal.

    Raises:
        MfclError: the value is not such a table.
    """
    value = row.get(key)
    try:
        found = np.asarray(value)
        whole = found.dtype.kind in "iuf" and found.ndim == 2 and bool(np.all(np.abs(found) <= LARGEST))
    except (ValueError, OverflowError, RecursionError):  # rows of different lengths, or too deep
        whole = False
    if value == []:
        found, whole = np.zeros((0, width or 0)), True
    if not isinstance(value, list) or not whole or (width is not None and found.shape[1] != width):
        raise _wrong(f"{where}, {key!r}", f"rows of {width if width is not None else 'equally many'} numbers", value)
    return found


def optional_text(row: Mapping[str, Any], key: str, where: str) -> str:
    """Return a text; "" if it is missing."""
    return "" if row.get(key) is None else text(row, key, where)


def optional_items(row: Mapping[str, Any], key: str, kind: type[T], where: str) -> list[T]:
    """Return a list of values of one type; an empty one if it is missing."""
    return [] if row.get(key) is None else items(row, key, kind, where)


def optional_mapping(row: Mapping[str, Any], key: str, where: str) -> Mapping[str, Any]:
    """Return a mapping; an empty one if it is missing."""
    return {} if row.get(key) is None else mapping(row, key, where)


def same_length(row: Mapping[str, Any], keys: Sequence[str], where: str) -> None:
    """Check that the lists of `keys` have one length."""
    lengths = [len(row[key]) for key in keys]
    if len(set(lengths)) > 1:
        named = ", ".join(f"{length} {key}" for key, length in zip(keys, lengths, strict=True))
        raise MfclError(f"{where}: wanted as many of each, got {named}; run `mfcl study` again")


def text(row: Mapping[str, Any], key: str, where: str) -> str:
    """Return a text."""
    value = row.get(key)
    if not isinstance(value, str):
        raise _wrong(f"{where}, {key!r}", "a text", value)
    return value


def chosen(row: Mapping[str, Any], key: str, choices: Sequence[str], where: str) -> str:
    """Return a text that is one of the choices."""
    value = text(row, key, where)
    if value not in choices:
        raise _wrong(f"{where}, {key!r}", f"one of {', '.join(map(repr, choices))}", value)
    return value


def number(row: Mapping[str, Any], key: str, where: str) -> float:
    """Return a finite number of at most `LARGEST`."""
    value = row.get(key)
    if not is_number(value):
        raise _wrong(f"{where}, {key!r}", "a finite number", value)
    return float(value)


def is_number(value: Any) -> TypeGuard[int | float]:
    """Return whether a value is a finite number of at most `LARGEST`; booleans are not numbers."""
    # the comparison is False for NaN, and works for integers too large for a float
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= LARGEST


def optional(row: Mapping[str, Any], key: str, where: str) -> float | None:
    """Return a finite number; None if it is missing."""
    return None if row.get(key) is None else number(row, key, where)


def whole(row: Mapping[str, Any], key: str, where: str) -> int:
    """Return a whole number."""
    value = number(row, key, where)
    if value != int(value):
        raise _wrong(f"{where}, {key!r}", "a whole number", value)
    return int(value)


def optional_whole(row: Mapping[str, Any], key: str, where: str) -> int | None:
    """Return a whole number; None if it is missing."""
    return None if row.get(key) is None else whole(row, key, where)


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


@functools.lru_cache(maxsize=256)
def _old_texts(
    section: str, metric: str, labels: tuple[str, ...], speaker: str, x: float | None, trained: bool
) -> Mapping[str, Question]:
    """Map every possible text of a version 0.1 question to its question; the first one if a text is ambiguous."""
    found: dict[str, Question] = {}
    for question in _old_questions(section, metric, labels, speaker, x, trained):
        found.setdefault(wording.task(question), question)
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


def _is(value: Any, kind: type) -> bool:
    if kind in (int, float):
        return is_number(value) and (kind is float or isinstance(value, int))
    return isinstance(value, kind)


def _wrong(where: str, wanted: str, value: Any) -> MfclError:
    try:
        came = repr(value)
    except (RecursionError, ValueError):  # deeply nested lists, or a number of thousands of digits
        came = f"a {type(value).__name__} that cannot be shown"
    came = f"{came[:60]}..." if len(came) > 64 else came
    return MfclError(f"{where}: wanted {wanted}, got {came}; run `mfcl study` again")
