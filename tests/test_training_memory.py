"""What cannot fit into memory is refused with an estimate before anything is made."""

import dataclasses

import numpy as np
import pytest
import torch

from mfcl.core import memory
from mfcl.errors import RecipeError
from mfcl.models.pair import make_model
from mfcl.recipe import load_recipe
from mfcl.training import memory as needed
from mfcl.views.crops import mean_seconds
from tests.small_run import tiny

LENGTHS = np.full(2000, 16000)


def test_the_parameters_are_those_of_the_model_and_its_heads() -> None:
    recipe = tiny()
    model = make_model(recipe.model, seed=0)
    count = sum(weight.numel() for weight in model.parameters())
    heads = sum(dim * 16 + 16 * 8 for dim in model.dims.values())
    assert needed.parameter_bytes(recipe) == 16 * (count + heads)


def test_a_step_takes_more_for_a_larger_batch_longer_crops_and_more_views() -> None:
    recipe = tiny()
    model = make_model(recipe.model, seed=0)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    plain = needed.activation_bytes(recipe, model, batch=8, seconds=1.0)
    assert needed.activation_bytes(recipe, model, batch=8, seconds=2.0) == 2 * plain
    assert needed.activation_bytes(recipe, model, batch=16, seconds=1.0) == 2 * plain
    inter = dataclasses.replace(recipe, loss=dataclasses.replace(recipe.loss, terms="inter"))
    assert needed.activation_bytes(inter, model, batch=8, seconds=1.0) == plain / 2
    assert model.training
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_crops_are_as_long_as_the_recipe_and_the_recordings_say() -> None:
    recipe = load_recipe("quick", ["crops.length=0.5"])
    assert mean_seconds(recipe.crops, LENGTHS, 16_000) == 0.5
    assert mean_seconds(recipe.crops, 100 * LENGTHS, 16_000) == recipe.crops.most_seconds
    assert mean_seconds(load_recipe("quick", ["crops.unit=seconds", "crops.length=3"]).crops, LENGTHS, 16_000) == 1.0


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        (
            ["model.mel.name=resnet18", "model.mel.width=16"],
            r"the parameters would .* lower model.wave.width",
        ),
        (["head.width=16384", "head.layers=16"], r"the parameters would take .* GiB"),
        (
            ["train.fill=false", "train.batch=65536", "model.mel_format.hop=8"],
            r"a step of this batch would take .* lower train.batch",
        ),
    ],
)
def test_what_cannot_fit_is_refused_with_the_estimate(
    overrides: list[str], said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(needed, "memory_bytes", lambda: 16 * 2**30)
    with pytest.raises(RecipeError, match=said):
        needed.check_memory(load_recipe("quick", overrides), LENGTHS, device="cpu")


def test_every_shipped_recipe_fits_into_eight_gigabytes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(needed, "memory_bytes", lambda: 8 * 2**30)
    for name in ("quick", "default", "reference"):
        needed.check_memory(load_recipe(name), LENGTHS, device="cpu")


def test_a_containers_limit_counts(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "memory.max").write_text("1000000\n")
    monkeypatch.setattr(memory, "LIMITS", (tmp_path / "memory.max", tmp_path / "absent"))
    assert memory.memory_bytes() == 1_000_000
    (tmp_path / "memory.max").write_text("max\n")
    assert memory.memory_bytes() > 2**28
