"""A whole study of seconds: its corpus, its recipe and its presets; as a script it is `mfcl` at that size.

python -m tests.small_study study DATA --out FOLDER ...
"""

import csv
import dataclasses
import functools
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from mfcl.evaluation import wording
from mfcl.evaluation.result import Result
from mfcl.evaluation.tasks import voices
from mfcl.studies import representations as sources
from mfcl.studies import sections as presets
from mfcl.studies import study
from mfcl.training.tasks import supervised
from tests.recipes import tiny_recipe
from tests.sounds import write_corpus

SIDES = ("train", "train", "valid", "test", "test", "test")
LEAST_STEPS = 2
DRAWS = 50
CROPS = ((45, 45, "disjoint"), (80, 100, "free"))
PRESET = dataclasses.replace(presets.PRESETS["default"], sweep_epochs=1, tuned=(1, 0), literature=False)
"""The default's sections with less in each, without the network of the literature."""


def write_listed(
    root: Path, *, speakers: int = 12, digits: int = 3, takes: int = 4, unlabelled: Sequence[str] = ()
) -> Path:
    """Write a corpus and a `manifest.csv` with digit, speaker, gender and side; return the root.

    Args:
        root: Where.
        speakers: Two of six to train with, one to choose with, three to measure: enough for an interval from 12 on,
            when every gender is on every side.
        digits: Of each speaker.
        takes: Of each digit.
        unlabelled: Takes that no one has named: no digit.
    """
    write_corpus(root, speakers=speakers, digits=digits, takes=takes)
    with (root / "manifest.csv").open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file)
        rows.writerow(["path", "digit", "speaker", "gender", "split"])
        for path in sorted((root / "data").rglob("*.wav")):
            digit, speaker, take = path.stem.split("_")
            number = int(speaker) - 1
            named = "" if take in unlabelled else digit
            gender = ("female", "male")[number // 6 % 2]
            rows.writerow([path.relative_to(root), named, speaker, gender, SIDES[number % len(SIDES)]])
    return root


def shrink(patch: pytest.MonkeyPatch) -> None:
    """Make the presets, the sweep of crops, the trainings with few labels and the intervals of voices small."""
    for name in presets.PRESETS:
        patch.setitem(presets.PRESETS, name, PRESET)
    patch.setattr(supervised, "LEAST_STEPS", LEAST_STEPS)
    patch.setattr(sources, "CROPS", CROPS)
    for name in ("verify", "verify_enrolled"):
        patch.setattr(voices, name, functools.partial(getattr(voices, name), draws=DRAWS))


def small_study(
    data: Path, folder: Path, *, seeds: int | None = 1, progress: bool = False, **changes: object
) -> list[Result]:
    """A study kept in `folder / "out"`; what is decoded lies beside it."""
    given: dict[str, object] = {"recipe": tiny_recipe(folder), "cache": folder / "cache", **changes}
    with pytest.MonkeyPatch.context() as patch:
        shrink(patch)
        return study(data, folder / "out", seeds=seeds, progress=progress, command="mfcl study", **given)


def task(one: Result) -> str:
    """What was asked, as the tables say it."""
    return wording.task(one.question)


def section(one: Result) -> str:
    """The section that it belongs to."""
    return one.question.section


def called(one: Result) -> str:
    """What it was asked of, as the tables say it."""
    return wording.name(one.representation, one.question.section)


if __name__ == "__main__":
    from mfcl.cli import main

    with pytest.MonkeyPatch.context() as patch:
        shrink(patch)
        code = main(sys.argv[1:])
    sys.exit(code)
