"""A recipe's settings for scenes are used where the recordings look like scenes, and said; a named setting stays."""

import json

import numpy as np
import pytest
import soundfile

from mfcl.core.plain_values import from_dict, to_dict
from mfcl.data.dataset import scan_data
from mfcl.errors import RecipeError
from mfcl.recipe import Recipe, load_recipe, schema
from mfcl.training.suited import open_suited, suited
from tests.sounds import tone

RATE = 16_000


def write(folder, clips, *, splits=None):
    folder.mkdir()
    lines = ["path,split"]
    for number, clip in enumerate(clips):
        soundfile.write(folder / f"{number}.wav", clip, RATE)
        lines.append(f"{number}.wav,{splits[number] if splits else ''}")
    (folder / "manifest.csv").write_text("\n".join(lines) + "\n")
    return folder / "manifest.csv"


def event(hz=440.0):
    quiet = np.zeros(RATE // 4, dtype=np.float32)
    return np.concatenate([quiet, tone(0.4, hz, RATE), quiet])


def scene(seed, seconds=4.0):
    return 0.1 * np.random.default_rng(seed).standard_normal(round(seconds * RATE)).astype(np.float32)


@pytest.mark.parametrize("name", ["default", "quick"])
def test_events_are_cut_and_keep_their_course_and_scenes_are_whole_and_have_statistics(tmp_path, name):
    recipe = load_recipe(name)
    assert recipe.scenes
    events = suited(recipe, scan_data(write(tmp_path / "events", [event()] * 4), cache=tmp_path, progress=False))
    assert (events.preparation.endpoints, events.model.wave.pooling, events.scenes) == (True, "course", ())
    found = scan_data(write(tmp_path / "scenes", [scene(seed) for seed in range(4)]), cache=tmp_path, progress=False)
    scenes = suited(recipe, found)
    assert (scenes.preparation.endpoints, scenes.model.wave.pooling, scenes.model.mel.pooling) == (
        False, "statistics", "statistics",
    )  # fmt: skip
    assert scenes.scenes == ()
    assert suited(scenes, found) == scenes  # chosen once
    assert from_dict(Recipe, json.loads(json.dumps(to_dict(scenes))), where="here") == scenes


def test_the_test_part_is_not_looked_at(tmp_path):
    clips = [event()] * 2 + [scene(seed) for seed in range(4)]
    recipe = load_recipe("quick")
    unsplit = scan_data(write(tmp_path / "a", clips), cache=tmp_path, progress=False)
    assert not suited(recipe, unsplit).preparation.endpoints
    split = scan_data(
        write(tmp_path / "b", clips, splits=["train", "valid"] + ["test"] * 4), cache=tmp_path, progress=False
    )
    assert suited(recipe, split).preparation.endpoints


def test_a_setting_that_a_person_names_is_the_same_for_scenes(tmp_path):
    found = scan_data(write(tmp_path / "scenes", [scene(seed) for seed in range(3)]), cache=tmp_path, progress=False)
    named = load_recipe("default", ["preparation.endpoints=true"])
    assert named.scenes == tuple(own for own in load_recipe("default").scenes if "endpoints" not in own)
    chosen = suited(named, found)
    assert (chosen.preparation.endpoints, chosen.model.wave.pooling) == (True, "statistics")
    assert suited(load_recipe("default", ["scenes=[]"]), found).model.wave.pooling == "course"
    reference = load_recipe("reference")
    assert suited(reference, found) is reference


def test_limits_of_steps_that_a_person_names_or_lifts_are_the_same_for_scenes():
    for limit in ("least_steps", "most_steps"):
        named = load_recipe("default", [f"supervised.{limit}=600"])
        assert getattr(named.supervised, limit) == getattr(named.for_scenes().supervised, limit) == 600
    lifted = load_recipe("default", ["supervised.epochs=100"]).for_scenes().supervised
    assert (lifted.epochs, lifted.most_steps) == (100, 0)
    assert load_recipe("default").for_scenes().supervised.most_steps == 800


def test_a_group_that_a_person_names_is_the_same_for_scenes():
    named = load_recipe("default", ["crops={length: 0.6, unit: seconds, placement: free}"])
    assert named.for_scenes().crops == named.crops
    assert named.for_scenes().model.wave.pooling == "statistics"


def test_epochs_beside_a_group_that_is_no_group_are_one_line():
    with pytest.raises(RecipeError, match="train: wanted settings"):
        load_recipe("default", ["train.epochs=3", "train=5"])


def test_settings_for_scenes_are_checked_and_told(tmp_path):
    with pytest.raises(RecipeError, match=r"model\.wave: no setting is called 'pool'"):
        load_recipe("default", ["scenes=[model.wave.pool=mean]"])
    with pytest.raises(RecipeError, match="wanted key=value"):
        load_recipe("default", ["scenes=[endpoints]"])
    with pytest.raises(RecipeError, match="wanted a list of texts, got 'endpoints'"):
        load_recipe("default", ["scenes=endpoints"])
    with pytest.raises(RecipeError, match="wanted str, got 3"):
        load_recipe("default", ["scenes=[3]"])
    told = {one.key: one for one in schema(load_recipe("default"))}["scenes"]
    assert told.type == "list of str"
    assert told.value.startswith("[preparation.endpoints=false, ")


def test_what_was_chosen_for_scenes_is_said_and_noted(tmp_path, capsys):
    recipe = load_recipe("quick")
    data = write(tmp_path / "scenes", [scene(seed) for seed in range(5)])
    opened, chosen = open_suited(data, recipe, cache=tmp_path, data_root=None, progress=False)
    said = capsys.readouterr().err
    assert "note: recipe quick: the recordings look like scenes, so it has preparation.endpoints=false, " in said
    assert any("look like scenes" in note for note in opened.notes)
    assert chosen == recipe.for_scenes()
    assert set(opened.store.lengths) == {4 * RATE}  # nothing was cut
    events = write(tmp_path / "events", [event(300.0 + 50 * place) for place in range(5)])
    opened, chosen = open_suited(events, recipe, cache=tmp_path, data_root=None, progress=False)
    assert "scenes" not in capsys.readouterr().err
    assert opened.store.lengths.max() < 0.6 * RATE
    assert not opened.notes or not any("scenes" in note for note in opened.notes)
