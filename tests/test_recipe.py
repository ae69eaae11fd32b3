import dataclasses
import json
import os
import random
from pathlib import Path

import jaxtyping
import numpy as np
import pytest
import yaml

from mfcl.core.plain_values import from_dict, to_dict
from mfcl.core.settings import BOUNDS
from mfcl.errors import RecipeError
from mfcl.models.heads import NeckSettings
from mfcl.recipe import Recipe, TrainSettings, load_recipe, recipe_names, schema


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
        ("train: {epochs: 0}", r"train.epochs: wanted a whole number from 1 to 1000000, got 0"),
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


BOMB = "\n".join(["a: &a [x, x]", *(f"{name}: &{name} [*{before}, *{before}]" for before, name in ("ab", "bc", "cd"))])
WRONG = [
    ("name: a\ntrain: &t {epochs: 3}\nsupervised: *t", r"anchors .* are not used"),
    (BOMB, r"anchors .* are not used"),
    ("train: {epochs: 3, batch: 8, epochs: 4}", r"line 1: 'epochs' appears twice"),
    ("train: {<<: {epochs: 3}}", r"`<<` is not used"),
    ("a: " + "[" * 50 + "]" * 50, r"at most 20 levels"),
    ("a: " + "[" * 100_000, r"at most 20 levels"),
    ("# " + "x" * 300_000, r"at most 262144 characters"),
    ("? [a, b]\n: 1", r"wanted a name before the colon"),
    ("train: {epochs: 2024-13-45}", r"train.epochs: wanted int, got '2024-13-45'"),
    ("train: {epochs: 2024-01-01}", r"train.epochs: wanted int, got '2024-01-01'"),
    ("train: {epochs: " + "9" * 5000 + "}", r"cannot read it"),
    ("train: {epochs: 0x" + "f" * 5000 + "}", r"train.epochs: wanted a whole number .*about 6021 digits"),
    ("train: {learning_rate: 0x" + "f" * 5000 + "}", r"train.learning_rate: wanted float, got a number of about"),
    ("train: {epochs: " + "9" * 300 + "}", r"train.epochs: wanted a whole number from 1 to 1000000"),
    ("train: {learning_rate: .inf}", r"train.learning_rate: wanted a number from 1e-12 to 100, got inf"),
    ("train: {learning_rate: .nan}", r"train.learning_rate: wanted a number from 1e-12 to 100, got nan"),
    ("model: {mel_format: {hop: 1}}", r"model.mel_format.hop: wanted a whole number from 8 to 65536, got 1"),
    ("model: {mel_format: {fft: 1000000000}}", r"model.mel_format.fft: wanted a whole number"),
    ("head: {layers: 100000000}", r"head.layers: wanted a whole number from 0 to 16"),
    ('name: "\\ud800"', r"name: wanted one line"),
    ('name: "two\\nlines"', r"name: wanted one line"),
    ('"\\ud800": 3', r"a setting's name: wanted one line"),
    ("0x" + "f" * 900 + ": 1", r"no setting is called 'a number of about"),
    ("null: 1", r"no setting is called 'None'"),
    ("train: {optimiser: [adam]}", r"no choice is called"),
    ("train: !!binary aGVsbG8=", r"tags .* leave 'tag:yaml.org,2002:binary' out"),
    ("loss: !!set {a, b}", r"tags .* are not used"),
    ("!!python/object:os.system {}", r"tags .* are not used"),
]


@pytest.mark.parametrize(("text", "said"), WRONG)
def test_a_recipe_that_would_hang_or_break_is_one_short_line(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(text)
    with pytest.raises(RecipeError, match=said) as caught:
        load_recipe(path)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 700
    str(caught.value).encode()


@pytest.mark.parametrize("kind", ["folder", "bytes", "pipe"])
def test_a_recipe_that_is_no_text_file_is_one_line(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "mine.yaml"
    {"folder": path.mkdir, "bytes": lambda: path.write_bytes(b"\xff\xfe\x00"), "pipe": lambda: os.mkfifo(path)}[kind]()
    with pytest.raises(RecipeError, match=r"mine\.yaml: wanted a recipe in YAML, cannot read it"):
        load_recipe(path)


def test_no_mutated_override_or_recipe_is_more_than_one_line(tmp_path: Path) -> None:
    draw = random.Random(0)
    values = [
        *("1e400", "-1", "[1, 2]", "{a: 1}", "2024-01-01", "9" * 5000, "[" * 300, "&a 1", "*a", "\ud800", "\0", "1:30"),
        *("0o7", ".nan", "-.inf", "~", "yes", "'", '"\\ud83d"', "!!timestamp x", "!!int x", "1_0", "-0x1"),
    ]
    keys = [described.key for described in schema(load_recipe("default"))]
    for _ in range(150):
        key = draw.choice([*keys, "", "a", "train", "train.", ".", "train.epochs.x", "\ud800", "model.neck"])
        override = f"{key}={draw.choice(values)}"
        assert "\n" not in said("default", override)
    text = (Path(__file__).parents[1] / "recipes" / "default.yaml").read_text()
    for _ in range(50):
        place, length = draw.randrange(len(text)), draw.randrange(20)
        (tmp_path / "a.yaml").write_text(text[:place] + draw.choice(values[:9] + values[10:]) + text[place + length :])
        assert "\n" not in said(tmp_path / "a.yaml")


def said(recipe: str | Path, *overrides: str) -> str:
    """What the error of reading a recipe says; nothing if there is none."""
    try:
        load_recipe(recipe, overrides)
    except RecipeError as error:
        return str(error)
    return ""


def groups(settings: object, prefix: str = "") -> list[tuple[str, object]]:
    """A settings dataclass and all that are in it."""
    found = [(prefix, settings)]
    for field in dataclasses.fields(settings):  # type: ignore[arg-type]
        value = getattr(settings, field.name)
        if dataclasses.is_dataclass(value):
            found += groups(value, f"{prefix}{field.name}.")
    return found


@pytest.mark.parametrize(("prefix", "settings"), groups(load_recipe("default")), ids=lambda value: str(value)[:20])
def test_every_number_has_bounds_and_is_held_to_them_in_python_too(prefix: str, settings: object) -> None:
    for field in dataclasses.fields(settings):  # type: ignore[arg-type]
        value = getattr(settings, field.name)
        if isinstance(value, int | float) and not isinstance(value, bool):
            low, high = field.metadata[BOUNDS]
            assert low <= value <= high
            wrong = [low - 1, high + 1] if isinstance(value, int) else [low - 1.0, high * 2, float("nan"), float("inf")]
            for other in wrong:
                with pytest.raises(RecipeError, match=field.name):
                    dataclasses.replace(settings, **{field.name: other})  # type: ignore[type-var]


def test_numbers_and_names_of_numpy_are_settings_that_files_can_hold(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)  # as it is without tests
    plain = {"train": {"batch": 8, "learning_rate": 0.5}, "model": {"wave": {"name": "res1dnet"}}, "name": "it"}
    recipe = from_dict(Recipe, plain, where="here")
    train = dataclasses.replace(recipe.train, batch=np.int64(8), learning_rate=np.float32(0.5))
    wave = dataclasses.replace(recipe.model.wave, name=np.str_("res1dnet"))
    same = dataclasses.replace(recipe, train=train, model=dataclasses.replace(recipe.model, wave=wave))
    assert same == recipe
    assert yaml.safe_dump(to_dict(same)) == yaml.safe_dump(to_dict(recipe))
    assert repr(same) == repr(recipe)


def test_the_schema_tells_every_setting_with_its_bounds_and_meaning() -> None:
    told = {one.key: one for one in schema(load_recipe("quick"))}
    assert told["train.epochs"] == (
        "train.epochs", "int", "10", "1 to 1000000", "Passes over the training recordings."
    )  # fmt: skip
    assert told["model.neck"].value == "set"
    assert told["model.neck.directions"].value == "64"
    plain = {one.key: one for one in schema(load_recipe("reference"))}
    assert plain["model.neck"].value == "null"
    assert plain["model.neck.directions"].value == "64 (if set)"
    assert told["preparation.trim_db"].type == "float | null"
    assert all(one.meaning for one in told.values())


def test_overrides_change_a_recipe_that_is_one_already_and_a_group_that_is_left_out() -> None:
    plain = load_recipe("reference")
    assert plain.model.neck is None
    for begin in (plain, "reference"):
        changed = load_recipe(begin, ["train.epochs=3", "model.neck.directions=32"])
        assert changed.train.epochs == 3
        assert changed.model.neck == NeckSettings(directions=32)
    with pytest.raises(RecipeError, match="wanted a list"):
        load_recipe("quick", "train.epochs=3")
