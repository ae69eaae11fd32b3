"""A study's folder, spoilt between two calls: the second one goes on."""

import struct
from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest

import mfcl
from mfcl.training.tasks import supervised
from tests.fuzz.kinds import Kind
from tests.fuzz.mutations import spoil_bytes, spoil_json
from tests.recipes import tiny_recipe
from tests.small_study import LEAST_STEPS
from tests.sounds import write_corpus


def write(folder: Path) -> None:
    """Run a study of seconds."""
    write_corpus(folder / "corpus", speakers=8, digits=2, takes=2)
    tiny_recipe(folder)
    list(use(folder))


def spoil(folder: Path, chance: Random) -> None:
    """Spoil one file that the study keeps; parts are the most of them."""
    out = folder / "out"
    files = sorted(
        path for path in out.rglob("*") if path.is_file() and path.suffix in (".json", ".npz", ".safetensors")
    )
    path = chance.choice(files)
    data = path.read_bytes()
    if path.suffix == ".json":
        path.write_bytes(spoil_json(chance, data.decode()))
    elif path.suffix == ".safetensors" and chance.random() < 0.5:
        size = struct.unpack_from("<Q", data)[0]
        listed = spoil_json(chance, data[8 : 8 + size].decode())
        path.write_bytes(struct.pack("<Q", len(listed)) + listed + data[8 + size :])
    else:
        path.write_bytes(spoil_bytes(chance, data))


def use(folder: Path) -> Iterator[object]:
    """Go on with the study; where a training is spoilt, with one of a few steps, so that there is time for others."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(supervised, "LEAST_STEPS", LEAST_STEPS)
        yield mfcl.study(
            folder / "corpus",
            folder / "out",
            recipe=folder / "tiny.yaml",
            only=["labels"],
            seeds=1,
            device="cpu",
            cache=folder / "cache",
            progress=False,
            command="mfcl study",
        )


KIND = Kind(write, spoil, use)
