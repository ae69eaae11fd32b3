"""Train encoders on few labels: from scratch, fine-tuned from pre-trained weights, or jointly."""

import dataclasses
import math
from typing import Literal

import numpy as np
from safetensors.torch import load_file

from mfcl.core.machine import stopwatch
from mfcl.data.labels import known_classes
from mfcl.evaluation.result import JOINT, NETWORK, Question, Representation, Result
from mfcl.evaluation.tasks.labels import having, tested
from mfcl.models.pair import MultiFormatModel, make_model
from mfcl.recipe import Recipe, TrainSettings
from mfcl.studies.cache import slug
from mfcl.studies.representations import Source
from mfcl.studies.workspace import Workspace
from mfcl.training import fit
from mfcl.training.api import HEADS, resumed_fingerprint
from mfcl.training.budget import shortened
from mfcl.training.tasks.joint import Joint
from mfcl.training.tasks.supervised import Classify

LEAST_STEPS = 60
"""Fewest training steps: with few labels an epoch is one batch, and the recipe's epochs would be too few steps."""
FEW_BATCH = 32
JOINT_EPOCHS, JOINT_RATE = 5, 0.3
"""Epochs of joint training, and its learning rate as a share of the pre-training's."""

Format = Literal["wave", "mel"]


class Continue(Classify):
    """Fine-tune a pre-trained encoder, keeping its input normalisation."""

    def prepare(self) -> None:
        """Keep the input normalisation of pre-training, which the weights depend on."""


class ContinueJoint(Joint):
    """Continue to train a pre-trained pair on the contrastive loss and few labels together."""

    learned_before = True

    def prepare(self) -> None:
        """Keep the input normalisation of pre-training, which the weights depend on."""


def jointly(workspace: Workspace, source: Source, per_class: int) -> list[Result]:
    """Continue to train the pre-trained pair on few labels and all recordings; return its test accuracy.

    Args:
        workspace: Data and folder.
        source: The pre-trained encoders.
        per_class: Labels per class.
    """
    data = workspace.data
    assert data.label is not None
    store, clock = data.subset("train"), stopwatch()
    names, targets = known_classes(store, data.label, per_class, seed=source.seed)
    model = workspace.model(source).train()
    short = shortened(source.recipe.train, min(JOINT_EPOCHS, source.recipe.train.epochs))
    settings = dataclasses.replace(short, learning_rate=JOINT_RATE * short.learning_rate)
    recipe = dataclasses.replace(
        source.recipe, train=settings, loss=dataclasses.replace(source.recipe.loss, searches=1)
    )
    task = ContinueJoint(model, store, targets, recipe, seed=source.seed)
    task.heads.load_state_dict(load_file(workspace.run(source) / HEADS))
    out = workspace.folder / "runs" / f"{workspace.name(source)}-joint-{per_class}"
    fit(
        task, settings, out, recipe=recipe, fingerprint=resumed_fingerprint(data.manifest, out), seed=source.seed,
        resume=out.exists(), device=workspace.device, progress=workspace.progress,
    )  # fmt: skip
    test = data.store.select(having(workspace.embeddings(source), data.label, "test"))  # what the probes are tested on
    right = names[task.predict(test)] == test.manifest.column(data.label)
    question = Question("efficiency", "accuracy", data.label, NETWORK, per_class)
    about = tested(workspace.embeddings(source), data.label, data.speaker)
    found = about.accuracy(question, right, seed=source.seed, x=float(per_class))
    return [found.about(Representation(JOINT, "", "both"), seconds=round(clock(), 1))]


def tuned(
    workspace: Workspace, source: Source, per_class: int, *, start: Literal["fine-tuned", "from scratch"]
) -> list[Result]:
    """Train both encoders with a linear output layer on labelled recordings; return their test accuracy.

    The weights of the last epoch are tested, since validation labels are not assumed.

    Args:
        workspace: Data and folder.
        source: The pre-trained encoders; "from scratch" uses only its recipe.
        per_class: Labels per class; 0 means all.
        start: Initial weights: pre-trained or random.

    Returns:
        One result per format.
    """
    data = workspace.data
    assert data.label is not None
    store = data.subset("train")
    names, targets = known_classes(store, data.label, per_class, seed=source.seed)
    chosen = np.flatnonzero(targets >= 0)
    settings = enough_steps(source.recipe.supervised, len(chosen))
    recipe = dataclasses.replace(source.recipe, supervised=settings)
    test = data.store.select(having(workspace.embeddings(source), data.label, "test"))  # what the probes are tested on
    clock, found = stopwatch(), []
    for format in ("wave", "mel"):
        model = begun(workspace, source, recipe, start)
        kind = Continue if start == "fine-tuned" else Classify
        task = kind(model, format, store.select(chosen), targets[chosen], seed=source.seed)
        out = workspace.folder / "runs" / f"{workspace.name(source)}-{slug(start)}-{per_class or 'all'}-{format}"
        fit(
            task, settings, out, recipe=recipe, fingerprint=resumed_fingerprint(data.manifest, out), seed=source.seed,
            resume=out.exists(), device=workspace.device, progress=workspace.progress,
        )  # fmt: skip
        right = names[task.predict(test)] == test.manifest.column(data.label)
        x = float(per_class) if per_class else len(chosen) / len(names)
        about = tested(workspace.embeddings(source), data.label, data.speaker)
        question = Question("efficiency", "accuracy", data.label, NETWORK, per_class or None)
        measured = about.accuracy(question, right, seed=source.seed, x=x)
        found.append(measured.about(Representation(start, "", format), seconds=round(clock(), 1)))
    return found


def begun(workspace: Workspace, source: Source, recipe: Recipe, start: str) -> MultiFormatModel:
    """Return the model with its initial weights."""
    if start == "fine-tuned":
        return workspace.model(source).train()
    return make_model(recipe.model, seed=source.seed)


def enough_steps(settings: TrainSettings, count: int) -> TrainSettings:
    """Return settings with smaller batches for few recordings, and enough epochs for `LEAST_STEPS`.

    Settings that have such limits of their own keep them.

    Example:
        >>> few = enough_steps(TrainSettings(epochs=8, batch=64), 10)
        >>> few.batch, few.epochs
        (10, 60)
    """
    if settings.fill:
        least = max(settings.least_steps, min(LEAST_STEPS, settings.most_steps or LEAST_STEPS))
        return dataclasses.replace(settings, least_steps=least)
    batch = min(settings.batch, FEW_BATCH if count < 4 * settings.batch else settings.batch, count)
    epochs = max(settings.epochs, math.ceil(LEAST_STEPS / (count // batch)))
    return dataclasses.replace(settings, batch=batch, epochs=epochs)
