"""Validation figures during pre-training: kNN accuracy of the label, and retrieval across the two formats."""

from collections.abc import Callable

import numpy as np

from mfcl.core.random import generator
from mfcl.data import Data
from mfcl.embeddings import Embeddings
from mfcl.embeddings.nearest import top_k
from mfcl.evaluation.knn import knn_predict
from mfcl.models.inference import embed_store
from mfcl.models.pair import without
from mfcl.training.tasks.contrastive import Pretrain

LIVE = 256
"""Most recordings of each split used for the validation figures, so that they cost little time."""


def live_figures(task: Pretrain, data: Data) -> Callable[[], dict[str, float]]:
    """Return a function that computes the validation figures, in percent.

    `valid_knn`: kNN accuracy of the label, if there is one. `valid_pairing`: see `pairing`. There are no figures if the
    valid split has fewer than two recordings.
    """
    valid, train = data.subset("valid"), data.subset("train")
    if len(valid) < 2:
        return dict
    valid, train = (
        split.select(np.sort(generator(task.seed, "live figures", name).permutation(len(split))[:LIVE]))
        for name, split in (("valid", valid), ("train", train))
    )

    def figures() -> dict[str, float]:
        with without(task.model, "landmarks"):
            return measured()

    def measured() -> dict[str, float]:
        held = embed_store(task.model, valid)
        found = {} if task.partial else {"valid_pairing": pairing(task, held)}
        if data.label is not None:
            both = Embeddings.concatenate([embed_store(task.model, train), held])
            both = both.only(task.formats[0]) if task.partial else both
            vectors, labels = both.whitened, both.label(data.label)
            known, asked = ((both.splits == split) & (labels != "") for split in ("train", "valid"))
            if known.any() and asked.any():
                nearest = knn_predict(vectors[known], labels[known], vectors[asked], min(5, int(known.sum())))
                found["valid_knn"] = 100 * float((nearest == labels[asked]).mean())
        return found

    return figures


def pairing(task: Pretrain, embeddings: Embeddings) -> float:
    """Return the percentage of waveform projections whose nearest log-mel projection is of the same recording."""
    seen = task.projections(embeddings)
    nearest, _ = top_k(seen["wave"], seen["mel"], 1)
    return 100 * float((nearest[:, 0] == np.arange(len(seen["wave"]))).mean())
