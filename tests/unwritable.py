"""Folders in which nothing may be written, for root as well."""

import contextlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

NOBODY = 65534


@contextlib.contextmanager
def unwritable_folder() -> Iterator[Path]:
    """Make a folder whose files everyone may read, and that the block of `nothing_written` cannot write to."""
    with tempfile.TemporaryDirectory() as folder:  # not pytest's: only its owner may look into that one
        Path(folder).chmod(0o755)
        yield Path(folder)


@contextlib.contextmanager
def nothing_written(folder: Path) -> Iterator[None]:
    """Take the right to write in a folder; root, whom no permission stops, is nobody in the block."""
    if os.geteuid() == 0:
        os.seteuid(NOBODY)
    else:
        folder.chmod(0o555)
    try:
        yield
    finally:
        if os.getuid() == 0:
            os.seteuid(0)
        else:
            Path(folder).chmod(0o755)
