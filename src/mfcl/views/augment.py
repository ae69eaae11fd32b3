"""Random changes that a view should survive, for waveforms and for log-mels; each a pure function of its recording.

What is drawn for a clip depends on (seed, epoch, recording, view) alone: not on its batch, its padding or the process.
"""

from dataclasses import dataclass, field

import numpy as np
import torch
from jaxtyping import Float, Int64
from torch import Tensor

from mfcl.core.settings import bounded, check_settings
from mfcl.errors import RecipeError, one_of
from mfcl.views import transforms as effects
from mfcl.views.random_draws import Draws, cells, known

SETTINGS = ("none", "wave", "mel", "both")


@dataclass(frozen=True)
class WaveAugment:
    """How far waveforms are changed; 0 leaves an effect out. In this order: shift, fades, noise, mask, gain."""

    shift_seconds: float = bounded(0.02, 0.0, 3600.0)
    """Furthest shift, either way; at most half of the clip."""
    fade_seconds: float = bounded(0.1, 0.0, 3600.0)
    """Longest fade-in and longest fade-out, drawn apart; at most half of the clip each."""
    noise_probability: float = bounded(0.5, 0.0, 1.0)
    """How often white noise is added."""
    noise_snr_db_low: float = bounded(10.0, -100.0, 200.0)
    """Loudest noise: the clip is so many dB above it."""
    noise_snr_db_high: float = bounded(40.0, -100.0, 200.0)
    """Softest noise."""
    mask_seconds: float = bounded(0.1, 0.0, 3600.0)
    """Longest piece that is silenced; at most half of the clip."""
    gain_db: float = bounded(6.0, 0.0, 120.0)
    """Largest gain, either way."""

    def __post_init__(self) -> None:
        check_settings(self, "augment.wave")
        _rising("augment.wave", self, "noise_snr_db_low", "noise_snr_db_high")


@dataclass(frozen=True)
class MelAugment:
    """How far log-mels are changed. In this order: noise in their waveform, mixing, resize-crop, fader, masks."""

    noise_probability: float = bounded(0.0, 0.0, 1.0)
    """How often white noise is added to the waveform that becomes a log-mel, as loud as the waveforms' settings say."""
    mix: float = bounded(0.2, 0.0, 0.999)
    """Largest share of another recording's power that is mixed in; 0 mixes nothing."""
    resize_probability: float = bounded(0.5, 0.0, 1.0)
    """How often a window is cut out and stretched to full size."""
    resize_bands_low: float = bounded(0.9, 0.01, 100.0)
    """Least height of the window, as a share of the bands."""
    resize_bands_high: float = bounded(1.1, 0.01, 100.0)
    """Greatest height; above 1 the picture shrinks and its rim shows the data's mean."""
    resize_time_low: float = bounded(0.8, 0.01, 100.0)
    """Least width of the window, as a share of the clip."""
    resize_time_high: float = bounded(1.2, 0.01, 100.0)
    """Greatest width."""
    fader_db: float = bounded(4.0, 0.0, 120.0)
    """Largest change of level at either end of the clip, linear in dB between; 0 leaves it out."""
    mask_bands: int = bounded(15, 0, 1024)
    """Most neighbouring bands that are hidden; at most half of them."""
    mask_seconds: float = bounded(0.1, 0.0, 3600.0)
    """Longest time that is hidden; at most half of the clip."""

    def __post_init__(self) -> None:
        check_settings(self, "augment.mel")
        _rising("augment.mel", self, "resize_bands_low", "resize_bands_high")
        _rising("augment.mel", self, "resize_time_low", "resize_time_high")


@dataclass(frozen=True)
class AugmentSettings:
    """Which formats are augmented (one word, the study's four settings), and how far."""

    setting: str = "none"
    """"none", "wave", "mel" or "both"."""
    wave: WaveAugment = field(default_factory=WaveAugment)
    mel: MelAugment = field(default_factory=MelAugment)

    def __post_init__(self) -> None:
        check_settings(self, "augment")
        if self.setting not in SETTINGS:
            raise RecipeError(f"augment.setting: {one_of('setting', self.setting, SETTINGS)}")

    @property
    def changes_wave(self) -> bool:
        """Tell whether waveforms are augmented."""
        return self.setting in ("wave", "both")

    @property
    def changes_mel(self) -> bool:
        """Tell whether log-mels are augmented."""
        return self.setting in ("mel", "both")

    @property
    def needs_partner(self) -> bool:
        """Tell whether other recordings are mixed into the log-mels."""
        return self.changes_mel and self.mel.mix > 0


def augment_wave(
    wave: Float[Tensor, "batch samples"],
    lengths: Int64[Tensor, " batch"] | None,
    settings: AugmentSettings,
    sample_rate: int,
    *,
    seed: int,
    epoch: int,
    recordings: Int64[np.ndarray, " batch"],
    view: str = "first",
) -> Float[Tensor, "batch samples"]:
    """Return the waveforms changed, or themselves if the setting leaves them alone; zeros after a clip's end stay.

    Args:
        wave: Clips.
        lengths: Samples of each; None if all fill the width.
        settings: What to do and how far.
        sample_rate: In Hz.
        seed: The run's seed.
        epoch: How often the data has been seen.
        recordings: The recordings' indices in the training data.
        view: Which crop of the recording this is; each has draws of its own.

    Source: fade and time mask are the best pair for waveforms in Al-Tahan and Mohsenzadeh, "CLAR", arXiv:2010.09542.
    """
    if not settings.changes_wave:
        return wave
    chosen = settings.wave
    draw = Draws(seed, f"augment wave {view}", epoch, recordings, wave.device)
    lengths = known(wave, lengths)
    half = lengths // 2
    if chosen.shift_seconds:
        furthest = torch.minimum(half, cells(chosen.shift_seconds * sample_rate, half))
        wave = effects.shifted(wave, lengths, draw.whole("shift", 2 * furthest) - furthest)
    if chosen.fade_seconds:
        longest = torch.minimum(half, cells(chosen.fade_seconds * sample_rate, half))
        wave = effects.faded(wave, lengths, draw.whole("fade in", longest), draw.whole("fade out", longest))
    if chosen.noise_probability:
        wave = _with_noise(wave, lengths, chosen, draw, chosen.noise_probability)
    if chosen.mask_seconds:
        wave = effects.silenced(wave, *draw.piece("mask", chosen.mask_seconds * sample_rate, lengths))
    if chosen.gain_db:
        wave = effects.amplified(wave, draw.even("gain", -chosen.gain_db, chosen.gain_db))
    return wave


def noise_for_mel(
    wave: Float[Tensor, "batch samples"],
    lengths: Int64[Tensor, " batch"] | None,
    settings: AugmentSettings,
    *,
    seed: int,
    epoch: int,
    recordings: Int64[np.ndarray, " batch"],
    view: str = "second",
) -> Float[Tensor, "batch samples"]:
    """Return the waveforms that log-mels are made of, some with white noise; see `augment_mel` for the arguments."""
    if not settings.changes_mel or not settings.mel.noise_probability:
        return wave
    draw = Draws(seed, f"augment mel {view}", epoch, recordings, wave.device)
    return _with_noise(wave, known(wave, lengths), settings.wave, draw, settings.mel.noise_probability)


def augment_mel(
    mel: Float[Tensor, "batch bands frames"],
    lengths: Int64[Tensor, " batch"] | None,
    settings: AugmentSettings,
    *,
    hop_seconds: float,
    fill: Float[Tensor, " bands"],
    partner: Float[Tensor, "batch bands other_frames"] | None = None,
    partner_lengths: Int64[Tensor, " batch"] | None = None,
    seed: int,
    epoch: int,
    recordings: Int64[np.ndarray, " batch"],
    view: str = "second",
) -> Float[Tensor, "batch bands frames"]:
    """Return the log-mels changed, or themselves if the setting leaves them alone; frames after a clip's end stay.

    Args:
        mel: The natural logarithm of power, before normalisation.
        lengths: Frames of each; None if all fill the width.
        settings: What to do and how far.
        hop_seconds: Time from frame to frame.
        fill: The data's mean of each band, shown where something is hidden.
        partner: Log-mels of other recordings to mix in; without them nothing is mixed.
        partner_lengths: Frames of each partner; None if all fill the width.
        seed: The run's seed.
        epoch: How often the data has been seen.
        recordings: The recordings' indices in the training data.
        view: Which crop of the recording this is; each has draws of its own.
    """
    if not settings.changes_mel:
        return mel
    chosen, changed = settings.mel, mel
    draw = Draws(seed, f"augment mel {view}", epoch, recordings, mel.device)
    lengths = known(mel, lengths)
    if chosen.mix and partner is not None:
        ratio = draw.even("mix", 0.0, chosen.mix)
        changed = effects.mixed(changed, partner, known(partner, partner_lengths), ratio)
    if chosen.resize_probability:
        changed = _resized(changed, lengths, fill, chosen, draw)
    if chosen.fader_db:
        ends = [draw.even(f"fader {end}", -chosen.fader_db, chosen.fader_db) for end in ("head", "tail")]
        changed = effects.tilted(changed, lengths, ends[0], ends[1])
    if chosen.mask_bands or chosen.mask_seconds:
        bands = draw.piece("mask bands", float(chosen.mask_bands), torch.full_like(lengths, mel.shape[1]))
        frames = draw.piece("mask frames", chosen.mask_seconds / hop_seconds, lengths)
        changed = effects.hidden(changed, fill, bands=bands, frames=frames)
    padding = torch.arange(mel.shape[2], device=mel.device) >= lengths[:, None]
    return torch.where(padding[:, None, :], mel, changed)


def _with_noise(
    wave: Float[Tensor, "batch samples"],
    lengths: Int64[Tensor, " batch"],
    chosen: WaveAugment,
    draw: Draws,
    probability: float,
) -> Float[Tensor, "batch samples"]:
    rows, keys = draw.chosen("noise", probability), draw.keys("noise key")
    snr_db = draw.even("snr", chosen.noise_snr_db_low, chosen.noise_snr_db_high)
    return wave.index_copy(0, rows, effects.noisy(wave[rows], lengths[rows], snr_db[rows], keys[rows]))


def _resized(
    mel: Float[Tensor, "batch bands frames"],
    lengths: Int64[Tensor, " batch"],
    fill: Float[Tensor, " bands"],
    chosen: MelAugment,
    draw: Draws,
) -> Float[Tensor, "batch bands frames"]:
    on = draw.even("resize", 0.0, 1.0) < chosen.resize_probability
    edges = []
    for name, low, high, size in (
        ("bands", chosen.resize_bands_low, chosen.resize_bands_high, mel.shape[1]),
        ("time", chosen.resize_time_low, chosen.resize_time_high, lengths),
    ):
        scale = torch.where(on, draw.even(f"resize {name}", low, high), 1.0)
        # the window slides inside the picture, or the picture inside the window, whichever is smaller
        edges += [draw.even(f"resize {name}, place", 0.0, 1.0) * (1 - scale) * size, scale]
    return effects.resized(
        mel, lengths, fill, band_start=edges[0], band_scale=edges[1], frame_start=edges[2], frame_scale=edges[3]
    )


def _rising(where: str, settings: WaveAugment | MelAugment, low: str, high: str) -> None:
    values = getattr(settings, low), getattr(settings, high)
    if values[0] > values[1]:
        raise RecipeError(f"{where}.{low} {values[0]} must not be above {where}.{high} {values[1]}")
