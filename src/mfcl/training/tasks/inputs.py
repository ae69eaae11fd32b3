"""Crops of a batch in training, and the encoder inputs made of them: augmented waveforms, and augmented log-mels."""

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal, cast

import numpy as np
import torch
from jaxtyping import Float, Int64
from torch import Tensor

from mfcl.models.frontends import LogMel
from mfcl.models.pair import FormatEncoder, MultiFormatModel
from mfcl.training.normalisation import on_device
from mfcl.training.side_by_side import on_streams
from mfcl.views.augment import AugmentSettings, changed_mel, changed_wave, mel_draws, wave_draws, wave_for_mel
from mfcl.views.batches import ClipBatch, ClipStore, Views, make_views
from mfcl.views.crops import CropSettings
from mfcl.views.own import OwnAugment, augmented_views
from mfcl.views.random_draws import Numbers, Table

SAMPLES_AT_ONCE = {"cpu": 2**18, "cuda": 2**24}
"""Samples augmented at once, but at least one clip: what is made on the way is ten times as large. A GPU, where
starting operations is what takes time, is given more."""
Represented = tuple[Float[Tensor, "batch ..."], Int64[Tensor, " batch"] | None]
"""Encoder inputs of one format, and their lengths in samples or frames; None: no padding."""
View = Literal["first", "second"]
"""Which of a recording's two crops; the two draw their augmentations separately."""


@dataclass(frozen=True)
class Crops:
    """Two crops of each recording of a batch, before augmentation."""

    views: Views
    numbers: Numbers | Table
    """Of the augmentation."""


@dataclass(frozen=True)
class Seen:
    """The encoder inputs of two crops of each recording: augmented, and in their formats."""

    recordings: Int64[Tensor, " batch"]
    others: Int64[Tensor, " batch"]
    """The recordings of the second crops; see `Views`."""
    first: Mapping[str, Represented]
    """Encoder inputs of the first crops, by format."""
    second: Mapping[str, Represented]
    """Encoder inputs of the second crops, by format."""


def cut_crops(
    store: ClipStore,
    indices: Int64[np.ndarray, " batch"],
    settings: CropSettings,
    *,
    seed: int,
    epoch: int,
    others: Int64[np.ndarray, " batch"] | None = None,
    partners: bool = False,
    augment: OwnAugment | None = None,
) -> Crops:
    """Cut two crops out of each recording; see `mfcl.views.batches.make_views`.

    Args:
        store: The decoded audio.
        indices: The recordings.
        settings: Length and placement of the crops.
        seed: Of the crops and of their augmentation.
        epoch: The epoch, from 0.
        others: Recordings to cut the second crops from; None: the same recordings.
        partners: Whether to cut crops that are mixed into the log-mels.
        augment: The user's own augmentation, which comes before all others.
    """
    views = make_views(store, indices, settings, seed=seed, epoch=epoch, others=others, partners=partners)
    if augment is not None:
        views = augmented_views(views, augment, store.sample_rate)
    return Crops(views, Numbers(seed, epoch, indices))


def see_crops(
    model: MultiFormatModel,
    crops: Crops,
    formats: tuple[tuple[str, ...], tuple[str, ...]],
    augment: AugmentSettings,
    device: torch.device,
) -> Seen:
    """Return the encoder inputs of both crops.

    Args:
        model: Gives the front ends.
        crops: The crops.
        formats: Those of the first crops, and those of the second.
        augment: Which augmentations, and how strong.
        device: Where the inputs are to be.
    """
    partner = mixed_in(model.mel, crops, device) if "mel" in (*formats[0], *formats[1]) else None
    views: tuple[View, View] = ("first", "second")
    wanted = [(view, format) for view, own in zip(views, formats, strict=True) for format in own]
    works = [
        functools.partial(crop_inputs, getattr(model, format), crops, view, augment, device, partner=partner)
        for view, format in wanted
    ]
    found = dict(zip(wanted, on_streams(works, device), strict=True))
    first, second = ({format: found[view, format] for format in own} for view, own in zip(views, formats, strict=True))
    recordings, others = (torch.as_tensor(of, device=device) for of in (crops.views.recordings, crops.views.others))
    return Seen(recordings, others, first, second)


def crop_inputs(
    encoder: FormatEncoder,
    crops: Crops,
    view: View,
    augment: AugmentSettings,
    device: torch.device,
    *,
    partner: Represented | None = None,
) -> Represented:
    """Return the augmented inputs of the first or the second crops in the encoder's format.

    Args:
        encoder: Gives the front end.
        crops: The crops.
        view: Which of them.
        augment: Which augmentations, and how strong.
        device: Where the inputs are to be.
        partner: Log-mels to mix into log-mels, from `mixed_in`; None mixes nothing.
    """
    clips = _moved(crops.views.first if view == "first" else crops.views.second, device)
    if isinstance(encoder.front, LogMel):
        return _mel_inputs(encoder, clips, augment, crops.numbers, view, partner)
    return _wave_inputs(encoder, clips, augment, crops.numbers, view)


def mixed_in(encoder: FormatEncoder, crops: Crops, device: torch.device) -> Represented | None:
    """Return the log-mels, before normalisation, that are mixed into those of the crops; None: there are none."""
    if crops.views.partner is None:
        return None
    clips = _moved(crops.views.partner, device)
    represented: Represented = cast(LogMel, encoder.front).log_power(clips.wave, clips.lengths)
    return represented


def _wave_inputs(
    encoder: FormatEncoder, clips: ClipBatch, augment: AugmentSettings, numbers: Numbers | Table, view: View
) -> Represented:
    """Return augmented waveforms after the front end; see `mfcl.views.augment.augment_wave`."""

    def made(some: slice) -> Represented:
        wave, lengths = _rows(clips, some)
        draw = wave_draws(numbers.rows(some), view, wave.device)
        wave = changed_wave(wave, lengths, augment, encoder.sample_rate, draw)
        represented: Represented = encoder.front(wave, lengths)
        return represented

    return _in_blocks(clips, made)


def _mel_inputs(
    encoder: FormatEncoder,
    clips: ClipBatch,
    augment: AugmentSettings,
    numbers: Numbers | Table,
    view: View,
    partner: Represented | None,
) -> Represented:
    """Return augmented log-mels; see `mfcl.views.augment.augment_mel`."""
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


def _moved(clips: ClipBatch, device: torch.device) -> ClipBatch:
    return ClipBatch(*on_device(clips, device))
