"""Write a study's output files: results, tables, chart data and facts of the study."""

import dataclasses
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from mfcl.core.console import are, counted, plural, worded
from mfcl.core.files import write_json, write_text
from mfcl.data.store import Store
from mfcl.evaluation.result import PRETRAINED, Result
from mfcl.evaluation.result_file import difference_row, summary_row, to_row
from mfcl.evaluation.summary import Difference, Summary, differences, summaries
from mfcl.evaluation.tables import tables
from mfcl.evaluation.wording import name
from mfcl.models.frontends import LogMel
from mfcl.recipe import Recipe
from mfcl.studies.planner import Step
from mfcl.studies.provenance import with_only
from mfcl.training.run_folder import LOG
from mfcl.training.run_log import WARNING, read_metrics, read_warnings
from mfcl.views.crops import crop_pair

COLUMNS = 400
"""Points of the drawn waveform."""
LONGEST_SECONDS = 3.0
"""Longest drawn beginning of the example recording."""
RANGE = 8 * np.log(10)
"""Dynamic range of the drawn spectrogram, as natural logarithm of power: 80 dB."""


def write_results(
    folder: Path, planned: Sequence[Step], everything: Sequence[Step], about: dict[str, Any]
) -> list[Result]:
    """Write all finished steps to the output files, and return their results.

    Args:
        folder: Folder of the study.
        planned: Steps of this call, for the progress counts.
        everything: All possible steps, in output order, so that files do not depend on the order of computing.
        about: Facts of the study for `about.json`.
    """
    results: list[Result] = []
    pictures: dict[str, list[Any]] = {}
    notes = list(about["notes"])
    known = [step for step in everything if step.done]
    for step in known:
        answer = step.answered()
        command = with_only(about["command"], step.section)
        results += [dataclasses.replace(one, command=command) for one in step.results()]
        for kind, entries in answer["pictures"].items():
            pictures.setdefault(kind, []).extend(entries)
        notes += answer["notes"]
    notes = said_once(notes, known)
    sources: dict[str, Step] = {}
    for step in known:  # a sweep may reuse the main training, which comes first and gives the name
        sources.setdefault(step.workspace.name(step.source), step)
    about = {
        **about, "notes": list(dict.fromkeys([*training_warnings(sources.values()), *notes])), "planned": len(planned),
        "done": sum(step.done for step in planned),
        "seconds": round(sum(step.answered()["seconds"] for step in known), 1), "models": _models(sources),
    }  # fmt: skip
    curves = [curve(step) for step in sources.values() if step.source.kind == PRETRAINED]
    method = method_picture(known[0].workspace.data.subset("test"), known[0].source.recipe) if known else None
    summed, apart = summaries(results), differences(results)
    about["notes"] = [*of_fewer_seeds(summed, apart), *about["notes"]]
    write_json(folder / "results.json", [to_row(one) for one in results])
    write_json(folder / "summaries.json", [summary_row(one) for one in summed])
    write_json(folder / "differences.json", [difference_row(one) for one in apart])
    write_json(folder / "pictures.json", {**pictures, "training": curves, "method": method})
    write_json(folder / "about.json", about)
    over = plural(about["speaker"]) if about["speaker"] else "recordings"
    write_text(folder / "results.md", f"{origin(about)}\n\n{tables(summed, style='github', over=over)}\n")
    return results


def of_fewer_seeds(summed: Sequence[Summary], apart: Sequence[Difference]) -> list[str]:
    """Return a note if paired differences are means over fewer seeds than the figures that stand beside them."""
    figures = {(one.question, one.representation): one for one in summed}
    beside = [[figures[one.question, side] for side in (one.first, one.second)] for one in apart]
    count = sum(bool(one.of_fewer(*own)) for one, own in zip(apart, beside, strict=True))
    if not count:
        return []
    return [
        f"{WARNING}{count} of {worded(len(apart), 'paired difference')} {are(count)} of fewer seeds than the "
        f"figures beside them, which "
        "are means over all seeds measured so far"
    ]


def _models(sources: Mapping[str, Step]) -> dict[str, Any]:
    """Return which rows are of which trained model: its folder in `runs` -> kind, variant and seed of its rows."""
    return {
        name: {"kind": step.source.kind, "variant": step.source.variant, "seed": step.source.seed}
        for name, step in sources.items() if (step.workspace.run(step.source) / "model").is_dir()
    }  # fmt: skip


def training_warnings(trained: Iterable[Step]) -> list[str]:
    """Return the warnings of all trainings of these steps' sources, those with few labels included, as notes."""
    found = []
    for step in trained:
        name = step.workspace.name(step.source)
        for log in sorted((step.workspace.folder / "runs").glob(f"{name}*/**/{LOG}")):
            rest = "/".join(log.parent.relative_to(step.workspace.folder / "runs").parts).removeprefix(name).strip("-/")
            whose = ", ".join([step.source.name, *([rest] if rest else []), f"seed {step.source.seed}"])
            found += [f"{WARNING}{whose}: {text}" for text in read_warnings(log.parent)]
    return found


def curve(step: Step) -> dict[str, Any]:
    """Return the training curve, epoch by epoch, from `metrics.jsonl`."""
    workspace, source = step.workspace, step.source
    epochs: list[dict[str, Any]] = []
    chance: float | None = None
    latest: dict[str, float] = {}
    for entry in read_metrics(workspace.run(source)):
        if "epoch" in entry:  # the preceding step's line holds the loss
            kept: dict[str, Any] = {k: entry[k] for k in ("epoch", "valid_knn", "valid_pairing") if k in entry}
            epochs.append({**kept, **latest})
        else:
            chance = entry.get("chance", chance)
            latest = {"loss": entry["loss"], "lr": entry["learning_rate"], "seconds": entry["seconds"]}
    labels = workspace.data.manifest.column(workspace.data.label) if workspace.data.label else np.zeros(0)
    kinds = len(np.unique(labels[labels != ""])) if workspace.data.label else 0
    return {
        "run": source.name, "seed": source.seed, "epochs": epochs,
        **({} if chance is None else {"chance_loss": chance}), **({"chance_knn": 100 / kinds} if kinds else {}),
    }  # fmt: skip


def method_picture(store: Store, recipe: Recipe) -> dict[str, Any]:
    """Return both formats of the test recording of median length, with a pair of crops by the recipe."""
    index = int(np.argsort(store.lengths, kind="stable")[len(store) // 2])
    sound, rate = store.clip(index)[: round(LONGEST_SECONDS * store.sample_rate)], store.sample_rate
    front = LogMel(recipe.model.mel_format, rate)
    with torch.no_grad():
        power = front.log_power(torch.from_numpy(sound.copy())[None])[0][0].numpy()
    shades = 255 * np.clip((power - power.max()) / RANGE + 1, 0, 1)
    pair = crop_pair(
        np.array([len(sound)]), rate, recipe.crops, seed=0, epoch=0, recordings=np.array([index])
    )  # fmt: skip
    columns = np.array_split(sound / max(float(np.abs(sound).max()), 1e-9), min(COLUMNS, len(sound)))
    return {
        "id": str(store.manifest.ids[index]), "sample_rate": rate, "seconds": len(sound) / rate,
        "labels": {name: str(store.manifest.column(name)[index]) for name in store.manifest.label_names},
        "bands": len(power), "hop_seconds": front.hop_seconds, "mel": shades.round().astype(int).tolist(),
        "wave": [[round(float(part.min()), 3), round(float(part.max()), 3)] for part in columns],
        "crops": [
            [round(float(start / rate), 4), round(float((start + count) / rate), 4)]
            for start, count in zip(pair.starts[0], pair.counts[0], strict=True)
        ],
    }  # fmt: skip


def reason(note: str, names: Collection[str]) -> str:
    """Return a note without the representation that it begins with, if it begins with one."""
    return next((note.removeprefix(f"{one}: ") for one in names if note.startswith(f"{one}: ")), note)


def represented(steps: Iterable[Step]) -> frozenset[str]:
    """Return the names of all representations that steps measure."""
    return frozenset(name(one) for step in steps for one in step.source.representations)


def said_once(notes: Sequence[str], steps: Iterable[Step]) -> list[str]:
    """Return notes, of which one that is true of several representations is said once, with the first one's name."""
    names = represented(steps)
    wordings: dict[str, list[str]] = {}
    for note in dict.fromkeys(notes):
        wordings.setdefault(reason(note, names), []).append(note)
    return [
        f"{first.removesuffix(f': {text}')} and {len(others)} more: {text}" if others and first != text else first
        for text, (first, *others) in wordings.items()
    ]


def origin(about: dict[str, Any]) -> str:
    """Return the facts needed to reproduce the tables: command, data, seeds, time and machine."""
    sides = ", ".join(
        f"{side['recordings']} {name}"
        + (f" ({counted(side['speakers'], about['speaker'])})" if "speakers" in side else "")
        for name, side in about["parts"].items()
    )
    lines = [
        ("command", f"`{about['command']}`"),
        ("data", f"{sides}; fingerprint {about['fingerprint']}"),
        ("seeds", ", ".join(map(str, about["seeds"]))),
        ("seconds", f"{about['seconds']:.0f}, training and measuring"),
        ("machine", about["machine"]),
        *(("note", note) for note in about["notes"]),
    ]
    return "\n".join(f"- {name}: {text}" for name, text in lines)
