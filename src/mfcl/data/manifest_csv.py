"""Read and write manifests as CSV files; read Raven selection tables and Parquet tables."""

import contextlib
import csv
import io
import os
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

from mfcl.audio import AUDIO_SUFFIXES
from mfcl.core.console import worded
from mfcl.core.files import is_there, replacing
from mfcl.core.urls import UrlPath
from mfcl.data.columns import NAMES, is_raven, names_no_file, read_columns
from mfcl.data.ids import default_id, number_text
from mfcl.data.manifest import RESERVED, Manifest, Recording
from mfcl.data.manifest_parquet import PARQUET, parquet_rows
from mfcl.data.manifest_table import Table, folder_of
from mfcl.data.relocation import relocated
from mfcl.errors import ManifestError

DELIMITERS = (",", "\t", ";")
FIRST = 2**16
"""Characters of a manifest by which its kind and its delimiter are known."""
AUDACITY = re.compile(r"\d+[.,]\d+\t\d+[.,]\d+(\t|$)")
"""First line of an Audacity label file: a start, an end and a text."""
RAVEN_TABLE = re.compile(r"(.+?)(\.Table\.\d+)?\.selections\.txt", re.IGNORECASE)
"""The name that Raven gives the selection table of a recording, and in it the recording's without its suffix."""


def read_manifest(csv_path: Path, *, data_root: Path | None = None) -> Manifest:
    """Read a manifest: a CSV or Parquet table with a column `path`, or a Raven selection table.

    Paths are relative to the CSV's folder, absolute, or URLs (`mfcl.core.urls`). The columns `id`, `start` and `end`
    (seconds) and `split` are optional and may have other usual names (`mfcl.data.columns`). Every other column is a
    label; an empty cell is an unknown label. Columns are separated by commas, tabs or semicolons. Leading and trailing
    spaces are ignored. The order of rows is kept.

    Args:
        csv_path: The CSV file; a name that ends in `.parquet` is a Parquet table (extra `parquet`).
        data_root: Folder of the recordings, if they or the CSV were moved; see `relocated`.

    Raises:
        ManifestError: no such file, or a row that cannot be used; the message names the line.
    """
    with opened_rows(csv_path) as (table, rows):
        read = tuple(table.recording(row, where) for where, row in rows if any(row))
    if not read:
        raise ManifestError(f"{csv_path}: a header, but no recording below it; add one per line")
    table.check(csv_path)
    name, count = Counter(one.id for one in read).most_common(1)[0]
    if count > 1:
        raise _same_id(csv_path, name)
    manifest = Manifest(read, table.root, f"the manifest {csv_path.name}", table.notes())
    if data_root is not None:
        return relocated(manifest, data_root)
    if not found_any(read):
        raise no_file_of(csv_path, len(read), read[0])
    return manifest


def _same_id(csv_path: Path, name: str) -> ManifestError:
    """Return the error of several recordings with one id; it names the line of the second."""
    with opened_rows(csv_path) as (table, rows):
        places = [where for where, row in rows if any(row) and table.recording(row, where).id == name]
    return ManifestError(
        f"{places[1]}: {len(places)} recordings have the id {name!r}; give each a unique one in the column `id`"
    )


def found_any(recordings: Iterable[Recording]) -> bool:
    """Return whether a file exists; the first at a URL is asked for and then taken to exist, for each costs a request.

    Raises:
        TransferError: the storage of the URL does not answer.
    """
    for recording in recordings:
        there = is_there(recording.path)
        if there or isinstance(recording.path, UrlPath):
            return True
    return False


@contextlib.contextmanager
def opened_rows(csv_path: Path) -> Iterator[tuple["Table", Iterator[tuple[str, list[str]]]]]:
    """Open a manifest, and give the reader of its rows, and each row with its place in the file, one at a time.

    Raises:
        ManifestError: see `read_manifest`.
    """
    if csv_path.suffix.lower() == PARQUET:
        with parquet_rows(csv_path) as (header, rows):
            yield Table(read_columns(header, csv_path), header, folder_of(csv_path)), rows
        return
    try:
        with csv_path.open(newline="", encoding="utf-8-sig") as file:
            begin = file.read(FIRST)
            if AUDACITY.match(begin):
                raise ManifestError(
                    f"{csv_path}: this looks like an Audacity label file, which does not name its audio file; "
                    "give a table with the columns path, start, end and label"
                )
            file.seek(0)
            delimiter = _delimiter(begin)
            read = _numbered(csv.reader(file, strict=True, delimiter=delimiter), csv_path)
            line, cells = next(read, (0, []))
            header = [name.strip() for name in cells]
            named = _named_by(csv_path) if names_no_file(header) else None
            width, header = len(header), header + ([] if named is None else ["Begin File"])
            table = Table(read_columns(header, csv_path), header, folder_of(csv_path), named=named or "")
            lines = _plain_rows(file, line + 1) if table.raven and delimiter == "\t" else read
            if named is not None:
                lines = ((number, _with_file(row, width, named) if any(row) else row) for number, row in lines)
            yield table, table.selections((f"{csv_path}, line {number}", row) for number, row in lines)
    except OSError as error:
        raise ManifestError(f"{csv_path}: cannot be read ({error.strerror or error}); check the path") from error
    except UnicodeDecodeError as error:
        raise ManifestError(f"{csv_path}: not UTF-8 text ({error.reason}); save the table as CSV in UTF-8") from error


def _numbered(lines: Any, csv_path: Path) -> Iterator[tuple[int, list[str]]]:
    """Yield the rows of a CSV reader, each with the number of its last line.

    Raises:
        ManifestError: not a CSV; a quote that is not closed goes on to the last line, so its row's first one is named.
    """
    whole = 0
    try:
        for row in lines:
            whole = lines.line_num
            yield whole, row
    except csv.Error as error:
        raise ManifestError(f"{csv_path}, line {whole + 1}: not a CSV ({error}); save the table as CSV") from error


def _plain_rows(lines: Iterable[str], first: int) -> Iterator[tuple[int, list[str]]]:
    """Yield the rows of a Raven table, each with the number of its line.

    Raven quotes nothing: a quote that opens and does not close in its cell is a sign of an annotation, and would take
    the selections of the next lines into one. Other programs quote their copies of a table, so the others are quotes.
    """
    for number, line in enumerate(lines, first):
        plain = line.rstrip("\r\n")
        try:
            yield number, next(csv.reader([plain], strict=True, delimiter="\t"), [])
        except csv.Error:
            yield number, plain.split("\t")


def _named_by(csv_path: Path) -> str | None:
    """Return the name of the only recording beside a Raven table whose name the table has, as Raven names tables."""
    found = RAVEN_TABLE.fullmatch(csv_path.name)
    if found is None or isinstance(csv_path, UrlPath):
        return None
    beside = [one for one in csv_path.parent.iterdir() if one.suffix.lower() in AUDIO_SUFFIXES]
    same = [one.name for one in beside if one.stem == found[1]]
    return same[0] if len(same) == 1 else None


def _with_file(row: list[str], width: int, name: str) -> list[str]:
    return [*row, *[""] * (width - len(row)), name]


def no_file_of(csv_path: Path, count: int, first: Recording) -> ManifestError:
    """Return the error of a manifest none of whose files exists."""
    found = f"{csv_path}: none of its {worded(count, 'file')} exists, such as {first.path}"
    if os.sep != "\\" and "\\" in str(first.path):
        return ManifestError(f"{found}; its paths are those of Windows: write / in place of each \\")
    return ManifestError(
        f"{found}; paths are relative to the CSV's folder; if the recordings were moved, give their folder "
        "(--data-root, in Python data_root)"
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
    root = folder_of(csv_path)
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
    remote = isinstance(path, UrlPath)
    if relative and not remote and not inside and len(Path(os.path.commonpath([path, root])).parts) > 1:
        written = Path(os.path.relpath(path, root))
    whole = path if remote else root / written
    named = recording.id != default_id(whole, root, recording.start, recording.end)
    return {
        "path": path.url if isinstance(path, UrlPath) else written.as_posix(),
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
