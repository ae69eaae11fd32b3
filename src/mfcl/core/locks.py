"""Work in a place that one process alone may do at a time."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

from filelock import FileLock, Timeout


@contextlib.contextmanager
def alone(lock: Path, refusal: Exception) -> Iterator[None]:
    """Hold a lock for the time of a `with` block; the system releases it when the process dies.

    Args:
        lock: The lock's file, made for this time.
        refusal: Raised if another process holds it.

    Raises:
        OSError: the file cannot be written.
    """
    held = FileLock(lock, timeout=0)
    try:
        held.acquire()
    except Timeout as error:
        raise refusal from error
    try:
        yield
    finally:
        with contextlib.suppress(OSError):  # Windows cannot delete an open file
            lock.unlink()
        held.release()
