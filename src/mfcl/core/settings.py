"""Settings dataclasses: fields with bounds, a check of their values, and a list of settings with their docstrings."""

import ast
import dataclasses
import inspect
import itertools
import numbers
import textwrap
import types
import typing
from collections.abc import Iterator
from typing import Any, Literal, NamedTuple

from mfcl.errors import RecipeError, check_number, one_of, shown, spoken_number

BOUNDS, LATER = "bounds", "later"
LONGEST_TEXT = 200
"""Most characters of a text setting."""


def bounded(default: Any, low: int | float, high: int | float) -> Any:
    """Return a dataclass field for a number with a default, a smallest and a largest value."""
    return dataclasses.field(default=default, metadata={BOUNDS: (low, high)})


def later(default: Any, low: int | float | None = None, high: int | float | None = None) -> Any:
    """Return a dataclass field that an earlier version did not have.

    Files hold it only where it is not the default, so that runs and answers begun without it are still known.
    """
    bounds = {} if low is None else {BOUNDS: (low, high)}
    return dataclasses.field(default=default, metadata={**bounds, LATER: True})


def written(settings: Any) -> Iterator[dataclasses.Field[Any]]:
    """Yield the fields of a settings dataclass that its files hold; see `later`."""
    for field in dataclasses.fields(settings):
        if not (field.metadata.get(LATER) and getattr(settings, field.name) == field.default):
            yield field


def check_settings(settings: Any, group: str = "") -> None:
    """Raise an error if a settings dataclass has a value of the wrong type or out of bounds.

    A number or a text of another kind, such as NumPy's, becomes Python's own, which is what files can hold.

    Args:
        settings: A frozen dataclass; its numbers are made with `bounded`.
        group: Group of the settings, such as `train`; messages call a setting `group.field`.

    Raises:
        RecipeError: names the first wrong field, the wanted value and the given one.
    """
    hints = typing.get_type_hints(type(settings))
    for field in dataclasses.fields(settings):
        name = f"{group}.{field.name}" if group else field.name
        value = getattr(settings, field.name)
        _check(name, value, hints[field.name], field.metadata.get(BOUNDS))
        if type(value) is not type(own := _own_kind(value)):
            object.__setattr__(settings, field.name, own)


def check_text(name: str, text: str) -> None:
    """Raise an error unless a text is one printable line of at most `LONGEST_TEXT` characters."""
    # U+200D joins letters and emoji; Python does not call it printable
    if len(text) > LONGEST_TEXT or any(not (sign.isprintable() or sign == "\u200d") for sign in text):
        raise RecipeError(f"{name}: wanted one line of at most {LONGEST_TEXT} characters, got {shown(text)}")


class Described(NamedTuple):
    """One setting as a table row."""

    key: str
    type: str
    value: str
    bounds: str
    meaning: str


def described(settings: Any, group: str = "", *, unset: str = "") -> Iterator[Described]:
    """Yield every setting of a dataclass and of nested ones: key, type, value, bounds and docstring.

    A nested group that is None is listed with its defaults, marked with "(if set)".
    """
    hints, meanings = typing.get_type_hints(type(settings)), _docstrings(type(settings))
    for field in dataclasses.fields(settings):
        key = f"{group}.{field.name}" if group else field.name
        hint, value = hints[field.name], getattr(settings, field.name)
        inner = next((kind for kind in (hint, *typing.get_args(hint)) if dataclasses.is_dataclass(kind)), None)
        if inner is not None:
            if inner is not hint:
                yield Described(key, "settings", "null" if value is None else "set", "", meanings.get(field.name, ""))
            made = typing.cast(type[Any], inner)() if value is None else value
            yield from described(made, key, unset=" (if set)" if value is None else unset)
            continue
        bounds = field.metadata.get(BOUNDS)
        limits = f"{spoken_number(bounds[0])} to {spoken_number(bounds[1])}" if bounds else ""
        yield Described(key, _type_name(hint), _value_text(value) + unset, limits, meanings.get(field.name, ""))


def _check(name: str, value: Any, hint: Any, bounds: tuple[Any, Any] | None) -> None:
    choices = typing.get_args(hint)
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        if value is None:
            return
        hint = next(kind for kind in choices if kind is not types.NoneType)
        choices = typing.get_args(hint)
    if hint in (int, float):
        low, high = bounds if bounds is not None else (float("-inf"), float("inf"))
        check_number(name, value, low, high, whole=hint is int, error=RecipeError)
    elif typing.get_origin(hint) is Literal:
        if not isinstance(value, str) or value not in choices:
            raise RecipeError(f"{name}: {one_of('choice', str(shown(value)), map(str, choices))}")
    elif typing.get_origin(hint) is tuple:  # only tuples of texts are used
        if not isinstance(value, tuple):
            raise RecipeError(f"{name}: wanted a list of texts, got {shown(value)}")
        for text in value:
            _check(name, text, str, None)
    elif isinstance(hint, type) and not isinstance(value, hint):
        raise RecipeError(f"{name}: wanted {hint.__name__}, got {shown(value)}")
    elif hint is str:
        check_text(name, value)


def _own_kind(value: Any) -> Any:
    if isinstance(value, str):
        return str(value)
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        return value
    return int(value) if isinstance(value, numbers.Integral) else float(value)


def _type_name(hint: Any) -> str:
    if typing.get_origin(hint) is Literal:
        return " | ".join(map(str, typing.get_args(hint)))
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        return " | ".join(_type_name(kind) for kind in typing.get_args(hint))
    if typing.get_origin(hint) is tuple:
        return "list of str"
    return "null" if hint is types.NoneType else str(hint.__name__)


def _value_text(value: Any) -> str:
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, tuple):
        return f"[{', '.join(value)}]"
    return f"{value:g}" if isinstance(value, float) else str(value)


def _docstrings(kind: type) -> dict[str, str]:
    """Return the docstring under each field of a dataclass, inherited fields included."""
    found: dict[str, str] = {}
    for one in reversed(kind.__mro__):
        if not dataclasses.is_dataclass(one):
            continue
        try:
            tree = ast.parse(textwrap.dedent(inspect.getsource(one)))
        except (OSError, TypeError):  # no source code available: leave the meanings empty
            continue
        body = typing.cast(ast.ClassDef, tree.body[0]).body
        for line, after in itertools.pairwise(body):
            text = after.value.value if isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant) else None
            if isinstance(line, ast.AnnAssign) and isinstance(line.target, ast.Name) and isinstance(text, str):
                found[line.target.id] = " ".join(text.split())
    return found
