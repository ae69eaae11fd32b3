"""What the package promises of any run, whatever happens to it."""

import json
import os
import random
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from mfcl.training.resume_state import NAME
from tests.small_run import few_are_enough, gradients, make_task, open_tiny, run_tiny, tiny, with_neighbours, with_terms
from tests.sounds import write_corpus

SCRIPT = Path(__file__).with_name("small_run.py")
ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1"}
TIMES = ("seconds", "recordings_per_second")


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)  # as in the other processes: sums over threads depend on their number
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    return write_corpus(tmp_path_factory.mktemp("promises") / "corpus")


@pytest.fixture(scope="module")
def unbroken(corpus, tmp_path_factory):
    recipe, run = tiny(), tmp_path_factory.mktemp("unbroken") / "run"
    task = make_task(open_tiny(corpus, recipe), recipe)
    run_tiny(task, recipe, run)
    return run, task


def final(run):
    return {name: value for name, value in load_file(run / NAME).items() if name.startswith("task.")}


def figures(run):
    rows = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    return [{key: value for key, value in row.items() if key not in TIMES} for row in rows]


def flat(tensors):
    return torch.cat([value.double().flatten() for value in tensors.values()])


def distance(found, expected):
    return float((found - expected).norm() / expected.norm().clamp(min=1e-12))


def python(*arguments):
    return subprocess.run(
        [sys.executable, *map(str, arguments)], env=ENVIRONMENT, capture_output=True, text=True, timeout=200
    )


def test_a_run_killed_at_a_random_step_and_resumed_ends_with_the_same_weights(corpus, unbroken, tmp_path):
    step = random.SystemRandom().randint(2, 12)
    every = random.SystemRandom().choice([0.0, 0.03, 60.0])  # saved at each step, now and then, never
    killed = python(SCRIPT, corpus, tmp_path, "--kill-at", step, "--every", every)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    resumed = python(SCRIPT, corpus, tmp_path, "--resume")
    assert resumed.returncode == 0, resumed.stderr
    expected, found = final(unbroken[0]), final(tmp_path / "pretrain")
    assert found.keys() == expected.keys()
    assert any("running_mean" in name for name in found)
    different = [name for name in found if not torch.equal(found[name], expected[name])]
    assert not different, f"killed at step {step}, saved every {every} s"
    assert figures(tmp_path / "pretrain") == figures(unbroken[0])


@pytest.fixture
def neighbourly(monkeypatch):
    few_are_enough(monkeypatch.setattr)
    return with_neighbours(tiny())


def test_a_killed_run_with_neighbours_finds_the_same_ones_again(corpus, neighbourly, tmp_path):
    task = make_task(open_tiny(corpus, neighbourly), neighbourly)
    run_tiny(task, neighbourly, tmp_path / "unbroken")
    step = random.SystemRandom().randint(2, 12)
    killed = python(SCRIPT, corpus, tmp_path, "--neighbours", "--kill-at", step, "--every", 0.0)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    resumed = python(SCRIPT, corpus, tmp_path, "--neighbours", "--resume")
    assert resumed.returncode == 0, resumed.stderr
    expected, found = final(tmp_path / "unbroken"), final(tmp_path / "pretrain")
    assert found.keys() == expected.keys()
    assert found["task.neighbourhood.near"].shape == (24, 5)
    assert not [name for name in found if not torch.equal(found[name], expected[name])], f"killed at step {step}"
    assert figures(tmp_path / "pretrain") == figures(tmp_path / "unbroken")


def by_two(*arguments):
    """Run the script by two processes under torchrun."""
    launcher = ["-m", "torch.distributed.run", "--nproc-per-node", "2", "--rdzv-backend", "c10d"]
    loopback = ["--rdzv-endpoint", "127.0.0.1:0", "--local-addr", "127.0.0.1"]
    done = python(*launcher, *loopback, SCRIPT, *arguments)
    assert done.returncode == 0, done.stderr[-3000:]


@pytest.fixture(scope="module")
def together(corpus, tmp_path_factory):
    """A folder with the first gradients and the runs of both tasks, by two processes."""
    folder = tmp_path_factory.mktemp("together")
    by_two(corpus, folder / "runs", "--task", "pretrain,classify", "--gradients", folder / "gradients")
    return folder


@pytest.mark.parametrize("kind", ["pretrain", "classify"])
def test_two_processes_give_the_loss_and_the_gradients_of_one(corpus, together, kind):
    expected = gradients(make_task(open_tiny(corpus, tiny()), tiny(), kind=kind), tiny())
    found = load_file(together / "gradients" / kind)
    assert found.keys() == expected.keys()
    torch.testing.assert_close(found["loss"], expected["loss"], rtol=1e-5, atol=0)
    rounding = 1e-5 * flat(expected).norm()  # a bias before a norm has no gradient but rounding
    for name, gradient in expected.items():
        assert (found[name] - gradient).norm() < 2e-3 * gradient.norm() + rounding, name


def test_two_processes_with_neighbours_give_the_loss_and_the_gradients_of_one(corpus, neighbourly, tmp_path):
    by_two(corpus, tmp_path / "runs", "--neighbours", "--gradients", tmp_path / "gradients")
    expected = gradients(make_task(open_tiny(corpus, neighbourly), neighbourly), neighbourly)
    found = load_file(tmp_path / "gradients" / "pretrain")
    assert found.keys() == expected.keys()
    torch.testing.assert_close(found["loss"], expected["loss"], rtol=1e-5, atol=0)
    assert distance(flat({name: found[name] for name in expected}), flat(expected)) < 1e-3


@pytest.mark.parametrize(("kind", "tolerance"), [("pretrain", 0.05), ("classify", 1e-3)])
def test_two_processes_end_with_the_weights_of_one(corpus, unbroken, together, tmp_path, kind, tolerance):
    recipe = tiny()
    store = open_tiny(corpus, recipe)
    begun, alone = make_task(store, recipe, kind=kind), make_task(store, recipe, kind=kind)
    run_tiny(alone, recipe, tmp_path / "alone")
    found = {name.removeprefix("task."): value for name, value in final(together / "runs" / kind).items()}
    ways = {name: value - begun.state_dict()[name] for name, value in alone.state_dict().items()}
    other = {name: found[name] - begun.state_dict()[name] for name in ways}
    # how far the two ends are apart, of the way from the beginning: Adam makes much of a small gradient's rounding
    assert distance(flat(other), flat(ways)) < tolerance
    if kind == "classify":
        begun.load_state_dict(found)
        assert begun.predict(store).tolist() == alone.predict(store).tolist()


def test_two_processes_train_one_format_alone_and_leave_the_other_encoder_as_it_was(corpus, tmp_path):
    by_two(corpus, tmp_path / "runs", "--terms", "wave-wave")
    recipe = with_terms(tiny(), "wave-wave")
    store = open_tiny(corpus, recipe)
    begun, alone = make_task(store, recipe), make_task(store, recipe)
    run_tiny(alone, recipe, tmp_path / "alone")
    found = {name.removeprefix("task."): value for name, value in final(tmp_path / "runs" / "pretrain").items()}
    task = make_task(store, recipe)
    task.prepare()
    before = task.state_dict()
    assert all(torch.equal(found[name], before[name]) for name in before if ".mel." in name)
    ways = {name: value - begun.state_dict()[name] for name, value in alone.state_dict().items()}
    other = {name: found[name] - begun.state_dict()[name] for name in ways}
    assert distance(flat(other), flat(ways)) < 0.05
