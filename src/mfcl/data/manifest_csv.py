"""Lists of recordings as CSV files."""

import csv
import difflib
import io
import os
from collections import Counter
from pathlib import Path
from typing import Literal

from mfcl.core.files import replacing
from mfcl.data.manifest import PARTS, RESERVED, Manifest, Recording, default_id, number_text
from mfcl.errors import ManifestError, one_of


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
        "start": number_text(recording.start),
        "end": number_text(recording.end),
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
