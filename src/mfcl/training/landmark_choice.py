"""Choose the landmarks of a model among its training recordings, where alignment tells these apart."""

from typing import cast

import numpy as np
import torch
from jaxtyping import Float32

from mfcl.core.memory import give_back
from mfcl.data.store import Store
from mfcl.embeddings import alignment
from mfcl.models.landmarks import Landmarks, LandmarkSettings
from mfcl.models.pair import FormatEncoder, MultiFormatModel
from mfcl.models.unlearned import spectrum_alone

LONGEST_SECONDS = 10
"""Beginning of a recording that is looked at; a landmark keeps less."""


@torch.no_grad()
def choose_landmarks(model: MultiFormatModel, store: Store, settings: LandmarkSettings, *, seed: int) -> None:
    """Fit the landmarks of both formats on training recordings; see `mfcl.models.landmarks.Landmarks.fit`.

    The formats have other recordings as whole landmarks, where there are enough: together they cover more. Pieces may
    be of the same recordings.
    """
    pool = alignment.landmark_pool(len(store), settings.count, seed=seed)
    with spectrum_alone(model):
        for format in ("wave", "mel"):
            encoder: FormatEncoder = getattr(model, format)
            landmarks = cast(Landmarks, encoder.landmarks)
            chosen = pool[landmarks.fit(frames_to_align(encoder, store.select(pool)), seed=seed)]
            give_back()
            left = np.setdiff1d(pool, chosen)
            pool = left if len(left) >= settings.count else pool


@torch.no_grad()
def frames_to_align(encoder: FormatEncoder, store: Store) -> list[Float32[np.ndarray, "frames dim"]]:
    """Return the frames of each recording, or of its beginning; see `Landmarks.frames`."""
    device = next(encoder.parameters()).device
    made: list[Float32[np.ndarray, "frames dim"]] = []
    for item in range(len(store)):
        samples = store.piece(item, 0, min(int(store.lengths[item]), LONGEST_SECONDS * store.sample_rate))
        spectrum = encoder.spectrum(*encoder.front(torch.from_numpy(samples)[None].to(device)))
        made.append(cast(Landmarks, encoder.landmarks).frames(spectrum)[0][0].cpu().numpy())
    return made
