"""Random augmentations of waveforms and log-mels.

What is drawn for a clip depends on (seed, epoch, recording, view) alone, not on its batch, its padding or the process.
"""

import math
from dataclasses import dataclass, field

import numpy as np
import torch
from jaxtyping import Float, Int64
from torch import Tensor

from mfcl.core.settings import bounded, check_settings, later
from mfcl.errors import RecipeError, one_of
from mfcl.views import transforms as effects
from mfcl.views.random_draws import Draws, cells, known
from mfcl.views.responses import OCTAVES, channel_responses, room_responses

SETTINGS = ("none", "wave", "mel", "both")
GAP_SECONDS = (0.001, 0.01)
"""Shortest and longest time from the direct sound to a room's decay: a detour of 0.3 to 3.4 metres."""


@dataclass(frozen=True)
class WaveAugment:
    """Strength of the waveform augmentations; 0 turns one off.

    Their order: speed, shift, fades, reverberation, filter, noise, mask, gain.
    """

    shift_seconds: float = bounded(0.02, 0.0, 3600.0)
    """Largest shift in time, earlier or later; at most half of the clip."""
    fade_seconds: float = bounded(0.1, 0.0, 3600.0)
    """Longest fade-in and fade-out, drawn separately; each at most half of the clip."""
    noise_probability: float = bounded(0.5, 0.0, 1.0)
    """Probability of adding noise, white unless `noise_slope_db` is set."""
    noise_snr_db_low: float = bounded(10.0, -100.0, 200.0)
    """Lowest signal-to-noise ratio of the added noise, in dB."""
    noise_snr_db_high: float = bounded(40.0, -100.0, 200.0)
    """Highest signal-to-noise ratio of the added noise, in dB."""
    mask_seconds: float = bounded(0.1, 0.0, 3600.0)
    """Longest stretch set to zero; at most half of the clip."""
    gain_db: float = bounded(6.0, 0.0, 120.0)
    """Largest gain, up or down."""
    speed: float = later(0.0, 0.0, 0.5)
    """Largest change of speed, as a share: pitch, formants and tempo change together, as with another voice."""
    noise_slope_db: float = later(0.0, 0.0, 12.0)
    """Steepest fall of the added noise's power, in dB per octave, drawn from 0: 3 is pink, 6 brown; 0: white alone."""
    filter_db: float = later(0.0, 0.0, 60.0)
    """Largest gain of a random filter, up or down, at frequencies an octave apart, as of another microphone; the level
    of the clip stays."""
    reverb_probability: float = later(0.0, 0.0, 1.0)
    """Probability of reverberation, as of another room; the level and the length of the clip stay."""
    reverb_seconds_low: float = later(0.1, 0.01, 10.0)
    """Shortest reverberation time: the energy of the room's response falls by 60 dB in it."""
    reverb_seconds_high: float = later(0.6, 0.01, 10.0)
    """Longest reverberation time."""
    reverb_ratio_db_low: float = later(0.0, -60.0, 60.0)
    """Lowest ratio of direct to reverberant energy, in dB."""
    reverb_ratio_db_high: float = later(15.0, -60.0, 60.0)
    """Highest ratio of direct to reverberant energy, in dB."""

    def __post_init__(self) -> None:
        check_settings(self, "augment.wave")
        for name in ("noise_snr_db", "reverb_seconds", "reverb_ratio_db"):
            _check_range("augment.wave", self, f"{name}_low", f"{name}_high")


@dataclass(frozen=True)
class MelAugment:
    """Strength of the log-mel augmentations; 0 turns one off.

    Their order: reverberation, filter and noise before the log-mel; then mixing, resize-crop, fader, masks.
    """

    noise_probability: float = bounded(0.0, 0.0, 1.0)
    """Probability of adding noise to the waveform before its log-mel; SNR range and slope of `augment.wave`."""
    mix: float = bounded(0.2, 0.0, 0.999)
    """Largest share of the power that is mixed in from another recording; 0 turns mixing off."""
    resize_probability: float = bounded(0.5, 0.0, 1.0)
    """Probability of a random resize-crop: a window of the spectrogram is stretched to full size."""
    resize_bands_low: float = bounded(0.9, 0.01, 100.0)
    """Smallest height of the window, as a share of the bands."""
    resize_bands_high: float = bounded(1.1, 0.01, 100.0)
    """Largest height; above 1 the spectrogram shrinks and its margin is filled with the training data's mean."""
    resize_time_low: float = bounded(0.8, 0.01, 100.0)
    """Smallest width of the window, as a share of the clip."""
    resize_time_high: float = bounded(1.2, 0.01, 100.0)
    """Largest width of the window, as a share of the clip."""
    fader_db: float = bounded(4.0, 0.0, 120.0)
    """Largest gain, up or down, at the start and at the end of the clip; linear in dB between; 0 turns it off."""
    mask_bands: int = bounded(15, 0, 1024)
    """Most adjacent mel bands masked; at most half of them."""
    mask_seconds: float = bounded(0.1, 0.0, 3600.0)
    """Longest stretch of time masked; at most half of the clip."""
    filter_db: float = later(0.0, 0.0, 60.0)
    """Largest gain of a random filter on the waveform before its log-mel; see `augment.wave.filter_db`."""
    reverb_probability: float = later(0.0, 0.0, 1.0)
    """Probability of reverberation of the waveform before its log-mel; times and ratios of `augment.wave`."""

    def __post_init__(self) -> None:
        check_settings(self, "augment.mel")
        _check_range("augment.mel", self, "resize_bands_low", "resize_bands_high")
        _check_range("augment.mel", self, "resize_time_low", "resize_time_high")


@dataclass(frozen=True)
class AugmentSettings:
    """Which formats are augmented, and how strongly."""

    setting: str = "none"
    """Formats to augment: "none", "wave", "mel" or "both"."""
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
    """Return augmented waveforms, or the input itself if waveforms are not augmented; padding stays zero.

    Args:
        wave: Waveforms, zeros after each clip's end.
        lengths: Samples of each clip; None if there is no padding.
        settings: Which augmentations, and how strong.
        sample_rate: In Hz.
        seed: The run's seed.
        epoch: The epoch, from 0.
        recordings: The recordings' indices in the training data.
        view: Which crop of the recording this is, "first" or "second"; the two draw separately.

    Source: fade and time mask are the best pair for waveforms in Al-Tahan and Mohsenzadeh, "CLAR", arXiv:2010.09542.
    """
    if not settings.changes_wave:
        return wave
    chosen = settings.wave
    draw = Draws(seed, f"augment wave {view}", epoch, recordings, wave.device)
    lengths = known(wave, lengths)
    half = lengths // 2
    if chosen.speed:
        factor = torch.exp(draw.even("speed", -1.0, 1.0) * math.log1p(chosen.speed))
        wave = effects.sped(wave, lengths, factor)
    if chosen.shift_seconds:
        furthest = torch.minimum(half, cells(chosen.shift_seconds * sample_rate, half))
        wave = effects.shifted(wave, lengths, draw.whole("shift", 2 * furthest) - furthest)
    if chosen.fade_seconds:
        longest = torch.minimum(half, cells(chosen.fade_seconds * sample_rate, half))
        wave = effects.faded(wave, lengths, draw.whole("fade in", longest), draw.whole("fade out", longest))
    wave = _elsewhere(wave, lengths, chosen, chosen, draw, sample_rate)
    if chosen.mask_seconds:
        wave = effects.silenced(wave, *draw.piece("mask", chosen.mask_seconds * sample_rate, lengths))
    if chosen.gain_db:
        wave = effects.amplified(wave, draw.even("gain", -chosen.gain_db, chosen.gain_db))
    return wave


def wave_for_mel(
    wave: Float[Tensor, "batch samples"],
    lengths: Int64[Tensor, " batch"] | None,
    settings: AugmentSettings,
    sample_rate: int,
    *,
    seed: int,
    epoch: int,
    recordings: Int64[np.ndarray, " batch"],
    view: str = "second",
) -> Float[Tensor, "batch samples"]:
    """Return the waveforms that become log-mels, some with reverberation, a filter and noise.

    See `augment_wave` for the arguments.
    """
    if not settings.changes_mel:
        return wave
    draw = Draws(seed, f"augment mel {view}", epoch, recordings, wave.device)
    return _elsewhere(wave, known(wave, lengths), settings.mel, settings.wave, draw, sample_rate)


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
    """Return augmented log-mels, or the input itself if log-mels are not augmented; padding stays as it is.

    Args:
        mel: Natural logarithm of power, before normalisation.
        lengths: Frames of each clip; None if there is no padding.
        settings: Which augmentations, and how strong.
        hop_seconds: Time from frame to frame.
        fill: Mean of each band over the training data, shown where the spectrogram is masked.
        partner: Log-mels of other recordings to mix in; None turns mixing off.
        partner_lengths: Frames of each partner; None if there is no padding.
        seed: The run's seed.
        epoch: The epoch, from 0.
        recordings: The recordings' indices in the training data.
        view: Which crop of the recording this is, "first" or "second"; the two draw separately.
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


def _elsewhere(
    wave: Float[Tensor, "batch samples"],
    lengths: Int64[Tensor, " batch"],
    strength: WaveAugment | MelAugment,
    kinds: WaveAugment,
    draw: Draws,
    sample_rate: int,
) -> Float[Tensor, "batch samples"]:
    """Return clips as if recorded elsewhere: in another room, by another microphone, in noise."""
    if strength.reverb_probability:
        rows = draw.chosen("reverb", strength.reverb_probability)
        rooms = _rooms(rows, kinds, draw, sample_rate, wave.shape[1])
        wave = wave.index_copy(0, rows, effects.convolved(wave[rows], lengths[rows], rooms))
    if strength.filter_db:
        bound = strength.filter_db
        gains_db = [draw.even(f"filter {octave}", -bound, bound) for octave in range(OCTAVES + 1)]
        wave = effects.convolved(wave, lengths, channel_responses(torch.stack(gains_db, dim=1)))
    if strength.noise_probability:
        rows, keys = draw.chosen("noise", strength.noise_probability), draw.keys("noise key")
        snr_db = draw.even("snr", kinds.noise_snr_db_low, kinds.noise_snr_db_high)
        colours = _colours(kinds, draw)[rows] if kinds.noise_slope_db else None
        wave = wave.index_copy(0, rows, effects.noisy(wave[rows], lengths[rows], snr_db[rows], keys[rows], colours))
    return wave


def _rooms(
    rows: Int64[Tensor, " rows"], kinds: WaveAugment, draw: Draws, sample_rate: int, width: int
) -> Float[Tensor, "rows taps"]:
    longest = round((GAP_SECONDS[1] + kinds.reverb_seconds_high) * sample_rate)
    return room_responses(
        draw.keys("reverb key")[rows],
        sample_rate,
        min(width, longest),
        seconds=draw.even("reverb seconds", kinds.reverb_seconds_low, kinds.reverb_seconds_high)[rows],
        ratio_db=draw.even("reverb ratio", kinds.reverb_ratio_db_low, kinds.reverb_ratio_db_high)[rows],
        gap_seconds=draw.even("reverb gap", *GAP_SECONDS)[rows],
    )


def _colours(kinds: WaveAugment, draw: Draws) -> Float[Tensor, "batch taps"]:
    slope_db = draw.even("noise slope", 0.0, kinds.noise_slope_db)
    return channel_responses(-slope_db[:, None] * torch.arange(OCTAVES + 1, device=slope_db.device))


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
        # below scale 1 the window moves within the spectrogram, above 1 the spectrogram moves within the window
        edges += [draw.even(f"resize {name}, place", 0.0, 1.0) * (1 - scale) * size, scale]
    return effects.resized(
        mel, lengths, fill, band_start=edges[0], band_scale=edges[1], frame_start=edges[2], frame_scale=edges[3]
    )


def _check_range(where: str, settings: WaveAugment | MelAugment, low: str, high: str) -> None:
    values = getattr(settings, low), getattr(settings, high)
    if values[0] > values[1]:
        raise RecipeError(f"{where}.{low} {values[0]} must not be above {where}.{high} {values[1]}")
