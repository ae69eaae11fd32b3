"""What is compared when two clips are aligned: frames of unit length in which level and colour no longer count."""

import numpy as np
from jaxtyping import Float32

from mfcl.audio.log_mel import log_mel
from mfcl.errors import MeasureError

BANDS = 40
HOP_SECONDS = 0.020
"""Between frames; the cost of a comparison falls with its square."""
NEPERS = np.log(10) / 10
"""Natural logarithm of power in one decibel."""
LEAST_DEVIATION = 0.5
"""Added to a band's deviation over the clip (in nepers of power), so that a steady band's noise is not blown up."""
SLOPE_WEIGHT = 2.0
"""Weight of the differences over time beside the levels."""
SILENT = 1e-6
"""Length below which a frame has no shape."""


def frames(clip: Float32[np.ndarray, " samples"], sample_rate: int) -> Float32[np.ndarray, "frames dim"]:
    """Return a clip's frames for alignment, each of length 1.

    A frame holds 40 log-mel bands, each standardised over this clip, and their differences to the frames around.
    Standardising takes away the level, the microphone and much of the voice. The last value is 1 where a frame has no
    shape, as in digital silence, and 0 elsewhere: frames without shape equal each other and nothing else.

    Args:
        clip: Mono sound.
        sample_rate: In Hz.

    Returns:
        A frame every 20 ms, the first centred on the first sample; 81 values a frame.

    Raises:
        MeasureError: the clip is empty, or holds NaN or infinity.

    Example:
        >>> frames(np.zeros(800, dtype=np.float32), 16000).shape
        (3, 81)
    """
    if not len(clip):
        raise MeasureError("alignment: a clip with samples is wanted, but one is empty; leave it out")
    if not np.isfinite(clip).all():
        raise MeasureError("alignment: a clip of finite samples is wanted, but one holds NaN or infinity; leave it out")
    levels = NEPERS * log_mel(clip, sample_rate, bands=BANDS, hop_seconds=HOP_SECONDS).T  # (frames, bands)
    levels = (levels - levels.mean(axis=0)) / (levels.std(axis=0) + LEAST_DEVIATION)
    slopes = np.zeros_like(levels)
    slopes[1:-1] = (levels[2:] - levels[:-2]) / 2
    shapes = np.concatenate([levels, SLOPE_WEIGHT * slopes], axis=1)
    lengths = np.linalg.norm(shapes, axis=1, keepdims=True)
    shapeless = lengths < SILENT
    unit = np.where(shapeless, 0.0, shapes / np.maximum(lengths, SILENT))
    return np.concatenate([unit, shapeless], axis=1, dtype=np.float32)
