"""One function over many files on all cores, in order."""

import os
from collections import deque
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

from mfcl.core.console import progress

Item = TypeVar("Item")
Result = TypeVar("Result")


def core_count() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def in_parallel(
    function: Callable[[Item], Result],
    items: Sequence[Item],
    *,
    workers: int | None = None,
    what: str,
    unit: str = "file",
    shown: bool = True,
) -> Generator[Result, None, None]:
    """Yield `function` of every item, in the items' order, with a progress bar.

    Threads do it, since decoding and resampling leave Python's lock free: nothing is copied between processes, no
    program needs a guard around its main part, and Ctrl-C ends it after the files at hand. Results are made only a few
    ahead of the one that is asked for, so memory does not grow with the number of items.

    Args:
        function: Called with one item.
        items: What to call it with.
        workers: Threads; none: all cores.
        what: What the bar says is being done.
        unit: What an item is.
        shown: Whether to show the bar.

    Example:
        >>> list(in_parallel(abs, [-1, 2, -3], what="Folding", shown=False))
        [1, 2, 3]
    """
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
