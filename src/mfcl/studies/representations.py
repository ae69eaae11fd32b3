"""Sources of a study's embeddings: baselines, and untrained, pre-trained and supervised encoders."""

import dataclasses
import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np
from jaxtyping import Bool

from mfcl.core.plain_values import to_dict
from mfcl.embeddings.parts import FORMATS
from mfcl.errors import RecipeError, shown
from mfcl.evaluation.aligned import fit_landmarks
from mfcl.evaluation.baselines import ClipSource, average_spectrum, log_mel_picture, mfcc_statistics, random_features
from mfcl.evaluation.result import BASELINE, CONTENT, ELSEWHERE, FORMATLESS, LANDMARKS, SPEAKER, Representation
from mfcl.models.encoders import EncoderSettings
from mfcl.models.landmarks import LandmarkSettings
from mfcl.models.losses import TERMS
from mfcl.recipe import Recipe, changed
from mfcl.training.budget import shortened
from mfcl.views.crops import CropSettings

Kind = Literal["baseline", "untrained", "pre-trained", "supervised", "elsewhere"]
FIGURES_VERSION = "0.1.0"
"""Version of the results; raise it when code changes alter results, so that cached ones are computed anew."""
LANDMARKS_VERSION, MODEL_LANDMARKS_VERSION = 3, 4
"""Version of what landmarks say of a clip, as a baseline and in a model; raise it when that changes, so that what holds
them is made anew."""

Describe = Callable[[ClipSource], np.ndarray]
"""Returns one vector per clip, which depends on that clip alone."""


@dataclass(frozen=True)
class Training:
    """What a baseline may be fitted on: the clips and which of them are for training, without any label.

    Attributes:
        clips: All clips.
        known: True for training clips.
        sample_rate: In Hz.
        seed: Seed of kernels and draws.
    """

    clips: ClipSource
    known: Bool[np.ndarray, " clips"]
    sample_rate: int
    seed: int


BASELINES: dict[str, Callable[[Training], Describe]] = {
    "MFCC statistics": lambda given: lambda clips: mfcc_statistics(clips, given.sample_rate),
    "log-mel picture": lambda given: lambda clips: log_mel_picture(clips, given.sample_rate),
    "Hydra-like features": lambda given: lambda clips: random_features(clips, given.sample_rate, seed=given.seed),
    "average spectrum": lambda given: lambda clips: average_spectrum(clips, given.sample_rate),
    LANDMARKS: lambda given: fit_landmarks(given.clips, given.sample_rate, known=given.known, seed=given.seed),
}
"""Name -> function that fits it on training clips and returns what describes any clips, noisy ones too, by that fit."""
CROPS: tuple[tuple[int, int, str], ...] = (
    *((30, 30, "disjoint"), (40, 40, "disjoint"), (45, 45, "disjoint"), (50, 50, "disjoint")),
    (60, 60, "overlapping"),
    (80, 100, "free"),
)
"""Shortest and longest crop in percent of a recording, and placement: the reference study's, and near-full crops."""
BC_RESNET = "BC-ResNet"
AUGMENTED = ("none", "wave", "mel", "both")
TRAINED_FORMATS = {"wave-wave": ("wave",), "mel-mel": ("mel",), "inter": ("wave", "mel")}
"""Loss terms -> the formats that are trained; each step encodes two crops of each recording in all of them."""


def without_learned_frames(recipe: Recipe) -> Recipe:
    """Return the recipe of models whose landmarks are of the spectrum alone: all but pre-trained ones."""
    marks = recipe.model.landmarks
    if marks is None:
        return recipe
    plain = LandmarkSettings(count=marks.count, frames=marks.frames, pieces=marks.pieces)
    return dataclasses.replace(recipe, model=dataclasses.replace(recipe.model, landmarks=plain))


@dataclass(frozen=True)
class Source:
    """A baseline, or a pair of encoders, that turns recordings into embeddings.

    Attributes:
        kind: How the vectors are made.
        variant: The name of a baseline or of what was made elsewhere, or the setting of a sweep or an ablation; "" for
            the unchanged recipe.
        seed: Seed of weights, crops and draws.
        recipe: All settings of the encoders.
        formats: The formats that are trained; empty for a kind without encoders.
        x: Position on a chart's x axis; None if there is no chart.
        digest: For what was made elsewhere: hash of what its vectors follow from.
    """

    kind: Kind
    variant: str
    seed: int
    recipe: Recipe
    formats: tuple[str, ...] = FORMATS
    x: float | None = None
    digest: str = ""

    @property
    def encodes(self) -> bool:
        """Return whether it is a pair of encoders."""
        return self.kind not in FORMATLESS

    @property
    def name(self) -> str:
        """Return its name in the plan and in file names."""
        return ", ".join(filter(None, (self.kind, self.variant))) if self.encodes else self.variant

    def basis(self, fingerprint: str, label: str | None) -> dict[str, Any]:
        """Return all inputs that the vectors depend on, as JSON values.

        Args:
            fingerprint: Fingerprint of the recordings and their split.
            label: The label that supervised training predicts.
        """
        label = label if self.kind == "supervised" else None
        baseline = self.kind == BASELINE
        aligns = self.kind in ("untrained", "pre-trained") and self.recipe.model.landmarks is not None
        return {  # version 0.1 called a baseline "control"; keeping the word keeps its cached embeddings usable
            "kind": "control" if baseline else self.kind,
            "name": "" if self.encodes else self.variant,
            "seed": self.seed,
            "recipe": self._settings,
            "label": label,
            "data": fingerprint,
            "version": FIGURES_VERSION,
            **({"landmarks": MODEL_LANDMARKS_VERSION} if aligns else {}),
            **({"landmarks": LANDMARKS_VERSION} if self.variant == LANDMARKS else {}),
            # pre-training follows from the recipe alone, and sweeps share it
            **(self.alone if self.kind == "supervised" else {}),
        }

    @property
    def alone(self) -> dict[str, Any]:
        """Return the one format that is trained, as a JSON value; empty for two, and for a setting of a sweep."""
        return {"formats": list(self.formats)} if len(self.formats) == 1 and not self.variant else {}

    @cached_property  # a study asks for it hundreds of times
    def _settings(self) -> dict[str, Any]:
        """Return the settings that the vectors depend on, as JSON values."""
        every = to_dict(self.recipe if self.kind == "pre-trained" else without_learned_frames(self.recipe))
        parts = {
            "baseline": ("preparation",),
            "elsewhere": (),
            "untrained": ("preparation", "model"),
            "pre-trained": ("preparation", "model", "crops", "augment", "head", "loss", "train"),
            "supervised": ("preparation", "model", "crops", "augment", "supervised"),
        }[self.kind]
        return {"digest": self.digest} if self.kind == ELSEWHERE else {part: every[part] for part in parts}

    @property
    def representations(self) -> tuple[Representation, ...]:
        """The representations to evaluate: each format, both side by side, and each part; one without encoders."""
        if not self.encodes:
            return (Representation(self.kind, self.variant),)
        both = "both" if len(self.formats) > 1 else self.formats[0]
        parts = (CONTENT, SPEAKER) if self.recipe.model.voices else ()
        whole = dict.fromkeys((*self.formats, both))
        return (
            *(Representation(self.kind, self.variant, format) for format in whole),
            *(Representation(self.kind, self.variant, both, part) for part in parts),
        )


def trained_formats(recipe: Recipe) -> tuple[str, ...]:
    """Return the formats whose encoders a recipe's pre-training trains; it may be one alone (`loss.terms`)."""
    trained = {format for side in TERMS[recipe.loss.terms] for format in side}
    return tuple(format for format in FORMATS if format in trained)


def main_sources(
    recipe: Recipe, seed: int, *, labelled: bool, literature: bool = False, elsewhere: Mapping[str, str] | None = None
) -> Iterator[Source]:
    """Yield baselines, what was made elsewhere, and the encoders untrained, pre-trained and, with labels, supervised.

    Where the recipe trains one format alone, the encoders that its own stand beside are of that format alone, too.

    Args:
        recipe: The recipe.
        seed: Seed of all sources.
        labelled: Whether there is a label to learn from.
        literature: Also yield the supervised encoder of the literature, `bcresnet`.
        elsewhere: Name -> digest of each representation made elsewhere.
    """
    for name in BASELINES:
        yield Source("baseline", name, seed, recipe, ())
    for name, digest in (elsewhere or {}).items():
        yield Source("elsewhere", name, seed, recipe, (), digest=digest)
    formats = trained_formats(recipe)
    yield Source("untrained", "", seed, recipe, formats)
    yield Source("pre-trained", "", seed, recipe, formats)
    if labelled:
        yield Source("supervised", "", seed, recipe, formats)
        if literature:
            yield bcresnet(recipe, seed)


def bcresnet(recipe: Recipe, seed: int) -> Source:
    """Return BC-ResNet-3, a network made for keyword spotting, with labels and the recipe's augmentation and steps.

    Source: Kim et al., "Broadcasted residual learning for efficient keyword spotting", arXiv:2106.04140: 40 bands.
    """
    mel_format = dataclasses.replace(recipe.model.mel_format, bands=40)
    mel = EncoderSettings("bcresnet", "mean", width=3.0)
    model = dataclasses.replace(recipe.model, mel_format=mel_format, mel=mel, voices=None, neck=None, landmarks=None)
    return Source("supervised", BC_RESNET, seed, dataclasses.replace(recipe, model=model), ("mel",))


def ablated(recipe: Recipe, seed: int, grids: Sequence[Sequence[str]]) -> Iterator[Source]:
    """Yield the unchanged recipe, then each combination of settings, also untrained if it changes the model.

    Args:
        recipe: The recipe to change.
        seed: Seed of all sources.
        grids: Each a list of `key=a,b,c` with dotted keys; all combinations within a grid are tried.
    """
    yield Source("pre-trained", "as it is", seed, recipe, trained_formats(recipe))
    for choices in dict.fromkeys(choices for grid in grids for choices in combinations(grid)):
        name, other = " ".join(choices), changed(recipe, choices)
        formats = trained_formats(other)
        if other.model != recipe.model:
            yield Source("untrained", name, seed, other, formats)
        yield Source("pre-trained", name, seed, other, formats)


def combinations(grid: Sequence[str]) -> Iterator[tuple[str, ...]]:
    """Yield every combination of a grid's settings.

    Raises:
        RecipeError: an entry is not of the form key=a,b,c.

    Example:
        >>> list(combinations(["train.batch=64,128", "loss.temperature=0.1"]))
        [('train.batch=64', 'loss.temperature=0.1'), ('train.batch=128', 'loss.temperature=0.1')]
    """
    choices = []
    for entry in grid:
        key, sign, values = entry.partition("=")
        if not (key and sign and values):
            raise RecipeError(f"ablation {shown(entry)}: wanted key=a,b,c, such as loss.temperature=0.05,0.1")
        choices.append([f"{key}={value}" for value in values.split(",")])
    yield from itertools.product(*choices)


def swept(section: str, recipe: Recipe, seed: int, epochs: int) -> Iterator[Source]:
    """Yield the pre-trainings of a sweep: the recipe shortened to `epochs` epochs, and one setting changed."""
    short = dataclasses.replace(recipe, train=shortened(recipe.train, epochs))
    if section == "formats":
        for terms, formats in TRAINED_FORMATS.items():
            loss = dataclasses.replace(short.loss, terms=terms)
            name = "wave-mel" if terms == "inter" else terms
            other = dataclasses.replace(short, loss=loss)
            yield Source("pre-trained", name, seed, other, formats)
    elif section == "augmentation":
        for setting in AUGMENTED:
            augment = dataclasses.replace(short.augment, setting=setting)
            other = dataclasses.replace(short, augment=augment)
            yield Source("pre-trained", f"augmented {setting}", seed, other, trained_formats(other))
    else:
        for low, high, placement in CROPS:
            crops = CropSettings(
                low / 100, high / 100 if high > low else None, placement=placement,
                shortest_seconds=short.crops.shortest_seconds, most_seconds=short.crops.most_seconds,
            )  # fmt: skip
            percent = f"{low}-{high}" if high > low else str(low)
            name = f"crops {percent} % {placement}"
            other = dataclasses.replace(short, crops=crops)
            yield Source("pre-trained", name, seed, other, trained_formats(other), x=(low + high) / 2)
