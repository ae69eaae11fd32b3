"""A stand-in of AudioMNIST, of its exact size and layout, and what the first commands cost on it.

    python -m benchmarks.standin DIR                    # 60 speakers x 10 digits x 50 takes: 30,000 clips, 1.9 GB
    python -m benchmarks.standin DIR --measure --json FILE

Tones and noise that differ by digit and speaker: enough to time reading, decoding and training, nothing to learn from.
"""

import argparse
import contextlib
import json
import os
import signal
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from mfcl.core.console import table

SAMPLE_RATE = 48_000
SPEAKERS, DIGITS, TAKES = 60, 10, 50
SECONDS, SHORTEST, LONGEST = 0.64, 0.50, 0.78
HARMONICS = 8
WOMEN = (12, 26, 28, 36, 43, 47, 52, 56, 57, 58, 59, 60)
UNKNOWN = (17, 22, 34)
"""Speakers whom the public description leaves out."""
ENOUGH_LINES = 2
"""Lines of figures, 20 steps each, after which a training has shown its pace."""
PATIENCE = 120.0
"""Seconds after which it is stopped in any case."""


def write_standin(root: Path, *, speakers: int = SPEAKERS, takes: int = TAKES, threads: int = 2) -> Path:
    """Write the clips and `data/audioMNIST_meta.txt`; equal numbers give equal files. Return the root."""
    data = root / "data"
    data.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(0).standard_normal(4 * SAMPLE_RATE).astype(np.float32)
    with ThreadPoolExecutor(threads) as pool:
        for _ in pool.map(lambda speaker: _write_speaker(data, speaker, takes, noise), range(1, speakers + 1)):
            pass
    facts = {f"{speaker:02d}": _facts(speaker) for speaker in range(1, speakers + 1) if speaker not in UNKNOWN}
    (data / "audioMNIST_meta.txt").write_text(json.dumps(facts, indent=4, separators=(", ", ": ")), encoding="utf-8")
    return root


def _write_speaker(data: Path, speaker: int, takes: int, noise: np.ndarray) -> None:
    folder = data / f"{speaker:02d}"
    folder.mkdir(exist_ok=True)
    draws = np.random.default_rng([speaker])
    for digit in range(DIGITS):
        voiced = _tone(speaker, digit)
        for take in range(takes):
            count = round(float(np.clip(draws.normal(SECONDS, 0.06), SHORTEST, LONGEST)) * SAMPLE_RATE)
            start = int(draws.integers(len(noise) - count))
            fade = np.minimum(1, np.minimum(np.arange(count), np.arange(count)[::-1]) / (0.05 * SAMPLE_RATE))
            sound = 0.12 * voiced[:count] + 0.01 * (1 + digit % 3) * noise[start : start + count]
            samples = (32767 * np.clip(fade * sound, -1, 1)).astype("<i2").tobytes()
            (folder / f"{digit}_{speaker:02d}_{take}.wav").write_bytes(_header(len(samples)) + samples)


def _tone(speaker: int, digit: int) -> np.ndarray:
    """Return a tone at the speaker's pitch, its loudest overtone rising or falling as the digit asks."""
    times = np.arange(round(LONGEST * SAMPLE_RATE), dtype=np.float32) / SAMPLE_RATE
    pitch = (200.0 if speaker in WOMEN else 110.0) * 2 ** (speaker % 12 / 24)
    centre = 1.5 + digit / 2 + (digit % 4 - 1.5) * times / LONGEST
    sound = np.zeros_like(times)
    for number in range(1, HARMONICS + 1):
        sound += np.exp(-((number - centre) ** 2)) * np.sin(2 * np.pi * number * pitch * times)
    return sound.astype(np.float32)


def _header(size: int) -> bytes:
    """Return the 44 bytes before the samples of a mono 16-bit WAV file."""
    shape = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, 1, SAMPLE_RATE, 2 * SAMPLE_RATE, 2, 16)
    return struct.pack("<4sI4s", b"RIFF", 36 + size, b"WAVE") + shape + struct.pack("<4sI", b"data", size)


def _facts(speaker: int) -> dict[str, Any]:
    """Return what the description says of a speaker, with the public file's slips at the places where it has them."""
    room = "Kino" if speaker < 20 else ("VR-Room", "VR-room", "vr-room")[speaker % 3]
    return {
        "accent": {1: "german", 32: "Egyptian_American?"}.get(speaker, "German"),
        "age": {1: 30, 45: "1234"}.get(speaker, str(22 + speaker % 20)),
        "gender": "female" if speaker in WOMEN else "male",
        "native speaker": "no",
        "origin": "Europe, Germany, Berlin",
        "recordingdate": f"17-07-{1 + speaker % 28:02d}-17-00-00",
        "recordingroom": "vr-romm" if speaker == 52 else room,
    }


def measure(root: Path, *, recipe: str = "default", threads: int | None = None) -> list[dict[str, Any]]:
    """Run and time the first commands as processes of their own; what they decode and train lies beside the data."""
    root = root.absolute()
    cache, run, out = (root.with_name(f"{root.name}-{name}") for name in ("cache", "run", "study"))
    for folder in (cache, run, out):
        if folder.exists():
            raise SystemExit(f"{folder}: is there already, so decoding would not be timed; remove it")
    whole = len([path for path in (root / "data").iterdir() if path.is_dir()]) == SPEAKERS
    options = ["--quiet", "--cache", cache, *(["--threads", threads] if threads else [])]
    study = ["study", root, "--out", out, "--protocol", "becker" if whole else "label", "--dry-run"]
    study += ["--preset", "default", "--recipe", recipe, *options]
    train = ["train", root, "--out", run, "--protocol", "becker-0" if whole else "label", *options]
    train += ["--recipe", recipe, "--set", "train.epochs=1"]
    found = [
        _timed("mfcl scan", ["scan", root, "--quiet"]),
        _timed("mfcl study --dry-run, first: decodes", study),
        _timed("mfcl study --dry-run, second", study),
    ]
    trained = _timed("mfcl train, some steps", train, enough=lambda: len(_lines(run)) >= ENOUGH_LINES)
    lines = [line for line in _lines(run) if "recordings_per_second" in line]
    paces = {"steps": lines[-1]["step"], "recordings_per_second": lines[-1]["recordings_per_second"]} if lines else {}
    stored = sum(path.stat().st_size for path in cache.rglob("*") if path.is_file())
    return [*found, {**trained, **paces, "cache_mb": round(stored / 1e6)}]


def _timed(what: str, arguments: Sequence[object], *, enough: Callable[[], bool] | None = None) -> dict[str, Any]:
    """Run a command; return its seconds and the most memory that it or one of its workers had.

    Args:
        what: Its name in the table.
        arguments: Of `mfcl`.
        enough: Asked now and then; the command is interrupted once it is so, or after `PATIENCE` seconds.
    """
    begun = time.monotonic()
    process = subprocess.Popen(
        [sys.executable, "-m", "mfcl", *map(str, arguments)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    with ThreadPoolExecutor(1) as reader:
        said = reader.submit(process.stderr.read)  # type: ignore[union-attr]
        ended, asked = 0, False
        while not ended:
            ended, status, usage = os.wait4(process.pid, os.WNOHANG)
            if not ended and not asked and enough and (enough() or time.monotonic() - begun > PATIENCE):
                process.send_signal(signal.SIGINT)
                asked = True
            time.sleep(0 if ended else 0.02)
        process.returncode = os.waitstatus_to_exitcode(status)
        errors = said.result()
    process.stderr.close()  # type: ignore[union-attr]
    if process.returncode not in (0, 130 if asked else 0):
        raise SystemExit(f"{what}: ended with {process.returncode}: {errors.strip().splitlines()[-1:]}")
    peak = usage.ru_maxrss / (1e6 if sys.platform == "darwin" else 1e3)  # bytes there, KB elsewhere
    return {"what": what, "seconds": round(time.monotonic() - begun, 1), "peak_mb": round(peak)}


def _lines(run: Path) -> list[dict[str, Any]]:
    """Return the lines of figures of a training so far."""
    found = []
    with contextlib.suppress(OSError, ValueError):  # not begun; a line half-written
        for line in (run / "metrics.jsonl").read_text(encoding="utf-8").splitlines():
            found.append(json.loads(line))
    return found


def main() -> None:
    """Make the stand-in; with `--measure`, time the first commands on it."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.standin", description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--speakers", type=int, default=SPEAKERS)
    parser.add_argument("--takes", type=int, default=TAKES)
    parser.add_argument("--measure", action="store_true", help="run and time mfcl scan, study --dry-run and train")
    parser.add_argument("--recipe", default="default", help="of the study and the training")
    parser.add_argument("--threads", type=int)
    parser.add_argument("--json", type=Path, help="write the figures here")
    given = parser.parse_args()
    rows = []
    if not (given.folder / "data").is_dir():
        begun = time.monotonic()
        write_standin(given.folder, speakers=given.speakers, takes=given.takes)
        rows.append({"what": "writing the stand-in", "seconds": round(time.monotonic() - begun, 3)})
    if given.measure:
        rows += measure(given.folder, recipe=given.recipe, threads=given.threads)
    names = list(dict.fromkeys(name for row in rows for name in row))
    print(table([[row.get(name, "-") for name in names] for row in rows], names))
    if given.json:
        given.json.write_text(json.dumps(rows, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
