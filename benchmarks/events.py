"""Events in long recordings: precision and recall of generated calls in noise, by a classifier of few labels."""

import csv
import json
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from mfcl import cli
from mfcl.data.manifest_csv import read_manifest

RATE = 48_000
RATIOS = (10, 0)
"""Power of a call over that of the noise while it lasts, in dB; the noise fills all frequencies."""
EVERY = 2.5
"""Mean seconds from call to call."""
WINDOW, HOP = 0.5, 0.125
LABELS = 10
"""Windows of each class, and of none, that are labelled."""
PCEN = "model.mel_format.pcen={}"
"""The same recipe with per-channel energy normalisation in place of the logarithm."""


@dataclass(frozen=True)
class Call:
    """A call with its times in seconds."""

    name: str
    start: float
    end: float


def _rise(time: np.ndarray) -> np.ndarray:
    return np.sin(2 * np.pi * (2500 * time + 4500 * time**2))


def _fall(time: np.ndarray) -> np.ndarray:
    return np.sin(2 * np.pi * (9000 * time - 6000 * time**2))


def _trill(time: np.ndarray) -> np.ndarray:
    return np.sin(2 * np.pi * 6000 * time) * np.sin(2 * np.pi * 12 * time) ** 2


CALLS = {"rise": (0.35, _rise), "fall": (0.25, _fall), "trill": (0.45, _trill)}
"""Name -> seconds and course: 2.5 to 5.7 kHz, 9 to 6 kHz, and pulses at 6 kHz."""


def write_soundscape(path: Path, seconds: float, *, ratio_db: float, seed: int) -> list[Call]:
    """Write noise whose level wanders, with calls at random times, lengths and pitches; return the calls."""
    random = np.random.default_rng(seed)
    calls, start = [], random.uniform(0.3, EVERY)
    with soundfile.SoundFile(path, "w", RATE, 1) as file:
        samples = np.zeros(0)
        for piece in range(round(seconds / 10)):
            level = 0.01 * 10 ** (random.uniform(-3, 3) / 20)
            samples = level * random.standard_normal(10 * RATE)
            while start < 10 * (piece + 1) - 1:
                name = str(random.choice(list(CALLS)))
                length, course = CALLS[name]
                length *= random.uniform(0.8, 1.2)
                time = np.arange(round(length * RATE)) / RATE * random.uniform(0.93, 1.07)
                call = course(time) * np.hanning(len(time)) ** 0.25
                call *= level * 10 ** (ratio_db / 20) / np.sqrt(np.mean(call**2))
                at = round((start - 10 * piece) * RATE)
                samples[at : at + len(call)] += call
                calls.append(Call(name, start, start + length))
                start += length + 0.2 + random.exponential(EVERY - 0.55)
            start = max(start, 10 * (piece + 1) + 0.1)
            file.write(samples)
    return calls


def few_labels(windows: Path, calls: Sequence[Call], out: Path, count: int) -> None:
    """Write labels of the first `count` windows that hold most of a call of each class, and of windows with none."""
    rows: list[tuple[str, str]] = []
    for one in read_manifest(windows):
        inside = [(min(call.end, one.end) - max(call.start, one.start), call) for call in calls]
        most, call = max(inside, key=lambda pair: pair[0])
        if most <= 0 or most >= 0.8 * (call.end - call.start):
            name = call.name if most > 0 else "unknown"
            if sum(other == name for _, other in rows) < count:
                rows.append((one.id, name))
    with out.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([("id", "call"), *rows])


def matched(found: Sequence[Call], true: Sequence[Call]) -> dict[str, float]:
    """Return precision and recall: an event is right if it overlaps a call of its class that no earlier one took."""
    taken: set[int] = set()
    for event in found:
        own = [
            place
            for place, call in enumerate(true)
            if place not in taken and call.name == event.name and call.start < event.end and event.start < call.end
        ]
        taken.update(own[:1])
    right = len(taken)
    return {
        "precision": right / max(len(found), 1), "recall": right / max(len(true), 1), "found": len(found),
        "true": len(true),
    }  # fmt: skip


def measure(*, tiny: bool = False) -> dict[str, Any]:
    """Return precision and recall of each class and of all, by the signal-to-noise ratio, without PCEN and with it."""
    short = ["train.epochs=1", "train.batch=8", "model.neck.width=32", "head.width=32", "model.wave.width=0.1"]
    minutes, ways = (0.5, {"pcen": [PCEN, *short]}) if tiny else (10, {"logarithm": [], "pcen": [PCEN]})
    found: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as made:
        for ratio in RATIOS[:1] if tiny else RATIOS:
            folder = Path(made) / f"{ratio} dB"
            folder.mkdir()
            learnt = write_soundscape(folder / "learnt.wav", 60 * minutes, ratio_db=ratio, seed=ratio)
            heard = write_soundscape(folder / "heard.wav", 60 * minutes, ratio_db=ratio, seed=100 + ratio)
            _run("scan", folder / "learnt.wav", "--segment", WINDOW, "--out", folder / "windows.csv", "--quiet")
            few_labels(folder / "windows.csv", learnt, folder / "labels.csv", 2 if tiny else LABELS)
            for way, settings in ways.items():
                found.setdefault(f"{ratio} dB", {})[way] = _events(folder, way, settings, heard)
    return {"seconds_of_sound": 60 * minutes, "labels_a_class": 2 if tiny else LABELS, "events": found}


def _events(folder: Path, way: str, settings: Sequence[str], true: Sequence[Call]) -> dict[str, Any]:
    """Train, fit and find events by the commands; return the figures."""
    run, made, out = folder / way, folder / f"{way} classifier", folder / f"{way}.json"
    settings = ["crops.length=0.4", *settings]
    _run(
        "train", folder / "windows.csv", "--out", run, "--recipe", "bioacoustics", "--quiet", "--cache",
        folder / "cache", "--set", *settings,
    )  # fmt: skip
    _run(
        "classify", run, folder / "windows.csv", "--labels", folder / "labels.csv", "--fit", made, "--quiet"
    )  # fmt: skip
    _run(
        "classify", made, folder / "heard.wav", "--window", WINDOW, "--hop", HOP, "--events", "--gap", 0.2,
        "--format", "json", "--out", out,
    )  # fmt: skip
    rows = json.loads(out.read_text(encoding="utf-8"))
    found = [Call(row["name"], row["start"], row["end"]) for row in rows if row["name"] != "unknown"]
    each = {
        name: matched([one for one in found if one.name == name], [one for one in true if one.name == name])
        for name in CALLS
    }
    return {"all": matched(found, true), **each}


def _run(*words: object) -> None:
    if cli.main([str(word) for word in words]):
        raise RuntimeError(f"mfcl {words[0]} failed")


def rows(found: dict[str, Any]) -> list[tuple[str, str]]:
    """Return the lines of the table."""
    return [
        (f"{ratio}, {way}, {name}: precision, recall", f"{own['precision']:.3f}, {own['recall']:.3f}")
        for ratio, ways in found["events"].items()
        for way, names in ways.items()
        for name, own in names.items()
    ]
