"""Pairs of recordings that are alike, and recordings heard in noise: what is learned from after the encoders."""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int64
from torch import Tensor

from mfcl.data.store import Store
from mfcl.training.neighbour_search import LONGEST_SECONDS
from mfcl.training.normalisation import on_device
from mfcl.training.positives import Neighbourhood
from mfcl.views.batches import whole_clips
from mfcl.views.transforms import noisy

NOISE_DB = (5.0, 30.0)
"""Signal-to-noise ratios of the white noise that three in four recordings are heard in."""
NOISY_SHARE = 0.75


@dataclass(frozen=True)
class Heard:
    """The beginnings of recordings, zeros after each one's end, in noise and without."""

    clean: Float[Tensor, "batch samples"]
    rough: Float[Tensor, "batch samples"]
    lengths: Int64[Tensor, " batch"]


def draw_pairs(
    hood: Neighbourhood, pairs: int, draw: np.random.Generator
) -> tuple[Int64[np.ndarray, " {pairs}"], Int64[np.ndarray, " {pairs}"]]:
    """Draw recordings, and a neighbour of each, as places among `hood.members`."""
    first = draw.integers(len(hood.members), size=pairs)
    return first, hood.near[:, : hood.positives].cpu().numpy()[first, draw.integers(hood.positives, size=pairs)]


def hear(
    store: Store, recordings: Int64[np.ndarray, " batch"], draw: np.random.Generator, device: torch.device
) -> Heard:
    """Return recordings on a device, three in four of them also in noise."""
    wave, lengths = on_device(whole_clips(store, recordings, longest_seconds=LONGEST_SECONDS), device)
    if lengths is None:
        lengths = torch.full((len(wave),), wave.shape[1], device=wave.device)
    snr_db = draw.uniform(*NOISE_DB, size=len(wave)) + np.where(draw.random(len(wave)) < NOISY_SHARE, 0, 200)
    keys = torch.from_numpy(draw.integers(2**63, size=len(wave)))
    rough = noisy(wave, lengths, torch.from_numpy(snr_db).float().to(wave.device), keys.to(wave.device))
    return Heard(wave, rough, lengths)
