"""Exported files (ONNX, 8-bit weights, torch.export): size, clips a second, difference; accuracy of a model given."""

import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.models import model_to_time, sound
from benchmarks.timing import in_turn
from mfcl.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from mfcl.core.random import generator
from mfcl.data.dataset import Data, open_data
from mfcl.embeddings.table import Embeddings
from mfcl.evaluation.tasks import measure_labels, measure_voices
from mfcl.evaluation.wording import task
from mfcl.exporting import export_onnx, export_pt2
from mfcl.exporting.onnx_file import open_session, run_session
from mfcl.exporting.pt2_file import load_pt2, run_pt2
from mfcl.models.inference import LONGEST_SECONDS, Listed, embed_clips, part_bounds
from mfcl.recipe import load_recipe

CLIPS, BATCH = 64, 8
MOST = {"train": 800, "valid": 400}
"""Recordings, drawn with seed 0, that probes are fitted on and asked of."""
SHARES = ("accuracy", "eer")
"""Metrics in per cent."""
Encode = Callable[[Sequence[np.ndarray]], np.ndarray]


def measure(
    *, rounds: int = 3, model: Path | None = None, data: Path | None = None, tiny: bool = False
) -> dict[str, Any]:
    """Return size, speed and differences of the files of a model, and its accuracy by each of them.

    Args:
        rounds: Rounds in turn.
        model: A trained model; default: `default` with random weights and landmarks.
        data: Recordings for accuracy, with labels; `valid` is asked (drawn from `train` if absent), `test` left alone.
        tiny: Next to nothing.
    """
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        loaded = _random(folder, tiny=tiny) if model is None else load_checkpoint(model)
        encoders, sizes = _encoders(loaded, folder)
        given = data if model else None
        opened = given and open_data(given, loaded.recipe.preparation, cache=folder / "cache", progress=False)
        found = {"sizes_mb": sizes, **_speeds(encoders, _clips(loaded, opened, BATCH if tiny else CLIPS), rounds)}
        if opened is None:
            return {**found, "said": "accuracy takes a trained model and its recordings: --model and --data"}
        whole = {name: encode for name, encode in encoders.items() if name != "torch.export"}  # it takes 10 s at most
        return {**found, "accuracy": _accuracy(loaded, opened, whole)}


def _random(folder: Path, *, tiny: bool) -> Checkpoint:
    small = ["model.wave.width=0.1", "model.mel.width=0.25", "model.landmarks.count=8"]
    recipe = load_recipe("default", small if tiny else [])
    save_checkpoint(model_to_time(recipe), recipe, folder / "model")
    return load_checkpoint(folder / "model")


def _encoders(loaded: Checkpoint, folder: Path) -> tuple[dict[str, Encode], dict[str, float]]:
    """Export the model; return what embeds a batch of clips, and the files' sizes."""
    rate = loaded.recipe.preparation.sample_rate
    plain, small = export_onnx(loaded, folder / "model.onnx", int8=folder / "model8.onnx")
    program = export_pt2(loaded, folder / "model.pt2")
    files = {"ONNX": plain, "ONNX, 8-bit weights": small, "torch.export": program}

    def by_onnx(session: Any, clips: Sequence[np.ndarray]) -> np.ndarray:
        return run_session(session, clips, ["embedding"])[0]

    network, facts = load_pt2(program.path)
    encoders: dict[str, Encode] = {
        "torch": lambda clips: embed_clips(loaded.model, Listed(clips), rate, batch=BATCH),
        "ONNX": partial(by_onnx, open_session(plain.path)),
        "ONNX, 8-bit weights": partial(by_onnx, open_session(small.path)),
        "torch.export": lambda clips: run_pt2(network, clips, int(facts["multiple"]))["embedding"],
    }
    return encoders, {name: one.size / 1e6 for name, one in files.items()}


def _clips(loaded: Checkpoint, data: Data | None, count: int) -> list[np.ndarray]:
    """Return clips of at most 10 s: of validation recordings, or generated."""
    rate = loaded.recipe.preparation.sample_rate
    if data is None:
        return [sound(rate, seed) for seed in range(count)]
    held, most = _drawn(data, "valid")[:count], int(LONGEST_SECONDS * rate)
    return [data.store.clip(place)[:most] for place in held.tolist()]


def _speeds(encoders: Mapping[str, Encode], clips: list[np.ndarray], rounds: int) -> dict[str, Any]:
    """Return clips a second of the processor's time, and the median distance to torch's vectors, by encoder."""
    works = {name: partial(_encoded, encode, clips) for name, encode in encoders.items()}
    seconds = in_turn(works, rounds=rounds, clock=time.process_time)
    vectors = {name: work() for name, work in works.items()}
    wanted = vectors.pop("torch")
    size = np.linalg.norm(wanted, axis=1)
    return {
        "clips_per_processor_second": {name: len(clips) / one for name, one in seconds.items()},
        "median_difference": {
            name: float(np.median(np.linalg.norm(own - wanted, axis=1) / size)) for name, own in vectors.items()
        },
    }


def _encoded(encode: Encode, clips: Sequence[np.ndarray]) -> np.ndarray:
    """Return the vectors of clips, in batches of clips of similar length."""
    order = np.argsort([len(clip) for clip in clips], kind="stable")
    made = [encode([clips[place] for place in order[first : first + BATCH]]) for first in range(0, len(order), BATCH)]
    return np.concatenate(made)[np.argsort(order)]


def _drawn(data: Data, split: str) -> np.ndarray:
    """Return the places of recordings of a split."""
    places = np.flatnonzero(data.manifest.splits == split)
    return generator(0, "exported", split).permutation(places)[: MOST[split]]


def _accuracy(loaded: Checkpoint, data: Data, encoders: Mapping[str, Encode]) -> dict[str, dict[str, float]]:
    """Return what probes reach on validation recordings, by encoder; a fifth of the train speakers tunes them."""
    train, valid = _drawn(data, "train"), _drawn(data, "valid")
    places = np.concatenate([train, valid])
    clips = [data.store.clip(place) for place in places.tolist()]
    groups = data.manifest.column(data.speaker)[train] if data.speaker else np.arange(len(train)).astype(str)
    strength = np.isin(groups, np.unique(groups)[::5])
    splits = np.array([*np.where(strength, "valid", "train"), *["test"] * len(valid)])
    labels = {name: data.manifest.column(name)[places] for name in data.manifest.label_names}
    found: dict[str, dict[str, float]] = {}
    for name, encode in encoders.items():
        vectors = _encoded(encode, clips)
        table = Embeddings(vectors, data.manifest.ids[places], labels, part_bounds(loaded.model), splits)
        results = measure_labels(table.made_for("words"), data.label, data.speaker, seed=0) if data.label else []
        if data.speaker:
            results += measure_voices(table.made_for("voices"), data.label, data.speaker, seed=0)
        found[name] = {
            f"{task(one.question)}, {one.question.metric}": one.value
            for one in results
            if one.question.metric in SHARES
        }
    return found


def rows(found: dict[str, Any]) -> list[tuple[str, str]]:
    """Return the lines of the table."""
    lines = [(f"exported, {name}: MB", f"{size:.1f}") for name, size in found["sizes_mb"].items()]
    lines += [
        (f"exported, {name}, batches of {BATCH}: clips a processor second", f"{rate:.0f}")
        for name, rate in found["clips_per_processor_second"].items()
    ]
    lines += [
        (f"exported, {name}: median distance to torch's vectors", f"{apart:.1e}")
        for name, apart in found["median_difference"].items()
    ]
    if "said" in found:
        return [*lines, ("exported, accuracy", found["said"])]
    return lines + [
        (f"exported, {name}, {what}, %", f"{value:.2f}")
        for name, each in found["accuracy"].items()
        for what, value in each.items()
    ]
