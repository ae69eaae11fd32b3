"""A study's folder made of plausible random numbers, as `mfcl study` would leave it; nothing is trained."""

import csv
import dataclasses
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import norm

from mfcl.audio import write_audio
from mfcl.evaluation.result import (
    BASELINE,
    CLEAN,
    ENROLLED,
    FINE_TUNED,
    FROM_SCRATCH,
    GAIN,
    IDENTIFY,
    IDENTIFY_APART,
    KNN,
    LINEAR,
    NETWORK,
    NOISE,
    OTHER_NOISE,
    PAIRS,
    PRETRAINED,
    SUPERVISED,
    UNTRAINED,
    Question,
    Representation,
    Result,
    grouped,
)
from mfcl.evaluation.result_file import COLUMNS, difference_row, summary_row, to_row, view_row
from mfcl.evaluation.summary import differences, summaries
from tests.sounds import word

OLD_COLUMNS = COLUMNS[: COLUMNS.index("kind")]
"""Of `results.json` in version 0.1."""
CONTROLS = {
    Representation(BASELINE, name): level
    for name, level in (("MFCC statistics", 66.0), ("log-mel picture", 86.4), ("Hydra-like features", 63.0))
}
ENCODERS = {
    Representation(kind, "", part): level
    for kind, levels in (
        (UNTRAINED, (51.0, 84.0, 85.0)),
        (PRETRAINED, (72.0, 92.0, 95.1)),
        (SUPERVISED, (88.0, 91.0, 94.0)),
    )
    for part, level in zip(("wave", "mel", "both"), levels, strict=True)
}
EVERYTHING = {**CONTROLS, **ENCODERS}
OURS = Representation(PRETRAINED, "", "both")
LOG_MEL = Representation(BASELINE, "log-mel picture")
COMMAND = "mfcl study data/audiomnist --preset default --out runs/full"


class Rows:
    """Results, gathered."""

    def __init__(self, seeds: int, rng: np.random.Generator) -> None:
        self.results: list[Result] = []
        self.seeds = seeds
        self.rng = rng

    def add(self, asked: Question, whose: Representation, level, *, half=2.0, x=None, n=783, top=100.0, seconds=449.0):
        """Add a result a seed, near `level`."""
        x = None if x is None else float(x)
        for seed in range(self.seeds):
            value = float(np.clip(level + self.rng.normal() * half / 4, 0, top))
            low, high = (max(value - half, 0.0), min(value + half, top)) if half else (None, None)
            self.results.append(Result(asked, value, low, high, n, x, whose, seed, seconds, COMMAND))


def write_study(
    folder: Path,
    *,
    seeds: int = 3,
    speakers: int = 12,
    takes: int = 3,
    sounds: bool = False,
    nasty: bool = False,
    done: int = 40,
    label: str = "digit",
    old: bool = False,
    other_noise: bool | None = None,
) -> Path:
    """Write the files of a study.

    Args:
        folder: Where.
        seeds: How many.
        speakers: Of the test part.
        takes: Of each digit by each speaker.
        sounds: Write sound and a manifest too.
        nasty: Put signs of HTML, quotes and other scripts into names.
        done: Parts that are done, of 40.
        label: The label column.
        old: As version 0.1 did: no fields, no summaries, no differences.
        other_noise: With pink noise and babble; default: unless `old`, since version 0.1 had neither.
    """
    rng = np.random.default_rng(5)
    folder.mkdir(parents=True, exist_ok=True)
    names = [f"{number:02d}" for number in range(1, speakers + 1)]
    if nasty:
        names[:3] = ["</script><script>alert(1)</script>", 'Zoë "O\'Neil" & <b>co</b>', "ça\u011fr\u0131 🎙 \u2028"]
    clips = [(speaker, digit, take) for speaker in range(speakers) for digit in range(10) for take in range(takes)]
    ids = [f"data/{speaker:02d}/{digit}_{speaker:02d}_{take}.wav" for speaker, digit, take in clips]
    if nasty:
        ids[0] = "data/</script><img src=x onerror=alert(2)>.wav"
    gathered = Rows(seeds, rng)
    fill(gathered, label)
    if not (other_noise if other_noise is not None else not old):
        gathered.results = [one for one in gathered.results if one.question.condition not in OTHER_NOISE]
    drawn = pictures(rng, clips, ids, names, seeds, label)
    files: dict[str, Any] = {
        "results.json": [to_row(one) for one in gathered.results],
        "pictures.json": drawn,
        "about.json": {**about(seeds, done), "label": label},
        "summaries.json": [summary_row(one) for one in over_seeds(gathered.results)],
        "differences.json": [difference_row(one) for one in paired(gathered.results)],
    }
    if old:
        files = {name: files[name] for name in ("results.json", "pictures.json", "about.json")}
        files["results.json"] = [{key: row[key] for key in OLD_COLUMNS} for row in files["results.json"]]
        for one in (entry for kind in ("maps", "confusions", "groups", "det") for entry in drawn[kind]):
            for key in ("kind", "variant", "format", "part"):
                del one[key]
    for name, value in files.items():
        (folder / name).write_text(json.dumps(value), encoding="utf-8")
    if sounds:
        write_sounds(folder, clips, ids, names)
    return folder


def over_seeds(results):
    """Return the summaries, with the mean of the ends in place of an interval that would need evidence."""
    found = []
    for one, own in zip(summaries(results), grouped(results).values(), strict=True):
        if own[0].low is not None:
            low, high = (float(np.mean([getattr(r, end) for r in own])) for end in ("low", "high"))
            one = dataclasses.replace(one, low=low, high=high)
        found.append(one)
    return found


def paired(results):
    """Return the paired differences, with an interval of 3 to each side."""
    return [
        dataclasses.replace(one, low=one.value - 3, high=one.value + 3) if one.question.section in TOLD else one
        for one in differences(results)
    ]


TOLD = ("labels", "voices", "traits", "robustness")


def fill(rows: Rows, label: str = "digit") -> None:
    """Add every table of a whole study."""
    for name, level in EVERYTHING.items():
        seconds = 2.0 if name in CONTROLS else 449.0
        rows.add(Question("labels", "accuracy", label, LINEAR), name, min(level + 4, 99), seconds=seconds)
        rows.add(Question("labels", "accuracy", label, LINEAR, 10), name, level, seconds=seconds)
        rows.add(Question("labels", "accuracy", label, KNN), name, level - 3, half=4, seconds=seconds)
        voice = 95 - abs(level - 70) / 2
        rows.add(Question("voices", "accuracy", "speaker", IDENTIFY), name, voice, half=5)
        rows.add(Question("voices", "accuracy", "speaker", IDENTIFY_APART, apart=label), name, voice - 30, half=7)
        rows.add(Question("voices", "eer", "speaker", PAIRS), name, 55 - voice / 3, half=6, n=305_000)
        for clips in (1, 5):
            asked = Question("voices", "eer", "speaker", ENROLLED, enrolled=clips)
            rows.add(asked, name, 52 - voice / 3 - clips * 2, half=6)
            asked = dataclasses.replace(asked, metric="min_dcf")
            rows.add(asked, name, 0.95 - clips * 0.06 + level / 1500, half=0.04, top=1.0)
        rows.add(Question("traits", "accuracy", "gender", LINEAR), name, 80 + level / 10, half=6)
        rows.add(Question("traits", "accuracy", "accent", LINEAR), name, 40 + level / 8, half=11)
        rows.add(Question("geometry", "alignment"), name, 0.3 + level / 900, half=0, top=9)
        rows.add(Question("geometry", "uniformity"), name, 1.8, half=0, top=9)
        rows.add(Question("geometry", "rankme"), name, 30 + level, half=0, top=999)
        clean = Question("robustness", "accuracy", label, LINEAR, condition=CLEAN)
        for snr in (20, 10, 5, 0, -5):
            drop = (20 - snr) * (0.6 if name.kind in (PRETRAINED, UNTRAINED) else 1.4)
            asked = dataclasses.replace(clean, condition=NOISE, condition_value=float(snr))
            rows.add(asked, name, level - drop, x=snr)
        for kind in OTHER_NOISE:
            rows.add(dataclasses.replace(clean, condition=kind, condition_value=10.0), name, level - 9)
        rows.add(clean, name, level + 1)
        for gain in (10.0, -10.0):
            rows.add(dataclasses.replace(clean, condition=GAIN, condition_value=gain), name, level - 1.5 + gain / 12)
    for part in ("wave", "mel"):
        whose = Representation(PRETRAINED, "", part)
        rows.add(Question("geometry", "r_at_1"), whose, 61, half=0)
        rows.add(Question("geometry", "r_at_5"), whose, 84, half=0)
        rows.add(Question("geometry", "cka"), whose, 0.71, half=0, top=1)
    efficiency(rows, label)
    variants(rows, label)
    for part in ("wave", "mel", "both"):
        whose = Representation(PRETRAINED, "", part)
        rows.add(Question("cost", "seconds"), whose, 449, half=0, top=1e9)
        rows.add(Question("cost", "parameters"), whose, 3_214_567, half=0, top=1e12)
        rows.add(Question("cost", "multiply_adds"), whose, 812_345_678, half=0, top=1e12)
        rows.add(Question("cost", "clips_per_second"), whose, 312, half=0, top=1e9)


CURVES: dict[Representation, tuple[float, float]] = {
    OURS: (60, 13), Representation(PRETRAINED, "", "mel"): (58, 12.6),
    Representation(FINE_TUNED, "", "mel"): (52, 16.5), Representation(FROM_SCRATCH, "", "mel"): (30, 24),
    Representation(FROM_SCRATCH, "", "wave"): (18, 24), Representation(UNTRAINED, "", "both"): (47, 13),
    Representation(SUPERVISED, "", "both"): (80, 15), Representation(BASELINE, "MFCC statistics"): (41, 15),
    Representation(BASELINE, "log-mel picture"): (50, 14),
}  # fmt: skip


def efficiency(rows: Rows, label: str) -> None:
    """Add accuracy against labels a class; training from scratch overtakes where labels are many."""
    for count in (1, 2, 5, 10, 20, 50, None):
        for name, (start, slope) in CURVES.items():
            probe = NETWORK if name.kind in (FINE_TUNED, FROM_SCRATCH) else LINEAR
            many = count or 132.9
            level = 99 - (99 - start) * math.exp(-slope * math.log10(many) / 14)
            asked = Question("efficiency", "accuracy", label, probe, count)
            rows.add(asked, name, level, x=many, half=9 / math.sqrt(many) + 0.7)


def variants(rows: Rows, label: str) -> None:
    """Add what differs by augmentation, crops and formats."""
    tasks = ((LINEAR, 10, "accuracy", 90.0), (KNN, None, "accuracy", 86.0), (PAIRS, None, "eer", 31.0))
    for probe, count, metric, level in tasks:
        about = "speaker" if probe == PAIRS else label
        augmentation, crops, formats = (
            Question(section, metric, about, probe, count) for section in ("augmentation", "crops", "formats")
        )
        for offset, part in enumerate(("wave", "mel", "both")):
            for gain, kind in enumerate(("none", "wave", "mel", "both")):
                whose = Representation(PRETRAINED, f"augmented {kind}", part)
                rows.add(augmentation, whose, level - 6 + 3 * offset + 1.4 * gain, half=2.5)
            for share, ways in ((30, "disjoint"), (45, "disjoint"), (60, "overlapping"), (90, "free")):
                whose = Representation(PRETRAINED, f"crops {share} % {ways}", part)
                rows.add(crops, whose, level - 4 + 2 * offset - abs(share - 45) / 7, x=share, half=2.5)
        for offset, (kind, part) in enumerate(
            (("wave-wave", "wave"), ("mel-mel", "mel"), ("wave-mel", "wave"), ("wave-mel", "both"))
        ):
            rows.add(formats, Representation(PRETRAINED, kind, part), level - 5 + 2 * offset, half=3)


def pictures(rng, clips, ids, names, seeds, label="digit") -> dict[str, Any]:
    """Return `pictures.json`."""
    digits = [str(digit) for _, digit, _ in clips]
    voices = [names[speaker] for speaker, _, _ in clips]
    labels = {label: digits, "speaker": voices}
    maps = []
    for name in (*ENCODERS, LOG_MEL):
        spread = 0.35 + (100 - EVERYTHING[name]) / 20
        angle = np.array([int(digit) for digit in digits]) / 10 * 2 * np.pi
        shift = np.array([[math.cos(speaker), math.sin(speaker * 1.7)] for speaker, _, _ in clips])
        spots = 6 * np.stack([np.cos(angle), np.sin(angle)], 1) + shift + rng.normal(size=(len(clips), 2)) * spread
        maps.append(
            {**view_row(name), "seed": 0, "ids": ids, "x": spots[:, 0].tolist(), "y": spots[:, 1].tolist(),
             "labels": labels}
        )  # fmt: skip
    chosen = [LOG_MEL, *(one for one in ENCODERS if one.format == "both"), Representation(PRETRAINED, "", "wave")]
    confusions, groups, det = [], [], []
    for seed in range(seeds):
        for name in chosen:
            level = EVERYTHING[name] / 100
            counts = rng.binomial(3, (1 - level) / 4, (10, 10))
            np.fill_diagonal(counts, 78 - counts.sum(1))
            counts[9, 5] += 9
            confusions.append(
                {**view_row(name), "seed": seed, "label": label, "classes": [str(d) for d in range(10)],
                 "counts": counts.tolist()}
            )  # fmt: skip
            accuracy = np.clip(level * 100 + rng.normal(size=len(names)) * 5, 20, 100)
            groups.append(
                {**view_row(name), "seed": seed, "label": label, "by": "speaker", "names": names,
                 "accuracy": accuracy.tolist(), "n": [52] * len(names)}
            )  # fmt: skip
            for number in (1, 5):
                eer = 0.36 - level * 0.18 - number * 0.015
                accept = np.geomspace(0.002, 0.9, 60)
                reject = norm.cdf(2 * norm.ppf(eer) - norm.ppf(accept))
                det.append(
                    {**view_row(name), "seed": seed, "clips": number, "false_accept": accept.tolist(),
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
