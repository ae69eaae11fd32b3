"""Controls by name: what a trained model is compared with, embedded where it is asked for."""

import dataclasses

import numpy as np

from mfcl.core.machine import pick_device
from mfcl.data.dataset import Data
from mfcl.data.store import Store
from mfcl.embeddings.table import Embeddings
from mfcl.errors import MeasureError
from mfcl.evaluation.noisy_store import Disturbed
from mfcl.evaluation.result import LANDMARKS
from mfcl.models.inference import Format, embed_store
from mfcl.models.unlearned import spectrum_alone
from mfcl.recipe import Recipe
from mfcl.studies.representations import BASELINES, Describe, Training
from mfcl.training.api import untrained

UNTRAINED = "untrained"
CONTROLS = {
    "mfcc": "MFCC statistics",
    "logmel": "log-mel picture",
    "hydra": "Hydra-like features",
    "spectrum": "average spectrum",
    "alignment": LANDMARKS,
    UNTRAINED: "the same encoders with random weights",
}
"""Name in `mfcl compare` -> what it is."""


def control_embeddings(
    name: str, data: Data, recipe: Recipe, *, seed: int, format: Format | None = None, device: str = "auto",
    progress: bool = True,
) -> Embeddings:  # fmt: skip
    """Embed all recordings by a control.

    Args:
        name: A key of `CONTROLS`.
        data: The recordings; alignment is fitted on those of the train split.
        recipe: For `untrained`: the recipe whose encoders are made.
        seed: Seed of weights, kernels and draws.
        format: For `untrained`: `wave`, `mel` or `both`; default: `both`.
        device: For `untrained`: `auto`, `cpu`, `cuda`, ...
        progress: Show progress.
    """
    if name == UNTRAINED:
        model = untrained(data, recipe, seed=seed).to(pick_device(device))
        with spectrum_alone(model):
            return embed_store(model, data.store, format=format, progress=progress)
    store = data.store
    given = Training(store, store.manifest.splits == "train", store.sample_rate, seed)
    return described(BASELINES[CONTROLS[name]](given), CONTROLS[name], store)


def described(describe: Describe, variant: str, store: Store | Disturbed) -> Embeddings:
    """Return the vectors of a fitted baseline as embeddings.

    Args:
        describe: The fitted baseline.
        variant: Its name.
        store: The recordings.
    """
    manifest = store.manifest
    vectors = describe(store).astype(np.float32)
    labels = {label: manifest.column(label) for label in manifest.label_names}
    return Embeddings(vectors, manifest.ids, labels, {variant: (0, vectors.shape[1])}, manifest.splits)


def split_as(data: Data, known: Embeddings, name: str) -> Data:
    """Return the recordings that embeddings hold too, with the embeddings' splits.

    Args:
        data: Opened recordings.
        known: The embeddings.
        name: Their name, for the error message.

    Raises:
        MeasureError: none of the recordings is in the embeddings.
    """
    splits = dict(zip(known.ids.tolist(), known.splits.tolist(), strict=True))
    kept = np.array([place for place, one in enumerate(data.manifest.ids.tolist()) if one in splits], dtype=np.int64)
    if not len(kept):
        raise MeasureError(
            f"{name}: none of its recordings is in data, by their ids; give the recordings that it was made of as data"
        )
    store = data.store.select(kept)
    manifest = store.manifest.with_splits([splits[one] for one in store.manifest.ids.tolist()])
    return dataclasses.replace(data, manifest=manifest, store=dataclasses.replace(store, manifest=manifest))
