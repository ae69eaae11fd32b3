"""An augmentation of the user's own: any function from samples to samples, applied to each crop."""

import dataclasses
from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
import torch
from jaxtyping import Float32

from mfcl.audio import all_finite
from mfcl.errors import TrainingError, shown
from mfcl.views.batches import ClipBatch, Views

OwnAugment: TypeAlias = Callable[[Float32[np.ndarray, " samples"], int], Any]
"""Called with the samples of a crop (float32, mono) and the sample rate; returns as many samples."""


def augment_name(augment: OwnAugment) -> str:
    """Return a name for the files of a run: of the function, or of the class of an object that can be called.

    Example:
        >>> augment_name(augmented_clips)
        'mfcl.views.own.augmented_clips'
    """
    named: Any = augment if hasattr(augment, "__qualname__") else type(augment)
    return f"{named.__module__}.{named.__qualname__}"


def augmented_views(views: Views, augment: OwnAugment, sample_rate: int) -> Views:
    """Return both crops of each recording after the user's own augmentation; crops that are mixed in stay.

    Raises:
        TrainingError: it returned something else than as many finite samples.
    """
    first, second = (augmented_clips(one, augment, sample_rate) for one in (views.first, views.second))
    return dataclasses.replace(views, first=first, second=second)


def augmented_clips(clips: ClipBatch, augment: OwnAugment, sample_rate: int) -> ClipBatch:
    """Return clips after the user's own augmentation, which gets each without its padding, and a copy of it.

    Raises:
        TrainingError: see `augmented_views`.
    """
    wave = clips.wave.numpy().copy()
    ends = np.full(len(wave), wave.shape[1]) if clips.lengths is None else clips.lengths.numpy()
    for row, end in zip(wave, ends.tolist(), strict=True):
        made = augment(row[:end].copy(), sample_rate)
        row[:end] = _checked(made, end, augment)
    return ClipBatch(torch.from_numpy(wave), clips.lengths)


def _checked(made: Any, samples: int, augment: OwnAugment) -> Float32[np.ndarray, " samples"]:
    try:
        found = np.asarray(made, dtype=np.float32)
    except (TypeError, ValueError):
        found = np.zeros(0, dtype=np.float32)
    if found.shape != (samples,):
        came = f"an array of shape {found.shape}" if isinstance(made, np.ndarray) else shown(made)
        raise TrainingError(
            f"augment {augment_name(augment)}: wanted {samples} samples back, got {came}; pad or cut what it makes"
        )
    if not all_finite(found):
        raise TrainingError(
            f"augment {augment_name(augment)}: it made NaN, infinite or absurdly large samples; check it on a clip"
        )
    return found
