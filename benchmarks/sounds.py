"""Recordings to time with: noise that fades, as long as AudioMNIST's are."""

from pathlib import Path

import numpy as np
import soundfile

from mfcl.data.layouts import open_manifest
from mfcl.data.store import Store, open_store
from mfcl.recipe import Recipe

SECONDS = 0.64


def write_recordings(folder: Path, count: int, *, sample_rate: int = 16_000, seconds: float = SECONDS) -> Path:
    """Write as many WAV files, a twentieth longer or shorter each; return the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    draw = np.random.default_rng(0)
    for number in range(count):
        samples = round(seconds * sample_rate * draw.uniform(0.95, 1.05))
        fade = np.hanning(samples)
        soundfile.write(folder / f"{number:06d}.wav", 0.1 * fade * draw.standard_normal(samples), sample_rate)
    return folder


def open_recordings(folder: Path, recipe: Recipe, cache: Path) -> Store:
    """Return the store of a folder."""
    return open_store(open_manifest(folder), recipe.preparation, cache=cache, progress=False)
