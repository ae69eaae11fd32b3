"""Recognise a run folder, and delete the files of an old run; other files are never touched."""

import contextlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import mfcl
from mfcl.checkpoint_files import FILES as MODEL
from mfcl.checkpoint_files import WHITENING
from mfcl.core.files import OWN_TEMPORARY, entries, read_json
from mfcl.core.yaml_text import read_yaml
from mfcl.data.manifest import Manifest
from mfcl.errors import CheckpointError, MfclError

ENVIRONMENT = "environment.json"
"""Written first; its entry `written_by` marks a folder as a run folder."""
BEGUN = (ENVIRONMENT, "config.yaml", "data.json")
METRICS, LOG = "metrics.jsonl", "train.log"
STATES = ("state.safetensors", "state.previous.safetensors")
HEADS = "heads.safetensors"
"""The projection heads of a pre-training, which map both formats to one space."""
CLASSIFIERS = "classifiers.safetensors"
"""The output layers of a supervised training, one for each format."""
MANIFEST = "manifest.csv"
"""Lists the recordings and their splits."""
MARK = "written_by"
OWN = (*BEGUN, METRICS, LOG, *STATES, HEADS, CLASSIFIERS, *(f"model/{name}" for name in (*MODEL, WHITENING)))
"""All files of a run; `clear` deletes them."""


def marked(environment: Mapping[str, Any]) -> dict[str, Any]:
    """Return the contents of `environment.json`, with the entry that marks a run."""
    return {**environment, MARK: f"mfcl {mfcl.__version__}"}


def is_run(folder: Path) -> bool:
    """Tell whether a folder holds a run: by its mark, or by the files of version 0.1."""
    with contextlib.suppress(MfclError):
        known = read_json(folder / ENVIRONMENT, do="")
        versions = known.get("versions")
        if str(known.get(MARK)).startswith("mfcl ") or (isinstance(versions, dict) and "mfcl" in versions):
            return True
    with contextlib.suppress(MfclError, OSError, ValueError):  # version 0.1 wrote this file first
        config = read_yaml((folder / "config.yaml").read_text(encoding="utf-8"))
        return isinstance(config, dict) and {"seed", "settings", "recipe"} <= set(config)
    return False


def check_place(run: Path, *, resume: bool, overwrite: bool) -> bool:
    """Tell whether a run in a folder will be continued (True) or a new one begun (False).

    Args:
        run: The folder.
        resume: Continue the run in it, or begin one.
        overwrite: Replace the run in it.

    Raises:
        CheckpointError: it is a file; it is not empty, and neither option is given; it holds files but no run; or
            files of its run are missing.
    """
    try:
        used = bool(entries(run))
    except MfclError as error:
        raise CheckpointError(str(error)) from error
    if not used:
        return False
    if not (resume or overwrite):
        raise CheckpointError(
            f"{run}: wanted a new or empty run folder, found something there; "
            "go on with it (--resume; in Python resume=True), replace it (--overwrite) or choose another"
        )
    if not is_run(run):
        raise CheckpointError(f"{run}: holds files, but no run of mfcl; nothing was touched, choose another folder")
    if overwrite:
        return False
    absent = [name for name in BEGUN if not (run / name).is_file()]
    if absent and any((run / name).exists() for name in STATES):
        raise CheckpointError(f"{run / absent[0]}: it is missing, so the run cannot be continued; begin another")
    return not absent


def resumed_fingerprint(manifest: Manifest, run: Path) -> str:
    """Return the fingerprint of the recordings, in version 0.1's form if the run in `run` was begun with that."""
    path = run / "data.json"
    try:
        known = json.loads(path.read_text(encoding="utf-8"))["fingerprint"]
        return manifest.fingerprint_like(known, path.stat().st_mtime)
    except (OSError, ValueError, KeyError, TypeError):  # no run, or a damaged one, which `fit` refuses
        return manifest.fingerprint()


def clear(run: Path) -> None:
    """Delete the files of an earlier run, and no others."""
    for name in OWN:
        (run / name).unlink(missing_ok=True)
    for folder in (run, run / "model"):
        for path in folder.glob(".*.tmp"):  # of a process that was killed
            if OWN_TEMPORARY.fullmatch(path.name):
                path.unlink(missing_ok=True)
