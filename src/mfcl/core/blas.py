"""Let BLAS use one thread, where its own threads would be slower.

They wait for each other by spinning. Of matrices of a few megabytes a product takes less than a millisecond, so that
on a machine that is at rest a second thread hardly gains, and beside other programs a fit took 20 times as long.
"""

import contextlib
import threading
from collections.abc import Generator

from threadpoolctl import threadpool_limits

SMALL = 1 << 24
"""Values of the largest matrix up to which one thread is used: 64 MB in single precision."""


class _Limit:
    """The limit that holds for the whole process, and how many blocks in any threads are under it."""

    lock = threading.Lock()
    blocks = 0
    set: threadpool_limits | None = None


@contextlib.contextmanager
def one_blas_thread(values: int = 0) -> Generator[None, None, None]:
    """Let BLAS use one thread inside a `with` block, in every thread of the process; blocks may overlap.

    Args:
        values: Of the largest matrix that is multiplied; if there are more than `SMALL`, nothing is limited.
    """
    if values > SMALL:
        yield
        return
    with _Limit.lock:
        _Limit.blocks += 1
        if _Limit.set is None:
            _Limit.set = threadpool_limits(1, "blas")
    try:
        yield
    finally:
        with _Limit.lock:
            _Limit.blocks -= 1
            if not _Limit.blocks and _Limit.set is not None:  # the first to begin may not be the last to end
                _Limit.set.restore_original_limits()
                _Limit.set = None
