"""Growth: seconds and peak memory as the number of recordings grows a hundredfold, and the loss as the batch does."""

import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.models import model_to_time
from benchmarks.sounds import open_recordings, write_recordings
from mfcl.embeddings.nearest import top_k
from mfcl.models.inference import embed_store
from mfcl.models.losses import nt_xent
from mfcl.recipe import load_recipe

Work = Callable[[], Any]
BASE = 40
BATCHES = (128, 512, 2048, 4096)


def measure(*, tiny: bool = False) -> dict[str, Any]:
    """Return seconds and peak memory of each work in a process of its own, by recordings; of the loss by batch."""
    sizes = (BASE,) if tiny else (BASE, 10 * BASE, 100 * BASE)
    found: dict[str, dict[int, Any]] = {}
    with tempfile.TemporaryDirectory() as folder:
        for size in sizes:
            recordings = write_recordings(Path(folder) / str(size), size, seconds=0.2)
            for work in list(WORKS)[:2] if tiny else WORKS:
                found.setdefault(work, {})[size] = _alone(work, recordings, size)
        batches, shares = (
            {size: _alone(work, Path(folder), size) for size in (BATCHES[:1] if tiny else BATCHES)}
            for work in (LOSS, SHARE)
        )
    return {"works": found, "loss": batches, "share": shares}


def _alone(work: str, recordings: Path, size: int) -> dict[str, float]:
    asked = [sys.executable, "-m", "benchmarks.growth", work, str(recordings), str(size)]
    done = subprocess.run(asked, check=True, capture_output=True, text=True)
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def child(work: str, recordings: Path, size: int) -> dict[str, float]:
    """Do one work; return its seconds and the process's peak memory in MB."""
    ready = {**WORKS, LOSS: _loss, SHARE: _share}[work](recordings, size)
    start = time.perf_counter()
    ready()
    return {"seconds": time.perf_counter() - start, "peak_mb": peak_mb()}


def _open(recordings: Path, _: int) -> Work:
    return lambda: open_recordings(recordings, load_recipe("default"), recordings.with_suffix(".cache"))


def _embedding(recordings: Path, size: int) -> Work:
    store, model = _open(recordings, size)(), model_to_time(load_recipe("default"))
    return lambda: embed_store(model, store)


def _neighbours(_: Path, size: int) -> Work:
    vectors = np.random.default_rng(0).standard_normal((size, 512), dtype=np.float32)
    return lambda: top_k(vectors, vectors, 10)


def _steps(recordings: Path, size: int) -> Work:
    from benchmarks.step import Trial

    trial = Trial(load_recipe("default", ["train.batch=32"]), _open(recordings, size)(), torch.device("cpu"))
    return trial.some_steps


def _share(recordings: Path, size: int) -> Work:
    return _loss(recordings, size, slice(0, size // PROCESSES))


def _loss(_: Path, size: int, own: slice | None = None) -> Work:
    def both_ways() -> None:
        views = torch.randn(2, size, 128).requires_grad_()
        nt_xent(views[0], views[1], 0.1, own=own).backward()

    both_ways()  # a process's first product takes longer
    return both_ways


WORKS = {"scan and store": _open, "embedding": _embedding, "neighbours": _neighbours, "pre-training steps": _steps}
"""Name -> what gets it ready and returns what is timed; each grows with the recordings."""
LOSS = "loss forward and backward"
PROCESSES = 8
SHARE = f"loss forward and backward, the rows of one of {PROCESSES} processes"


def peak_mb() -> float:
    """Return this process's own peak; on Linux `ru_maxrss` may be that of the process it was started by."""
    status = Path("/proc/self/status")
    if status.is_file():
        line = next(line for line in status.read_text(encoding="utf-8").splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) / 1e3
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1e6 if sys.platform == "darwin" else 1e3)


def rows(found: dict[str, Any]) -> list[tuple[str, str]]:
    """Return the lines of the table."""
    return [
        (
            f"growth, {work}, by {of}",
            "; ".join(f"{n}: {1000 * one['seconds']:.0f} ms, {one['peak_mb']:.0f} MB" for n, one in sizes.items()),
        )
        for of, works in (("recordings", found["works"]), ("batch", {LOSS: found["loss"], SHARE: found["share"]}))
        for work, sizes in works.items()
    ]


if __name__ == "__main__":
    print(json.dumps(child(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]))))
