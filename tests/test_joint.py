import dataclasses

import numpy as np
import pytest
import torch

from mfcl.data.labels import known_classes
from mfcl.errors import ManifestError, MeasureError, RecipeError
from mfcl.models.pair import make_model
from mfcl.training.tasks.joint import Joint
from tests.small_run import open_tiny, run_tiny, tiny
from tests.sounds import write_corpus


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return open_tiny(write_corpus(tmp_path_factory.mktemp("joint") / "corpus"), tiny())


def made(store, *, per_class=0, recipe=None, **loss):
    recipe = recipe or tiny()
    recipe = dataclasses.replace(recipe, loss=dataclasses.replace(recipe.loss, **loss))
    targets = known_classes(store, "digit", per_class, seed=0)[1]
    return Joint(make_model(recipe.model, seed=0), store, targets, recipe, seed=0)


def test_few_labels_are_drawn_evenly_and_the_others_are_not_known(store):
    names, targets = known_classes(store, "digit", 2, seed=0)
    assert names.tolist() == ["0", "1", "2"]
    assert np.bincount(targets[targets >= 0]).tolist() == [2, 2, 2]
    known = targets >= 0
    assert (names[targets[known]] == store.manifest.column("digit")[known]).all()
    everything = known_classes(store, "digit", 0, seed=0)[1]
    assert (names[everything] == store.manifest.column("digit")).all()


def test_labels_that_are_not_there_are_one_line(store):
    with pytest.raises(ManifestError, match="wanted a label to train on"):
        known_classes(store, None, 0, seed=0)
    with pytest.raises(MeasureError, match="ask for fewer"):
        known_classes(store, "digit", 1000, seed=0)
    with pytest.raises(ManifestError, match="wanted 2 or more values"):
        known_classes(store.select(np.flatnonzero(store.manifest.column("digit") == "1")), "digit", 0, seed=0)


def test_labelled_recordings_stand_beside_any_however_few_there_are(store):
    task = made(store, per_class=1)
    batch = task.batch(np.arange(8), 0)
    assert len(batch.targets) == 4
    assert set(batch.labelled.views.recordings) <= set(task.labelled)
    assert (task.targets[batch.labelled.views.recordings] == batch.targets.numpy()).all()
    seen = {own for epoch in range(40) for own in task.batch(np.arange(8), epoch).labelled.views.recordings}
    assert seen == set(task.labelled)
    alone = task.batch(np.array([2, 3]), 0).labelled.views
    assert alone.recordings[0] == batch.labelled.views.recordings[1]  # whatever else is in the batch


def test_the_loss_is_that_without_labels_and_so_much_of_theirs(store):
    losses = {}
    for weight in (1e-9, 1.0, 2.0):
        task = made(store, labels=weight, learned=False).eval()
        task.prepare()
        batch = task.batch(np.arange(8), 0)
        losses[weight], figures = (value for value in task(task.see(batch)))
        assert 0 <= figures["labels_top1"] <= 1
    told = losses[1.0] - losses[1e-9]
    assert told > 0
    torch.testing.assert_close(losses[2.0] - losses[1e-9], 2 * told, rtol=1e-4, atol=1e-5)


def test_what_few_labels_say_is_learned(store, tmp_path):
    recipe = tiny(epochs=25, learning_rate=3e-3, ema=0.0)
    task = made(store, per_class=3, recipe=recipe)
    run_tiny(task, recipe, tmp_path / "run")
    right = task.predict(store) == known_classes(store, "digit", 0, seed=0)[1]
    assert right.mean() > 0.6
    assert right[task.labelled].mean() > 0.8


@pytest.mark.parametrize("weight", [0.0, -1.0])
def test_a_weight_of_nothing_is_refused(store, weight):
    with pytest.raises(RecipeError, match=r"loss\.labels: wanted a number from 1e-12"):
        made(store, labels=weight)
