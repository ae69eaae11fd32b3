"""The quick checks of types refuse what jaxtyping's own refuse."""

import types
from collections.abc import Callable, Iterator
from typing import Any

import jaxtyping
import numpy as np
import pytest
from jaxtyping import Float64, TypeCheckError

from mfcl.audio.mel import mel_edges
from mfcl.evaluation.metrics import accuracy
from tests.type_checks import THOROUGH, decorator

Decorator = Callable[[Any], Any]


@pytest.fixture(params=["quick", "thorough"])
def checks(request: pytest.FixtureRequest) -> Decorator:
    """What both decorators must do alike."""
    from beartype import beartype

    made: Decorator = (decorator if request.param == "quick" else THOROUGH)(typechecker=beartype)
    return made


def turned(
    values: Float64[np.ndarray, "rows columns"], *, times: int = 1, wrongly: bool = False
) -> Float64[np.ndarray, "columns rows"]:
    return values if wrongly else values.T * times


def added(one: Float64[np.ndarray, " n"], other: list[Float64[np.ndarray, " n"]] | None) -> None: ...


def counted(count: int) -> Float64[np.ndarray, "{count}"]:  # noqa: F821 -- an argument
    return np.ones(min(count, 3))


def each(one: Float64[np.ndarray, " n"], other: Float64[np.ndarray, " n"]) -> Iterator[float]:
    yield from one


def joined(words: "list[str]", end: "str | None" = None) -> str:
    return "".join(words) + end if end else len(words)  # type: ignore[return-value]


def test_the_package_is_checked_by_them() -> None:
    for wrong in (lambda: mel_edges("0", 8000.0, 40), lambda: accuracy([1], np.array([1]))):  # type: ignore[arg-type]
        with pytest.raises(TypeCheckError):
            wrong()


@pytest.fixture(params=["of a module", "local"])
def place(request: pytest.FixtureRequest) -> Callable[[Any], Any]:
    """Where a function stands: local ones are told by their names."""

    def put(function: Any) -> Any:
        own = types.FunctionType(function.__code__, function.__globals__, function.__name__, function.__defaults__)
        own.__kwdefaults__, own.__annotations__ = function.__kwdefaults__, function.__annotations__
        own.__qualname__ = f"here.<locals>.{function.__name__}" if request.param == "local" else function.__name__
        return own

    return put


def test_arguments_results_and_sizes_are_checked(checks: Decorator, place: Decorator) -> None:
    own, table = checks(place(turned)), np.ones((2, 3))
    assert own(table, times=2).shape == (3, 2)
    for wrong in (
        lambda: own(np.ones(3)),
        lambda: own(np.ones((2, 3), dtype=np.float32)),
        lambda: own(table, times="2"),
        lambda: own(table, wrongly=True),
    ):
        with pytest.raises(TypeCheckError):
            wrong()
    with pytest.raises(TypeError, match="argument"):
        own()
    assert own(np.ones((4, 5))).shape == (5, 4)  # nothing is remembered of the calls before


def test_two_arguments_that_share_an_axis_are_of_one_size(checks: Decorator, place: Decorator) -> None:
    own = checks(place(added))
    own(np.ones(2), [np.ones(2)])
    own(np.ones(2), None)
    with pytest.raises(TypeCheckError):
        own(np.ones(2), [np.ones(3)])
    of_parts = checks(place(each))
    with pytest.raises(TypeCheckError):
        list(of_parts(np.ones(2), np.ones(3)))


def test_an_axis_can_be_as_long_as_an_argument_says(checks: Decorator, place: Decorator) -> None:
    own = checks(place(counted))
    assert len(own(3)) == 3
    with pytest.raises(TypeCheckError):
        own(4)


def test_a_function_without_axes_is_checked_too_and_quotes_are_read(checks: Decorator, place: Decorator) -> None:
    own = checks(place(joined))
    assert own(["a"], "b") == "ab"
    for wrong in (lambda: own("a", "b"), lambda: own(["a"], 3), lambda: own(["a"])):
        with pytest.raises(TypeCheckError):
            wrong()


def test_checks_of_arrays_can_be_put_off(checks: Decorator, place: Decorator, monkeypatch: pytest.MonkeyPatch) -> None:
    own = checks(place(turned))
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)
    assert own(np.ones((2, 3), dtype=np.float32)).shape == (3, 2)
