"""Make a manifest of a data set; sound that is only in the data set is written to files, as it is."""

import contextlib
import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from mfcl.core.console import print_notes, worded
from mfcl.core.extras import need
from mfcl.core.files import check_folder_place, read_json, write_json
from mfcl.core.parallel import in_parallel
from mfcl.core.progress import progress as progress_bar
from mfcl.core.urls import local_path
from mfcl.core.writers import only_writer
from mfcl.data.decoding import LeftOut
from mfcl.data.manifest import Manifest, Recording
from mfcl.data.manifest_csv import write_manifest
from mfcl.data.manifest_table import folder_of
from mfcl.errors import AudioError, ManifestError
from mfcl.hf_datasets.columns import Columns, choose_columns, texts
from mfcl.hf_datasets.sound_files import Row, file_name, placed
from mfcl.hf_datasets.sources import EXTRA, NAMES, Part, parts_of

AT_ONCE = 16
"""Rows that are read at once."""
MANIFEST, RECEIPT, FAILURES = "manifest.csv", "dataset.json", "failures.csv"
FORMAT = 1
RELATIVE = "its path is relative, and was taken from the current folder"


def from_dataset(
    dataset: Any,
    folder: str | Path,
    *,
    audio: str | None = None,
    splits: Mapping[str, str] | None = None,
    strict: bool = False,
    progress: bool = True,
) -> Manifest:
    """Make a folder of a data set of the package `datasets` (extra `datasets`) that every command takes.

    Its `manifest.csv` has a row for each recording. Columns of numbers and texts are labels, a `ClassLabel` by its
    names; a column `id` holds the recordings' ids if each is given once. A file that a row names by its path is used
    where it is; where there are only bytes they are written once, as they are, without decoding. A killed call goes on.
    The parts of a `DatasetDict` are splits (`validation` is `valid`), unless there is only one; those of a `Dataset`
    are in its column `split`, if it has one.

    Args:
        dataset: A `datasets.Dataset` or `DatasetDict`; it is not changed.
        folder: Folder of the manifest and of files that are written.
        audio: Column of `datasets.Audio`, or of paths as text; None: the only one of `Audio`.
        splits: Of a `DatasetDict`: name of each part to take -> `train`, `valid`, `test`, or "" for none.
        strict: Raise an error at the first row without sound; otherwise it is left out and named in `failures.csv`.
        progress: Show a progress bar.

    Returns:
        The manifest.

    Raises:
        ManifestError: another kind of object, no such column, a split of another name, or the folder holds another one.
        AudioError: no row has sound, or (`strict`) one has none.
        MissingExtraError: `datasets` is not installed.
    """
    place = local_path(folder, "folder")
    root = folder_of(place / MANIFEST)
    parts = parts_of(dataset, splits)
    columns = choose_columns(parts, audio, place / MANIFEST)
    check_folder_place(place)
    place.mkdir(parents=True, exist_ok=True)
    left_out = LeftOut(strict)
    with only_writer(place, "import", error=ManifestError):
        _begin(place, parts, columns)
        recordings = tuple(_recordings(parts, columns, root, left_out, progress))
        if not recordings:
            raise left_out.none_read(place) if left_out.reasons else ManifestError(f"{place}: the data set has no rows")
        print_notes(columns.notes)
        manifest = Manifest(recordings, root, f"a data set of {worded(len(recordings), 'recording')}", columns.notes)
        left_out.write(place / FAILURES)
        write_manifest(manifest, place / MANIFEST)
    return manifest


def _begin(folder: Path, parts: Sequence[Part], columns: Columns) -> None:
    """Write the receipt of a new folder, or check that it has this one already."""
    receipt = {
        "format": FORMAT,
        "audio": columns.audio,
        "columns": sorted({name for part in parts for name in part.rows.column_names}),
        "parts": [[part.name, part.split, len(part.rows)] for part in parts],
    }
    if not (folder / RECEIPT).is_file():
        others = [path.name for path in folder.iterdir() if not path.name.startswith(".")]
        if others:
            raise ManifestError(f"{folder}: it holds {min(others)} and no {RECEIPT}; choose an empty folder")
        write_json(folder / RECEIPT, receipt)
    found = read_json(folder / RECEIPT, do="choose an empty folder", error=ManifestError)
    for key, words in (("audio", "column of audio"), ("columns", "columns"), ("parts", "splits or numbers of rows")):
        if found.get(key) != receipt[key]:
            raise ManifestError(f"{folder}: it holds a data set with other {words}; choose another folder")


def _recordings(
    parts: Sequence[Part], columns: Columns, root: Path, left_out: LeftOut, progress: bool
) -> Iterator[Recording]:
    """Yield a recording for each row with sound; a few rows are in memory at a time."""
    datasets = need("datasets", EXTRA)
    total, number = sum(len(part.rows) for part in parts), 0
    with progress_bar(total=total, what="importing", unit="clips", shown=progress) as bar:
        for part in parts:
            rows = part.rows.select_columns(columns.used(part.rows))
            rows = rows.cast_column(columns.audio, datasets.Audio(decode=False)).with_format("arrow")
            for first in range(0, len(rows), AT_ONCE):
                # nothing here keeps a table, or two would be in memory when the next is read
                for found in _placed(rows[first : first + AT_ONCE], columns, part, root, number + first):
                    if found.error is not None:
                        left_out.add(found.recording, found.error)
                    else:
                        left_out.notices += [(found.recording.id, RELATIVE)] if found.is_relative else []
                        yield found.recording
                    bar.update()
            number += len(rows)


@dataclass(frozen=True)
class _Outcome:
    """A recording, with the reason why it is left out, if it is; and whether its path was relative."""

    recording: Recording
    error: AudioError | None
    is_relative: bool


def _placed(table: Any, columns: Columns, part: Part, root: Path, first: int) -> Iterator[_Outcome]:
    """Yield what becomes of each row of a table, whose first row has a given number."""
    sounds = _sounds(table, columns.audio, first)
    files = in_parallel(partial(placed, folder=root), sounds, what="importing", shown=False)
    with contextlib.closing(files):
        for row, (name, split, labels), file in zip(sounds, _about(table, columns, part), files, strict=True):
            error = file if isinstance(file, AudioError) else None
            path = root / row.name if isinstance(file, AudioError) else file
            recording = Recording(name or row.name, path, labels=labels, split=split or None)
            yield _Outcome(recording, error, row.is_relative)


def _sounds(table: Any, audio: str, first: int) -> list[Row]:
    """Return the sound of each row; bytes are not copied."""
    rows: list[Row] = []
    for chunk in table.column(audio).chunks:
        contents, paths = _slices(chunk.field("bytes")), chunk.field("path").to_pylist()
        for is_there, content, path in zip(chunk.is_valid().to_pylist(), contents, paths, strict=True):
            number, content, path = first + len(rows), content if is_there else None, (is_there and path) or ""
            rows.append(Row(file_name(number, path, content), number, content, path))
    return rows


def _slices(array: Any) -> list[Any]:
    """Return a part of an array's buffer for each value; its own scalars would copy the bytes."""
    if array.null_count == len(array):
        return [None] * len(array)
    _, places, content = array.buffers()
    ends = np.frombuffer(places, dtype=np.int32)[array.offset : array.offset + len(array) + 1].tolist()
    parts = [content.slice(start, end - start) if end > start else b"" for start, end in itertools.pairwise(ends)]
    return [part if valid else None for part, valid in zip(parts, array.is_valid().to_pylist(), strict=True)]


def _about(table: Any, columns: Columns, part: Part) -> list[tuple[str, str, dict[str, str]]]:
    """Return id, split and labels of each row; an empty text where there is none."""
    features, count = part.rows.features, table.num_rows
    ids = texts(table, columns.id, features[columns.id]) if columns.id else [""] * count
    splits = [part.split] * count
    if columns.split:
        splits = [NAMES.get(text.strip(), "") for text in texts(table, columns.split, features[columns.split])]
    cells = {
        label: [text.strip() for text in texts(table, name, features[name])]
        for name, label in columns.labels.items()
        if name in features
    }
    labels = [{label: values[row] for label, values in cells.items() if values[row]} for row in range(count)]
    return list(zip(ids, splits, labels, strict=True))
