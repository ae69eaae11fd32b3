"""Labels that a person gives, on disk at once: every step with who, when and how, to undo and to redo.

One SQLite file. A step changes cells; a cell is a clip's label, note, set of rejected labels, or place in the held-out
set. Steps are only ever added: an undo is a step too, so the file tells everything that was done.
"""

import contextlib
import json
import sqlite3
import threading
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from filelock import FileLock, Timeout
from jaxtyping import Bool, Shaped

from mfcl.core.files import check_file_place
from mfcl.errors import MfclError, one_of, shown

LABEL, NOTE, REJECTED, HELD = KINDS = ("label", "note", "rejected", "held")
"""What a cell holds: a label, a note, the labels it is not (a JSON list), or "1" for a place in the held-out set."""
HOW = ("picked", "lassoed", "accepted", "rejected", "spread", "noted", "drawn", "imported")
UNDONE, REDONE = "undone", "redone"
LONGEST = {LABEL: 100, NOTE: 2000, REJECTED: 5000, HELD: 1}
"""Most characters of a cell."""
MOST_CELLS = 200_000
"""Most cells of one step."""
VERSION = 1
WAIT_SECONDS = 10.0
ADVICE = {
    "disk is full": "free some space; nothing but this step is lost",
    "disk I/O": "check the disk and its free space; nothing but this step is lost",
    "readonly": "check the permissions of the file and its folder",
    "unable to open": "check the path and the permissions of the folder",
    "locked": "another program has it open; close that",
    "malformed": "it is damaged; restore it from a copy",
    "not a database": "it is damaged or holds no labels; restore it from a copy or give another path",
}
_SCHEMA = """
CREATE TABLE clips (number INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE);
CREATE TABLE steps (
  number INTEGER PRIMARY KEY, at TEXT NOT NULL, who TEXT NOT NULL, how TEXT NOT NULL, label_column TEXT NOT NULL,
  of_step INTEGER REFERENCES steps (number)
);
CREATE TABLE changes (
  step INTEGER NOT NULL REFERENCES steps (number), clip INTEGER NOT NULL REFERENCES clips (number),
  kind TEXT NOT NULL, before TEXT NOT NULL, after TEXT NOT NULL, PRIMARY KEY (step, clip, kind)
) WITHOUT ROWID;
"""


class LabelsError(MfclError):
    """Labels that cannot be kept or read."""


class Cell(NamedTuple):
    """A change of one clip."""

    clip: int
    kind: str
    value: str


@dataclass(frozen=True)
class Step:
    """One step of the history."""

    number: int
    at: str
    who: str
    how: str
    column: str
    clips: int
    value: str
    undone: bool


class LabelBook:
    """The labels of one collection.

    Args:
        path: The SQLite file; made if it is not there.
        ids: The clips' ids, in the order of their numbers. Labels of clips that are gone are kept but not shown.
        who: Name of the person who labels.

    Raises:
        LabelsError: the file cannot be opened, or another process has it open.
    """

    def __init__(self, path: Path, ids: Sequence[str], *, who: str) -> None:
        self.path, self._who = path, who
        self._ids = list(ids)
        self._lock = threading.RLock()
        check_file_place(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        self._alone = FileLock(f"{path}.lock")
        self._last = 0
        self._columns: dict[str, None] = {}
        self._done: list[int] = []
        self._undone: list[int] = []
        self._cells: dict[tuple[str, str], dict[int, str]] = {}
        try:
            self._alone.acquire(timeout=0)
        except Timeout:
            raise LabelsError(
                f"{path}: another `mfcl explore` has it open; use that one, stop it, or give other --labels"
            ) from None
        try:
            with self._said():
                self._connection = sqlite3.connect(
                    path, timeout=WAIT_SECONDS, isolation_level=None, check_same_thread=False
                )
            self._open()
        except BaseException:
            self._alone.release()
            raise

    def close(self) -> None:
        """Close the file; every step is in it already."""
        with self._lock, self._said():
            self._connection.close()
        self._alone.release()

    @property
    def version(self) -> int:
        """Number of the last step; it grows with every step, undo and redo."""
        return self._last

    @property
    def columns(self) -> list[str]:
        """Names of the label columns that have been used, in the order of their first step."""
        with self._lock:
            return list(self._columns)

    def labels(self, column: str) -> Shaped[np.ndarray, " items"]:
        """Return the label of each clip, "" where it has none."""
        return np.array(self._values(column, LABEL), dtype=np.str_)

    def held(self, column: str) -> Bool[np.ndarray, " items"]:
        """Return which clips are in the held-out set of a column."""
        return np.array([value != "" for value in self._values(column, HELD)], dtype=bool)

    def rejected(self, column: str) -> dict[int, list[str]]:
        """Return the labels that a clip was said not to have."""
        with self._lock:
            return {clip: json.loads(value) for clip, value in self._cells.get((column, REJECTED), {}).items() if value}

    def notes(self) -> dict[int, str]:
        """Return the notes of clips; they belong to no column."""
        with self._lock:
            return {clip: value for clip, value in self._cells.get(("", NOTE), {}).items() if value}

    def step(self, column: str, how: str, cells: Sequence[Cell]) -> int:
        """Change cells and return the new version; when it returns, the change is on disk.

        Raises:
            LabelsError: a cell cannot hold its value, or the disk is full; nothing has changed then.
        """
        _check(column, how, cells, len(self._ids))
        with self._lock:
            own = {(cell.clip, cell.kind): cell for cell in cells}.values()  # the last of equal cells counts
            rows = []
            for cell in own:
                before = self._cells.get((_home(column, cell.kind), cell.kind), {}).get(cell.clip, "")
                if before != cell.value:
                    rows.append((cell.clip, cell.kind, before, cell.value))
            if not rows:
                return self._last
            number = self._last + 1
            with self._transaction():
                self._write(number, how, column, None)
                self._connection.executemany(
                    "INSERT INTO changes VALUES (?, ?, ?, ?, ?)",
                    [(number, self._numbers[clip], kind, before, after) for clip, kind, before, after in rows],
                )
            self._done.append(number)
            self._undone.clear()
            self._apply(column, [(clip, kind, after) for clip, kind, _, after in rows])
            self._last = number
            return number

    def undo(self) -> Step | None:
        """Undo the last step that is not undone, and return it; None where there is none."""
        return self._turn(self._done, self._undone, UNDONE)

    def redo(self) -> Step | None:
        """Do the last undone step again, and return it; None where there is none."""
        return self._turn(self._undone, self._done, REDONE)

    def history(self, most: int = 200) -> list[Step]:
        """Return the last steps, the newest first; undos and redos show as the state of their step."""
        with self._lock, self._said():
            found = self._connection.execute(
                "SELECT number, at, who, how, label_column, (SELECT count(*) FROM changes WHERE step = number), "
                "(SELECT coalesce(min(after), '') FROM changes WHERE step = number) "
                "FROM steps WHERE of_step IS NULL ORDER BY number DESC LIMIT ?", (most,)
            ).fetchall()  # fmt: skip
            live = set(self._done)
        return [_told(row, row[0] not in live) for row in found]

    def given(self, column: str) -> dict[int, tuple[str, str, str]]:
        """Return who labelled each labelled clip of a column, when and how."""
        with self._lock, self._said():
            rows = self._connection.execute(
                "SELECT c.clip, s.who, s.at, s.how, s.number FROM changes c JOIN steps s ON s.number = c.step "
                "WHERE s.label_column = ? AND c.kind = ? ORDER BY s.number", (column, LABEL)
            ).fetchall()  # fmt: skip
            live = set(self._done)
            known = self._cells.get((column, LABEL), {})
        places = {number: clip for clip, number in enumerate(self._numbers)}
        found = {places[one]: (who, at, how) for one, who, at, how, step in rows if step in live and one in places}
        return {clip: value for clip, value in found.items() if known.get(clip)}

    def _turn(self, source: list[int], sink: list[int], how: str) -> Step | None:
        with self._lock:
            if not source:
                return None
            of, number = source[-1], self._last + 1
            with self._said():
                row = self._connection.execute(
                    "SELECT number, at, who, how, label_column FROM steps WHERE number = ?", (of,)
                ).fetchone()
                changes = self._connection.execute(
                    "SELECT clip, kind, before, after FROM changes WHERE step = ?", (of,)
                ).fetchall()
            column = row[4]
            with self._transaction():
                self._write(number, how, column, of)
            sink.append(source.pop())
            self._last = number
            self._replay(column, changes, forwards=how == REDONE)
            value = max((after for _, _, _, after in changes), default="")
            return _told((*row, len(changes), value), how == UNDONE)

    def _open(self) -> None:
        with self._said():
            run = self._connection.execute
            for setting in ("foreign_keys = ON", "synchronous = FULL", "trusted_schema = OFF", "cell_size_check = ON"):
                run(f"PRAGMA {setting}")
            run("PRAGMA journal_mode = WAL")
            version = run("PRAGMA user_version").fetchone()[0]
            tables = run("SELECT count(*) FROM sqlite_master").fetchone()[0]
        if version not in (0, VERSION) or (version == 0 and tables):
            raise LabelsError(
                f"{self.path}: wanted labels of version {VERSION}, got another database; give another path"
            )
        with self._transaction():
            if not version:
                for statement in _SCHEMA.split(";\n"):
                    run(statement)
                run(f"PRAGMA user_version = {VERSION}")
            self._connection.executemany("INSERT OR IGNORE INTO clips (id) VALUES (?)", [(one,) for one in self._ids])
        with self._said():
            numbers = dict(run("SELECT id, number FROM clips").fetchall())
            self._numbers = [numbers[one] for one in self._ids]
            self._places = {number: clip for clip, number in enumerate(self._numbers)}
            steps = run("SELECT number, how, label_column, of_step FROM steps ORDER BY number").fetchall()
            changes: dict[int, list[tuple[int, str, str, str]]] = {}
            for step, *rest in run("SELECT step, clip, kind, before, after FROM changes"):
                changes.setdefault(step, []).append((rest[0], rest[1], rest[2], rest[3]))
        for number, how, column, of in steps:
            self._last = number
            if of is None:
                self._done.append(number)
                self._undone.clear()
                self._replay(column, changes.get(number, []), forwards=True)
                continue
            source, sink = (self._done, self._undone) if how == UNDONE else (self._undone, self._done)
            if not source or source.pop() != of:
                raise LabelsError(f"{self.path}: step {number} does not follow the others; restore it from a copy")
            sink.append(of)
            self._replay(column, changes.get(of, []), forwards=how == REDONE)

    def _write(self, number: int, how: str, column: str, of: int | None) -> None:
        at = datetime.now(UTC).isoformat(timespec="milliseconds")
        self._connection.execute(
            "INSERT INTO steps VALUES (?, ?, ?, ?, ?, ?)", (number, at, self._who, how, column, of)
        )

    def _replay(self, column: str, changes: Sequence[tuple[int, str, str, str]], *, forwards: bool) -> None:
        rows = [
            (self._places[clip], kind, after if forwards else before)
            for clip, kind, before, after in changes
            if clip in self._places
        ]
        self._apply(column, rows)

    def _apply(self, column: str, rows: Sequence[tuple[int, str, str]]) -> None:
        if column:
            self._columns.setdefault(column)
        for clip, kind, value in rows:
            self._cells.setdefault((_home(column, kind), kind), {})[clip] = value

    def _values(self, column: str, kind: str) -> list[str]:
        with self._lock:
            known = self._cells.get((column, kind), {})
            found = [""] * len(self._ids)
            for clip, value in known.items():
                found[clip] = value
        return found

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[None]:
        with self._said():
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._connection.execute("COMMIT")
            except BaseException:
                with contextlib.suppress(sqlite3.Error):  # a full disk may have rolled back already
                    if self._connection.in_transaction:
                        self._connection.execute("ROLLBACK")
                raise

    @contextlib.contextmanager
    def _said(self) -> Iterator[None]:
        """Turn errors of SQLite into one line with advice."""
        try:
            yield
        except sqlite3.Error as error:
            advice = next((text for part, text in ADVICE.items() if part in str(error)), "restore it from a copy")
            raise LabelsError(f"{self.path}: {error}; {advice}") from error


def _told(row: Sequence[Any], undone: bool) -> Step:
    number, at, who, how, column, clips, value = row
    return Step(number, at, who, how, column, clips, value, undone)


def _home(column: str, kind: str) -> str:
    """Return the column that a cell belongs to: notes belong to none."""
    return "" if kind == NOTE else column


def _check(column: str, how: str, cells: Sequence[Cell], clips: int) -> None:
    """Check a step before anything is written.

    Raises:
        LabelsError: a name is too long or no single line, a clip is not there, or a value cannot be kept.
    """
    if how not in HOW:
        raise LabelsError(f"labels: {one_of('way to label', str(how), HOW)}")
    if column or any(kind != NOTE for _, kind, _ in cells):  # notes belong to no column
        check_line("column", column)
    if len(cells) > MOST_CELLS:
        raise LabelsError(f"labels: wanted at most {MOST_CELLS} changes in one step, got {len(cells)}")
    for clip, kind, value in cells:
        if kind not in KINDS:
            raise LabelsError(f"labels: {one_of('kind of cell', str(kind), KINDS)}")
        if not isinstance(clip, int) or isinstance(clip, bool) or not 0 <= clip < clips:
            raise LabelsError(f"labels: wanted a clip from 0 to {clips - 1}, got {shown(clip)}")
        if not isinstance(value, str) or len(value) > LONGEST[kind]:
            raise LabelsError(f"{kind}: wanted at most {LONGEST[kind]} characters, got {shown(value)}")
        if kind == LABEL and value:
            check_line(kind, value)
        if kind == HELD and value not in ("", "1"):
            raise LabelsError(f"held: wanted 1 or nothing, got {shown(value)}")
        if kind == REJECTED and value:
            _check_rejected(value)


def check_line(what: str, text: object) -> None:
    """Check the name of a column or a label: one line of up to 100 letters, without outer spaces.

    Raises:
        LabelsError: it is not.
    """
    plain = isinstance(text, str) and 0 < len(text) <= LONGEST[LABEL] and text == text.strip()
    if not plain or any(unicodedata.category(one) in ("Cc", "Cs", "Zl", "Zp") for one in str(text)):
        raise LabelsError(f"{what}: wanted one line of 1 to {LONGEST[LABEL]} letters, got {shown(text)}")


def _check_rejected(value: str) -> None:
    try:
        names = json.loads(value)
    except (ValueError, RecursionError):
        names = None
    if not isinstance(names, list) or not names:
        raise LabelsError(f"rejected: wanted a list of labels, got {shown(value)}")
    for name in names:
        check_line("label", name)


def counts(values: Shaped[np.ndarray, " items"]) -> Mapping[str, int]:
    """Return how often each label is given, without "".

    Example:
        >>> counts(np.array(["b", "a", "", "b"]))
        {'a': 1, 'b': 2}
    """
    names, found = np.unique(values[values != ""], return_counts=True)
    return {str(name): int(count) for name, count in zip(names, found, strict=True)}
