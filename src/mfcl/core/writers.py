"""One writer at a time in a folder that is filled over several calls."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

import filelock

from mfcl.core.files import OWN_TEMPORARY
from mfcl.errors import MfclError


@contextlib.contextmanager
def only_writer(folder: Path, work: str, *, error: type[MfclError]) -> Iterator[None]:
    """Hold a folder's lock, and remove what a killed call was writing there.

    Args:
        folder: The folder.
        work: What is done there, one word: "pack", "import". Each work has a lock of its own.
        error: Class of the error.

    Raises:
        MfclError: another process does the same work there.
    """
    lock = filelock.FileLock(folder / f".{work}.lock")
    try:
        lock.acquire(timeout=0)
    except filelock.Timeout:
        raise error(f"{folder}: another process {work}s into this folder; wait for it") from None
    try:
        for path in folder.rglob(".*.tmp"):
            if OWN_TEMPORARY.fullmatch(path.name):
                path.unlink(missing_ok=True)
        yield
    finally:
        lock.release()
