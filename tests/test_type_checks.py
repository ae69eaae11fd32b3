"""The quick checks of types refuse what jaxtyping's own refuse."""

from collections.abc import Callable
from typing import Any

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


def test_the_package_is_checked_by_them() -> None:
    for wrong in (lambda: mel_edges("0", 8000.0, 40), lambda: accuracy([1], np.array([1]))):  # type: ignore[arg-type]
        with pytest.raises(TypeCheckError):
            wrong()


def test_arguments_results_and_sizes_are_checked(checks: Decorator) -> None:
    @checks
    def turned(
        values: Float64[np.ndarray, "rows columns"], *, times: int = 1, wrongly: bool = False
    ) -> Float64[np.ndarray, "columns rows"]:
        return values if wrongly else values.T * times

    table = np.ones((2, 3))
    assert turned(table, times=2).shape == (3, 2)
    for wrong in (
        lambda: turned(np.ones(3)),
        lambda: turned(np.ones((2, 3), dtype=np.float32)),
        lambda: turned(table, times="2"),
        lambda: turned(table, wrongly=True),
    ):
        with pytest.raises(TypeCheckError):
            wrong()
    with pytest.raises(TypeError, match="argument"):
        turned()


def test_two_arguments_that_share_an_axis_are_of_one_size(checks: Decorator) -> None:
    @checks
    def added(one: Float64[np.ndarray, " n"], other: Float64[np.ndarray, " n"]) -> None: ...

    added(np.ones(2), np.ones(2))
    with pytest.raises(TypeCheckError):
        added(np.ones(2), np.ones(3))


def test_a_function_without_axes_is_checked_too_and_quotes_are_read(checks: Decorator) -> None:
    @checks
    def joined(words: "list[str]", end: "str | None" = None) -> str:
        return "".join(words) + end if end else len(words)  # type: ignore[return-value]

    assert joined(["a"], "b") == "ab"
    for wrong in (lambda: joined("a", "b"), lambda: joined(["a"], 3), lambda: joined(["a"])):
        with pytest.raises(TypeCheckError):
            wrong()
