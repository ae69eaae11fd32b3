"""Train a network of each format with the labels of opened data, and read its output layer again."""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor

from mfcl.checkpoint import Checkpoint, load_checkpoint
from mfcl.core.files import replacing
from mfcl.core.progress import Shown
from mfcl.data.dataset import Data
from mfcl.data.labels import known_classes
from mfcl.data.manifest_csv import manifest_bytes
from mfcl.models.pair import make_model
from mfcl.models.weights_file import read_weights
from mfcl.recipe import Recipe
from mfcl.training import fit
from mfcl.training.own_encoders import check_encoders
from mfcl.training.run_folder import CLASSIFIERS, MANIFEST, resumed_fingerprint
from mfcl.training.saving import save_trained
from mfcl.training.tasks.supervised import Classify, Linear, enough_steps

STEPS = "networks"
"""The folder of the training itself in a run folder."""


def train_supervised(
    data: Data,
    recipe: Recipe,
    out: Path,
    *,
    label: str,
    formats: Sequence[str] = ("wave", "mel"),
    seed: int,
    device: str = "auto",
    progress: Shown = True,
) -> Checkpoint:
    """Train each encoder with a linear layer on the labels of the train split; save all in one run folder.

    An interrupted run in `out` is continued. The output layers are read by `load_classifiers`.

    Args:
        data: Opened recordings.
        recipe: Model, augmentation and `supervised`; a neck is left out, as it is for what no label says.
        out: The run folder, with a folder for the training of both formats.
        label: The label to predict.
        formats: The formats to train; another's encoder keeps its random weights.
        seed: Of the weights, the crops and the augmentations.
        device: `auto`, `cpu`, `cuda`, ...
        progress: Show progress.
    """
    recipe = dataclasses.replace(recipe, model=dataclasses.replace(recipe.model, neck=None, landmarks=None))
    model = make_model(recipe.model, seed=seed)
    check_encoders(model, recipe.model, formats)
    store = data.subset("train")
    targets = known_classes(store, label, 0, seed=seed)[1]
    labelled = np.flatnonzero(targets >= 0)
    recipe = dataclasses.replace(recipe, supervised=enough_steps(recipe.supervised, len(labelled)))
    listed = manifest_bytes(data.manifest, out / MANIFEST, relative=True)
    task = Classify(model, formats, store.select(labelled), targets[labelled], recipe, seed=seed)
    steps = out / STEPS
    fit(
        task, recipe.supervised, steps, recipe=recipe, fingerprint=resumed_fingerprint(data.manifest, steps), seed=seed,
        resume=steps.exists(), device=device, progress=progress,
    )  # fmt: skip
    layers = {name: value.detach().cpu() for name, value in task.linears.state_dict().items()}
    facts = {"training": f"supervised by {label!r}", "formats": " and ".join(formats), "seed": str(seed)}
    save_trained(model, task, recipe, out, formats=formats, facts=facts)
    with replacing(out / MANIFEST) as temporary:
        temporary.write_bytes(listed)
    with replacing(out / CLASSIFIERS) as temporary:  # last: it marks the run as complete
        save_file(layers, temporary)
    return load_checkpoint(out)


def load_classifiers(run: Path, dims: Mapping[str, int], classes: int) -> dict[str, Linear]:
    """Return the output layers of a supervised training.

    Args:
        run: The run folder.
        dims: The trained formats, and the size of the content part of their embeddings.
        classes: Number of classes.

    Raises:
        CheckpointError: the file is missing, damaged, or of other formats or sizes.
    """
    wanted: dict[str, Tensor] = {}
    for format, dim in dims.items():
        wanted |= {f"{format}.weight": torch.empty(classes, dim), f"{format}.bias": torch.empty(classes)}
    found = read_weights(run / CLASSIFIERS, wanted, do=f"delete {run} to train it again")
    return {name: Linear(found[f"{name}.weight"].numpy(), found[f"{name}.bias"].numpy()) for name in dims}
