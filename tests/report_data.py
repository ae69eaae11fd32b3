"""A study's folder made of plausible random numbers, as `mfcl study` would leave it; nothing is trained."""

import csv
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import norm

from mfcl.audio import write_audio
from tests.sounds import word

CONTROLS = {"MFCC statistics": 66.0, "log-mel picture": 86.4, "Hydra-like features": 63.0}
ENCODERS = {
    "untrained, wave": 51.0, "untrained, mel": 84.0, "untrained, both": 85.0,
    "pre-trained, wave": 72.0, "pre-trained, mel": 92.0, "pre-trained, both": 95.1,
    "supervised, wave": 88.0, "supervised, mel": 91.0, "supervised, both": 94.0,
}  # fmt: skip
COMMAND = "mfcl study data/audiomnist --preset default --out runs/full"


class Rows:
    """Rows of `results.json`, gathered."""

    def __init__(self, seeds: int, rng: np.random.Generator) -> None:
        self.rows: list[dict[str, Any]] = []
        self.seeds = seeds
        self.rng = rng

    def add(self, table, task, representation, metric, level, *, half=2.0, x=None, n=783, top=100.0, seconds=449.0):
        """Add a row a seed, near `level`."""
        for seed in range(self.seeds):
            value = float(np.clip(level + self.rng.normal() * half / 4, 0, top))
            low, high = (max(value - half, 0.0), min(value + half, top)) if half else (None, None)
            self.rows.append(
                {
                    "table": table, "task": task, "representation": representation, "metric": metric, "value": value,
                    "low": low, "high": high, "n": n, "x": x, "seed": seed, "seconds": seconds, "command": COMMAND,
                }
            )  # fmt: skip


def write_study(
    folder: Path,
    *,
    seeds: int = 3,
    speakers: int = 12,
    takes: int = 3,
    sounds: bool = False,
    nasty: bool = False,
    done: int = 40,
) -> Path:
    """Write the files of a study; `nasty` puts signs of HTML, quotes and other scripts into names."""
    rng = np.random.default_rng(5)
    folder.mkdir(parents=True, exist_ok=True)
    names = [f"{number:02d}" for number in range(1, speakers + 1)]
    if nasty:
        names[:3] = ["</script><script>alert(1)</script>", 'Zoë "O\'Neil" & <b>co</b>', "ça\u011fr\u0131 🎙 \u2028"]
    clips = [(speaker, digit, take) for speaker in range(speakers) for digit in range(10) for take in range(takes)]
    ids = [f"data/{speaker:02d}/{digit}_{speaker:02d}_{take}.wav" for speaker, digit, take in clips]
    if nasty:
        ids[0] = "data/</script><img src=x onerror=alert(2)>.wav"
    results = Rows(seeds, rng)
    fill(results)
    (folder / "results.json").write_text(json.dumps(results.rows), encoding="utf-8")
    (folder / "pictures.json").write_text(json.dumps(pictures(rng, clips, ids, names, seeds)), encoding="utf-8")
    (folder / "about.json").write_text(json.dumps(about(seeds, done)), encoding="utf-8")
    if sounds:
        write_sounds(folder, clips, ids, names)
    return folder


def fill(rows: Rows) -> None:
    """Add every table of a whole study."""
    everything = {**CONTROLS, **ENCODERS}
    for name, level in everything.items():
        seconds = 2.0 if name in CONTROLS else 449.0
        rows.add("labels", "digit, linear probe, all labels", name, "accuracy", min(level + 4, 99), seconds=seconds)
        rows.add("labels", "digit, linear probe, 10 labels a class", name, "accuracy", level, seconds=seconds)
        rows.add("labels", "digit, 5-NN, no training", name, "accuracy", level - 3, half=4, seconds=seconds)
        voice = 95 - abs(level - 70) / 2
        rows.add("voices", "voices, kNN, half of each enrolled", name, "accuracy", voice, half=5)
        rows.add("voices", "voices, kNN, digits of enrolment and test apart", name, "accuracy", voice - 30, half=7)
        rows.add("voices", "voices, all pairs of unseen speakers", name, "eer", 55 - voice / 3, half=6, n=305_000)
        for clips in (1, 5):
            task = f"voices, {clips} clip{'s' if clips > 1 else ''} enrolled"
            rows.add("voices", task, name, "eer", 52 - voice / 3 - clips * 2, half=6)
            rows.add("voices", task, name, "min_dcf", 0.95 - clips * 0.06 + level / 1500, half=0.04, top=1.0)
        rows.add("traits", "gender, linear probe, all labels", name, "accuracy", 80 + level / 10, half=6)
        rows.add("traits", "accent, linear probe, all labels", name, "accuracy", 40 + level / 8, half=11)
        rows.add("geometry", "digit", name, "alignment", 0.3 + level / 900, half=0, top=9)
        rows.add("geometry", "digit", name, "uniformity", 1.8, half=0, top=9)
        rows.add("geometry", "digit", name, "rankme", 30 + level, half=0, top=999)
        for snr in (20, 10, 5, 0, -5):
            drop = (20 - snr) * (0.6 if "trained" in name else 1.4)
            rows.add("robustness", f"digit, linear probe, noise at {snr} dB", name, "accuracy", level - drop, x=snr)
        rows.add("robustness", "digit, linear probe, clean", name, "accuracy", level + 1)
        rows.add("robustness", "digit, linear probe, gain +6 dB", name, "accuracy", level - 1, x=6)
        rows.add("robustness", "digit, linear probe, gain -6 dB", name, "accuracy", level - 2, x=-6)
    for part in ("wave", "mel"):
        rows.add("geometry", "retrieval across formats", f"pre-trained, {part}", "r_at_1", 61, half=0)
        rows.add("geometry", "retrieval across formats", f"pre-trained, {part}", "r_at_5", 84, half=0)
        rows.add("geometry", "wave and mel", f"pre-trained, {part}", "cka", 0.71, half=0, top=1)
    efficiency(rows)
    variants(rows)
    for name in ("pre-trained, wave", "pre-trained, mel", "pre-trained, both"):
        rows.add("cost", "training", name, "seconds", 449, half=0, top=1e9)
        rows.add("cost", "encoder", name, "parameters", 3_214_567, half=0, top=1e12)
        rows.add("cost", "encoder", name, "multiply_adds", 812_345_678, half=0, top=1e12)
        rows.add("cost", "embedding", name, "clips_per_second", 312, half=0, top=1e9)


def efficiency(rows: Rows) -> None:
    """Add accuracy against labels a class; training from scratch overtakes where labels are many."""
    curves = {
        "pre-trained, both, frozen": (60, 13), "pre-trained, mel, frozen": (58, 12.6),
        "pre-trained, mel, fine-tuned": (52, 16.5), "mel, from scratch": (30, 24), "wave, from scratch": (18, 24),
        "untrained, both, frozen": (47, 13), "MFCC statistics": (41, 15), "log-mel picture": (50, 14),
    }  # fmt: skip
    for count in (1, 2, 5, 10, 20, 50, 132.9):
        for name, (start, slope) in curves.items():
            task = f"digit, {count} labels a class" if count < 100 else "digit, all labels"
            level = 99 - (99 - start) * math.exp(-slope * math.log10(count) / 14)
            rows.add("efficiency", task, name, "accuracy", level, x=count, half=9 / math.sqrt(count) + 0.7)


TASKS = {
    "digit, linear probe, 10 labels a class": ("accuracy", 90.0), "digit, 5-NN, no training": ("accuracy", 86.0),
    "voices, all pairs of unseen speakers": ("eer", 31.0),
}  # fmt: skip


def variants(rows: Rows) -> None:
    """Add what differs by augmentation, crops and formats."""
    for task, (metric, level) in TASKS.items():
        for gain, kind in enumerate(("none", "wave", "mel", "both")):
            for offset, part in enumerate(("wave", "mel", "both")):
                name = f"pre-trained, augmented {kind}, {part}"
                rows.add("augmentation", task, name, metric, level - 6 + 3 * offset + 1.4 * gain, half=2.5)
        for share in (15, 30, 45, 60, 75):
            for ways in ("disjoint", "overlapping"):
                for offset, part in enumerate(("wave", "mel", "both")):
                    bend = -abs(share - 45) / 7 - (3 if ways == "overlapping" else 0)
                    name = f"pre-trained, crops {share} % {ways}, {part}"
                    rows.add("crops", task, name, metric, level - 4 + 2 * offset + bend, x=share, half=2.5)
        for offset, name in enumerate(("wave-wave, wave", "mel-mel, mel", "wave-mel, wave", "wave-mel, both")):
            rows.add("formats", task, f"pre-trained, {name}", metric, level - 5 + 2 * offset, half=3)


def pictures(rng, clips, ids, names, seeds) -> dict[str, Any]:
    """Return `pictures.json`."""
    digits = [str(digit) for _, digit, _ in clips]
    voices = [names[speaker] for speaker, _, _ in clips]
    labels = {"digit": digits, "speaker": voices}
    maps = []
    for name in (*ENCODERS, "log-mel picture"):
        spread = 0.35 + (100 - {**CONTROLS, **ENCODERS}[name]) / 20
        angle = np.array([int(digit) for digit in digits]) / 10 * 2 * np.pi
        shift = np.array([[math.cos(speaker), math.sin(speaker * 1.7)] for speaker, _, _ in clips])
        spots = 6 * np.stack([np.cos(angle), np.sin(angle)], 1) + shift + rng.normal(size=(len(clips), 2)) * spread
        maps.append(
            {"representation": name, "seed": 0, "ids": ids, "x": spots[:, 0].tolist(), "y": spots[:, 1].tolist(),
             "labels": labels}
        )  # fmt: skip
    chosen = ["log-mel picture", "untrained, both", "pre-trained, wave", "pre-trained, both", "supervised, both"]
    confusions, groups, det = [], [], []
    for seed in range(seeds):
        for name in chosen:
            level = {**CONTROLS, **ENCODERS}[name] / 100
            counts = rng.binomial(3, (1 - level) / 4, (10, 10))
            np.fill_diagonal(counts, 78 - counts.sum(1))
            counts[9, 5] += 9
            confusions.append(
                {"representation": name, "seed": seed, "label": "digit", "classes": [str(d) for d in range(10)],
                 "counts": counts.tolist()}
            )  # fmt: skip
            accuracy = np.clip(level * 100 + rng.normal(size=len(names)) * 5, 20, 100)
            groups.append(
                {"representation": name, "seed": seed, "label": "digit", "by": "speaker", "names": names,
                 "accuracy": accuracy.tolist(), "n": [52] * len(names)}
            )  # fmt: skip
            for number in (1, 5):
                eer = 0.36 - level * 0.18 - number * 0.015
                accept = np.geomspace(0.002, 0.9, 60)
                reject = norm.cdf(2 * norm.ppf(eer) - norm.ppf(accept))
                det.append(
                    {"representation": name, "seed": seed, "clips": number, "false_accept": accept.tolist(),
                     "false_reject": reject.tolist(), "eer": eer * 100}
                )  # fmt: skip
    return {
        "maps": maps, "confusions": confusions, "groups": groups, "det": det, "training": training(seeds),
        "method": method(rng, ids[3]),
    }  # fmt: skip


def training(seeds: int) -> list[dict[str, Any]]:
    """Return the curves of two runs a seed."""
    runs = []
    for seed in range(seeds):
        epochs = [
            {"epoch": number, "loss": 1.2 + 4.2 * math.exp(-number / 9) + seed * 0.05,
             "valid_knn": 92 - 60 * math.exp(-number / 6) - seed, "valid_pairing": 70 - 60 * math.exp(-number / 10),
             "seconds": 3.2, "lr": 0.001}
            for number in range(1, 31)
        ]  # fmt: skip
        runs.append({"run": "pre-trained", "seed": seed, "chance_loss": 5.54, "chance_knn": 10.0, "epochs": epochs})
        epochs = [
            {"epoch": number, "loss": 2.3 * math.exp(-number / 5) + 0.1, "seconds": 2.2, "lr": 0.001}
            for number in range(1, 21)
        ]
        epochs[-1]["valid_knn"] = 90.0
        runs.append({"run": "supervised", "seed": seed, "chance_loss": 2.3, "chance_knn": 10.0, "epochs": epochs})
    return runs


def method(rng, name: str) -> dict[str, Any]:
    """Return a clip's picture: three formants that glide."""
    frames, bands = 62, 80
    time, band = np.meshgrid(np.arange(frames) / frames, np.arange(bands) / bands)
    envelope = np.exp(-(((time - 0.5) / 0.28) ** 2))
    lines = sum(
        np.exp(-(((band - spot - 0.12 * k * (time - 0.5)) / 0.04) ** 2)) for k, spot in ((1, 0.2), (2, 0.42), (-1, 0.7))
    )
    mel = np.clip(235 * envelope * (0.25 + lines) + rng.normal(size=(bands, frames)) * 9 + 12, 0, 255)
    height = np.exp(-(((np.arange(400) / 400 - 0.5) / 0.25) ** 2)) * (0.55 + 0.35 * rng.random(400))
    return {
        "id": name, "labels": {"digit": "1", "speaker": "01"}, "seconds": 0.62, "sample_rate": 16000, "bands": bands,
        "hop_seconds": 0.01, "mel": mel.astype(int).tolist(),
        "wave": np.stack([-height, height * 0.9], 1).round(3).tolist(), "crops": [[0.04, 0.32], [0.3, 0.58]],
    }  # fmt: skip


def about(seeds: int, done: int) -> dict[str, Any]:
    """Return `about.json`."""
    return {
        "command": COMMAND, "data": "data/audiomnist", "protocol": "reference", "preset": "default",
        "recipe": "default", "label": "digit", "speaker": "speaker", "fingerprint": "268d545a89890dcb",
        "parts": {
            "train": {"recordings": 18000, "speakers": 36}, "valid": {"recordings": 6000, "speakers": 12},
            "test": {"recordings": 6000, "speakers": 12},
        },
        "seeds": list(range(seeds)), "seconds": 3456.0, "machine": "2 threads, x86_64, torch 2.13.0",
        "version": "0.1.0", "notes": ["accent: measured on 9 test speakers only"], "done": done, "planned": 40,
    }  # fmt: skip


def write_sounds(folder: Path, clips, ids, names) -> None:
    """Write a manifest and tiny sounds for it."""
    with (folder / "manifest.csv").open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(["path", "id", "split", "digit", "speaker"])
        for place, ((speaker, digit, take), name) in enumerate(zip(clips, ids, strict=True)):
            path = folder / "sound" / f"{place}.wav"
            write_audio(path, word(speaker, digit, take, seconds=0.2), 16000)
            table.writerow([path.relative_to(folder).as_posix(), name, "test", str(digit), names[speaker]])
