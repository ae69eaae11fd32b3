"""Log-mel spectrogram of one clip in NumPy, for baselines and figures; encoders have their own front end."""

import functools

import numpy as np
from jaxtyping import Float32, Float64
from numpy.lib.stride_tricks import sliding_window_view

from mfcl.audio.mel import mel_edges, mel_triangles

WINDOW_SECONDS = 0.025
HOP_SECONDS = 0.010
FLOOR = 1e-8  # lowest power: -80 dB
FRAMES_AT_ONCE = 4096
LOUD_DB = 25.0
"""A frame is loud if its mean level over the bands is at most so far below the clip's highest."""


def log_mel(
    clip: Float32[np.ndarray, " samples"],
    sample_rate: int,
    *,
    bands: int,
    hop_seconds: float = HOP_SECONDS,
    low_hz: float = 0.0,
    high_hz: float | None = None,
) -> Float64[np.ndarray, "{bands} frames"]:
    """Return a log-mel spectrogram in dB, with Hann windows of 25 ms and zeros outside the clip.

    Args:
        clip: Mono samples.
        sample_rate: In Hz.
        bands: Number of mel bands.
        hop_seconds: Hop between frames; the first frame is centred on the first sample.
        low_hz: Lower edge of the lowest band.
        high_hz: Upper edge of the highest band; default: half the sample rate.
    """
    window, hop = round(WINDOW_SECONDS * sample_rate), max(1, round(hop_seconds * sample_rate))
    size = 2 ** int(np.ceil(np.log2(window)))
    frames = 1 + len(clip) // hop
    padded = np.pad(clip, size // 2 + hop)[hop:]
    shape = np.zeros(size)
    start = (size - window) // 2
    shape[start : start + window] = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(window) / window)
    views = sliding_window_view(padded, size)[::hop][:frames]
    filters = mel_filters(sample_rate, size, bands, low_hz, high_hz)
    power = [
        filters @ (np.abs(np.fft.rfft(views[at : at + FRAMES_AT_ONCE] * shape, axis=1)) ** 2).T
        for at in range(0, frames, FRAMES_AT_ONCE)
    ]
    decibels: Float64[np.ndarray, "bands frames"] = 10 * np.log10(np.maximum(np.concatenate(power, axis=1), FLOOR))
    return decibels


@functools.lru_cache(maxsize=8)
def mel_filters(
    sample_rate: int, size: int, bands: int, low_hz: float = 0.0, high_hz: float | None = None
) -> Float64[np.ndarray, "{bands} bins"]:
    """Return triangular filters of equal area, evenly spaced on Slaney's mel scale, up to half the rate by default."""
    return mel_triangles(sample_rate, size, mel_edges(low_hz, high_hz or sample_rate / 2, bands))
