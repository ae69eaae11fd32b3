"""Read and write manifests as CSV files; read Raven selection tables."""

import contextlib
import csv
import io
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Literal

from mfcl.core.files import is_there, replacing
from mfcl.data.columns import NAMES, Columns, is_raven, read_columns
from mfcl.data.manifest import RESERVED, SPLITS, Manifest, Recording, default_id, number_text
from mfcl.data.relocation import relocated
from mfcl.errors import ManifestError, one_of

DELIMITERS = (",", "\t", ";")
FIRST = 2**16
"""Characters of a manifest by which its kind and its delimiter are known."""
AUDACITY = re.compile(r"\d+[.,]\d+\t\d+[.,]\d+(\t|$)")
"""First line of an Audacity label file: a start, an end and a text."""


def read_manifest(csv_path: Path, *, data_root: Path | None = None) -> Manifest:
    """Read a manifest: a CSV with a column `path`, or a Raven selection table.

    Paths are relative to the CSV's folder, or absolute. The columns `id`, `start` and `end` (seconds) and `split` are
    optional and may have other usual names (`mfcl.data.columns`). Every other column is a label; an empty cell is an
    unknown label. Columns are separated by commas, tabs or semicolons. Leading and trailing spaces are ignored. The
    order of rows is kept.

    Args:
        csv_path: The CSV file.
        data_root: Folder of the recordings, if they or the CSV were moved; see `relocated`.

    Raises:
        ManifestError: no such file, or a row that cannot be used; the message names the line.
    """
    with opened_rows(csv_path) as (table, rows):
        read = tuple(table.recording(row, where) for where, row in rows if any(row))
    if not read:
        raise ManifestError(f"{csv_path}: a header, but no recording below it; add one per line")
    table.check(csv_path)
    manifest = Manifest(read, table.root, f"the manifest {csv_path.name}", table.notes())
    if data_root is not None:
        return relocated(manifest, data_root)
    if not any(is_there(recording.path) for recording in read):
        raise no_file_of(csv_path, len(read), read[0])
    return manifest


@contextlib.contextmanager
def opened_rows(csv_path: Path) -> Iterator[tuple["Table", Iterator[tuple[str, list[str]]]]]:
    """Open a manifest, and give the reader of its rows, and each row with its place in the file, one at a time.

    Raises:
        ManifestError: see `read_manifest`.
    """
    try:
        with csv_path.open(newline="", encoding="utf-8-sig") as file:
            begin = file.read(FIRST)
            if AUDACITY.match(begin):
                raise ManifestError(
                    f"{csv_path}: this looks like an Audacity label file, which does not name its audio file; "
                    "give a table with the columns path, start, end and label"
                )
            file.seek(0)
            rows = csv.reader(file, strict=True, delimiter=_delimiter(begin))
            try:
                header = [name.strip() for name in next(rows, [])]
                root = Path(os.path.abspath(csv_path)).parent  # noqa: PTH100  # unlike resolve, it keeps the names given
                table = Table(read_columns(header, csv_path), header, root)
                yield table, ((f"{csv_path}, line {rows.line_num}", row) for row in rows)
            except csv.Error as error:
                raise ManifestError(
                    f"{csv_path}, line {rows.line_num}: not a CSV ({error}); save the table as CSV"
                ) from error
    except OSError as error:
        raise ManifestError(f"{csv_path}: cannot be read ({error.strerror}); check the path") from error
    except UnicodeDecodeError as error:
        raise ManifestError(f"{csv_path}: not UTF-8 text ({error.reason}); save the table as CSV in UTF-8") from error


def no_file_of(csv_path: Path, count: int, first: Recording) -> ManifestError:
    """Return the error of a manifest none of whose files exists."""
    return ManifestError(
        f"{csv_path}: none of its {count} files exists, such as {first.path}; "
        "paths are relative to the CSV's folder; if the recordings were moved, give their folder (data_root)"
    )


def write_manifest(manifest: Manifest, csv_path: Path, *, relative: bool = False) -> None:
    """Write a CSV that `read_manifest` reads back as the same recordings; paths below its folder become relative.

    Args:
        manifest: The recordings.
        csv_path: The file to write.
        relative: Also write paths outside the CSV's folder as relative, with `..`, so that CSV and recordings can be
            moved together.

    Raises:
        ManifestError: a label has a reserved name, or a path or label is not valid Unicode.
        MfclError: a full disk.
    """
    content = manifest_bytes(manifest, csv_path, relative=relative)
    with replacing(csv_path) as temporary:
        temporary.write_bytes(content)


def manifest_bytes(manifest: Manifest, csv_path: Path, *, relative: bool = False) -> bytes:
    """Return the bytes that `write_manifest` writes; call it early to find errors before long work."""
    root = Path(os.path.abspath(csv_path)).parent  # noqa: PTH100
    rows = [_written_row(recording, root, relative) for recording in manifest]
    used = [name for name in RESERVED if any(row[name] for row in rows)]
    check_labels([*used, *manifest.label_names], manifest.label_names, csv_path)
    lines = [[*used, *manifest.label_names]]
    for row, recording in zip(rows, manifest, strict=True):
        lines.append([row[name] for name in used] + [recording.label(name) for name in manifest.label_names])
    # the csv module does not quote a carriage return, but reads it as the end of a line
    quoting: Literal[0, 1] = (
        csv.QUOTE_ALL if any("\r" in cell for line in lines for cell in line) else csv.QUOTE_MINIMAL
    )
    table = io.StringIO()
    csv.writer(table, lineterminator="\n", quoting=quoting).writerows(lines)
    try:
        return table.getvalue().encode("utf-8")
    except UnicodeEncodeError as error:
        text = error.object
        around = text[: error.start].rpartition("\n")[2][-20:] + text[error.start :].partition("\n")[0][:20]
        raise ManifestError(f"{csv_path}: a path or a label is not UTF-8 ({around!a}); rename it") from error


def check_labels(header: Sequence[str], labels: Sequence[str], csv_path: Path) -> None:
    """Raise an error if a label would be read back as another column."""
    for name in labels:
        if name in RESERVED or name != name.strip() or not name:
            raise ManifestError(f"{csv_path}: a label cannot be called {name!r}, a reserved name; rename it")
    read = read_columns(header, csv_path)
    other = [name for name in labels if name not in read.labels]
    if other:
        raise ManifestError(f"{csv_path}: a label cannot be called {other[0]!r}, a reserved name; rename it")


def _written_row(recording: Recording, root: Path, relative: bool) -> dict[str, str]:
    path = recording.path
    inside = path.is_relative_to(root) and ".." not in path.parts
    written = path.relative_to(root) if inside else path
    if relative and not inside and len(Path(os.path.commonpath([path, root])).parts) > 1:
        written = Path(os.path.relpath(path, root))
    named = recording.id != default_id(root / written, root, recording.start, recording.end)
    return {
        "path": written.as_posix(),
        "id": recording.id if named else "",
        "start": number_text(recording.start),
        "end": number_text(recording.end),
        "split": recording.split or "",
    }


def _delimiter(text: str) -> str:
    """Return the delimiter: the first that gives a header with a path column, else the one with most columns."""
    headers = {}
    for delimiter in DELIMITERS:
        try:
            line = next(csv.reader(io.StringIO(text, newline=""), strict=True, delimiter=delimiter), [])
        except csv.Error:  # reported when the whole file is read
            continue
        headers[delimiter] = [name.strip() for name in line]
    for delimiter, header in headers.items():
        if is_raven(header) or set(header) & set(NAMES["path"]):
            return delimiter
    return max(headers, key=lambda delimiter: len(headers[delimiter]), default=",")


@dataclass
class Table:
    """Reader of the rows of a table; collects notes about them."""

    columns: Columns
    header: Sequence[str]
    root: Path
    stripped: int = 0
    first_stripped: tuple[str, str] = ("", "")
    files: set[str] = field(default_factory=set)
    """Files of a Raven table."""

    @cached_property
    def raven(self) -> bool:
        """Whether it is a Raven selection table."""
        return is_raven(self.header)

    def recording(self, cells: list[str], where: str) -> Recording:
        """Return the recording of a row; `where` names the row in messages."""
        if len(cells) > len(self.header):
            raise ManifestError(
                f"{where}: {len(cells)} cells under {len(self.header)} columns; put quotes around a text with commas"
            )
        row = {meaning: _cell(cells, place) for meaning, place in self.columns.places.items()}
        name, path = self._path(row, where)
        start, end = self._times(row, where)
        if end is not None and end <= (start or 0.0):
            raise ManifestError(
                f"{where}: wanted an end after the start, got start {start or 0.0} s and end {end} s; correct them"
            )
        split = row.get("split", "").strip()
        if split and split not in SPLITS:
            raise ManifestError(f"{where}: {one_of('split', split, SPLITS)}")
        values = {label: self._strip(_cell(cells, place), label) for label, place in self.columns.labels.items()}
        labels = {label: value for label, value in values.items() if value}
        return Recording(
            row.get("id") or default_id(name, self.root, start, end), path, start, end, labels, split or None
        )

    def check(self, where: object) -> None:
        """Raise an error if times of a Raven table continue from file to file: they give no time within a file."""
        if self.raven and len(self.files) > 1 and "offset" not in self.columns.places:
            raise ManifestError(
                f"{where}: a Raven selection table of {len(self.files)} files needs 'File Offset (s)', the times "
                "within each file; add that column in Raven and save it again"
            )

    def notes(self) -> tuple[str, ...]:
        """Return notes about the table, for the user."""
        if not self.stripped:
            return ()
        name, value = self.first_stripped
        return (f"leading or trailing spaces of {self.stripped} cells are ignored, such as {value!r} in {name!r}",)

    def _path(self, row: Mapping[str, str], where: str) -> tuple[Path, Path]:
        """Return a path as written in the table, joined to the CSV's folder, and the same path without `..`."""
        given, full = row.get("path", ""), row.get("full_path", "")
        if "\0" in given + full or not (given.strip() or full.strip()):
            raise ManifestError(f"{where}: no path; name a file or take the line out")
        named = [(meaning, row[meaning]) for meaning in ("path", "full_path") if row.get(meaning, "").strip()]
        joined = [self.root / self._kept(text, self.header[self.columns.places[meaning]]) for meaning, text in named]
        places = [(path, _plain(path)) for path in joined]
        found = places[0]
        if len(places) > 1:
            found = next((both for both in places if is_there(both[1])), found)
        if self.raven:
            self.files.add(str(found[1]))
        return found

    def _kept(self, given: str, name: str) -> str:
        """Return a path without outer spaces, unless a file with these spaces in its name exists."""
        return given if given == given.strip() or is_there(self.root / given) else self._strip(given, name)

    def _times(self, row: Mapping[str, str], where: str) -> tuple[float | None, float | None]:
        times = {
            meaning: _seconds(row.get(meaning, ""), self.header[self.columns.places[meaning]], where)
            if meaning in self.columns.places
            else None
            for meaning in ("start", "end", "duration", "offset")
        }
        start, end = times["start"], times["end"]
        if times["duration"] is not None:
            end = round((start or 0.0) + times["duration"], 9)
        if "offset" in self.columns.places and start is not None and end is not None:
            if times["offset"] is None:
                raise ManifestError(f"{where}: no 'File Offset (s)'; save the selection table with it")
            start, end = times["offset"], round(times["offset"] + end - start, 9)
        return start, end

    def _strip(self, value: str, name: str) -> str:
        plain = value.strip()  # also strips tabs, line ends and non-breaking spaces
        if plain != value:
            self.first_stripped = self.first_stripped if self.stripped else (name, value)
            self.stripped += 1
        return plain


def _plain(path: Path) -> Path:
    """Return a path without `..`, if the file exists there; after a symbolic link `..` may lead elsewhere."""
    if ".." not in path.parts:
        return path
    plain = Path(os.path.normpath(path))
    return plain if is_there(plain) else path


def _cell(cells: Sequence[str], place: int) -> str:
    return cells[place] if place < len(cells) else ""


def _seconds(text: str, name: str, where: str) -> float | None:
    try:
        value = float(text) if text.strip() else None
    except ValueError:
        value = -1.0
    if value is not None and not 0 <= value < 1e9:  # also rejects NaN
        raise ManifestError(f"{where}: {name} is {text!r}; give seconds from the file's beginning, such as 1.5")
    return value
