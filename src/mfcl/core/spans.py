"""Files that are spans of bytes within a tar, named by a path: `shard-000000.tar/512+4096/a.flac`."""

import io
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from mfcl.core.remote import Opened
from mfcl.core.urls import UrlPath
from mfcl.errors import AudioError

SPAN = re.compile(r"([0-9]{1,18})\+([0-9]{1,18})", re.ASCII)
TAR = ".tar"
HEAD = 512
"""Bytes of a tar's header, which stands before each file in it."""
WHOLE = 1 << 23
"""Bytes of a span up to which it is read at once; of a longer one only what is asked for is read."""


@dataclass(frozen=True, slots=True)
class Span:
    """A file within a tar.

    Attributes:
        tar: The tar.
        offset: Number of its first byte in the tar.
        size: Its bytes.
        name: Its name in the tar.
    """

    tar: Path
    offset: int
    size: int
    name: str

    @property
    def path(self) -> Path:
        """The path that names the span."""
        return self.tar / f"{self.offset}+{self.size}" / self.name


def span_of(path: Path) -> Span | None:
    """Return the span that a path names; None if it is an ordinary path.

    Example:
        >>> span_of(Path("pack/shard-000000.tar/512+4096/a.flac"))
        Span(tar=PosixPath('pack/shard-000000.tar'), offset=512, size=4096, name='a.flac')
        >>> span_of(Path("pack/a.flac")) is None
        True
    """
    parts = path.parts
    if len(parts) < 3 or not parts[-3].endswith(TAR):
        return None
    found = SPAN.fullmatch(parts[-2])
    return Span(path.parent.parent, int(found[1]), int(found[2]), parts[-1]) if found else None


def file_of(path: Path) -> Path:
    """Return the tar of which a path names a span, or the path itself."""
    span = span_of(path)
    return path if span is None else span.tar


def path_there(path: Path) -> bool:
    """Return whether anything is at a path, or in the tar that it names a span of."""
    file = file_of(path)
    if isinstance(file, UrlPath):
        return file.exists()
    if file is path:
        return os.path.exists(path)  # noqa: PTH110  # unlike Path.exists, it raises nothing for an impossible name
    return os.path.isfile(file)  # noqa: PTH113


def path_status(path: Path) -> tuple[int, int, int]:
    """Return size, modification time and status-change time (both in ns); of a span its own size and its tar's times.

    Times of files at URLs are 0.

    Raises:
        OSError: nothing is there.
    """
    span = span_of(path)
    status = (path if span is None else span.tar).stat()
    return status.st_size if span is None else span.size, status.st_mtime_ns, status.st_ctime_ns


def open_path(path: Path) -> Opened:
    """Open a file, or the span of a tar that its path names, to read bytes.

    Raises:
        OSError: nothing is there, or it may not be read.
        AudioError: it is not the span of this tar that the path says: a tar that was cut, or another one.
        TransferError: the storage of a URL does not answer, or gives other bytes than it announced.
    """
    span = span_of(path)
    if span is None:
        return path.open("rb", buffering=0)
    handle = span.tar.open("rb", buffering=0)
    try:
        head, there = _at(handle, max(span.offset - HEAD, 0), HEAD), handle.seek(0, os.SEEK_END)
        _check(span, head, there)
        if span.size > WHOLE:
            return _LongSpan(handle, span)
        content = _at(handle, span.offset, span.size)
    except BaseException:
        handle.close()
        raise
    handle.close()
    return _ShortSpan(content)


def _check(span: Span, head: bytes, there: int) -> None:
    if span.offset + span.size > there:
        raise AudioError(
            f"{span.path}: {span.tar.name} was cut: it has {there} bytes, this recording ends at "
            f"{span.offset + span.size}; copy it again, or delete it and run the same `mfcl pack` again"
        )
    name, size = head[:100].rstrip(b"\0"), head[124:136].rstrip(b" \0")
    if span.offset < HEAD or name != span.name.encode() or size != b"%011o" % span.size:
        raise AudioError(
            f"{span.path}: {span.tar.name} has another file or other bytes there: it was changed, or is not that of "
            "this list; copy both again, or run the same `mfcl pack` again into a new folder"
        )


def _at(handle: Opened, offset: int, count: int) -> bytes:
    handle.seek(offset)
    read = bytearray()
    while len(read) < count and (more := handle.read(count - len(read))):  # a raw file may give less than asked for
        read += more
    return bytes(read)


class _ShortSpan(io.BytesIO):
    """A span in memory, as a file that was opened to read bytes."""

    mode, name = "rb", ""


class _LongSpan(io.RawIOBase, BinaryIO):
    """A long span as a file: reads go to the tar."""

    mode, name = "rb", ""

    def __init__(self, handle: Opened, span: Span) -> None:
        super().__init__()
        self.name = str(span.path)
        self._handle, self._span, self._place = handle, span, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._place, os.SEEK_END: self._span.size}[whence]
        self._place = max(base + offset, 0)
        return self._place

    def tell(self) -> int:
        return self._place

    def readinto(self, buffer: Any) -> int:
        count = max(min(len(buffer), self._span.size - self._place), 0)
        self._handle.seek(self._span.offset + self._place)
        read = self._handle.read(count)
        buffer[: len(read)] = read
        self._place += len(read)
        return len(read)

    def close(self) -> None:
        self._handle.close()
        super().close()
