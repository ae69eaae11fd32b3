"""Times that compare: all candidates in turn, several rounds, medians; and what machine it was."""

import os
import platform
import statistics
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch

from mfcl.core.parallel import core_count


def in_turn(
    works: Mapping[str, Callable[[], Any]], *, rounds: int, clock: Callable[[], float] = time.perf_counter
) -> dict[str, float]:
    """Return the median seconds of each work: all once to warm up, then A B C, A B C, ...

    What disturbs the machine for a while disturbs all of them; ratios of these times hold where times do not.
    """
    for work in works.values():
        work()
    seconds: dict[str, list[float]] = {name: [] for name in works}
    for _ in range(rounds):
        for name, work in works.items():
            start = clock()
            work()
            seconds[name].append(clock() - start)
    return {name: statistics.median(found) for name, found in seconds.items()}


def machine() -> dict[str, Any]:
    """Return what the times depend on."""
    return {
        "cores": core_count(),
        "threads": torch.get_num_threads(),
        "processor": platform.machine(),
        "model": _processor(),
        "torch": torch.__version__,
        "load": round(os.getloadavg()[0], 2),
    }


def matrix_rates(device: torch.device, *, size: int, rounds: int) -> dict[str, float]:
    """Return the multiply-adds a second of a large matrix product, by arithmetic: what the machine can do at most."""
    works = {}
    for name, kind in (("fp32", torch.float32), ("bf16", torch.bfloat16)):
        a, b = (torch.randn(size, size, device=device).to(kind) for _ in range(2))

        def multiply(a: torch.Tensor = a, b: torch.Tensor = b) -> None:
            for _ in range(4):
                a @ b
            wait(device)

        works[name] = multiply
    return {name: 4 * size**3 / seconds for name, seconds in in_turn(works, rounds=rounds).items()}


def wait(device: torch.device) -> None:
    """Wait until a device has done what it was told."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def _processor() -> str:
    try:
        with Path("/proc/cpuinfo").open(encoding="utf-8") as file:
            return next(line.split(":", 1)[1].strip() for line in file if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor()
