"""A list of recordings cut into parts, of which one is in memory at a time."""

import hashlib
import itertools
from array import array
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mfcl.core.urls import UrlPath, as_path
from mfcl.data.ids import is_window
from mfcl.data.layouts import open_manifest
from mfcl.data.manifest import WINDOW_TIMES, Manifest, Recording
from mfcl.data.manifest_csv import found_any, no_file_of, opened_rows
from mfcl.data.shards.receipt import complete_index, is_pack
from mfcl.errors import ManifestError

STREAMED = (".csv", ".tsv", ".parquet")
"""Suffixes of lists that are read row by row; all others are read as a whole."""


@dataclass(frozen=True)
class ListedParts:
    """A list of recordings, in order, and its parts of nearly equal size.

    Attributes:
        source: A CSV or Parquet table that is read row by row each time, or recordings in memory.
        root: Folder to which ids are relative.
        count: Number of recordings.
        digest: Hash of ids, segments, labels and splits, in their order; paths and sound do not count.
        label_names: Names of all labels, the same for all parts.
        notes: Warnings about how it was read.
        loose: Id of the first segment of a file that has no split; an empty string if there is none.
        windows: Whether all recordings are windows of recordings, by their ids.
        status: Bytes and modification time in ns of a local table before it was first read; None for others.
    """

    source: Path | Manifest
    root: Path
    count: int
    digest: str
    label_names: tuple[str, ...]
    notes: tuple[str, ...]
    loose: str = ""
    windows: bool = False
    status: tuple[int, int] | None = None

    @property
    def embedded_names(self) -> tuple[str, ...]:
        """Names of the labels of the list's embeddings: times, too, if all are windows; the same for all parts."""
        return self.label_names + (WINDOW_TIMES if self.windows else ())

    def limits(self, part: int, of: int) -> tuple[int, int]:
        """Return the number of a part's first recording, and of the one after its last."""
        return self.count * part // of, self.count * (part + 1) // of

    def rows(self, first: int) -> Iterator[Recording]:
        """Yield the recordings from number `first` on.

        Raises:
            ManifestError: the CSV changed since it was opened.
        """
        if isinstance(self.source, Manifest):
            yield from self.source.recordings[first:]
            return
        count = 0
        for recording in _recordings(self.source, [(first, self.count)]):
            yield recording
            count += 1
        if count < self.count - first:
            raise self._shorter()

    def rows_of_digest(self) -> Iterator[Recording]:
        """Yield all recordings, and compare their digest at the end.

        Raises:
            ManifestError: the list changed since it was opened.
        """
        seen = hashlib.sha256()
        for recording in self.rows(0):
            seen.update(_line(recording))
            yield recording
        if _text(seen) != self.digest:
            raise self._changed()

    def _changed(self) -> ManifestError:
        return ManifestError(
            f"{self.root if isinstance(self.source, Manifest) else self.source}: the list changed while it was worked "
            "on; run the same command again with another folder for what it makes"
        )

    def _shorter(self) -> ManifestError:
        return ManifestError(f"{self.source}: it became shorter while it was read; run the same command again")

    def parts(self, chosen: Iterable[int], of: int) -> Iterator[tuple[int, Manifest]]:
        """Yield some parts with their numbers, in ascending order.

        Raises:
            ManifestError: the CSV changed since it was opened.
        """
        wanted = sorted(set(chosen))
        if isinstance(self.source, Manifest):
            for part in wanted:
                first, end = self.limits(part, of)
                yield part, Manifest(self.source.recordings[first:end], self.root)
            return
        rows = _recordings(self.source, [self.limits(part, of) for part in wanted])
        for part in wanted:
            first, end = self.limits(part, of)
            some = tuple(itertools.islice(rows, end - first))
            if len(some) < end - first:
                raise self._shorter()
            if self.status is not None and _status(self.source) != self.status:
                raise self._changed()
            yield part, Manifest(some, self.root)


def list_parts(data: str | Path | Manifest, *, data_root: Path | None = None) -> ListedParts:
    """Open a list of recordings to be worked on in parts; a CSV or Parquet table is never held as a whole.

    Args:
        data: A manifest, its path, a folder or an audio file.
        data_root: For a manifest: folder of the recordings, if they were moved; the list is then held as a whole.

    Raises:
        ManifestError: see `open_manifest`.
    """
    if not isinstance(data, Manifest):
        path = as_path(data)
        if not isinstance(path, UrlPath) and is_pack(path):
            path = complete_index(path)
        if data_root is None and path.suffix.lower() in STREAMED and path.is_file():
            return _surveyed(path)
    manifest = data if isinstance(data, Manifest) else open_manifest(path, data_root=data_root)
    seen = _Survey()
    for recording in manifest:
        seen.add(recording)
    return ListedParts(
        manifest, manifest.root, len(manifest), _text(seen.digest), tuple(seen.labels), manifest.notes,
        seen.loose, seen.windows,
    )  # fmt: skip


class _Survey:
    """What is to be known of all recordings: 8 bytes for each are kept."""

    def __init__(self) -> None:
        self.digest, self.labels, self.ids, self.found = hashlib.sha256(), dict[str, None](), array("q"), False
        self.loose, self.windows = "", True

    def add(self, recording: Recording) -> None:
        self.digest.update(_line(recording))
        self.labels |= dict.fromkeys(recording.labels)
        name = hashlib.blake2b(recording.id.encode("utf-8", "backslashreplace"), digest_size=8).digest()
        self.ids.append(int.from_bytes(name, "little", signed=True))
        self.found = self.found or found_any([recording])
        self.windows = self.windows and is_window(recording.id, recording.start, recording.end)
        if recording.split is None and not (recording.start is None and recording.end is None):
            self.loose = self.loose or recording.id

    def twice(self) -> int | None:
        """Return the number of a recording whose id another one before has, or None."""
        values = np.frombuffer(self.ids, dtype=np.int64)
        ordered = np.sort(values)
        if not (ordered[1:] == ordered[:-1]).any():
            return None
        order = np.argsort(values, kind="stable")
        return int(order[1:][values[order][1:] == values[order][:-1]].min())


def _line(recording: Recording) -> bytes:
    """Return what counts of a recording in the digest of a list."""
    labels = sorted(recording.labels.items())
    line = (recording.id, recording.start, recording.end, labels, recording.split)
    return repr(line).encode("utf-8", "backslashreplace")


def _text(digest: Any) -> str:
    return str(digest.hexdigest()[:32])


def _status(path: Path) -> tuple[int, int] | None:
    if isinstance(path, UrlPath):
        return None
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_size, found.st_mtime_ns


def _surveyed(csv_path: Path) -> ListedParts:
    status = _status(csv_path)
    seen, first = _Survey(), None
    with opened_rows(csv_path) as (table, rows):
        for where, row in rows:
            if any(row):
                recording = table.recording(row, where)
                first = first or recording
                seen.add(recording)
    if first is None:
        raise ManifestError(f"{csv_path}: a header, but no recording below it; add one per line")
    table.check(csv_path)
    if not seen.found:
        raise no_file_of(csv_path, len(seen.ids), first)
    place = seen.twice()
    if place is not None:
        name = next(_recordings(csv_path, [(place, place + 1)])).id
        raise ManifestError(
            f"{csv_path}: several recordings have the id {name!r}; give each a unique one in the column `id`"
        )
    return ListedParts(
        csv_path, table.root, len(seen.ids), _text(seen.digest), tuple(seen.labels), table.notes(),
        seen.loose, seen.windows, status,
    )  # fmt: skip


def _recordings(csv_path: Path, ranges: list[tuple[int, int]]) -> Iterator[Recording]:
    """Yield the recordings of ascending ranges of rows; other rows are passed over unread."""
    with opened_rows(csv_path) as (table, rows):
        filled: Iterator[Any] = (one for one in rows if any(one[1]))
        at = 0
        for first, end in ranges:
            for _ in range(first - at):
                next(filled, None)
            for _ in range(end - first):
                found = next(filled, None)
                if found is None:
                    return
                yield table.recording(found[1], found[0])
            at = end
