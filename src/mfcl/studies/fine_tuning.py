"""Networks that are trained with labels: from scratch, fine-tuned from pre-trained weights, or jointly."""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from jaxtyping import Float32, Float64, Int64
from safetensors.torch import load_file
from torch import nn

from mfcl.core.machine import stopwatch
from mfcl.data.labels import known_classes
from mfcl.data.store import Store
from mfcl.embeddings.parts import FORMATS
from mfcl.evaluation.result import JOINT, LINEAR, NETWORK, Names, Question, Representation, Result, Tested, Vectors
from mfcl.evaluation.tasks.labelled_rows import tested, usable
from mfcl.labelling.logistic import fit_classifiers
from mfcl.models.inference import embed_store
from mfcl.models.pair import MultiFormatModel, make_model, without
from mfcl.recipe import Recipe
from mfcl.studies.cache import slug
from mfcl.studies.representations import Source
from mfcl.studies.workspace import Workspace
from mfcl.training import fit
from mfcl.training.budget import shortened
from mfcl.training.run_folder import HEADS, resumed_fingerprint
from mfcl.training.tasks.joint import Joint
from mfcl.training.tasks.supervised import Classify, both_formats, content_part, enough_steps, likeliest

STRENGTH = 1.0
"""L2 strength of the output layer that fine-tuning begins with; not chosen, since no validation label is assumed."""
TUNED_RATE = 0.25
"""Learning rate of fine-tuning as a share of that from scratch."""
JOINT_EPOCHS, JOINT_RATE = 5, 0.3
"""Epochs of joint training, and its learning rate as a share of the pre-training's."""

Logits = Float32[np.ndarray, "items classes"]


class Continue(Classify):
    """Fine-tune pre-trained encoders: each begins as the linear probe on the frozen embedding, and learns slowly.

    An output layer is first fitted on the frozen embeddings of the labelled recordings; a random one would change its
    encoder at random in the first steps. The norms keep the statistics of pre-training, as those of a few recordings
    are worse. `supervised.encoder_rate` is the encoders' share of the learning rate.

    Source: Kumar et al., "Fine-tuning can distort pretrained features", arXiv:2202.10054, section 4 (probe first).
    """

    around: Store | None = None
    """Recordings without labels that standardise the embeddings for the first output layer; None: the labelled."""

    def prepare(self) -> None:
        """Keep the input normalisation of pre-training, which the weights depend on, and fit the output layers."""
        contents = self.embed(self.store)
        standards = contents if self.around is None else self.embed(self.around)
        for format, layer in self.linears.items():
            begin_as_probe(layer, contents[format], self.targets, standards[format])

    def train(self, mode: bool = True) -> "Continue":
        """Set the mode of all but the encoders, which stay in evaluation mode."""
        super().train(mode)
        self.encoders.eval()
        return self

    def share(self, name: str) -> float:
        """Return 1 for the output layers, and `supervised.encoder_rate` for the encoders."""
        return 1.0 if name.startswith("linears.") else self.recipe.supervised.encoder_rate


class ContinueJoint(Joint):
    """Continue to train a pre-trained pair on the contrastive loss and few labels together.

    The output layers begin as probes: random ones would learn little in so few steps, and pull the encoders at random.
    """

    learned_before = True

    def prepare(self) -> None:
        """Keep the input normalisation of pre-training, and fit the output layers, as `Continue` does."""
        with without(self.model, "landmarks"):
            embeddings, known = embed_store(self.model, self.store), self.labelled
        for format in self.formats:
            content = content_part(embeddings, format)
            begin_as_probe(self.linears[format], content[known], self.targets[known], content)


@torch.no_grad()
def begin_as_probe(layer: nn.Module, content: Vectors, targets: Int64[np.ndarray, " items"], standard: Vectors) -> None:
    """Set an output layer to the linear probe on the content parts of embeddings.

    Args:
        layer: An `nn.Linear`.
        content: Content parts of the labelled recordings.
        targets: Their classes.
        standard: Content parts whose mean and deviation standardise those of the labelled ones.
    """
    fitted = fit_classifiers(content, targets, standard=standard, strengths=[STRENGTH])[STRENGTH]
    layer.get_parameter("weight").copy_(torch.from_numpy(fitted.weights.T))
    layer.get_parameter("bias").copy_(torch.from_numpy(fitted.bias))


def jointly(workspace: Workspace, source: Source, per_class: int) -> list[Result]:
    """Continue to train the pre-trained pair on few labels and all recordings; return a probe's test accuracy.

    The probe is fitted on the new embeddings of the labelled recordings, as on those of a frozen encoder.

    Args:
        workspace: Data and folder.
        source: The pre-trained encoders.
        per_class: Labels per class.

    Raises:
        MeasureError: nothing can be tested; said before the training.
    """
    data = workspace.data
    assert data.label is not None
    store, clock = data.subset("train"), stopwatch()
    asked_of = usable(workspace.embeddings(source), data.label, "test")  # those of the probes
    names, targets = known_classes(store, data.label, per_class, seed=source.seed)
    workspace.make_room()
    model = workspace.model(source).train()
    short = shortened(source.recipe.train, min(JOINT_EPOCHS, source.recipe.train.epochs))
    settings = dataclasses.replace(short, learning_rate=JOINT_RATE * short.learning_rate)
    recipe = dataclasses.replace(
        source.recipe, train=settings, loss=dataclasses.replace(source.recipe.loss, searches=1)
    )
    task = ContinueJoint(model, store, targets, recipe, seed=source.seed)
    task.heads.load_state_dict(load_file(workspace.run(source) / HEADS))
    out = _folder(workspace, source, f"joint-{per_class}")
    fit(
        task, settings, out, recipe=recipe, fingerprint=resumed_fingerprint(data.manifest, out), seed=source.seed,
        resume=out.exists(), device=workspace.device, progress=workspace.progress,
    )  # fmt: skip
    task.finish()
    test = data.store.select(asked_of)
    known, asked = (joint_content(model, part, source.formats) for part in (store, test))
    chosen = np.flatnonzero(targets >= 0)
    probe = fit_classifiers(known[chosen], targets[chosen], standard=known, strengths=[STRENGTH])[STRENGTH]
    right = names[probe.predict(asked)] == test.manifest.column(data.label)
    question = Question("efficiency", "accuracy", data.label, LINEAR, per_class)
    about = tested(workspace.embeddings(source), data.label, data.speaker)
    found = about.accuracy(question, right, seed=source.seed, x=float(per_class))
    format = "both" if len(source.formats) > 1 else source.formats[0]
    return [found.about(Representation(JOINT, "", format), seconds=round(clock(), 1))]


def joint_content(
    model: MultiFormatModel, store: Store, formats: Sequence[str] = FORMATS
) -> Float64[np.ndarray, "items dim"]:
    """Return the content parts of the embeddings of both formats, or of some, side by side."""
    with without(model, "landmarks"):  # they are no part of it
        embeddings = embed_store(model, store)
    return np.concatenate([content_part(embeddings, name) for name in formats], axis=1, dtype=np.float64)


def tuned(
    workspace: Workspace, source: Source, per_class: int, *, start: Literal["fine-tuned", "from scratch"]
) -> list[Result]:
    """Train the encoders with a linear output layer on labelled recordings; return their test accuracy.

    Those are both, or the one that pre-training trains. The weights of the last epoch are tested, since validation
    labels are not assumed. From scratch with all labels, they are the study's supervised networks.

    Args:
        workspace: Data and folder.
        source: The pre-trained encoders; "from scratch" uses only its recipe.
        per_class: Labels per class; 0 means all.
        start: Initial weights: pre-trained or random.

    Returns:
        One result per format, and where there are two one of both together.

    Raises:
        MeasureError: nothing can be tested; said before the training.
    """
    data, clock = workspace.data, stopwatch()
    assert data.label is not None
    store = data.subset("train")
    asked_of = usable(workspace.embeddings(source), data.label, "test")  # those of the probes
    names, targets = known_classes(store, data.label, per_class, seed=source.seed)
    workspace.make_room()
    chosen = np.flatnonzero(targets >= 0)
    spent = 0.0
    if start == "from scratch" and not per_class:
        supervised = dataclasses.replace(source, kind="supervised")
        spent = float(workspace.make(supervised)["seconds"])
        logits = workspace.logits(supervised)
    else:
        recipe = _tuned_recipe(source.recipe, len(chosen), start)
        test = data.store.select(asked_of)
        model = begun(workspace, source, recipe, start)
        kind = Continue if start == "fine-tuned" else Classify
        task = kind(model, source.formats, store.select(chosen), targets[chosen], recipe, seed=source.seed)
        if isinstance(task, Continue) and len(chosen) < len(store):
            task.around = store
        out = _folder(workspace, source, f"{slug(start)}-on-{per_class or 'all'}")
        fit(
            task, recipe.supervised, out, recipe=recipe, fingerprint=resumed_fingerprint(data.manifest, out),
            seed=source.seed, resume=out.exists(), device=workspace.device, progress=workspace.progress,
        )  # fmt: skip
        logits = task.logits(test)
    about = tested(workspace.embeddings(source), data.label, data.speaker)
    question = Question("efficiency", "accuracy", data.label, NETWORK, per_class or None)
    x = float(per_class) if per_class else len(chosen) / len(names)
    seconds = round(max(spent, clock()), 1)
    rows = networks(about, question, logits, names, seed=source.seed, x=x)
    return [row.about(Representation(start, "", format), seconds=seconds) for format, row in rows.items()]


def networks(
    about: Tested, question: Question, logits: Mapping[str, Logits], names: Names, *, seed: int, x: float | None = None
) -> dict[str, Result]:
    """Return the accuracy of the networks of each format and, if there are two, of the mean of their logits.

    Args:
        about: The tested recordings.
        question: What is asked.
        logits: Format -> class scores of the tested recordings.
        names: Name of each class.
        seed: Of the bootstrap.
        x: Position on the chart's x axis.
    """
    given = dict(logits) if len(logits) == 1 else {**logits, "both": both_formats(logits.values())}
    predicted = {format: names[likeliest(scores)] for format, scores in given.items()}
    return {
        format: about.accuracy(question, own == about.truth, seed=seed, x=x, predicted=own)
        for format, own in predicted.items()
    }


def _folder(workspace: Workspace, source: Source, training: str) -> Path:
    """Return the run folder of a training with labels, one for each label: the source's name does not tell which."""
    return workspace.folder / "runs" / f"{workspace.name(source)}-{training}-{slug(workspace.data.label or '')}"


def begun(workspace: Workspace, source: Source, recipe: Recipe, start: str) -> MultiFormatModel:
    """Return the model with its initial weights."""
    if start == "fine-tuned":
        model = workspace.model(source).train()
        model.wave.landmarks = model.mel.landmarks = None  # are not asked, and would be held twice, with their average
        return model
    return make_model(recipe.model, seed=source.seed)


def _tuned_recipe(recipe: Recipe, count: int, start: str) -> Recipe:
    """Return the recipe of a training on `count` recordings; random weights have no use for a neck."""
    settings = enough_steps(recipe.supervised, count)
    if start == "fine-tuned":
        slow = dataclasses.replace(settings, learning_rate=TUNED_RATE * settings.learning_rate)
        return dataclasses.replace(recipe, supervised=slow)
    model = dataclasses.replace(recipe.model, neck=None, landmarks=None)
    return dataclasses.replace(recipe, model=model, supervised=settings)
