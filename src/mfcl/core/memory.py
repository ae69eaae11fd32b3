"""Memory that this process may use, and giving back what it has freed."""

import contextlib
import ctypes
import functools
import os
from collections.abc import Callable
from pathlib import Path

LIMITS = (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"))
"""Files with the memory limit of a container (cgroup v2 and v1)."""
HELD = 768 << 20
"""Bytes that a process may hold before what it has freed is worth giving back between two steps of one work."""


def memory_bytes() -> int:
    """Return the memory limit of this process in bytes: the machine's memory, or a container's lower limit."""
    found = [2**63]  # if the system gives no number, assume no limit
    with contextlib.suppress(AttributeError, OSError, ValueError):
        found.append(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    for path in LIMITS:
        with contextlib.suppress(OSError, ValueError):  # no container, or "max"
            found.append(int(path.read_text(encoding="ascii")))
    return min(limit for limit in found if limit > 0)


def resident_bytes() -> int:
    """Return the bytes of this process in memory; 0 where the system does not tell."""
    try:
        return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError, IndexError, AttributeError):
        return 0


def give_back(*, above: int = 0) -> None:
    """Return freed memory to the system, if this process holds more than `above` bytes.

    Blocks of many sizes leave gaps when they are freed, which glibc keeps; in a work of varying sizes, or after another
    work, they are not reused as a whole, so that a process would come to hold twice what it needs. Where the C library
    is another one, nothing is done.
    """
    trim = _trim()
    if trim is not None and (not above or resident_bytes() > above):
        trim(0)


@functools.cache
def _trim() -> Callable[[int], int] | None:
    with contextlib.suppress(OSError, AttributeError):
        found: Callable[[int], int] = ctypes.CDLL("libc.so.6").malloc_trim
        return found
    return None
