"""One SQLite file that people would miss: whole transactions, and one line with advice for every failure."""

import contextlib
import os
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from mfcl.errors import MfclError

HEADER = b"SQLite format 3\0"
SETTINGS = ("foreign_keys = ON", "synchronous = FULL", "trusted_schema = OFF", "cell_size_check = ON")
DAMAGED = "restore it from a copy"


def advice_of(change: str) -> dict[str, str]:
    """Return what to do by a part of SQLite's message.

    Args:
        change: What one transaction is called, such as `step`.
    """
    return {
        "disk is full": f"free some space; nothing but this {change} is lost",
        "disk I/O": f"check the disk and its free space; nothing but this {change} is lost",
        "readonly": "check the permissions of the file and its folder",
        "unable to open": "check the path and the permissions of the file and its folder",
        "closed database": "open it again",
        "locked": "another program has it open; close that",
        "malformed": f"it is damaged or cut short; {DAMAGED}",
        "not a database": f"it is damaged or another file; {DAMAGED} or give another path",
    }


def is_database(path: Path) -> bool:
    """Return whether a path is a file that begins as all of SQLite's do."""
    if not path.is_file():
        return False
    with path.open("rb") as file:
        return file.read(len(HEADER)) == HEADER


class SqliteFile:
    """A connection to a SQLite file; what a transaction wrote is on disk when it ends.

    A file with a log (`use_log`) is read where nothing may be written, too: as one that nobody changes if no log lies
    beside it, and opened anew once it was changed. Where a log lies beside it, the log's changes are read.

    Args:
        path: The file; made if it is not there, when something is written.
        error: Class of all errors.
        advice: What to do, by a part of SQLite's message; see `advice_of`.
        wait_seconds: How long a writer waits for another one.
        settings: Further `PRAGMA` statements than `SETTINGS`, without that word.
        shared: Whether several threads use it; the caller then lets one at a time.

    Raises:
        MfclError: the file is no database, is damaged, or cannot be opened.
    """

    def __init__(
        self,
        path: Path,
        *,
        error: type[MfclError],
        advice: Mapping[str, str],
        wait_seconds: float,
        settings: Sequence[str] = (),
        shared: bool = False,
    ) -> None:
        self.path = path
        self._error, self._advice = error, advice
        self._wait_seconds, self._settings, self._shared = wait_seconds, (*SETTINGS, *settings), shared
        self._seen: _State | None = None
        """The file's state where it was opened as one that nobody changes; else SQLite looks for changes."""
        with self.said():
            self._connection = self._opened()

    @property
    def name(self) -> str:
        """The file's path."""
        return str(self.path)

    def use_log(self) -> None:
        """Write through a log (WAL): readers go on while one writes, and a kill leaves whole transactions."""
        self.rows("PRAGMA journal_mode = WAL")

    def tables(self) -> set[str]:
        """Return the names of all tables."""
        return {str(name) for (name,) in self.rows("SELECT name FROM sqlite_master WHERE type = 'table'")}

    def rows(self, statement: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Run a statement and return its rows, if it has any."""
        with self._one_state(), self.said():
            return self._connection.execute(statement, values).fetchall()

    def many(self, statement: str, values: Iterable[Sequence[Any]]) -> None:
        """Run a statement for each row of values."""
        with self.said():
            self._connection.executemany(statement, values)

    @contextlib.contextmanager
    def transaction(self, *, write: bool = True) -> Iterator[None]:
        """Do everything in the block or nothing; a writer waits for other writers, a reader sees one state."""
        with self._one_state():
            self.rows("BEGIN IMMEDIATE" if write else "BEGIN")
            try:
                yield
                self.rows("COMMIT")
            except BaseException:
                with contextlib.suppress(sqlite3.Error):  # a full disk may have rolled back already
                    if self._connection.in_transaction:
                        self._connection.execute("ROLLBACK")
                raise

    def close(self) -> None:
        """Close the connection."""
        with self.said():
            self._connection.close()

    @contextlib.contextmanager
    def said(self) -> Iterator[None]:
        """Turn errors of SQLite and of the system into one line with advice."""
        with path_errors(self.path, self._error):
            try:
                yield
            except sqlite3.Error as error:
                advice = next((text for part, text in self._advice.items() if part in str(error)), DAMAGED)
                raise self._error(f"{self.path}: {error}; {advice}") from error
            except UnicodeEncodeError as error:  # bytes of a name that are none, as Python has them
                raise self._error(f"{self.path}: {error.object!a} is not UTF-8; write it in UTF-8") from error

    def _opened(self) -> sqlite3.Connection:
        try:
            return self._prepared(sqlite3.connect(self.path, **self._ways()))
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF not in (sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY):
                raise
            state = _State.of(self.path)
            if not state.size:
                raise
            if state.log:  # read as one that nobody changes, it would lack what the log holds, without a word
                raise self._error(
                    f"{self.path}: {state.log} holds changes that are not in the file, and to read them SQLite must "
                    "write there; copy both to a folder that may be written, or open it once as someone who may"
                ) from error
            self._seen = state
            return self._prepared(
                sqlite3.connect(f"{self.path.absolute().as_uri()}?immutable=1", uri=True, **self._ways())
            )

    def _ways(self) -> dict[str, Any]:
        return {"timeout": self._wait_seconds, "isolation_level": None, "check_same_thread": not self._shared}

    def _prepared(self, connection: sqlite3.Connection) -> sqlite3.Connection:
        try:
            if self.path.stat().st_size and not is_database(self.path):
                raise sqlite3.DatabaseError("file is not a database")  # as SQLite says of most, but not of all
            connection.execute("SELECT count(*) FROM sqlite_master").fetchall()  # reads the first page
            for setting in self._settings:
                connection.execute(f"PRAGMA {setting}")
        except BaseException:
            connection.close()
            raise
        return connection

    @contextlib.contextmanager
    def _one_state(self) -> Iterator[None]:
        """Let a block see one state of a file that was opened as one that nobody changes; SQLite does not look."""
        if self._seen is None or self._connection.in_transaction:
            yield
            return
        if self._seen != _State.of(self.path):
            self._connection.close()
            self._seen = None
            with self.said():
                self._connection = self._opened()
        seen = self._seen
        try:
            yield
        except MfclError:  # pages of two states may look damaged
            self._check_still(seen)
            raise
        self._check_still(seen)

    def _check_still(self, seen: "_State | None") -> None:
        if seen is not None and seen != _State.of(self.path):
            raise self._error(f"{self.path}: was changed while it was read; try again")


class _State(NamedTuple):
    """What tells that a file was changed, and the log beside it that holds changes, "" without one."""

    size: int
    changed: int
    number: int
    log: str

    @classmethod
    def of(cls, path: Path) -> "_State":
        place = Path(os.path.realpath(path))  # SQLite puts logs beside what a link leads to
        try:
            found = place.stat()
        except OSError:
            return cls(0, 0, 0, "")
        logs = (f"{place}-wal", f"{place}-journal")
        return cls(found.st_size, found.st_mtime_ns, found.st_ino, next(filter(_holds_something, logs), ""))


def _holds_something(path: str) -> bool:
    try:
        return Path(path).stat().st_size > 0
    except OSError:  # there is none, or none any more
        return False


@contextlib.contextmanager
def path_errors(path: Path, error: type[MfclError]) -> Iterator[None]:
    """Turn errors of the system about a path into one line."""
    try:
        yield
    except OSError as caught:
        raise error(f"{path}: {caught.strerror or caught}; check the path and its permissions") from caught
