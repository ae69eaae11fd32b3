"""Read files of weights; names, shapes, dtypes and values are checked before a model loads them."""

import hashlib
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from mfcl.errors import CheckpointError, shown

LARGEST_WEIGHT = 1e9
"""Largest absolute value of a weight; larger ones overflow within a few layers."""
LEAST = {"running_var": 0.0, "deviation": 1e-30}
"""Buffer -> smallest value, where the model divides by it or takes its root."""
FLOATS = (torch.float16, torch.bfloat16, torch.float32, torch.float64)


def digest(path: Path) -> str:
    """Return the SHA-256 of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def read_tensors(path: Path, wanted: Mapping[str, Tensor] | None = None, *, do: str) -> dict[str, Tensor]:
    """Read a file of tensors; no code in it is run.

    Args:
        path: A safetensors file.
        wanted: Names and shapes that it must have, compared before tensors are read.
        do: Advice if it is damaged, the end of the error message.

    Raises:
        CheckpointError: it is absent, damaged, or belongs to another model.
    """
    try:
        with safe_open(path, framework="pt") as file:
            names = list(file.keys())
            if wanted is not None:
                _check_shapes(path, wanted, {name: tuple(file.get_slice(name).get_shape()) for name in names})
            return {name: file.get_tensor(name) for name in names}
    except FileNotFoundError as error:
        raise CheckpointError(f"{path}: the weights are missing; {do}") from error
    except (SafetensorError, OSError, ValueError, TypeError, KeyError, OverflowError, RuntimeError) as error:
        reason = " ".join(str(error).split())[:200]
        raise CheckpointError(f"{path}: wanted safetensors, cannot read it ({reason}); {do}") from error


def read_weights(path: Path, wanted: Mapping[str, Tensor], *, do: str) -> dict[str, Tensor]:
    """Read the weights of a model; names, shapes and dtypes must be those of `wanted`, and values finite.

    Args:
        path: A safetensors file.
        wanted: The model's own state dict; it may be on the meta device.
        do: Advice if it is damaged, the end of the error message.

    Raises:
        CheckpointError: it is absent, damaged, of another model, or has values out of range.
    """
    found = read_tensors(path, wanted, do=do)
    for name, value in found.items():
        if wanted[name].is_floating_point():
            check_values(path, name, value, LARGEST_WEIGHT, do=do)
            least = LEAST.get(name.rpartition(".")[2], -LARGEST_WEIGHT)
            if value.numel() and float(value.min()) < least:
                raise CheckpointError(f"{path}: wanted {name} of {least:g} or more, got {float(value.min()):g}; {do}")
        elif value.dtype != wanted[name].dtype:
            raise CheckpointError(f"{path}: wanted {name} of {wanted[name].dtype}, got {value.dtype}; {do}")
    return found


def check_values(path: Path, name: str, value: Tensor, largest: float, *, do: str) -> None:
    """Refuse a tensor that is not floating-point, or has values that are not finite or larger than `largest`."""
    if value.dtype not in FLOATS:
        raise CheckpointError(f"{path}: wanted {name} of torch.float32, got {value.dtype}; {do}")
    if value.numel() and not float(value.abs().amax()) <= largest:  # false for NaN, too
        raise CheckpointError(f"{path}: {name} has a value that is not finite, or above {largest:g}; {do}")


def _check_shapes(path: Path, wanted: Mapping[str, Tensor], found: Mapping[str, tuple[int, ...]]) -> None:
    sizes = {name: tuple(value.shape) for name, value in wanted.items()}
    for name in [*sizes, *(name for name in found if name not in sizes)]:
        if sizes.get(name) != found.get(name):
            asked, came = (str(side.get(name, "nothing")) for side in (sizes, found))
            raise CheckpointError(
                f"{path}: wanted {shown(name)[1:-1]} of shape {asked}, got {came}; config.json is of another model"
            )
