"""A small model with every part, random weights and fitted front ends, landmarks and whitening; and sound for it."""

from pathlib import Path

import numpy as np
import torch

from mfcl.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from mfcl.core.plain_values import from_dict
from mfcl.embeddings.table import Embeddings
from mfcl.models import make_model
from mfcl.models.inference import Listed, embed_clips, part_bounds
from mfcl.recipe import Recipe

RATE = 16000
SETTINGS = {
    "name": "small",
    "preparation": {"sample_rate": RATE, "endpoints": True, "level_db": -25.0, "trim_db": 50.0},
    "model": {
        "mel_format": {"fft": 512, "window": 400, "hop": 160, "bands": 40},
        "wave": {"name": "filterbank1d", "pooling": "course", "width": 0.05},
        "mel": {"name": "melcnn", "pooling": "thirds_max", "width": 0.25},
        "voices": "statistics",
        "neck": {"layers": 2, "width": 32, "out": 16, "directions": 8},
        "landmarks": {"count": 12, "frames": 20, "pieces": 6, "learned": 6},
        "spectrum": True,
    },
}


def sound(seconds: float, *, seed: int = 0, rate: int = RATE) -> np.ndarray:
    """A gliding tone that swells, and noise."""
    time = np.arange(round(seconds * rate)) / rate
    tone = np.sin(2 * np.pi * (300 + 200 * seed) * time + 20 * np.sin(3 * time)) * np.sin((5 + seed) * time) ** 2
    noise = np.random.default_rng(seed).standard_normal(len(time))
    return (0.3 * tone + 0.01 * noise).astype(np.float32)


def saved(settings: dict, folder: Path) -> Checkpoint:
    """A model with random weights, fitted front ends, landmarks and whitening."""
    recipe = from_dict(Recipe, settings, where="here")
    model = make_model(recipe.model, seed=0).eval()
    clips = [sound(0.5 + 0.1 * seed, seed=seed) for seed in range(16)]
    for encoder in (model.wave, model.mel):
        encoder.front.fit_normalisation([(torch.from_numpy(clip)[None], None) for clip in clips])
        if encoder.landmarks is not None:
            with torch.no_grad():
                if encoder.landmarks.frame_encoder is not None:
                    encoder.landmarks.learned.fill_(True)  # random weights, as those of the encoders
                own = [encoder.spectrum(*encoder.front(torch.from_numpy(clip)[None])) for clip in clips]
                frames = [encoder.landmarks.frames(one)[0][0].numpy() for one in own[:10]]  # fewer than `count`
            encoder.landmarks.fit(frames, seed=0)
    vectors = embed_clips(model, Listed(clips), RATE)
    whole = Embeddings(vectors, np.arange(16).astype(str), {}, part_bounds(model, "both"), np.full(16, "train"))
    save_checkpoint(model, recipe, folder, whitening=whole.whitenings())
    return load_checkpoint(folder)
