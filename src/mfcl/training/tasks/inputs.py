"""Encoder inputs of crops in training: augmented waveforms, and augmented log-mels."""

from collections.abc import Callable
from typing import cast

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from mfcl.models.frontends import LogMel
from mfcl.models.pair import FormatEncoder
from mfcl.views.augment import AugmentSettings, changed_mel, changed_wave, mel_draws, wave_draws, wave_for_mel
from mfcl.views.batches import ClipBatch
from mfcl.views.random_draws import Numbers, Table

SAMPLES_AT_ONCE = {"cpu": 2**18, "cuda": 2**24}
"""Samples augmented at once, but at least one clip: what is made on the way is ten times as large. A GPU, where
starting operations is what takes time, is given more."""
Represented = tuple[Float[Tensor, "batch ..."], Int64[Tensor, " batch"] | None]
"""Encoder inputs of one format, and their lengths in samples or frames; None: no padding."""


def wave_inputs(
    encoder: FormatEncoder,
    clips: ClipBatch,
    augment: AugmentSettings,
    sample_rate: int,
    numbers: Numbers | Table,
    *,
    view: str,
) -> Represented:
    """Return augmented waveforms after the front end; see `mfcl.views.augment.augment_wave`."""

    def made(some: slice) -> Represented:
        wave, lengths = _rows(clips, some)
        draw = wave_draws(numbers.rows(some), view, wave.device)
        wave = changed_wave(wave, lengths, augment, sample_rate, draw)
        represented: Represented = encoder.front(wave, lengths)
        return represented

    return _in_blocks(clips, made)


def mel_inputs(
    encoder: FormatEncoder,
    clips: ClipBatch,
    augment: AugmentSettings,
    numbers: Numbers | Table,
    *,
    view: str,
    partner: Represented | None = None,
) -> Represented:
    """Return augmented log-mels; see `mfcl.views.augment.augment_mel`.

    Args:
        encoder: Gives the front end.
        clips: The crops.
        augment: Which augmentations, and how strong.
        numbers: Random numbers of the recordings.
        view: Which crop of the recording this is, "first" or "second"; the two draw separately.
        partner: Log-mels to mix in, from `partner_inputs`; None mixes nothing.
    """
    front = cast(LogMel, encoder.front)
    other, other_lengths = partner or (None, None)

    def made(some: slice) -> Represented:
        draw = mel_draws(numbers.rows(some), view, clips.wave.device)
        wave, samples = _rows(clips, some)
        wave = wave_for_mel(wave, samples, augment, encoder.sample_rate, draw)
        mel, lengths = front.log_power(wave, samples)
        mel = changed_mel(
            mel, lengths, augment, draw, hop_seconds=front.hop_seconds, fill=front.mean,
            partner=None if other is None else other[some],
            partner_lengths=None if other_lengths is None else other_lengths[some],
        )  # fmt: skip
        return front.normalise(mel, lengths), lengths

    return _in_blocks(clips, made)


def partner_inputs(encoder: FormatEncoder, clips: ClipBatch) -> Represented:
    """Return the log-mels, before normalisation, of clips that are mixed into others."""
    represented: Represented = cast(LogMel, encoder.front).log_power(clips.wave, clips.lengths)
    return represented


def _in_blocks(clips: ClipBatch, made: Callable[[slice], Represented]) -> Represented:
    """Return what `made` makes of all clips, a few rows at a time."""
    rows, width = clips.wave.shape
    most = SAMPLES_AT_ONCE.get(clips.wave.device.type, SAMPLES_AT_ONCE["cpu"])
    at_once = max(1, most // max(width, 1))
    starts = range(0, max(rows, 1), at_once)
    values, lengths = zip(*(made(slice(start, start + at_once)) for start in starts), strict=True)
    return torch.cat(values), None if clips.lengths is None else torch.cat(lengths)


def _rows(clips: ClipBatch, some: slice) -> tuple[Tensor, Tensor | None]:
    return clips.wave[some], None if clips.lengths is None else clips.lengths[some]
