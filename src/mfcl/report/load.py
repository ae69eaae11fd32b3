"""A study as its folder holds it, read for the report: every value is checked before anything is drawn."""

import csv
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mfcl.errors import MfclError
from mfcl.evaluation.result import Question, Representation, Result
from mfcl.evaluation.result_file import differences_from, from_rows, summaries_from
from mfcl.evaluation.summary import Difference, Summary, summaries
from mfcl.evaluation.typed_rows import mapping, optional, optional_mapping
from mfcl.report.about import About, about_from
from mfcl.report.pictures import Pictures, pictures_from

Pair = tuple[Question, Representation, Representation]


@dataclass(frozen=True)
class Study:
    """A study as its folder holds it.

    Attributes:
        folder: Where it is.
        results: Every row of `results.json`.
        summaries: The figures over seeds.
        differences: (question, first, second) -> their paired difference; empty where none are known.
        pictures: What was drawn.
        about: What the study was.
        over_seeds: Whether the folder has figures over seeds; one of version 0.1 has only those of each seed.
        heard: Speakers of the test part that are in another part too; None where the folder does not tell.
        speakers: Of the whole manifest; 0 where the folder does not tell.
        noise: Signal-to-noise ratios of the white noise in pre-training, lowest and highest, in dB; None where there
            was none or the folder does not tell.
        noise_slope_db: Steepest fall of that noise in dB per octave; 0 where all of it was white.
    """

    folder: Path
    results: tuple[Result, ...]
    summaries: tuple[Summary, ...]
    differences: Mapping[Pair, Difference] = field(default_factory=dict)
    pictures: Pictures = field(default_factory=Pictures)
    about: About = field(default_factory=About)
    over_seeds: bool = True
    heard: int | None = None
    speakers: int = 0
    noise: tuple[float, float] | None = None
    noise_slope_db: float = 0.0

    def section(self, name: str) -> list[Summary]:
        """Return the figures of one section."""
        return [one for one in self.summaries if one.question.section == name]


def read_study(folder: Path) -> Study:
    """Read a study's folder; only `results.json` and `about.json` must be there.

    Raises:
        MfclError: no study there, or a file that is not a study's; the message names file and key.
    """
    rows = _json(folder / "results.json")
    about = about_from(_keyed(folder / "about.json"), str(folder / "about.json"))
    pictures = Pictures()
    if (folder / "pictures.json").is_file():
        pictures = pictures_from(_keyed(folder / "pictures.json"), str(folder / "pictures.json"))
    columns, people = _manifest(folder / "manifest.csv", about.speaker)
    results = from_rows(
        rows, str(folder / "results.json"), labels=_labels(about, pictures, columns), speaker=about.speaker or None
    )
    summed = folder / "summaries.json"
    found = summaries_from(_json(summed), str(summed)) if summed.is_file() else summaries(results)
    paired = folder / "differences.json"
    differences = differences_from(_json(paired), str(paired)) if paired.is_file() else []
    test = people.get("test")
    others = people.get("train", set()) | people.get("valid", set())
    return Study(
        folder, tuple(results), tuple(found), {(one.question, one.first, one.second): one for one in differences},
        pictures, about, summed.is_file(), len(test & others) if test else None,
        len(set().union(*people.values())), *_noise(folder / "study.json"),
    )  # fmt: skip


def _labels(about: About, pictures: Pictures, columns: Sequence[str]) -> list[str]:
    """Return the label columns that results of version 0.1 can be about; they name them in texts only."""
    drawn = [name for one in pictures.maps for name in one.labels]
    method = list(pictures.method.labels) if pictures.method else []
    return list(dict.fromkeys(name for name in (about.label, about.speaker, *columns, *drawn, *method) if name))


def _manifest(path: Path, speaker: str) -> tuple[list[str], dict[str, set[str]]]:
    """Return the label columns of a study's manifest, and the speakers of each part of its split."""
    if not path.is_file():
        return [], {}
    people: dict[str, set[str]] = {}
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            table = csv.DictReader(file)
            columns = [name for name in table.fieldnames or [] if name]
            for row in table if speaker in columns and "split" in columns else ():
                if row[speaker]:
                    people.setdefault(row["split"] or "", set()).add(row[speaker])
    except (OSError, ValueError, csv.Error) as error:
        raise MfclError(f"{path}: cannot be read as a table ({error}); run `mfcl study` again") from error
    return [name for name in columns if name not in ("path", "id", "start", "end", "split")], people


def _noise(path: Path) -> tuple[tuple[float, float] | None, float]:
    """Return range and slope of the noise in pre-training by a study's recipe; no range without, or if unknown."""
    if not path.is_file():
        return None, 0.0
    recipe = optional_mapping(_keyed(path), "recipe", str(path))
    augment = optional_mapping(recipe, "augment", f"{path}, recipe")
    wave, mel = (optional_mapping(augment, name, f"{path}, recipe, augment") for name in ("wave", "mel"))
    setting = augment.get("setting")
    heard = [
        optional(own, "noise_probability", f"{path}, recipe, augment, {name}") or 0.0
        for name, own in (("wave", wave), ("mel", mel))
        if setting in (name, "both")
    ]
    ends = [optional(wave, f"noise_snr_db_{end}", f"{path}, recipe, augment, wave") for end in ("low", "high")]
    low, high = ends
    if not any(heard) or low is None or high is None:
        return None, 0.0
    return (low, high), optional(wave, "noise_slope_db", f"{path}, recipe, augment, wave") or 0.0


def _keyed(path: Path) -> Mapping[str, Any]:
    return mapping({path.name: _json(path)}, path.name, str(path.parent))


def _json(path: Path) -> Any:
    """Return what a JSON file holds; characters that no text file can hold are replaced."""
    try:
        text = path.read_text(encoding="utf-8")
        value = json.loads(text)
        if "\\ud" in text.lower():  # half a character, which could not be written into the page
            value = json.loads(json.dumps(value, ensure_ascii=False).encode("utf-8", "replace"))
    except OSError as error:
        reason = error.strerror or str(error)
        raise MfclError(f"{path}: cannot be read ({reason}); run `mfcl study` for {path.parent} again") from error
    except (ValueError, RecursionError) as error:
        reason = "lists in lists too deep" if isinstance(error, RecursionError) else str(error)
        raise MfclError(f"{path}: not JSON ({reason}); run `mfcl study` again") from error
    return value
