"""Recipes: all settings of a run in one frozen dataclass, read from YAML and saved as JSON with the weights."""

import dataclasses
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from mfcl.audio import Preparation
from mfcl.core.plain_values import from_dict, to_dict
from mfcl.core.settings import Described, bounded, check_settings, described, later
from mfcl.core.urls import local_path
from mfcl.core.yaml_text import MOST_LETTERS, read_yaml
from mfcl.errors import RecipeError, check_type, one_of, shown
from mfcl.models.heads import HeadSettings
from mfcl.models.losses import LossSettings
from mfcl.models.pair import ModelSettings
from mfcl.views.augment import AugmentSettings
from mfcl.views.crops import CropSettings

Precision = Literal["fp32", "bf16", "auto"]
LIMITS = ("least_steps", "most_steps", "most_sound")
"""Settings that bound what `epochs` asks for."""


@dataclass(frozen=True)
class TrainSettings:
    """The optimiser, its schedule and the numerical precision.

    Raises:
        RecipeError: a value out of range.
    """

    epochs: int = bounded(10, 1, 1_000_000)
    """Passes over the training recordings."""
    batch: int = bounded(128, 1, 65_536)
    """Recordings in a batch, over all processes."""
    optimiser: Literal["adamw", "adam"] = "adamw"
    """`adamw`, or `adam` without weight decay."""
    learning_rate: float = bounded(1e-3, 1e-12, 100.0)
    """Peak learning rate: after the warm-up, before the cosine decay."""
    weight_decay: float = bounded(0.01, 0.0, 1000.0)
    """Weight decay of matrices and kernels; norms and biases have none. Ignored by `adam`."""
    warmup: float = bounded(0.1, 0.0, 0.999)
    """Share of all steps in the linear warm-up."""
    clip: float = bounded(5.0, 0.0, 1e9)
    """Maximum gradient norm; 0 does not clip."""
    ema: float = bounded(0.0, 0.0, 0.999999)
    """Decay of an exponential moving average of the weights, which becomes the result; 0 uses the last weights."""
    wave_precision: Precision = "fp32"
    """Precision of the waveform encoder; `auto` is bf16 where the hardware supports it, else fp32."""
    mel_precision: Precision = "fp32"
    """Precision of the log-mel encoder; as `wave_precision`."""
    fill: bool = later(False)
    """Use every recording in every epoch: smaller batches for a small set, and an epoch's last batch is completed with
    recordings of its other batches. Without it the last, incomplete batch is left out."""
    least_steps: int = later(0, 0, 1_000_000_000)
    """Fewest steps of a run: a small set gets more epochs; 0: as `epochs` says."""
    most_steps: int = later(0, 0, 1_000_000_000)
    """Most steps of a run: a large set gets fewer epochs, or a part of one; 0: as `epochs` says."""
    most_sound: float = later(0.0, 0.0, 1e12)
    """Most seconds of sound in a run, one crop a recording and step: long recordings get smaller batches (with `fill`),
    then fewer steps; 0: any."""

    def __post_init__(self) -> None:
        check_settings(self)
        if self.most_steps and self.most_steps < self.least_steps:
            raise RecipeError(
                f"most_steps: wanted 0 or at least least_steps {self.least_steps}, got {self.most_steps}; change one"
            )


@dataclass(frozen=True)
class SupervisedSettings(TrainSettings):
    """Training with labels: the optimiser, and what only a classifier has.

    Raises:
        RecipeError: a value out of range.
    """

    crop: float = later(1.0, 0.01, 1.0)
    """Shortest crop as a share of a recording: its length is drawn between this and the whole; 1 hears it whole."""
    longest_seconds: float = later(5.0, 0.01, 3600.0)
    """Longest crop; of longer recordings a new crop is drawn in each epoch."""
    label_smoothing: float = later(0.0, 0.0, 0.99)
    """Share of a target that is spread evenly over all classes."""
    encoder_rate: float = later(0.2, 0.0, 1.0)
    """Learning rate of a pre-trained encoder as a share of that of the new output layer, in fine-tuning only."""


@dataclass(frozen=True)
class Recipe:
    """All settings of a run: audio preparation, crops, augmentations, model, loss and training."""

    name: str
    """Name of the recipe in tables and on the model card."""
    preparation: Preparation = field(default_factory=Preparation)
    model: ModelSettings = field(default_factory=ModelSettings)
    crops: CropSettings = field(default_factory=CropSettings)
    augment: AugmentSettings = field(default_factory=AugmentSettings)
    head: HeadSettings = field(default_factory=HeadSettings)
    loss: LossSettings = field(default_factory=LossSettings)
    train: TrainSettings = field(default_factory=TrainSettings)
    """Contrastive pre-training of both encoders."""
    supervised: SupervisedSettings = field(default_factory=SupervisedSettings)
    """Supervised training of each encoder with a linear layer, with the augmentation of pre-training."""
    scenes: tuple[str, ...] = later(())
    """Settings (key=value) for collections of scenes, such as rain or a street, instead of isolated events, such as
    words; `mfcl scan` says which one a collection looks like."""

    def __post_init__(self) -> None:
        """Refuse a model whose sample rate is not that of the prepared audio, and scenes that cannot be set."""
        check_settings(self)
        if self.scenes:
            self.for_scenes()
        if self.model.sample_rate != self.preparation.sample_rate:
            raise RecipeError(
                f"model.sample_rate is {self.model.sample_rate} Hz and preparation.sample_rate "
                f"{self.preparation.sample_rate} Hz; set both to the same rate"
            )

    def for_scenes(self) -> "Recipe":
        """Return the recipe with its settings for scenes.

        Example:
            >>> load_recipe("default").for_scenes().model.wave.pooling
            'statistics'
        """
        return load_recipe(dataclasses.replace(self, scenes=()), self.scenes)


def at_rate(recipe: Recipe, rate: int) -> Recipe:
    """Return a recipe for another sample rate in Hz; windows and steps in samples stay, so they get shorter or longer.

    Raises:
        RecipeError: the rate is out of range, or bands of fixed frequencies do not fit below half of it.

    Example:
        >>> at_rate(load_recipe("bioacoustics"), 384000).model.sample_rate
        384000
    """
    return load_recipe(recipe, [f"preparation.sample_rate={rate}", f"model.sample_rate={rate}"])


def recipe_names() -> tuple[str, ...]:
    """Return the names of the built-in recipes."""
    return tuple(sorted(path.stem for path in _shipped().glob("*.yaml")))


def load_recipe(name_or_path: str | Path | Recipe, overrides: Sequence[str] = ()) -> Recipe:
    """Read a built-in recipe or a YAML file, and override single settings.

    Args:
        name_or_path: `default`, `quick`, `bioacoustics`, `reference`, a path that ends in .yaml or .yml, or a `Recipe`.
        overrides: Each `key=value` with a dotted key and a YAML value: `train.epochs=5`, `model.wave.pooling=mean`.
            Who names `epochs` gets that many: the recipe's limits of steps are lifted, unless they are named as well.
            A setting that is named has its value for scenes, too.

    Raises:
        RecipeError: no such recipe, unreadable YAML, an unknown key, or a value of the wrong type or range.

    Example:
        >>> load_recipe(load_recipe("quick"), ["train.epochs=3"]).train.epochs
        3
    """
    if isinstance(name_or_path, Recipe):
        values, where = to_dict(name_or_path), name_or_path.name
    else:
        values, where = _read(local_path(name_or_path, "recipe"))
    if isinstance(overrides, str):
        raise RecipeError(f"overrides: wanted a list such as ['train.epochs=5'], got the text {shown(overrides)}")
    check_type("overrides", overrides, Sequence, "a list such as ['train.epochs=5']", error=RecipeError)
    for override in overrides:
        check_type("overrides", override, str, "key=value, such as 'train.epochs=5'", error=RecipeError)
        _set(values, override)
    named = {_key(override) for override in overrides}
    for group in ("train", "supervised"):
        if f"{group}.epochs" in named and isinstance(values.get(group), dict):
            for limit in LIMITS:
                if f"{group}.{limit}" not in named:
                    values[group].pop(limit, None)
    if isinstance(values.get("scenes"), list) and "scenes" not in named:
        values["scenes"] = _for_scenes(values["scenes"], overrides)
    if overrides:
        where += f" with {shown(', '.join(overrides))[1:-1]}"  # who is at fault, the file or what replaces its settings
    return from_dict(Recipe, values, where=where)


def changed(recipe: Recipe, overrides: Sequence[str]) -> Recipe:
    """Return a recipe with single settings overridden; see `load_recipe`."""
    return load_recipe(recipe, overrides)


def schema(recipe: Recipe) -> list[Described]:
    """Return every setting of a recipe: its key, type, value, bounds and description."""
    return list(described(recipe))


def _read(path: Path) -> tuple[dict[Any, Any], str]:
    """Return the plain values of a recipe and its file; the name defaults to the file's stem."""
    if path.suffix not in (".yaml", ".yml"):
        if path.name not in recipe_names() or len(path.parts) > 1:
            raise RecipeError(f"{one_of('recipe', shown(str(path))[1:-1], recipe_names())}; or give a .yaml file")
        path = _shipped() / f"{path.name}.yaml"
    try:
        if path.exists() and not path.is_file():
            raise RecipeError("it is not a file")
        with path.open("rb") as file:
            content = file.read(4 * MOST_LETTERS + 1)
        values = read_yaml(content.decode("utf-8"))
    except (OSError, ValueError, RecipeError) as error:
        reason = error.strerror if isinstance(error, OSError) else " ".join(str(error).split())
        raise RecipeError(f"{path}: wanted a recipe in YAML, cannot read it ({reason})") from error
    if not isinstance(values, dict):
        raise RecipeError(f"{path}: wanted a recipe in YAML (key: value), got {type(values).__name__}")
    values.setdefault("name", path.stem)
    return values, str(path)


def _for_scenes(settings: Sequence[Any], overrides: Sequence[str]) -> list[Any]:
    """Return a recipe's settings for scenes without what overrides name, by itself or with its group.

    Epochs that an override names lift limits of steps here, too; limits that one names stay where epochs for scenes
    would lift them.
    """
    named = [_key(override) for override in overrides]
    lifted = _limits(key.removesuffix(".epochs") for key in named if key.endswith(".epochs"))
    kept = [own for own in settings if not any(f"{_key(own)}.".startswith(f"{key}.") for key in (*named, *lifted))]
    limits = _limits(_key(own).removesuffix(".epochs") for own in kept if _key(own).endswith(".epochs"))
    return kept + [override for override in overrides if _key(override) in limits]


def _limits(groups: Iterable[str]) -> set[str]:
    return {f"{group}.{limit}" for group in groups for limit in LIMITS}


def _key(setting: Any) -> str:
    return str(setting).partition("=")[0]


def _set(values: dict[Any, Any], override: str) -> None:
    key, sign, text = override.partition("=")
    where = f"the override {shown(override)}"
    if not sign or not key:
        raise RecipeError(f"{where}: wanted key=value, such as train.epochs=5")
    try:
        value = read_yaml(text)
    except RecipeError as error:
        raise RecipeError(f"{where}: the value cannot be read as YAML ({error})") from error
    *groups, last = key.split(".")
    for group in groups:
        if values.get(group) is None:  # left out, or null: the group's defaults
            values[group] = {}
        values = values[group]
        if not isinstance(values, dict):
            raise RecipeError(f"{where}: {group} is a single value, not a group of settings")
    values[last] = value


def _shipped() -> Path:
    installed = Path(__file__).with_name("recipes")
    return installed if installed.is_dir() else Path(__file__).parents[2] / "recipes"  # a source checkout
