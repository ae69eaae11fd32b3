"""Where a study keeps its embeddings, and the run of the model that made them.

A study has `study.json`, `embeddings/NAME.npz`, and for trained models `runs/NAME`, a run's folder.
"""

import json
from pathlib import Path
from typing import Any

from mfcl.core.files import is_there
from mfcl.errors import MeasureError

SETTINGS = "study.json"
EMBEDDINGS, RUNS = "embeddings", "runs"
PREFERRED = ("pre-trained", "supervised", "untrained")
"""Kinds of models, the first to be shown first."""


def without_model(folder: Path) -> str:
    """Return what to say of a run's folder that has no model, as its training has not ended; "" of any other folder."""
    begun = is_there(folder / "config.yaml") and is_there(folder / "metrics.jsonl")
    if not begun or is_there(folder / "model"):
        return ""
    return (
        f"{folder}: this run has no model yet, as its training has not ended; go on with `mfcl train`, the same data, "
        "--out and --resume"
    )


def is_study(folder: Path) -> bool:
    """Return whether a folder is a study's."""
    if is_there(folder / SETTINGS):
        return True
    return is_there(folder / EMBEDDINGS) and any(folder.glob(f"{EMBEDDINGS}/*.npz"))


def main_embeddings(folder: Path) -> Path:
    """Return the embeddings of a study's pre-trained model, or of another one where it has none.

    A study that compares settings has several pre-trained models: the one with the study's own recipe is meant.

    Raises:
        MeasureError: nothing is embedded yet.
    """
    files = sorted(path for path in folder.glob(f"{EMBEDDINGS}/*.npz") if not path.stem.endswith(".neighbours"))
    if not files:
        raise MeasureError(f"{folder}: a study without embeddings yet; wait until its model is trained")
    for kind in PREFERRED:
        if own := [path for path in files if path.stem.startswith(f"{kind}-seed")]:
            recipe = _recipe(folder / SETTINGS)
            runs = {path: folder / RUNS / path.stem for path in own}
            same = [path for path, run in runs.items() if recipe and _recipe(run / "model" / "config.json") == recipe]
            return (same or own)[0]
    return files[0]


def run_of(embeddings: Path) -> Path | None:
    """Return the run whose model made a study's embeddings; None for other files, and where no run was kept."""
    if embeddings.parent.name != EMBEDDINGS:
        return None
    run = embeddings.parents[1] / RUNS / embeddings.stem
    return run if is_there(run / "model" / "config.json") else None


def _recipe(path: Path) -> Any:
    """Return a file's recipe; None where there is none that can be read: this only chooses between models."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return found.get("recipe") if isinstance(found, dict) else None
