"""How large batches are and how long runs are, for any number and length of recordings."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mfcl.core.plain_values import to_dict
from mfcl.errors import RecipeError, TrainingError
from mfcl.recipe import LIMITS, TrainSettings, load_recipe
from mfcl.training.batch_schedule import Plan
from mfcl.training.budget import EPOCH_STEPS, SMALLEST, STAGES, budget, shortened
from mfcl.views.crops import mean_seconds

RATES = {"default": 63.0, "quick": 88.0}
"""Seconds of crops learned from in a second on two cores (docs/performance.md), at 0.64 s a recording."""
MINUTES = {"default": 10.0, "quick": 3.0}


@pytest.mark.parametrize("name", ["default", "quick"])
@pytest.mark.parametrize("seconds", [0.3, 0.64, 1.0, 5.0, 60.0])
@pytest.mark.parametrize("count", [16, 48, 200, 1_000, 1_716, 2_208, 18_000, 1_000_000])
def test_shipped_recipes_have_hundreds_of_steps_and_end_in_time(name, seconds, count):
    recipe = load_recipe(name)
    crops = mean_seconds(recipe.crops, np.array([round(16_000 * seconds)]), 16_000)
    size = budget(recipe.train, count, seconds=crops)
    assert 150 <= size.steps <= 800
    assert size.batch >= min(SMALLEST, count)
    assert size.steps * size.batch * crops / RATES[name] < 60 * MINUTES[name]
    assert 10 <= size.stages <= STAGES
    assert size.epoch_steps * size.batch >= count


def test_clips_of_next_to_no_sound_are_no_limit():
    asked = TrainSettings(epochs=2, batch=16, fill=True, least_steps=10, most_steps=20, most_sound=1.0)
    assert budget(asked, 64, seconds=2.3e-311) == budget(asked, 64)


def test_a_corpus_of_usual_size_is_learned_from_as_before():
    size = budget(load_recipe("default").train, 1_716, seconds=0.54)
    assert (size.batch, size.epoch_steps, size.steps) == (64, 27, 24 * 27)


@settings(deadline=None, max_examples=150)
@given(
    st.integers(2, 600), st.integers(2, 150), st.integers(1, 4), st.integers(1, 30), st.integers(0, 400),
    st.integers(0, 400), st.floats(0, 6), st.floats(0, 1000),
)  # fmt: skip
def test_every_recording_is_used_in_every_epoch_and_none_twice_in_a_batch(
    count, batch, processes, epochs, least, more, seconds, sound
):
    asked = TrainSettings(
        epochs=epochs, batch=batch, fill=True, least_steps=least, most_steps=least and least + more, most_sound=sound
    )
    try:
        size = budget(asked, count, seconds=seconds, processes=processes)
    except TrainingError:
        assert count < 2 * processes or batch % processes
        return
    assert 2 <= size.batch <= min(batch, count)
    assert size.batch % processes == 0
    assert 1 <= size.stages <= min(STAGES, size.steps)
    limited = not (sound and seconds and size.steps * size.batch * seconds >= sound - size.batch * seconds)
    assert size.steps >= least or not limited
    assert not asked.most_steps or size.steps <= asked.most_steps
    if least:
        assert size.steps <= max(asked.most_steps, least)
    plan = Plan.of(asked, np.random.default_rng(count).integers(1, 9, count), size, seed=0)
    steps = [plan.recordings(step) for step in range(min(plan.epoch_steps, plan.steps))]
    assert all(len(np.unique(one)) == size.batch for one in steps)
    if plan.steps >= plan.epoch_steps:
        assert set(np.concatenate(steps)) == set(range(count))
    ends = plan.stage_ends
    assert ends[-1] == plan.steps
    assert len(ends) == size.stages
    assert max(np.diff((0, *ends))) - min(np.diff((0, *ends))) <= 1
    assert plan.epoch(plan.steps - 1) == math.ceil(plan.epochs_after(plan.steps)) - 1


@pytest.mark.parametrize("count", [16, 24, 48, 100, 255, 256, 1_000])
def test_a_small_set_has_several_batches_an_epoch_of_the_same_size_for_one_process_or_several(count):
    asked = TrainSettings(batch=64, fill=True)
    sizes = {budget(asked, count, processes=processes).batch for processes in (1, 2, 4, 8)}
    assert len(sizes) == 1
    (size,) = sizes
    assert count // size >= min(EPOCH_STEPS, count // SMALLEST)
    three = budget(asked, count, processes=3).batch if size < 64 else 3
    assert three % 3 == 0


def test_long_recordings_have_smaller_batches_before_they_have_fewer_steps():
    asked = TrainSettings(epochs=24, batch=64, fill=True, least_steps=300, most_steps=800, most_sound=28_000.0)
    short, long, longest = (budget(asked, 1_000, seconds=seconds) for seconds in (0.5, 3.0, 30.0))
    assert (short.batch, long.batch, longest.batch) == (64, 24, SMALLEST)
    assert min(short.steps, long.steps) >= 300 > longest.steps
    assert longest.steps * SMALLEST * 30.0 <= 28_000


def test_without_limits_a_run_is_what_its_epochs_say():
    size = budget(TrainSettings(epochs=7, batch=20), 50)
    assert (size.batch, size.epoch_steps, size.steps, size.stages) == (20, 2, 14, 7)
    assert budget(TrainSettings(epochs=7, batch=20), 9).batch == 9
    plan = Plan.of(TrainSettings(epochs=7, batch=20), np.full(50, 9), size, seed=3)
    old = Plan(np.full(50, 9), 20, 7, 3)
    assert all(np.array_equal(plan.recordings(step), old.recordings(step)) for step in range(14))
    assert plan.stage_ends == old.stage_ends == (2, 4, 6, 8, 10, 12, 14)


@pytest.mark.parametrize(("count", "batch", "said"), [(1, 64, "use more recordings"), (9, 1, "use a larger batch")])
def test_what_is_advised_for_a_batch_of_one_follows_from_what_is_there(count, batch, said):
    for fill in (False, True):
        with pytest.raises(TrainingError, match=said):
            budget(TrainSettings(batch=batch, fill=fill), count)


def test_a_shorter_run_has_smaller_limits():
    short = shortened(load_recipe("default").train, 6)
    whole = load_recipe("default").train
    assert short.epochs == 6
    assert all(getattr(short, name) == pytest.approx(getattr(whole, name) / 4, abs=1) for name in LIMITS)
    assert short.fill
    plain = shortened(TrainSettings(epochs=8), 2)
    assert plain == TrainSettings(epochs=2)


def test_who_names_epochs_gets_that_many_unless_limits_are_named_too():
    named = load_recipe("default", ["train.epochs=2"]).train
    assert (named.epochs, *(getattr(named, name) for name in LIMITS)) == (2, 0, 0, 0)
    assert named.fill
    both = load_recipe("default", ["train.least_steps=50", "train.epochs=2"]).train
    assert (both.epochs, both.least_steps, both.most_steps) == (2, 50, 0)
    assert load_recipe("default", ["train.batch=32"]).train.least_steps == load_recipe("default").train.least_steps
    assert load_recipe(load_recipe("default"), ["train.epochs=2"]) == load_recipe("default", ["train.epochs=2"])


def test_limits_that_contradict_are_one_line():
    with pytest.raises(RecipeError, match=r"train.most_steps: wanted 0 or at least least_steps 300, got 20"):
        load_recipe("default", ["train.least_steps=300", "train.most_steps=20"])


def test_limits_that_are_off_are_not_written_so_that_files_of_before_are_still_known():
    assert not {"fill", *LIMITS} & set(to_dict(TrainSettings()))
    whole = to_dict(load_recipe("default").train)
    assert {"fill", *LIMITS} <= set(whole)
    assert load_recipe(load_recipe("default")) == load_recipe("default")
