"""The files of a saved model: where they are, and what is checked before they are believed."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

import mfcl
from mfcl.core.files import is_there, read_json
from mfcl.embeddings.study_files import is_study, main_embeddings, run_of, without_model
from mfcl.embeddings.whitening import Whitening
from mfcl.errors import CheckpointError, one_of, shown
from mfcl.models.weights_file import check_values, digest, read_tensors

FORMAT = 2
"""Version of the folder's format; 1 is read if its model has no landmarks, as they are measured otherwise since 2."""
CONFIG, WEIGHTS, CARD = FILES = ("config.json", "model.safetensors", "README.md")
WHITENING = "whitening.safetensors"
"""Optional file: the mean and the directions of the whitening of each part of an embedding."""
KEYS: dict[str, type] = {"format": int, "mfcl_version": str, "dims": dict, "recipe": dict, "facts": dict}
ONLY_FORMAT = "format"
"""Fact of a model of which one encoder alone is trained: its format, the model's `default_format`."""
DIGESTS = "digests"
"""Entry with the SHA-256 of the weights and the whitening; version 0.1 did not write it."""
LARGEST_DIRECTION = 1e15
"""Largest value in a whitening: directions of small variance have large values."""
DAMAGED = "copy the checkpoint again"


def model_folder(folder: Path) -> Path:
    """Return the folder of a model: the folder itself, its subfolder `model`, or that of a study's main model.

    Raises:
        CheckpointError: there is none.
    """
    for path in (folder, folder / "model"):
        if is_there(path / CONFIG):
            return path
    if is_study(folder) and (run := run_of(main_embeddings(folder))) is not None:
        return run / "model"
    if unfinished := without_model(folder):
        raise CheckpointError(unfinished)
    found = "nothing there" if not is_there(folder) else "no config.json in it or in its folder `model`"
    raise CheckpointError(
        f"{folder}: wanted a checkpoint or a run folder, found {found}; give the folder that mfcl train wrote"
    )


def read_config(path: Path) -> dict[str, Any]:
    """Return the entries of a `config.json`, each of its type.

    Raises:
        CheckpointError: another version's, an entry that is missing, unknown or of another type.
    """
    config: dict[str, Any] = read_json(path, do=DAMAGED, error=CheckpointError)
    if config.get("format") not in (1, FORMAT):
        raise CheckpointError(
            f"{path}: wanted a checkpoint of format {FORMAT}, got {shown(config.get('format'))}; "
            "use the version of mfcl that wrote it"
        )
    for key in config:
        if key not in (*KEYS, DIGESTS):
            raise CheckpointError(
                f"{path}: {one_of('entry of a checkpoint', shown(key)[1:-1], KEYS)}; it was written by mfcl "
                f"{shown(config.get('mfcl_version', '(unknown)')).strip(chr(39))}, this is {mfcl.__version__}"
            )
    for key, kind in KEYS.items():
        if key not in config:
            raise CheckpointError(f"{path}: wanted the entry {key!r}, it is missing; {DAMAGED}")
        if not isinstance(config[key], kind):
            raise CheckpointError(f"{path}: wanted {key!r} as {kind.__name__}, got {shown(config[key])}; {DAMAGED}")
    return config


def check_digests(folder: Path, wanted: Any) -> None:
    """Refuse weights or a whitening whose digest is not that in `config.json`; version 0.1 wrote none."""
    if wanted is None:
        return
    if not isinstance(wanted, dict) or WEIGHTS not in wanted:
        raise CheckpointError(f"{folder / CONFIG}: wanted the digests of the weights, got {shown(wanted)}; {DAMAGED}")
    for name in (WEIGHTS, WHITENING):
        path = folder / name
        if not path.is_file():
            if name in wanted and name != WEIGHTS:  # missing weights raise their own error later
                raise CheckpointError(f"{path}: it is missing, although config.json names it; {DAMAGED}")
        elif name not in wanted:
            raise CheckpointError(f"{path}: it is of another model, config.json does not name it; delete it")
        elif digest(path) != wanted[name]:
            raise CheckpointError(f"{path}: its bytes are not those that were written with config.json; {DAMAGED}")


def whitening_arrays(whitening: Mapping[str, Whitening]) -> dict[str, np.ndarray]:
    """Return the arrays that `read_whitening` reads, by their names in the file."""
    return {
        f"{part}.{name}": np.ascontiguousarray(getattr(one, name))
        for part, one in whitening.items()
        for name in ("mean", "directions")
    }


def read_whitening(path: Path) -> dict[str, Whitening]:
    """Return the whitening of each part of an embedding; there is none if there is no file.

    Raises:
        CheckpointError: arrays that are missing, unknown, not finite, or of sizes that do not fit.
    """
    if not path.is_file():
        return {}
    found, made = read_tensors(path, do=DAMAGED), {}
    for name, value in found.items():
        check_values(path, name, value, LARGEST_DIRECTION, do=DAMAGED)
        part, _, kind = name.rpartition(".")
        if kind not in ("mean", "directions"):
            raise CheckpointError(f"{path}: wanted mean and directions of each part, got {shown(name)}; {DAMAGED}")
        for other in (f"{part}.mean", f"{part}.directions"):
            if other not in found:
                raise CheckpointError(f"{path}: wanted {other!r}, it is missing; {DAMAGED}")
        mean, directions = found[f"{part}.mean"], found[f"{part}.directions"]
        if mean.ndim != 1 or directions.ndim != 2 or len(mean) != len(directions):
            sizes = f"{tuple(mean.shape)} and {tuple(directions.shape)}"
            raise CheckpointError(f"{path}: wanted {part!r} of shapes (dim,) and (dim, kept), got {sizes}; {DAMAGED}")
        made[part] = Whitening(mean.float().numpy(), directions.float().numpy())
    return made
