"""Unpack a downloaded archive without trusting it: bounded in everything, nothing outside the folder, never a link."""

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

from mfcl.core import console
from mfcl.errors import FetchError

BLOCK = 1 << 20
"""Bytes read at a time; of a tar archive nothing larger is read at once, whatever a header asks for."""
HEADER_BYTES = 1 << 18
"""Of all headers that a tar archive puts before one member."""
DIRECTORY_BYTES = 256
"""Of the list at a zip archive's end, for each member: twice what a path of a clip takes."""
LINK_BYTES = 4096
"""Of a path that a link leads to."""
NAME_BYTES, NAME_PARTS = 200, 16
"""Of each part of a member's path, and how many parts there are; file systems take little more."""
DAMAGE = (
    *(zipfile.BadZipFile, tarfile.TarError, gzip.BadGzipFile, zlib.error, EOFError, RuntimeError),
    *(ValueError, ArithmeticError, LookupError, struct.error),
)
"""What zipfile and tarfile raise when an archive is not what they expect; RuntimeError holds too deep a recursion."""


class DamagedArchiveError(FetchError):
    """An archive that is cut short or has wrong check sums; downloading it again may help."""


class RefusedArchiveError(FetchError):
    """A file that is no archive, or an archive that does what no archive of recordings does."""


@dataclass(frozen=True)
class _Member:
    name: str
    kind: Literal["file", "folder", "symlink", "hardlink", "other"]
    link: str
    """Where a link leads; empty for everything else."""
    open: Callable[[], IO[bytes] | io.BufferedIOBase]


def unpack(archive: Path, folder: Path, *, most_bytes: int, most_members: int, shown: bool = True) -> None:
    """Unpack a zip or tar.gz archive of one top folder; that folder's contents become those of `folder`.

    Args:
        archive: The file; its contents say which kind it is.
        folder: A folder that does not exist; what an error leaves in it is the caller's to remove.
        most_bytes: The archive is refused when its files are larger together.
        most_members: It is refused too when it has more files, folders and links.
        shown: Show progress.

    Raises:
        RefusedArchiveError: no archive; too many or too large members; a member that is absolute, has a `..`, a name
            that no file system takes, or is a device; a link out of the folder.
        DamagedArchiveError: an archive that ends too early, whose check sums are wrong or that makes no sense.
        FetchError: the disk is full.
    """
    try:
        folder.mkdir(parents=True)
    except FileExistsError as error:
        raise FetchError(f"{folder}: is in the way of unpacking; move it away") from error
    left, top = most_bytes, ""
    try:
        with (
            _members(archive, most_bytes, most_members) as members,
            console.progress(members, what="unpacking", unit="file", shown=shown) as bar,
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
        if error.errno == errno.EINVAL:  # a place before the file's beginning
            raise DamagedArchiveError(f"{archive}: a damaged archive ({_reason(error)}); fetch it again") from error
        raise FetchError(
            f"{folder}: cannot be unpacked ({error.strerror or error}); free some space and run the same command again"
        ) from error


def _reason(error: BaseException) -> str:
    text = ascii(" ".join(str(error)[:200].split()))[1:-1]  # it may repeat a name from the archive
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
            f"{archive}: a zip or tar.gz archive was wanted, came a file that begins with {begin!r}"
        )


class _BoundedFile(io.FileIO):
    """A zip archive of which no more than `most` bytes are read at once: zipfile reads the list at its end whole."""

    def __init__(self, archive: Path, most: int) -> None:
        super().__init__(archive, "rb")
        self._archive = archive
        self._most = max(most, 2 * BLOCK)  # what is read of a member at once is less

    def read(self, size: int | None = -1, /) -> bytes:
        asked = os.fstat(self.fileno()).st_size - self.tell() if size is None or size < 0 else size
        if asked > self._most:
            raise RefusedArchiveError(f"{self._archive}: its list of members is too long; refused, not unpacked")
        return super().read(asked) or b""


class _BoundedStream:
    """What is unzipped of a tar.gz archive, for tarfile, which reads headers of any length and goes anywhere."""

    def __init__(self, archive: Path, stream: gzip.GzipFile, most_bytes: int) -> None:
        self._archive = archive
        self._stream = stream
        self._most = most_bytes
        self.header_left: int | None = HEADER_BYTES
        """Bytes that may still be read before the next member; None while a member's contents are read."""
        self.last = b""
        """What was read last."""

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
            raise EOFError("it leads back to what was read")
        return self._stream.seek(place)

    def skip_to_end(self) -> None:
        """Read to the end, for the check sum there: tarfile stops before it."""
        while self._stream.read(BLOCK):
            self._check(self.tell())

    def _check(self, place: int) -> None:
        if place > self._most + BLOCK:  # a block beyond the end may be asked for
            raise RefusedArchiveError(f"{self._archive}: unpacks to more than {self._most:,} bytes; refused")


def _zip_member(archive: Path, pack: zipfile.ZipFile, info: zipfile.ZipInfo) -> _Member:
    def content() -> IO[bytes] | io.BufferedIOBase:
        if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):  # others may ask for any memory
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
        tar.members.clear()  # type: ignore[attr-defined]  # tarfile keeps every header that it has read
        stream.header_left = HEADER_BYTES
    if stream.last.strip(b"\0"):  # the end is zeros; tarfile takes a spoilt header for the end too
        raise EOFError("a header makes no sense")


def _tar_member(tar: tarfile.TarFile, info: tarfile.TarInfo) -> _Member:
    def content() -> IO[bytes] | io.BufferedIOBase:
        opened = tar.extractfile(info)
        if opened is None:
            raise EOFError(f"{info.name} holds nothing")
        return opened

    if info.issym() or info.islnk():
        return _Member(info.name, "symlink" if info.issym() else "hardlink", info.linkname, content)
    plain = info.isreg() and not info.issparse() and info.size >= 0
    return _Member(info.name, "file" if plain else "folder" if info.isdir() else "other", "", content)


def _parts(archive: Path, member: _Member, top: str) -> tuple[str, ...]:
    """Return the member's path in parts, the archive's top folder first."""
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
        raise RefusedArchiveError(f"{archive}: {member.name!r} lies outside one top folder; no archive of a repository")
    return name.parts


def _check_link(archive: Path, member: _Member, parts: tuple[str, ...]) -> None:
    """Refuse a link that leaves the folder; one that stays inside is left out, for recordings are never links."""
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
    """Write one file, its check sum verified; stop once it is larger than `most`. Return its bytes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    count = 0
    with member.open() as source, path.open("xb") as target:  # x: no member replaces another
        while count <= most and (block := source.read(BLOCK)):
            target.write(block)
            count += len(block)
    return count
