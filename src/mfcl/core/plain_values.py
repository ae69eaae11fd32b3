"""Settings dataclasses as plain values, for JSON and YAML, and back."""

import dataclasses
import math
import re
import types
import typing
from collections.abc import Mapping
from typing import Any, Literal, TypeVar, Union

from mfcl.core.settings import check_text, written
from mfcl.errors import RecipeError, one_of, shown

T = TypeVar("T")
DECIMALS = 6
"""Decimals of numbers in JSON that people read: microseconds."""


def to_dict(value: Any) -> dict[str, Any]:
    """Return a settings dataclass as plain values for JSON and YAML."""
    return {entry.name: _plain(getattr(value, entry.name)) for entry in written(value)}


def json_values(value: Any) -> Any:
    """Return a result as plain values for JSON that people read.

    Numbers have six decimals, so that a sum of 3.6 is not 3.5999999999999996; JSON has no infinity, so None stands for
    it and for what is no number.

    Args:
        value: A dataclass, or what JSON has, nested at will.

    Example:
        >>> json_values({"seconds": sum([0.6] * 6), "score": float("-inf"), "near": (0.25, "Ada")})
        {'seconds': 3.6, 'score': None, 'near': [0.25, 'Ada']}
    """
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {entry.name: json_values(getattr(value, entry.name)) for entry in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {name: json_values(own) for name, own in value.items()}
    if isinstance(value, list | tuple):
        return [json_values(own) for own in value]
    if isinstance(value, float):
        return round(value, DECIMALS) + 0.0 if math.isfinite(value) else None
    return value


def from_dict(kind: type[T], values: Mapping[Any, Any], *, where: str) -> T:
    """Build a settings dataclass from plain values; unknown keys and wrong types are errors.

    Args:
        kind: A dataclass whose fields are numbers, strings, literals, tuples or such dataclasses.
        values: Plain values, as from YAML or JSON; missing keys take their defaults.
        where: The file, or another source, to name in error messages.

    Raises:
        RecipeError: an unknown key (suggests the nearest one), or a value of the wrong type or range.

    Example:
        >>> Steps = dataclasses.make_dataclass("Steps", [("epochs", int, 10), ("batch", int, 64)])
        >>> from_dict(Steps, {"epochs": 3}, where="here")
        Steps(epochs=3, batch=64)
        >>> from_dict(Steps, {"epoch": 3}, where="here")
        Traceback (most recent call last):
        ...
        mfcl.errors.RecipeError: here: no setting is called 'epoch'; use one of batch, epochs (did you mean 'epochs'?)
    """
    return _built(kind, values, where, "")


def _built(kind: type[T], values: Any, where: str, group: str) -> T:
    """Build the settings dataclass of a group, such as `model.wave`; "" is the whole recipe."""
    at = f"{where}: {group}" if group else where
    if not isinstance(values, Mapping):
        raise RecipeError(f"{at}: wanted settings (key: value), got {shown(values)}")
    hints = typing.get_type_hints(kind)
    names = [entry.name for entry in dataclasses.fields(kind)]  # type: ignore[arg-type]
    for key in values:
        if key not in names:
            raise RecipeError(f"{at}: {one_of('setting', _key(key, at), names)}")
    typed = {key: _typed(hints[key], value, where, f"{group}.{key}" if group else key) for key, value in values.items()}
    try:
        return kind(**typed)
    except RecipeError as error:
        raise RecipeError(f"{where}: {_located(group, str(error))}") from error
    except TypeError as error:  # a key without a default is missing
        raise RecipeError(f"{at}: {error}") from error


def _located(group: str, text: str) -> str:
    """Return an error message of a settings dataclass with the full dotted key of its group."""
    last = group.rpartition(".")[2]
    if not group or text.startswith(group):
        return text
    return group + text[len(last) :] if text.startswith((f"{last}.", f"{last}:")) else f"{group}.{text}"


def _typed(hint: Any, value: Any, where: str, key: str) -> Any:
    """Convert a plain value to the type of its field.

    Raises:
        RecipeError: it is of another type.
    """
    origin, choices = typing.get_origin(hint), typing.get_args(hint)
    at = f"{where}: {key}"
    if dataclasses.is_dataclass(hint):
        return _built(typing.cast(type[Any], hint), value, where, key)
    if origin in (Union, types.UnionType):  # only `kind | None` is used
        kind = next(c for c in choices if c is not types.NoneType)
        return None if value is None else _typed(kind, value, where, key)
    if origin is tuple:  # only tuples of texts are used
        if not isinstance(value, list | tuple):
            raise RecipeError(f"{at}: wanted a list of texts, got {shown(value)}")
        return tuple(_typed(str, one, where, key) for one in value)
    if origin is Literal:
        if not isinstance(value, str) or value not in choices:
            raise RecipeError(f"{at}: {one_of('choice', value if isinstance(value, str) else shown(value), choices)}")
        return value
    if hint is float and isinstance(value, str) and re.fullmatch(r"[-+]?\d{1,20}(\.\d{0,20})?[eE][-+]?\d{1,4}", value):
        value = float(value)  # YAML reads 1e-4 as text, as it lacks a decimal point
    if hint is float and isinstance(value, int) and not isinstance(value, bool) and abs(value) < 2**1000:
        return float(value)
    if not isinstance(value, hint) or (isinstance(value, bool) and hint is not bool):
        raise RecipeError(f"{at}: wanted {hint.__name__}, got {shown(value)}")
    return value


def _key(key: object, where: str) -> str:
    """Return an unknown key as one line of text for an error message."""
    text = key if isinstance(key, str) else shown(key)
    check_text(f"{where}: a setting's name", text)
    return text


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value):
        return to_dict(value)
    return list(value) if isinstance(value, tuple) else value
