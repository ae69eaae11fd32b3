"""Encoder inputs of crops in training: augmented waveforms, and augmented log-mels."""

from typing import Any, cast

import numpy as np
from jaxtyping import Float, Int64
from torch import Tensor

from mfcl.models.frontends import LogMel
from mfcl.models.pair import FormatEncoder
from mfcl.views.augment import AugmentSettings, augment_mel, augment_wave, wave_for_mel
from mfcl.views.batches import ClipBatch

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
    wave = augment_wave(
        clips.wave, clips.lengths, augment, sample_rate, seed=seed, epoch=epoch, recordings=recordings, view=view
    )
    represented: Represented = encoder.front(wave, clips.lengths)
    return represented


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
    draws: dict[str, Any] = {"seed": seed, "epoch": epoch, "recordings": recordings, "view": view}
    wave = wave_for_mel(clips.wave, clips.lengths, augment, encoder.sample_rate, **draws)
    mel, lengths = front.log_power(wave, clips.lengths)
    other, other_lengths = partner or (None, None)
    mel = augment_mel(
        mel, lengths, augment, hop_seconds=front.hop_seconds, fill=front.mean,
        partner=other, partner_lengths=other_lengths, **draws,
    )  # fmt: skip
    return front.normalise(mel, lengths), lengths


def partner_inputs(encoder: FormatEncoder, clips: ClipBatch) -> Represented:
    """Return the log-mels, before normalisation, of clips that are mixed into others."""
    represented: Represented = cast(LogMel, encoder.front).log_power(clips.wave, clips.lengths)
    return represented
