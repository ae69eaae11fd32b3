"""Whether files are still those of before: by their sizes and times, and by their content where these differ."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Fingerprint:
    """What some files were, in an order that counts.

    Attributes:
        stamp: Digest of their names, sizes and times of change, which is read in microseconds a file.
        content: Digest of their names and all their bytes.
    """

    stamp: str
    content: str


def fingerprint(paths: Iterable[Path]) -> Fingerprint:
    """Read files and return what they are.

    Raises:
        OSError: one is not there, or cannot be read.
    """
    paths = list(paths)
    before = stamp_of(paths)
    whole = hashlib.sha256()
    for path in paths:
        with path.open("rb") as file:
            whole.update(repr((path.name, hashlib.file_digest(file, "sha256").hexdigest())).encode())
    return Fingerprint(before, whole.hexdigest())


def stamp_of(paths: Iterable[Path]) -> str:
    """Return the digest of names, sizes and times of change; see `Fingerprint.stamp`.

    The time of the last change of a file's entry counts, too: no program can set it.

    Raises:
        OSError: a file is not there.
    """
    whole = hashlib.sha256()
    for path in paths:
        found = path.stat()
        whole.update(repr((path.name, found.st_size, found.st_mtime_ns, found.st_ctime_ns)).encode())
    return whole.hexdigest()


def same_as(known: Fingerprint, paths: Iterable[Path]) -> bool:
    """Return whether files are what they were; their content is read only if a size or a time is another.

    Raises:
        OSError: one is not there, or cannot be read.
    """
    paths = list(paths)
    return stamp_of(paths) == known.stamp or fingerprint(paths).content == known.content
