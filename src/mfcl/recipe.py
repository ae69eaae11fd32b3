"""Every choice of a run in one frozen value: YAML in, JSON beside the weights, nothing retyped at evaluation."""

import dataclasses
import re
import types
import typing
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeVar, Union

from mfcl.audio import Preparation
from mfcl.core.settings import Described, bounded, check_settings, check_text, described
from mfcl.core.yaml_text import MOST_LETTERS, read_yaml
from mfcl.errors import RecipeError, one_of, shown
from mfcl.models.heads import HeadSettings
from mfcl.models.losses import LossSettings
from mfcl.models.pair import ModelSettings
from mfcl.views.augment import AugmentSettings
from mfcl.views.crops import CropSettings

T = TypeVar("T")
Precision = Literal["fp32", "bf16", "auto"]


@dataclass(frozen=True)
class TrainSettings:
    """How weights are moved: the optimiser, its schedule and its arithmetic.

    Raises:
        RecipeError: a value out of range.
    """

    epochs: int = bounded(10, 1, 1_000_000)
    """Times that each recording is seen."""
    batch: int = bounded(128, 1, 65_536)
    """Recordings a step, over all processes."""
    optimiser: Literal["adamw", "adam"] = "adamw"
    """AdamW, or Adam without weight decay."""
    learning_rate: float = bounded(1e-3, 1e-12, 100.0)
    """The highest one: after the warm-up, before the cosine."""
    weight_decay: float = bounded(0.01, 0.0, 1000.0)
    """Of matrices and kernels; norms and biases have none. Adam has none at all."""
    warmup: float = bounded(0.1, 0.0, 0.999)
    """Share of all steps in which the learning rate rises."""
    clip: float = bounded(5.0, 0.0, 1e9)
    """Largest norm of the gradient; 0 leaves it as it is."""
    ema: float = bounded(0.0, 0.0, 0.999999)
    """Decay of the averaged weights that are kept at the end; 0 keeps the last ones."""
    wave_precision: Precision = "fp32"
    """Arithmetic of the 1D encoder; `auto` is bf16 where the processor has it."""
    mel_precision: Precision = "fp32"
    """Arithmetic of the 2D encoder."""

    def __post_init__(self) -> None:
        check_settings(self)


@dataclass(frozen=True)
class Recipe:
    """A whole run: how sound is prepared, cropped and changed, the model, the loss, and two ways to train it."""

    name: str
    """What the recipe is called in tables and on the model card."""
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
        check_settings(self)
        if self.model.sample_rate != self.preparation.sample_rate:
            raise RecipeError(
                f"model.sample_rate is {self.model.sample_rate} Hz and preparation.sample_rate "
                f"{self.preparation.sample_rate} Hz; set both alike"
            )


def recipe_names() -> tuple[str, ...]:
    """Return the names of the recipes that come with the package."""
    return tuple(sorted(path.stem for path in _shipped().glob("*.yaml")))


def load_recipe(name_or_path: str | Path | Recipe, overrides: Sequence[str] = ()) -> Recipe:
    """Read a recipe that comes with the package, or a YAML file, and change single values of it.

    Args:
        name_or_path: `default`, `quick`, `reference`, a path that ends in .yaml or .yml, or a `Recipe`.
        overrides: Each `key=value`, the key dotted, the value in YAML: `train.epochs=5`, `model.wave.pooling=mean`.

    Raises:
        RecipeError: no such recipe, unreadable YAML, an unknown key, or a value of the wrong kind or range.

    Example:
        >>> load_recipe(load_recipe("quick"), ["train.epochs=3"]).train.epochs
        3
    """
    if isinstance(name_or_path, Recipe):
        values, where = to_dict(name_or_path), name_or_path.name
    else:
        values, where = _read(Path(name_or_path))
    if isinstance(overrides, str):
        raise RecipeError(f"overrides: wanted a list such as ['train.epochs=5'], got the text {shown(overrides)}")
    for override in overrides:
        _set(values, override)
    return from_dict(Recipe, values, where=where)


def changed(recipe: Recipe, overrides: Sequence[str]) -> Recipe:
    """Return a recipe with single values changed, as `load_recipe` changes them."""
    return load_recipe(recipe, overrides)


def schema(recipe: Recipe) -> list[Described]:
    """Return every setting of a recipe: its key, type, value, bounds, and what it means."""
    return list(described(recipe))


def to_dict(value: Any) -> dict[str, Any]:
    """Return a settings dataclass as plain values that JSON and YAML can hold."""
    return {entry.name: _plain(getattr(value, entry.name)) for entry in dataclasses.fields(value)}


def from_dict(kind: type[T], values: Mapping[Any, Any], *, where: str) -> T:
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
    return _built(kind, values, where, "")


def _built(kind: type[T], values: Any, where: str, group: str) -> T:
    """Build the settings dataclass of a group of settings (a dotted key; "": the whole)."""
    at = f"{where}: {group}" if group else where
    if not isinstance(values, Mapping):
        raise RecipeError(f"{at}: wanted settings (key: value), got {shown(values)}")
    hints = typing.get_type_hints(kind)
    names = [entry.name for entry in dataclasses.fields(kind)]  # type: ignore[arg-type]
    for key in values:
        if key not in names:
            raise RecipeError(f"{at}: {one_of('setting', _key(key, at), names)}")
    typed = {key: _typed(hints[key], value, where, f"{group}.{key}" if group else key) for key, value in values.items()}
    try:
        return kind(**typed)
    except RecipeError as error:
        raise RecipeError(f"{where}: {_located(group, str(error))}") from error
    except TypeError as error:  # a key without a default is missing
        raise RecipeError(f"{at}: {error}") from error


def _located(group: str, text: str) -> str:
    """Return a message about a group's settings with the group's whole key, which the dataclass knows in part."""
    last = group.rpartition(".")[2]
    if not group or text.startswith(group):
        return text
    return group + text[len(last) :] if text.startswith((f"{last}.", f"{last}:")) else f"{group}.{text}"


def _typed(hint: Any, value: Any, where: str, key: str) -> Any:
    """Return a plain value as what a field's type asks for, or say what was wanted."""
    origin, choices = typing.get_origin(hint), typing.get_args(hint)
    at = f"{where}: {key}"
    if dataclasses.is_dataclass(hint):
        return _built(typing.cast(type[Any], hint), value, where, key)
    if origin in (Union, types.UnionType):  # only `kind | None` is used
        kind = next(c for c in choices if c is not types.NoneType)
        return None if value is None else _typed(kind, value, where, key)
    if origin is Literal:
        if not isinstance(value, str) or value not in choices:
            raise RecipeError(f"{at}: {one_of('choice', value if isinstance(value, str) else shown(value), choices)}")
        return value
    if hint is float and isinstance(value, str) and re.fullmatch(r"[-+]?\d{1,20}(\.\d{0,20})?[eE][-+]?\d{1,4}", value):
        value = float(value)  # YAML reads 1e-4, which has no point, as text
    if hint is float and isinstance(value, int) and not isinstance(value, bool) and abs(value) < 2**1000:
        return float(value)
    if not isinstance(value, hint) or (isinstance(value, bool) and hint is not bool):
        raise RecipeError(f"{at}: wanted {hint.__name__}, got {shown(value)}")
    return value


def _key(key: object, where: str) -> str:
    """Return a key that is no setting's name, as a message may quote it."""
    text = key if isinstance(key, str) else shown(key)
    check_text(f"{where}: a setting's name", text)
    return text


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value):
        return to_dict(value)
    return list(value) if isinstance(value, tuple) else value


def _read(path: Path) -> tuple[dict[Any, Any], str]:
    """Return the plain values of a recipe and where they stand; a file without a name has its own."""
    if path.suffix not in (".yaml", ".yml"):
        if path.name not in recipe_names() or len(path.parts) > 1:
            raise RecipeError(f"{one_of('recipe', shown(str(path))[1:-1], recipe_names())}; or give a .yaml file")
        path = _shipped() / f"{path.name}.yaml"
    try:
        if path.exists() and not path.is_file():
            raise RecipeError("it is no file")
        with path.open("rb") as file:
            content = file.read(4 * MOST_LETTERS + 1)
        values = read_yaml(content.decode("utf-8"))
    except (OSError, ValueError, RecipeError) as error:
        told = error.strerror if isinstance(error, OSError) else " ".join(str(error).split())
        raise RecipeError(f"{path}: wanted a recipe in YAML, cannot read it ({told})") from error
    if not isinstance(values, dict):
        raise RecipeError(f"{path}: wanted a recipe in YAML (key: value), got {type(values).__name__}")
    values.setdefault("name", path.stem)
    return values, str(path)


def _set(values: dict[Any, Any], override: str) -> None:
    key, sign, text = override.partition("=")
    told = f"the override {shown(override)}"
    if not sign or not key:
        raise RecipeError(f"{told}: wanted key=value, such as train.epochs=5")
    try:
        value = read_yaml(text)
    except RecipeError as error:
        raise RecipeError(f"{told}: the value cannot be read as YAML ({error})") from error
    *groups, last = key.split(".")
    for group in groups:
        if values.get(group) is None:  # left out, or null: the group's defaults
            values[group] = {}
        values = values[group]
        if not isinstance(values, dict):
            raise RecipeError(f"{told}: {group} is a single value, not a group of settings")
    values[last] = value


def _shipped() -> Path:
    installed = Path(__file__).with_name("recipes")
    return installed if installed.is_dir() else Path(__file__).parents[2] / "recipes"  # a source checkout
