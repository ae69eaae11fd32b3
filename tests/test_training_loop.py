import json
import os
import signal

import numpy as np
import pytest
import torch

from mfcl.errors import CheckpointError, MfclError, TrainingError
from mfcl.training import Interrupted, loop
from mfcl.training.batch_schedule import Plan
from mfcl.training.budget import Budget
from mfcl.training.metrics import cautions, collapse
from mfcl.training.optim import make_optimiser
from mfcl.training.resume_state import NAME, PREVIOUS
from mfcl.training.run_log import read_warnings
from tests.small_run import few_are_enough, make_task, open_tiny, run_tiny, send_at, tiny, with_neighbours
from tests.sounds import write_corpus


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return open_tiny(write_corpus(tmp_path_factory.mktemp("loop") / "corpus"), tiny())


@pytest.fixture(scope="module")
def unbroken(store, tmp_path_factory):
    """A run that nothing happens to: its folder and its task."""
    run = tmp_path_factory.mktemp("unbroken") / "run"
    return run, trained(store, run)[0]


def trained(store, run, *, kind="pretrain", recipe=None, **options):
    recipe = recipe or tiny()
    task = make_task(store, recipe, kind=kind)
    return task, run_tiny(task, recipe, run, **options)


def same(one, other):
    one, other = one.state_dict(), other.state_dict()
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def lines(run):
    return [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]


@pytest.mark.parametrize("kind", ["pretrain", "classify"])
def test_the_same_seed_gives_the_same_weights(store, tmp_path, kind):
    one, _ = trained(store, tmp_path / "one", kind=kind)
    other, _ = trained(store, tmp_path / "other", kind=kind)
    third, _ = trained(store, tmp_path / "third", kind=kind, seed=1)
    assert same(one, other)
    assert not same(one, third)


def test_a_classifier_learns_the_digits_of_the_tiny_corpus(store, tmp_path):
    recipe = tiny(epochs=12, learning_rate=3e-3, ema=0.0)
    task, result = trained(store, tmp_path / "run", kind="classify", recipe=recipe)
    right = (task.predict(store) == task.targets).mean()
    assert right > 0.6
    assert result.loss < task.chance_loss


def test_the_record_says_what_was_run_and_how_it_went(store, tmp_path):
    run = tmp_path / "run"
    task, result = trained(store, run, validate=lambda: {"valid_knn": 50.0})
    found = lines(run)
    steps = [line for line in found if "loss" in line]
    epochs = [line for line in found if "valid_knn" in line]
    assert [line["step"] for line in steps] == [3, 6, 9, 12]
    assert [(line["step"], line["epoch"]) for line in epochs] == [(3, 1), (6, 2), (9, 3), (12, 4)]
    wanted = {"step", "loss", "chance", "top1", "spread", "learning_rate", "gradient_norm", "seconds"}
    assert wanted | {"recordings_per_second", "temperature"} == set(steps[0])
    assert steps[0]["chance"] == pytest.approx(task.chance_loss)
    assert (result.steps, result.loss) == (12, steps[-1]["loss"])
    assert sorted(path.name for path in run.iterdir()) == [
        "config.yaml",
        "data.json",
        "environment.json",
        "metrics.jsonl",
        "state.safetensors",
        "train.log",
    ]
    assert json.loads((run / "environment.json").read_text())["precision"] == {"wave": "fp32", "mel": "fp32"}


def test_a_run_that_ended_keeps_no_gradients_and_no_moments(store, tmp_path, monkeypatch):
    made = []
    monkeypatch.setattr(loop, "make_optimiser", lambda *given: made.append(make_optimiser(*given)) or made[0])
    task, _ = trained(store, tmp_path / "run", recipe=tiny(epochs=1))
    assert all(weight.grad is None for weight in task.parameters())
    assert not made[0].state


def test_validation_sees_the_averaged_weights_in_evaluation_mode(store, tmp_path):
    recipe = tiny(ema=0.99)
    task = make_task(store, recipe)
    seen = []
    run_tiny(
        task, recipe, tmp_path / "run",
        validate=lambda: seen.append((task.training, task.state_dict()["heads.mel.layers.0.weight"].clone())) or {},
    )  # fmt: skip
    assert [training for training, _ in seen] == [False] * 4
    assert torch.equal(seen[-1][1], task.state_dict()["heads.mel.layers.0.weight"])  # the average is what is kept


def test_ctrl_c_saves_and_says_how_to_go_on(store, unbroken, tmp_path):
    recipe, run = tiny(), tmp_path / "run"
    task = make_task(store, recipe)
    send_at(task, 5, signal.SIGINT)
    handler = signal.getsignal(signal.SIGINT)
    with pytest.raises(Interrupted, match=r"saved at step 5 of 12; it can resume there") as error:
        run_tiny(task, recipe, run)
    assert "\n" not in str(error.value)
    assert signal.getsignal(signal.SIGINT) is handler
    resumed, result = trained(store, run, resume=True)
    assert same(unbroken[1], resumed)
    assert result.steps == 12
    assert "resumed at step 5" in (run / "train.log").read_text()


def test_the_lines_of_a_resumed_run_are_those_of_an_unbroken_one(store, unbroken, tmp_path):
    recipe = tiny()
    task = make_task(store, recipe)
    send_at(task, 5, signal.SIGINT)  # in the midst of an epoch: two steps belong to a line yet to come
    with pytest.raises(Interrupted):
        run_tiny(task, recipe, tmp_path / "run")
    trained(store, tmp_path / "run", resume=True)
    times = {"seconds": 0, "recordings_per_second": 0}
    one, other = ([{**line, **times} for line in lines(run)] for run in (unbroken[0], tmp_path / "run"))
    assert one == other


def test_the_front_ends_are_fitted_before_the_first_step_and_kept_in_the_average(store, tmp_path):
    fitted = make_task(store, tiny())
    fitted.prepare()
    task, _ = trained(store, tmp_path / "run")
    torch.testing.assert_close(task.model.mel.front.mean, fitted.model.mel.front.mean)
    assert task.model.mel.front.mean.abs().min() > 0.1


def test_each_epoch_sees_recordings_once_in_an_order_of_its_own():
    plan = Plan(np.arange(24) % 5 + 1, 8, 3, seed=0)
    epochs = [np.concatenate([plan.recordings(step) for step in range(first, first + 3)]) for first in (0, 3, 6)]
    assert all(sorted(epoch) == list(range(24)) for epoch in epochs)
    assert len({tuple(epoch) for epoch in epochs}) == 3
    assert [plan.epoch(step) for step in (0, 2, 3, 8)] == [0, 0, 1, 2]


def test_ctrl_c_while_validating_waits_for_the_end_of_it(store, tmp_path):
    recipe = tiny()

    def validate():
        os.kill(os.getpid(), signal.SIGINT)
        return {"valid_knn": 1.0}

    with pytest.raises(Interrupted, match="step 3 of 12"):
        run_tiny(make_task(store, recipe), recipe, tmp_path, validate=validate)
    assert lines(tmp_path)[-1]["valid_knn"] == 1.0


@pytest.mark.parametrize("when", ["step", "validation"])
def test_ctrl_c_at_the_end_stops_what_would_follow(store, unbroken, tmp_path, when):
    recipe, run, calls = tiny(), tmp_path / "run", []
    task = make_task(store, recipe)
    if when == "step":
        send_at(task, 12, signal.SIGINT)

    def validate():
        calls.append(len(calls))
        if when == "validation" and len(calls) == 4:
            os.kill(os.getpid(), signal.SIGINT)
        return {"valid_knn": 1.0}

    with pytest.raises(Interrupted, match="after its last step, which is saved; it can go on from there"):
        run_tiny(task, recipe, run, validate=validate)
    resumed, result = trained(store, run, resume=True)
    assert same(unbroken[1], resumed)
    assert result.steps == 12
    assert "finished before" in (run / "train.log").read_text()


def test_a_network_that_learns_nothing_is_named_beside_one_that_does(store, tmp_path, monkeypatch):
    recipe = tiny()
    task = make_task(store, recipe)
    monkeypatch.setattr(task, "learning", lambda figures: {"wave": (0.1, 2.0), "mel": (2.0, 2.0)})
    run_tiny(task, recipe, tmp_path)
    told = [line for line in (tmp_path / "train.log").read_text().splitlines() if "nothing is learned" in line]
    assert len(told) == 1  # at the end
    assert "mel network: nothing is learned: loss 2.000 is not below its chance line 2.000" in told[0]


def test_a_second_ctrl_c_ends_at_once(store, tmp_path):
    recipe = tiny()
    task = make_task(store, recipe)
    whole = task.forward

    def forward(batch):
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)
        return whole(batch)

    task.forward = forward
    with pytest.raises(KeyboardInterrupt) as error:
        run_tiny(task, recipe, tmp_path)
    assert not isinstance(error.value, Interrupted)


def test_a_finished_run_is_not_run_again(store, tmp_path):
    done, first = trained(store, tmp_path / "run")
    again, second = trained(store, tmp_path / "run", resume=True)
    assert same(done, again)
    assert first == second


def test_resuming_with_another_recipe_or_other_data_is_refused(store, tmp_path):
    trained(store, tmp_path / "run")
    with pytest.raises(CheckpointError, match=r"learning_rate = 0\.001, got 0\.5"):
        trained(store, tmp_path / "run", recipe=tiny(learning_rate=0.5), resume=True)
    with pytest.raises(CheckpointError, match=r"begun with other recordings: .* \(fingerprint 'f', now 'g'\)"):
        trained(store, tmp_path / "run", fingerprint="g", resume=True)
    with pytest.raises(CheckpointError, match="task = 'pretrain', got 'classify'"):
        trained(store, tmp_path / "run", kind="classify", resume=True)


def test_a_used_folder_is_refused_and_overwritten_when_asked(store, tmp_path):
    one, _ = trained(store, tmp_path / "run")
    with pytest.raises(CheckpointError, match=r"new or empty run folder.*--resume.*--overwrite"):
        trained(store, tmp_path / "run")
    again, _ = trained(store, tmp_path / "run", overwrite=True)
    assert same(one, again)
    assert len(lines(tmp_path / "run")) == 8


def test_a_loss_that_is_no_number_names_the_step_and_the_recordings(store, tmp_path):
    recipe = tiny()
    task = make_task(store, recipe)
    whole, seen = task.forward, iter(range(100))

    def forward(batch):
        loss, figures = whole(batch)
        return (loss * float("nan") if next(seen) == 4 else loss), figures

    task.forward = forward
    with pytest.raises(TrainingError, match=r"step 5: the loss is nan") as error:
        run_tiny(task, recipe, tmp_path / "run", checkpoint_seconds=0.0)
    named = store.manifest.ids[Plan(store.lengths, 8, 4, 0).recordings(4)[:3]]
    assert all(name in str(error.value) for name in named)
    assert "\n" not in str(error.value)
    resumed, _ = trained(store, tmp_path / "run", resume=True)  # what was saved before is sound
    assert all(torch.isfinite(value).all() for value in resumed.state_dict().values())


def test_a_full_disk_ends_the_run_in_one_line_and_the_saved_state_goes_on(store, unbroken, tmp_path, monkeypatch):
    from mfcl.training import resume_state as state

    whole, calls = state.save_file, iter(range(100))

    def full(tensors, path, metadata):
        if next(calls) == 3:
            raise OSError(28, "No space left on device")
        whole(tensors, path, metadata)

    monkeypatch.setattr(state, "save_file", full)
    with pytest.raises(MfclError, match="No space left on device"):
        trained(store, tmp_path / "run", checkpoint_seconds=0.0)
    monkeypatch.undo()
    resumed, _ = trained(store, tmp_path / "run", resume=True)
    assert same(unbroken[1], resumed)


def test_a_half_written_state_costs_some_steps_and_not_the_run(store, unbroken, tmp_path):
    recipe, run = tiny(), tmp_path / "run"
    task = make_task(store, recipe)
    send_at(task, 6, signal.SIGINT)
    with pytest.raises(Interrupted):
        run_tiny(task, recipe, run, checkpoint_seconds=0.0)
    (run / NAME).write_bytes((run / NAME).read_bytes()[:1000])
    assert (run / PREVIOUS).exists()
    resumed, _ = trained(store, run, resume=True)
    assert same(unbroken[1], resumed)
    log = (run / "train.log").read_text()
    assert [line["step"] for line in lines(run)] == [line["step"] for line in lines(unbroken[0])]
    assert "warning: " in log
    assert "resumed at step 5" in log


def test_a_run_does_not_go_on_with_batches_of_another_size(store, tmp_path):
    recipe, run = tiny(), tmp_path / "run"
    task = make_task(store, recipe)
    send_at(task, 2, signal.SIGINT)
    with pytest.raises(Interrupted):
        run_tiny(task, recipe, run)
    begun = json.loads((run / "environment.json").read_text())
    (run / "environment.json").write_text(json.dumps({**begun, "batch": begun["batch"] + 1}))
    with pytest.raises(CheckpointError, match=rf"begun with batches of {begun['batch'] + 1} .* have {begun['batch']} "):
        trained(store, run, resume=True)
    begun.pop("batch")  # as a version before wrote it
    (run / "environment.json").write_text(json.dumps(begun))
    assert trained(store, run, resume=True)


def test_the_arithmetic_of_the_start_is_kept_on_another_machine(store, tmp_path, monkeypatch):
    recipe, run = tiny(wave_precision="auto"), tmp_path / "run"
    monkeypatch.setattr(loop, "settle", lambda precision, device: "bf16" if precision == "auto" else precision)
    task = make_task(store, recipe)
    send_at(task, 2, signal.SIGINT)
    with pytest.raises(Interrupted):
        run_tiny(task, recipe, run)
    monkeypatch.setattr(loop, "settle", lambda precision, device: "fp32")
    resumed, _ = trained(store, run, recipe=recipe, resume=True)
    assert resumed.precision == {"wave": "bf16", "mel": "fp32"}


def test_too_few_recordings_are_one_line(store, tmp_path):
    recipe = tiny()
    wanted = r"^1 recording for training, in batches of \d+: a batch needs at least 2 recordings; use more recordings$"
    with pytest.raises(TrainingError, match=wanted):
        run_tiny(make_task(store.select(np.array([0])), recipe), recipe, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_run_that_does_not_learn_is_warned_of(store, tmp_path):
    recipe = tiny(learning_rate=1e-12, ema=0.0)
    task = make_task(store, recipe)
    with torch.no_grad():
        for head in task.heads.values():
            head.layers[-1].weight.zero_()
    run_tiny(task, recipe, tmp_path / "run")
    log = (tmp_path / "run" / "train.log").read_text()
    assert "warning: epoch 1: collapse: all recordings are projected to one point" in log


def test_collapse_is_a_spread_of_nothing_or_a_loss_at_its_chance_line():
    late = {"step": 100, "steps": 1000, "count": 1000, "batch": 64}
    assert "one point" in collapse({"loss": 2.0, "spread": 0.001}, 5.0, **late)
    assert "chance line" in collapse({"loss": 4.96, "spread": 0.9}, 5.0, **late)
    assert "chance line" in collapse({"loss": 6.0, "spread": 0.9}, 5.0, **late)
    assert collapse({"loss": 4.9, "spread": 0.9}, 5.0, **late) is None
    assert collapse({"loss": 0.1}, 2.3, **late) is None


def test_a_loss_at_its_chance_line_says_nothing_in_the_first_steps_and_a_short_run_is_called_short():
    at_chance, size = {"loss": 5.0, "spread": 0.9}, {"count": 48, "batch": 48}
    assert collapse(at_chance, 5.0, step=99, steps=1000, **size) is None
    told = collapse(at_chance, 5.0, step=3, steps=3, **size)
    assert "after only 3 steps of 48 recordings; set train.least_steps=300" in told
    assert "larger batch" not in told
    assert "one point" in collapse({"loss": 5.0, "spread": 0.001}, 5.0, step=1, steps=3, **size)


def test_what_is_advised_follows_from_the_number_of_recordings():
    at_chance, late = {"loss": 5.0, "spread": 0.9}, {"step": 300, "steps": 300}
    few = collapse(at_chance, 5.0, count=48, batch=16, **late)
    assert "48 recordings in batches of 16 may be too few: add recordings" in few
    many = collapse(at_chance, 5.0, count=4800, batch=64, **late)
    assert "add recordings" not in many
    assert "lower train.learning_rate" in many


@pytest.mark.parametrize(
    ("size", "count", "said"),
    [
        (Budget(64, 27, 648, 12), 1716, []),
        (Budget(16, 3, 300, 12), 48, ["48 training recordings are few"]),
        (Budget(48, 1, 3, 3), 48, ["48 training recordings are few", "only 3 steps with 48 recordings in batches"]),
        (Budget(64, 3125, 800, 12), 200_000, ["the 800 steps of this recipe use 51200 of 200000 recordings"]),
    ],
)
def test_what_a_reader_should_know_of_a_run_is_said_before_it(size, count, said):
    found = cautions(size, count)
    assert len(found) == len(said)
    assert all(one.startswith(beginning) for one, beginning in zip(found, said, strict=True))
    assert not any("larger batch" in one or "\n" in one for one in found)


def test_warnings_are_shown_where_nothing_else_is_and_kept_in_the_log(store, tmp_path, capsys):
    recipe, run = tiny(learning_rate=1e-12, ema=0.0, epochs=6), tmp_path / "run"
    task = make_task(store, recipe)
    with torch.no_grad():
        for head in task.heads.values():
            head.layers[-1].weight.zero_()
    run_tiny(task, recipe, run, cautions=["24 recordings are few"], progress=False)
    first, last = (f"epoch {epoch}: collapse: all recordings are projected to one point" for epoch in (1, 6))
    shown = capsys.readouterr().err.splitlines()
    assert shown[0] == f"warning: {run}: 24 recordings are few"
    assert [line.split(" (")[0] for line in shown[1:]] == [f"warning: {run}: {text}" for text in (first, last)]
    kept = read_warnings(run)
    assert [line.split(" (")[0] for line in kept] == ["24 recordings are few", first, last]
    run_tiny(make_task(store, recipe), recipe, run, cautions=["24 recordings are few"], resume=True)
    assert read_warnings(run) == kept
    assert read_warnings(tmp_path / "none") == []


def filled(**limits):
    return tiny(fill=True, **limits)


def learning_nothing(task):
    """The task with steps that cost nothing, for what is asked of their order alone."""
    weight, figures = next(task.parameters()), {name: torch.tensor(0.5) for name in ("top1", "temperature", "spread")}
    task.see = lambda batch: batch
    task.forward = lambda _: (weight.sum() * 0 + 1, figures)
    return task


def test_a_small_set_has_more_epochs_and_few_validations_and_every_recording_is_used(store, tmp_path):
    recipe, run, seen = filled(batch=10, epochs=1, least_steps=45), tmp_path / "run", []
    task = learning_nothing(make_task(store, recipe))
    whole = task.batch
    task.batch = lambda indices, epoch: seen.append((epoch, indices)) or whole(indices, epoch)
    result = run_tiny(task, recipe, run, validate=lambda: {"valid_knn": 50.0})
    assert result.steps == 45
    assert [epoch for epoch, _ in seen] == [step // 3 for step in range(45)]
    for first in range(0, 45, 3):
        assert set(np.concatenate([indices for _, indices in seen[first : first + 3]])) == set(range(24))
    assert all(len(set(indices)) == 10 for _, indices in seen)
    validated = [(line["step"], line["epoch"]) for line in lines(run) if "valid_knn" in line]
    assert validated == [(15, 5), (30, 10), (45, 15)]
    log = (run / "train.log").read_text()
    assert "begun: 45 steps of 10 recordings, 15 epochs of 24 recordings" in log
    assert log.count("top-1") == 3


def test_a_large_set_has_a_part_of_an_epoch_and_searches_as_often(store, tmp_path):
    recipe, run, begun = filled(batch=2, epochs=30, most_steps=90), tmp_path / "run", []
    task = learning_nothing(make_task(store, recipe))
    task.begin = lambda stage, stages: begun.append((stage, stages)) or []
    assert run_tiny(task, recipe, run, validate=lambda: {"valid_knn": 50.0}).steps == 90
    assert begun == [(stage, 6) for stage in range(6)]
    assert [line["epoch"] for line in lines(run) if "valid_knn" in line] == [1.25, 2.5, 3.75, 5, 6.25, 7.5]


@pytest.fixture(scope="module")
def unbroken_by_steps(store, tmp_path_factory):
    """A run by steps that nothing happens to: its recipe, its task and its folder."""
    recipe, run = with_neighbours(filled(batch=7, epochs=1, least_steps=46)), tmp_path_factory.mktemp("steps") / "run"
    with pytest.MonkeyPatch.context() as patch:
        few_are_enough(patch.setattr)
        task = make_task(store, recipe)
        run_tiny(task, recipe, run, validate=lambda: {"valid_knn": 50.0})
    return recipe, task, run


def test_a_run_by_steps_that_is_stopped_ends_as_an_unbroken_one(store, unbroken_by_steps, tmp_path, monkeypatch):
    few_are_enough(monkeypatch.setattr)
    recipe, unbroken, run = unbroken_by_steps
    before = 0
    for step in (4, 16, 31):  # within a stage, at its first step, and in one that began amid an epoch
        broken = make_task(store, recipe)
        send_at(broken, step - before, signal.SIGINT)
        with pytest.raises(Interrupted, match=f"step {step} of 46"):
            run_tiny(broken, recipe, tmp_path / "run", validate=lambda: {"valid_knn": 50.0}, resume=before > 0)
        before = step
    resumed = make_task(store, recipe)
    run_tiny(resumed, recipe, tmp_path / "run", validate=lambda: {"valid_knn": 50.0}, resume=True)
    assert same(unbroken, resumed)
    times = {"seconds": 0, "recordings_per_second": 0}
    one, other = ([{**line, **times} for line in lines(folder)] for folder in (run, tmp_path / "run"))
    assert one == other


def test_a_run_begun_before_there_were_limits_of_steps_goes_on(store, unbroken, tmp_path):
    recipe, run = tiny(), tmp_path / "run"
    task = make_task(store, recipe)
    send_at(task, 5, signal.SIGINT)
    with pytest.raises(Interrupted):
        run_tiny(task, recipe, run)
    assert not any(
        name in (run / "config.yaml").read_text() for name in ("fill:", "least_steps", "most_steps", "most_sound")
    )
    resumed, _ = trained(store, run, resume=True)
    assert same(unbroken[1], resumed)
    with pytest.raises(CheckpointError, match=r"settings\.least_steps = .* got 30"):
        trained(store, run, recipe=tiny(least_steps=30), resume=True)


@pytest.mark.parametrize(("batch", "said"), [(2, r"the batch was [^,]+, \S+; lower"), (5, r" and 2 more; lower")])
def test_a_fault_names_a_few_recordings_of_its_batch(store, batch, said):
    plan = Plan(store.lengths, batch, 1, 0)
    with pytest.raises(TrainingError, match=said):
        loop._fault(make_task(store, tiny()), plan, 0, "loss", float("nan"))
