"""Windows of a prepared recording: where they lie, and some of them at a time."""

import math
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

import numpy as np
from jaxtyping import Int64

from mfcl.errors import AudioError

Item = TypeVar("Item")
SHORTEST = 0.001
"""Seconds of a window and of a hop, at least: a second of sound is no more than a thousand rows."""
CHUNK = 512
"""Items that are held together, at most."""
MOST_SAMPLES = 2**24
"""Their samples, at most: 64 MiB."""


def window_starts(samples: int, size: int, step: int) -> Int64[np.ndarray, " windows"]:
    """Return the first sample of each window; the last window ends with the sound, so that nothing is left out.

    ::

        sound     a b c d e f g h i      size 4, step 3
        window 0  a b c d
        window 1        d e f g
        window 2            f g h i      begins at 5, not at 6

    A sound shorter than a window is one window.

    Example:
        >>> window_starts(9, 4, 3).tolist(), window_starts(3, 4, 3).tolist()
        ([0, 3, 5], [0])
    """
    starts = np.arange(0, max(1, samples - size + 1), step, dtype=np.int64)
    return np.append(starts, samples - size) if starts[-1] + size < samples else starts


def window_samples(window: int | float, hop: int | float, sample_rate: int) -> tuple[int, int]:
    """Return the length of a window and the step to the next one in samples.

    Raises:
        AudioError: one of them is shorter than `SHORTEST`, or is no number.
    """
    check_window(window, hop)
    return max(1, round(window * sample_rate)), max(1, round(hop * sample_rate))


def check_window(window: int | float, hop: int | float) -> None:
    """Raise one clear line if these are no lengths in seconds.

    Raises:
        AudioError: one of them is shorter than `SHORTEST`, or is no number.
    """
    if not (SHORTEST <= window < math.inf and SHORTEST <= hop < math.inf):
        raise AudioError(f"wanted a window and a hop of {SHORTEST} seconds or more, got {window} and {hop}")


def bounded(items: Iterable[Item], samples_of: Callable[[Item], int]) -> Iterator[list[Item]]:
    """Yield items some at a time, no more than memory is meant for.

    Args:
        items: Windows or recordings in any form.
        samples_of: How many samples one takes.
    """
    waiting: list[Item] = []
    samples = 0
    for item in items:
        waiting.append(item)
        samples += samples_of(item)
        if len(waiting) == CHUNK or samples >= MOST_SAMPLES:
            yield waiting
            waiting, samples = [], 0
    if waiting:
        yield waiting
