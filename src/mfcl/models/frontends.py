"""Front ends, from a waveform to the two formats: the scaled waveform, and its log-mel spectrogram.

They are modules inside the model and saved with it, so training, embedding and serving use the same settings. A clip's
features depend on that clip alone.
"""

import math
from collections.abc import Iterable, Sequence

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn
from torch.nn import functional

from mfcl.audio.log_mel import LOUD_DB
from mfcl.models.encoders.base import Frames, merged, within
from mfcl.models.mel_format import MelSettings, aligned_bands, mel_filterbank
from mfcl.models.pcen import PcenSettings, compressed, smoothed

__all__ = ["ALIGNED_SECONDS", "LogMel", "MelSettings", "Waveform", "aligned_bands", "mel_filterbank"]

BANDS_AT_ONCE = 20
"""Bands per piece of the filterbank: smaller pieces skip more zeros, but make matrix products too small to be fast."""
SAMPLES_AT_ONCE = {"cpu": 2**17, "cuda": 2**22}
"""Samples whose spectra are made at once, but at least one clip: 2 x 3 MiB at a hop of 160 and an fft of 1,024.

More at once takes up to twice the time, as they no longer fit into the processor's cache; a GPU is given more."""
ALIGNED_SECONDS = 0.020
"""Hop between the frames that are aligned."""
LOUD_NEPERS = LOUD_DB * math.log(10) / 10
"""`LOUD_DB` for natural logarithms of powers."""
QUIETEST = 1e-5
"""Smallest standard deviation to divide by: constant training data (digital silence) must not give infinities."""


class LogMel(nn.Module):
    """Log-mel spectrograms, standardised in each band by the mean and standard deviation of the training data.

    Frames are centred on every `hop`-th sample, from the first. Clips are padded with zeros, not by reflection, so a
    clip gives the same frames alone and in a padded batch. A clip of n samples has 1 + n // hop frames.

    Attributes:
        hop_seconds: Hop between frames in seconds.
        mean: Mean log power of each band over the training data; 0 until `fit_normalisation`.
        deviation: Standard deviation of the log power of each band; 1 until `fit_normalisation`.
        pcen_mean: With `pcen`: mean of the normalised energies, which are then what is standardised.
        pcen_deviation: With `pcen`: their standard deviation.
    """

    mean: Tensor
    deviation: Tensor
    pcen_mean: Tensor
    pcen_deviation: Tensor
    window: Tensor
    filterbank: Tensor

    def __init__(self, settings: MelSettings, sample_rate: int) -> None:
        super().__init__()
        self.settings, self.sample_rate = settings, sample_rate
        self.hop_seconds = settings.hop / sample_rate
        # not saved: window and filterbank follow from the settings
        around = settings.fft - settings.window
        # on the processor even in an outline of a model: on the meta device torch would load its compiler (80 MB)
        hann = torch.hann_window(settings.window, device="cpu")
        window = functional.pad(hann, (around // 2, around - around // 2))
        self.register_buffer("window", window, persistent=False)
        self.register_buffer("filterbank", mel_filterbank(settings, sample_rate), persistent=False)
        self.pieces = _pieces(self.filterbank)
        self.aligned_bands = aligned_bands(settings, sample_rate)
        self.register_buffer("mean", torch.zeros(settings.bands))
        self.register_buffer("deviation", torch.ones(settings.bands))
        if settings.pcen is not None:
            self.register_buffer("pcen_mean", torch.zeros(settings.bands))
            self.register_buffer("pcen_deviation", torch.ones(settings.bands))

    def forward(
        self, wave: Float[Tensor, "batch samples"], lengths: Int64[Tensor, " batch"] | None = None
    ) -> tuple[Float[Tensor, "batch bands frames"], Int64[Tensor, " batch"] | None]:
        """Return normalised log-mels and the number of frames of each clip; padding is zero.

        Args:
            wave: Waveforms at the model's sample rate, zeros after each clip's end.
            lengths: Samples of each clip; None if there is no padding.
        """
        mel, frames = self.log_power(wave, lengths)
        return self.normalise(mel, frames), frames

    def filters(self) -> list[tuple[int, int, Float[Tensor, "some doubled_bins"]]]:
        """Return the filterbank in pieces of adjacent bands, each as (first column, last column, weights).

        A column is the real or imaginary part of an FFT bin, so each weight stands twice. Most weights are zero; a
        piece leaves out the bins in which all its bands have weight zero.
        """
        return [
            (2 * first, 2 * last, self.filterbank[bands, first:last].repeat_interleave(2, dim=1))
            for bands, first, last in self.pieces
        ]

    def log_power(
        self, wave: Float[Tensor, "batch samples"], lengths: Int64[Tensor, " batch"] | None = None
    ) -> tuple[Float[Tensor, "batch bands frames"], Int64[Tensor, " batch"] | None]:
        """Return the natural logarithm of the power in each band, and the number of frames of each clip."""
        settings = self.settings
        with torch.autocast(wave.device.type, enabled=False):  # bf16 is too coarse to sum powers
            most = SAMPLES_AT_ONCE.get(wave.device.type, SAMPLES_AT_ONCE["cpu"])
            filters, at_once = self.filters(), max(1, most // max(wave.shape[1], 1))
            starts = range(0, max(len(wave), 1), at_once)
            mel = torch.cat([self._log_power(wave[start : start + at_once], filters) for start in starts])
        return mel, None if lengths is None else 1 + lengths // settings.hop

    def _log_power(
        self, wave: Float[Tensor, "some samples"], filters: Sequence[tuple[int, int, Tensor]]
    ) -> Float[Tensor, "some bands frames"]:
        settings = self.settings
        # frames are centred as torch.stft's are
        padded = functional.pad(wave.float(), (settings.fft // 2, settings.fft))
        pieces = padded.unfold(1, settings.fft, settings.hop)[:, : 1 + wave.shape[1] // settings.hop]
        spectrum = torch.fft.rfft(pieces * self.window)  # (some, frames, bins)
        parts = torch.view_as_real(spectrum).flatten(-2)  # real and imaginary parts interleaved
        squares = parts.square_().transpose(1, 2)  # the product below adds the two parts
        power = torch.cat([weights @ squares[:, first:last] for first, last, weights in filters], dim=1)
        return power.clamp_(settings.floor, settings.ceiling).log_()

    def normalise(
        self, mel: Float[Tensor, "batch bands frames"], lengths: Int64[Tensor, " batch"] | None
    ) -> Float[Tensor, "batch bands frames"]:
        """Standardise log-mels by the training data's mean and standard deviation; padding becomes zero.

        With `pcen` they are first turned into normalised energies, so that what changes log-mels in training changes
        what these are made of.

        Args:
            mel: Log-mels from `log_power`.
            lengths: Frames of each clip; None if there is no padding.
        """
        if self.settings.pcen is None:
            scaled = (mel - self.mean[:, None]) / self.deviation[:, None]
        else:
            scaled = (self.energies(mel, self.settings.pcen) - self.pcen_mean[:, None]) / self.pcen_deviation[:, None]
        return scaled if lengths is None else scaled * within(lengths, mel.shape[2])[:, None]

    def energies(
        self, mel: Float[Tensor, "batch bands frames"], settings: PcenSettings
    ) -> Float[Tensor, "batch bands frames"]:
        """Return log powers after per-channel energy normalisation; a frame depends on those before it alone."""
        with torch.autocast(mel.device.type, enabled=False):
            mel = mel.float()
            return compressed(mel, self.smoothed(mel.exp(), settings.smoothing(self.hop_seconds)), settings)

    def smoothed(
        self, power: Float[Tensor, "batch bands frames"], weight: float
    ) -> Float[Tensor, "batch bands frames"]:
        """Return powers smoothed over the past; see `mfcl.models.pcen.smoothed`."""
        return smoothed(power, weight)

    def spectrum(self, mel: Float[Tensor, "batch bands frames"], lengths: Int64[Tensor, " batch"] | None) -> Frames:
        """Return the log powers of normalised log-mels, averaged over about 20 ms: what is aligned."""
        power = mel * self.deviation[:, None] + self.mean[:, None]
        power = power if lengths is None else power * within(lengths, mel.shape[2])[:, None]
        power = power[:, self.aligned_bands]
        return merged(Frames(power.transpose(1, 2), lengths), max(1, round(ALIGNED_SECONDS / self.hop_seconds)))

    def average_spectrum(
        self, mel: Float[Tensor, "batch bands frames"], lengths: Int64[Tensor, " batch"] | None
    ) -> Float[Tensor, "batch bands"]:
        """Return the mean of normalised log-mels over a clip's loud frames, which tells voices, and microphones, apart.

        Loud is a frame whose mean log power over the bands is within `LOUD_DB` of the clip's highest.

        Source: Kinnunen, Hautamäki and Fränti, "On the use of long-term average spectrum in automatic speaker
            recognition", ISCSLP 2006.
        """
        with torch.autocast(mel.device.type, enabled=False):
            level = (mel * self.deviation[:, None] + self.mean[:, None]).mean(dim=1)  # (batch, frames), nepers
            if lengths is not None:
                level = level.masked_fill(within(lengths, mel.shape[2]) == 0, -torch.inf)
            loud = (level >= level.amax(dim=1, keepdim=True) - LOUD_NEPERS).to(mel.dtype)
            found: Tensor = torch.einsum("bmf,bf->bm", mel, loud) / loud.sum(dim=1, keepdim=True)
            return found

    @torch.no_grad()
    def fit_normalisation(self, clips: Iterable[tuple[Tensor, Tensor | None]]) -> None:
        """Set the mean and standard deviation of each band over all frames of the training clips.

        Args:
            clips: Batches (wave, lengths) as `forward` takes them.
        """
        pcen, bands = self.settings.pcen, self.settings.bands
        count = 0.0
        sums = torch.zeros(1 if pcen is None else 2, 2, bands, dtype=torch.float64)  # sum and sum of squares
        for wave, lengths in clips:
            mel, frames = self.log_power(wave, lengths)
            own = torch.ones_like(mel[:, 0]) if frames is None else within(frames, mel.shape[2])
            count += float(own.double().sum())
            for place, values in enumerate([mel] if pcen is None else [mel, self.energies(mel, pcen)]):
                exact = values.double() * own[:, None]
                sums[place] += torch.stack([exact.sum((0, 2)), exact.square().sum((0, 2))]).cpu()
        mean, square = (sums / max(count, 1)).unbind(1)
        variance = square - mean.square()
        # a band that never changes, such as one without a bin, is not scaled up: in training others may move into it
        deviation = torch.where(variance < QUIETEST**2, 1.0, variance.clamp(min=QUIETEST**2).sqrt())
        self.mean.copy_(mean[0])
        self.deviation.copy_(deviation[0])
        if pcen is not None:
            self.pcen_mean.copy_(mean[1])
            self.pcen_deviation.copy_(deviation[1])


class Waveform(nn.Module):
    """The waveform, scaled so that the training data's root mean square is 1.

    Attributes:
        scale: Factor applied to all samples; 1 until `fit_normalisation`.
    """

    scale: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("scale", torch.ones(()))

    def forward(
        self, wave: Float[Tensor, "batch samples"], lengths: Int64[Tensor, " batch"] | None = None
    ) -> tuple[Float[Tensor, "batch samples"], Int64[Tensor, " batch"] | None]:
        """Return the scaled waveforms and their lengths in samples; padding stays zero."""
        return wave * self.scale, lengths

    @torch.no_grad()
    def fit_normalisation(self, clips: Iterable[tuple[Tensor, Tensor | None]]) -> None:
        """Set the scale from all samples of the training clips.

        Args:
            clips: Batches (wave, lengths) as `forward` takes them.
        """
        energy, samples = 0.0, 0
        for wave, lengths in clips:
            energy += float(wave.double().square().sum())
            samples += wave.numel() if lengths is None else int(lengths.sum())
        self.scale.fill_(1 / max(math.sqrt(energy / max(samples, 1)), QUIETEST))


def _pieces(filterbank: Float[Tensor, "bands bins"]) -> list[tuple[slice, int, int]]:
    """Return pieces of adjacent bands, each with its first bin and the bin after its last of non-zero weight."""
    found = []
    for first in range(0, len(filterbank), BANDS_AT_ONCE):
        bands = slice(first, min(first + BANDS_AT_ONCE, len(filterbank)))
        heard = filterbank[bands].any(dim=0).nonzero()[:, 0]  # a very narrow band may contain no bin
        found.append((bands, int(heard[0]), int(heard[-1]) + 1) if len(heard) else (bands, 0, 1))
    return found
