"""Embedding: recordings a second, by format, from files and from the store, alone and in batches."""

import importlib.util
import itertools
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.models import model_to_time
from benchmarks.sounds import open_recordings, write_recordings
from benchmarks.timing import in_turn
from mfcl.checkpoint import load_checkpoint, save_checkpoint
from mfcl.data.store import Store
from mfcl.embedding_lists import embed
from mfcl.models.inference import Format, embed_store
from mfcl.recipe import load_recipe

RECIPES = ("default", "reference")
FORMATS: tuple[Format, ...] = ("wave", "mel", "both")
FEW = 16
"""Recordings one at a time, and of the reference in any case: it takes so long."""
PEER = "Resemblyzer, store, batch 1"
"""The one peer that a registry has with its weights; it takes one recording at a time."""


def measure(*, rounds: int = 2, tiny: bool = False) -> dict[str, Any]:
    """Return recordings a second of each recipe's encoders and of a peer, and the ratios of the two recipes."""
    count = 2 if tiny else 128
    with tempfile.TemporaryDirectory() as folder:
        recordings = write_recordings(Path(folder) / "sound", count)
        few = write_recordings(Path(folder) / "few", min(count, FEW))
        works: dict[str, Callable[[], Any]] = {}
        counts = {}
        for name in RECIPES:
            recipe = load_recipe(name)
            model = model_to_time(recipe)
            store = open_recordings(recordings, recipe, Path(folder) / "cache")
            for format, batch in itertools.product(FORMATS, (1, 64)):
                some = store.select(np.arange(min(count, FEW))) if batch == 1 or name == "reference" else store
                key = f"{name}, {format}, store, batch {batch}"
                works[key] = partial(embed_store, model, some, format=format, batch=batch)
                counts[key] = len(some)
            save_checkpoint(model, recipe, Path(folder) / name)
            checkpoint = load_checkpoint(Path(folder) / name)
            for format, batch in itertools.product(FORMATS, (1, 64)) if name == "default" else ():
                files, number = (few, min(count, FEW)) if batch == 1 else (recordings, count)
                key = f"{name}, {format}, files, batch {batch}"
                works[key] = partial(embed, checkpoint, files, format=format, batch=batch, progress=False)
                counts[key] = number
        if importlib.util.find_spec("resemblyzer"):
            works[PEER], counts[PEER] = _peer(store), min(count, FEW)
        seconds = in_turn(works, rounds=rounds)
    rates = {key: counts[key] / seconds[key] for key in works}
    found: dict[str, Any] = {"recordings_per_second": rates}
    for format in FORMATS:
        own, other = (rates[f"{name}, {format}, store, batch 64"] for name in RECIPES)
        found[f"ratio_default_over_reference_{format}"] = own / other
    return found


def _peer(store: Store) -> Callable[[], Any]:
    from resemblyzer import VoiceEncoder

    encoder = VoiceEncoder("cpu", verbose=False)
    clips = [store.clip(place) for place in range(min(len(store), FEW))]
    return lambda: [encoder.embed_utterance(clip) for clip in clips]


def rows(found: dict[str, Any]) -> list[tuple[str, str]]:
    """Return the lines of the table."""
    lines = [
        (f"embedding, {key}: recordings a second", f"{v:.0f}") for key, v in found["recordings_per_second"].items()
    ]
    if PEER not in found["recordings_per_second"]:
        lines.append((f"embedding, {PEER}: recordings a second", "not installed"))
    return lines + [(key.replace("_", " "), f"{value:.1f}") for key, value in found.items() if key[:5] == "ratio"]
