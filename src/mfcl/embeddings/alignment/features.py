"""Features for alignment: unit-length log-mel frames, normalised for level and channel."""

import numpy as np
from jaxtyping import Float, Float32

from mfcl.audio.log_mel import log_mel
from mfcl.errors import MeasureError

BANDS = 30
LOWEST_HZ = 80.0
"""Lower edge of the bands, to leave out rumble; at most `LOW_SHARE` of the sample rate."""
LOW_SHARE = 1 / 64
HIGH_SHARE = 7 / 16
"""Upper edge of the bands as a share of the sample rate, to leave out what a resampler cut: 7 kHz at 16 kHz."""
HOP_SECONDS = 0.020
"""Hop between frames; the time of an alignment falls with its square."""
NEPERS = np.log(10) / 10
"""Natural logarithm of power in one decibel."""
RANGE = 9.0
"""Nepers of power from a clip's loudest band down to a soft floor (39 dB): quieter sound is mostly the room's."""
LEAST_DEVIATION = 0.3
"""Added to each band's standard deviation (in nepers of power), so that noise in a steady band is not amplified."""
SLOPE_WEIGHT = 2.0
"""Weight of the delta features relative to the levels."""
SILENT = 1e-6
"""Feature length below which a frame counts as silent."""


def frames(
    clip: Float32[np.ndarray, " samples"], sample_rate: int, *, hop_seconds: float = HOP_SECONDS
) -> Float32[np.ndarray, "frames dim"]:
    """Return a clip's feature frames for alignment, each of length 1.

    A frame holds 30 log-mel bands, each standardised over this clip, and their delta features. A soft floor 39 dB below
    the loudest band hides what the room adds; standardising removes the level, the microphone and much of the voice.
    The last value is 1 for silent frames and 0 elsewhere, so that silent frames match only each other.

    Args:
        clip: Mono samples.
        sample_rate: In Hz.
        hop_seconds: Time from frame to frame.

    Returns:
        A frame every 20 ms, or every `hop_seconds`, the first centred on the first sample; 61 values per frame.

    Raises:
        MeasureError: the clip is empty, or holds NaN or infinity.

    Example:
        >>> frames(np.zeros(800, dtype=np.float32), 16000).shape
        (3, 61)
    """
    if not len(clip):
        raise MeasureError("alignment: wanted a clip with samples, but one is empty; leave it out")
    if not np.isfinite(clip).all():
        raise MeasureError("alignment: wanted a clip of finite samples, but one holds NaN or infinity; leave it out")
    low, high = aligned_range(sample_rate)
    decibels = log_mel(clip, sample_rate, bands=BANDS, hop_seconds=hop_seconds, low_hz=low, high_hz=high)
    levels = NEPERS * decibels.T  # (frames, bands)
    levels = np.logaddexp(levels, levels.max() - RANGE)
    levels = (levels - levels.mean(axis=0)) / (levels.std(axis=0) + LEAST_DEVIATION)
    slopes = np.zeros_like(levels)
    slopes[1:-1] = (levels[2:] - levels[:-2]) / 2
    return _of_unit_length(np.concatenate([levels, SLOPE_WEIGHT * slopes], axis=1))


def unit_frames(values: Float32[np.ndarray, "frames dim"]) -> Float32[np.ndarray, "frames more"]:
    """Return a clip's frames of any kind, such as an encoder's, ready for alignment, each of length 1.

    Each feature is standardised over the clip; one that does not change is 0. A last value is appended that is 1 for
    frames with no other value, such as the only frame of a short clip, so that they match only each other.

    Raises:
        MeasureError: there is no frame, or one holds NaN or infinity.

    Example:
        >>> unit_frames(np.array([[0, 5], [2, 5]], dtype=np.float32)).tolist()
        [[-1.0, 0.0, 0.0], [1.0, 0.0, 0.0]]
    """
    if not len(values) or not np.isfinite(values).all():
        raise MeasureError("alignment: wanted one finite frame or more of each clip; leave out clips without")
    precise = values.astype(np.float64)
    deviation = precise.std(axis=0)
    still = deviation <= SILENT * np.abs(precise).max(axis=0)  # what is left is rounding
    return _of_unit_length((precise - precise.mean(axis=0)) / np.where(still, np.inf, deviation))


def _of_unit_length(shapes: Float[np.ndarray, "frames dim"]) -> Float32[np.ndarray, "frames more"]:
    """Scale frames to length 1, and append a value that is 1 for silent frames and 0 elsewhere."""
    lengths = np.linalg.norm(shapes, axis=1, keepdims=True)
    silent = lengths < SILENT
    unit = np.where(silent, 0.0, shapes / np.maximum(lengths, SILENT))
    return np.concatenate([unit, silent], axis=1, dtype=np.float32)


def aligned_range(sample_rate: int) -> tuple[float, float]:
    """Return the lowest and the highest frequency that is compared, in Hz.

    Example:
        >>> aligned_range(16000), aligned_range(1000)
        ((80.0, 7000.0), (15.625, 437.5))
    """
    return min(LOWEST_HZ, LOW_SHARE * sample_rate), HIGH_SHARE * sample_rate
