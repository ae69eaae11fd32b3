"""NumPy archives from anywhere: what a file claims to hold is checked before memory is taken for it."""

import math
import sys
import tokenize
import zipfile
import zlib
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from mfcl.core.files import replacing
from mfcl.core.memory import memory_bytes
from mfcl.errors import MeasureError, shown

KINDS = "fU"
"""Floating-point numbers and text; an archive of embeddings holds nothing else."""
MOST_ENTRIES = 10_000
DEFLATED_AT_MOST = 1032
"""How many times smaller deflate can make anything."""
FAULTS = (
    *(OSError, EOFError, ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError, MemoryError),
    *(RuntimeError, SyntaxError, tokenize.TokenError, zlib.error, zipfile.BadZipFile, zipfile.LargeZipFile),
)
"""What readers of damaged archives raise; among them NotImplementedError, of a method that is not known."""


def write_npz(path: Path, arrays: Mapping[str, np.ndarray]) -> None:
    """Write a NumPy archive whole or not at all.

    Raises:
        MeasureError: an array of Python objects, which could not be read without running code.
    """
    for name, array in arrays.items():
        if array.dtype.hasobject:
            raise MeasureError(f"{path}: wanted numbers or text, but {name} holds Python objects; convert it")
    with replacing(path) as temporary, temporary.open("wb") as file:
        np.savez(file, **arrays)  # type: ignore[arg-type]  # no `allow_pickle`: before NumPy 2 it is an array's name


def read_npz(path: Path, wanted: Collection[str]) -> dict[str, np.ndarray]:
    """Read the arrays of an archive, those of other names left out; nothing in it is ever run.

    Args:
        path: The archive.
        wanted: Names of arrays, or their beginnings where they end in `_`.

    Raises:
        ValueError: it is damaged, or claims what it does not hold; or another of `FAULTS`.
    """
    if path.exists() and not path.is_file():
        raise ValueError("it is no file")  # a pipe would be waited for
    begins = tuple(name for name in wanted if name.endswith("_"))
    with zipfile.ZipFile(path) as archive:
        listed = archive.infolist()
        if len(listed) > MOST_ENTRIES or len({entry.filename for entry in listed}) < len(listed):
            raise ValueError(f"{len(listed)} entries, too many or two of one name")
        chosen = {entry.filename.removesuffix(".npy"): entry for entry in listed if entry.filename.endswith(".npy")}
        chosen = {name: entry for name, entry in chosen.items() if name in wanted or name.startswith(begins)}
        total, size = sum(entry.file_size for entry in chosen.values()), path.stat().st_size
        if total > memory_bytes():
            raise ValueError(f"{total} bytes of arrays are more than the memory here")
        for entry in chosen.values():
            _check_entry(entry, size)
        return {name: _array(archive, entry) for name, entry in chosen.items()}


def _check_entry(entry: zipfile.ZipInfo, size: int) -> None:
    if entry.flag_bits & 1 or entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise ValueError(f"{shown(entry.filename)} is encrypted, or packed by a method that NumPy does not use")
    times = DEFLATED_AT_MOST if entry.compress_type == zipfile.ZIP_DEFLATED else 1
    if entry.compress_size > size or entry.file_size > times * entry.compress_size:
        raise ValueError(f"{shown(entry.filename)} claims {entry.file_size} bytes, which a file of {size} cannot hold")


def _array(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> np.ndarray:
    with archive.open(entry) as file:
        shape, dtype = _header(file)
        if dtype.kind not in KINDS or dtype.hasobject or dtype.fields is not None or dtype.subdtype is not None:
            raise ValueError(f"{shown(entry.filename)} holds {shown(str(dtype))}, wanted numbers with a point or text")
        if math.prod(shape) * dtype.itemsize != entry.file_size - file.tell() or min(shape, default=0) < 0:
            raise ValueError(f"{shown(entry.filename)} claims the shape {shown(shape)}, which its bytes do not fill")
    with archive.open(entry) as file:
        found: np.ndarray = np.lib.format.read_array(file, allow_pickle=False)
        file.read(1)  # the end, where the checksum is compared
    if found.dtype.kind == "U" and found.size:
        codes = np.ascontiguousarray(found).reshape(-1).view(f"{found.dtype.byteorder}u4")
        if codes.max() > sys.maxunicode:  # Python fails at such a text when it is first used, not when it is read
            raise ValueError(f"{shown(entry.filename)} holds characters that do not exist")
    return found


def _header(file: Any) -> tuple[tuple[int, ...], np.dtype[Any]]:
    """Return the shape and the kind that an array's header claims; version 3 differs from 2 in its names alone."""
    version = np.lib.format.read_magic(file)
    if version == (1, 0):
        shape, _, dtype = np.lib.format.read_array_header_1_0(file)
    elif version == (2, 0):
        shape, _, dtype = np.lib.format.read_array_header_2_0(file)
    else:
        raise ValueError(f"a header of version {version}")
    return shape, dtype
