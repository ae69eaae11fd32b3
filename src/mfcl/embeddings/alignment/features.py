"""Features for alignment: unit-length log-mel frames, normalised for level and channel."""

import numpy as np
from jaxtyping import Float32

from mfcl.audio.log_mel import log_mel
from mfcl.errors import MeasureError

BANDS = 40
HOP_SECONDS = 0.020
"""Hop between frames; the time of an alignment falls with its square."""
NEPERS = np.log(10) / 10
"""Natural logarithm of power in one decibel."""
LEAST_DEVIATION = 0.5
"""Added to each band's standard deviation (in nepers of power), so that noise in a steady band is not amplified."""
SLOPE_WEIGHT = 2.0
"""Weight of the delta features relative to the levels."""
SILENT = 1e-6
"""Feature length below which a frame counts as silent."""


def frames(clip: Float32[np.ndarray, " samples"], sample_rate: int) -> Float32[np.ndarray, "frames dim"]:
    """Return a clip's feature frames for alignment, each of length 1.

    A frame holds 40 log-mel bands, each standardised over this clip, and their delta features. Standardising removes
    the level, the microphone and much of the voice. The last value is 1 for silent frames and 0 elsewhere, so that
    silent frames match only each other.

    Args:
        clip: Mono samples.
        sample_rate: In Hz.

    Returns:
        A frame every 20 ms, the first centred on the first sample; 81 values per frame.

    Raises:
        MeasureError: the clip is empty, or holds NaN or infinity.

    Example:
        >>> frames(np.zeros(800, dtype=np.float32), 16000).shape
        (3, 81)
    """
    if not len(clip):
        raise MeasureError("alignment: wanted a clip with samples, but one is empty; leave it out")
    if not np.isfinite(clip).all():
        raise MeasureError("alignment: wanted a clip of finite samples, but one holds NaN or infinity; leave it out")
    levels = NEPERS * log_mel(clip, sample_rate, bands=BANDS, hop_seconds=HOP_SECONDS).T  # (frames, bands)
    levels = (levels - levels.mean(axis=0)) / (levels.std(axis=0) + LEAST_DEVIATION)
    slopes = np.zeros_like(levels)
    slopes[1:-1] = (levels[2:] - levels[:-2]) / 2
    shapes = np.concatenate([levels, SLOPE_WEIGHT * slopes], axis=1)
    lengths = np.linalg.norm(shapes, axis=1, keepdims=True)
    silent = lengths < SILENT
    unit = np.where(silent, 0.0, shapes / np.maximum(lengths, SILENT))
    return np.concatenate([unit, silent], axis=1, dtype=np.float32)
