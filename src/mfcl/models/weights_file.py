"""Files of tensors from anywhere: names, shapes, kinds and values are checked before a model takes them."""

import hashlib
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from mfcl.errors import CheckpointError, shown

LARGEST_WEIGHT = 1e9
"""What is larger overflows a few layers on."""
LEAST = {"running_var": 0.0, "deviation": 1e-30}
"""What is divided by, or whose root is taken."""
FLOATS = (torch.float16, torch.bfloat16, torch.float32, torch.float64)


def digest(path: Path) -> str:
    """Return the SHA-256 of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def read_tensors(path: Path, wanted: Mapping[str, Tensor] | None = None, *, do: str) -> dict[str, Tensor]:
    """Read a file of tensors; nothing in it is ever run.

    Args:
        path: A safetensors file.
        wanted: Names and shapes that it must have, compared before memory is taken.
        do: What to do if it is damaged, as the end of the message.

    Raises:
        CheckpointError: it is absent, damaged, or of another model.
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
    """Read the weights of a model: those of `wanted`, of the same kind, finite and of reasonable size.

    Args:
        path: A safetensors file.
        wanted: The model's own state, its values may be absent (on the device meta).
        do: What to do if it is damaged, as the end of the message.

    Raises:
        CheckpointError: it is absent, damaged, of another model, or would give vectors that are not finite.
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
    """Refuse a tensor that holds no floating-point numbers, or one that is not finite or larger than `largest`."""
    if value.dtype not in FLOATS:
        raise CheckpointError(f"{path}: wanted {name} of torch.float32, got {value.dtype}; {do}")
    if value.numel() and not float(value.abs().amax()) <= largest:  # a NaN is not either
        raise CheckpointError(f"{path}: {name} has a value that is not finite, or above {largest:g}; {do}")


def _check_shapes(path: Path, wanted: Mapping[str, Tensor], found: Mapping[str, tuple[int, ...]]) -> None:
    sizes = {name: tuple(value.shape) for name, value in wanted.items()}
    for name in [*sizes, *(name for name in found if name not in sizes)]:
        if sizes.get(name) != found.get(name):
            asked, came = (str(side.get(name, "nothing")) for side in (sizes, found))
            raise CheckpointError(
                f"{path}: wanted {shown(name)[1:-1]} of shape {asked}, got {came}; config.json is of another model"
            )
