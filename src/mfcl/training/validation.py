"""Validation figures during pre-training: kNN by the label, and retrieval across the two formats."""

from collections.abc import Callable

import numpy as np

from mfcl.core.random import generator
from mfcl.data import Data
from mfcl.embeddings import Embeddings
from mfcl.embeddings.nearest import top_k
from mfcl.evaluation.knn import knn_predict
from mfcl.models.inference import embed_store
from mfcl.training.tasks.contrastive import Pretrain

LIVE = 256
"""Recordings of each part that the live figures of an epoch are about: they must cost little beside the epoch."""


def live_figures(task: Pretrain, data: Data) -> Callable[[], dict[str, float]]:
    """Return what is measured each epoch on validation recordings: kNN by the label, and pairing the two formats."""
    valid, known_part = data.part("valid"), data.part("train")
    if len(valid) < 2:
        return dict
    valid, known_part = (
        part.select(np.sort(generator(task.seed, "live figures", name).permutation(len(part))[:LIVE]))
        for name, part in (("valid", valid), ("train", known_part))
    )

    def figures() -> dict[str, float]:
        held = embed_store(task.model, valid)
        found = {} if task.partial else {"valid_pairing": pairing(task, held)}
        if data.label is not None:
            both = Embeddings.concatenate([embed_store(task.model, known_part), held])
            both = both.only(task.formats[0]) if task.partial else both
            vectors, labels = both.whitened, both.label(data.label)
            known, asked = ((both.splits == part) & (labels != "") for part in ("train", "valid"))
            if known.any() and asked.any():
                nearest = knn_predict(vectors[known], labels[known], vectors[asked], min(5, int(known.sum())))
                found["valid_knn"] = 100 * float((nearest == labels[asked]).mean())
        return found

    return figures


def pairing(task: Pretrain, embeddings: Embeddings) -> float:
    """Return how often, in percent, the nearest log-mel projection to a waveform's is its own; needs no label."""
    seen = task.projections(embeddings)
    nearest, _ = top_k(seen["wave"], seen["mel"], 1)
    return 100 * float((nearest[:, 0] == np.arange(len(seen["wave"]))).mean())
