"""A day of sound through `mfcl classify` and `mfcl scan --segment`: hours of sound a minute, and memory."""

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
from benchmarks.models import model_to_time
from mfcl import cli
from mfcl.checkpoint import load_checkpoint, model_digest, save_checkpoint
from mfcl.embedder import load
from mfcl.embeddings.table import Embeddings
from mfcl.labelling import fit_classifier, save_classifier
from mfcl.models.inference import part_bounds
from mfcl.recipe import at_rate, load_recipe

RATE = 16_000
WINDOW = 3
"""Seconds of a window, and from one to the next."""
WORKS = {
    "classify": f"classified in windows of {WINDOW} s", str(WINDOW): f"scanned in windows of {WINDOW} s",
    "onsets": "scanned by onsets",
}  # fmt: skip
PIECE = 60
"""Seconds written at a time."""


def measure(*, seconds: Sequence[int] = (24 * 3600,), tiny: bool = False) -> dict[str, Any]:
    """Return seconds of work and peak memory by the length of the file."""
    small = ["model.wave.width=0.1", "model.mel.width=0.25", "model.neck.width=32"] if tiny else []
    recipe = at_rate(load_recipe("bioacoustics", small), RATE)
    found: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        save_checkpoint(model_to_time(recipe), recipe, folder / "model")
        _fit(folder)
        for length in (20,) if tiny else seconds:
            write_day(folder / "day.wav", length)
            found[str(length)] = {work: _alone(folder, work, length) for work in WORKS}
            (folder / "day.wav").unlink()
    return {"window_seconds": WINDOW, "lengths": found}


def _alone(folder: Path, work: str, length: int) -> dict[str, float]:
    words = [sys.executable, "-m", "benchmarks.day", str(folder), work]
    done = subprocess.run(words, check=True, capture_output=True, text=True)
    own = json.loads(done.stdout.splitlines()[-1])
    hours = {"hours_a_minute": length / 60 / own["seconds"], "hours_a_cpu_minute": length / 60 / own["cpu_seconds"]}
    return {**own, **hours}


def write_day(path: Path, seconds: int) -> None:
    """Write noise with a tone now and then, a minute at a time, as 16-bit WAV."""
    random = np.random.default_rng(0)
    tone = 0.1 * np.sin(2 * np.pi * 0.1 * np.arange(RATE))
    with soundfile.SoundFile(path, "w", RATE, 1, subtype="PCM_16") as file:
        for first in range(0, seconds, PIECE):
            samples = 0.01 * random.standard_normal(min(PIECE, seconds - first) * RATE, dtype=np.float32)
            for start in random.integers(0, max(len(samples) - RATE, 1), size=len(samples) // (10 * RATE)):
                samples[start : start + RATE] += tone[: len(samples) - start]
            file.write(samples)


def _fit(folder: Path) -> None:
    """Write a classifier of tones and noise, fitted on twelve clips of each."""
    random, model = np.random.default_rng(1), load(folder / "model", device="cpu")
    clips = [0.01 * random.standard_normal(WINDOW * RATE).astype(np.float32) for _ in range(24)]
    for clip in clips[:12]:
        clip[RATE : 2 * RATE] += 0.1 * np.sin(2 * np.pi * 0.1 * np.arange(RATE)).astype(np.float32)
    names = np.array(["tone"] * 12 + ["noise"] * 12)
    vectors, digest = model.encode(clips), model_digest(load_checkpoint(folder / "model"))
    table = Embeddings(
        vectors, np.arange(24).astype(str), {}, part_bounds(model.model, "both"), np.full(24, ""), digest
    )
    save_classifier(fit_classifier(table, names).classifier, folder / "classifier")


def child(folder: Path, work: str) -> dict[str, float]:
    """Do one work on the day; return the seconds it took, those of the processor, and the peak memory in MB."""
    start = time.perf_counter()
    words: list[object] = ["scan", folder / "day.wav", "--segment", work, "--out", folder / "rows.csv", "--quiet"]
    if work == "classify":
        words = [
            "classify", folder / "classifier", folder / "day.wav", "--window", WINDOW, "--hop", WINDOW, "--events",
            "--out", folder / "day.csv", "--model", folder / "model", "--quiet",
        ]  # fmt: skip
    if cli.main([str(word) for word in words]):
        raise RuntimeError(f"mfcl {words[0]} failed")
    seconds = time.perf_counter() - start
    return {"seconds": seconds, "cpu_seconds": time.process_time(), "peak_mb": peak_mb()}


def rows(found: dict[str, Any]) -> list[tuple[str, str]]:
    """Return the lines of the table."""
    return [
        (
            f"{int(length) / 3600:g} h, {WORKS[work]}: hours a minute, a processor's minute; peak MB",
            f"{own['hours_a_minute']:.2f}, {own['hours_a_cpu_minute']:.2f}; {own['peak_mb']:.0f}",
        )
        for length, works in found["lengths"].items()
        for work, own in works.items()
    ]


if __name__ == "__main__":
    print(json.dumps(child(Path(sys.argv[1]), sys.argv[2])))
