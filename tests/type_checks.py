"""Type checks of the whole package that cost less: jaxtyping looks after arrays, beartype alone after all else.

pytest's option `--jaxtyping-packages` puts `jaxtyping.jaxtyped` around every function of the package. That binds each
call's arguments to their names (`inspect.Signature.bind`) and checks them twice, which took a third of the time of a
test that makes a study. Only annotations with axes need it: their sizes are compared with each other.
"""

import functools
import types
import typing
from typing import Any

import jaxtyping
from beartype import BeartypeConf, beartype

THOROUGH = jaxtyping.jaxtyped
"""jaxtyping's own decorator."""
SETTINGS = BeartypeConf(violation_type=jaxtyping.TypeCheckError)


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
    if not plain or any(map(may_have_axes, decorated.__annotations__.values())):
        return THOROUGH(decorated, typechecker=typechecker)  # of a local function torch.export, too, sees through it
    return beartype(decorated, conf=SETTINGS)


def may_have_axes(hint: Any) -> bool:
    """Return whether an annotation names arrays at any depth; one in quotes may."""
    if isinstance(hint, str) or (isinstance(hint, type) and issubclass(hint, jaxtyping.AbstractArray)):
        return True
    return any(may_have_axes(part) for part in (hint if isinstance(hint, list) else typing.get_args(hint)))
