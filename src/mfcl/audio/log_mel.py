"""The log-mel spectrogram of one clip in NumPy, for whatever takes no training; encoders have their own front end."""

import functools

import numpy as np
from jaxtyping import Float32, Float64
from numpy.lib.stride_tricks import sliding_window_view

WINDOW_SECONDS = 0.025
HOP_SECONDS = 0.010
FLOOR = 1e-8  # of power: -80 dB
FRAMES_AT_ONCE = 4096


def log_mel(
    clip: Float32[np.ndarray, " samples"], sample_rate: int, *, bands: int, hop_seconds: float = HOP_SECONDS
) -> Float64[np.ndarray, "{bands} frames"]:
    """Return a log-mel spectrogram in decibels: frames of 25 ms, silence outside the clip.

    Args:
        clip: Mono sound.
        sample_rate: In Hz.
        bands: Mel bands.
        hop_seconds: Between the centres of two frames; the first lies at the clip's first sample.
    """
    window, hop = round(WINDOW_SECONDS * sample_rate), max(1, round(hop_seconds * sample_rate))
    size = 2 ** int(np.ceil(np.log2(window)))
    frames = 1 + len(clip) // hop
    padded = np.pad(clip, size // 2 + hop)[hop:]
    shape = np.zeros(size)
    start = (size - window) // 2
    shape[start : start + window] = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(window) / window)
    views = sliding_window_view(padded, size)[::hop][:frames]
    filters = mel_filters(sample_rate, size, bands)
    power = [
        filters @ (np.abs(np.fft.rfft(views[at : at + FRAMES_AT_ONCE] * shape, axis=1)) ** 2).T
        for at in range(0, frames, FRAMES_AT_ONCE)
    ]
    decibels: Float64[np.ndarray, "bands frames"] = 10 * np.log10(np.maximum(np.concatenate(power, axis=1), FLOOR))
    return decibels


@functools.lru_cache(maxsize=8)
def mel_filters(sample_rate: int, size: int, bands: int) -> Float64[np.ndarray, "{bands} bins"]:
    """Return triangles of equal area, evenly spaced on Slaney's mel scale from 0 Hz to half the rate.

    Source: Slaney, "Auditory Toolbox", 1998: linear below 1,000 Hz, logarithmic above.
    """
    step = np.log(6.4) / 27
    highest = sample_rate / 2
    top = 15 + np.log(highest / 1000) / step if highest > 1000 else highest * 3 / 200
    mels = np.linspace(0, top, bands + 2)
    corners = np.where(mels < 15, mels * 200 / 3, 1000 * np.exp(step * (mels - 15)))
    bins = np.arange(size // 2 + 1) * sample_rate / size
    widths = np.diff(corners)
    rising = (bins - corners[:-2, None]) / widths[:-1, None]
    falling = (corners[2:, None] - bins) / widths[1:, None]
    triangles = np.maximum(0, np.minimum(rising, falling))
    filters: Float64[np.ndarray, "bands bins"] = triangles * (2 / (corners[2:] - corners[:-2]))[:, None]
    return filters
