"""What a kind of input is to the fuzz suite, and what has to hold of whatever is made from it."""

import dataclasses
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from random import Random

import numpy as np


@dataclass(frozen=True)
class Kind:
    """A kind of input."""

    prepare: Callable[[Path], None]
    """Write sound inputs into a folder, once a run."""
    spoil: Callable[[Path, Random], None]
    """Spoil something in a copy of that folder."""
    use: Callable[[Path], Iterable[object]]
    """Do with the copy what a person would, and yield what comes of it; everything in it must be finite.

    A spoilt input may raise MfclError; a sound one may not.
    """


def finite(value: object) -> bool:
    """Say whether every number in a value is one that can be calculated with.

    Example:
        >>> finite({"a": [1, "x", None]}), finite([np.ones(2), np.array([np.nan])])
        (True, False)
    """
    if isinstance(value, np.ndarray):
        return value.dtype.kind not in "fc" or bool(np.isfinite(value).all())
    if isinstance(value, float):
        return math.isfinite(value)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return all(finite(getattr(value, entry.name)) for entry in dataclasses.fields(value))
    if isinstance(value, Mapping):
        return all(finite(one) for one in value.values())
    if isinstance(value, list | tuple):
        return all(finite(one) for one in value)
    return True
