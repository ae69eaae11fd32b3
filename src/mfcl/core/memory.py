"""Memory that this process may use."""

import contextlib
import os
from pathlib import Path

LIMITS = (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"))
"""Files with the memory limit of a container (cgroup v2 and v1)."""


def memory_bytes() -> int:
    """Return the memory limit of this process in bytes: the machine's memory, or a container's lower limit."""
    found = [2**63]  # if the system gives no number, assume no limit
    with contextlib.suppress(AttributeError, OSError, ValueError):
        found.append(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    for path in LIMITS:
        with contextlib.suppress(OSError, ValueError):  # no container, or "max"
            found.append(int(path.read_text(encoding="ascii")))
    return min(limit for limit in found if limit > 0)
