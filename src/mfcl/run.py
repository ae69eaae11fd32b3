"""From a path to a trained run: what the commands and the study do with data, in the order in which they do it."""

import contextlib
import ctypes
import dataclasses
import os
import shlex
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Int64, Shaped
from safetensors.torch import save_file

from mfcl.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from mfcl.data import Data, open_data
from mfcl.embeddings import Embeddings
from mfcl.errors import ManifestError, MfclError
from mfcl.files import replacing
from mfcl.inference import embed_store
from mfcl.models import MultiFormatModel, make_model
from mfcl.neighbours import knn_predict
from mfcl.probe import few_labels
from mfcl.recipe import Recipe, load_recipe
from mfcl.recordings import write_manifest
from mfcl.search import top_k
from mfcl.seeds import generator
from mfcl.store import Store
from mfcl.training import fit
from mfcl.training.classify import Classify
from mfcl.training.joint import Joint
from mfcl.training.pretrain import Pretrain
from mfcl.training.tasks import Task
from mfcl.whitening import MOST_ITEMS, Whitening
from mfcl.workers import core_count

HEADS = "heads.safetensors"
"""The file of a pre-training run that holds its projection heads: what brings the two formats into one space."""
LIVE = 256
"""Recordings of each part that the live figures of an epoch are about: they must cost little beside the epoch."""
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # the numbers of malloc.h


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
    per_class: int = 0,
    seed: int = 0,
    resume: bool = False,
    overwrite: bool = False,
    device: str = "auto",
    threads: int | None = None,
    cache: Path | None = None,
    strict: bool = False,
    progress: bool = True,
) -> Checkpoint:
    """Pre-train a pair of encoders on a folder, without labels, and save them in a run folder.

    Every recording that the split does not call `test` or `valid` is trained on; the validation part shows a live
    figure each epoch and is never trained on. With `joint` those recordings that have a label teach it too.

    Args:
        data: A folder of sound, a corpus or a manifest.
        out: The run folder; see `mfcl.training.journal` for what is in it.
        recipe: The name of a recipe, its path, or a `Recipe`.
        overrides: Single settings, such as `train.epochs=5`.
        protocol: See `open_data`, as for the next three.
        split_by: A label no value of which is on two sides.
        label: For the live figure, and for `joint`.
        speaker: The label to split by where nothing else is said.
        joint: Learn by the labels that are there as well, however few.
        per_class: Use only so many of the labels of each class; 0: all.
        seed: Of the split, the weights, the crops and the augmentations.
        resume: Go on with the run that is in `out`, exactly.
        overwrite: Delete what is in `out`.
        device: `auto`, `cpu`, `cuda`, ...
        threads: Processor threads; as many as the process may use if left out.
        cache: Where decoded sound is kept.
        strict: Make the first bad file an error.
        progress: Show progress.
    """
    use_machine(threads)
    chosen = recipe if isinstance(recipe, Recipe) else load_recipe(recipe, overrides)
    opened = open_data(
        data, chosen.preparation, protocol=protocol, split_by=split_by, label=label, speaker=speaker, seed=seed,
        cache=cache, strict=strict, progress=progress,
    )  # fmt: skip
    return pretrain(
        opened, chosen, Path(out), joint=joint, per_class=per_class, seed=seed, resume=resume, overwrite=overwrite,
        device=device, progress=progress,
    )  # fmt: skip


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
    progress: bool = True,
) -> Checkpoint:
    """Pre-train a pair on the training part of opened data; see `train`."""
    model, store = make_model(recipe.model, seed=seed), data.part("train")
    task = (
        Joint(model, store, known_classes(store, data.label, per_class, seed=seed)[1], recipe, seed=seed)
        if joint
        else Pretrain(model, store, recipe, seed=seed)
    )
    result = fit(
        task, recipe.train, out, recipe=recipe, fingerprint=data.manifest.fingerprint(), seed=seed, resume=resume,
        overwrite=overwrite, device=device, validate=_live_figures(task, data), progress=progress,
    )  # fmt: skip
    told = f"{len(task.labelled)} labels of {data.label!r}" if isinstance(task, Joint) else "no labels"
    facts = {
        "training": f"multi-format contrastive, {told}",
        "recordings": f"{task.count} (fingerprint {data.manifest.fingerprint()})",
        "seed": str(seed),
        "steps": str(result.steps),
        "seconds": f"{result.seconds:.0f}",
        "loss": f"{result.loss:.3f} (chance {task.chance_loss:.3f})",
    }
    task.finish()
    write_manifest(data.manifest, out / "manifest.csv")
    with replacing(out / HEADS) as temporary:
        save_file({name: weight.contiguous().cpu() for name, weight in task.heads.state_dict().items()}, temporary)
    save_checkpoint(model, recipe, out / "model", card=facts, whitening=_whitening(model, task))
    return load_checkpoint(out)


def train_supervised(
    data: Data, recipe: Recipe, out: Path, *, label: str, seed: int, device: str = "auto", progress: bool = True
) -> Checkpoint:
    """Train each encoder alone with a linear layer on the training part's labels; both in one checkpoint.

    A run that was stopped in `out` goes on.
    """
    recipe = dataclasses.replace(recipe, model=dataclasses.replace(recipe.model, neck=None))  # it projects for no label
    model = make_model(recipe.model, seed=seed)
    store = data.part("train")
    targets = known_classes(store, label, 0, seed=seed)[1]
    labelled = np.flatnonzero(targets >= 0)
    for format in ("wave", "mel"):
        task = Classify(model, format, store.select(labelled), targets[labelled], recipe, seed=seed)
        fit(
            task, recipe.supervised, out / format, recipe=recipe, fingerprint=data.manifest.fingerprint(), seed=seed,
            resume=(out / format).exists(), device=device, progress=progress,
        )  # fmt: skip
    write_manifest(data.manifest, out / "manifest.csv")
    facts = {"training": f"supervised by {label!r}", "seed": str(seed)}
    save_checkpoint(model, recipe, out / "model", card=facts, whitening=_whitening(model, task))
    return load_checkpoint(out)


def known_classes(
    store: Store, label: str | None, per_class: int, *, seed: int
) -> tuple[Shaped[np.ndarray, " classes"], Int64[np.ndarray, " items"]]:
    """Return the values of a label, and which of them each recording has; -1 where it is not known.

    Args:
        store: Training recordings.
        label: What they are named by.
        per_class: Take no more than so many labels of each class for known; 0: all.
        seed: Draws them.

    Raises:
        ManifestError: there is no label, or there are fewer than two values.
        MeasureError: a class has fewer labels.
    """
    if label is None:
        raise ManifestError("wanted a label to learn by (--label, or a column digit, label, word, species), found none")
    values = store.manifest.column(label)
    known = np.flatnonzero(values != "")
    names, codes = np.unique(values[known], return_inverse=True)
    if len(names) < 2:
        raise ManifestError(f"label {label!r}: wanted 2 or more values to train on, got {len(names)}")
    chosen = few_labels(values[known], per_class, seed=seed) if per_class else np.arange(len(known))
    targets = np.full(len(values), -1, dtype=np.int64)
    targets[known[chosen]] = codes[chosen]
    return names, targets


def untrained(data: Data, recipe: Recipe, *, seed: int) -> MultiFormatModel:
    """Return the recipe's encoders at random weights, normalised by the same training data: the control."""
    model = make_model(recipe.model, seed=seed)
    task = Pretrain(model, data.part("train"), recipe, seed=seed)
    task.prepare()
    task.finish()
    return model.eval()


def use_machine(threads: int | None) -> int:
    """Settle how this process uses the machine; return its number of threads.

    As many threads as asked for, else as OMP_NUM_THREADS says, else as the process may use: more would spin beside
    others at half the speed. And glibc is told to keep large blocks of memory: given back to the system after each
    layer they must be faulted in again, which doubles the time of a training step (measured; see
    `docs/decisions/0006-keep-large-blocks.md`).
    """
    if threads is not None and threads < 1:
        raise MfclError(f"--threads {threads}: wanted 1 or more; leave it out for as many as there are")
    told = os.environ.get("OMP_NUM_THREADS", "").split(",")[0]
    asked = threads or (int(told) if told.isdigit() else 0) or core_count()
    torch.set_num_threads(asked)
    with contextlib.suppress(OSError, AttributeError):  # another C library: nothing to tell
        library = ctypes.CDLL("libc.so.6")
        for setting in (M_MMAP_THRESHOLD, M_TRIM_THRESHOLD):
            library.mallopt(setting, 2**30)
    return asked


def this_command() -> str:
    """Return the command line that is running, to print beside the figures it makes."""
    program = Path(sys.argv[0]).name
    return shlex.join(["mfcl" if program in ("mfcl", "__main__.py") else program, *sys.argv[1:]])


def stopwatch() -> Callable[[], float]:
    """Return a function that tells the seconds since now."""
    start = time.perf_counter()
    return lambda: time.perf_counter() - start


def _live_figures(task: Pretrain, data: Data) -> Callable[[], dict[str, float]]:
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
        found = {} if task.partial else {"valid_pairing": _pairing(task, held)}
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


def _whitening(model: MultiFormatModel, task: Task) -> dict[str, Whitening]:
    """Return what makes the model's embeddings ready for cosines, learned from some of its training recordings."""
    return embed_store(model, task.some(MOST_ITEMS)).whitenings()


def _pairing(task: Pretrain, embeddings: Embeddings) -> float:
    """Return how often, in percent, the nearest log-mel projection to a waveform's is its own; needs no label."""
    seen = task.projections(embeddings)
    nearest, _ = top_k(seen["wave"], seen["mel"], 1)
    return 100 * float((nearest[:, 0] == np.arange(len(seen["wave"]))).mean())
