"""How accurate a classifier is, told by a few recordings drawn at random and labelled for nothing else."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from jaxtyping import Int64, Shaped

from mfcl.core.console import worded
from mfcl.core.random import generator
from mfcl.errors import MeasureError, check_number, check_type

MOST_NEEDED = 10**8
"""Largest number of labels that is looked for."""


@dataclass(frozen=True)
class Estimate:
    """Accuracy on held-out recordings.

    Attributes:
        right: Recordings whose label was predicted.
        count: Recordings that were held out and labelled.
        accuracy: Share that was predicted right, 0 to 1.
        low: Lower end of the interval.
        high: Upper end of the interval.
        level: Confidence level of the interval.
    """

    right: int
    count: int
    accuracy: float
    low: float
    high: float
    level: float

    def more_for(self, width: int | float) -> int:
        """Return how many further held-out labels make the interval this wide, if the accuracy stays as it looks now.

        Args:
            width: Upper end minus lower end, 0 to 1.

        Raises:
            MeasureError: the width is out of range.

        Example:
            >>> estimate(np.array(["a"] * 20), np.array(["a"] * 18 + ["b"] * 2)).more_for(0.1)
            121
        """
        check_number("width", width, 1e-3, 1, error=MeasureError)
        return max(0, _needed(self.accuracy, width, self.level) - self.count)

    def __str__(self) -> str:
        """Return it in one line.

        Example:
            >>> str(estimate(np.array(["a", "b"]), np.array(["a", "a"])))
            '50 % [9, 91] of 2 held-out labels'
        """
        ends = f"[{100 * self.low:.0f}, {100 * self.high:.0f}]"
        return f"{100 * self.accuracy:.0f} % {ends} of {worded(self.count, 'held-out label')}"


def estimate(predicted: Shaped[np.ndarray, " _"], truth: Shaped[np.ndarray, " _"], *, level: float = 0.95) -> Estimate:
    """Return the accuracy on held-out recordings with its Wilson interval.

    The recordings must have been drawn at random, see `draw_held_out`, and their labels must not have been used to fit.
    Recordings whose true label is not known are left out. Labels of recordings that were chosen, because they are
    typical or doubtful, say nothing about the others. The interval holds for recordings like the ones drawn from: of
    new speakers or places it may be too narrow.

    Args:
        predicted: Predicted label of each recording; `unknown` counts as wrong, unless it is the true label.
        truth: True label of each recording; "" or None where it is not known.
        level: Confidence level, 0.5 to 0.999.

    Raises:
        MeasureError: the numbers of labels differ, or no true label is known.

    Source: Wilson, "Probable inference, the law of succession, and statistical inference", JASA 22, 1927.
    """
    check_number("level", level, 0.5, 0.999, error=MeasureError)
    predicted, truth = np.asarray(predicted), np.asarray(truth)
    if predicted.ndim != 1 or predicted.shape != truth.shape:
        raise MeasureError(
            f"estimate: wanted one predicted and one true label per recording, got {predicted.shape} and {truth.shape}"
        )
    known = known_labels(truth, len(truth))
    held = known != ""
    if not held.any():
        raise MeasureError(
            "estimate: wanted true labels of held-out recordings, but none is known; label the ones of `draw_held_out`"
        )
    count, right = int(held.sum()), int((known_labels(predicted, len(predicted))[held] == known[held]).sum())
    low, high = wilson(right, count, level=level)
    return Estimate(right, count, right / count, low, high, level)


def wilson(right: int | float, count: int, *, level: float = 0.95) -> tuple[float, float]:
    """Return the Wilson score interval of a share.

    Example:
        >>> [round(end, 3) for end in wilson(9, 10)]
        [0.596, 0.982]
    """
    deviate = NormalDist().inv_cdf((1 + level) / 2)
    share = right / count
    widened = 1 + deviate**2 / count
    middle = (share + deviate**2 / (2 * count)) / widened
    half = deviate / widened * math.sqrt(share * (1 - share) / count + deviate**2 / (4 * count**2))
    low = 0.0 if right <= 0 else max(0.0, middle - half)
    return low, 1.0 if right >= count else min(1.0, middle + half)


def draw_held_out(labels: Shaped[np.ndarray, " items"], count: int, *, seed: int = 0) -> Int64[np.ndarray, " drawn"]:
    """Draw recordings without a label at random, each with equal probability, to hold out and label.

    With the same seed and labels, a smaller draw is the beginning of a larger one.

    Args:
        labels: Known labels; "" or None where unknown.
        count: Recordings to draw.
        seed: Seed of the draw.

    Raises:
        MeasureError: there are not so many recordings without a label, or the count is no whole number.
    """
    check_type("labels", labels, Sequence | np.ndarray, "a label for each recording", error=MeasureError)
    unknown = np.flatnonzero(known_labels(labels, len(labels)) == "")
    if not len(unknown):
        raise MeasureError(
            f"held out: all {len(labels)} recordings have a label, so none is left to draw; add recordings"
        )
    if isinstance(count, bool) or not isinstance(count, int | np.integer) or not 1 <= count <= len(unknown):
        raise MeasureError(
            f"held out: wanted a count from 1 to {len(unknown)} (the unlabelled recordings), got {count}; ask for fewer"
        )
    drawn: Int64[np.ndarray, " drawn"] = generator(seed, "held out").permutation(unknown)[:count]
    return drawn


def known_labels(labels: Shaped[np.ndarray, "..."], items: int) -> Shaped[np.ndarray, " items"]:
    """Return labels as strings, "" for None, after checking that there is one per item.

    Raises:
        MeasureError: there is not, or one is no text.
    """
    given = np.asarray(labels)
    if given.shape != (items,):
        raise MeasureError(f"labels: wanted one label per recording, for {items}, got shape {given.shape}")
    if given.dtype.kind == "O":
        plain = ["" if one is None else one for one in given.tolist()]
        wrong = next((one for one in plain if not isinstance(one, str)), None)
        if wrong is not None:
            raise MeasureError(f'labels: wanted texts, and "" or None where unknown, got {type(wrong).__name__}')
        return np.array(plain, dtype=np.str_)
    if given.dtype.kind not in "Uiu":
        raise MeasureError(f'labels: wanted texts, and "" or None where unknown, got {given.dtype}')
    return given.astype(np.str_)


def _needed(accuracy: float, width: int | float, level: float) -> int:
    """Return the smallest count whose interval is at most this wide at this accuracy, by bisection."""

    def wide(count: int) -> bool:
        low, high = wilson(accuracy * count, count, level=level)
        return high - low > width

    low, high = 0, MOST_NEEDED
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if wide(middle) else (low, middle)
    return high
