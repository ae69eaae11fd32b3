"""From a path to a trained run: what the commands and the study do with data, in the order in which they do it."""

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from safetensors.torch import save_file

from mfcl.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from mfcl.core.console import Shown
from mfcl.core.files import replacing
from mfcl.core.keywords import also_called
from mfcl.core.limits import MOST_PER_CLASS
from mfcl.core.machine import set_threads
from mfcl.core.random import check_seed
from mfcl.data.dataset import Data, open_data
from mfcl.data.labels import known_classes
from mfcl.data.manifest import Manifest
from mfcl.data.manifest_csv import manifest_bytes
from mfcl.embedder import Embedder
from mfcl.embeddings.whitening import MOST_ITEMS, Whitening
from mfcl.errors import check_number
from mfcl.models.inference import embed_store
from mfcl.models.pair import MultiFormatModel, make_model
from mfcl.recipe import Recipe, load_recipe
from mfcl.training import fit
from mfcl.training.memory import check_memory
from mfcl.training.run_folder import HEADS as HEADS  # its usual place
from mfcl.training.run_folder import check_place
from mfcl.training.tasks.base import Task
from mfcl.training.tasks.contrastive import Pretrain
from mfcl.training.tasks.joint import Joint
from mfcl.training.tasks.supervised import Classify
from mfcl.training.validation import live_figures

MANIFEST = "manifest.csv"
"""The file of a run that lists what it was trained on."""


@also_called(per_class="labels_per_class")  # its name in version 0.1
def train(
    data: str | Path,
    out: str | Path,
    *,
    recipe: str | Path | Recipe = "default",
    overrides: Sequence[str] = (),
    protocol: str | None = None,
    split_by: str | None = None,
    label: str | None = None,
    speaker: str | None = None,
    joint: bool = False,
    labels_per_class: int = 0,
    seed: int = 0,
    resume: bool = False,
    overwrite: bool = False,
    device: str = "auto",
    threads: int | None = None,
    cache: Path | None = None,
    strict: bool = False,
    data_root: Path | None = None,
    progress: bool = True,
) -> Embedder:
    """Pre-train a pair of encoders on a folder, without labels, save them in a run folder, and return them for use.

    Every recording that the split does not call `test` or `valid` is trained on; the validation part shows a live
    figure each epoch and is never trained on. With `joint` those recordings that have a label teach it too.

    Args:
        data: A folder of sound, a corpus or a manifest.
        out: The run folder; see `mfcl.training.run_log` for what is in it.
        recipe: The name of a recipe, its path, or a `Recipe`.
        overrides: Single settings, such as `train.epochs=5`.
        protocol: See `open_data`, as for the next three.
        split_by: A label no value of which is on two sides.
        label: For the live figure, and for `joint`.
        speaker: The label to split by where nothing else is said.
        joint: Learn by the labels that are there as well, however few.
        labels_per_class: Use only so many of the labels of each class; 0: all.
        seed: Of the split, the weights, the crops and the augmentations.
        resume: Go on with the run that is in `out`, exactly.
        overwrite: Delete what is in `out`.
        device: `auto`, `cpu`, `cuda`, ...
        threads: Processor threads of torch; as they are if left out.
        cache: Where decoded sound is kept.
        strict: Make the first bad file an error.
        data_root: For a list: where its recordings lie now, if they were moved.
        progress: Show progress.

    Returns:
        What `mfcl.load` gives for the run folder, on the device of the training.

    Raises:
        MfclError: bad input, in one line.
    """
    check_seed(seed)
    check_number("labels_per_class", labels_per_class, 0, MOST_PER_CLASS, whole=True)
    check_place(Path(out), resume=resume, overwrite=overwrite)
    set_threads(threads)
    chosen = load_recipe(recipe, overrides)
    opened = open_data(
        data, chosen.preparation, protocol=protocol, split_by=split_by, label=label, speaker=speaker, seed=seed,
        cache=cache, strict=strict, data_root=data_root, progress=progress,
    )  # fmt: skip
    made = pretrain(
        opened, chosen, Path(out), joint=joint, per_class=labels_per_class, seed=seed, resume=resume,
        overwrite=overwrite, device=device, progress=progress,
    )  # fmt: skip
    return Embedder(made, device=device)


def pretrain(
    data: Data,
    recipe: Recipe,
    out: Path,
    *,
    joint: bool = False,
    per_class: int = 0,
    seed: int,
    resume: bool = False,
    overwrite: bool = False,
    device: str = "auto",
    progress: Shown = True,
) -> Checkpoint:
    """Pre-train a pair on the training part of opened data; see `train`."""
    store = data.part("train")
    model = check_memory(recipe, store.lengths, seed=seed, device=device)
    task = (
        Joint(model, store, known_classes(store, data.label, per_class, seed=seed)[1], recipe, seed=seed)
        if joint
        else Pretrain(model, store, recipe, seed=seed)
    )
    listed = manifest_bytes(data.manifest, out / MANIFEST, relative=True)  # refuses names before the long work
    fingerprint = resumed_fingerprint(data.manifest, out) if resume else data.manifest.fingerprint()
    result = fit(
        task, recipe.train, out, recipe=recipe, fingerprint=fingerprint, seed=seed, resume=resume,
        overwrite=overwrite, device=device, validate=live_figures(task, data), progress=progress,
    )  # fmt: skip
    told = f"{len(task.labelled)} labels of {data.label!r}" if isinstance(task, Joint) else "no labels"
    facts = {
        "training": f"multi-format contrastive, {told}",
        "recordings": f"{task.count} (fingerprint {fingerprint})",
        "seed": str(seed),
        "steps": str(result.steps),
        "seconds": f"{result.seconds:.0f}",
        "loss": f"{result.loss:.3f} (chance {task.chance_loss:.3f})",
    }
    task.finish()
    save_checkpoint(model, recipe, out / "model", card=facts, whitening=_whitening(model, task))  # first what took long
    with replacing(out / HEADS) as temporary:
        save_file({name: weight.contiguous().cpu() for name, weight in task.heads.state_dict().items()}, temporary)
    with replacing(out / MANIFEST) as temporary:
        temporary.write_bytes(listed)
    return load_checkpoint(out)


def train_supervised(
    data: Data, recipe: Recipe, out: Path, *, label: str, seed: int, device: str = "auto", progress: Shown = True
) -> Checkpoint:
    """Train each encoder alone with a linear layer on the training part's labels; both in one checkpoint.

    A run that was stopped in `out` goes on.
    """
    recipe = dataclasses.replace(recipe, model=dataclasses.replace(recipe.model, neck=None))  # it projects for no label
    model = make_model(recipe.model, seed=seed)
    store = data.part("train")
    targets = known_classes(store, label, 0, seed=seed)[1]
    labelled = np.flatnonzero(targets >= 0)
    listed = manifest_bytes(data.manifest, out / MANIFEST, relative=True)
    for format in ("wave", "mel"):
        task = Classify(model, format, store.select(labelled), targets[labelled], recipe, seed=seed)
        fit(
            task, recipe.supervised, out / format, recipe=recipe,
            fingerprint=resumed_fingerprint(data.manifest, out / format), seed=seed, resume=(out / format).exists(),
            device=device, progress=progress,
        )  # fmt: skip
    facts = {"training": f"supervised by {label!r}", "seed": str(seed)}
    save_checkpoint(model, recipe, out / "model", card=facts, whitening=_whitening(model, task))
    with replacing(out / MANIFEST) as temporary:
        temporary.write_bytes(listed)
    return load_checkpoint(out)


def resumed_fingerprint(manifest: Manifest, run: Path) -> str:
    """Return the recordings' fingerprint; that of version 0.1 where the run in a folder was begun with it."""
    path = run / "data.json"
    try:
        known = json.loads(path.read_text(encoding="utf-8"))["fingerprint"]
        return manifest.fingerprint_like(known, path.stat().st_mtime)
    except (OSError, ValueError, KeyError, TypeError):  # no run, or a damaged one, which is refused elsewhere
        return manifest.fingerprint()


def untrained(data: Data, recipe: Recipe, *, seed: int) -> MultiFormatModel:
    """Return the recipe's encoders at random weights, normalised by the same training data: the control."""
    model = make_model(recipe.model, seed=seed)
    task = Pretrain(model, data.part("train"), recipe, seed=seed)
    task.prepare()
    task.finish()
    return model.eval()


def _whitening(model: MultiFormatModel, task: Task) -> dict[str, Whitening]:
    """Return what makes the model's embeddings ready for cosines, learned from some of its training recordings."""
    return embed_store(model, task.some(MOST_ITEMS)).whitenings()
