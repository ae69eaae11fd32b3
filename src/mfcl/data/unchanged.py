"""Whether the files of recordings are still those of before: by sizes and times, and by content where times differ.

A corpus that was copied has other times and the same content; a file that was replaced by one of the same size, such
as a denoised one, has another time, too. Of files at URLs size and version count, which are asked for.
"""

import functools
import hashlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from mfcl.core.files import is_there
from mfcl.core.spans import file_of, open_path, path_status
from mfcl.core.urls import UrlPath
from mfcl.data.manifest import Manifest, Recording
from mfcl.errors import AudioError

LONG = 2**24
"""Bytes of a file from which on its digest is kept in memory: many recordings may be segments of it."""
MOST_KEPT = 1000
BLOCK = 2**20


class Marks(NamedTuple):
    """Digests of what is known of files without reading them."""

    sizes: str
    """Of the sizes in bytes, -1 for a file that is not there; of files at URLs with the version."""
    times: str
    """Of the times of modification; files at URLs have none."""


def marks_of(manifest: Manifest) -> Marks:
    """Return the marks of the files of recordings, in their order."""
    remote = manifest.remote_sizes()
    known: dict[str, tuple[object, int]] = {}
    for recording in manifest:
        place = str(recording.path)
        if place in known:
            continue
        if isinstance(recording.path, UrlPath):
            known[place] = remote.get(file_of(recording.path), -1), 0
        else:
            known[place] = path_status(recording.path)[:2] if is_there(recording.path) else (-1, 0)
    sizes, times = zip(*(known[str(one.path)] for one in manifest), strict=True) if len(manifest) else ((), ())
    return Marks(*(_short(repr(list(values)).encode()) for values in (sizes, times)))


class Contents:
    """The digest of the bytes of recordings' files, which are added in order, best when they were just read."""

    def __init__(self) -> None:
        self._whole = hashlib.sha256()

    def add(self, recordings: Iterable[Recording]) -> None:
        """Read the files of some recordings; one that cannot be read counts as such."""
        for recording in recordings:
            self._whole.update(repr(content_of(recording.path)).encode())

    def digest(self) -> str:
        """Return the digest of all that was added."""
        return self._whole.hexdigest()[:32]


def are_those(manifest: Manifest, marks: Marks, known: Mapping[str, Any]) -> bool:
    """Return whether the files of recordings are those of before; they are read only if a time is another.

    Args:
        manifest: The recordings.
        marks: Their marks now.
        known: What was kept of them: `sizes`, and, unless an earlier version wrote it, `times` and `contents`.
    """
    if known.get("sizes") != marks.sizes:
        return False
    if known.get("times", "") in (marks.times, ""):
        return True
    contents = Contents()
    contents.add(manifest)
    return bool(known.get("contents") == contents.digest())


def content_of(path: Path) -> str:
    """Return the digest of a file's bytes; "" of a file at a URL, and of one that cannot be read."""
    if isinstance(path, UrlPath):
        return ""
    try:
        size, changed, _ = path_status(path)
        return (_long_digest if size >= LONG else _digest)(path, size, changed)
    except (OSError, AudioError):
        return ""


def _digest(path: Path, size: int, changed: int) -> str:
    whole: Any = hashlib.sha256()
    with open_path(path) as file:
        while block := file.read(BLOCK):
            whole.update(block)
    return str(whole.hexdigest())


_long_digest = functools.lru_cache(MOST_KEPT)(_digest)


def _short(text: bytes) -> str:
    return hashlib.sha256(text).hexdigest()[:16]
