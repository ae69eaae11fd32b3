"""Recordings with their labels and splits, and manifests: recordings in a fixed order."""

import contextlib
import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Integer, Shaped

from mfcl.core.files import is_there
from mfcl.core.parallel import core_count, in_parallel
from mfcl.core.remote import READERS
from mfcl.core.spans import file_of, open_path, path_status
from mfcl.core.spelling import composed
from mfcl.core.urls import UrlPath
from mfcl.errors import AudioError, ManifestError, one_of

SPLITS = ("train", "valid", "test")
"""Names of the splits."""

RESERVED = ("path", "id", "start", "end", "split")
"""Columns of a manifest that are not labels."""
WINDOW_TIMES = ("start", "end")
"""Labels that embedded windows have, in seconds, and no recording: a list cannot have labels of these names."""


@dataclass(frozen=True, slots=True)
class Recording:
    """One recording: an audio file, or its segment from `start` to `end`."""

    id: str
    """Unique name in a manifest; by default the file's path below the manifest's root."""
    path: Path
    start: float | None = None
    """Seconds from the file's beginning."""
    end: float | None = None
    """Seconds from the file's beginning."""
    labels: Mapping[str, str] = field(default_factory=dict)
    """Label name -> value, in Unicode's composed form; unknown labels are left out."""
    split: str | None = None
    """`train`, `valid`, `test` or None."""
    digest: str = field(default="", compare=False)
    """Hash of the decoded samples and sample rate, set by a scan; recordings with the same hash are copies."""

    def __post_init__(self) -> None:
        other = {
            name: composed(value)  # else two spellings of a name would be two classes
            for name, value in self.labels.items()
            if isinstance(value, str) and not value.isascii()
        }
        if other:
            object.__setattr__(self, "labels", {**self.labels, **other})

    def label(self, name: str) -> str:
        """Return the value of a label; an empty string if it is unknown."""
        return self.labels.get(name, "")


@dataclass(frozen=True)
class Manifest:
    """Recordings in a fixed order.

    Raises:
        ManifestError: no recording, or two with the same id.
    """

    recordings: tuple[Recording, ...]
    root: Path
    """Folder to which ids and the paths of a written manifest are relative."""
    layout: str = field(default="", compare=False)
    """Description of the layout it was read from; a selection of recordings has none."""
    notes: tuple[str, ...] = field(default=(), compare=False)
    """Warnings about how it was read; a selection of recordings has none."""

    def __post_init__(self) -> None:
        if not self.recordings:
            raise ManifestError(f"{self.root}: no recording is left; give at least one")
        if len({recording.id for recording in self.recordings}) < len(self.recordings):
            name, count = Counter(recording.id for recording in self.recordings).most_common(1)[0]
            raise ManifestError(
                f"{self.root}: {count} recordings have the id {name!r}; give each a unique one in the column `id`"
            )

    def __len__(self) -> int:
        return len(self.recordings)

    def __iter__(self) -> Iterator[Recording]:
        return iter(self.recordings)

    @cached_property
    def label_names(self) -> tuple[str, ...]:
        """Names of all labels, in the order of first appearance."""
        return tuple(dict.fromkeys(name for recording in self.recordings for name in recording.labels))

    @property
    def ids(self) -> Shaped[np.ndarray, " items"]:
        """All ids."""
        return np.array([recording.id for recording in self.recordings])

    @property
    def splits(self) -> Shaped[np.ndarray, " items"]:
        """Split of each recording; an empty string for none."""
        return np.array([recording.split or "" for recording in self.recordings])

    def column(self, name: str) -> Shaped[np.ndarray, " items"]:
        """Return the value of a label for each recording; an empty string if it is unknown.

        Raises:
            ManifestError: no recording has this label.
        """
        if name not in self.label_names:
            known = one_of("label", name, self.label_names) if self.label_names else "they have no labels"
            raise ManifestError(f"{self.root}: the recordings have no label {name!r}; {known}")
        return np.array([recording.label(name) for recording in self.recordings])

    def select(self, indices: Integer[np.ndarray, " some"] | Bool[np.ndarray, " items"] | Sequence[int]) -> "Manifest":
        """Return the recordings at the given indices, in their order, or those where a mask is true."""
        places = np.arange(len(self))[np.asarray(indices, dtype=None if len(indices) else np.int64)]
        return Manifest(tuple(self.recordings[place] for place in places), self.root)

    def subset(self, name: str) -> "Manifest":
        """Return the recordings of one split.

        Raises:
            ManifestError: no such split, or it is empty.
        """
        if name not in SPLITS:
            raise ManifestError(one_of("split", name, SPLITS))
        kept = tuple(recording for recording in self.recordings if recording.split == name)
        if not kept:
            raise ManifestError(
                f"{self.root}: no recording is in the split {name!r}; give a `split` column or choose another split"
            )
        return Manifest(kept, self.root)

    def with_splits(self, splits: Iterable[str]) -> "Manifest":
        """Return the same recordings with other splits; an empty string is none."""
        pairs = zip(self.recordings, splits, strict=True)
        return Manifest(tuple(replace(recording, split=str(split) or None) for recording, split in pairs), self.root)

    def files_key(self, about: object, *, progress: bool = False) -> str:
        """Return a cache key of these files, from their ids, segments, sizes and times but not their paths.

        A folder may thus be moved. The status-change time (ctime) cannot be set by hand, so it reveals new contents of
        the same size and modification time. Of a file at a URL the size and the version (ETag) count.

        Args:
            about: Other things the cached value depends on; their `repr` is part of the key.
            progress: Show a bar while files at URLs are asked for.
        """
        digest = hashlib.sha256(repr(about).encode())
        remote = self.remote_sizes(progress=progress)
        found: dict[str, tuple[object, ...]] = {}
        for recording in self.recordings:
            place = str(recording.path)  # a faster key than a path
            if place not in found and not isinstance(recording.path, UrlPath):
                with contextlib.suppress(OSError, ValueError):
                    found[place] = path_status(recording.path)
            elif (status := remote.get(file_of(recording.path))) is not None:
                found[place] = status
            line = (recording.id, recording.start, recording.end, found.get(place))
            digest.update(repr(line).encode("utf-8", "backslashreplace"))
        return digest.hexdigest()[:32]

    @property
    def readers(self) -> int | None:
        """Number of threads to read the files with: None, one per core, or more if files at URLs are waited for."""
        remote = any(isinstance(recording.path, UrlPath) for recording in self.recordings)
        return max(READERS, core_count()) if remote else None

    def remote_sizes(self, *, progress: bool = False) -> dict[Path, tuple[int, str]]:
        """Return size in bytes and version of each file at a URL, asked for in threads; those not there are left out.

        Of spans of a tar it is the tar's.

        Raises:
            TransferError: the storage does not answer.
        """
        files = dict.fromkeys(file_of(one.path) for one in self.recordings if isinstance(one.path, UrlPath))
        paths = [file for file in files if isinstance(file, UrlPath)]
        if not paths:
            return {}
        found = in_parallel(_remote_size, paths, workers=READERS, what="Asking for sizes", shown=progress)
        return {path: status for path, status in zip(paths, found, strict=True) if status is not None}

    def fingerprint(self) -> str:
        """Return a hash (16 hexadecimal digits) of ids, segments, labels, splits and audio, but not of paths.

        The audio counts by the scan's digest, or by the file's bytes if it was not scanned.
        """
        contents: dict[Path, str] = {}

        def content(recording: Recording) -> str:
            if recording.digest:
                return recording.digest
            if recording.path not in contents:
                contents[recording.path] = _file_digest(recording.path)
            return contents[recording.path]

        return self._fingerprint(content)

    def fingerprint_of_sizes(self) -> str:
        """Return the fingerprint of version 0.1, in which the audio counts only by its file's size."""
        return self._fingerprint(lambda recording: path_status(recording.path)[0] if is_there(recording.path) else -1)

    def fingerprint_like(self, known: object, written: float) -> str:
        """Return the fingerprint; that of version 0.1 if `known` equals it and no file is newer than `written`.

        Args:
            known: The fingerprint to compare with, such as that of a run to resume.
            written: When `known` was saved, in seconds since the epoch.
        """
        if known == self.fingerprint_of_sizes():
            changed = (path_status(recording.path)[1] / 1e9 for recording in self if is_there(recording.path))
            if max(changed, default=0.0) <= written:
                return str(known)
        return self.fingerprint()

    def _fingerprint(self, content: Callable[[Recording], object]) -> str:
        digest = hashlib.sha256()
        for recording in self.recordings:
            labels = sorted(recording.labels.items())
            line = (recording.id, recording.start, recording.end, labels, recording.split, content(recording))
            digest.update(repr(line).encode("utf-8", "backslashreplace"))
        return digest.hexdigest()[:16]


def _remote_size(path: UrlPath) -> tuple[int, str] | None:
    try:
        found = path.facts()
    except OSError:
        return None
    return found.size, found.version


def _file_digest(path: Path) -> str:
    try:
        digest = hashlib.sha256()
        with open_path(path) as file:
            while block := file.read(1 << 20):
                digest.update(block)
        return digest.hexdigest()
    except (OSError, AudioError):
        return ""


def is_text(path: Path) -> bool:
    """Return whether a path can be encoded as UTF-8, as in a manifest."""
    try:
        str(path).encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True
