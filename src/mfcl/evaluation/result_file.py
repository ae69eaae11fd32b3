"""Write results as JSON and CSV rows, and read them back with every value checked.

The display columns of version 0.1 (`table`, `task`, `representation`, ...) are written beside the fields that they are
made from. A row of version 0.1 has only display columns; see `mfcl.evaluation.version_0_1`.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from mfcl.evaluation import wording
from mfcl.evaluation.result import (
    CONDITIONS,
    CONTENT,
    EMBEDDED_FORMATS,
    ENROLLED,
    FINE_TUNED,
    FROM_SCRATCH,
    GAIN,
    JOINT,
    KINDS,
    NOISE,
    OTHER_NOISE,
    PROBES,
    SELECTIONS,
    SPEAKER,
    Question,
    Representation,
    Result,
)
from mfcl.evaluation.summary import Difference, Summary
from mfcl.evaluation.typed_rows import (
    chosen,
    items,
    listed,
    mapping,
    number,
    optional,
    optional_items,
    optional_whole,
    text,
    whole,
)
from mfcl.evaluation.version_0_1 import old_question, old_view

COLUMNS = (
    *("table", "task", "representation", "metric", "value", "low", "high", "n", "x", "seed", "seconds", "command"),
    *("kind", "variant", "format", "part", "label", "probe", "labels_per_class", "apart", "enrolled"),
    *("condition", "condition_value", "classes", "of_classes", "seen", "speakers", "unit", "note"),
    *("labels_in_all", "selection"),
)
"""Columns of `results.json` and `results.csv`; those of version 0.1 come first."""
WHOLE_NUMBERS = ("classes", "of_classes", "seen", "speakers", "labels_in_all")
"""Fields of a question that are whole numbers, if given."""
TRAINED_HEADS = (FINE_TUNED, FROM_SCRATCH, JOINT)
"""Kinds that predict with their own output layer."""


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
        "labels_in_all": asked.labels_in_all, "selection": asked.selection, "unit": wording.metric(asked.metric).unit,
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
    level = number if condition in (NOISE, *OTHER_NOISE, GAIN) else optional  # their texts hold the value
    return Question(
        text(row, "table", where), text(row, "metric", where), text(row, "label", where), probe,
        optional_whole(row, "labels_per_class", where), text(row, "apart", where), enrolled, condition,
        level(row, "condition_value", where),
        **{key: optional_whole(row, key, where) for key in WHOLE_NUMBERS},
        selection=chosen(row, "selection", SELECTIONS, where) if "selection" in row else "",
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
        "value": one.value, "low": one.low, "high": one.high, "verdict": one.verdict, "seeds": list(one.seeds),
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
                tuple(optional_items(row, "seeds", int, here)),
            )
        )
    return found
