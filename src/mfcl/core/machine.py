"""Device, threads, memory allocation and random weights of this process, and a stopwatch."""

import contextlib
import functools
import os
import re
import time
from collections.abc import Callable, Iterator

import torch

from mfcl.core.limits import MOST_THREADS
from mfcl.core.memory import keep_blocks
from mfcl.core.parallel import core_count
from mfcl.errors import MfclError, check_number, shown


def set_threads(threads: int | None) -> None:
    """Set the number of torch threads; None keeps it.

    Raises:
        MfclError: fewer than 1 or more than `MOST_THREADS`.
    """
    if threads is None:
        return
    check_number("threads", threads, 1, MOST_THREADS, whole=True)
    torch.set_num_threads(threads)


def use_machine(threads: int | None) -> int:
    """Configure the threads and memory allocation of this process; return the number of threads.

    Only the command, and a program that asks for it (`mfcl.prepare_process`), calls this: a library should not change a
    program's process. The number of threads is `threads`,
    else OMP_NUM_THREADS, else the number of cores that this process may use; with more threads than cores training
    takes twice as long. glibc is told to keep large freed blocks. If it returns them to the system after each layer,
    page faults double the time of a training step (measured; see `docs/decisions/0006-keep-large-blocks.md`).
    """
    told = os.environ.get("OMP_NUM_THREADS", "").partition(",")[0]
    allowed = (min(int(told), MOST_THREADS) if re.fullmatch("[0-9]{1,9}", told) else 0) or core_count()
    asked = allowed if threads is None else threads
    set_threads(asked)
    survive_fork()
    keep_blocks()
    return asked


@functools.cache
def survive_fork() -> None:
    """Make forked child processes use one torch thread, so that they do not hang.

    A child does not have its parent's threads, but torch's OpenMP would wait for them forever. `fork` is the default
    start method of `multiprocessing` on Linux up to Python 3.13.
    """
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=functools.partial(torch.set_num_threads, 1))


@contextlib.contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Let random weights made on the processor depend on a seed alone inside a `with` block.

    torch's generators are afterwards as before: `torch.manual_seed` would set those of GPUs, too, for good.
    """
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        yield


def pick_device(device: str) -> torch.device:
    """Return the device of that name; `auto` is CUDA if available, else the CPU."""
    if isinstance(device, str) and device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        return torch.empty(0, device=device).device
    except (RuntimeError, AssertionError, TypeError) as error:  # TypeError: it is no name at all
        reason = str(error).splitlines()[0]
        raise MfclError(f"device {shown(device)} cannot be used here ({reason}); use auto or cpu") from error


def stopwatch() -> Callable[[], float]:
    """Return a function that returns the seconds since this call."""
    start = time.perf_counter()
    return lambda: time.perf_counter() - start
