"""Positions of the two crops of each recording, in samples."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64, Int64

from mfcl.core.random import uniforms
from mfcl.core.settings import bounded, check_settings
from mfcl.errors import AudioError, RecipeError, one_of

UNITS = ("fraction", "seconds")
PLACEMENTS = ("disjoint", "overlapping", "free")


@dataclass(frozen=True)
class CropSettings:
    """Length and placement of the two crops of a recording."""

    length: float = bounded(0.45, 0.0001, 3600.0)
    """Length of a crop, in `unit`."""
    longest: float | None = bounded(None, 0.0001, 3600.0)
    """If set, crop length is drawn uniformly from `length` to this, for each recording and epoch."""
    unit: str = "fraction"
    """Unit of lengths: "fraction" of the recording, or "seconds"."""
    placement: str = "disjoint"
    """Of the two crops: "disjoint" (no common sample), "overlapping" (at least one) or "free" (independent)."""
    gap: float = bounded(0.0, 0.0, 3600.0)
    """Smallest gap between disjoint crops, in `unit`."""
    shortest_seconds: float = bounded(0.05, 0.0, 3600.0)
    """Minimum crop length, where the recording and the placement allow it."""
    most_seconds: float = bounded(5.0, 0.01, 3600.0)
    """Maximum crop length; a fraction of an hour-long recording would not fit into memory."""

    def __post_init__(self) -> None:
        check_settings(self, "crops")
        for name, choice, allowed in (("unit", self.unit, UNITS), ("placement", self.placement, PLACEMENTS)):
            if choice not in allowed:
                raise RecipeError(f"crops.{name}: {one_of(name, choice, allowed)}")
        longest = self.length if self.longest is None else self.longest
        if self.length > longest:
            raise RecipeError(f"crops.length {self.length} must be at most crops.longest {longest}")
        if self.shortest_seconds > self.most_seconds:
            raise RecipeError(
                f"crops.most_seconds is {self.most_seconds}; give at least shortest_seconds {self.shortest_seconds}"
            )
        if self.unit == "seconds" and longest > self.most_seconds:
            raise RecipeError(
                f"crops: {longest} seconds are more than crops.most_seconds {self.most_seconds}; raise most_seconds"
            )
        if self.gap and self.placement != "disjoint":
            raise RecipeError(f"crops.gap {self.gap} is for disjoint crops, not for {self.placement} ones; set it to 0")
        if self.unit == "fraction":
            self._fits(longest)

    def _fits(self, longest: float) -> None:
        if longest > 1:
            raise RecipeError(f"crops: wanted a fraction of at most 1, got {longest}; lower it or use unit: seconds")
        if self.placement == "disjoint" and 2 * longest + self.gap > 1 + 1e-9:
            raise RecipeError(
                f"crops: two disjoint crops of {longest} and a gap of {self.gap} do not fit into a recording; "
                "shorten them or use placement: overlapping"
            )


@dataclass(frozen=True)
class CropPair:
    """Two crops of each recording, in samples; column 0 is the first crop, column 1 the second."""

    starts: Int64[np.ndarray, "items 2"]
    counts: Int64[np.ndarray, "items 2"]


def mean_seconds(settings: CropSettings, lengths: Int64[np.ndarray, " items"], sample_rate: int) -> float:
    """Return the mean length of the crops that are asked for in these recordings, in seconds; `lengths` in samples.

    Crops themselves may be longer, up to `shortest_seconds`, or shorter, where two disjoint ones must fit.

    Example:
        >>> mean_seconds(CropSettings(length=0.45), np.array([16000, 48000]), 16000)
        0.9
    """
    if not len(lengths):
        return 0.0
    asked = settings.length if settings.longest is None else (settings.length + settings.longest) / 2
    clips = lengths / sample_rate
    crops = asked * clips if settings.unit == "fraction" else np.minimum(asked, clips)
    return float(np.minimum(crops, settings.most_seconds).mean())


def crop_pair(
    lengths: Int64[np.ndarray, " items"],
    sample_rate: int,
    settings: CropSettings,
    *,
    seed: int,
    epoch: int,
    recordings: Int64[np.ndarray, " items"],
) -> CropPair:
    """Place two crops in each recording; they depend on the recording, the seed and the epoch only.

    Both crops of a recording have the same length; which comes earlier is random. In a short recording disjoint crops
    shrink until they fit, then the gap shrinks. They never share a sample, except in a recording of one sample.

    Args:
        lengths: Length of each recording in samples, 1 or more.
        sample_rate: In Hz.
        settings: Length and placement of the crops.
        seed: The run's seed.
        epoch: The epoch, from 0.
        recordings: The recordings' indices in the training data.

    Raises:
        AudioError: a recording has no samples.

    Example:
        >>> pair = crop_pair(np.array([16000]), 16000, CropSettings(), seed=0, epoch=0, recordings=np.array([0]))
        >>> pair.counts.tolist()
        [[7200, 7200]]
    """
    if (lengths < 1).any():
        empty = int(recordings[np.argmin(lengths)])
        raise AudioError(f"recording {empty} of the training data has no samples to crop; run `mfcl scan` on the data")
    draws = uniforms(seed, "crops", epoch, recordings, 4)  # length, place, place, order
    counts, gaps = _sizes(lengths, sample_rate, settings, draws[:, 0])
    early, late = _places(lengths, counts, gaps, settings.placement, draws[:, 1], draws[:, 2])
    starts = np.stack([early, late], axis=1)  # (items, 2)
    swapped = draws[:, 3] < 0.5
    starts[swapped] = starts[swapped, ::-1]
    return CropPair(starts=starts, counts=np.stack([counts, counts], axis=1))


def _sizes(
    lengths: Int64[np.ndarray, " items"],
    sample_rate: int,
    settings: CropSettings,
    draw: Float64[np.ndarray, " items"],
) -> tuple[Int64[np.ndarray, " items"], Int64[np.ndarray, " items"]]:
    """Return the lengths of the crops and of the gap, in samples."""
    scale = lengths.astype(np.float64) if settings.unit == "fraction" else np.full(lengths.shape, float(sample_rate))
    longest = settings.length if settings.longest is None else settings.longest
    asked = np.rint((settings.length + (longest - settings.length) * draw) * scale)
    shortest = max(round(settings.shortest_seconds * sample_rate), 1)
    most = max(round(settings.most_seconds * sample_rate), 1)
    counts = np.minimum(np.clip(asked, shortest, max(most, shortest)), lengths).astype(np.int64)
    gaps = np.minimum(np.rint(settings.gap * scale), lengths).astype(np.int64)
    if settings.placement == "disjoint":
        # |--- crop ---|  gap  |--- crop ---|  must fit: shrink the crops to the minimum, then the gap
        least = np.maximum(np.minimum(shortest, lengths // 2), 1)
        counts = np.minimum(counts, np.maximum((lengths - gaps) // 2, least))
        gaps = np.minimum(gaps, np.maximum(lengths - 2 * counts, 0))
    return counts, gaps


def _places(
    lengths: Int64[np.ndarray, " items"],
    counts: Int64[np.ndarray, " items"],
    gaps: Int64[np.ndarray, " items"],
    placement: str,
    first_draw: Float64[np.ndarray, " items"],
    second_draw: Float64[np.ndarray, " items"],
) -> tuple[Int64[np.ndarray, " items"], Int64[np.ndarray, " items"]]:
    """Return the starts of the two crops in samples; for disjoint crops the earlier one first."""
    last = lengths - counts  # the last start that keeps a crop inside
    if placement == "disjoint":
        free = np.maximum(last - counts - gaps, 0)  # samples left over, spread at random before, between and after
        first, second = whole(first_draw, free), whole(second_draw, free)
        return np.minimum(first, second), np.minimum(np.maximum(first, second) + counts + gaps, last)
    first = whole(first_draw, last)
    if placement == "free":
        return first, whole(second_draw, last)
    lowest, highest = np.maximum(first - counts + 1, 0), np.minimum(first + counts - 1, last)
    return first, lowest + whole(second_draw, highest - lowest)


def whole(draw: Float64[np.ndarray, " items"], highest: Int64[np.ndarray, " items"]) -> Int64[np.ndarray, " items"]:
    """Turn uniform draws in (0, 1) into uniform whole numbers from 0 to `highest`."""
    return np.asarray(np.minimum(draw * (highest + 1), highest), dtype=np.int64)
