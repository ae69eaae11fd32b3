"""Apply one function to many items in threads, keeping their order."""

import contextlib
import math
import os
from collections import deque
from collections.abc import Callable, Generator, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeAlias, TypeVar

from mfcl.core.progress import progress
from mfcl.errors import check_number

Item = TypeVar("Item")
Result = TypeVar("Result")


Mapped: TypeAlias = Callable[[Callable[[Any], Any], Sequence[Any]], Iterable[Any]]
"""Applies a function to all items and gives the results in their order, as `map` does, or others that share the work.
"""


MOST_WORKERS = 4096

QUOTA = Path("/sys/fs/cgroup/cpu.max")
"""File with a container's share of the processor: microseconds and period, or `max` and period (cgroup v2)."""
QUOTAS = (Path("/sys/fs/cgroup/cpu/cpu.cfs_quota_us"), Path("/sys/fs/cgroup/cpu/cpu.cfs_period_us"))
"""Files with the same for cgroup v1; -1 is no limit."""


def core_count() -> int:
    """Return how many cores this process may use: of a container with a share of the processor, as many as that is."""
    there = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(min(there, math.ceil(_share())), 1)


def _share() -> float:
    """Return the cores that a container is given; where there is no limit, more than any machine has."""
    for files in ((QUOTA,), QUOTAS):
        with contextlib.suppress(OSError, ValueError, ZeroDivisionError):
            quota, period = " ".join(file.read_text(encoding="ascii") for file in files).split()
            if int(quota) > 0:
                return int(quota) / int(period)
    return 2.0**31


def in_parallel(
    function: Callable[[Item], Result],
    items: Sequence[Item],
    *,
    workers: int | None = None,
    what: str,
    unit: str = "files",
    shown: bool = True,
) -> Generator[Result, None, None]:
    """Yield `function` of every item, in the items' order, with a progress bar.

    Threads are enough, since decoding and resampling release Python's global lock. Nothing is copied between processes,
    scripts need no `if __name__ == "__main__"` guard, and Ctrl-C stops after the items in progress. Only a few results
    are computed ahead, so memory does not grow with the number of items.

    Args:
        function: Called with one item.
        items: Arguments of the calls.
        workers: Number of threads; None: one per core.
        what: Description on the bar.
        unit: Name of the items on the bar, in the plural.
        shown: Whether to show the bar.

    Example:
        >>> list(in_parallel(abs, [-1, 2, -3], what="Folding", shown=False))
        [1, 2, 3]
    """
    if workers is not None:
        check_number("workers", workers, 0, MOST_WORKERS, whole=True)
    count = max(workers or core_count(), 1)
    waiting: deque[Future[Result]] = deque()
    pool = ThreadPoolExecutor(count)
    try:
        with progress(total=len(items), what=what, unit=unit, shown=shown) as bar:
            for item in items:
                waiting.append(pool.submit(function, item))
                if len(waiting) > 2 * count:
                    yield waiting.popleft().result()
                    bar.update()
            while waiting:
                yield waiting.popleft().result()
                bar.update()
    finally:
        pool.shutdown(cancel_futures=True)
