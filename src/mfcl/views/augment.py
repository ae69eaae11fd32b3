"""Random augmentations of waveforms and log-mels.

What is drawn for a clip depends on (seed, epoch, recording, view) alone, not on its batch, its padding or the process.
"""

import math
from collections.abc import Callable

import numpy as np
import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from mfcl.views import transforms as effects
from mfcl.views.augment_settings import AugmentSettings, MelAugment, WaveAugment
from mfcl.views.random_draws import Draws, Numbers, Table, cells, known
from mfcl.views.responses import OCTAVES, channel_responses, room_responses

__all__ = ["AugmentSettings", "MelAugment", "WaveAugment", "augment_mel", "augment_wave"]

GAP_SECONDS = (0.001, 0.01)
"""Shortest and longest time from the direct sound to a room's decay: a detour of 0.3 to 3.4 metres."""


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
    return changed_wave(
        wave, lengths, settings, sample_rate, wave_draws(Numbers(seed, epoch, recordings), view, wave.device)
    )


def changed_wave(
    wave: Float[Tensor, "batch samples"],
    lengths: Int64[Tensor, " batch"] | None,
    settings: AugmentSettings,
    sample_rate: int,
    draw: Draws,
) -> Float[Tensor, "batch samples"]:
    """Return what `augment_wave` does, with random numbers from `wave_draws`."""
    if not settings.changes_wave:
        return wave
    chosen, lengths = settings.wave, known(wave, lengths)
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
    draw: Draws,
) -> Float[Tensor, "batch samples"]:
    """Return the waveforms that become log-mels, some with reverberation, a filter and noise.

    See `augment_wave` for the arguments, and `mel_draws`.
    """
    if not settings.changes_mel:
        return wave
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
    draw = mel_draws(Numbers(seed, epoch, recordings), view, mel.device)
    return changed_mel(
        mel, lengths, settings, draw, hop_seconds=hop_seconds, fill=fill, partner=partner,
        partner_lengths=partner_lengths,
    )  # fmt: skip


def changed_mel(
    mel: Float[Tensor, "batch bands frames"],
    lengths: Int64[Tensor, " batch"] | None,
    settings: AugmentSettings,
    draw: Draws,
    *,
    hop_seconds: float,
    fill: Float[Tensor, " bands"],
    partner: Float[Tensor, "batch bands other_frames"] | None = None,
    partner_lengths: Int64[Tensor, " batch"] | None = None,
) -> Float[Tensor, "batch bands frames"]:
    """Return what `augment_mel` does, with random numbers from `mel_draws`."""
    if not settings.changes_mel:
        return mel
    chosen, changed, lengths = settings.mel, mel, known(mel, lengths)
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


def wave_draws(numbers: Numbers | Table, view: str, device: torch.device) -> Draws:
    """Return the random numbers of a view's waveforms."""
    return Draws(numbers, f"augment wave {view}", device)


def mel_draws(numbers: Numbers | Table, view: str, device: torch.device) -> Draws:
    """Return the random numbers of a view's log-mels."""
    return Draws(numbers, f"augment mel {view}", device)


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

        def in_a_room(wave: Tensor, rows: Rows) -> Tensor:
            rooms = _rooms(rows, kinds, draw, sample_rate, wave.shape[1])
            return effects.convolved(wave[rows], lengths[rows], rooms)

        wave = _changed(wave, draw.share("reverb") < strength.reverb_probability, in_a_room)
    if strength.filter_db:
        bound = strength.filter_db
        gains_db = [draw.even(f"filter {octave}", -bound, bound) for octave in range(OCTAVES + 1)]
        wave = effects.convolved(wave, lengths, channel_responses(torch.stack(gains_db, dim=1)))
    if strength.noise_probability:
        keys, snr_db = draw.keys("noise key"), draw.even("snr", kinds.noise_snr_db_low, kinds.noise_snr_db_high)

        def in_noise(wave: Tensor, rows: Rows) -> Tensor:
            colours = _colours(kinds, draw)[rows] if kinds.noise_slope_db else None
            return effects.noisy(wave[rows], lengths[rows], snr_db[rows], keys[rows], colours)

        wave = _changed(wave, draw.share("noise") < strength.noise_probability, in_noise)
    return wave


Rows = Int64[Tensor, " rows"] | slice
"""Some rows of a batch, or all."""


def _changed(
    wave: Float[Tensor, "batch samples"], chosen: Bool[Tensor, " batch"], change: Callable[[Tensor, Rows], Tensor]
) -> Float[Tensor, "batch samples"]:
    """Change the chosen rows. A GPU changes all and keeps the chosen: it need not be asked how many they are."""
    chosen = chosen.to(wave.device)
    if wave.is_cuda:
        return torch.where(chosen[:, None], change(wave, slice(None)), wave)
    rows = torch.nonzero(chosen)[:, 0]
    return wave.index_copy(0, rows, change(wave, rows))


def _rooms(rows: Rows, kinds: WaveAugment, draw: Draws, sample_rate: int, width: int) -> Float[Tensor, "rows taps"]:
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
