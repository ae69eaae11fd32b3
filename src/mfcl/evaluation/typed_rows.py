"""Read values of rows from JSON, each checked for its type; a wrong one is one line that names file, row and key."""

from collections.abc import Mapping, Sequence
from typing import Any, TypeGuard, TypeVar

import numpy as np
from jaxtyping import Shaped

from mfcl.errors import MfclError

ITEMS: dict[type, str] = {str: "texts", int: "whole numbers", float: "finite numbers", dict: "key: value pairs"}
"""Type of the values in a list -> its name in error messages."""
LARGEST = 1e18
"""Largest absolute value of a metric; a larger one means a damaged file."""
T = TypeVar("T")
Numbers = Shaped[np.ndarray, "_ _"]


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
