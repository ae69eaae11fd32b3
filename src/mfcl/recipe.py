"""Every choice of a run in one frozen value: YAML in, JSON beside the weights, nothing retyped at evaluation."""

import dataclasses
import re
import types
import typing
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeVar, Union

import yaml

from mfcl.audio import Preparation
from mfcl.errors import RecipeError, one_of
from mfcl.models.heads import HeadSettings
from mfcl.models.losses import LossSettings
from mfcl.models.pair import ModelSettings
from mfcl.views.augment import AugmentSettings
from mfcl.views.crops import CropSettings

T = TypeVar("T")
Precision = Literal["fp32", "bf16", "auto"]


@dataclass(frozen=True)
class TrainSettings:
    """How weights are moved: the optimiser, its schedule and its arithmetic."""

    epochs: int = 10
    """Times that each recording is seen."""
    batch: int = 128
    """Recordings a step, over all processes."""
    optimiser: Literal["adamw", "adam"] = "adamw"
    learning_rate: float = 1e-3
    """The highest one: after the warm-up, before the cosine."""
    weight_decay: float = 0.01
    """Of matrices and kernels; norms and biases have none. Adam has none at all."""
    warmup: float = 0.1
    """Share of all steps in which the learning rate rises."""
    clip: float = 5.0
    """Largest norm of the gradient; 0 leaves it as it is."""
    ema: float = 0.0
    """Decay of the averaged weights that are kept at the end; 0 keeps the last ones."""
    wave_precision: Precision = "fp32"
    """Arithmetic of the 1D encoder; `auto` is bf16 where the processor has it."""
    mel_precision: Precision = "fp32"
    """Arithmetic of the 2D encoder."""

    def __post_init__(self) -> None:
        """Refuse what cannot be trained with."""
        for name in ("epochs", "batch"):
            if getattr(self, name) < 1:
                raise RecipeError(f"{name}: wanted 1 or more, got {getattr(self, name)}")
        if not self.learning_rate > 0:
            raise RecipeError(f"learning_rate: wanted a number above 0, got {self.learning_rate}")
        for name, top in (
            ("warmup", 1.0),
            ("ema", 1.0),
            ("weight_decay", float("inf")),
            ("clip", float("inf")),
        ):
            if not 0 <= getattr(self, name) < top:
                raise RecipeError(f"{name}: wanted 0 or more and below {top:g}, got {getattr(self, name)}")


@dataclass(frozen=True)
class Recipe:
    """A whole run: how sound is prepared, cropped and changed, the model, the loss, and two ways to train it."""

    name: str
    preparation: Preparation = field(default_factory=Preparation)
    model: ModelSettings = field(default_factory=ModelSettings)
    crops: CropSettings = field(default_factory=CropSettings)
    augment: AugmentSettings = field(default_factory=AugmentSettings)
    head: HeadSettings = field(default_factory=HeadSettings)
    loss: LossSettings = field(default_factory=LossSettings)
    train: TrainSettings = field(default_factory=TrainSettings)
    """Contrastive pre-training of the pair."""
    supervised: TrainSettings = field(default_factory=TrainSettings)
    """Supervised training of each encoder with a linear layer."""

    def __post_init__(self) -> None:
        """Refuse a model that would hear another rate than sound is brought to."""
        if self.model.sample_rate != self.preparation.sample_rate:
            raise RecipeError(
                f"model.sample_rate is {self.model.sample_rate} Hz and preparation.sample_rate "
                f"{self.preparation.sample_rate} Hz; set both alike"
            )


def recipe_names() -> tuple[str, ...]:
    """Return the names of the recipes that come with the package."""
    return tuple(sorted(path.stem for path in _shipped().glob("*.yaml")))


def load_recipe(name_or_path: str | Path, overrides: Sequence[str] = ()) -> Recipe:
    """Read a recipe that comes with the package, or a YAML file, and change single values of it.

    Args:
        name_or_path: `default`, `quick`, `reference`, or a path that ends in .yaml or .yml.
        overrides: Each `key=value`, the key dotted, the value in YAML: `train.epochs=5`, `model.wave.pooling=mean`.

    Raises:
        RecipeError: no such recipe, unreadable YAML, an unknown key, or a value of the wrong kind or range.
    """
    path = Path(name_or_path)
    if path.suffix not in (".yaml", ".yml"):
        if path.name not in recipe_names() or len(path.parts) > 1:
            raise RecipeError(f"{one_of('recipe', str(name_or_path), recipe_names())}; or give a .yaml file")
        path = _shipped() / f"{path.name}.yaml"
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        reason = " ".join(str(error).split())
        raise RecipeError(f"{path}: wanted a recipe in YAML, cannot read it ({reason})") from error
    if not isinstance(values, dict):
        raise RecipeError(f"{path}: wanted a recipe in YAML (key: value), got {type(values).__name__}")
    values.setdefault("name", path.stem)
    for override in overrides:
        _set(values, override)
    return from_dict(Recipe, values, where=str(path))


def changed(recipe: Recipe, overrides: Sequence[str]) -> Recipe:
    """Return a recipe with single values changed, as `load_recipe` changes them.

    Example:
        >>> changed(load_recipe("quick"), ["train.epochs=3"]).train.epochs
        3
    """
    values = to_dict(recipe)
    for override in overrides:
        _set(values, override)
    return from_dict(Recipe, values, where=recipe.name)


def to_dict(value: Any) -> dict[str, Any]:
    """Return a settings dataclass as plain values that JSON and YAML can hold."""
    return {entry.name: _plain(getattr(value, entry.name)) for entry in dataclasses.fields(value)}


def from_dict(kind: type[T], values: Mapping[str, Any], *, where: str) -> T:
    """Build a settings dataclass from plain values, strictly.

    Args:
        kind: A dataclass whose fields are numbers, strings, literals, tuples or such dataclasses.
        values: Plain values, as from YAML or JSON; what is left out keeps its default.
        where: The file or place to name in a message.

    Raises:
        RecipeError: an unknown key (with the nearest right one), or a value of the wrong kind or range.

    Example:
        >>> from_dict(TrainSettings, {"epochs": 3}, where="here").epochs
        3
        >>> from_dict(TrainSettings, {"epoch": 3}, where="here")
        Traceback (most recent call last):
        ...
        mfcl.errors.RecipeError: here: no setting is called 'epoch'; use one of batch, clip, ema, epochs, ...
    """
    hints = typing.get_type_hints(kind)
    names = [entry.name for entry in dataclasses.fields(kind)]  # type: ignore[arg-type]
    for key in values:
        if key not in names:
            raise RecipeError(f"{where}: {one_of('setting', str(key), names)}")
    try:
        return kind(**{key: _typed(hints[key], value, f"{where}: {key}") for key, value in values.items()})
    except RecipeError as error:
        text = str(error)
        raise RecipeError(text if text.startswith(where) else f"{where}: {text}") from error
    except TypeError as error:  # a key without a default is missing
        raise RecipeError(f"{where}: {error}") from error


def _typed(hint: Any, value: Any, where: str) -> Any:
    """Return a plain value as what a field's type asks for, or say what was wanted."""
    origin, choices = typing.get_origin(hint), typing.get_args(hint)
    if dataclasses.is_dataclass(hint):
        if not isinstance(value, Mapping):
            raise RecipeError(f"{where}: wanted settings (key: value), got {value!r}")
        return from_dict(typing.cast(type[Any], hint), value, where=where)
    if origin in (Union, types.UnionType):  # only `kind | None` is used
        return None if value is None else _typed(next(c for c in choices if c is not types.NoneType), value, where)
    if origin is Literal:
        if value not in choices:
            raise RecipeError(f"{where}: {one_of('choice', str(value), map(str, choices))}")
        return value
    if origin is tuple:
        if not isinstance(value, list | tuple):
            raise RecipeError(f"{where}: wanted a list, got {value!r}")
        return tuple(_typed(choices[0], entry, where) for entry in value)
    if hint is float and isinstance(value, str) and re.fullmatch(r"[-+]?\d+(\.\d*)?[eE][-+]?\d+", value):
        value = float(value)  # YAML reads 1e-4, which has no point, as text
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if not isinstance(value, hint) or (isinstance(value, bool) and hint is not bool):
        raise RecipeError(f"{where}: wanted {hint.__name__}, got {value!r}")
    return value


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value):
        return to_dict(value)
    return list(value) if isinstance(value, tuple) else value


def _set(values: dict[str, Any], override: str) -> None:
    key, sign, text = override.partition("=")
    if not sign or not key:
        raise RecipeError(f"--set {override}: wanted key=value, such as train.epochs=5")
    try:
        value = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise RecipeError(f"--set {override}: the value is not YAML") from error
    *groups, last = key.split(".")
    for group in groups:
        values = values.setdefault(group, {})
        if not isinstance(values, dict):
            raise RecipeError(f"--set {override}: {group} is a single value, not a group of settings")
    values[last] = value


def _shipped() -> Path:
    installed = Path(__file__).with_name("recipes")
    return installed if installed.is_dir() else Path(__file__).parents[2] / "recipes"  # a source checkout
