"""A training run of a second on a tiny corpus; as a script it can be killed, resumed, or run by torchrun.

python tests/small_run.py CORPUS FOLDER [--task pretrain,classify] [--resume] [--kill-at STEP] [--gradients FOLDER]
    [--every SECONDS] [--terms wave-wave]
"""

import argparse
import dataclasses
import os
import signal
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file
from torch.nn.parallel import DistributedDataParallel

from mfcl.core.distributed import is_main, processes, start, stop
from mfcl.core.plain_values import from_dict
from mfcl.data.layouts import open_manifest
from mfcl.data.store import open_store
from mfcl.models.heads import NeckSettings
from mfcl.models.pair import make_model
from mfcl.recipe import Recipe
from mfcl.training import fit
from mfcl.training import positives as neighbourhood
from mfcl.training.batch_schedule import Plan
from mfcl.training.tasks.contrastive import Pretrain
from mfcl.training.tasks.supervised import Classify

TINY = {
    "name": "tiny",
    "model": {
        "mel_format": {"fft": 256, "window": 200, "hop": 160, "bands": 16},
        "wave": {"name": "reference1d", "width": 0.02, "norm": "batch"},
        "mel": {"name": "melcnn", "width": 0.125, "norm": "batch"},
    },
    "augment": {"setting": "both"},
    "head": {"layers": 2, "width": 16, "out": 8},
    "loss": {"terms": "inter+intra", "learned": True},
    "train": {"epochs": 4, "batch": 8, "ema": 0.9},
    "supervised": {"epochs": 4, "batch": 8},
}


def tiny(**train) -> Recipe:
    """The smallest recipe that has everything: BatchNorm, EMA, both augmentations, a learned temperature."""
    recipe = from_dict(Recipe, TINY, where="here")
    return dataclasses.replace(
        recipe,
        train=dataclasses.replace(recipe.train, **train),
        supervised=dataclasses.replace(recipe.supervised, **train),
    )


def with_terms(recipe: Recipe, terms: str) -> Recipe:
    """The recipe with other terms of the loss."""
    return dataclasses.replace(recipe, loss=dataclasses.replace(recipe.loss, terms=terms))


def with_neighbours(recipe: Recipe) -> Recipe:
    """The recipe with neighbours, which few recordings have only where `few_are_enough` was called, and all parts."""
    return dataclasses.replace(
        recipe,
        loss=dataclasses.replace(recipe.loss, neighbours=2, voice_neighbours=2, ambiguous=5, searches=2),
        model=dataclasses.replace(recipe.model, voices="statistics", spectrum=True, neck=NeckSettings(2, 16, 8, 4)),
    )


def few_are_enough(set_to=setattr) -> None:
    """Let corpora of two dozen recordings have neighbours."""
    set_to(neighbourhood, "SAME_SHARE", 12)
    set_to(neighbourhood, "AMBIGUOUS_SHARE", 4)


def open_tiny(corpus: Path, recipe: Recipe):
    """The store of a corpus, cached beside it."""
    return open_store(
        open_manifest(corpus), recipe.preparation, cache=corpus.parent / "cache", workers=1, progress=False
    )


def make_task(store, recipe: Recipe, *, kind: str = "pretrain", seed: int = 0):
    """A task on a fresh model."""
    model = make_model(recipe.model, seed=seed)
    if kind == "pretrain":
        return Pretrain(model, store, recipe, seed=seed)
    targets = np.unique(store.manifest.column("digit"), return_inverse=True)[1].astype(np.int64)
    return Classify(model, ["mel"], store, targets, recipe, seed=seed)


def run_tiny(task, recipe: Recipe, run: Path, **options):
    """Fit with what is the same in all tests; `options` go to `fit`."""
    settings = recipe.train if isinstance(task, Pretrain) else recipe.supervised
    given = {"fingerprint": "f", "seed": 0, "device": "cpu", "progress": False, **options}
    return fit(task, settings, run, recipe=recipe, **given)


def send_at(task, step: int, number: int) -> None:
    """Make a task send this process a signal in the midst of its `step`-th forward pass."""
    whole, seen = task.forward, iter(range(1, 1_000_000))

    def forward(batch):
        if next(seen) == step:
            os.kill(os.getpid(), number)
        return whole(batch)

    task.forward = forward


def gradients(task, recipe: Recipe) -> dict[str, torch.Tensor]:
    """The loss and the gradient of the first batch, of all processes."""
    task.train()
    task.begin(0, 1)
    plan = Plan(task.store.lengths, recipe.train.batch, 1, 0)
    runner = DistributedDataParallel(task, broadcast_buffers=False) if processes() > 1 else task
    loss, _ = runner(task.see(task.batch(plan.recordings(0), 0)))
    loss.backward()
    found = {name: weight.grad.contiguous() for name, weight in task.named_parameters() if weight.grad is not None}
    return {"loss": loss.detach(), **found}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("corpus", type=Path)
    parser.add_argument("run", type=Path)
    parser.add_argument("--task", default="pretrain")
    parser.add_argument("--resume", action="store_true")
    parser.add_argument("--kill-at", type=int)
    parser.add_argument("--gradients", type=Path)
    parser.add_argument("--every", type=float, default=60.0)
    parser.add_argument("--terms", default=TINY["loss"]["terms"])
    parser.add_argument("--neighbours", action="store_true")
    given = parser.parse_args()
    torch.set_num_threads(1)
    recipe = with_terms(tiny(), given.terms)
    if given.neighbours:
        few_are_enough()
        recipe = with_neighbours(recipe)
    start("cpu")
    store = open_tiny(given.corpus, recipe)
    for kind in given.task.split(","):
        if given.gradients:
            found = gradients(make_task(store, recipe, kind=kind), recipe)
            if is_main():
                given.gradients.mkdir(exist_ok=True)
                save_file(found, given.gradients / kind)
        task = make_task(store, recipe, kind=kind)
        if given.kill_at:
            send_at(task, given.kill_at, signal.SIGKILL)
        run_tiny(task, recipe, given.run / kind, resume=given.resume, checkpoint_seconds=given.every)
    stop()


if __name__ == "__main__":
    main()
