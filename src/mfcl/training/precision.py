"""The precision of an encoder, fp32 or bf16; chosen at the start of a run, then kept."""

from typing import Literal

import torch

from mfcl.recipe import Precision


def settle(precision: Precision, device: torch.device) -> Literal["fp32", "bf16"]:
    """Resolve `auto` to bf16 if the device has fast bf16, else to fp32; return other values as they are.

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
    # torch has no public function for this; if the private ones are gone, fp32 works everywhere
    asked = (getattr(torch.cpu, name, None) for name in ("_is_avx512_bf16_supported", "_is_amx_tile_supported"))
    return any(bool(question()) for question in asked if question is not None)
