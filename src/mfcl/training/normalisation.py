"""Fit the front ends' normalisation on training recordings, before the first step."""

from collections.abc import Iterator

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from mfcl.core.random import generator
from mfcl.models.pair import FormatEncoder
from mfcl.views.batches import ClipBatch, ClipStore, length_batches, whole_clips

FITTED = 2000
"""Most recordings used."""
LONGEST = 2.0
"""Most seconds used of each."""


def fit_front(encoder: FormatEncoder, store: ClipStore, *, seed: int, batch: int = 64) -> None:
    """Fit a front end's normalisation on up to `FITTED` training recordings, drawn by the seed."""
    drawn = generator(seed, "normalisation").permutation(len(store.lengths))[:FITTED]
    device = next(encoder.front.buffers()).device  # an encoder may have no weights

    def clips() -> Iterator[tuple[Tensor, Tensor | None]]:
        for places in length_batches(store.lengths[drawn], batch):
            yield on_device(whole_clips(store, drawn[places], longest_seconds=LONGEST), device)

    encoder.front.fit_normalisation(clips())


def on_device(
    clips: ClipBatch, device: torch.device
) -> tuple[Float[Tensor, "batch samples"], Int64[Tensor, " batch"] | None]:
    """Return the waveforms of clips and their lengths in samples, on a device."""
    lengths = None if clips.lengths is None else clips.lengths.to(device, non_blocking=True)
    return clips.wave.to(device, non_blocking=True), lengths
