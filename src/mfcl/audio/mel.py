"""The mel scale, and triangular filters evenly spaced on it."""

from typing import Literal

import numpy as np
from jaxtyping import Float64

Scale = Literal["slaney", "htk"]
_KNEE_HZ, _KNEE_MEL = 1000.0, 15.0
_STEP = np.log(6.4) / 27  # above 1 kHz, 27 mels are a factor of 6.4 in frequency


def hertz_to_mel(hertz: float, scale: Scale = "slaney") -> float:
    """Convert a frequency in Hz to mels.

    Source: Slaney, "Auditory Toolbox", 1998: linear below 1 kHz, logarithmic above. Young et al., "The HTK Book":
        2595 log10(1 + f / 700).

    Example:
        >>> hertz_to_mel(1000.0), round(hertz_to_mel(1000.0, "htk"), 2)
        (15.0, 999.99)
    """
    if scale == "htk":
        return float(2595 * np.log10(1 + hertz / 700))
    if hertz <= _KNEE_HZ:
        return float(hertz * 3 / 200)
    return float(_KNEE_MEL + np.log(hertz / _KNEE_HZ) / _STEP)


def mel_to_hertz(mels: Float64[np.ndarray, " _"], scale: Scale = "slaney") -> Float64[np.ndarray, " _"]:
    """Convert mels to frequencies in Hz; see `hertz_to_mel`."""
    if scale == "htk":
        return 700 * (10 ** (mels / 2595) - 1)
    above = _KNEE_HZ * np.exp(_STEP * (mels - _KNEE_MEL))
    return np.where(mels < _KNEE_MEL, mels * 200 / 3, above)


def mel_edges(low_hz: float, high_hz: float, bands: int, scale: Scale = "slaney") -> Float64[np.ndarray, " {bands}+2"]:
    """Return the edges in Hz of bands that overlap by half: band i begins at edge i and ends at edge i + 2."""
    mels = np.linspace(hertz_to_mel(low_hz, scale), hertz_to_mel(high_hz, scale), bands + 2)
    return mel_to_hertz(mels, scale)


def mel_triangles(
    sample_rate: int, fft: int, edges: Float64[np.ndarray, " corners"], *, equal_area: bool = True
) -> Float64[np.ndarray, "bands bins"]:
    """Return the weight of each FFT bin in each band.

    Args:
        sample_rate: In Hz.
        fft: Length of the FFT in samples.
        edges: Edges of the bands in Hz; see `mel_edges`.
        equal_area: Scale all triangles to the same area; else they have height 1.
    """
    bins = np.arange(fft // 2 + 1) * sample_rate / fft  # Hz
    widths = np.diff(edges)
    rising = (bins - edges[:-2, None]) / widths[:-1, None]
    falling = (edges[2:, None] - bins) / widths[1:, None]
    triangles: Float64[np.ndarray, "bands bins"] = np.maximum(0, np.minimum(rising, falling))
    return triangles * (2 / (edges[2:] - edges[:-2]))[:, None] if equal_area else triangles
