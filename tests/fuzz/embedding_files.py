"""Files of embeddings: loaded and measured."""

import io
import zipfile
from collections.abc import Iterator
from pathlib import Path
from random import Random

import numpy as np

from mfcl.embeddings.blocks import load_embeddings
from mfcl.embeddings.table import Embeddings
from mfcl.evaluation.tasks import measure_labels
from tests.fuzz.kinds import Kind
from tests.fuzz.mutations import encode_json, spoil_bytes, spoil_json

FILE = "vectors.npz"


def write(folder: Path) -> None:
    """Write 48 vectors of six speakers and two digits."""
    chance = np.random.default_rng(0)
    digits, speakers = np.tile(["0", "1"], 24), np.repeat([f"{number:02d}" for number in range(6)], 8)
    vectors = chance.standard_normal((48, 6)).astype(np.float32)
    vectors[digits == "1", 0] += 3
    splits = np.repeat(["train", "train", "train", "train", "valid", "test"], 8)
    ids = np.array([f"clip {number}" for number in range(48)])
    labels = {"digit": digits, "speaker": speakers}
    Embeddings(vectors, ids, labels, {"wave": (0, 4), "mel": (4, 6)}, splits).save(folder / FILE)


def spoil(folder: Path, chance: Random) -> None:
    """Spoil the file's bytes, or one array inside of it: its header, its values, its kind; or what the file says."""
    path = folder / FILE
    if chance.random() < 0.3:
        path.write_bytes(spoil_bytes(chance, path.read_bytes()))
        return
    with zipfile.ZipFile(path) as pack:
        members = {name: pack.read(name) for name in pack.namelist()}
    name = chance.choice(sorted(members))
    if name == "about.npy" and chance.random() < 0.8:
        about = str(np.load(io.BytesIO(members[name])))
        members[name] = _packed(np.array(spoil_json(chance, about).decode("utf-8", "replace")))
    elif chance.random() < 0.5:
        members[name] = _packed(_other(chance, np.load(io.BytesIO(members[name]))))
    elif chance.random() < 0.2:
        del members[name]
    else:
        members[name] = spoil_bytes(chance, members[name])
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as pack:
        for name, content in members.items():
            pack.writestr(name, content)


def _other(chance: Random, array: np.ndarray) -> np.ndarray:
    """Return an array of another kind or shape, or with values that are no numbers."""
    way = chance.randrange(8)
    if way == 0 and array.dtype.kind == "f" and array.size:
        array = array.copy()
        array.flat[chance.randrange(array.size)] = chance.choice((np.nan, np.inf, -np.inf, 3e38, 1e-45))
        return array
    if way == 1:
        return array[: len(array) // 2] if array.ndim else array[None]
    if way == 2:
        return array[..., None]
    if way == 3:
        return np.zeros(array.shape, dtype=chance.choice(("f8", "f2", "c8", "i8", "?", "M8[s]", "S3", "U0", "V4")))
    if way == 4:
        return array[:0] if array.ndim else array
    if way == 5:
        return np.full_like(array, array.ravel()[0]) if array.size else array
    if way == 6:
        return np.zeros((1, 2_000_000), dtype=np.float32)
    return np.array(encode_json(array.tolist()).decode())


def _packed(array: np.ndarray) -> bytes:
    file = io.BytesIO()
    np.save(file, array, allow_pickle=False)
    return file.getvalue()


def use(folder: Path) -> Iterator[object]:
    """Load the vectors and measure a label in them."""
    found = load_embeddings(folder / FILE)
    yield found.vectors
    yield list(found.parts.values())
    for one in measure_labels(found, "digit", "speaker", seed=0):
        yield one.value


KIND = Kind(write, spoil, use)
