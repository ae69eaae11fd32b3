"""Memory that this process may use, and giving back what it has freed."""

import contextlib
import ctypes
import functools
import os
from pathlib import Path

LIMITS = (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"))
"""Files with the memory limit of a container (cgroup v2 and v1)."""
LARGE_PAGES = Path("/sys/kernel/mm/transparent_hugepage/enabled")
"""Tells whether the system gives pages of 2 MB, on request or always."""
HELD = 640 << 20
"""Bytes, beside mapped files, up to which a process keeps what it has freed, as that is quicker."""
GROWTH = 400 << 20
"""Bytes by which learning may raise what the process holds, until it gives back what it has freed."""
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD, M_ARENA_MAX = -1, -3, -8  # constants of glibc's malloc.h
KEPT = 2**30
"""Blocks below this size (bytes) are kept when they are freed, where pages are small."""
KEPT_BEFORE = 2**25
"""The same for glibc before 2.35, which takes no larger threshold."""
RETURNED = 2**22
"""Blocks from this size on go back to the system where pages are large, or in a process that holds more than `HELD`."""


def memory_bytes() -> int:
    """Return the memory limit of this process in bytes: the machine's memory, or a container's lower limit."""
    found = [2**63]  # if the system gives no number, assume no limit
    with contextlib.suppress(AttributeError, OSError, ValueError):
        found.append(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    for path in LIMITS:
        with contextlib.suppress(OSError, ValueError):  # no container, or "max"
            found.append(int(path.read_text(encoding="ascii")))
    return min(limit for limit in found if limit > 0)


def held_bytes() -> int:
    """Return the bytes of this process in memory, without mapped files; 0 where the system does not tell."""
    try:
        resident, shared = Path("/proc/self/statm").read_text(encoding="ascii").split()[1:3]
        return (int(resident) - int(shared)) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError, AttributeError):
        return 0


def most_held(more: int = GROWTH) -> int:
    """Return the bytes that a work that begins now may hold before it gives freed memory back.

    Giving back takes time, since what is touched anew must be cleared, and a process that holds much already, as a
    study does, would do so in every step.

    Args:
        more: Bytes beside those that the process holds now.
    """
    return max(HELD, held_bytes() + more)


def large_pages() -> bool:
    """Return whether torch's large tensors lie in pages of 2 MB: it is asked to, and the system has them."""
    asked = os.environ.get("THP_MEM_ALLOC_ENABLE") == "1"
    try:
        return asked and "[never]" not in LARGE_PAGES.read_text(encoding="ascii")
    except (OSError, ValueError):
        return False


def keep_blocks() -> None:
    """Keep large freed blocks in this process, for all its threads; see `docs/decisions/0006-keep-large-blocks.md`.

    With pages of 2 MB a block of `RETURNED` bytes is taken from the system again in little time, and where such blocks
    do not stay, they leave no gaps: only smaller ones are kept.
    """
    if (library := _glibc()) is not None:
        # refused, the threshold would stay at 128 KiB for good: from the next line on it does not grow by itself
        if not library.mallopt(M_MMAP_THRESHOLD, RETURNED if large_pages() else KEPT):
            library.mallopt(M_MMAP_THRESHOLD, KEPT_BEFORE)
        library.mallopt(M_TRIM_THRESHOLD, KEPT)
        library.mallopt(M_ARENA_MAX, 1)  # else the thread that makes batches cannot use what the others have freed


def give_back(*, above: int = 0, kept: int = HELD) -> None:
    """Return freed memory to the system, if this process holds more than `above` bytes.

    Blocks of many sizes leave gaps when they are freed, which glibc keeps. In a work of varying sizes they are not
    reused as a whole, so that a process would come to hold twice what it needs. One that holds more than `kept` also
    returns blocks of `RETURNED` bytes and more as soon as they are freed, from then on; see
    `docs/decisions/0023-memory-of-a-training.md`. Where the C library is another one, nothing is done.
    """
    library = _glibc()
    if library is None:
        return
    held = held_bytes()
    if held > above:
        library.malloc_trim(0)
        if held > kept:
            library.mallopt(M_MMAP_THRESHOLD, RETURNED)


@functools.cache
def _glibc() -> ctypes.CDLL | None:
    with contextlib.suppress(OSError, AttributeError):
        library = ctypes.CDLL("libc.so.6")
        if library.malloc_trim and library.mallopt:
            return library
    return None
