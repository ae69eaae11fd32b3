import dataclasses
import json
from pathlib import Path

import pytest

from mfcl.errors import RecipeError
from mfcl.recipe import Recipe, TrainSettings, from_dict, load_recipe, recipe_names, to_dict


@pytest.mark.parametrize("name", recipe_names())
def test_every_recipe_that_is_shipped_loads_and_survives_json(name: str) -> None:
    recipe = load_recipe(name)
    assert recipe.name == name
    assert from_dict(Recipe, json.loads(json.dumps(to_dict(recipe))), where="json") == recipe


def test_the_reference_recipe_has_the_studys_settings() -> None:
    recipe = load_recipe("reference")
    mel = recipe.model.mel_format
    assert (mel.fft, mel.window, mel.hop, mel.bands, mel.scale) == (400, 400, 160, 80, "htk")
    assert (mel.floor, mel.ceiling) == (1e-6, 1e4)
    assert (recipe.model.wave.name, recipe.model.mel.name) == ("reference1d", "resnet18")
    assert (recipe.crops.length, recipe.crops.unit, recipe.crops.placement) == (0.45, "fraction", "disjoint")
    assert (recipe.loss.terms, recipe.loss.temperature, recipe.head.layers) == ("inter", 0.1, 0)
    train, supervised = recipe.train, recipe.supervised
    assert (train.optimiser, train.learning_rate, train.batch, train.epochs) == ("adam", 1e-4, 104, 10)
    assert (supervised.optimiser, supervised.learning_rate) == ("adamw", 4e-3)
    assert (supervised.batch, supervised.epochs) == (32, 10)


def test_overrides_change_single_values() -> None:
    recipe = load_recipe("default", ["train.epochs=3", "model.wave.pooling=mean", "train.learning_rate=1e-4"])
    assert (recipe.train.epochs, recipe.model.wave.pooling, recipe.train.learning_rate) == (3, "mean", 1e-4)
    assert dataclasses.replace(recipe, train=TrainSettings()).train.epochs == 10


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("train: {epoch: 3}", r"no setting is called 'epoch'.*did you mean 'epochs'"),
        ("trian: {epochs: 3}", r"no setting is called 'trian'.*did you mean 'train'"),
        ("train: {epochs: three}", r"epochs: wanted int, got 'three'"),
        ("train: {epochs: 0}", r"epochs: wanted 1 or more, got 0"),
        ("train: {epochs: true}", r"epochs: wanted int, got True"),
        ("train: {optimiser: adma}", r"no choice is called 'adma'.*did you mean 'adam'"),
        ("train: 3", r"train: wanted settings"),
        ("- 1", r"wanted a recipe in YAML \(key: value\), got list"),
        ("a: [", r"cannot read it"),
        ("", r"wanted a recipe in YAML \(key: value\), got NoneType"),
    ],
)
def test_a_wrong_recipe_is_one_line_that_names_the_place(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(text)
    with pytest.raises(RecipeError, match=said) as caught:
        load_recipe(path)
    assert str(caught.value).startswith(str(path))
    assert "\n" not in str(caught.value)


def test_an_unknown_name_says_what_there_is() -> None:
    with pytest.raises(RecipeError, match=r"no recipe is called 'defualt'.*did you mean 'default'.*\.yaml"):
        load_recipe("defualt")
    with pytest.raises(RecipeError, match=r"nowhere\.yaml: wanted a recipe in YAML, cannot read it"):
        load_recipe("nowhere.yaml")


@pytest.mark.parametrize("override", ["epochs", "=3", "train.epochs.deep=3", "train.epochs=[", "train.epoch=1"])
def test_a_wrong_override_is_refused(override: str) -> None:
    with pytest.raises(RecipeError):
        load_recipe("default", [override])
