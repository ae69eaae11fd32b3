"""The main job: from recordings to honest figures, each beside its controls, resumable at every step."""

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
from mfcl.core.console import Shown, StepsBar, terminal
from mfcl.core.files import check_folder_place, write_json, write_text
from mfcl.core.limits import MOST_SEEDS
from mfcl.core.machine import set_threads
from mfcl.core.random import check_seed
from mfcl.data.dataset import Data, open_data
from mfcl.data.manifest import Manifest
from mfcl.data.manifest_csv import write_manifest
from mfcl.data.splits import split
from mfcl.errors import MfclError, check_number
from mfcl.evaluation.result import Result
from mfcl.models.inference import pick_device
from mfcl.recipe import Recipe, load_recipe, to_dict
from mfcl.report import make_report
from mfcl.studies.cache import read_object
from mfcl.studies.estimates import Rates, measured_rates
from mfcl.studies.outputs import write_results
from mfcl.studies.planner import Step, left_out, plan_table, seconds_left, spoken, steps
from mfcl.studies.provenance import this_command
from mfcl.studies.sections import ABLATION, PRESETS, SECTIONS, chosen_sections
from mfcl.studies.workspace import Workspace
from mfcl.training.memory import check_memory

__all__ = ["PRESETS", "SECTIONS", "study"]

GRIDS = "ablations.json"
ROTATIONS = 5
"""Of Becker's protocol."""


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
    dry_run: bool = False,
    device: str = "auto",
    threads: int | None = None,
    cache: Path | None = None,
    strict: bool = False,
    data_root: Path | None = None,
    progress: bool = True,
    command: str | None = None,
) -> list[Result]:
    """Run the study: scan, split, train with and without labels, embed, measure, all beside the controls; report it.

    Every step's answer is kept in `out` and not worked out again; a study that was stopped anywhere goes on when it is
    called again, and one more section or seed computes that alone. `results.json`, `results.csv`, `results.md` and
    `report.html` hold everything that is known, also while the study is under way.

    Args:
        data: A folder of sound, a corpus or a manifest.
        out: Where the study is kept.
        preset: `quick`, `default` or `reference`: a recipe, sections and a number of seeds.
        recipe: Another recipe than the preset's: a name, a path, or a `Recipe`.
        overrides: Single settings of the recipe, such as `train.epochs=5`.
        protocol: See `mfcl.data.dataset.open_data`, as for the next three; `becker` is its five rotations, one a seed.
        split_by: A label no value of which is on two sides.
        label: What to measure.
        speaker: Whose voice it is.
        seed: The first seed; the split is drawn by it.
        seeds: How many seeds, instead of the preset's.
        only: Sections to do, instead of the preset's; see `SECTIONS`.
        skip: Sections to leave out.
        ablate: Grids of choices, each some `key=a,b,c`: of each every combination is trained as the recipe says else,
            and measured in the section `ablation`; no other section is done unless `only` asks for it.
        dry_run: Print the plan with its time, and do nothing.
        device: `auto`, `cpu`, `cuda`, ...
        threads: Processor threads of torch; as they are if left out.
        cache: Where decoded sound is kept.
        strict: Make the first bad file an error.
        data_root: For a list: where its recordings lie now, if they were moved.
        progress: Show progress.
        command: What to print beside the figures; the command line if left out.

    Raises:
        MfclError: bad input, in one line.
    """
    check_seed(seed)
    if seeds is not None:
        check_number("seeds", seeds, 1, MOST_SEEDS, whole=True)
    check_folder_place(Path(out))
    set_threads(threads)
    wanted = [*(only or ()), *([ABLATION] if ablate else [])]
    sections = chosen_sections(preset, wanted or None, list(skip or ()))
    check_seed(seed + max(seeds or PRESETS[preset].seeds, ROTATIONS) - 1)  # the last that may be used
    chosen, folder = load_recipe(recipe or preset, overrides), Path(out)
    grids = _grids(folder, ablate or ())
    if ABLATION in sections and not grids:
        raise MfclError("section ablation: wanted choices to try; give ablate, such as train.batch=64,128")
    if seeds is not None and protocol == "becker":
        raise MfclError("seeds: protocol becker has one seed for each of its five rotations; leave it out")
    settings = {"data": str(data), "recipe": to_dict(chosen), "protocol": protocol, "split_by": split_by, "seed": seed}
    _check_free(folder, settings)
    rotated = protocol == "becker"
    opened = open_data(
        data, chosen.preparation, protocol="becker-0" if rotated else protocol, split_by=split_by, label=label,
        speaker=speaker, seed=seed, cache=cache, strict=strict, data_root=data_root, progress=progress,
    )  # fmt: skip
    by_sizes = _by_sizes(folder, opened.manifest)
    numbers = range(seed, seed + (ROTATIONS if rotated else seeds or PRESETS[preset].seeds))
    check_memory(chosen, opened.part("train").lengths, device=device)
    rates = measured_rates(opened, chosen, pick_device(device))
    everything: list[Step] = []
    for place, number in enumerate(numbers):
        own = _rotation(opened, place) if rotated else opened
        old = own.manifest.fingerprint_of_sizes() if by_sizes else None
        shown: Shown = "bar" if progress and terminal() else False
        workspace = Workspace(own, folder, device=device, progress=shown, fingerprint=old)
        everything += steps(workspace, chosen, PRESETS[preset], tuple(SECTIONS), number, rates, grids)
    everything.sort(key=lambda step: step.rank)
    planned = [step for step in everything if step.section in sections]
    unasked = list(left_out(sections, opened.label, opened.speaker))
    notes = [*opened.notes, *unasked]  # those of the data were said when it was opened
    if progress or dry_run:
        _say(plan_table(planned, rates))
    for note in unasked:
        _say(note)
    if dry_run:
        return []
    write_json(folder / "study.json", settings)
    if grids:
        write_json(folder / GRIDS, grids)
    write_manifest(opened.manifest, folder / "manifest.csv", relative=True)
    write_text(folder / "data.md", f"{opened.report.table()}\n\n{opened.report.problems_table()}\n")
    about = {
        **_about(opened, numbers, by_sizes=by_sizes), "command": command or this_command(), "data": str(data),
        "protocol": protocol, "preset": preset, "recipe": chosen.name, "notes": notes,
    }  # fmt: skip
    rows = _work(folder, planned, everything, about, rates, progress=progress)
    if planned:  # else the notes say why nothing can be asked
        make_report(folder)
    return rows


def _work(
    folder: Path, planned: Sequence[Step], everything: Sequence[Step], about: dict[str, Any], rates: Rates, *,
    progress: bool,
) -> list[Result]:  # fmt: skip
    """Work out the planned steps; return all results, also those of calls before this one."""
    begun, guessed = time.monotonic(), seconds_left(planned, rates)
    written = begun
    with StepsBar(len(planned), shown=progress) as line:
        for step in planned:
            if not step.done:
                left, spent = seconds_left(planned, rates), time.monotonic() - begun
                pace = spent / (guessed - left) if guessed - left > 0.1 * guessed else 1.0
                line.tell(f"{step.section}: {step.name}, seed {step.source.seed}; about {spoken(left * pace)} left")
                answer = step.answered()
                for note in answer["notes"]:
                    line.note(note)
                if time.monotonic() - written > 60:  # a person may look at what is known while the rest is worked out
                    write_results(folder, planned, everything, about)
                    written = time.monotonic()
            line.step()
    return write_results(folder, planned, everything, about)


def _grids(folder: Path, ablate: Sequence[Sequence[str]]) -> list[list[str]]:
    """Return the choices asked for now and in calls before, so that what is known of them stays in the tables."""
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
    _say(f"{path}: damaged; choices asked for in earlier calls must be asked for again to be in the tables")
    return []


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _rotation(data: Data, rotation: int) -> Data:
    """Return the same recordings by another of Becker's rotations."""
    turned = split(data.manifest, f"becker-{rotation}", speaker=data.speaker or "speaker")
    store = dataclasses.replace(data.store, manifest=turned)
    return dataclasses.replace(data, manifest=turned, store=store)


def _by_sizes(folder: Path, manifest: Manifest) -> bool:
    """Return whether a folder's figures were made of these recordings by version 0.1, which knew them by their sizes.

    Where they were made of other recordings, that is said: what is known of those does not count.
    """
    path = folder / "about.json"
    known = (read_object(path) or {}).get("fingerprint")
    if not isinstance(known, str):
        return False
    found = manifest.fingerprint_like(known, path.stat().st_mtime)
    if found != known:
        _say(
            f"{folder}: its figures are of other recordings, labels or sides, or of sound that changed; all begins anew"
        )
    return found != manifest.fingerprint()


def _about(data: Data, seeds: Sequence[int], *, by_sizes: bool) -> dict[str, Any]:
    """Return what was studied and where: what a reader needs beside the figures."""
    splits = data.manifest.splits
    fingerprint = data.manifest.fingerprint_of_sizes() if by_sizes else data.manifest.fingerprint()
    voices = data.manifest.column(data.speaker) if data.speaker else None
    counts = {
        part: {
            "recordings": int((splits == part).sum()),
            **({} if voices is None else {"speakers": len(np.unique(voices[splits == part]))}),
        }
        for part in ("train", "valid", "test")
    }
    return {
        "label": data.label, "speaker": data.speaker, "fingerprint": fingerprint, "parts": counts,
        "seeds": list(seeds), "version": mfcl.__version__,
        "machine": f"{torch.get_num_threads()} threads, {platform.machine()}, torch {torch.__version__}",
    }  # fmt: skip


def _check_free(folder: Path, settings: dict[str, Any]) -> None:
    """Refuse a folder that holds something else than this study."""
    mark = folder / "study.json"
    if mark.is_file():
        kept = read_object(mark)
        if kept is None:  # every answer is named by all that it depends on: none of another study can be taken
            _say(f"{mark}: damaged; it is written again with the settings of this call")
        elif kept != json.loads(json.dumps(settings)):
            raise MfclError(f"{folder}: holds a study of other data or settings; choose another --out, or delete it")
    elif folder.is_dir() and any(folder.iterdir()):
        raise MfclError(f"{folder}: wanted an empty or new folder, found other files; choose another --out")


def _say(line: str) -> None:
    print(line, file=sys.stderr)  # noqa: T201
