"""Read a table of labels, and find the recordings that its rows name."""

import csv
import io
import itertools
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias, TypeVar

import numpy as np
from jaxtyping import Shaped

from mfcl.core.console import worded
from mfcl.core.files import is_stream
from mfcl.core.spelling import composed
from mfcl.core.urls import UrlPath, as_path, is_url
from mfcl.data.columns import NAMES
from mfcl.data.dataset import guessed_labels
from mfcl.data.ids import number_text
from mfcl.data.manifest import RESERVED, Recording
from mfcl.data.manifest_table import folder_of, seconds_of
from mfcl.errors import ManifestError, MfclError, one_of, shown

DELIMITERS = ",;\t"
Item = TypeVar("Item")
Span: TypeAlias = tuple[int, int | None]
"""Start and end of a recording in its file, in microseconds; an end of None is the file's."""


@dataclass(frozen=True, eq=False)
class Labels:
    """Labels of recordings.

    Attributes:
        values: A label for each recording, "" where it is unknown.
        name: Name of the column that they come from.
        notes: What a person should know.
    """

    values: Shaped[np.ndarray, " items"]
    name: str
    notes: tuple[str, ...] = ()


def read_labels(
    path: Path, ids: Sequence[str], *, recordings: Iterable[Recording] = (), label: str | None = None
) -> Labels:
    """Read the labels of recordings from a CSV with a column `id` or `path` and one for the label.

    A row names the recording of the same id, or that of the same file; paths are relative to the CSV's folder. Ids,
    paths and labels that differ only in Unicode's form of accents are equal. Of several recordings in one file, a row
    names that of the same `start` and `end` in seconds (within a microsecond); these columns may have the other names
    that they may have in a manifest. Empty labels are unknown ones. Columns are separated by commas, tabs or
    semicolons.

    Args:
        path: The CSV.
        ids: Ids of the recordings.
        recordings: Those of these ids, where their files are known.
        label: The column of the labels; default: one with a usual name, or the only one.

    Raises:
        ManifestError: the file cannot be read, a column is missing or has no label, no row names a recording, one names
            several, or two rows give one recording different labels.
    """
    header, rows = _rows(path)
    key = next((name for name in ("id", *NAMES["path"]) if name in header), None)
    if key is None:
        raise ManifestError(f"{path}: wanted a column `id` or `path`, got the columns {', '.join(header) or 'none'}")
    sides = {side: next((name for name in NAMES[side] if name in header), side) for side in ("start", "end")}
    others = [name for name in header if name not in (*RESERVED, *NAMES["path"], *sides.values())]
    if label is not None and label not in others:
        raise ManifestError(f"{path}: {one_of('label', label, others)}")
    name = label or guessed_labels(others, None, None)[0]
    if name is None:
        raise ManifestError(
            f"{path}: wanted one column of labels, got {', '.join(others) or 'none'}; name it (--label)"
        )
    places = _with_composed({one: place for place, one in enumerate(ids)})
    by_file = _by_file(places, recordings)
    folder = folder_of(path)
    values, unseen, first = [""] * len(ids), 0, ""
    for line, row in rows:
        given, value, where = row.get(key, ""), composed(row.get(name, "")), f"{path}, line {line}"
        start, end = (seconds_of(row.get(side, ""), side, where) for side in sides.values())
        timed = start is not None or end is not None
        exact = f"{given}#{number_text(start)}-{number_text(end)}" if timed and key != "id" else given
        place = places.get(exact, places.get(composed(exact)))
        if place is None and given:
            file = _plain(_joined(folder, given))
            spans = by_file.get(file, by_file.get(composed(file), {}))
            place = _one_of(spans, _span(start, end) if timed else None, f"{where}: {shown(given)}")
        if place is None:
            unseen, first = unseen + 1, first or exact
        elif value and values[place] not in ("", value):
            raise ManifestError(
                f"{where}: {shown(exact)} is labelled {shown(value)}, but {shown(values[place])} above; "
                "keep one of them"
            )
        else:
            values[place] = value or values[place]
    if not any(values):
        if not any(row.get(name) for _, row in rows):
            raise ManifestError(f"{path}: its column {shown(name)} has no label yet; fill it")
        raise ManifestError(
            f"{path}: none of its rows labels one of the {len(ids)} recordings, such as {shown(str(ids[0]))}; it names "
            f"recordings such as {shown(first)}"
        )
    note = f"{path}: {worded(unseen, 'row names', 'rows name')} no recording, the first {shown(first)}"
    return Labels(np.array(values, dtype=np.str_), name, (note,) if unseen else ())


def read_label_files(
    paths: Sequence[Path], ids: Sequence[str], *, recordings: Iterable[Recording] = (), label: str | None = None
) -> Labels:
    """Read the labels of recordings from one or several CSVs; see `read_labels`.

    Each file has its own column of labels, found by the same rules; where their names differ, a note says so.

    Args:
        paths: The CSVs.
        ids: Ids of the recordings.
        recordings: Those of these ids, where their files are known.
        label: The column of the labels in all of them; default: see `read_labels`.

    Raises:
        ManifestError: there is no file, one cannot be used, or two give one recording different labels.
    """
    if not paths:
        raise ManifestError("labels: wanted one or more CSVs, got none")
    recordings = tuple(recordings)  # each file asks for them
    values, source = np.full(len(ids), "", dtype=np.str_), np.zeros(len(ids), dtype=np.int64)
    names: dict[str, Path] = {}
    notes: list[str] = []
    for number, path in enumerate(paths):
        found = read_labels(path, ids, recordings=recordings, label=label)
        given = found.values != ""
        unlike = np.flatnonzero(given & (values != "") & (values != found.values))
        if len(unlike):
            one = int(unlike[0])
            raise ManifestError(
                f"{path}: {shown(str(ids[one]))} is labelled {shown(str(found.values[one]))}, but "
                f"{shown(str(values[one]))} in {paths[source[one]]}; keep one of them"
            )
        source = np.where(given & (values == ""), number, source)
        values = np.where(given, found.values, values)
        names.setdefault(found.name, path)
        notes += found.notes
    if len(names) > 1:
        notes.append("labels are of " + " and of ".join(f"{shown(name)} in {path}" for name, path in names.items()))
    return Labels(values, next(iter(names)), tuple(dict.fromkeys(notes)))


def check_unlabelled(path: Path) -> None:
    """Check that a list of clips to label can be written at a path without losing what somebody wrote into one there.

    Raises:
        MfclError: there is a file with labels, or one that is no list of clips.
    """
    if is_stream(path) or not path.exists():
        return
    try:
        _, rows = _rows(path)
    except ManifestError as error:
        raise MfclError(f"{path}: it is there and is no list of clips; give another --out") from error
    filled = sum(any(cell for name, cell in row.items() if name not in ("id", *NAMES["path"])) for _, row in rows)
    if filled:
        raise MfclError(
            f"{path}: {filled} of its rows {'has a label' if filled == 1 else 'have labels'}, which would be lost; "
            f"give another --out"
        )


def _by_file(places: Mapping[str, int], recordings: Iterable[Recording]) -> dict[str, dict[Span, list[int]]]:
    """Return the places of the recordings in each file, by their start and end."""
    found: dict[str, dict[Span, list[int]]] = {}
    for one in recordings:
        if one.id in places:
            own = found.setdefault(_plain(one.path.absolute()), {})
            own.setdefault(_span(one.start, one.end), []).append(places[one.id])
    return _with_composed(found)


def _with_composed(found: dict[str, Item]) -> dict[str, Item]:
    """Return a dict by name in which each is found by its composed spelling, too, unless that is another's name."""
    return {composed(name): item for name, item in found.items() if not name.isascii()} | found


def _one_of(spans: Mapping[Span, list[int]], wanted: Span | None, where: str) -> int | None:
    """Return the place of the recording with a start and end, or of the only one; None if there is none.

    Raises:
        ManifestError: there are several.
    """
    named = list(spans)
    if wanted is not None:
        start, end = wanted
        ends = (None,) if end is None else (end - 1, end, end + 1)
        named = [one for one in itertools.product((start - 1, start, start + 1), ends) if one in spans]
    found = [place for one in named for place in spans[one]]
    if len(found) > 1:
        told = "give the columns `start` and `end` of one of them, or its `id`" if wanted is None else "give its `id`"
        raise ManifestError(f"{where} names {len(found)} recordings; {told}")
    return found[0] if found else None


def _span(start: float | None, end: float | None) -> Span:
    return round((start or 0.0) * 1e6), None if end is None else round(end * 1e6)


def _joined(folder: Path, given: str) -> Path:
    return as_path(given) if is_url(given) else folder / given


def _plain(path: Path) -> str:
    return str(path) if isinstance(path, UrlPath) else os.path.normpath(path)


def _rows(path: Path) -> tuple[list[str], list[tuple[int, dict[str, str]]]]:
    try:
        text = path.read_bytes().decode("utf-8-sig")
        line = text.partition("\n")[0]
        reader = csv.reader(io.StringIO(text, newline=""), strict=True, delimiter=max(DELIMITERS, key=line.count))
        header = [name.strip() for name in next(reader, [])]
        rows = []
        for row in filter(None, reader):
            cells = [cell.strip() for cell in row]
            if any(cells[len(header) :]):  # the end of a label that has the delimiter in it
                raise ManifestError(
                    f"{path}, line {reader.line_num}: {len(cells)} cells under "
                    f"{worded(len(header), 'column')}; put quotes "
                    "around a text with commas"
                )
            rows.append((reader.line_num, dict(zip(header, cells, strict=False))))
    except OSError as error:
        raise ManifestError(f"{path}: cannot be read ({error.strerror}); check the path") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise ManifestError(f"{path}: not a CSV in UTF-8 ({error}); save the table as CSV") from error
    if len(set(header)) < len(header):
        raise ManifestError(f"{path}: two columns have the same name; rename one")
    return header, rows
