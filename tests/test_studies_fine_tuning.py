"""Encoders trained with few labels: where they begin, what they hear, and how long they learn."""

import copy
import dataclasses

import numpy as np
import pytest
import torch

from mfcl.checkpoint import load_checkpoint
from mfcl.data.dataset import open_data
from mfcl.errors import CheckpointError, MeasureError
from mfcl.evaluation.result import NETWORK, Question
from mfcl.models.pair import make_model
from mfcl.recipe import TrainSettings, load_recipe
from mfcl.studies import fine_tuning as tuning
from mfcl.studies.evaluators import labels
from mfcl.studies.representations import Source
from mfcl.studies.workspace import Workspace
from mfcl.training.api import untrained
from mfcl.training.tasks import supervised
from tests.recipes import tiny_recipe
from tests.small_study import called, write_listed
from tests.small_study import task as asked

SEED = 3


@pytest.fixture(scope="module")
def workspace(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tuning")
    data = write_listed(folder / "data", unlabelled=("3",))
    recipe = load_recipe(tiny_recipe(folder))
    opened = open_data(data, recipe.preparation, cache=folder / "cache", seed=SEED, progress=False)
    made = Workspace(opened, folder / "out", progress=False)
    made.make(source(made))
    return made


def source(workspace):
    return Source("pre-trained", "", SEED, load_recipe(workspace.folder.parent / "tiny.yaml"))


@pytest.fixture
def seen(monkeypatch):
    """What each training begins with: its task and the weights before its first step, normalisation fitted."""
    found, whole = [], tuning.fit

    def fit(task, settings, out, **given):
        begun, prepare = {}, task.prepare

        def prepared():
            prepare()
            begun.update(copy.deepcopy(task.encoders.state_dict()))

        task.prepare = prepared
        result = whole(task, settings, out, **given)
        found.append((task, begun, settings))
        return result

    monkeypatch.setattr(tuning, "fit", fit)
    monkeypatch.setattr(supervised, "LEAST_STEPS", 2)
    return found


def same(one, other):
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def of_format(weights, name):
    return {key.removeprefix(f"{name}."): value for key, value in weights.items() if key.startswith(f"{name}.")}


@pytest.mark.parametrize("known", [0, 1])
def test_where_nothing_can_be_tested_no_network_is_trained_and_it_is_said(workspace, seen, monkeypatch, known):
    own = workspace.embeddings(source(workspace))
    values, test = own.label("digit").astype(object), np.flatnonzero(own.splits == "test")
    values[test] = "of the test alone"
    values[test[:known]] = own.label("digit")[own.splits == "train"][0]
    changed = dataclasses.replace(own, labels={**own.labels, "digit": values.astype(str)})
    monkeypatch.setattr(type(workspace), "embeddings", lambda *_: changed)
    for start in ("fine-tuned", "from scratch"):
        for per_class in (1, 0):
            with pytest.raises(MeasureError, match=f"got {known} that training has"):
                tuning.tuned(workspace, source(workspace), per_class, start=start)
    with pytest.raises(MeasureError, match=f"got {known} that training has"):
        tuning.jointly(workspace, source(workspace), 1)
    assert not seen


def test_fine_tuning_begins_at_the_pre_trained_weights_and_hears_as_they_did(workspace, seen):
    rows = tuning.tuned(workspace, source(workspace), 1, start="fine-tuned")
    assert [called(row) for row in rows] == [f"pre-trained, {view}, fine-tuned" for view in ("wave", "mel", "both")]
    learned = load_checkpoint(workspace.run(source(workspace))).model
    fresh = untrained(workspace.data, source(workspace).recipe, seed=SEED)
    ((task, begun, _),) = seen
    for name in ("wave", "mel"):
        own = of_format(begun, name)
        assert same(own, getattr(learned, name).state_dict())  # front end and all
        assert not same(own, getattr(fresh, name).state_dict())
        assert not same(own, task.encoder(name).state_dict())  # and it went on from there
    after = load_checkpoint(workspace.run(source(workspace))).model
    assert same(after.state_dict(), learned.state_dict())  # which is left as it was


def test_from_scratch_begins_at_the_same_random_weights_as_every_other_training(workspace, seen):
    rows = tuning.tuned(workspace, source(workspace), 1, start="from scratch")
    assert [called(row) for row in rows] == ["wave, from scratch", "mel, from scratch", "both, from scratch"]
    random, learned = make_model(source(workspace).recipe.model, seed=SEED), workspace.model(source(workspace))
    ((_, begun, _),) = seen
    for name in ("wave", "mel"):
        for start, matters in ((random, True), (learned, False)):
            encoder = getattr(start, name).encoder.state_dict()
            assert same(of_format(begun, f"{name}.encoder"), encoder) == matters


@pytest.mark.parametrize(("per_class", "count"), [(1, 3), (5, 15), (0, 36)])
def test_only_labelled_training_recordings_are_learned_from(workspace, seen, per_class, count):
    start = "from scratch" if per_class else "fine-tuned"
    rows = tuning.tuned(workspace, source(workspace), per_class, start=start)
    assert len(seen) == 1
    for task, _, _ in seen:
        heard = task.store.manifest
        assert set(heard.splits) == {"train"}
        names, counts = np.unique(heard.column("digit"), return_counts=True)
        assert names.tolist() == ["0", "1", "2"]  # no name is no class
        assert counts.tolist() == [count // 3] * 3
        assert len(set(heard.ids)) == count
        assert task.classes == 3
    for row in rows:
        assert row.n == 54  # the test recordings that have a label
        assert row.x == (per_class or 12)
        assert row.question == Question("efficiency", "accuracy", "digit", NETWORK, per_class or None)
        assert asked(row) == ("digit, all labels" if not per_class else f"digit, {per_class} labels a class")
        if row.low is not None:  # two epochs may leave all speakers alike
            assert row.low - 1e-9 <= row.value <= row.high + 1e-9


def test_from_scratch_by_all_labels_is_what_the_supervised_networks_say(workspace, seen):
    rows = tuning.tuned(workspace, source(workspace), 0, start="from scratch")
    assert not seen  # it is not trained twice
    whole = dataclasses.replace(source(workspace), kind="supervised")
    assert (workspace.run(whole) / "classifiers.safetensors").is_file()
    logits = workspace.logits(whole)
    test = workspace.data.subset("test").manifest.column("digit")
    test = test[test != ""]
    names = np.unique(test)
    for row, scores in zip(rows, (*logits.values(), (logits["wave"] + logits["mel"]) / 2), strict=True):
        assert row.value == pytest.approx(100 * np.mean(names[scores.argmax(axis=1)] == test))
        assert row.question == Question("efficiency", "accuracy", "digit", NETWORK)
    asked = labels(workspace, whole).results
    own = [row for row in asked if row.question.probe == NETWORK]
    assert [row.representation.format for row in own] == ["wave", "mel", "both"]
    assert [row.value for row in own] == [row.value for row in rows]
    assert {row.question.section for row in own} == {"labels"}


def test_output_layers_that_are_deleted_are_made_again_and_damaged_ones_are_one_line(workspace, seen):
    assert seen == []
    whole = dataclasses.replace(source(workspace), kind="supervised")
    workspace.make(whole)
    before = workspace.logits(whole)
    kept = workspace.run(whole) / "classifiers.safetensors"
    kept.unlink()
    after = workspace.logits(whole)
    assert all(np.array_equal(after[format], scores) for format, scores in before.items())
    content = kept.read_bytes()
    try:
        kept.write_bytes(content[:40])
        with pytest.raises(CheckpointError, match=r"classifiers\.safetensors.*delete .* to train it again"):
            workspace.logits(whole)
    finally:
        kept.write_bytes(content)


def test_fine_tuning_begins_as_the_probe_and_learns_its_encoder_slowly(workspace, seen):
    tuning.tuned(workspace, source(workspace), 5, start="fine-tuned")
    for task, _, settings in seen:
        assert settings.learning_rate == tuning.TUNED_RATE * source(workspace).recipe.supervised.learning_rate
        assert {task.share(name) for name, _ in task.named_parameters() if name.startswith("encoders.")} == {0.2}
        assert task.share("linears.wave.weight") == 1
        begun = tuning.Continue(
            workspace.model(source(workspace)), ["wave", "mel"], task.store, task.targets, task.recipe, seed=SEED
        )
        begun.prepare()
        assert (begun.predict(task.store) == task.targets).mean() > 0.9  # fitted, and not random
        assert not any(encoder.training for encoder in task.train().encoders.values())


def test_the_same_recordings_are_known_in_both_formats_and_from_either_start(workspace, seen):
    for start in ("from scratch", "fine-tuned"):
        tuning.tuned(workspace, source(workspace), 5, start=start)
    assert len(seen) == 2
    known = [task.store.manifest.ids.tolist() for task, _, _ in seen]
    assert all(ids == known[0] for ids in known)


def test_a_training_that_is_done_is_not_done_again(workspace, seen):
    first = tuning.tuned(workspace, source(workspace), 1, start="fine-tuned")
    begun = [begun for _, begun, _ in seen]
    again = tuning.tuned(workspace, source(workspace), 1, start="fine-tuned")
    assert [dataclasses.replace(row, seconds=0.0) for row in first] == [
        dataclasses.replace(row, seconds=0.0) for row in again
    ]
    assert len(seen) == 2
    assert not seen[1][1], "a finished run was prepared again"
    assert len(begun) == 1


def test_a_training_of_one_label_is_not_taken_for_that_of_another_with_as_many_classes(workspace, seen):
    names = {"": "", "0": "c", "1": "a", "2": "b"}
    every = [
        dataclasses.replace(one, labels={**one.labels, "other": names[one.label("digit")]})
        for one in workspace.data.manifest
    ]
    manifest = dataclasses.replace(workspace.data.manifest, recordings=tuple(every))
    data = dataclasses.replace(
        workspace.data, manifest=manifest, store=dataclasses.replace(workspace.data.store, manifest=manifest)
    )
    for label in ("digit", "other"):  # as by two calls of `mfcl study` on one folder
        one = Workspace(dataclasses.replace(data, label=label), workspace.folder.parent / "two labels", progress=False)
        one.make(source(one))
        tuning.tuned(one, source(one), 1, start="from scratch")
    assert len(seen) == 2
    assert all(begun for _, begun, _ in seen), "the second label's training was thought to be done"


@pytest.mark.parametrize("count", [2, 10, 31, 32, 33, 200, 2000])
def test_few_recordings_are_seen_often_enough_and_many_as_often_as_the_recipe_says(count):
    settings = TrainSettings(epochs=8, batch=64)
    found = supervised.enough_steps(settings, count)
    assert found.batch <= min(count, settings.batch)
    assert found.epochs * (count // found.batch) >= supervised.LEAST_STEPS
    assert found.epochs >= settings.epochs
    if count >= 2000:
        assert found == settings


def test_landmarks_which_fine_tuning_does_not_ask_are_not_held(workspace, monkeypatch):
    recipe = load_recipe("quick", ["model.landmarks.count=8"])
    assert make_model(recipe.model, seed=0).wave.landmarks is not None
    monkeypatch.setattr(type(workspace), "model", lambda *_: make_model(recipe.model, seed=0))
    model = tuning.begun(workspace, source(workspace), recipe, "fine-tuned")
    assert not [name for name in model.state_dict() if "landmarks" in name]
