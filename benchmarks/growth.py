"""Growth: seconds and peak memory as the number of recordings grows a hundredfold, and the loss as the batch does."""

import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.sounds import open_recordings, write_recordings
from benchmarks.timing import in_turn
from mfcl.inference import embed_store
from mfcl.losses import nt_xent
from mfcl.models import make_model
from mfcl.recipe import load_recipe
from mfcl.search import top_k

BASE = 40
BATCHES = (128, 512, 2048, 4096)
WORKS = ("scan and store", "embedding", "neighbours", "pre-training steps")


def measure(*, rounds: int = 2, tiny: bool = False) -> dict[str, Any]:
    """Return seconds and peak memory of each work in a process of its own, by the number of recordings."""
    sizes = (BASE,) if tiny else (BASE, 10 * BASE, 100 * BASE)
    found: dict[str, Any] = {"works": {}}
    with tempfile.TemporaryDirectory() as folder:
        for size in sizes:
            recordings = write_recordings(Path(folder) / str(size), size, seconds=0.2)
            for work in WORKS[:2] if tiny else WORKS:
                asked = [sys.executable, "-m", "benchmarks.growth", work, str(recordings), str(size), folder]
                done = subprocess.run(asked, check=True, capture_output=True, text=True)
                found["works"].setdefault(work, {})[size] = json.loads(done.stdout.splitlines()[-1])
    batches = BATCHES[:1] if tiny else BATCHES
    views = {batch: torch.randn(2, batch, 128).requires_grad_() for batch in batches}
    works = {str(batch): lambda own=own: nt_xent(own[0], own[1], 0.1).backward() for batch, own in views.items()}
    found["loss_seconds"] = in_turn(works, rounds=rounds)
    return found


def child(work: str, recordings: Path, size: int, folder: Path) -> dict[str, float]:
    """Do one work; return its seconds and the process's peak memory in MB."""
    from benchmarks.step import Trial

    recipe = load_recipe("default", ["train.batch=32"])
    store = open_recordings(recordings, recipe, folder / f"cache-{size}") if work != WORKS[0] else None
    vectors = np.random.default_rng(0).standard_normal((size, 512)).astype(np.float32)
    trial = Trial(recipe, store, torch.device("cpu")) if work == WORKS[3] else None
    start = time.perf_counter()
    if work == WORKS[0]:
        open_recordings(recordings, recipe, folder / f"cache-{size}")
    elif work == WORKS[1]:
        embed_store(make_model(recipe.model, seed=0).eval(), store)
    elif work == WORKS[2]:
        top_k(vectors, vectors, 10)
    else:
        trial.some_steps()  # type: ignore[union-attr]
    seconds = time.perf_counter() - start
    return {"seconds": seconds, "peak_mb": peak_mb()}


def peak_mb() -> float:
    """Return this process's own peak; on Linux `ru_maxrss` may be that of the process it was started by."""
    status = Path("/proc/self/status")
    if status.is_file():
        line = next(line for line in status.read_text(encoding="utf-8").splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) / 1e3
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1e6 if sys.platform == "darwin" else 1e3)


def rows(found: dict[str, Any]) -> list[tuple[str, str]]:
    """Return the lines of the table."""
    lines = []
    for work, sizes in found["works"].items():
        said = "; ".join(f"{size}: {one['seconds']:.2f} s, {one['peak_mb']:.0f} MB" for size, one in sizes.items())
        lines.append((f"growth, {work}, by recordings", said))
    said = "; ".join(f"{batch}: {1000 * seconds:.0f} ms" for batch, seconds in found["loss_seconds"].items())
    return [*lines, ("growth, loss forward and backward, by batch", said)]


if __name__ == "__main__":
    asked_work, asked_folder, asked_size, asked_cache = sys.argv[1:]
    print(json.dumps(child(asked_work, Path(asked_folder), int(asked_size), Path(asked_cache))))
