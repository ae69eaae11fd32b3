"""Unpack a downloaded archive without trusting it: nothing is written outside the folder, links are never made."""

import contextlib
import gzip
import io
import posixpath
import stat
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


def unpack(archive: Path, folder: Path, *, most_bytes: int, shown: bool = True) -> None:
    """Unpack a zip or tar.gz archive of one top folder; that folder's contents become those of `folder`.

    Args:
        archive: The file; its contents say which kind it is.
        folder: A folder that does not exist; what an error leaves in it is the caller's to remove.
        most_bytes: The archive is refused when its files are larger together.
        shown: Show progress.

    Raises:
        RefusedArchiveError: no archive; a member that is absolute, has a `..` or is a device; a link out of the folder.
        DamagedArchiveError: an archive that ends too early or whose check sums are wrong.
        FetchError: the disk is full.
    """
    folder.mkdir(parents=True)
    left, top = most_bytes, ""
    try:
        with _members(archive) as members, console.progress(members, what="unpacking", unit="file", shown=shown) as bar:
            for member in bar:
                parts = _parts(archive, member, top)
                top = parts[0]
                _check_link(archive, member, parts)
                if member.kind == "folder":
                    folder.joinpath(*parts[1:]).mkdir(parents=True, exist_ok=True)
                elif member.kind == "file":
                    left -= _write(member, folder.joinpath(*parts[1:]), left)
                if left < 0:
                    raise RefusedArchiveError(f"{archive}: unpacks to more than {most_bytes:,} bytes; refused")
    except (zipfile.BadZipFile, tarfile.TarError, gzip.BadGzipFile, zlib.error, EOFError, RuntimeError) as error:
        raise DamagedArchiveError(f"{archive}: a damaged archive ({error}); fetch it again") from error
    except (FileExistsError, NotADirectoryError, IsADirectoryError) as error:
        raise RefusedArchiveError(f"{archive}: two of its members have the same name; refused, not unpacked") from error
    except OSError as error:
        raise FetchError(
            f"{folder}: cannot be unpacked ({error.strerror or error}); free some space and run the same command again"
        ) from error


@contextlib.contextmanager
def _members(archive: Path) -> Iterator[Iterator[_Member]]:
    with archive.open("rb") as file:
        begin = file.read(4)
    if begin == b"PK\x03\x04":
        with zipfile.ZipFile(archive) as pack:
            yield (_zip_member(pack, info) for info in pack.infolist())
    elif begin[:2] == b"\x1f\x8b":
        with gzip.open(archive) as stream, tarfile.open(fileobj=stream, mode="r:") as tar:
            yield (_tar_member(tar, info) for info in tar)
            while stream.read(BLOCK):  # tarfile stops before the check sum
                pass
    else:
        raise RefusedArchiveError(
            f"{archive}: a zip or tar.gz archive was wanted, came a file that begins with {begin!r}"
        )


def _zip_member(pack: zipfile.ZipFile, info: zipfile.ZipInfo) -> _Member:
    mode = stat.S_IFMT(info.external_attr >> 16)  # 0 where the archive was not made on Unix
    if stat.S_ISLNK(mode):
        return _Member(info.filename, "symlink", pack.read(info).decode("utf-8", "replace"), lambda: pack.open(info))
    if info.is_dir():
        return _Member(info.filename, "folder", "", lambda: pack.open(info))
    return _Member(info.filename, "file" if mode in (0, stat.S_IFREG) else "other", "", lambda: pack.open(info))


def _tar_member(tar: tarfile.TarFile, info: tarfile.TarInfo) -> _Member:
    def content() -> IO[bytes] | io.BufferedIOBase:
        opened = tar.extractfile(info)
        if opened is None:
            raise EOFError(f"{info.name} holds nothing")
        return opened

    if info.issym() or info.islnk():
        return _Member(info.name, "symlink" if info.issym() else "hardlink", info.linkname, content)
    return _Member(info.name, "file" if info.isreg() else "folder" if info.isdir() else "other", "", content)


def _parts(archive: Path, member: _Member, top: str) -> tuple[str, ...]:
    """Return the member's path in parts, the archive's top folder first."""
    name = PurePosixPath(member.name)
    unsafe = name.is_absolute() or ".." in name.parts or "\\" in member.name or ":" in member.name
    if unsafe or not name.parts:
        raise RefusedArchiveError(
            f"{archive}: its member {member.name!r} would leave the folder; refused, not unpacked"
        )
    if member.kind == "other":
        raise RefusedArchiveError(f"{archive}: its member {member.name!r} is a device or pipe; refused, not unpacked")
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
            f"{archive}: its member {member.name!r} links out of the folder to {member.link!r}; refused, not unpacked"
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
