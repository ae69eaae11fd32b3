"""Folders of models: loaded and used."""

import struct
from collections.abc import Iterator
from pathlib import Path
from random import Random

import numpy as np

import mfcl
from mfcl.checkpoint import save_checkpoint
from mfcl.embeddings.whitening import Whitening
from mfcl.models.pair import make_model
from mfcl.recipe import load_recipe
from tests.fuzz.kinds import Kind
from tests.fuzz.mutations import spoil_bytes, spoil_json
from tests.recipes import tiny_recipe
from tests.sounds import word


def write(folder: Path) -> None:
    """Write a model with a whitening of each format."""
    recipe = load_recipe(tiny_recipe(folder))
    model = make_model(recipe.model, seed=0)
    whitening = {
        name: Whitening(np.zeros(dim, dtype=np.float32), np.eye(dim, 4, dtype=np.float32))
        for name, dim in model.dims.items()
    }
    save_checkpoint(model, recipe, folder / "model", card={"data": "synthetic"}, whitening=whitening)


def spoil(folder: Path, chance: Random) -> None:
    """Spoil the settings, or the weights' list, or bytes of either."""
    name = chance.choice(("config.json", "config.json", "model.safetensors", "whitening.safetensors"))
    path = folder / "model" / name
    data = path.read_bytes()
    if name == "config.json":
        path.write_bytes(spoil_json(chance, data.decode()))
    elif chance.random() < 0.6:
        size = struct.unpack_from("<Q", data)[0]
        listed = spoil_json(chance, data[8 : 8 + size].decode())
        path.write_bytes(struct.pack("<Q", len(listed)) + listed + data[8 + size :])
    else:
        path.write_bytes(spoil_bytes(chance, data))


def use(folder: Path) -> Iterator[object]:
    """Embed a word, plain and whitened."""
    model = mfcl.load(folder, device="cpu")
    yield model.checkpoint.info
    yield model.encode([word(0, 3)])
    yield model.encode([word(0, 3)], whiten=True)


KIND = Kind(write, spoil, use)
