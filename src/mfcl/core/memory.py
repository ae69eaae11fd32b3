"""How much memory there is."""

import contextlib
import os
from pathlib import Path

LIMITS = (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"))
"""Where a container's limit stands."""


def memory_bytes() -> int:
    """Return the memory that this process may use at most: the machine's, or less where a container limits it."""
    found = [2**63]  # a system that tells nothing limits nothing
    with contextlib.suppress(AttributeError, OSError, ValueError):
        found.append(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    for path in LIMITS:
        with contextlib.suppress(OSError, ValueError):  # no container, or "max"
            found.append(int(path.read_text(encoding="ascii")))
    return min(limit for limit in found if limit > 0)
