"""A training on a pack that is killed and goes on with other numbers of processes ends as if it had not been."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from safetensors.torch import load_file

from mfcl.data.shards.writing import pack
from tests.recipes import tiny_recipe
from tests.sounds import write_corpus

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]
EPOCHS = 12
TRAIN = """
import json, os, sys, zlib
from pathlib import Path
from mfcl.core import distributed
from mfcl.training.tasks.contrastive import Pretrain
import mfcl.training.loop as loop
data, out, recipe, log, stop, epochs = sys.argv[1:]
batch, save, first = Pretrain.batch, loop._save, []

def logged(task, indices, epoch):
    made = batch(task, indices, epoch)
    crops = [sums(view) for view in (made.views.first, made.views.second)]
    with Path(f"{log}-{distributed.rank()}").open("a") as lines:
        lines.write(json.dumps([epoch, indices.tolist(), *crops]) + "\\n")
    return made

def sums(view):
    counts = [view.wave.shape[1]] * len(view.wave) if view.lengths is None else view.lengths.tolist()
    return [zlib.crc32(row[:count].numpy().tobytes()) for row, count in zip(view.wave, counts, strict=True)]

def saved(journal, run, done, *more):
    save(journal, run, done, *more)
    distributed.barrier()
    if int(stop) and done.step >= int(stop):
        os._exit(9)  # as if killed: nothing is put in order

Pretrain.batch, loop._save = logged, saved
loop.fit.__kwdefaults__["checkpoint_seconds"] = 0.0  # after each step
import mfcl
mfcl.train(data, out, recipe=recipe, overrides=[f"train.epochs={epochs}", "train.learning_rate=1e-4"], device="cpu",
           resume=True, progress=False)
"""


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("packed")
    write_corpus(folder / "corpus", speakers=6, digits=3, takes=3)
    tiny_recipe(folder)
    pack(folder / "corpus", folder / "pack", progress=False)
    return folder


def train(desk: Path, run: str, log: str, *, processes: int = 1, stop: int = 0) -> None:
    """Train on the pack; it is killed after so many steps, if not 0."""
    words = [str(desk / "pack"), str(desk / run), str(desk / "tiny.yaml"), str(desk / log), str(stop), str(EPOCHS)]
    script = desk / "train.py"
    script.write_text(TRAIN)
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("MASTER_", "RANK"))}
    environment |= {"MFCL_CACHE": str(desk / "cache"), "OMP_NUM_THREADS": "1", "MFCL_PACK_MEMORY": "1"}
    several = ["-m", "torch.distributed.run", "--nproc-per-node", str(processes), "--local-addr", "127.0.0.1"]
    several += ["--rdzv-backend", "c10d", "--rdzv-endpoint", "127.0.0.1:0"]
    start = [sys.executable, *(several if processes > 1 else [])]
    done = subprocess.run([*start, str(script), *words], env=environment, capture_output=True, text=True, timeout=400)
    assert (done.returncode == 0) == (stop == 0), done.stderr[-3000:]


def order(desk: Path, log: str, processes: int) -> list[list[object]]:
    """Return each batch, put together from all processes: its epoch, its recordings, and checksums of their crops."""
    shares = [
        [json.loads(line) for line in (desk / f"{log}-{rank}").read_text().splitlines()] for rank in range(processes)
    ]
    steps = min(map(len, shares))  # one process may have cut the batch after the last
    return [
        [shares[0][step][0], *([item for share in shares for item in share[step][place]] for place in (1, 2, 3))]
        for step in range(steps)
    ]


def test_killed_and_gone_on_by_one_two_and_four_processes_equals_unbroken(desk: Path) -> None:
    train(desk, "whole", "whole")
    whole = order(desk, "whole", 1)
    steps = len(whole)
    stops = [steps // 3, 2 * steps // 3, 0]
    train(desk, "broken", "one", stop=stops[0])
    train(desk, "broken", "two", processes=2, stop=stops[1])
    train(desk, "broken", "four", processes=4)
    parts = [order(desk, name, count) for name, count in (("one", 1), ("two", 2), ("four", 4))]
    found = [*parts[0][: stops[0]], *parts[1][: stops[1] - stops[0]], *parts[2]]
    assert len(found) == steps > 6
    assert found == whole  # the recordings of every batch in their order, and their crops, to the bit
    left, right = (
        [json.loads(line) for line in (desk / run / "metrics.jsonl").read_text().splitlines()]
        for run in ("broken", "whole")
    )
    losses = [{line["step"]: line["loss"] for line in lines if "loss" in line} for lines in (left, right)]
    assert losses[0].keys() == losses[1].keys()
    assert list(losses[0].values()) == pytest.approx(list(losses[1].values()), rel=2e-2)
    weights = load_file(desk / "whole" / "model" / "model.safetensors")
    for name, value in load_file(desk / "broken" / "model" / "model.safetensors").items():
        if value.is_floating_point():
            assert float((value - weights[name]).norm()) <= 0.05 * float(weights[name].norm()) + 1e-3, name
