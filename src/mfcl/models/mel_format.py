"""Settings of the log-mel spectrogram, and the bands that follow from them."""

from dataclasses import dataclass, field

import numpy as np
import torch
from jaxtyping import Float, Float64
from torch import Tensor

from mfcl.audio.mel import Scale, mel_edges, mel_triangles
from mfcl.core.settings import LATER, bounded, check_settings
from mfcl.embeddings.alignment import aligned_range
from mfcl.errors import RecipeError
from mfcl.models.pcen import PcenSettings


@dataclass(frozen=True)
class MelSettings:
    """Settings of the log-mel spectrogram; samples are at the model's sample rate."""

    fft: int = bounded(1024, 16, 65536)
    """FFT size in samples; the window is zero-padded to it."""
    window: int = bounded(400, 2, 65536)
    """Length of the Hann window in samples."""
    hop: int = bounded(160, 8, 65536)
    """Hop between frames in samples."""
    bands: int = bounded(80, 1, 1024)
    """Number of mel bands."""
    low_hz: float = bounded(0.0, 0.0, 192000.0)
    """Lower edge of the lowest band, in Hz."""
    high_hz: float | None = bounded(None, 1.0, 192000.0)
    """Upper edge of the highest band, in Hz; None is half the sample rate."""
    scale: Scale = "slaney"
    """Mel scale. `slaney`: linear below 1 kHz, filters of equal area. `htk`: HTK's formula, filters of equal height."""
    floor: float = bounded(1e-6, 1e-30, 1000000.0)
    """Minimum power in a band; smaller values are set to it before the logarithm."""
    ceiling: float | None = bounded(None, 1e-30, 1e30)
    """Maximum power in a band; larger values are set to it. None: no maximum."""
    pcen: PcenSettings | None = field(default=None, metadata={LATER: True})
    """Per-channel energy normalisation in place of the logarithm; {}: with its usual values; None: the logarithm."""

    def __post_init__(self) -> None:
        """Refuse settings that do not fit together."""
        check_settings(self, "mel_format")
        if self.fft % 2:
            raise RecipeError(f"mel_format.fft: wanted an even number of samples, got {self.fft}")
        if self.window > self.fft:
            raise RecipeError(f"mel_format.window: wanted at most fft ({self.fft}) samples, got {self.window}")
        if self.ceiling is not None and not self.ceiling > self.floor:
            raise RecipeError(f"mel_format.ceiling: wanted more than the floor ({self.floor}), got {self.ceiling}")
        if self.high_hz is not None and not self.low_hz < self.high_hz:
            raise RecipeError(f"mel_format: wanted 0 <= low_hz < high_hz, got {self.low_hz} and {self.high_hz}")


def mel_filterbank(settings: MelSettings, sample_rate: int) -> Float[Tensor, "bands bins"]:
    """Return the mel filterbank: the weight of every FFT bin in every band, triangles that overlap by half.

    Raises:
        RecipeError: the bands reach beyond half the sample rate.

    Example:
        >>> mel_filterbank(MelSettings(fft=512, bands=40), 16000).shape
        torch.Size([40, 257])
    """
    high = sample_rate / 2 if settings.high_hz is None else settings.high_hz
    if not settings.low_hz < high <= sample_rate / 2:
        raise RecipeError(
            f"mel_format: bands from {settings.low_hz:g} to {high:g} Hz do not fit below half the sample rate "
            f"({sample_rate / 2:g} Hz); lower high_hz or raise preparation.sample_rate"
        )
    edges = mel_edges(settings.low_hz, high, settings.bands, settings.scale)
    bank = mel_triangles(sample_rate, settings.fft, edges, equal_area=settings.scale == "slaney")
    return torch.from_numpy(bank.astype(np.float32))


def aligned_bands(settings: MelSettings, sample_rate: int) -> slice:
    """Return the bands whose centres lie in the range that is aligned; all, if fewer than half do."""
    high = sample_rate / 2 if settings.high_hz is None else settings.high_hz
    centres = mel_edges(settings.low_hz, high, settings.bands, settings.scale)[1:-1]
    return chosen_bands(centres, sample_rate)


def chosen_bands(centres: Float64[np.ndarray, " bands"], sample_rate: int) -> slice:
    """Return those of ascending centre frequencies (Hz) that are aligned; all, if fewer than half would be."""
    low, high = aligned_range(sample_rate)
    first, stop = np.searchsorted(centres, (low, high)).tolist()
    return slice(first, stop) if 2 * (stop - first) >= len(centres) else slice(0, len(centres))
