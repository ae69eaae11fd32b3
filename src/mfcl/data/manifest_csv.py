"""Lists of recordings as CSV files."""

import csv
import io
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from mfcl.core.files import is_there, replacing
from mfcl.data.columns import NAMES, Columns, is_raven, read_columns
from mfcl.data.manifest import PARTS, RESERVED, Manifest, Recording, default_id, number_text
from mfcl.data.relocation import relocated
from mfcl.errors import ManifestError, one_of

DELIMITERS = (",", "\t", ";")
AUDACITY = re.compile(r"\d+[.,]\d+\t\d+[.,]\d+(\t|$)")
"""The first line of Audacity's labels: a start, an end and a text."""


def read_manifest(csv_path: Path, *, data_root: Path | None = None) -> Manifest:
    """Read a list of recordings: a CSV with a column `path`, or a selection table of Raven.

    Paths are relative to the CSV's own folder, or absolute. `id`, `start` and `end` (seconds) and `split` may be there,
    also under other usual names (`mfcl.data.columns`); every other column is a label, and an empty cell means that it
    is not known. Columns are separated by commas, tabs or semicolons. Outer spaces do not count. The order is the
    file's own.

    Args:
        csv_path: The list.
        data_root: Where the recordings lie now, if they or the list were moved; see `relocated`.

    Raises:
        ManifestError: no such list, or a row that cannot be used; the message names the row.
    """
    try:
        text = csv_path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise ManifestError(f"{csv_path}: cannot be read ({error.strerror}); check the path") from error
    except UnicodeDecodeError as error:
        raise ManifestError(f"{csv_path}: not UTF-8 text ({error.reason}); save the table as CSV in UTF-8") from error
    if AUDACITY.match(text):
        raise ManifestError(
            f"{csv_path}: these look like labels of Audacity, which do not name their sound; "
            "give a table with the columns path, start, end and label"
        )
    rows = csv.reader(io.StringIO(text, newline=""), strict=True, delimiter=_delimiter(text))
    root = Path(os.path.abspath(csv_path)).parent  # noqa: PTH100  # unlike resolve, it keeps the names given
    try:
        header = [name.strip() for name in next(rows, [])]
        table = _Table(read_columns(header, csv_path), header, root)
        read = tuple(table.recording(row, f"{csv_path}, line {rows.line_num}") for row in rows if any(row))
    except csv.Error as error:
        raise ManifestError(f"{csv_path}, line {rows.line_num}: not a CSV ({error}); save the table as CSV") from error
    if not read:
        raise ManifestError(f"{csv_path}: a header, but no recording below it; give one a line")
    table.check(csv_path)
    manifest = Manifest(read, root, f"the list {csv_path.name}", table.notes())
    if data_root is not None:
        return relocated(manifest, data_root)
    if not any(is_there(recording.path) for recording in read):
        raise ManifestError(
            f"{csv_path}: none of its {len(read)} files exists, such as {read[0].path}; "
            "paths start at the CSV's folder; if the recordings were moved, give the folder where they are (data_root)"
        )
    return manifest


def write_manifest(manifest: Manifest, csv_path: Path, *, relative: bool = False) -> None:
    """Write a list that `read_manifest` reads back as the same recordings; paths below its folder become relative.

    Args:
        manifest: What to write.
        csv_path: Where.
        relative: Write paths beside the list's folder relative too, with `..`: it stays true when both are moved.

    Raises:
        ManifestError: a label is called like a column that means something else, or a name is not text.
        MfclError: a full disk.
    """
    content = manifest_bytes(manifest, csv_path, relative=relative)
    with replacing(csv_path) as temporary:
        temporary.write_bytes(content)


def manifest_bytes(manifest: Manifest, csv_path: Path, *, relative: bool = False) -> bytes:
    """Return what `write_manifest` writes, so that it can refuse before long work is done."""
    root = Path(os.path.abspath(csv_path)).parent  # noqa: PTH100
    rows = [_written_row(recording, root, relative) for recording in manifest]
    used = [name for name in RESERVED if any(row[name] for row in rows)]
    _check_labels([*used, *manifest.label_names], manifest.label_names, csv_path)
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
        return table.getvalue().encode("utf-8")
    except UnicodeEncodeError as error:
        text = error.object
        around = text[: error.start].rpartition("\n")[2][-20:] + text[error.start :].partition("\n")[0][:20]
        raise ManifestError(f"{csv_path}: a path or a label is not UTF-8 ({around!a}); rename it") from error


def _check_labels(header: Sequence[str], labels: Sequence[str], csv_path: Path) -> None:
    """Refuse labels that would be read back as something else."""
    for name in labels:
        if name in RESERVED or name != name.strip() or not name:
            raise ManifestError(f"{csv_path}: a label cannot be called {name!r}; rename it")
    read = read_columns(header, csv_path)
    other = [name for name in labels if name not in read.labels]
    if other:
        raise ManifestError(f"{csv_path}: a label cannot be called {other[0]!r}, which has a meaning here; rename it")


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
    """Return what separates the columns: what makes a header that names paths, commas where nothing does."""
    headers = {}
    for delimiter in DELIMITERS:
        try:
            line = next(csv.reader(io.StringIO(text, newline=""), strict=True, delimiter=delimiter), [])
        except csv.Error:  # said when the whole is read
            continue
        headers[delimiter] = [name.strip() for name in line]
    for delimiter, header in headers.items():
        if is_raven(header) or set(header) & set(NAMES["path"]):
            return delimiter
    return max(headers, key=lambda delimiter: len(headers[delimiter]), default=",")


@dataclass
class _Table:
    """Reads the rows of a table, and counts what is to be said of them once."""

    columns: Columns
    header: Sequence[str]
    root: Path
    stripped: list[tuple[str, str]] = field(default_factory=list)
    files: set[str] = field(default_factory=set)

    def recording(self, cells: list[str], where: str) -> Recording:
        if len(cells) > len(self.header):
            raise ManifestError(
                f"{where}: {len(cells)} cells under {len(self.header)} columns; put quotes around a text with commas"
            )
        row = {meaning: _cell(cells, place) for meaning, place in self.columns.places.items()}
        name, path = self._path(row, where)
        start, end = self._times(row, where)
        if end is not None and end <= (start or 0.0):
            raise ManifestError(
                f"{where}: it ends at {end} s and starts at {start or 0.0} s, which leaves nothing; correct them"
            )
        split = row.get("split", "").strip()
        if split and split not in PARTS:
            raise ManifestError(f"{where}: {one_of('split', split, PARTS)}")
        values = {label: self._strip(_cell(cells, place), label) for label, place in self.columns.labels.items()}
        labels = {label: value for label, value in values.items() if value}
        return Recording(
            row.get("id") or default_id(name, self.root, start, end), path, start, end, labels, split or None
        )

    def check(self, where: object) -> None:
        """Refuse times of a selection table that run on over several files."""
        if is_raven(self.header) and len(self.files) > 1 and "offset" not in self.columns.places:
            raise ManifestError(
                f"{where}: a selection table of {len(self.files)} files without 'File Offset (s)' does not "
                "say where in each a selection begins; add that column in Raven and save it again"
            )

    def notes(self) -> tuple[str, ...]:
        """Return what a person should know."""
        if not self.stripped:
            return ()
        name, value = self.stripped[0]
        return (f"outer spaces of {len(self.stripped)} cells are left out, such as {value!r} in {name!r}",)

    def _path(self, row: Mapping[str, str], where: str) -> tuple[Path, Path]:
        """Return a path as the table has it, below its folder, and where it leads."""
        given, full = row.get("path", ""), row.get("full_path", "")
        if "\0" in given + full or not (given.strip() or full.strip()):
            raise ManifestError(f"{where}: no path; name a file or take the line out")
        named = [(meaning, row[meaning]) for meaning in ("path", "full_path") if row.get(meaning, "").strip()]
        joined = [self.root / self._kept(text, self.header[self.columns.places[meaning]]) for meaning, text in named]
        places = [(path, _plain(path)) for path in joined]
        found = places[0]
        if len(places) > 1:
            found = next((both for both in places if is_there(both[1])), found)
        self.files.add(str(found[1]))
        return found

    def _kept(self, given: str, name: str) -> str:
        """Return a path of the table; a file whose name has outer spaces on the disk keeps them."""
        return given if given == given.strip() or is_there(self.root / given) else self._strip(given, name)

    def _times(self, row: Mapping[str, str], where: str) -> tuple[float | None, float | None]:
        said = {
            meaning: _seconds(row.get(meaning, ""), self.header[self.columns.places[meaning]], where)
            if meaning in self.columns.places
            else None
            for meaning in ("start", "end", "duration", "offset")
        }
        start, end = said["start"], said["end"]
        if said["duration"] is not None:
            end = round((start or 0.0) + said["duration"], 9)
        if "offset" in self.columns.places and start is not None and end is not None:
            if said["offset"] is None:
                raise ManifestError(f"{where}: no 'File Offset (s)'; save the selection table with it")
            start, end = said["offset"], round(said["offset"] + end - start, 9)
        return start, end

    def _strip(self, value: str, name: str) -> str:
        plain = value.strip()  # also of tabs, line ends and spaces that do not break
        if plain != value:
            self.stripped.append((name, value))
        return plain


def _plain(path: Path) -> Path:
    """Return a path without `..`, as it was written; through a link `..` may lead elsewhere."""
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
    if value is not None and not 0 <= value < 1e9:  # also not true of NaN
        raise ManifestError(f"{where}: {name} is {text!r}; give seconds from the file's beginning, such as 1.5")
    return value
