"""Whether an encoder calculates in bf16: settled once, at the start of a run, and then kept."""

from typing import Literal

import torch

from mfcl.recipe import Precision


def settle(precision: Precision, device: torch.device) -> Literal["fp32", "bf16"]:
    """Return the arithmetic that `auto` means on a device; the other two mean themselves.

    Example:
        >>> settle("bf16", torch.device("cpu"))
        'bf16'
    """
    if precision != "auto":
        return precision
    return "bf16" if _has_bf16(device) else "fp32"


def _has_bf16(device: torch.device) -> bool:
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if device.type != "cpu":
        return False
    # torch has no public question for this; without an answer fp32 is right everywhere and merely slower
    asked = (getattr(torch.cpu, name, None) for name in ("_is_avx512_bf16_supported", "_is_amx_tile_supported"))
    return any(bool(question()) for question in asked if question is not None)
