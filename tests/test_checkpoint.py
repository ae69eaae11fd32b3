import builtins
import errno
import json
import pickle
import random
import shutil

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from mfcl import checkpoint
from mfcl.checkpoint import file_digest, load_checkpoint, model_digest, save_checkpoint
from mfcl.checkpoint_files import CARD, CONFIG, WEIGHTS, WHITENING
from mfcl.embeddings.whitening import fit_whitening
from mfcl.errors import CheckpointError, MfclError
from mfcl.explore.collection import open_collection
from mfcl.models.pair import make_model
from mfcl.models.weights_file import digest
from tests.small_run import tiny
from tests.sounds import word


@pytest.fixture
def saved(tmp_path):
    recipe = tiny()
    model = make_model(recipe.model, seed=3)
    with torch.no_grad():
        model.mel.front.mean.fill_(-2.5)  # what was fitted travels too
    save_checkpoint(model, recipe, tmp_path / "run" / "model", card={"seed": "3"})
    return model, tmp_path / "run" / "model"


def edit(folder, **entries):
    config = json.loads((folder / CONFIG).read_text())
    (folder / CONFIG).write_text(json.dumps({**config, **entries}))


def forget_digests(folder):
    """Make the checkpoint as version 0.1 wrote it."""
    config = json.loads((folder / CONFIG).read_text())
    del config["digests"]
    (folder / CONFIG).write_text(json.dumps(config))


def refused(folder):
    with pytest.raises(CheckpointError) as error:
        load_checkpoint(folder)
    assert "\n" not in str(error.value)
    return str(error.value)


def test_a_loaded_model_gives_the_same_embeddings(saved):
    model, folder = saved
    loaded = load_checkpoint(folder)
    wave = torch.from_numpy(np.stack([word(0, 1), word(1, 1)]))
    before, after = model.eval()(wave, None), loaded.model(wave, None)
    assert all(torch.equal(before[name], after[name]) for name in ("wave", "mel"))
    assert loaded.recipe == tiny()
    assert not loaded.model.training
    assert loaded.info["dims"] == dict(model.dims)
    assert loaded.info["facts"] == {"seed": "3"}


def test_the_digest_is_of_the_model_in_memory_whatever_becomes_of_its_folder(saved):
    model, folder = saved
    loaded = load_checkpoint(folder)
    own, weights = model_digest(loaded), digest(folder / WEIGHTS)
    save_checkpoint(make_model(loaded.recipe.model, seed=4), loaded.recipe, folder)
    assert model_digest(loaded) == own != model_digest(load_checkpoint(folder))
    assert file_digest(loaded, WEIGHTS) == weights != digest(folder / WEIGHTS)
    save_checkpoint(model, loaded.recipe, folder)
    forget_digests(folder)  # the digest of version 0.1 is that of the same files
    assert model_digest(load_checkpoint(folder)) == own
    shutil.rmtree(folder)
    assert model_digest(loaded) == own


def test_a_run_folder_resolves_to_its_model(saved):
    assert load_checkpoint(saved[1].parent).folder == saved[1]


def test_loading_unpickles_nothing(saved, monkeypatch):
    def never(*_, **__):
        raise AssertionError("this would run code from the file")

    for place, name in (
        (pickle, "load"),
        (pickle, "loads"),
        (pickle, "Unpickler"),
        (torch, "load"),
        (builtins, "exec"),
    ):
        monkeypatch.setattr(place, name, never)
    load_checkpoint(saved[1])
    assert sorted(path.name for path in saved[1].iterdir()) == sorted([CONFIG, WEIGHTS, CARD])


def test_an_unknown_entry_names_both_versions(saved):
    edit(saved[1], quantised=True, mfcl_version="9.9")
    text = refused(saved[1])
    assert "'quantised'" in text
    assert "mfcl 9.9" in text


def test_an_unknown_setting_of_another_version_is_refused(saved):
    recipe = json.loads((saved[1] / CONFIG).read_text())["recipe"]
    recipe["model"]["wave"]["poling"] = "mean"
    edit(saved[1], recipe=recipe, mfcl_version="9.9")
    text = refused(saved[1])
    assert "'poling'" in text
    assert "did you mean 'pooling'" in text
    assert "mfcl 9.9" in text


@pytest.mark.parametrize("given", [3, None, "1"])
def test_another_format_is_refused(saved, given):
    edit(saved[1], format=given)
    assert "wanted a checkpoint of format 2" in refused(saved[1])


def test_a_model_of_the_format_before_is_read_unless_it_has_landmarks(saved):
    edit(saved[1], format=1)
    assert load_checkpoint(saved[1]).recipe == tiny()
    recipe = json.loads((saved[1] / CONFIG).read_text())["recipe"]
    recipe["model"]["landmarks"] = {"count": 4, "frames": 8}
    edit(saved[1], recipe=recipe)
    assert "landmarks were measured in another way" in refused(saved[1])


@pytest.mark.parametrize("text", ["", "{", "[]", "\x00"])
def test_an_unreadable_config_is_refused(saved, text):
    (saved[1] / CONFIG).write_text(text)
    assert CONFIG in refused(saved[1])


def test_a_missing_entry_is_refused(saved):
    config = json.loads((saved[1] / CONFIG).read_text())
    del config["recipe"]
    (saved[1] / CONFIG).write_text(json.dumps(config))
    assert "'recipe', it is missing" in refused(saved[1])


@pytest.mark.parametrize("share", [0.0, 0.3, 0.99])
def test_weights_that_were_cut_short_are_refused(saved, share):
    whole = (saved[1] / WEIGHTS).read_bytes()
    (saved[1] / WEIGHTS).write_bytes(whole[: int(len(whole) * share)])
    assert WEIGHTS in refused(saved[1])


def test_missing_weights_are_refused(saved):
    (saved[1] / WEIGHTS).unlink()
    assert "weights are missing" in refused(saved[1])


def test_weights_of_another_size_are_refused(saved):
    recipe = json.loads((saved[1] / CONFIG).read_text())["recipe"]
    recipe["model"]["mel"]["width"] = 4.0
    edit(saved[1], recipe=recipe)
    assert "of shape" in refused(saved[1])


@pytest.mark.parametrize("made", ["nothing", "empty folder", "file"])
def test_what_is_no_checkpoint_is_refused(tmp_path, made):
    path = tmp_path / "here"
    if made == "empty folder":
        path.mkdir()
    elif made == "file":
        path.write_text("hello")
    assert "wanted a checkpoint or a run folder" in refused(path)


def test_a_name_that_no_file_can_have_is_no_checkpoint(tmp_path):
    assert "nothing there" in refused(tmp_path / ("x" * 300))


def test_a_full_disk_leaves_the_old_checkpoint_as_it_was(saved, monkeypatch):
    _, folder = saved
    before = {path.name: path.read_bytes() for path in folder.iterdir()}

    def full(_weights, path, metadata):
        path.write_bytes(b"half")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(checkpoint, "save_file", full)
    recipe = tiny()
    with pytest.raises(CheckpointError, match="No space left on device") as error:
        save_checkpoint(make_model(recipe.model, seed=4), recipe, folder, card={"seed": "4"})
    assert "\n" not in str(error.value)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def test_the_card_names_the_facts(saved):
    text = (saved[1] / CARD).read_text()
    assert "| seed | 3 |" in text
    assert "mfcl.load(" in text


def test_a_model_in_training_mode_is_saved_and_left_in_it(tmp_path):
    recipe = tiny()
    model = make_model(recipe.model, seed=0).train()
    save_checkpoint(model, recipe, tmp_path)
    assert model.training


def test_a_whitening_travels_with_the_model_and_a_damaged_one_is_refused(saved):
    model, folder = saved
    assert dict(load_checkpoint(folder).whitening) == {}
    vectors = np.random.default_rng(0).standard_normal((9, 4)).astype(np.float32)
    learned = {"wave": fit_whitening(vectors), "mel words": fit_whitening(vectors[:, :3])}
    save_checkpoint(model, tiny(), folder, whitening=learned)
    found = load_checkpoint(folder).whitening
    assert set(found) == set(learned)
    np.testing.assert_array_equal(found["wave"](vectors), learned["wave"](vectors))
    save_checkpoint(model, tiny(), folder)
    assert dict(load_checkpoint(folder).whitening) == {}  # what was learned with another model is gone
    save_checkpoint(model, tiny(), folder, whitening=learned)
    content = (folder / WHITENING).read_bytes()
    (folder / WHITENING).write_bytes(content[: len(content) // 2])
    assert WHITENING in refused(folder)
    forget_digests(folder)
    save_file({"wave.mean": torch.zeros(4)}, folder / WHITENING)
    assert "wave.directions" in refused(folder)


def test_one_flipped_bit_is_noticed_and_a_checkpoint_without_digests_still_loads(saved):
    model, folder = saved
    save_checkpoint(model, tiny(), folder, whitening={"wave": fit_whitening(np.eye(4, dtype=np.float32))})
    draw = random.Random(0)
    for name in (WEIGHTS, WHITENING):
        whole = (folder / name).read_bytes()
        for _ in range(10):
            place = draw.randrange(len(whole))
            damaged = bytearray(whole)
            damaged[place] ^= 1 << draw.randrange(8)
            (folder / name).write_bytes(damaged)
            assert name in refused(folder)
        (folder / name).write_bytes(whole)
    (folder / WHITENING).rename(folder / "elsewhere")
    assert "missing" in refused(folder)
    (folder / "elsewhere").rename(folder / WHITENING)
    forget_digests(folder)
    assert set(load_checkpoint(folder).whitening) == {"wave"}
    save_checkpoint(model, tiny(), folder)
    save_file({"wave.mean": torch.zeros(4), "wave.directions": torch.zeros(4, 1)}, folder / WHITENING)
    assert "of another model" in refused(folder)


def altered(folder, change):
    """Change one weight's tensor, in a checkpoint of version 0.1."""
    forget_digests(folder)
    weights = load_file(folder / WEIGHTS)
    name = next(name for name, value in weights.items() if value.is_floating_point() and value.ndim > 1)
    weights[name] = change(weights[name])
    save_file(weights, folder / WEIGHTS)
    return name


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf"), 1e38])
def test_weights_that_would_give_no_finite_vectors_are_refused(saved, value):
    name = altered(saved[1], lambda weight: weight.index_fill(0, torch.tensor([0]), value))
    text = refused(saved[1])
    assert name in text
    assert "not finite" in text


def test_weights_of_another_kind_of_number_are_refused_and_half_precision_is_not(saved):
    name = altered(saved[1], lambda weight: weight.half())
    load_checkpoint(saved[1])
    weights = load_file(saved[1] / WEIGHTS)
    save_file({**weights, name: weights[name].to(torch.int32)}, saved[1] / WEIGHTS)
    assert f"wanted {name} of torch.float32, got torch.int32" in refused(saved[1])


def test_a_variance_below_zero_is_refused(saved):
    forget_digests(saved[1])
    weights = load_file(saved[1] / WEIGHTS)
    name = next(name for name in weights if name.endswith("running_var"))
    save_file({**weights, name: weights[name] - 5}, saved[1] / WEIGHTS)
    assert name in refused(saved[1])


@pytest.mark.parametrize(
    "tensors",
    [
        {"wave.mean": torch.full((4,), float("nan")), "wave.directions": torch.zeros(4, 2)},
        {"wave.mean": torch.zeros(4), "wave.directions": torch.zeros(5, 2)},
        {"wave.mean": torch.zeros(4, 1), "wave.directions": torch.zeros(4, 2)},
        {"wave.mean": torch.zeros(4, dtype=torch.int32), "wave.directions": torch.zeros(4, 2)},
        {"wave.directions": torch.zeros(4, 2)},
        {"wave": torch.zeros(4, 2)},
    ],
)
def test_a_whitening_that_cannot_be_used_is_refused(saved, tensors):
    forget_digests(saved[1])
    save_file(tensors, saved[1] / WHITENING)
    assert WHITENING in refused(saved[1])


@pytest.mark.parametrize(
    "entries",
    [
        {"recipe": []},
        {"recipe": {"name": "a", "model": 3}},
        {"recipe": {"name": "a", "model": {"wave": {"name": "res1dnet", "width": 1e300}}}},
        {"dims": 3},
        {"dims": {"wave": 1, "mel": 2}},
        {"facts": None},
        {"mfcl_version": 1},
        {"digests": 3},
        {"digests": {}},
        {"digests": {WEIGHTS: ["a"]}},
        {"format": 10**30},
        {"format": [[]]},
        {"\ud800": 1},
    ],
)
def test_entries_of_another_kind_are_refused(saved, entries):
    edit(saved[1], **entries)
    assert CONFIG in refused(saved[1])


def test_a_config_that_asks_for_a_huge_model_takes_no_memory_for_it(saved):
    recipe = json.loads((saved[1] / CONFIG).read_text())["recipe"]
    recipe["model"]["mel"] = {"name": "resnet18", "width": 16.0, "pooling": "mean", "norm": "batch"}
    edit(saved[1], recipe=recipe, dims={"wave": recipe_dim(saved[0]), "mel": 8192})
    assert "of shape" in refused(saved[1])  # 11 GB of weights were asked for


def recipe_dim(model):
    return model.dims["wave"]


@pytest.mark.parametrize(
    "text", ["[" * 100_000, '{"format": ' + "9" * 5000 + "}", '{"format": 1, "recipe": ' + "[" * 5000]
)
def test_a_config_that_is_deep_or_long_is_refused(saved, text):
    (saved[1] / CONFIG).write_text(text)
    assert CONFIG in refused(saved[1])


def test_a_run_whose_training_has_not_ended_is_told_as_one(tmp_path):
    for name in ("config.yaml", "metrics.jsonl"):
        (tmp_path / name).touch()
    for opened in (load_checkpoint, open_collection):
        with pytest.raises(MfclError, match=r"has no model yet, as its training has not ended; go on with .* --resume"):
            opened(tmp_path)
    (tmp_path / "metrics.jsonl").unlink()
    with pytest.raises(MfclError, match="wanted a checkpoint or a run folder"):
        load_checkpoint(tmp_path)
