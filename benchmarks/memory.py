"""Memory: the peaks of scan, store, training and embedding, for many clips and for one long file among a few."""

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from benchmarks.growth import peak_mb
from benchmarks.sounds import write_recordings

FEW = 48
"""Clips beside a long file, so that there is something to train on."""
RATE = 16_000
WORKS = ("nothing", "scan", "store", "train", "embed")
"""Each in a process of its own; the first only loads the library and a model, which is what the others are above."""


def measure(
    *, clips: Sequence[int] = (200, 2000), seconds: Sequence[int] = (60, 3600), tiny: bool = False
) -> dict[str, Any]:
    """Return seconds and peak memory of each work, by the number of clips and by the length of one long file."""
    clips, seconds = ((8,), (2,)) if tiny else (clips, seconds)
    works, recipe = (WORKS[:3], "reference") if tiny else (WORKS, "default")
    found: dict[str, dict[str, Any]] = {work: {} for work in works}
    with tempfile.TemporaryDirectory() as folder:
        for count in clips:
            given = write_recordings(Path(folder) / f"{count} clips", count)
            for work in works:
                found[work][given.name] = _alone(work, given, recipe)
        for length in seconds:
            given = write_recordings(Path(folder) / f"{length} s and {FEW} clips", FEW)
            write_long(given / "long.flac", length)
            for work in works:
                found[work][given.name] = _alone(work, given, recipe)
    return {"peaks": found}


def write_long(path: Path, seconds: int) -> None:
    """Write a file a second at a time: square waves, which take up little space."""
    times = np.arange(RATE) / RATE
    with soundfile.SoundFile(path, "w", RATE, 1) as file:
        for second in range(seconds):
            file.write(0.1 * np.sign(np.sin(2 * np.pi * (100 + second % 300) * times + 0.1)))


def _alone(work: str, given: Path, recipe: str) -> dict[str, float]:
    with tempfile.TemporaryDirectory() as made:
        asked = [sys.executable, "-m", "benchmarks.memory", work, str(given), made, recipe]
        done = subprocess.run(asked, check=True, capture_output=True, text=True)
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def child(work: str, given: Path, made: Path, named: str) -> dict[str, float]:
    """Do one work; return its seconds and the process's peak memory in MB."""
    import mfcl
    from benchmarks.models import model_to_time
    from mfcl.checkpoint import save_checkpoint
    from mfcl.data.layouts import open_manifest
    from mfcl.data.store import open_store
    from mfcl.recipe import load_recipe

    recipe = load_recipe(named)
    model = model_to_time(recipe)
    start = time.perf_counter()
    if work == "scan":
        mfcl.scan(open_manifest(given), progress=False)
    elif work == "store":
        open_store(open_manifest(given), recipe.preparation, cache=made / "cache", progress=False)
    elif work == "train":
        short = ["train.epochs=1", f"train.batch={FEW // 3}"]
        mfcl.train(given, made / "run", recipe=named, overrides=short, cache=made / "cache", progress=False)
    elif work == "embed":
        save_checkpoint(model, recipe, made / "model")
        mfcl.embed(made / "model", given, progress=False)
    return {"seconds": time.perf_counter() - start, "peak_mb": peak_mb()}


def rows(found: dict[str, Any]) -> list[tuple[str, str]]:
    """Return the lines of the table."""
    return [
        (
            f"memory, {work}",
            "; ".join(f"{of}: {one['peak_mb']:.0f} MB, {one['seconds']:.1f} s" for of, one in by.items()),
        )
        for work, by in found["peaks"].items()
    ]


if __name__ == "__main__":
    print(json.dumps(child(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]), sys.argv[4])))
