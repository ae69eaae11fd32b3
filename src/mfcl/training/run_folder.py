"""What a run folder is: how one is known, and what may be deleted in it; what is not a run's is never touched."""

import contextlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import mfcl
from mfcl.checkpoint import FILES as MODEL
from mfcl.checkpoint import WHITENING
from mfcl.core.files import OWN_TEMPORARY, entries, read_json
from mfcl.core.yaml_text import read_yaml
from mfcl.errors import CheckpointError, MfclError

ENVIRONMENT = "environment.json"
"""Written first; its entry `written_by` says that the folder is a run's."""
BEGUN = (ENVIRONMENT, "config.yaml", "data.json")
METRICS, LOG = "metrics.jsonl", "train.log"
STATES = ("state.safetensors", "state.previous.safetensors")
HEADS = "heads.safetensors"
"""The projection heads of a pre-training: what brings the two formats into one space."""
MARK = "written_by"
OWN = (*BEGUN, METRICS, LOG, *STATES, HEADS, *(f"model/{name}" for name in (*MODEL, WHITENING)))
"""All files of a run that a new one in its place must not find."""


def marked(environment: Mapping[str, Any]) -> dict[str, Any]:
    """Return what `environment.json` holds, with the mark of a run."""
    return {**environment, MARK: f"mfcl {mfcl.__version__}"}


def is_run(folder: Path) -> bool:
    """Tell whether a folder holds a run: by its mark, or by what version 0.1 wrote into one."""
    with contextlib.suppress(MfclError):
        known = read_json(folder / ENVIRONMENT, do="")
        versions = known.get("versions")
        if str(known.get(MARK)).startswith("mfcl ") or (isinstance(versions, dict) and "mfcl" in versions):
            return True
    with contextlib.suppress(MfclError, OSError, ValueError):  # 0.1 wrote this one first
        config = read_yaml((folder / "config.yaml").read_text(encoding="utf-8"))
        return isinstance(config, dict) and {"seed", "settings", "recipe"} <= set(config)
    return False


def check_place(run: Path, *, resume: bool, overwrite: bool) -> bool:
    """Tell whether a run can be gone on with in a folder, and refuse one where none can be begun either.

    Args:
        run: The folder.
        resume: Go on with the run in it, or begin it.
        overwrite: Begin a run in place of the one in it.

    Raises:
        CheckpointError: it is a file; or holds something, and neither is asked or it holds no run; or the record of
            its run is not whole.
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
            "go on with it (resume), replace it (overwrite) or choose another"
        )
    if not is_run(run):
        raise CheckpointError(f"{run}: holds files, but no run of mfcl; nothing was touched, choose another folder")
    if overwrite:
        return False
    absent = [name for name in BEGUN if not (run / name).is_file()]
    if absent and any((run / name).exists() for name in STATES):
        raise CheckpointError(f"{run / absent[0]}: it is missing, so the run cannot be continued; begin another")
    return not absent


def clear(run: Path) -> None:
    """Delete the files of an earlier run, and no others."""
    for name in OWN:
        (run / name).unlink(missing_ok=True)
    for folder in (run, run / "model"):
        for path in folder.glob(".*.tmp"):  # of a process that was killed
            if OWN_TEMPORARY.fullmatch(path.name):
                path.unlink(missing_ok=True)
