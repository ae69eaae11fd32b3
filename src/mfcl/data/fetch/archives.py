"""Unpack an untrusted archive: limits on sizes and counts, no file outside the folder, no links."""

import contextlib
import errno
import gzip
import io
import os
import posixpath
import stat
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, Literal

from mfcl.core.progress import progress as progress_bar
from mfcl.errors import FetchError

BLOCK = 1 << 20
"""Most bytes per read, also if a tar header asks for more."""
HEADER_BYTES = 1 << 18
"""Most bytes of all tar headers before one member."""
DIRECTORY_BYTES = 256
"""Most bytes per member of the central directory at a zip archive's end: twice the size for a clip's path."""
LINK_BYTES = 4096
"""Most bytes of a link's target."""
NAME_BYTES, NAME_PARTS = 200, 16
"""Most bytes of each component of a member's path, and most components; file systems allow little more."""
DAMAGE = (
    *(zipfile.BadZipFile, tarfile.TarError, gzip.BadGzipFile, zlib.error, EOFError, RuntimeError),
    *(ValueError, ArithmeticError, LookupError, struct.error),
)
"""Errors that zipfile and tarfile raise for a damaged archive; RuntimeError includes RecursionError."""


class DamagedArchiveError(FetchError):
    """An archive that is cut short or has wrong checksums; downloading it again may help."""


class RefusedArchiveError(FetchError):
    """A file that is not an archive, or an archive with suspicious contents; downloading it again does not help."""


@dataclass(frozen=True)
class _Member:
    name: str
    kind: Literal["file", "folder", "symlink", "hardlink", "other"]
    link: str
    """Target of a link; empty for everything else."""
    open: Callable[[], IO[bytes] | io.BufferedIOBase]


def unpack(archive: Path, folder: Path, *, most_bytes: int, most_members: int, shown: bool = True) -> None:
    """Unpack the contents of the one top folder of a zip or tar.gz archive into `folder`.

    Args:
        archive: The file; its contents decide the format.
        folder: A folder that does not exist; after an error the caller removes it.
        most_bytes: Most bytes of all files together.
        most_members: Most files, folders and links together.
        shown: Show progress.

    Raises:
        RefusedArchiveError: not an archive; too many or too large members; a member with an absolute path, a `..` or an
            invalid name; a device; a link out of the folder.
        DamagedArchiveError: an archive that is cut short, has wrong checksums or cannot be parsed.
        FetchError: the disk is full.
    """
    try:
        folder.mkdir(parents=True)
    except FileExistsError as error:
        raise FetchError(f"{folder}: wanted a new folder for unpacking, it exists; move it away") from error
    left, top = most_bytes, ""
    try:
        with (
            _members(archive, most_bytes, most_members) as members,
            progress_bar(members, what="unpacking", unit="files", shown=shown) as bar,
        ):
            for count, member in enumerate(bar, start=1):
                if count > most_members:
                    raise RefusedArchiveError(f"{archive}: more than {most_members:,} members; refused, not unpacked")
                parts = _parts(archive, member, top)
                top = parts[0]
                _check_link(archive, member, parts)
                if member.kind == "folder":
                    folder.joinpath(*parts[1:]).mkdir(parents=True, exist_ok=True)
                elif member.kind == "file":
                    left -= _write(member, folder.joinpath(*parts[1:]), left)
                if left < 0:
                    raise RefusedArchiveError(f"{archive}: unpacks to more than {most_bytes:,} bytes; refused")
    except DAMAGE as error:
        raise DamagedArchiveError(f"{archive}: a damaged archive ({_reason(error)}); fetch it again") from error
    except (FileExistsError, NotADirectoryError, IsADirectoryError) as error:
        raise RefusedArchiveError(f"{archive}: two of its members have the same name; refused, not unpacked") from error
    except OSError as error:
        if error.errno == errno.EINVAL:  # a seek before the file's beginning
            raise DamagedArchiveError(f"{archive}: a damaged archive ({_reason(error)}); fetch it again") from error
        raise FetchError(
            f"{folder}: cannot be unpacked ({error.strerror or error}); free some space and run the same command again"
        ) from error


def _reason(error: BaseException) -> str:
    text = ascii(" ".join(str(error)[:200].split()))[1:-1]  # may contain a name from the archive
    return text or type(error).__name__


@contextlib.contextmanager
def _members(archive: Path, most_bytes: int, most_members: int) -> Iterator[Iterator[_Member]]:
    with archive.open("rb") as file:
        begin = file.read(4)
    if begin == b"PK\x03\x04":
        with _BoundedFile(archive, most_members * DIRECTORY_BYTES) as bounded, zipfile.ZipFile(bounded) as pack:
            yield (_zip_member(archive, pack, info) for info in pack.infolist())
    elif begin[:2] == b"\x1f\x8b":
        # headers and padding take at most a few blocks of 512 bytes beside each member's contents
        with gzip.open(archive) as unzipped:
            stream = _BoundedStream(archive, unzipped, most_bytes + most_members * 4096)
            with tarfile.open(fileobj=stream, mode="r:") as tar:  # type: ignore[call-overload]  # it reads, seeks, tells
                yield _tar_members(stream, tar)
            stream.skip_to_end()
    else:
        raise RefusedArchiveError(
            f"{archive}: wanted a zip or tar.gz archive, got a file that begins with {begin!r}; check the address"
        )


class _BoundedFile(io.FileIO):
    """A zip file with at most `most` bytes per read, since zipfile reads the whole central directory at once."""

    def __init__(self, archive: Path, most: int) -> None:
        super().__init__(archive, "rb")
        self._archive = archive
        self._most = max(most, 2 * BLOCK)  # reads of members are smaller

    def read(self, size: int | None = -1, /) -> bytes:
        asked = os.fstat(self.fileno()).st_size - self.tell() if size is None or size < 0 else size
        if asked > self._most:
            raise RefusedArchiveError(f"{self._archive}: its list of members is too long; refused, not unpacked")
        return super().read(asked) or b""


class _BoundedStream:
    """The decompressed bytes of a tar.gz archive with limits, since tarfile reads headers of any length."""

    def __init__(self, archive: Path, stream: gzip.GzipFile, most_bytes: int) -> None:
        self._archive = archive
        self._stream = stream
        self._most = most_bytes
        self.header_left: int | None = HEADER_BYTES
        """Header bytes that may still be read before the next member; None while a member's contents are read."""
        self.last = b""
        """Bytes of the last read."""

    def tell(self) -> int:
        return self._stream.tell()

    def read(self, size: int) -> bytes:
        if self.header_left is not None:
            self.header_left -= size
        if size > BLOCK or (self.header_left is not None and self.header_left < 0):
            raise RefusedArchiveError(f"{self._archive}: a header is too long; refused, not unpacked")
        self._check(self.tell() + size)
        self.last = self._stream.read(size)
        return self.last

    def seek(self, place: int) -> int:
        self._check(place)
        if place < self.tell():
            raise EOFError("it seeks backwards")
        return self._stream.seek(place)

    def skip_to_end(self) -> None:
        """Read to the end, to verify the checksum there; tarfile stops before it."""
        while self._stream.read(BLOCK):
            self._check(self.tell())

    def _check(self, place: int) -> None:
        if place > self._most + BLOCK:  # tarfile may read a block beyond the end
            raise RefusedArchiveError(f"{self._archive}: unpacks to more than {self._most:,} bytes; refused")


def _zip_member(archive: Path, pack: zipfile.ZipFile, info: zipfile.ZipInfo) -> _Member:
    def content() -> IO[bytes] | io.BufferedIOBase:
        if info.compress_type not in (
            zipfile.ZIP_STORED,
            zipfile.ZIP_DEFLATED,
        ):  # other methods may need any amount of memory
            raise RefusedArchiveError(f"{archive}: its member {info.filename!r} is not deflated; refused, not unpacked")
        return pack.open(info)

    mode = stat.S_IFMT(info.external_attr >> 16)  # 0 where the archive was not made on Unix
    if stat.S_ISLNK(mode):
        with content() as opened:
            link = opened.read(LINK_BYTES + 1)
        if len(link) > LINK_BYTES:
            raise RefusedArchiveError(f"{archive}: its link {info.filename!r} is too long; refused, not unpacked")
        return _Member(info.filename, "symlink", link.decode("utf-8", "replace"), content)
    if info.is_dir():
        return _Member(info.filename, "folder", "", content)
    return _Member(info.filename, "file" if mode in (0, stat.S_IFREG) else "other", "", content)


def _tar_members(stream: _BoundedStream, tar: tarfile.TarFile) -> Iterator[_Member]:
    while (info := tar.next()) is not None:
        stream.header_left = None
        yield _tar_member(tar, info)
        tar.members.clear()  # type: ignore[attr-defined]  # else tarfile keeps all headers in memory
        stream.header_left = HEADER_BYTES
    if stream.last.strip(b"\0"):  # an archive ends in zeros; tarfile also stops at a damaged header
        raise EOFError("a header is damaged")


def _tar_member(tar: tarfile.TarFile, info: tarfile.TarInfo) -> _Member:
    def content() -> IO[bytes] | io.BufferedIOBase:
        opened = tar.extractfile(info)
        if opened is None:
            raise EOFError(f"{info.name} has no contents")
        return opened

    if info.issym() or info.islnk():
        return _Member(info.name, "symlink" if info.issym() else "hardlink", info.linkname, content)
    plain = info.isreg() and not info.issparse() and info.size >= 0
    return _Member(info.name, "file" if plain else "folder" if info.isdir() else "other", "", content)


def _parts(archive: Path, member: _Member, top: str) -> tuple[str, ...]:
    """Return the components of a member's path, the archive's top folder first."""
    name = PurePosixPath(member.name)
    unsafe = name.is_absolute() or ".." in name.parts or "\\" in member.name or ":" in member.name
    if unsafe or not name.parts or "\0" in member.name:
        raise RefusedArchiveError(
            f"{archive}: its member {member.name[:NAME_BYTES]!r} would leave the folder; refused, not unpacked"
        )
    if len(name.parts) > NAME_PARTS or any(len(part.encode("utf-8", "replace")) > NAME_BYTES for part in name.parts):
        raise RefusedArchiveError(
            f"{archive}: its member {member.name[:NAME_BYTES]!r} has too long a name; refused, not unpacked"
        )
    if member.kind == "other":
        raise RefusedArchiveError(
            f"{archive}: its member {member.name!r} is a device, a pipe or a file with holes; refused, not unpacked"
        )
    if (top and name.parts[0] != top) or (len(name.parts) == 1 and member.kind != "folder"):
        raise RefusedArchiveError(f"{archive}: {member.name!r} lies outside one top folder; refused, not unpacked")
    return name.parts


def _check_link(archive: Path, member: _Member, parts: tuple[str, ...]) -> None:
    """Raise an error for a link out of the folder; others are skipped, since recordings are never links."""
    if member.kind not in ("symlink", "hardlink"):
        return
    # a symbolic link starts at its own folder, a hard link at the archive's root
    beside = posixpath.join(*parts[:-1]) if member.kind == "symlink" else ""
    target = PurePosixPath(posixpath.normpath(posixpath.join(beside, member.link)))
    if not member.link or target.is_absolute() or target.parts[:1] != parts[:1]:
        raise RefusedArchiveError(
            f"{archive}: its member {member.name!r} links out of the folder to {member.link[:NAME_BYTES]!r}; "
            "refused, not unpacked"
        )


def _write(member: _Member, path: Path, most: int) -> int:
    """Write one file and verify its checksum; stop when it is larger than `most`. Return the bytes written."""
    path.parent.mkdir(parents=True, exist_ok=True)
    count = 0
    with member.open() as source, path.open("xb") as target:  # x: fails if two members have the same name
        while count <= most and (block := source.read(BLOCK)):
            target.write(block)
            count += len(block)
    return count
