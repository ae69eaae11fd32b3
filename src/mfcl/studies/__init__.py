"""The main job: from recordings to honest figures, each beside its controls, resumable at every step."""

import dataclasses
import hashlib
import json
import platform
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from threadpoolctl import threadpool_limits

import mfcl
from mfcl.controls import log_mel_picture, mfcc_statistics, random_features
from mfcl.data import Data, open_data
from mfcl.embeddings import Embeddings
from mfcl.errors import MeasureError, MfclError
from mfcl.files import write_json, write_text
from mfcl.inference import embed_store, pick_device
from mfcl.measures import Measure, measure_labels, measure_voices
from mfcl.recipe import Recipe, load_recipe, to_dict
from mfcl.recordings import write_manifest
from mfcl.results import Row, tables
from mfcl.run import pretrain, stopwatch, this_command, train_supervised, untrained, use_machine
from mfcl.store import Store

PRESETS = {"quick": 1, "default": 3, "reference": 3}
"""Preset -> seeds; each uses the recipe of its name."""

CONTROLS: dict[str, Callable[[Store, int], np.ndarray]] = {
    "MFCC statistics": lambda store, seed: mfcc_statistics(store, store.sample_rate),
    "log-mel picture": lambda store, seed: log_mel_picture(store, store.sample_rate),
    "Hydra-like features": lambda store, seed: random_features(store, store.sample_rate, seed=seed),
}


class Ledger:
    """What a study has already worked out: one JSON file a part, found again by what the part depends on.

    Args:
        folder: Where the files are.
        basis: Everything that all parts depend on: data, recipe, version.
    """

    def __init__(self, folder: Path, basis: dict[str, Any]) -> None:
        self.folder = folder
        self.basis = basis

    def once(self, name: str, seed: int, work: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        """Return a part's result, worked out now or on an earlier day."""
        key = hashlib.sha256(json.dumps([self.basis, name, seed], sort_keys=True).encode()).hexdigest()[:12]
        path = self.folder / f"{name.replace(' ', '-')}-seed{seed}-{key}.json"
        if path.is_file():
            found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
            return found
        result = work()
        write_json(path, result)
        return result


def study(
    data: str | Path,
    out: str | Path,
    *,
    preset: str = "quick",
    recipe: str | Path | None = None,
    overrides: Sequence[str] = (),
    protocol: str | None = None,
    split_by: str | None = None,
    label: str | None = None,
    speaker: str | None = None,
    seed: int = 0,
    seeds: int | None = None,
    device: str = "auto",
    threads: int | None = None,
    cache: Path | None = None,
    strict: bool = False,
    progress: bool = True,
    command: str | None = None,
) -> list[Row]:
    """Run the study: scan, split, train with and without labels, embed, measure, all beside the controls.

    What is done is kept in `out` and not done again; a study that was stopped anywhere goes on when it is called
    again with the same words. `results.json` and `results.md` are written at the end.

    Args:
        data: A folder of sound, a corpus or a manifest.
        out: Where the study is kept.
        preset: `quick`, `default` or `reference`: a recipe and a number of seeds.
        recipe: Another recipe than the preset's.
        overrides: Single settings of the recipe, such as `train.epochs=5`.
        protocol: See `mfcl.run.open_data`, as for the next three.
        split_by: A label no value of which is on two sides.
        label: What to measure.
        speaker: Whose voice it is.
        seed: The first seed; the split is drawn by it.
        seeds: How many seeds, instead of the preset's.
        device: `auto`, `cpu`, `cuda`, ...
        threads: Processor threads; as many as the process may use if left out.
        cache: Where decoded sound is kept.
        strict: Make the first bad file an error.
        progress: Show progress.
        command: What to print beside the figures; the command line if left out.

    Raises:
        MfclError: bad input, in one line.
    """
    use_machine(threads)
    chosen = load_recipe(recipe or preset, overrides)
    folder = Path(out)
    settings = {"data": str(data), "recipe": to_dict(chosen), "protocol": protocol, "split_by": split_by, "seed": seed}
    _check_free(folder, settings)
    opened = open_data(
        data, chosen.preparation, protocol=protocol, split_by=split_by, label=label, speaker=speaker, seed=seed,
        cache=cache, strict=strict, progress=progress,
    )  # fmt: skip
    if opened.label is None and opened.speaker is None:
        raise MfclError(f"{data}: no label to measure by (sub-folders or CSV columns); use mfcl train and mfcl embed")
    write_json(folder / "study.json", settings)
    write_manifest(opened.manifest, folder / "manifest.csv")
    write_text(folder / "data.md", f"{opened.report.table()}\n\n{opened.report.problems_table()}\n")
    basis = {"data": opened.manifest.fingerprint(), "recipe": to_dict(chosen), "version": mfcl.__version__}
    ledger = Ledger(folder / "parts", basis)
    command = command or this_command()
    rows: list[Row] = []
    spent = 0.0
    numbers = range(seed, seed + (seeds or PRESETS[preset]))
    parts = [
        part for number in numbers for part in _parts(opened, chosen, folder, number, device=device, progress=progress)
    ]
    for place, part in enumerate(parts, start=1):
        if progress:
            print(f"[{place} of {len(parts)}] {part.name}, seed {part.seed}", file=sys.stderr)  # noqa: T201
        done = ledger.once(part.name, part.seed, part.measured)
        rows += [Row(**row, seed=part.seed, command=command) for row in done["rows"]]
        spent += done["seconds"]
        for note in done["notes"]:
            print(note, file=sys.stderr)  # noqa: T201
    write_json(folder / "results.json", [dataclasses.asdict(row) for row in rows])
    origin = _origin(opened, command, numbers, spent)
    write_text(folder / "results.md", f"{origin}\n\n{tables(rows, style='github')}\n")
    return rows


def _origin(data: Data, command: str, seeds: Sequence[int], seconds: float) -> str:
    """Return what a reader needs to have the tables again: command, data, seeds, time and machine."""
    splits = data.manifest.splits
    voices = data.manifest.column(data.speaker) if data.speaker else data.manifest.ids
    groups = f"{data.speaker}s" if data.speaker else "recordings"
    sides = ", ".join(
        f"{(splits == part).sum()} {part} ({len(np.unique(voices[splits == part]))} {groups})"
        for part in ("train", "valid", "test")
    )
    lines = [
        ("command", f"`{command}`"),
        ("data", f"{sides}; fingerprint {data.manifest.fingerprint()}"),
        ("seeds", ", ".join(map(str, seeds))),
        ("seconds", f"{seconds:.0f}, training and measuring"),
        ("machine", f"{torch.get_num_threads()} threads, {platform.machine()}, torch {torch.__version__}"),
    ]
    return "\n".join(f"- {name}: {text}" for name, text in lines)


@dataclass(frozen=True)
class Part:
    """One thing to represent recordings by, and how to make it.

    Attributes:
        name: Its name in the tables; an encoder pair's formats are added to it.
        make: Work that returns embeddings of all recordings.
        data: What is measured.
        seed: For the measures.
    """

    name: str
    make: Callable[[], Embeddings]
    data: Data
    seed: int

    def measured(self) -> dict[str, Any]:
        """Make the representation and measure it: rows, and notes about what could not be measured."""
        clock = stopwatch()
        embeddings = self.make()
        seconds = round(clock(), 1)
        rows: list[dict[str, Any]] = []
        notes: list[str] = []
        views = {self.name: embeddings}
        if len(embeddings.parts) > 1:
            views = {f"{self.name}, {name}": embeddings.only(name) for name in embeddings.parts}
            views[f"{self.name}, both"] = embeddings
        for name, view in views.items():
            found, missing = _measures(view, self.data, self.seed)
            rows += [{**dataclasses.asdict(m), "representation": name, "seconds": seconds} for m in found]
            notes += [f"{name}: {note}" for note in missing]
        return {"rows": rows, "notes": notes, "seconds": round(clock(), 1)}


def _parts(data: Data, recipe: Recipe, folder: Path, seed: int, *, device: str, progress: bool) -> Iterator[Part]:
    runs = folder / "runs"
    where = pick_device(device)

    def pretrained() -> Embeddings:
        out = runs / f"pretrained-seed{seed}"
        found = pretrain(data, recipe, out, seed=seed, resume=out.exists(), device=device, progress=progress)
        return embed_store(found.model.to(where), data.store, progress=progress)

    def supervised() -> Embeddings:
        label = data.label or ""
        out = runs / f"supervised-seed{seed}"
        found = train_supervised(data, recipe, out, label=label, seed=seed, device=device, progress=progress)
        return embed_store(found.model.to(where), data.store, progress=progress)

    def control(name: str) -> Embeddings:
        manifest = data.store.manifest
        with threadpool_limits(1):  # many small products in threads of their own: a second layer only gets in the way
            vectors = CONTROLS[name](data.store, seed).astype(np.float32)
        labels = {label: manifest.column(label) for label in manifest.label_names}
        return Embeddings(vectors, manifest.ids, labels, {name: (0, vectors.shape[1])}, manifest.splits)

    for name in CONTROLS:
        yield Part(name, lambda name=name: control(name), data, seed)  # type: ignore[misc]
    yield Part("untrained", lambda: embed_store(untrained(data, recipe, seed=seed).to(where), data.store), data, seed)
    yield Part("pre-trained", pretrained, data, seed)
    if data.label is not None:
        yield Part("supervised", supervised, data, seed)


def _measures(embeddings: Embeddings, data: Data, seed: int) -> tuple[list[Measure], list[str]]:
    found: list[Measure] = []
    missing: list[str] = []
    if data.label is not None:
        found += measure_labels(embeddings, data.label, data.speaker, seed=seed)
    if data.speaker is not None:
        try:
            found += measure_voices(embeddings, data.label, data.speaker, seed=seed)
        except MeasureError as error:
            missing.append(f"voices are not measured: {error}")
    return found, missing


def _check_free(folder: Path, settings: dict[str, Any]) -> None:
    """Refuse a folder that holds something else than this study."""
    mark = folder / "study.json"
    if mark.is_file():
        if json.loads(mark.read_text(encoding="utf-8")) != json.loads(json.dumps(settings)):
            raise MfclError(f"{folder}: holds a study of other data or settings; choose another --out, or delete it")
    elif folder.is_dir() and any(folder.iterdir()):
        raise MfclError(f"{folder}: wanted an empty or new folder, found other files; choose another --out")
