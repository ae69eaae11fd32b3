"""Run a study: train encoders, evaluate them beside baselines and write a report, resumable at every step."""

import dataclasses
import json
import platform
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

import mfcl
from mfcl.core.console import counted, duration
from mfcl.core.files import check_folder_place, entries, write_json, write_text
from mfcl.core.limits import MOST_SEEDS
from mfcl.core.locks import alone
from mfcl.core.machine import pick_device, set_threads
from mfcl.core.plain_values import to_dict
from mfcl.core.progress import Shown, StepsBar, terminal
from mfcl.core.random import check_seed
from mfcl.core.urls import local_path
from mfcl.data.dataset import Data
from mfcl.data.manifest import Manifest
from mfcl.data.manifest_csv import write_manifest
from mfcl.data.splits import split
from mfcl.errors import MfclError, check_number, check_type
from mfcl.evaluation.bootstrap import held_by
from mfcl.evaluation.result import Result
from mfcl.recipe import Recipe, load_recipe
from mfcl.report import make_report
from mfcl.studies.cache import read_object
from mfcl.studies.elsewhere import Also, open_elsewhere
from mfcl.studies.estimates import Rates, measured_rates
from mfcl.studies.outputs import reason, represented, write_results
from mfcl.studies.planner import Step, left_out, plan_table, seconds_left, steps
from mfcl.studies.provenance import this_command
from mfcl.studies.sections import ABLATION, PRESETS, SECTIONS, chosen_sections
from mfcl.studies.workspace import Workspace
from mfcl.training.memory import check_memory
from mfcl.training.suited import open_suited

__all__ = ["PRESETS", "SECTIONS", "study"]

GRIDS = "ablations.json"
ROTATIONS = 5
"""Rotations of Becker's protocol."""


def study(
    data: str | Path,
    out: str | Path,
    *,
    preset: str = "quick",
    recipe: str | Path | Recipe | None = None,
    overrides: Sequence[str] = (),
    protocol: str | None = None,
    split_by: str | None = None,
    label: str | None = None,
    speaker: str | None = None,
    seed: int = 0,
    seeds: int | None = None,
    only: Sequence[str] | None = None,
    skip: Sequence[str] | None = None,
    ablate: Sequence[Sequence[str]] | None = None,
    also: Also | Sequence[str] | None = None,
    dry_run: bool = False,
    device: str = "auto",
    threads: int | None = None,
    cache: Path | None = None,
    strict: bool = False,
    data_root: Path | None = None,
    progress: bool = True,
    command: str | None = None,
) -> list[Result]:
    """Run a study: scan, split, train with and without labels, embed, evaluate beside baselines, and report.

    Each step's result is saved in `out`. A stopped study continues when called again, and a further section or seed
    computes only what is missing. `results.json`, `results.csv`, `results.md` and `report.html` hold all results.

    Args:
        data: A folder of sound, a corpus or a manifest.
        out: Folder of the study.
        preset: `quick`, `default` or `reference`: a recipe, sections and a number of seeds.
        recipe: A recipe instead of the preset's: a name, a path, or a `Recipe`.
        overrides: Single settings of the recipe, such as `train.epochs=5`.
        protocol: Split protocol, see `mfcl.data.dataset.open_data`; `becker` runs its five rotations, one per seed.
        split_by: Keep recordings with the same value of this label in one split.
        label: Label column to predict.
        speaker: Speaker column.
        seed: The first seed; also the seed of the split.
        seeds: Number of seeds, instead of the preset's.
        only: Sections to run, instead of the preset's; see `SECTIONS`.
        skip: Sections not to run.
        ablate: Grids of recipe settings, each a list of `key=a,b,c`. Every combination of a grid is trained and
            evaluated in the section `ablation`. Other sections run only if `only` names them.
        also: Representations made elsewhere, measured beside the others: name -> file of embeddings (see
            `mfcl.embeddings.foreign.read_foreign`), or a function `f(samples, sample_rate)` that returns a vector or
            frames. Give them again with every call; a function that changes needs another name.
        dry_run: Only print the plan with estimated times.
        device: `auto`, `cpu`, `cuda`, ...
        threads: CPU threads of torch; default: unchanged.
        cache: Folder for decoded sound.
        strict: Raise an error at the first unreadable file.
        data_root: For a manifest: the folder that holds the recordings now, if they were moved.
        progress: Show progress.
        command: Command to print beside the results; default: the command line.

    Raises:
        MfclError: an argument or the data cannot be used.
    """
    seed = check_seed(seed)
    if seeds is not None:
        check_number("seeds", seeds, 1, MOST_SEEDS, whole=True)
        seeds = int(seeds)
    check_folder_place(local_path(out, "out"))
    set_threads(threads)
    for what, names in (("only", only), ("skip", skip), ("ablate", ablate)):
        check_type(what, names or (), list | tuple, "a list")
    check_type("preset", preset, str, "its name")
    wanted = [*(only or ()), *([ABLATION] if ablate else [])]
    sections = chosen_sections(preset, wanted or None, list(skip or ()))
    check_seed(seed + max(seeds or PRESETS[preset].seeds, ROTATIONS) - 1)  # the last seed that may be used
    chosen, folder = load_recipe(recipe or preset, overrides), Path(out)
    grids = _grids(folder, ablate or ())
    if ABLATION in sections and not grids:
        raise MfclError("section ablation: wanted settings to try; give ablate, such as train.batch=64,128")
    if seeds is not None and protocol == "becker":
        raise MfclError("seeds: protocol becker has one seed for each of its five rotations; leave it out")
    settings = {"data": str(data), "recipe": to_dict(chosen), "protocol": protocol, "split_by": split_by, "seed": seed}
    _check_free(folder, settings)
    rotated = protocol == "becker"
    opened, chosen = open_suited(
        data, chosen, protocol="becker-0" if rotated else protocol, split_by=split_by, label=label,
        speaker=speaker, seed=seed, cache=cache, strict=strict, data_root=data_root, progress=progress,
    )  # fmt: skip
    opened, unlearnable = _learnable(opened)
    elsewhere = open_elsewhere(also or {}, opened.manifest)
    by_sizes = _by_sizes(folder, opened.manifest)
    numbers = range(seed, seed + (ROTATIONS if rotated else seeds or PRESETS[preset].seeds))
    check_memory(chosen, opened.subset("train").lengths, device=device)
    rates = measured_rates(opened, chosen, pick_device(device))
    everything: list[Step] = []
    for place, number in enumerate(numbers):
        own = _rotation(opened, place) if rotated else opened
        old = own.manifest.fingerprint_of_sizes() if by_sizes else None
        shown: Shown = "bar" if progress and terminal() else False
        workspace = Workspace(own, folder, device=device, progress=shown, fingerprint=old, elsewhere=elsewhere)
        everything += steps(workspace, chosen, PRESETS[preset], tuple(SECTIONS), number, rates, grids)
    everything.sort(key=lambda step: step.rank)
    planned = [step for step in everything if step.section in sections]
    unmeasured = [*unlearnable, *left_out(sections, opened.label, opened.speaker)]
    unheard = [
        f"{name}: its vectors came in a file, so it is not measured under noise"
        for name, one in elsewhere.items() if one.function is None and "robustness" in sections
    ]  # fmt: skip
    unsure = _few_tested(opened)
    notes = [*opened.notes, *unmeasured, *unheard, *unsure]  # the data's notes were already printed by `open_data`
    if progress or dry_run:
        _say(plan_table(planned, rates))
    for note in (*unmeasured, *unheard, *unsure):
        _say(note)
    if dry_run:
        return []
    write_json(folder / "study.json", settings)
    about = {
        **_about(opened, numbers, by_sizes=by_sizes), "command": command or this_command(), "data": str(data),
        "protocol": protocol, "preset": preset, "recipe": chosen.name, "notes": notes,
    }  # fmt: skip
    busy = MfclError(f"{folder}: another study is at work in it; wait for its end, or choose another folder")
    with alone(folder / ".lock", busy):
        if grids:
            write_json(folder / GRIDS, grids)
        write_manifest(opened.manifest, folder / "manifest.csv", relative=True)
        write_text(folder / "data.md", f"{opened.report.table()}\n\n{opened.report.problems_table()}\n")
        rows = _work(folder, planned, everything, about, rates, progress=progress)
        if planned:  # else the notes say why nothing can be asked
            make_report(folder)
    return rows


def _work(
    folder: Path, planned: Sequence[Step], everything: Sequence[Step], about: dict[str, Any], rates: Rates, *,
    progress: bool,
) -> list[Result]:  # fmt: skip
    """Run the planned steps; return all results, including those of earlier calls."""
    begun, guessed = time.monotonic(), seconds_left(planned, rates)
    written = begun
    names, told = represented(planned), set[str]()
    with StepsBar(len(planned), shown=progress) as line:
        for step in planned:
            if not step.done:
                left, spent = seconds_left(planned, rates), time.monotonic() - begun
                pace = spent / (guessed - left) if guessed - left > 0.1 * guessed else 1.0
                line.tell(f"{step.section}: {step.name}, seed {step.source.seed}; about {duration(left * pace)} left")
                answer = step.answered()
                for note in answer["notes"]:
                    if (text := reason(note, names)) not in told:  # it may be true of other representations, too
                        line.note(note)
                        told.add(text)
                if time.monotonic() - written > 60:  # so that intermediate results can be read while the study runs
                    write_results(folder, planned, everything, about)
                    written = time.monotonic()
            line.step()
    return write_results(folder, planned, everything, about)


def _grids(folder: Path, ablate: Sequence[Sequence[str]]) -> list[list[str]]:
    """Return the ablation grids of this and earlier calls, so that earlier results stay in the tables."""
    before = _kept_grids(folder / GRIDS)
    now = [list(grid) for grid in ablate]
    return before + [grid for grid in now if grid not in before]


def _kept_grids(path: Path) -> list[list[str]]:
    if not path.is_file():
        return []
    try:
        kept = json.loads(path.read_text(encoding="utf-8"))
        if isinstance(kept, list) and all(isinstance(one, list) and all(map(_is_text, one)) for one in kept):
            return kept
    except (OSError, ValueError, RecursionError):
        pass
    _say(f"{path}: damaged; give the ablations of earlier calls again to keep them in the tables")
    return []


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _learnable(data: Data) -> tuple[Data, list[str]]:
    """Return the data, without a label that the train split gives nothing to learn of, and a note that says so."""
    if data.label is None:
        return data, []
    values = data.manifest.column(data.label)[data.manifest.splits == "train"]
    count = len(np.unique(values[values != ""]))
    if count > 1:
        return data, []
    note = (
        f"label {data.label!r}: wanted 2 or more values in the train split to learn from, got {count}; it is not used"
    )
    return dataclasses.replace(data, label=None), [note]


def _few_tested(data: Data) -> list[str]:
    """Return a note where intervals over the test part's speakers are narrower than they are called."""
    if data.speaker is None:
        return []
    names = data.manifest.column(data.speaker)[data.manifest.splits == "test"]
    count = len(np.unique(names[names != ""]))
    share = held_by(count)
    if share is None:
        return []
    return [
        f"95 % intervals over the {count} values of {data.speaker!r} in the test part are somewhat too narrow: in "
        f"simulations of so few they held the truth in about {share} % of cases"
    ]


def _rotation(data: Data, rotation: int) -> Data:
    """Return the same recordings, split by one of Becker's rotations."""
    turned = split(data.manifest, f"becker-{rotation}", speaker=data.speaker or "speaker")
    store = dataclasses.replace(data.store, manifest=turned)
    return dataclasses.replace(data, manifest=turned, store=store)


def _by_sizes(folder: Path, manifest: Manifest) -> bool:
    """Return whether version 0.1 made the folder's results for these recordings, which it identified by file size.

    If the folder's results are for other recordings, a line says so, since they cannot be reused.
    """
    path = folder / "about.json"
    known = (read_object(path) or {}).get("fingerprint")
    if not isinstance(known, str):
        return False
    found = manifest.fingerprint_like(known, path.stat().st_mtime)
    if found != known:
        _say(f"{folder}: its results are for other recordings, labels or splits, or the sound changed; starting anew")
    return found != manifest.fingerprint()


def _about(data: Data, seeds: Sequence[int], *, by_sizes: bool) -> dict[str, Any]:
    """Return facts of the data and the machine that a reader needs beside the results."""
    splits = data.manifest.splits
    fingerprint = data.manifest.fingerprint_of_sizes() if by_sizes else data.manifest.fingerprint()
    voices = data.manifest.column(data.speaker) if data.speaker else None
    counts = {
        part: {
            "recordings": int((splits == part).sum()),
            **({} if voices is None else {"speakers": len(np.unique(voices[(splits == part) & (voices != "")]))}),
        }
        for part in ("train", "valid", "test")
    }
    return {
        "label": data.label, "speaker": data.speaker, "fingerprint": fingerprint, "parts": counts,
        "seeds": list(seeds), "version": mfcl.__version__,
        "machine": f"{counted(torch.get_num_threads(), 'thread')}, {platform.machine()}, torch {torch.__version__}",
    }  # fmt: skip


def _check_free(folder: Path, settings: dict[str, Any]) -> None:
    """Check that the folder is empty or holds this study."""
    mark = folder / "study.json"
    if mark.is_file():
        kept = read_object(mark)
        if kept is None:  # safe to continue: results are cached by all their inputs, so none of another study is used
            _say(f"{mark}: damaged; it is written again with the settings of this call")
        elif kept != json.loads(json.dumps(settings)):
            raise MfclError(f"{folder}: holds a study of other data or settings; choose another folder, or delete it")
    elif entries(folder):
        raise MfclError(f"{folder}: wanted an empty or new folder, found other files; choose another folder")


def _say(line: str) -> None:
    print(line, file=sys.stderr)  # noqa: T201
