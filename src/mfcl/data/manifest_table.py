"""Read the rows of a manifest's table: which recording each of them names."""

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from mfcl.core.console import worded
from mfcl.core.files import is_there
from mfcl.core.urls import UrlPath, as_path, is_url
from mfcl.data.columns import Columns, is_raven
from mfcl.data.ids import default_id
from mfcl.data.manifest import SPLITS, Recording
from mfcl.errors import ManifestError, one_of


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
    views: int = 0
    """Rows of a Raven table that are another view of a selection."""
    channels: int = 0
    """Rows of a Raven table of another channel than the first."""
    secret: int = 0
    """URLs with a password or a query."""
    named: str = ""
    """The recording that a Raven table is of by its own name, as none of its columns says which."""

    @cached_property
    def raven(self) -> bool:
        """Whether it is a Raven selection table."""
        return is_raven(self.header)

    @cached_property
    def _channel(self) -> int | None:
        return self.header.index("Channel") if self.raven and "Channel" in self.header else None

    def selections(self, rows: Iterable[tuple[str, list[str]]]) -> Iterator[tuple[str, list[str]]]:
        """Yield the rows of a table, each with its place; of a Raven table one for each selection.

        Raven writes a row for each view of a selection: its waveform, and its spectrogram.
        """
        if not self.raven or not {"Selection", "View"} <= set(self.header):
            yield from rows
            return
        selection, view = (self.header.index(name) for name in ("Selection", "View"))
        found: dict[tuple[str, ...], str] = {}
        for where, row in rows:
            what = (_cell(row, selection), *(_cell(row, place) for place in self.columns.places.values()))
            if found.setdefault(what, _cell(row, view)) == _cell(row, view):
                yield where, row
            else:
                self.views += 1

    def recording(self, cells: list[str], where: str) -> Recording:
        """Return the recording of a row; `where` names the row in messages."""
        if len(cells) > len(self.header):
            raise ManifestError(
                f"{where}: {len(cells)} cells under {worded(len(self.header), 'column')}; "
                "put quotes around a text with commas"
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
        self.channels += self._channel is not None and _cell(cells, self._channel).strip() not in ("", "1")
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
        found = [f"no column names the recording; by the table's name it is {self.named}"] if self.named else []
        if self.stripped:
            name, value = self.first_stripped
            spaces = f"leading or trailing spaces of {worded(self.stripped, 'cell')} are ignored"
            found.append(f"{spaces}, such as {value!r} in {name!r}")
        if self.views:
            rows = worded(
                self.views, "row is another view of the same selection", "rows are other views of the same selections"
            )
            found.append(f"{rows}, and passed over")
        if self.channels:
            found.append(
                f"{worded(self.channels, 'selection is', 'selections are')} of another channel than the first: "
                "channels are averaged, so each is "
                "heard in all of them; name files of a channel each if they differ"
            )
        if self.secret:
            found.append(
                f"{self.secret} URLs hold a password or a query, which may be a key: messages and ids do not show it, "
                "but a manifest that is written holds it; safer are credentials in the storage's own configuration"
            )
        return tuple(found)

    def _path(self, row: Mapping[str, str], where: str) -> tuple[Path, Path]:
        """Return a path as written in the table, joined to the CSV's folder, and the same path without `..`."""
        given, full = row.get("path", ""), row.get("full_path", "")
        if "\0" in given + full or not (given.strip() or full.strip()):
            raise ManifestError(f"{where}: no path; name a file or take the line out")
        named = [(meaning, row[meaning]) for meaning in ("path", "full_path") if row.get(meaning, "").strip()]
        joined = [self._joined(text, self.header[self.columns.places[meaning]]) for meaning, text in named]
        places = [(path, _plain(path)) for path in joined]
        found = places[0]
        if len(places) > 1:
            found = next((both for both in places if is_there(both[1])), found)
        if self.raven:
            self.files.add(str(found[1]))
        return found

    def _joined(self, given: str, name: str) -> Path:
        """Return a path joined to the table's folder; a URL stands for itself."""
        if "://" in given and is_url(given.strip()):
            path = as_path(self._strip(given, name))
            self.secret += isinstance(path, UrlPath) and path.secret
            return path
        return self.root / self._kept(given, name)

    def _kept(self, given: str, name: str) -> str:
        """Return a path without outer spaces, unless a file with these spaces in its name exists."""
        remote = isinstance(self.root, UrlPath)
        return (
            given
            if given == given.strip() or (not remote and is_there(self.root / given))
            else self._strip(given, name)
        )

    def _times(self, row: Mapping[str, str], where: str) -> tuple[float | None, float | None]:
        times = {
            meaning: seconds_of(row.get(meaning, ""), self.header[self.columns.places[meaning]], where)
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
    if isinstance(path, UrlPath) or ".." not in path.parts:
        return path
    plain = Path(os.path.normpath(path))
    return plain if is_there(plain) else path


def _cell(cells: Sequence[str], place: int) -> str:
    return cells[place] if place < len(cells) else ""


def seconds_of(text: str, name: str, where: str) -> float | None:
    """Return the seconds in a cell of the column `name`; None for an empty one.

    Raises:
        ManifestError: they are no time in a file; `where` says which row it is.
    """
    try:
        value = float(text) if text.strip() else None
    except ValueError:
        value = -1.0
    if value is not None and not 0 <= value < 1e9:  # also rejects NaN
        raise ManifestError(f"{where}: {name} is {text!r}; give seconds from the file's beginning, such as 1.5")
    return value


def folder_of(path: Path) -> Path:
    """Return the folder of a file as an absolute path; unlike `resolve`, it keeps the names given."""
    return path.parent if isinstance(path, UrlPath) else Path(os.path.abspath(path)).parent  # noqa: PTH100
