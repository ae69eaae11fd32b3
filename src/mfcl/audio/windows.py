"""Positions of sliding windows in a recording, and batches of bounded size."""

import numbers
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from jaxtyping import Float64, Int64

from mfcl.errors import AudioError, shown

Item = TypeVar("Item")
SHORTEST = 0.001
"""Seconds of a window and of a hop, at least: a second of sound is no more than a thousand rows."""
GAP = SHORTEST / 2
"""Seconds between two windows that are none: they are rounded to samples, and written in decimals."""
LARGEST = 2**48
"""Samples of a window and of a hop, at most: more than any recording has, and sums of them fit in 64 bits."""
CHUNK = 512
"""Most items in a batch."""
MOST_SAMPLES = 2**24
"""Samples at which a batch is full: 64 MiB."""


def window_starts(samples: int, size: int, step: int) -> Int64[np.ndarray, " windows"]:
    """Return the first sample of each window; the last window ends at the last sample, so that all are covered.

    ::

        sound     a b c d e f g h i      size 4, step 3
        window 0  a b c d
        window 1        d e f g
        window 2            f g h i      begins at 5, not at 6

    A recording shorter than a window is one window.

    Example:
        >>> window_starts(9, 4, 3).tolist(), window_starts(3, 4, 3).tolist()
        ([0, 3, 5], [0])
    """
    starts = np.arange(0, max(1, samples - size + 1), step, dtype=np.int64)
    return np.append(starts, samples - size) if starts[-1] + size < samples else starts


def window_edges(
    starts: Float64[np.ndarray, " windows"], ends: Float64[np.ndarray, " windows"]
) -> Float64[np.ndarray, " edges"]:
    """Return the times between which each window's answer holds: half-way between the middles of neighbours.

    Example:
        >>> window_edges(np.array([0.0, 1.0, 2.0]), np.array([2.0, 3.0, 4.0])).tolist()
        [0.0, 1.5, 2.5, 4.0]

    Raises:
        AudioError: there are gaps between windows, of which nothing is known, or they are not in the order of time.
    """
    middles = (starts + ends) / 2
    unordered = np.flatnonzero(~(np.diff(middles) > 0))  # also NaN
    if len(unordered):
        before, after = (f"{starts[place]:g} to {ends[place]:g} s" for place in (unordered[0], unordered[0] + 1))
        raise AudioError(
            f"wanted windows in the order of time, none twice, got {before} and then {after}; give each once, sorted"
        )
    unheard = np.flatnonzero(starts[1:] - ends[:-1] > GAP)
    if len(unheard):
        end, start = ends[unheard[0]], starts[unheard[0] + 1]
        raise AudioError(
            f"wanted windows without gaps between them, got one that ends at {end:g} s before one that starts at "
            f"{start:g} s; make them with a hop of at most the window"
        )
    return np.concatenate([starts[:1], (middles[1:] + middles[:-1]) / 2, ends[-1:]])


def window_samples(window: int | float, hop: int | float, sample_rate: int) -> tuple[int, int]:
    """Convert window and hop from seconds to samples, from 1 to `LARGEST` each.

    Raises:
        AudioError: one of them is shorter than `SHORTEST`, or is no number.
    """
    check_window(window, hop)
    size, step = (max(1, round(min(float(seconds) * sample_rate, LARGEST))) for seconds in (window, hop))
    return size, step


def check_window(window: Any, hop: Any) -> None:
    """Check a window and a hop in seconds.

    Raises:
        AudioError: one of them is shorter than `SHORTEST`, or is no number.
    """
    if not (_is_length(window) and _is_length(hop)):
        raise AudioError(
            f"wanted a window and a hop of {SHORTEST} seconds or more, got {shown(window)} and {shown(hop)}"
        )


def check_part(path: Path, start: Any, end: Any) -> None:
    """Check the beginning and the end of a part of a file, in seconds; None is the file's own.

    Raises:
        AudioError: one of them is no time in a file: negative, infinite or no number.
    """
    for name, time in (("start", start), ("end", end)):
        if time is not None and not (
            isinstance(time, numbers.Real) and not isinstance(time, bool) and 0 <= float(time) <= sys.float_info.max
        ):
            raise AudioError(f"{path}: wanted {name} as a number of seconds, 0 or more, got {shown(time)}; correct it")


def hop_of(window: Any, hop: Any = None, *, share: int = 2) -> int | float:
    """Return the hop in seconds, by default half a window, after checking both.

    Args:
        window: Length of a window in seconds.
        hop: The hop, if one is given.
        share: What the window is divided by for the default.

    Raises:
        AudioError: see `check_window`.

    Example:
        >>> hop_of(2), hop_of(2, 0.5), hop_of(2, share=4)
        (1.0, 0.5, 0.5)
    """
    step = float(window) / share if hop is None and _is_length(window) else hop
    check_window(window, step)
    return step if isinstance(step, int) else float(step)


def _is_length(value: Any) -> bool:
    """Return whether a value is a number of seconds that a window can have; True and False are none."""
    number: Any = value
    return (
        isinstance(value, numbers.Real)
        and not isinstance(value, bool)
        and bool(SHORTEST <= number <= sys.float_info.max)
    )


def check_covered(window: int | float, hop: int | float) -> None:
    """Check that windows of this length in seconds, at this hop, leave no gaps.

    Raises:
        AudioError: they do, or see `check_window`.
    """
    check_window(window, hop)
    if hop - window > GAP:
        raise AudioError(
            f"wanted a hop of at most the window, for between windows nothing is heard, got {hop:g} s and {window:g} s"
        )


def bounded(items: Iterable[Item], samples_of: Callable[[Item], int]) -> Iterator[list[Item]]:
    """Group items into batches of at most `CHUNK` items and about `MOST_SAMPLES` samples, to bound memory.

    Args:
        items: Windows or recordings in any form.
        samples_of: Returns the number of samples of an item.
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
