"""Where the two crops of a recording lie; whole samples, all recordings at once."""

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
    """How long the two crops of a recording are and how they lie to each other."""

    length: float = bounded(0.45, 0.0001, 3600.0)
    """Length of a crop, in `unit`."""
    longest: float | None = bounded(None, 0.0001, 3600.0)
    """If set, each recording draws its crops' length evenly between `length` and this, anew in every epoch."""
    unit: str = "fraction"
    """"fraction" of the recording, or "seconds"."""
    placement: str = "disjoint"
    """"disjoint": no sample in both; "overlapping": at least one in both; "free": each anywhere."""
    gap: float = bounded(0.0, 0.0, 3600.0)
    """Least distance between disjoint crops, in `unit`."""
    shortest_seconds: float = bounded(0.05, 0.0, 3600.0)
    """Crops are made at least this long where the recording and the placement allow it."""
    most_seconds: float = bounded(5.0, 0.01, 3600.0)
    """Crops are never longer: a fraction of an hour of sound would not fit into memory."""

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
                f"crops: {longest} seconds are more than crops.most_seconds {self.most_seconds}; raise it"
            )
        if self.gap and self.placement != "disjoint":
            raise RecipeError(f"crops.gap {self.gap} means nothing for {self.placement} crops; set it to 0")
        if self.unit == "fraction":
            self._fits(longest)

    def _fits(self, longest: float) -> None:
        if longest > 1:
            raise RecipeError(f"crops: {longest} of a recording is more than all of it; use at most 1 or unit: seconds")
        if self.placement == "disjoint" and 2 * longest + self.gap > 1 + 1e-9:
            raise RecipeError(
                f"crops: two disjoint crops of {longest} and a gap of {self.gap} do not fit into a recording; "
                "shorten them or use placement: overlapping"
            )


@dataclass(frozen=True)
class CropPair:
    """Two crops of each recording, in samples; column 0 is the first crop, which becomes a waveform."""

    starts: Int64[np.ndarray, "items 2"]
    counts: Int64[np.ndarray, "items 2"]


def crop_pair(
    lengths: Int64[np.ndarray, " items"],
    sample_rate: int,
    settings: CropSettings,
    *,
    seed: int,
    epoch: int,
    recordings: Int64[np.ndarray, " items"],
) -> CropPair:
    """Place two crops in each recording; a recording's crops depend on it, the seed and the epoch alone.

    Both crops of a recording are equally long and inside it; which of them comes earlier is drawn. A recording that is
    too short for what is asked gives what it has: disjoint crops shrink until they fit (and at last give up the gap)
    and never share a sample, except in a recording of one sample, which is both crops.

    Args:
        lengths: Samples of each recording, 1 or more.
        sample_rate: In Hz.
        settings: What is asked.
        seed: The run's seed.
        epoch: How often the data has been seen.
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
    turned = draws[:, 3] < 0.5
    starts[turned] = starts[turned, ::-1]
    return CropPair(starts=starts, counts=np.stack([counts, counts], axis=1))


def _sizes(
    lengths: Int64[np.ndarray, " items"],
    sample_rate: int,
    settings: CropSettings,
    draw: Float64[np.ndarray, " items"],
) -> tuple[Int64[np.ndarray, " items"], Int64[np.ndarray, " items"]]:
    """Return the samples of a crop and of the gap."""
    scale = lengths.astype(np.float64) if settings.unit == "fraction" else np.full(lengths.shape, float(sample_rate))
    longest = settings.length if settings.longest is None else settings.longest
    asked = np.rint((settings.length + (longest - settings.length) * draw) * scale)
    shortest = max(round(settings.shortest_seconds * sample_rate), 1)
    most = max(round(settings.most_seconds * sample_rate), 1)
    counts = np.minimum(np.clip(asked, shortest, max(most, shortest)), lengths).astype(np.int64)
    gaps = np.minimum(np.rint(settings.gap * scale), lengths).astype(np.int64)
    if settings.placement == "disjoint":
        # |--- crop ---|  gap  |--- crop ---|  must fit: shrink the crops, but below the shortest shrink the gap
        least = np.maximum(np.minimum(shortest, lengths // 2), 1)
        counts = np.minimum(counts, np.maximum((lengths - gaps) // 2, least))
        gaps = np.minimum(gaps, np.maximum(lengths - 2 * counts, 0))
    return counts, gaps


def _places(
    lengths: Int64[np.ndarray, " items"],
    counts: Int64[np.ndarray, " items"],
    gaps: Int64[np.ndarray, " items"],
    placement: str,
    one: Float64[np.ndarray, " items"],
    two: Float64[np.ndarray, " items"],
) -> tuple[Int64[np.ndarray, " items"], Int64[np.ndarray, " items"]]:
    """Return the two starts; for disjoint crops the earlier one first."""
    last = lengths - counts  # the last start that keeps a crop inside
    if placement == "disjoint":
        free = np.maximum(last - counts - gaps, 0)  # samples left over, shared out before, between and after
        first, second = whole(one, free), whole(two, free)
        return np.minimum(first, second), np.minimum(np.maximum(first, second) + counts + gaps, last)
    first = whole(one, last)
    if placement == "free":
        return first, whole(two, last)
    lowest, highest = np.maximum(first - counts + 1, 0), np.minimum(first + counts - 1, last)
    return first, lowest + whole(two, highest - lowest)


def whole(draw: Float64[np.ndarray, " items"], highest: Int64[np.ndarray, " items"]) -> Int64[np.ndarray, " items"]:
    """Turn draws in (0, 1) into whole numbers from 0 to `highest`, all equally likely."""
    return np.asarray(np.minimum(draw * (highest + 1), highest), dtype=np.int64)
