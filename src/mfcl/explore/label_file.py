"""The file of a label book: steps and what they changed, only ever added to, one transaction a step."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from filelock import FileLock, Timeout

from mfcl.core.files import check_file_place
from mfcl.core.sqlite import SqliteFile, advice_of
from mfcl.errors import MfclError
from mfcl.explore.cells import LABEL, LabelsError

VERSION = 1
WAIT_SECONDS = 10.0
ELSEWHERE = "give a place that may be written (--labels)"
ADVICE = advice_of("step") | {
    "readonly": ELSEWHERE,
    "unable to open": ELSEWHERE,
    "not a database": "it is damaged or holds no labels; restore it from a copy or give another path",
}
SCHEMA = (
    "CREATE TABLE clips (number INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE)",
    "CREATE TABLE steps (number INTEGER PRIMARY KEY, at TEXT NOT NULL, who TEXT NOT NULL, how TEXT NOT NULL, "
    "label_column TEXT NOT NULL, of_step INTEGER REFERENCES steps (number))",
    "CREATE TABLE changes (step INTEGER NOT NULL REFERENCES steps (number), "
    "clip INTEGER NOT NULL REFERENCES clips (number), kind TEXT NOT NULL, before TEXT NOT NULL, after TEXT NOT NULL, "
    "PRIMARY KEY (step, clip, kind)) WITHOUT ROWID",
)


class Change(NamedTuple):
    """What a step changed of one clip; `clip` is -1 for one that is not in the collection any more."""

    clip: int
    kind: str
    before: str
    after: str


class Written(NamedTuple):
    """A step as it was written."""

    number: int
    at: str
    who: str
    how: str
    column: str
    of: int | None
    """The step that this one undoes or does again; None for a step of its own."""


class LabelFile:
    """The steps on disk. Clips are known by id there, and by their place in `ids` here.

    Args:
        path: The SQLite file; made if it is not there.
        ids: The clips' ids. Steps of clips that are gone stay in the file.

    Raises:
        LabelsError: the file cannot be opened, is no file of labels, or another process has it open.
    """

    def __init__(self, path: Path, ids: Sequence[str]) -> None:
        try:
            check_file_place(path)
        except MfclError as error:
            raise LabelsError(f"{error}; {ELSEWHERE}") from error
        self._alone = FileLock(f"{path}.lock")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._alone.acquire(timeout=0)
        except Timeout:
            raise LabelsError(
                f"{path}: another `mfcl explore` has it open; use that one, stop it, or give other --labels"
            ) from None
        except OSError as error:
            raise LabelsError(
                f"{path}: labels cannot be kept there ({error.strerror or error}); {ELSEWHERE}"
            ) from error
        try:
            self._database = SqliteFile(path, error=LabelsError, advice=ADVICE, wait_seconds=WAIT_SECONDS, shared=True)
            try:
                self._prepare(ids)
            except BaseException:
                self._database.close()
                raise
        except BaseException:
            self._alone.release()
            raise

    def close(self) -> None:
        """Close the file; every step is in it already."""
        self._database.close()
        self._alone.release()

    def write(self, step: Written, changes: Sequence[Change] = ()) -> None:
        """Write a step; when this returns, it is on disk."""
        with self._database.transaction():
            self._database.rows("INSERT INTO steps VALUES (?, ?, ?, ?, ?, ?)", step)
            self._database.many(
                "INSERT INTO changes VALUES (?, ?, ?, ?, ?)",
                [(step.number, self._numbers[one.clip], one.kind, one.before, one.after) for one in changes],
            )

    def steps(self) -> Iterator[tuple[Written, list[Change]]]:
        """Yield all steps in order with their changes; an undo or redo has those of its step."""
        steps = self._database.rows("SELECT number, at, who, how, label_column, of_step FROM steps ORDER BY number")
        changes: dict[int, list[Change]] = {}
        for step, *rest in self._database.rows("SELECT step, clip, kind, before, after FROM changes"):
            changes.setdefault(step, []).append(self._change(*rest))
        for row in steps:
            step = Written(*row)
            yield step, changes.get(step.number if step.of is None else step.of, [])

    def step(self, number: int) -> tuple[Written, list[Change]]:
        """Return one step and what it changed."""
        (row,) = self._database.rows(
            "SELECT number, at, who, how, label_column, of_step FROM steps WHERE number = ?", (number,)
        )
        rows = self._database.rows("SELECT clip, kind, before, after FROM changes WHERE step = ?", (number,))
        return Written(*row), [self._change(*one) for one in rows]

    def last(self, most: int) -> list[tuple[Written, int, str]]:
        """Return the last steps, the newest first, with the number of their changes and one of their values."""
        rows = self._database.rows(
            "SELECT number, at, who, how, label_column, of_step, "
            "(SELECT count(*) FROM changes WHERE step = number), "
            "(SELECT coalesce(min(after), '') FROM changes WHERE step = number) "
            "FROM steps WHERE of_step IS NULL ORDER BY number DESC LIMIT ?",
            (most,),
        )
        return [(Written(*row[:6]), int(row[6]), str(row[7])) for row in rows]

    def labelled(self, column: str) -> list[tuple[int, Written]]:
        """Return each labelled clip of a column with the step that labelled it, in the order of the steps."""
        rows = self._database.rows(
            "SELECT c.clip, s.number, s.at, s.who, s.how, s.label_column, s.of_step "
            "FROM changes c JOIN steps s ON s.number = c.step WHERE s.label_column = ? AND c.kind = ? "
            "ORDER BY s.number",
            (column, LABEL),
        )
        return [(self._places[clip], Written(*row)) for clip, *row in rows if clip in self._places]

    def _change(self, number: int, kind: str, before: str, after: str) -> Change:
        return Change(self._places.get(number, -1), kind, before, after)

    def _prepare(self, ids: Sequence[str]) -> None:
        database = self._database
        version = database.rows("PRAGMA user_version")[0][0]
        if version not in (0, VERSION) or (version == 0 and database.tables()):
            raise LabelsError(
                f"{database.name}: wanted labels of version {VERSION}, got another database; give another path"
            )
        database.use_log()
        with database.transaction():
            if not version:
                for statement in SCHEMA:
                    database.rows(statement)
                database.rows(f"PRAGMA user_version = {VERSION}")
            database.many("INSERT OR IGNORE INTO clips (id) VALUES (?)", [(one,) for one in ids])
        numbers = dict(database.rows("SELECT id, number FROM clips"))
        self._numbers = [numbers[one] for one in ids]
        self._places = {number: clip for clip, number in enumerate(self._numbers)}


def now() -> str:
    """Return the present time, to the millisecond."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")
