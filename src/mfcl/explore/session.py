"""Everything that one server holds: collection, maps, sounds, labels, and what works in the background."""

import getpass
import hashlib
import math
import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mfcl.core.console import worded
from mfcl.data.columns import read_columns
from mfcl.data.manifest import RESERVED, Recording
from mfcl.errors import MfclError, one_of
from mfcl.explore import findings
from mfcl.explore.assistant import Assistant
from mfcl.explore.background import Background, place
from mfcl.explore.cells import LABEL, Cell, LabelsError, check_line
from mfcl.explore.collection import Collection
from mfcl.explore.guessed import HeldOut
from mfcl.explore.labels import LabelBook, counts
from mfcl.explore.silence import Silence
from mfcl.explore.sounds import Sounds
from mfcl.explore.spaces import Spaces

if TYPE_CHECKING:
    from mfcl.explore.voices import Voices

LABELS = "labels.db"
KINDS = ("outliers", "duplicates", "doubtful")
"""Kinds of findings."""


class Session:
    """One collection that is being explored.

    Args:
        collection: What is explored.
        labels: The file of the labels; by default in the collection's folder.
        who: Who labels; by default the name of the account.
        gallery: A gallery of voices of the collection's model: a file, or the address of a PostgreSQL database.

    Raises:
        MfclError: the labels cannot be opened, the folder cannot be written, or the gallery is of another model.
    """

    def __init__(
        self, collection: Collection, *, labels: Path | None = None, who: str | None = None, gallery: str | None = None
    ) -> None:
        self.sounds = Sounds(collection.recordings)
        self.voices = None if gallery is None else _voices(gallery, collection, self.sounds)
        if self.voices is not None and collection.model is None:
            collection = replace(collection, model=self.voices.model)
        self.collection = collection
        self.book = LabelBook(
            labels or collection.folder / LABELS, collection.embeddings.ids.tolist(), who=who or _me()
        )
        self.spaces = Spaces(collection)
        self.parts = list(collection.parts)
        self.silence = Silence(len(collection), self.sounds.silent, collection.embeddings.silent)
        self.assistant = Assistant(self.spaces, self.book, self.silence)
        self.maps, self.work = Background(), Background()
        self._found: dict[tuple[Any, ...], list[dict[str, Any]]] = {}
        self._lock = threading.Lock()

    def estimate(self, column: str) -> HeldOut:
        """Return how many guesses of the held-out set are right, and how many of its clips were heard in part."""
        held, told = self.book.held(column), self.book.labels(column) != ""
        known = self.collection.recordings
        own, others = (
            [known[clip] for clip in np.flatnonzero(told & side).tolist() if clip in known] for side in (held, ~held)
        )
        return replace(self.assistant.estimate(column), sharing=_sharing(own, others))

    @property
    def digest(self) -> str:
        """What clip numbers mean here and where labels go: a page that was made for another is out of date."""
        parts = [*self.collection.embeddings.ids.tolist(), str(self.book.path.absolute())]
        return hashlib.sha256("\0".join(parts).encode("utf-8", "surrogatepass")).hexdigest()[:16]

    def prepare(self) -> None:
        """Begin what every page needs: maps in one thread, graphs of the nearest clips in the other."""
        for part in self.parts:
            if self.spaces.map(part) is None:
                self.maps.start(f"map of {part}", _bind(place, self.spaces, part, self.maps))

        def graphs() -> None:
            for kind in self.spaces.prepared.kinds:
                self.spaces.prepared.graph(kind)

        self.work.start("nearest clips", graphs)
        if self.voices is not None and not self.voices.ready:
            self.work.start("voices of the clips", _bind(self.voices.prepare, self.work))

    def choose(self, column: str) -> None:
        """Choose the best way to spread a column's labels in the background, if enough of them are new."""
        known = self.assistant.unchosen(column)
        if known:
            self.work.start(
                f"best guesses of {column} by {worded(known, 'label')}", _bind(self.assistant.choose, column)
            )

    def close(self) -> None:
        """Stop what works in the background and close the labels."""
        self.maps.stop()
        self.work.stop()
        self.book.close()

    def about(self) -> dict[str, Any]:
        """Return what the page shows before anything else."""
        clips = self.collection
        gallery = None if self.voices is None else {"name": self.voices.name, "voices": self.voices.count()}
        notes = [*clips.notes, *(() if self.voices is None else self.voices.notes)]
        columns = {name: len(np.unique(values[values != ""])) for name, values in clips.columns.items()}
        return {
            "digest": self.digest, "name": clips.name, "count": len(clips), "parts": self.parts, "notes": notes,
            "columns": [{"name": name, "values": count} for name, count in columns.items()],
            "own": self.own_columns(), "last": self.book.latest, "sound": len(clips.recordings),
            "model": clips.model is not None, "labels": str(self.book.path), "notes_of": self.book.notes(),
            "gallery": gallery,
        }  # fmt: skip

    def own_columns(self) -> list[dict[str, Any]]:
        """Return the columns that were made on the page, with how often each label is given."""
        return [{"name": name, "counts": counts(self.book.labels(name))} for name in self.book.columns]

    def status(self) -> dict[str, Any]:
        """Return what is worked on, and the version of the labels."""
        return {
            "version": self.book.version,
            "waiting": [*self.maps.waiting, *self.work.waiting],
            "failed": [*self.maps.failed.values(), *self.work.failed.values()],
            "maps": {part: "t-SNE" if self.spaces.map(part) is not None else "PCA" for part in self.parts},
            "ways": self.assistant.ways,
        }

    def check_part(self, part: str) -> str:
        """Return a part's name.

        Raises:
            MfclError: there is no such part.
        """
        if part not in self.parts:
            raise MfclError(f"explorer: {one_of('map', part, self.parts)}")
        return part

    def column(self, name: str) -> np.ndarray:
        """Return a column that came with the clips, or that was made on the page; the latter first.

        Raises:
            MfclError: there is no such column.
        """
        if name in self.book.columns:
            return self.book.labels(name)
        if name not in self.collection.columns:
            raise MfclError(f"explorer: {one_of('column', name, [*self.book.columns, *self.collection.columns])}")
        return self.collection.columns[name]

    def came(self, name: str) -> np.ndarray:
        """Return a column that came with the clips; what a person made under the same name is another one.

        Raises:
            MfclError: there is no such column.
        """
        if name not in self.collection.columns:
            raise MfclError(f"explorer: {one_of('column', name, list(self.collection.columns))}")
        return self.collection.columns[name]

    def check_new(self, column: str) -> None:
        """Check the name of a column for labels: a manifest must be able to have it.

        Raises:
            LabelsError: it cannot.
        """
        check_line("column", column)
        try:
            fits = column not in RESERVED and column in read_columns(["path", column], "column").labels
        except MfclError:
            fits = False
        if not fits:
            raise LabelsError(f"column: {column!r} has another meaning in a list of recordings; choose another name")

    def step(self, column: str, how: str, cells: list[Cell]) -> int:
        """Change cells; see `LabelBook.step`."""
        if column and column not in self.book.columns:
            self.check_new(column)
        return self.book.step(column, how, cells)

    def begin(self, column: str, source: str) -> int:
        """Begin a column with the labels of one that came with the clips, and return the new version."""
        if any(self.book.labels(column)) or any(self.book.held(column)):
            raise LabelsError(f"column: {column!r} is there already, with labels of its own; choose another name")
        values = self.came(source).tolist()
        cells = [Cell(clip, LABEL, value.strip()) for clip, value in enumerate(values) if value.strip()]
        return self.step(column, "imported", cells)

    def findings(self, kind: str, part: str, column: str) -> list[dict[str, Any]] | None:
        """Return findings, or None while they are worked out in the background.

        Raises:
            MfclError: there is no such kind, part or column, or the work failed.
        """
        self.check_part(part)
        if kind not in KINDS:
            raise MfclError(f"explorer: {one_of('kind of findings', kind, KINDS)}")
        values = self.column(column) if kind == "doubtful" else None
        own = column in self.book.columns and kind == "doubtful"
        key = (kind, part, column if values is not None else "", self.book.version if own else 0)
        with self._lock:
            if key in self._found:
                return self._found[key]

        def work() -> None:
            if values is not None:
                found = findings.doubtful(self.spaces, part, values)
            elif kind == "duplicates":
                found = findings.duplicates(self.spaces, part, self.silence)
            else:
                found = findings.outliers(self.spaces, part)
            with self._lock:
                self._found = {one: rows for one, rows in self._found.items() if one[:3] != key[:3]}
                self._found[key] = [one.row() for one in found]

        name = f"{kind} in {part}" + (f" by {column}, version {key[3]}" if values is not None else "")
        if name in self.work.failed:
            raise MfclError(self.work.failed[name])
        self.work.start(name, work)
        return None


def _voices(gallery: str, collection: Collection, sounds: Sounds) -> "Voices":
    from mfcl.explore.voices import Voices  # slow to import, and most pages have no gallery

    return Voices(gallery, collection, sounds)


def _bind(function: Callable[..., Any], *given: Any) -> Callable[[], Any]:
    return lambda: function(*given)


def _me() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # no such account, as in some containers
        return "somebody"


def _sharing(some: Sequence[Recording], others: Sequence[Recording]) -> int:
    """Return how many recordings share sound with one of the others: windows of one file that overlap."""
    spans: dict[str, list[tuple[float, float]]] = {}
    for one in others:
        spans.setdefault(str(one.path), []).append(_span(one))
    return sum(
        any(first < end and start < last for first, last in spans.get(str(one.path), ()))
        for one, (start, end) in zip(some, map(_span, some), strict=True)
    )


def _span(one: Recording) -> tuple[float, float]:
    return one.start or 0.0, math.inf if one.end is None else one.end
