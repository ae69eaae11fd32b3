"""What is known of a recording, and lists of them as CSV files."""

import csv
import difflib
import hashlib
import io
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Literal

import numpy as np
from jaxtyping import Bool, Integer, Shaped

from mfcl.errors import ManifestError, one_of
from mfcl.files import replacing

PARTS = ("train", "valid", "test")
"""The sides a recording can be on."""

RESERVED = ("path", "id", "start", "end", "split")
"""Columns of a manifest that are no labels."""


@dataclass(frozen=True)
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

    def fingerprint(self) -> str:
        """Return 16 hexadecimal digits over ids, parts, labels, sides and file sizes; not over where the files lie."""
        digest = hashlib.sha256()
        for recording in self.recordings:
            size = recording.path.stat().st_size if recording.path.exists() else -1
            labels = sorted(recording.labels.items())
            line = (recording.id, recording.start, recording.end, labels, recording.split, size)
            digest.update(repr(line).encode("utf-8", "backslashreplace"))
        return digest.hexdigest()[:16]


def default_id(path: Path, root: Path, start: float | None = None, end: float | None = None) -> str:
    """Return the id of a recording that is given none: its path below `root`, and its part of the file.

    Example:
        >>> default_id(Path("/sounds/a/b.wav"), Path("/sounds"), 1.5)
        'a/b.wav#1.5-'
    """
    name = (path.relative_to(root) if path.is_relative_to(root) else path).as_posix()
    name = os.fsencode(name).decode("utf-8", "backslashreplace")
    return name if start is None and end is None else f"{name}#{_number(start)}-{_number(end)}"


def read_manifest(csv_path: Path) -> Manifest:
    """Read a list of recordings: a CSV with a column `path`.

    Paths are relative to the CSV's own folder, or absolute. `id`, `start` and `end` (seconds) and `split` may be there;
    every other column is a label, and an empty cell means that it is not known. The order is the file's own.

    Raises:
        ManifestError: no such list, or a row that cannot be used; the message names the row.
    """
    try:
        text = csv_path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise ManifestError(f"{csv_path}: cannot be read ({error.strerror}); check the path") from error
    except UnicodeDecodeError as error:
        raise ManifestError(f"{csv_path}: not UTF-8 text ({error.reason}); save the table as CSV in UTF-8") from error
    rows = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        header = [name.strip() for name in next(rows, [])]
        _check_header(header, csv_path)
        root = Path(os.path.abspath(csv_path)).parent  # noqa: PTH100  # unlike resolve, it keeps the names given
        read = tuple(_read_row(row, header, root, f"{csv_path}, line {rows.line_num}") for row in rows if any(row))
    except csv.Error as error:
        raise ManifestError(f"{csv_path}, line {rows.line_num}: not a CSV ({error}); save the table as CSV") from error
    if not read:
        raise ManifestError(f"{csv_path}: a header, but no recording below it; give one a line")
    if not any(recording.path.exists() for recording in read):
        raise ManifestError(
            f"{csv_path}: none of its {len(read)} files exists, such as {read[0].path}; paths start at the CSV's folder"
        )
    return Manifest(read, root)


def write_manifest(manifest: Manifest, csv_path: Path) -> None:
    """Write a list that `read_manifest` reads back as the same recordings; paths below its folder become relative.

    Raises:
        ManifestError: a label is called like a column that means something else.
        MfclError: a full disk.
    """
    for name in manifest.label_names:
        if name in RESERVED or name != name.strip() or not name:
            raise ManifestError(f"{csv_path}: a label cannot be called {name!r}; rename it")
    root = Path(os.path.abspath(csv_path)).parent  # noqa: PTH100
    rows = [_written_row(recording, root) for recording in manifest]
    used = [name for name in RESERVED if any(row[name] for row in rows)]
    lines = [[*used, *manifest.label_names]]
    for row, recording in zip(rows, manifest, strict=True):
        lines.append([row[name] for name in used] + [recording.label(name) for name in manifest.label_names])
    # csv puts no quotes around a carriage return of its own accord, but reads it as the end of a line
    quoting: Literal[0, 1] = (
        csv.QUOTE_ALL if any("\r" in cell for line in lines for cell in line) else csv.QUOTE_MINIMAL
    )
    table = io.StringIO()
    csv.writer(table, lineterminator="\n", quoting=quoting).writerows(lines)
    try:
        content = table.getvalue().encode("utf-8")
    except UnicodeEncodeError as error:
        raise ManifestError(
            f"{csv_path}: a file's name is not UTF-8 ({error.object[error.start]!a}); rename it"
        ) from error
    with replacing(csv_path) as temporary:
        temporary.write_bytes(content)


def _written_row(recording: Recording, root: Path) -> dict[str, str]:
    path = recording.path
    inside = path.is_relative_to(root) and ".." not in path.parts
    named = recording.id != default_id(path, root, recording.start, recording.end)
    return {
        "path": (path.relative_to(root) if inside else path).as_posix(),
        "id": recording.id if named else "",
        "start": _number(recording.start),
        "end": _number(recording.end),
        "split": recording.split or "",
    }


def _check_header(header: list[str], csv_path: Path) -> None:
    if "path" not in header:
        near = difflib.get_close_matches("path", [name.lower() for name in header], n=1)
        hint = f"; is it {near[0]!r}?" if near else "; are the columns separated by commas?"
        raise ManifestError(
            f"{csv_path}: a column `path` is wanted, its columns are {', '.join(header) or 'none'}{hint}"
        )
    twice = [name for name, count in Counter(header).items() if count > 1 and name]
    if twice:
        raise ManifestError(f"{csv_path}: two columns are called {twice[0]!r}; rename one")


def _read_row(cells: list[str], header: list[str], root: Path, where: str) -> Recording:
    if len(cells) > len(header):
        raise ManifestError(
            f"{where}: {len(cells)} cells under {len(header)} columns; put quotes around a text with commas"
        )
    row = dict(zip(header, cells, strict=False))
    given = row.get("path", "")
    if not given.strip() or "\0" in given:
        raise ManifestError(f"{where}: no path; name a file or take the line out")
    path = root / given
    start, end = (_seconds(row.get(name, ""), name, where) for name in ("start", "end"))
    if end is not None and end <= (start or 0.0):
        raise ManifestError(
            f"{where}: it ends at {end} s and starts at {start or 0.0} s, which leaves nothing; correct them"
        )
    split = row.get("split", "").strip()
    if split and split not in PARTS:
        raise ManifestError(f"{where}: {one_of('split', split, PARTS)}")
    labels = {name: value for name, value in row.items() if name and name not in RESERVED and value}
    name = row.get("id") or default_id(path, root, start, end)
    return Recording(name, path, start, end, labels, split or None)


def _seconds(text: str, name: str, where: str) -> float | None:
    try:
        value = float(text) if text.strip() else None
    except ValueError:
        value = -1.0
    if value is not None and not 0 <= value < 1e9:  # also not true of NaN
        raise ManifestError(f"{where}: {name} is {text!r}; give seconds from the file's beginning, such as 1.5")
    return value


def _number(value: float | None) -> str:
    return "" if value is None else repr(float(value))
