"""Models to time with: random weights, and the landmarks that a trained model has."""

import numpy as np
import torch

from benchmarks.sounds import SECONDS
from mfcl.models.pair import FormatEncoder, MultiFormatModel, make_model
from mfcl.recipe import Recipe


@torch.no_grad()
def model_to_time(recipe: Recipe) -> MultiFormatModel:
    """Return a model that takes as long as one of this recipe that was trained on recordings like those of `sounds`.

    Random weights take the time of trained ones. Landmarks do not: until they are fitted nothing is aligned with them,
    which is half of the time of `default` or more. They are fitted on generated sounds, one for each
    landmark that is a whole clip.
    """
    model = make_model(recipe.model, seed=0).eval()
    if recipe.model.landmarks is not None:
        clips = [
            torch.from_numpy(sound(recipe.model.sample_rate, seed)) for seed in range(recipe.model.landmarks.count)
        ]
        for encoder in (model.wave, model.mel):
            _fit_landmarks(encoder, clips)
    return model


def _fit_landmarks(encoder: FormatEncoder, clips: list[torch.Tensor]) -> None:
    assert encoder.landmarks is not None
    if encoder.landmarks.frame_encoder is not None:
        encoder.landmarks.learned.fill_(True)
    spectra = (encoder.spectrum(*encoder.front(clip[None])) for clip in clips)
    encoder.landmarks.fit([encoder.landmarks.frames(one)[0][0].numpy() for one in spectra], seed=0)


def sound(sample_rate: int, seed: int) -> np.ndarray:
    """Return a gliding tone in noise, as long as a recording of `sounds`; other seeds glide elsewhere."""
    random = np.random.default_rng(seed)
    time = np.arange(round(SECONDS * sample_rate * random.uniform(0.95, 1.05))) / sample_rate
    pitch, glide = random.uniform(200, 1500), random.uniform(-200, 800)
    tone = np.sin(2 * np.pi * (pitch + glide * time) * time) * np.hanning(len(time))
    return (0.3 * tone + 0.01 * random.standard_normal(len(time))).astype(np.float32)
