"""Choose the landmark clips of a model among its training recordings, where alignment tells these apart."""

from typing import cast

import numpy as np
import torch
from jaxtyping import Float32

from mfcl.core.random import generator
from mfcl.data.store import Store
from mfcl.embeddings import alignment
from mfcl.models.landmarks import Landmarks, LandmarkSettings, aligned_frames
from mfcl.models.pair import FormatEncoder, MultiFormatModel
from mfcl.training.neighbour_search import JUDGED, judged, sound_frames, tells

LONGEST_SECONDS = 10
"""Beginning of a recording that is looked at; a landmark keeps less."""


def can_align(store: Store, *, seed: int) -> bool:
    """Return whether alignment tells recordings apart, judged by at most `JUDGED` of them."""
    drawn = generator(seed, "can align").permutation(len(store))[:JUDGED]
    return tells(*judged(sound_frames(store.select(np.sort(drawn))), seed=seed))


@torch.no_grad()
def choose_landmarks(model: MultiFormatModel, store: Store, settings: LandmarkSettings, *, seed: int) -> None:
    """Fit the landmarks of both formats on training recordings; see `mfcl.models.landmarks.Landmarks.fit`."""
    pool = store.select(alignment.landmark_pool(len(store), settings.count, seed=seed))
    device = next(model.parameters()).device
    for format in ("wave", "mel"):
        encoder: FormatEncoder = getattr(model, format)
        made: list[Float32[np.ndarray, "frames dim"]] = []
        for item in range(len(pool)):
            samples = pool.piece(item, 0, min(int(pool.lengths[item]), LONGEST_SECONDS * pool.sample_rate))
            wave = torch.from_numpy(samples)[None].to(device)
            made.append(aligned_frames(encoder.spectrum(*encoder.front(wave)))[0][0].cpu().numpy())
        cast(Landmarks, encoder.landmarks).fit(made, seed=seed)
