"""Type checks of the whole package that cost less: beartype checks each call, and jaxtyping compares axes within it.

pytest's option `--jaxtyping-packages` puts `jaxtyping.jaxtyped` around every function of the package. That binds each
call's arguments to their names (`inspect.Signature.bind`) and checks them twice, which took a third of the time of a
test that makes a study. Annotations with axes need what it remembers within a call, so that sizes are compared; the
names of arguments are needed only where an axis is named by one, such as "{count}".
"""

import functools
import inspect
import types
import typing
from typing import Any

import jaxtyping
from beartype import BeartypeConf, beartype

THOROUGH = jaxtyping.jaxtyped
"""jaxtyping's own decorator."""
SETTINGS = BeartypeConf(violation_type=jaxtyping.TypeCheckError)
SIZES = THOROUGH("context")
"""Within it the sizes of axes are remembered."""


def use_quick_checks() -> None:
    """Let pytest's option use `checked`; to be called before the package is loaded."""
    jaxtyping.jaxtyped = decorator


def decorator(*decorated: Any, **settings: Any) -> Any:
    """Do what jaxtyping's own decorator does, as pytest's option asks for it by `checked`."""
    if decorated or settings.get("typechecker") is None:
        return THOROUGH(*decorated, **settings)
    return functools.partial(checked, **settings)


def checked(decorated: Any, *, typechecker: Any) -> Any:
    """Return a function, or a class, whose types are checked at each call."""
    plain = isinstance(decorated, types.FunctionType) and "<locals>" not in decorated.__qualname__
    later = inspect.isgeneratorfunction(decorated) or inspect.iscoroutinefunction(decorated)
    hints = list(decorated.__annotations__.values()) if plain else []
    if not plain or ((later or any(map(is_read_by_name, hints))) and any(map(may_have_axes, hints))):
        return THOROUGH(decorated, typechecker=typechecker)  # of a local function torch.export, too, sees through it
    alone = beartype(decorated, conf=SETTINGS)
    if not any(map(may_have_axes, hints)):
        return alone

    @functools.wraps(decorated)
    def compared(*given: Any, **named: Any) -> Any:
        if jaxtyping.config.jaxtyping_disable:
            return decorated(*given, **named)
        with SIZES:
            return alone(*given, **named)

    return compared


def may_have_axes(hint: Any) -> bool:
    """Return whether an annotation names arrays at any depth; one in quotes may."""
    if isinstance(hint, str) or (isinstance(hint, type) and issubclass(hint, jaxtyping.AbstractArray)):
        return True
    return any(map(may_have_axes, parts(hint)))


def is_read_by_name(hint: Any) -> bool:
    """Return whether an annotation is in quotes, or has a size that is the value of an argument, at any depth."""
    if isinstance(hint, type) and issubclass(hint, jaxtyping.AbstractArray):
        return "{" in hint.dim_str
    return isinstance(hint, str) or any(map(is_read_by_name, parts(hint)))


def parts(hint: Any) -> Any:
    """Return what an annotation is made of."""
    return hint if isinstance(hint, list) else typing.get_args(hint)
