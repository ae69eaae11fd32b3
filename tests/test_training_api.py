"""From a path to a trained run: what is asked is done, or refused before anything is made."""

import json
from pathlib import Path

import jaxtyping
import numpy as np
import pytest

from mfcl.errors import MfclError
from mfcl.recipe import load_recipe
from mfcl.training.api import train
from tests.recipes import tiny_recipe
from tests.sounds import write_corpus


def run(folder: Path, **asked):
    """Train on a tiny corpus beside the run."""
    data = folder / "corpus"
    if not data.exists():
        write_corpus(data)
    given = {"recipe": tiny_recipe(folder), "cache": folder / "cache", "device": "cpu", "progress": False, **asked}
    return train(data, folder / "run", **given)


def test_overrides_change_a_recipe_object_too(tmp_path: Path) -> None:
    recipe = load_recipe(tiny_recipe(tmp_path))
    made = run(tmp_path, recipe=recipe, overrides=["train.epochs=1", "model.neck.directions=8"])
    assert recipe.train.epochs == 2
    assert made.recipe.train.epochs == 1
    assert made.recipe.model.neck is not None
    assert made.recipe.model.neck.directions == 8
    assert "versions" in json.loads((tmp_path / "run" / "environment.json").read_text())


def test_a_seed_of_numpy_is_the_same_seed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)  # as it is without tests
    made = run(tmp_path, seed=np.int64(3), overrides=["train.epochs=1"])
    assert "seed: 3\n" in (tmp_path / "run" / "config.yaml").read_text()
    again = run(tmp_path, seed=3, overrides=["train.epochs=1"], resume=True)
    assert made.info["facts"]["seed"] == again.info["facts"]["seed"] == "3"


@pytest.mark.parametrize(
    "asked",
    [
        {"seed": -1},
        {"seed": 2**32},
        {"per_class": -3},
        {"threads": 0},
        {"overrides": "train.epochs=1"},
        {"overrides": ["train.epochs=0"]},
    ],
)
def test_numbers_out_of_range_are_refused_and_nothing_is_made(asked, tmp_path: Path) -> None:
    with pytest.raises(MfclError, match="wanted"):
        run(tmp_path, **asked)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"labels_per_class": 5}, "labels_per_class: .*give joint too"),
        ({"resume": True, "overwrite": True}, "overwrite deletes it; give one of the two"),
    ],
)
def test_what_would_do_nothing_or_delete_a_run_to_go_on_with_is_refused(asked, said, tmp_path: Path) -> None:
    with pytest.raises(MfclError, match=said):
        run(tmp_path, **asked)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("asked", [{"resume": True}, {"overwrite": True}])
def test_a_folder_of_someone_elses_is_refused_before_any_work(asked, tmp_path: Path) -> None:
    (tmp_path / "run" / "model").mkdir(parents=True)
    (tmp_path / "run" / "train.log").write_text("mine")
    with pytest.raises(MfclError, match="no run of mfcl"):
        run(tmp_path, **asked)
    assert (tmp_path / "run" / "train.log").read_text() == "mine"
    assert not (tmp_path / "cache").exists()
