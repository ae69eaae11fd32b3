"""Endpoints: where the sound of a clip begins and ends, measured against the clip's own noise floor."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float32, Float64, Int64

FRAMES_PER_SECOND = 100
"""Frames of 10 ms, as for trimming."""
LONGEST_SECONDS = 30.0
"""Longer recordings are kept whole: they are scenes, and a floor of the whole says little about a part."""
FEWEST = 8
"""Frames; a shorter clip is kept whole."""
SMOOTHED = 5
"""Frames over which power is averaged, so that a click is no peak."""
FLOOR_PERCENT = 10
"""The noise floor is this percentile of a clip's levels."""
DEEPEST_DB = 60.0
"""Levels are at least this far below the loudest: digital silence is no floor to measure from."""
LEAST_RANGE_DB = 10.0
"""A clip whose loudest frames are less than this above its floor is steady and kept whole."""
FLOOR_SHARE = 0.2
"""Sound is louder than this share of the way from the floor to the loudest, in dB ..."""
BELOW_DB = 32.0
"""... and at most this far below the loudest."""
SHORTEST_RUN = 5
"""Frames; shorter runs are clicks."""
JOINED = 25
"""Runs of sound at most this many frames apart are one."""
MARGIN = 5
"""Frames kept on either side."""
MOST_KEPT = 0.75
"""A clip of which this share or more would be kept stays whole: its quiet ends are weak speech rather than silence."""


class Span(NamedTuple):
    """Frames of a clip that hold its main sound."""

    first: int
    """The first frame."""
    last: int
    """The frame after the last."""
    runs: int
    """Separate runs of sound in the clip; 0 if none stands out from the floor."""


def sound_span(power: Float64[np.ndarray, " frames"]) -> Span:
    """Find the main sound of a clip in the power of its frames: the run with the most energy, with its near ones.

    All frames are kept of a clip that is steady, shorter than 80 ms, or mostly sound. The result depends on the ratios
    of the powers alone, not on the clip's level.

    Args:
        power: Mean square of each frame of 10 ms.

    Example:
        >>> sound_span(np.array([1e-6] * 50 + [1.0] * 30 + [1e-6] * 50))
        Span(first=43, last=87, runs=1)
    """
    whole = Span(0, len(power), 0)
    if len(power) < FEWEST or not power.max() > 0:
        return whole
    around = np.pad(power, SMOOTHED // 2, mode="edge")
    smooth = np.convolve(around, np.full(SMOOTHED, 1 / SMOOTHED), "valid")
    level = 10 * np.log10(np.maximum(smooth / smooth.max(), 10 ** (-DEEPEST_DB / 10)))  # 0 is the loudest
    floor = float(np.percentile(level, FLOOR_PERCENT))
    if floor > -LEAST_RANGE_DB:
        return whole
    runs = joined_runs(active_runs(level > max(-BELOW_DB, (1 - FLOOR_SHARE) * floor)))
    if not len(runs):
        return whole
    first, last = _main(runs, power)
    first, last = max(first - MARGIN, 0), min(last + MARGIN, len(power))
    if last - first >= MOST_KEPT * len(power):
        first, last = 0, len(power)
    return Span(first, last, len(runs))


def frame_power(samples: Float32[np.ndarray, " samples"], frame: int) -> Float64[np.ndarray, " frames"]:
    """Return the mean square of each frame of `frame` samples; the last frame may be shorter."""
    edges = np.arange(0, samples.size, frame)
    energy = np.add.reduceat(np.square(samples, dtype=np.float64), edges)
    power: Float64[np.ndarray, " frames"] = energy / np.diff(np.append(edges, samples.size))
    return power


class FrameSums:
    """Sums over the frames of a recording that comes in blocks, to find its sound at the end; bounded memory."""

    def __init__(self, sample_rate: int) -> None:
        self._rate, self._frame = sample_rate, max(1, sample_rate // FRAMES_PER_SECOND)
        self._samples = 0
        self._rest = np.zeros(0)  # of a frame that is not complete yet
        self._sums: list[tuple[Float64[np.ndarray, " frames"], Float64[np.ndarray, " frames"]]] = []

    def add(self, block: Float64[np.ndarray, " samples"]) -> None:
        """Add the next samples."""
        self._samples += block.size
        if self._samples > LONGEST_SECONDS * self._rate:
            self._sums, self._rest = [], self._rest[:0]
            return
        waiting = np.concatenate([self._rest, block])
        whole = len(waiting) // self._frame * self._frame
        self._rest = waiting[whole:]
        self._append(waiting[:whole].reshape(-1, self._frame))

    def sound(self, mean: float) -> tuple[float, int] | None:
        """Return the seconds of sound and its runs; None if there are no samples or more than 30 s of them.

        Args:
            mean: The recording's mean, which is no sound.
        """
        if not 0 < self._samples <= LONGEST_SECONDS * self._rate:
            return None
        if self._rest.size:
            self._append(self._rest[None])
            self._rest = self._rest[:0]
        sums, squares = (np.concatenate(side) for side in zip(*self._sums, strict=True))
        counts = np.full(len(sums), self._frame)
        counts[-1] = self._samples - self._frame * (len(sums) - 1)
        span = sound_span(np.maximum(squares / counts - 2 * mean * sums / counts + mean**2, 0.0))
        return (min(span.last * self._frame, self._samples) - span.first * self._frame) / self._rate, span.runs

    def _append(self, frames: Float64[np.ndarray, "frames _"]) -> None:
        self._sums.append((frames.sum(axis=1), np.einsum("ij,ij->i", frames, frames)))


def active_runs(active: Bool[np.ndarray, " frames"]) -> Int64[np.ndarray, "runs 2"]:
    """Return the first frame of each run of active frames and the frame after its last; clicks are left out."""
    changes = np.diff(np.concatenate([[False], active, [False]]).astype(np.int8))
    found = np.flatnonzero(changes).reshape(-1, 2)
    runs: Int64[np.ndarray, "runs 2"] = found[found[:, 1] - found[:, 0] >= SHORTEST_RUN]
    return runs


def joined_runs(runs: Int64[np.ndarray, "runs 2"]) -> Int64[np.ndarray, "joined 2"]:
    """Join runs that are at most `JOINED` frames apart."""
    if not len(runs):
        return runs
    apart = runs[1:, 0] - runs[:-1, 1] > JOINED
    return np.stack([runs[np.append(True, apart), 0], runs[np.append(apart, True), 1]], axis=1)


def _main(runs: Int64[np.ndarray, "runs 2"], power: Float64[np.ndarray, " frames"]) -> tuple[int, int]:
    """Return the limits of the run with the most energy; ties go to the first."""
    total = np.concatenate([[0.0], np.cumsum(power)])
    energy = total[runs[:, 1]] - total[runs[:, 0]]
    # equal events tie to a millionth, so that the order of summation does not choose between them
    first, last = runs[np.argmax(energy >= (1 - 1e-6) * energy.max())].tolist()
    return first, last
