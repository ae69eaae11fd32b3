"""Let BLAS use one thread, where its own threads would be slower.

They wait for each other by spinning. Of a few megabytes a product takes less than a millisecond, so that on a machine
that is at rest a second thread hardly gains, and beside other programs a fit took 20 times as long.
"""

import contextlib
import threading
from collections.abc import Callable, Generator

from threadpoolctl import threadpool_limits

SMALL = 1 << 25
"""Values of the largest matrix up to which one thread is used: 128 MB in single precision."""


class _Limit:
    """The limit of this process, and how many blocks in any threads are under it."""

    lock = threading.Lock()
    blocks = 0
    kept: threadpool_limits | None = None

    @classmethod
    def begin(cls) -> None:
        cls.kept = threadpool_limits(1, "blas")

    @classmethod
    def end(cls) -> None:
        assert cls.kept is not None
        cls.kept.restore_original_limits()


@contextlib.contextmanager
def one_blas_thread(values: int = 0) -> Generator[None, None, None]:
    """Let BLAS use one thread inside a `with` block, in every thread of the process; blocks of several may overlap.

    Args:
        values: Of the largest matrix that is multiplied; if there are more than `SMALL`, nothing is limited.
    """
    if values > SMALL:
        yield
        return
    with _Limit.lock:
        if not _Limit.blocks:
            _aside(_Limit.begin)
        _Limit.blocks += 1
    try:
        yield
    finally:
        with _Limit.lock:
            _Limit.blocks -= 1
            if not _Limit.blocks:
                _aside(_Limit.end)


def _aside(work: Callable[[], None]) -> None:
    """Do it in a thread that then ends: threadpoolctl lets nobody else change the number as long as one lives."""
    worker = threading.Thread(target=work)
    worker.start()
    worker.join()
