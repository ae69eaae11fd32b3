"""`mfcl train` under torchrun: several processes, nodes and restarts end where one process does."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from safetensors.torch import load_file

from mfcl.embedder import load
from tests.recipes import tiny_recipe
from tests.sounds import write_corpus

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]  # eight starts of torch; long where others work, too
EPOCHS, MANY = 6, 24


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A corpus, a recipe, a cache of decoded sound, and the run of one process."""
    folder = tmp_path_factory.mktemp("torchrun")
    write_corpus(folder / "corpus", speakers=6, digits=3, takes=3)
    tiny_recipe(folder)
    done = subprocess.run(
        [sys.executable, *words(folder, "alone")], env=environment(folder), capture_output=True, text=True, timeout=400
    )
    assert done.returncode == 0, done.stderr
    return folder


def words(desk: Path, run: str, *more: str, epochs: int = EPOCHS) -> list[str]:
    recipe = ["--recipe", str(desk / "tiny.yaml"), "--set", f"train.epochs={epochs}", "train.learning_rate=1e-4"]
    return ["-m", "mfcl", "train", str(desk / "corpus"), "--out", str(desk / run), *recipe, *more]


def environment(desk: Path) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("MASTER_", "RANK", "WORLD_"))}
    # without the last, workers that were started again would read addresses of their dead predecessors
    own = {"MFCL_CACHE": str(desk / "cache"), "OMP_NUM_THREADS": "1", "TORCH_DISABLE_SHARE_RDZV_TCP_STORE": "1"}
    return kept | own


def torchrun(desk: Path, *options: str, train: list[str]) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "torch.distributed.run", *options, *train]
    return subprocess.Popen(command, env=environment(desk), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def ended(process: subprocess.Popen[str]) -> tuple[str, str]:
    out, errors = process.communicate(timeout=400)
    assert process.returncode == 0, errors[-3000:]
    return out, errors


def meeting() -> list[str]:
    return ["--rdzv-backend", "c10d", "--rdzv-endpoint", "127.0.0.1:0", "--local-addr", "127.0.0.1"]


def steps(run: Path) -> dict[int, float]:
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    return {line["step"]: line["loss"] for line in lines if "loss" in line}


def same_run(found: Path, wanted: Path) -> None:
    """The same losses at the same steps and nearly the same weights: Adam makes much of a small gradient's rounding."""
    left, right = steps(found), steps(wanted)
    assert left.keys() == right.keys()
    assert list(left.values()) == pytest.approx(list(right.values()), rel=2e-2)
    weights = load_file(wanted / "model" / "model.safetensors")
    for name, value in load_file(found / "model" / "model.safetensors").items():
        if value.is_floating_point():
            assert float((value - weights[name]).norm()) <= 0.05 * float(weights[name].norm()) + 1e-3, name


def waited_for(condition: object, process: subprocess.Popen[str]) -> None:
    end = time.monotonic() + 400
    while not condition():
        assert process.poll() is None, process.communicate()[1][-3000:]
        assert time.monotonic() < end
        time.sleep(0.02)


def test_two_processes_train_what_one_trains_and_one_of_them_writes_and_speaks(desk: Path) -> None:
    out, errors = ended(torchrun(desk, "--nproc-per-node", "2", *meeting(), train=words(desk, "two")))
    assert out.count("a model for `mfcl embed`") == 1
    assert errors.count("two: begun: ") == 1
    assert "FutureWarning" not in errors
    same_run(desk / "two", desk / "alone")
    assert json.loads((desk / "two" / "environment.json").read_text())["processes"] == 2
    assert load(desk / "two").whitening.keys() == load(desk / "alone").whitening.keys() != set()


def test_two_nodes_on_loopback_train_what_one_process_trains(desk: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    static = ["--nnodes", "2", "--nproc-per-node", "1", "--master-addr", "127.0.0.1", "--master-port", port]
    nodes = [
        torchrun(desk, *static, "--node-rank", str(node), "--local-addr", "127.0.0.1", train=words(desk, "nodes"))
        for node in range(2)
    ]
    said = [ended(node)[0] for node in nodes]
    assert "a model for `mfcl embed`" in said[0]
    assert "a model for `mfcl embed`" not in said[1]
    same_run(desk / "nodes", desk / "alone")


def test_all_stop_together_on_a_signal_and_another_number_of_processes_goes_on(desk: Path) -> None:
    run, epochs = desk / "stopped", MANY
    process = torchrun(desk, "--nproc-per-node", "2", *meeting(), train=words(desk, "stopped", epochs=epochs))
    log = run / "metrics.jsonl"
    waited_for(lambda: log.is_file() and log.read_text().count("\n") > 1, process)
    process.send_signal(signal.SIGTERM)
    _, errors = process.communicate(timeout=400)
    assert process.returncode != 0
    assert "stopped and saved at step" in errors
    assert (run / "state.safetensors").is_file()
    saved = max(steps(run))
    assert 0 < saved < epochs
    resumed = subprocess.run(
        [sys.executable, *words(desk, "stopped", "--resume", epochs=epochs)],
        env=environment(desk), capture_output=True, text=True, timeout=400,
    )  # fmt: skip
    assert resumed.returncode == 0, resumed.stderr[-3000:]
    assert "stopped: resumed at step" in resumed.stderr
    assert max(steps(run)) == epochs * (max(steps(desk / "alone")) // EPOCHS)


def test_a_killed_worker_is_started_again_and_the_run_ends(desk: Path) -> None:
    process = torchrun(
        desk, "--nproc-per-node", "2", "--max-restarts", "1", *meeting(),
        train=words(desk, "restarted", "--resume", epochs=MANY),
    )  # fmt: skip
    log = desk / "restarted" / "metrics.jsonl"
    waited_for(lambda: log.is_file() and log.read_text().count("\n") > 1, process)
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    workers = [pid for pid in children if b"mfcl" in Path(f"/proc/{pid}/cmdline").read_bytes()]
    assert len(workers) == 2
    os.kill(int(workers[-1]), signal.SIGKILL)
    ended(process)
    assert max(steps(desk / "restarted")) == MANY * (max(steps(desk / "alone")) // EPOCHS)
    assert (desk / "restarted" / "model" / "config.json").is_file()


def test_more_processes_than_a_batch_has_recordings_are_one_line_from_each(desk: Path) -> None:
    process = torchrun(
        desk, "--nproc-per-node", "2", *meeting(), train=words(desk, "odd", "--set", "train.batch=15"),
    )  # fmt: skip
    _, errors = process.communicate(timeout=400)
    assert process.returncode != 0
    told = [line for line in errors.splitlines() if line.startswith("mfcl: ")]
    assert len(told) == 2
    assert len(set(told)) == 1
    assert "15" in told[0]
    assert not (desk / "odd" / "config.yaml").exists()
