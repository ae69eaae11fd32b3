"""Second names of arguments: from an earlier version, or as the command's option is called."""

import functools
from collections.abc import Callable
from typing import ParamSpec, TypeVar, cast

from mfcl.errors import MfclError

P = ParamSpec("P")
R = TypeVar("R")


def also_called(**names: str) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Return a decorator that lets callers pass keyword arguments by a second name as well.

    Args:
        names: Second name -> the argument's own name.

    Raises:
        MfclError: when the function is called, an argument is given by both names.

    Example:
        >>> @also_called(rate="sample_rate")
        ... def seconds(samples: int, *, sample_rate: int) -> float:
        ...     return samples / sample_rate
        >>> seconds(8000, sample_rate=16000), seconds(8000, rate=16000)
        (0.5, 0.5)
    """

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        @functools.wraps(function)
        def called(*args: P.args, **given: P.kwargs) -> R:
            own = cast(dict[str, object], given)
            for second, name in names.items():
                if second in own and name in own:
                    raise MfclError(f"{function.__name__}: {name} and {second} are one argument; give it once")
                if second in own:
                    own[name] = own.pop(second)
            return function(*args, **given)

        return called

    return decorate
