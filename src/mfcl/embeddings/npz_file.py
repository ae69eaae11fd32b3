"""Read and write NumPy archives safely: sizes that an untrusted file claims are checked before memory is allocated."""

import errno
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
"""NumPy kinds that may be read: floats and text."""
MOST_ENTRIES = 10_000
DEFLATED_AT_MOST = 1032
"""Highest compression ratio of deflate; a higher claimed ratio is a lie."""
FAULTS = (
    *(OSError, EOFError, ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError, MemoryError),
    *(RuntimeError, SyntaxError, tokenize.TokenError, zlib.error, zipfile.BadZipFile, zipfile.LargeZipFile),
)
"""Exceptions that reading a damaged archive may raise (NotImplementedError, a RuntimeError, included)."""


class UnreadError(MeasureError):
    """The system could not read a file: a disk or a share is away, or permissions are missing."""


def check_system(path: Path, error: BaseException) -> None:
    """Raise an error unless a file's content is at fault: advice to delete it would cost one that is whole.

    Raises:
        UnreadError: the system could not read the file.
    """
    if isinstance(error, OSError) and error.errno not in (None, errno.EINVAL):  # of a damaged archive: a wrong seek
        raise UnreadError(
            f"{path}: cannot be read ({error.strerror}); check its permissions and its disk, and try again"
        ) from None


def write_npz(path: Path, arrays: Mapping[str, np.ndarray]) -> None:
    """Write a NumPy archive atomically.

    Raises:
        MeasureError: an array holds Python objects, which could only be read by running code.
    """
    for name, array in arrays.items():
        if array.dtype.hasobject:
            raise MeasureError(f"{path}: wanted numbers or text, but {name} holds Python objects; convert it")
    with replacing(path) as temporary, temporary.open("wb") as file:
        np.savez(file, **arrays)  # type: ignore[arg-type]  # before NumPy 2, `allow_pickle` would be saved as an array


def read_npz(path: Path, wanted: Collection[str]) -> dict[str, np.ndarray]:
    """Read the wanted arrays of an archive, without running code from it.

    Args:
        path: The archive.
        wanted: Names of arrays; a name that ends in `_` is a prefix.

    Raises:
        ValueError: it is damaged, or claims sizes that it does not hold; or another of `FAULTS`.
    """
    if path.exists() and not path.is_file():
        raise ValueError("not a regular file")  # reading a pipe would block
    begins = tuple(name for name in wanted if name.endswith("_"))
    with zipfile.ZipFile(path) as archive:
        chosen = {name: entry for name, entry in _arrays(archive).items() if name in wanted or name.startswith(begins)}
        total, size = sum(entry.file_size for entry in chosen.values()), path.stat().st_size
        if total > memory_bytes():
            raise ValueError(f"{total} bytes of arrays are more than the memory of this machine")
        for entry in chosen.values():
            _check_entry(entry, size)
        return {name: _array(archive, entry) for name, entry in chosen.items()}


def read_npz_shapes(path: Path) -> dict[str, tuple[tuple[int, ...], np.dtype[Any]]]:
    """Return the shape and dtype that the header of each array of an archive claims, without reading their values.

    Raises:
        ValueError: it is damaged; or another of `FAULTS`.
    """
    if path.exists() and not path.is_file():
        raise ValueError("not a regular file")  # reading a pipe would block
    found = {}
    with zipfile.ZipFile(path) as archive:
        for name, entry in _arrays(archive).items():
            with archive.open(entry) as file:
                found[name] = _header(file)
    return found


def _arrays(archive: zipfile.ZipFile) -> dict[str, zipfile.ZipInfo]:
    """Return the entries of an archive that are arrays, by name."""
    listed = archive.infolist()
    if len(listed) > MOST_ENTRIES or len({entry.filename for entry in listed}) < len(listed):
        raise ValueError(f"{len(listed)} entries, which are too many or share a name")
    return {entry.filename.removesuffix(".npy"): entry for entry in listed if entry.filename.endswith(".npy")}


def _check_entry(entry: zipfile.ZipInfo, size: int) -> None:
    if entry.flag_bits & 1 or entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise ValueError(f"{shown(entry.filename)} is encrypted, or compressed by a method that NumPy does not use")
    times = DEFLATED_AT_MOST if entry.compress_type == zipfile.ZIP_DEFLATED else 1
    if entry.compress_size > size or entry.file_size > times * entry.compress_size:
        raise ValueError(f"{shown(entry.filename)} claims {entry.file_size} bytes, which a file of {size} cannot hold")


def _array(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> np.ndarray:
    with archive.open(entry) as file:
        shape, dtype = _header(file)
        if dtype.kind not in KINDS or dtype.hasobject or dtype.fields is not None or dtype.subdtype is not None:
            raise ValueError(f"{shown(entry.filename)} holds {shown(str(dtype))}, wanted floats or text")
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
    """Return the shape and dtype that an array's header claims. Version 3 is only for named fields, so not needed."""
    version = np.lib.format.read_magic(file)
    if version == (1, 0):
        shape, _, dtype = np.lib.format.read_array_header_1_0(file)
    elif version == (2, 0):
        shape, _, dtype = np.lib.format.read_array_header_2_0(file)
    else:
        raise ValueError(f"an array header of unknown version {version}")
    return shape, dtype
