"""Folders in which nothing may be written, for root as well."""

import contextlib
import ctypes
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

VERSION = 0x20080522
"""Of the structures of Linux's `capset`."""
OVERRIDE = 0b110
"""The capabilities by which root reads and writes whatever the permissions say."""


@contextlib.contextmanager
def nothing_written(folder: Path) -> Iterator[None]:
    """Take the right to write in a folder, also from root: this thread is then an owner like any other."""
    mode = folder.stat().st_mode
    folder.chmod(0o555)
    try:
        with _as_permitted() if os.geteuid() == 0 else contextlib.nullcontext():
            yield
    finally:
        folder.chmod(mode)


@contextlib.contextmanager
def _as_permitted() -> Iterator[None]:
    """Let permissions count for root in this thread inside the block."""
    library = ctypes.CDLL(None, use_errno=True)
    header, sets = (ctypes.c_uint32 * 2)(VERSION, 0), (ctypes.c_uint32 * 6)()
    if not hasattr(library, "capset") or library.capget(header, sets):
        pytest.skip("root may write everywhere, and its capabilities cannot be asked for here")
    held = sets[0]  # of each pair of words the effective set comes first
    sets[0] = held & ~OVERRIDE
    assert library.capset(header, sets) == 0
    try:
        yield
    finally:
        sets[0] = held
        assert library.capset(header, sets) == 0
