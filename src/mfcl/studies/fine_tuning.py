"""Encoders trained with few labels: from random weights, and on from the pre-trained ones."""

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
from mfcl.training.tasks.joint import Joint
from mfcl.training.tasks.supervised import Classify

LEAST_STEPS = 60
"""However few the labels, so many steps are made: ten recordings are one batch, and ten steps teach nothing."""
FEW_BATCH = 32
JOINT_EPOCHS, JOINT_RATE = 5, 0.3
"""Epochs of joint training after pre-training, and the share of its learning rate."""

Format = Literal["wave", "mel"]


class Continue(Classify):
    """Teach an encoder that has learned already: it goes on hearing sound as it was normalised then."""

    def prepare(self) -> None:
        """Fit nothing: a few recordings would move what the weights were learned with."""


class ContinueJoint(Joint):
    """Teach a pair that has learned already, by the labels as well as on without them."""

    learned_before = True

    def prepare(self) -> None:
        """Fit nothing: the encoders go on hearing sound as it was normalised then."""


def jointly(workspace: Workspace, source: Source, per_class: int) -> list[Result]:
    """Train the pre-trained pair on, by few labels and all recordings, and return what it tells of test speakers.

    Args:
        workspace: Data and folder.
        source: The pre-trained encoders.
        per_class: Labels of each class.
    """
    data = workspace.data
    assert data.label is not None
    store, clock = data.part("train"), stopwatch()
    names, targets = known_classes(store, data.label, per_class, seed=source.seed)
    model = workspace.model(source).train()
    epochs = min(JOINT_EPOCHS, source.recipe.train.epochs)
    settings = dataclasses.replace(
        source.recipe.train, epochs=epochs, learning_rate=JOINT_RATE * source.recipe.train.learning_rate
    )
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
    """Train both encoders on labelled training recordings and return what their linear layers tell of test speakers.

    The last weights are measured: with one label a class there is nothing to choose by.

    Args:
        workspace: Data and folder.
        source: The pre-trained encoders; from scratch takes its recipe alone.
        per_class: Labels of each class; 0 is all.
        start: Where the weights begin.

    Returns:
        A result for each format.
    """
    data = workspace.data
    assert data.label is not None
    store = data.part("train")
    names, targets = known_classes(store, data.label, per_class, seed=source.seed)
    chosen = np.flatnonzero(targets >= 0)
    settings = enough_steps(source.recipe.supervised, len(chosen))
    recipe = dataclasses.replace(source.recipe, supervised=settings)
    test = data.store.select(having(workspace.embeddings(source), data.label, "test"))  # what the probes are tested on
    clock, found = stopwatch(), []
    for format in ("wave", "mel"):
        model = begun(workspace, source, recipe, start)
        kind = Continue if start == "fine-tuned" else Classify
        task = kind(model, format, store.select(chosen), targets[chosen], recipe, seed=source.seed)
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
    """Return the model that training begins with."""
    if start == "fine-tuned":
        return workspace.model(source).train()
    return make_model(recipe.model, seed=source.seed)


def enough_steps(settings: TrainSettings, count: int) -> TrainSettings:
    """Return the settings with smaller batches for few recordings, and epochs enough for `LEAST_STEPS`.

    Example:
        >>> few = enough_steps(TrainSettings(epochs=8, batch=64), 10)
        >>> few.batch, few.epochs
        (10, 60)
    """
    batch = min(settings.batch, FEW_BATCH if count < 4 * settings.batch else settings.batch, count)
    epochs = max(settings.epochs, math.ceil(LEAST_STEPS / (count // batch)))
    return dataclasses.replace(settings, batch=batch, epochs=epochs)
