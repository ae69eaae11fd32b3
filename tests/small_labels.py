"""Made-up embeddings of clips in classes: a direction for each class, noise, and parts as a model has them."""

import dataclasses
import itertools

import numpy as np

from mfcl.embeddings.table import Embeddings

CLASSES = ("dog", "owl", "wren")
MODEL = "ab" * 32


def embeddings(each=30, *, classes=CLASSES, noise=0.1, seed=0, model=MODEL, roles=True):
    """Clips of each class; of a model with roles, the voices' part tells only who speaks."""
    draw = np.random.default_rng([3, seed])
    truth = np.repeat(np.array(classes), each)
    voice = np.tile(np.arange(each) % 5, len(classes))
    words = np.stack([direction(name) for name in truth]) + noise * draw.standard_normal((len(truth), 16))
    voices = np.stack([direction(f"voice {one}") for one in voice]) + noise * draw.standard_normal((len(truth), 16))
    parts = {"mel words": (0, 16), "mel voices": (16, 32)} if roles else {"mel": (0, 32)}
    vectors = np.concatenate([words, voices], axis=1).astype(np.float32)
    ids = np.array([f"{seed}-{name}-{place}.wav" for place, name in enumerate(truth)])
    labels = {"species": truth, "speaker": voice.astype(np.str_)}
    return Embeddings(vectors, ids, labels, parts, np.full(len(truth), ""), model)


def direction(name):
    """The direction of a class, the same in every collection."""
    draw = np.random.default_rng(list(name.encode()))
    return 3 * draw.standard_normal(16)


def few(truth, count):
    """The labels of the first `count` of each class; "" for all others."""
    rank = np.array([int((truth[:place] == name).sum()) for place, name in enumerate(truth)])
    return np.where(rank < count, truth, "")


def beside_noise(*, learned: bool) -> tuple[Embeddings, np.ndarray]:
    """Clips whose average spectrum tells their class; all else is noise, but for the words' parts if `learned`."""
    draw, good = np.random.default_rng(5), embeddings(each=40, noise=0.6)
    columns = {}
    for place, part in enumerate(("words", "words projection", "voices")):
        for format in ("wave", "mel"):
            told = embeddings(each=40, noise=0.6, seed=1 + place).vectors[:, :16]
            heard = learned and "words" in part
            columns[f"{format} {part}"] = told if heard else draw.standard_normal((len(good), 32), dtype=np.float32)
    columns["mel voices spectrum"] = good.vectors[:, :16]
    edges = np.cumsum([0, *(own.shape[1] for own in columns.values())]).tolist()
    parts = dict(zip(columns, itertools.pairwise(edges), strict=True))
    vectors = np.concatenate(list(columns.values()), axis=1)
    return dataclasses.replace(good, vectors=vectors, parts=parts), good.labels["species"]
