"""How this process uses the machine: threads, memory, and time."""

import contextlib
import ctypes
import functools
import os
import re
import time
from collections.abc import Callable

import torch

from mfcl.core.limits import MOST_THREADS
from mfcl.core.parallel import core_count
from mfcl.errors import check_number

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # the numbers of malloc.h


def set_threads(threads: int | None) -> None:
    """Set how many threads torch uses; none: leave them as they are.

    Raises:
        MfclError: fewer than one, or absurdly many.
    """
    if threads is None:
        return
    check_number("threads", threads, 1, MOST_THREADS, whole=True)
    torch.set_num_threads(threads)


def use_machine(threads: int | None) -> int:
    """Settle how this process uses the machine, which is for its owner to say, the command; return its threads.

    As many threads as asked for, else as OMP_NUM_THREADS says, else as the process may use: more would spin beside
    others at half the speed. And glibc is told to keep large blocks of memory: given back to the system after each
    layer they must be faulted in again, which doubles the time of a training step (measured; see
    `docs/decisions/0006-keep-large-blocks.md`).
    """
    told = os.environ.get("OMP_NUM_THREADS", "").partition(",")[0]
    allowed = (min(int(told), MOST_THREADS) if re.fullmatch("[0-9]{1,9}", told) else 0) or core_count()
    asked = allowed if threads is None else threads
    set_threads(asked)
    survive_fork()
    with contextlib.suppress(OSError, AttributeError):  # another C library: nothing to tell
        library = ctypes.CDLL("libc.so.6")
        for setting in (M_MMAP_THRESHOLD, M_TRIM_THRESHOLD):
            library.mallopt(setting, 2**30)
    return asked


@functools.cache
def survive_fork() -> None:
    """Let a forked child of this process compute, with one thread.

    The child has none of its parent's threads, but torch's OpenMP would wait for them for ever. `fork` is how
    `multiprocessing` starts workers on Linux up to Python 3.13.
    """
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=functools.partial(torch.set_num_threads, 1))


def stopwatch() -> Callable[[], float]:
    """Return a function that tells the seconds since now."""
    start = time.perf_counter()
    return lambda: time.perf_counter() - start
