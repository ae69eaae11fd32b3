"""What is known of a recording, and recordings in a fixed order."""

import contextlib
import hashlib
import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Integer, Shaped

from mfcl.core.files import is_there
from mfcl.errors import ManifestError, one_of

PARTS = ("train", "valid", "test")
"""The sides a recording can be on."""

RESERVED = ("path", "id", "start", "end", "split")
"""Columns of a manifest that are no labels."""


@dataclass(frozen=True, slots=True)
class Recording:
    """One sound: a file, or the part of it from `start` to `end`."""

    id: str
    """Its name, unique in a manifest; by default the file's path below the manifest's root."""
    path: Path
    start: float | None = None
    """Seconds from the file's beginning."""
    end: float | None = None
    """Seconds from the file's beginning."""
    labels: Mapping[str, str] = field(default_factory=dict)
    """What is known of it; a label that is not known is left out."""
    split: str | None = None
    """`train`, `valid`, `test` or none."""
    digest: str = field(default="", compare=False)
    """Of its decoded sound and rate, once it was scanned; recordings of one digest are copies."""

    def label(self, name: str) -> str:
        """Return a label's value, an empty text where it has none."""
        return self.labels.get(name, "")


@dataclass(frozen=True)
class Manifest:
    """Recordings in a fixed order.

    Raises:
        ManifestError: no recording, or two of one id.
    """

    recordings: tuple[Recording, ...]
    root: Path
    """The folder that ids and a written manifest's paths start from."""
    layout: str = field(default="", compare=False)
    """How it was read, in words, as long as it is whole."""
    notes: tuple[str, ...] = field(default=(), compare=False)
    """What a person should know about how it was read, as long as it is whole."""

    def __post_init__(self) -> None:
        if not self.recordings:
            raise ManifestError(f"{self.root}: no recording is left; give at least one")
        if len({recording.id for recording in self.recordings}) < len(self.recordings):
            name, count = Counter(recording.id for recording in self.recordings).most_common(1)[0]
            raise ManifestError(
                f"{self.root}: {count} recordings have the id {name!r}; give each its own in the column `id`"
            )

    def __len__(self) -> int:
        return len(self.recordings)

    def __iter__(self) -> Iterator[Recording]:
        return iter(self.recordings)

    @cached_property
    def label_names(self) -> tuple[str, ...]:
        """Names of all labels, in the order in which they first appear."""
        return tuple(dict.fromkeys(name for recording in self.recordings for name in recording.labels))

    @property
    def ids(self) -> Shaped[np.ndarray, " items"]:
        """All ids."""
        return np.array([recording.id for recording in self.recordings])

    @property
    def splits(self) -> Shaped[np.ndarray, " items"]:
        """All sides, an empty text where a recording is on none."""
        return np.array([recording.split or "" for recording in self.recordings])

    def column(self, name: str) -> Shaped[np.ndarray, " items"]:
        """Return a label of all recordings, an empty text where one has none.

        Raises:
            ManifestError: no recording has this label.
        """
        if name not in self.label_names:
            known = one_of("label", name, self.label_names) if self.label_names else "they have no labels"
            raise ManifestError(f"{self.root}: the recordings have no label {name!r}; {known}")
        return np.array([recording.label(name) for recording in self.recordings])

    def select(self, indices: Integer[np.ndarray, " some"] | Bool[np.ndarray, " items"] | Sequence[int]) -> "Manifest":
        """Return the recordings at these places (or where a mask is true), in this order."""
        places = np.arange(len(self))[np.asarray(indices, dtype=None if len(indices) else np.int64)]
        return Manifest(tuple(self.recordings[place] for place in places), self.root)

    def part(self, name: str) -> "Manifest":
        """Return one side of the split.

        Raises:
            ManifestError: no such side, or nothing on it.
        """
        if name not in PARTS:
            raise ManifestError(one_of("part", name, PARTS))
        kept = tuple(recording for recording in self.recordings if recording.split == name)
        if not kept:
            raise ManifestError(
                f"{self.root}: no recording is in the part {name!r}; give a `split` column or choose a split"
            )
        return Manifest(kept, self.root)

    def with_splits(self, splits: Iterable[str]) -> "Manifest":
        """Return the same recordings on other sides; an empty text is none."""
        pairs = zip(self.recordings, splits, strict=True)
        return Manifest(tuple(replace(recording, split=str(split) or None) for recording, split in pairs), self.root)

    def files_key(self, about: object) -> str:
        """Return a name for what is made of these files: where they lie does not count, so that a folder may move.

        The time of a file's last change cannot be set by hand: it tells new contents of equal size and date.

        Args:
            about: What else the made thing depends on; what `repr` says of it counts.
        """
        digest = hashlib.sha256(repr(about).encode())
        found: dict[str, tuple[int, ...]] = {}
        for recording in self.recordings:
            place = str(recording.path)  # quicker to look up than a path
            if place not in found:
                with contextlib.suppress(OSError, ValueError):
                    status = recording.path.stat()
                    found[place] = (status.st_size, status.st_mtime_ns, status.st_ctime_ns)
            line = (recording.id, recording.start, recording.end, found.get(place))
            digest.update(repr(line).encode("utf-8", "backslashreplace"))
        return digest.hexdigest()[:32]

    def fingerprint(self) -> str:
        """Return 16 hexadecimal digits over ids, parts, labels, sides and sound; not over where the files lie.

        The sound counts by the scan's digest, or by the file's bytes where it was not scanned.
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
        """Return the fingerprint as version 0.1 made it: sound counts by the size of its file alone."""
        return self._fingerprint(lambda recording: recording.path.stat().st_size if is_there(recording.path) else -1)

    def fingerprint_like(self, known: object, written: float) -> str:
        """Return the fingerprint, or that of version 0.1 where `known` is it and no file is newer.

        Args:
            known: The fingerprint that is to be gone on with.
            written: When it was written down, in seconds of the system's clock.
        """
        if known == self.fingerprint_of_sizes():
            changed = (recording.path.stat().st_mtime for recording in self if is_there(recording.path))
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


def _file_digest(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return ""


def default_id(path: Path, root: Path, start: float | None = None, end: float | None = None) -> str:
    """Return the id of a recording that is given none: its path below `root`, and its part of the file.

    Example:
        >>> default_id(Path("/sounds/a/b.wav"), Path("/sounds"), 1.5)
        'a/b.wav#1.5-'
    """
    name = readable((path.relative_to(root) if path.is_relative_to(root) else path).as_posix())
    return name if start is None and end is None else f"{name}#{number_text(start)}-{number_text(end)}"


def readable(name: str) -> str:
    """Return a file's name as text that can be written anywhere, also where it is no text to the file system."""
    return os.fsencode(name).decode("utf-8", "backslashreplace")


def is_text(path: Path) -> bool:
    """Return whether a path can be written as UTF-8, as every list of recordings is."""
    try:
        str(path).encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def number_text(value: float | None) -> str:
    """Return seconds as a manifest has them, so that they are read back exactly; none is an empty text."""
    return "" if value is None else repr(float(value))
