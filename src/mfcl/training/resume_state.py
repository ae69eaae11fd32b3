"""Save and load the state of a run, so that a resumed run ends with the weights of an uninterrupted one.

The file is safetensors: weights, optimiser moments and averages as tensors, all else as JSON in its header. The
previous file is kept in case the latest is damaged.
"""

import json
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from mfcl.core.files import replacing
from mfcl.errors import CheckpointError, shown
from mfcl.training.adam import Adam
from mfcl.training.optim import Ema
from mfcl.training.run_folder import STATES

VERSION = "1"
NAME, PREVIOUS = STATES
CHECKSUM = "checksum"
"""Entry of the header; files of before have none."""


@dataclass
class Progress:
    """How far a run has come."""

    step: int = 0
    """Steps done."""
    lines: int = 0
    """Lines of `metrics.jsonl` written by then."""
    seconds: float = 0.0
    """Training time, including that before a resume."""
    finished: bool = False
    """Whether the weights are final; the optimiser's moments are not saved then."""
    recent: list[dict[str, float]] = field(default_factory=list)
    """Figures of the steps since the last line."""
    latest: dict[str, float] = field(default_factory=dict)
    """Figures of the last line."""


def save_state(run: Path, progress: Progress, task: nn.Module, optimiser: Adam, ema: Ema | None) -> None:
    """Save the state of a run; the previous file is kept.

    Raises:
        MfclError: the disk is full or the folder cannot be written; the old file is unchanged.
    """
    tensors = {f"task.{name}": value for name, value in task.state_dict().items()}
    if not progress.finished:
        for place, weight in enumerate(_weights(optimiser)):
            moments = optimiser.state.get(weight, {})
            tensors |= {f"optimiser.{place}.{key}": torch.as_tensor(value) for key, value in moments.items()}
        if ema is not None:
            tensors |= {f"ema.{name}": value for name, value in ema.average.items()}
    whole = {name: value.detach().cpu().contiguous() for name, value in tensors.items()}
    header = {"version": VERSION, "progress": json.dumps(vars(progress)), CHECKSUM: _checksum(whole)}
    path = run / NAME
    with replacing(path) as temporary:
        try:
            save_file(whole, temporary, metadata=header)
        except SafetensorError as error:  # wraps system errors, such as a full disk
            raise OSError(str(error)) from error
        if path.exists():
            path.replace(run / PREVIOUS)
    if progress.finished:
        (run / PREVIOUS).unlink(missing_ok=True)


def load_state(
    run: Path, task: nn.Module, optimiser: Adam, ema: Ema | None, *, say: Callable[[str], None]
) -> Progress | None:
    """Load the saved state of a run; if it is damaged, warn with `say` and load the previous one.

    Returns:
        The progress of the run; None if nothing was saved yet.

    Raises:
        CheckpointError: there are state files, but none can be used.
    """
    paths = [path for path in (run / NAME, run / PREVIOUS) if path.exists()]
    for path in paths:
        try:
            tensors, progress = _read(path)
            _check(tensors, task, path)
            if progress.finished:
                tensors = {name: value for name, value in tensors.items() if name.startswith("task.")}
            else:
                _check_moments(tensors, optimiser, ema, path)
        except CheckpointError as error:
            say(f"warning: {error}")
            continue
        _restore(tensors, task, optimiser, ema)
        return progress
    if paths:
        names = " and ".join(path.name for path in paths)
        raise CheckpointError(
            f"{run}: no saved state of this run can be used, as warned; "
            f"go on with the version of mfcl that began it, or delete {names} there and begin again"
        )
    return None


def _read(path: Path) -> tuple[dict[str, Tensor], Progress]:
    try:
        with safe_open(path, framework="pt") as file:
            header = file.metadata() or {}
            if header.get("version") != VERSION:
                raise CheckpointError(
                    f"{path}: wanted a state of version {VERSION}, got {header.get('version')}; "
                    "resume with the version of mfcl that began the run"
                )
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a mapping)
        if CHECKSUM in header and header[CHECKSUM] != _checksum(tensors):
            raise ValueError("its bytes are not those that were written")
        return tensors, _progress(json.loads(header["progress"]))
    except (SafetensorError, OSError, ValueError, TypeError, KeyError, RecursionError, RuntimeError) as error:
        raise CheckpointError(f"{path}: damaged ({' '.join(str(error).split())[:200]}); it is not used") from error


def _checksum(tensors: Mapping[str, Tensor]) -> str:
    """Return a checksum of all values: a weight with a flipped bit may be finite, and would be learned on from."""
    found = 1
    for name in sorted(tensors):
        found = zlib.adler32(tensors[name].reshape(-1).view(torch.uint8).numpy().data, found)
    return f"{found:08x}"


def _progress(kept: Any) -> Progress:
    """Return the progress from the header of a state file.

    Raises:
        ValueError: an entry has a wrong value.
        TypeError: an entry is unknown, or of a wrong type.
    """
    progress = Progress(**kept)
    figures = [*progress.recent, progress.latest] if isinstance(progress.recent, list) else []
    numbers = [progress.seconds, *(value for line in figures for value in dict(line).values())]
    if not (
        figures
        and all(type(count) is int and count >= 0 for count in (progress.step, progress.lines))
        and all(type(number) in (int, float) for number in numbers)
        and progress.seconds >= 0
        and type(progress.finished) is bool
    ):
        raise ValueError(f"the progress is {shown(kept)}")
    return progress


def _check(tensors: Mapping[str, Tensor], task: nn.Module, path: Path) -> None:
    state = {f"task.{name}": value for name, value in task.state_dict().items()}
    wanted = {name: value.shape for name, value in state.items()}
    found = {name: value.shape for name, value in tensors.items() if name.startswith("task.")}
    if wanted != found:
        name = next(name for name in [*wanted, *found] if wanted.get(name) != found.get(name))
        raise CheckpointError(
            f"{path}: wanted {name} of shape {_shape(wanted.get(name))}, got {_shape(found.get(name))}; it is not used"
        )
    for name, value in state.items():
        if tensors[name].dtype != value.dtype:
            raise CheckpointError(f"{path}: wanted {name} of {value.dtype}, got {tensors[name].dtype}; it is not used")


def _check_moments(tensors: Mapping[str, Tensor], optimiser: Adam, ema: Ema | None, path: Path) -> None:
    """Refuse optimiser moments and averages that do not fit the weights."""
    for place, weight in enumerate(_weights(optimiser)):
        start = f"optimiser.{place}."
        found = {name.removeprefix(start): value.shape for name, value in tensors.items() if name.startswith(start)}
        wanted = {"step": torch.Size([]), "exp_avg": weight.shape, "exp_avg_sq": weight.shape}
        if found and found != wanted:  # a weight without a gradient has none
            raise CheckpointError(f"{path}: moments of weight {place} do not fit, got {shown(found)}; it is not used")
    known = {f"optimiser.{place}" for place in range(len(_weights(optimiser)))}
    averages = {f"ema.{name}": value.shape for name, value in (ema.average if ema is not None else {}).items()}
    for name, value in tensors.items():
        whole = name.startswith("task.") or name.rpartition(".")[0] in known or averages.get(name) == value.shape
        if not whole or not torch.isfinite(value).all():
            raise CheckpointError(f"{path}: {shown(name)} is not of this run, or not finite; it is not used")
    for name in averages:
        if name not in tensors:
            raise CheckpointError(f"{path}: wanted {name}, it is missing; it is not used")


def _restore(tensors: Mapping[str, Tensor], task: nn.Module, optimiser: Adam, ema: Ema | None) -> None:
    groups: dict[str, dict[str, Tensor]] = {"task": {}, "optimiser": {}, "ema": {}}
    for name, value in tensors.items():
        group, _, rest = name.partition(".")
        groups[group][rest] = value
    task.load_state_dict(groups["task"])
    for name, value in groups["ema"].items():
        if ema is not None:
            ema.average[name].copy_(value)
    weights = _weights(optimiser)
    optimiser.state.clear()
    for name, value in groups["optimiser"].items():
        place, key = name.split(".", 1)
        weight = weights[int(place)]
        if value.shape == weight.shape and key != "step":  # in the weight's memory layout, for identical rounding
            value = torch.empty_like(weight.detach()).copy_(value)
        optimiser.state[weight][key] = value.to(weight.device)


def _weights(optimiser: Adam) -> list[Tensor]:
    return [weight for group in optimiser.param_groups for weight in group["params"]]


def _shape(shape: torch.Size | None) -> str:
    return "nothing" if shape is None else str(tuple(shape))
