"""Encoder inputs of crops in training: augmented waveforms, and augmented log-mels."""

from collections.abc import Callable
from typing import Any, cast

import numpy as np
import torch
from jaxtyping import Float, Int64
from torch import Tensor

from mfcl.models.frontends import LogMel
from mfcl.models.pair import FormatEncoder
from mfcl.views.augment import AugmentSettings, augment_mel, augment_wave, wave_for_mel
from mfcl.views.batches import ClipBatch

SAMPLES_AT_ONCE = 2**18
"""Samples augmented at once, but at least one clip: what is made on the way is ten times as large."""
Represented = tuple[Float[Tensor, "batch ..."], Int64[Tensor, " batch"] | None]
"""Encoder inputs of one format, and their lengths in samples or frames; None: no padding."""


def wave_inputs(
    encoder: FormatEncoder,
    clips: ClipBatch,
    augment: AugmentSettings,
    sample_rate: int,
    *,
    seed: int,
    epoch: int,
    recordings: Int64[np.ndarray, " batch"],
    view: str,
) -> Represented:
    """Return augmented waveforms after the front end; see `mfcl.views.augment.augment_wave`."""

    def made(some: slice) -> Represented:
        wave, lengths = _rows(clips, some)
        wave = augment_wave(
            wave, lengths, augment, sample_rate, seed=seed, epoch=epoch, recordings=recordings[some], view=view
        )
        represented: Represented = encoder.front(wave, lengths)
        return represented

    return _in_blocks(clips, made)


def mel_inputs(
    encoder: FormatEncoder,
    clips: ClipBatch,
    augment: AugmentSettings,
    *,
    seed: int,
    epoch: int,
    recordings: Int64[np.ndarray, " batch"],
    view: str,
    partner: Represented | None = None,
) -> Represented:
    """Return augmented log-mels; see `mfcl.views.augment.augment_mel`.

    Args:
        encoder: Gives the front end.
        clips: The crops.
        augment: Which augmentations, and how strong.
        seed: The run's seed.
        epoch: The epoch, from 0.
        recordings: The recordings' indices in the training data.
        view: Which crop of the recording this is, "first" or "second"; the two draw separately.
        partner: Log-mels to mix in, from `partner_inputs`; None mixes nothing.
    """
    front = cast(LogMel, encoder.front)
    other, other_lengths = partner or (None, None)

    def made(some: slice) -> Represented:
        draws: dict[str, Any] = {"seed": seed, "epoch": epoch, "recordings": recordings[some], "view": view}
        wave, samples = _rows(clips, some)
        wave = wave_for_mel(wave, samples, augment, encoder.sample_rate, **draws)
        mel, lengths = front.log_power(wave, samples)
        mel = augment_mel(
            mel, lengths, augment, hop_seconds=front.hop_seconds, fill=front.mean,
            partner=None if other is None else other[some],
            partner_lengths=None if other_lengths is None else other_lengths[some],
            **draws,
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
    at_once = max(1, SAMPLES_AT_ONCE // max(width, 1))
    starts = range(0, max(rows, 1), at_once)
    values, lengths = zip(*(made(slice(start, start + at_once)) for start in starts), strict=True)
    return torch.cat(values), None if clips.lengths is None else torch.cat(lengths)


def _rows(clips: ClipBatch, some: slice) -> tuple[Tensor, Tensor | None]:
    return clips.wave[some], None if clips.lengths is None else clips.lengths[some]
