"""A gallery in one SQLite file: write-ahead log, foreign keys, deleted bytes overwritten."""

import contextlib
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from mfcl.core.files import check_file_place, is_there
from mfcl.errors import GalleryError
from mfcl.voices.database import Row, Types

WAIT_SECONDS = 60.0
"""How long a writer waits for another process that writes."""
HEADER = b"SQLite format 3\0"
ADVICE = {
    "disk is full": "free some space; nothing but this change is lost",
    "disk I/O": "check the disk and its free space; nothing but this change is lost",
    "readonly": "check the permissions of the file and its folder",
    "unable to open": "check the path and the permissions of the file and its folder",
    "locked": f"another process has written for more than {WAIT_SECONDS:.0f} seconds; try again",
    "malformed": "it is damaged or cut short; restore it from a copy",
    "not a database": "it is damaged or no gallery; restore it from a copy or give another path",
}


class SqliteDatabase:
    """A connection to a SQLite file.

    Args:
        path: The file.
        new: Make the file if it is not there.

    Raises:
        GalleryError: the file is missing, damaged, or cannot be opened.
    """

    types = Types("INTEGER PRIMARY KEY", "INTEGER", "REAL", "BLOB")

    def __init__(self, path: Path, *, new: bool = False) -> None:
        self.path = path
        if new:
            check_file_place(path)
            with self._said():
                path.parent.mkdir(parents=True, exist_ok=True)
        elif not is_there(path):
            raise GalleryError(f"{path}: there is no gallery; make one with `mfcl voices create`")
        elif not path.is_file():
            raise GalleryError(f"{path}: wanted a gallery, it is not a file; give the file that was created")
        with self._said():
            self._connection = sqlite3.connect(path, timeout=WAIT_SECONDS, isolation_level=None)
        try:
            with self._said():
                self._check_header(new)
                for setting in ("foreign_keys = ON", "secure_delete = ON", "synchronous = FULL",
                                "trusted_schema = OFF", "cell_size_check = ON"):  # fmt: skip
                    self._connection.execute(f"PRAGMA {setting}")
                if new:
                    self._connection.execute("PRAGMA journal_mode = WAL")
        except GalleryError:
            self._connection.close()
            raise

    @property
    def name(self) -> str:
        """The file's path."""
        return str(self.path)

    def tables(self) -> set[str]:
        """Return the names of all tables."""
        return {str(name) for (name,) in self.rows("SELECT name FROM sqlite_master WHERE type = 'table'")}

    def rows(self, statement: str, values: Sequence[Any] = ()) -> list[Row]:
        """Run a statement and return its rows, if it has any."""
        with self._said():
            return self._connection.execute(statement, values).fetchall()

    def many(self, statement: str, values: Iterable[Sequence[Any]]) -> None:
        """Run a statement for each row of values."""
        with self._said():
            self._connection.executemany(statement, values)

    @contextlib.contextmanager
    def transaction(self, *, write: bool = True) -> Iterator[None]:
        """Do everything in the block or nothing; a writer waits for other writers, a reader sees one state."""
        self.rows("BEGIN IMMEDIATE" if write else "BEGIN")
        try:
            yield
            self.rows("COMMIT")
        except BaseException:
            with contextlib.suppress(sqlite3.Error):  # a full disk may have rolled back already
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
            raise

    def forget(self) -> str:
        """Move the log into the file and empty it: deleted bytes are zeroed in the file, the log still has them."""
        busy = self.rows("PRAGMA wal_checkpoint(TRUNCATE)")[0][0]
        return f"{self.name}-wal keeps removed bytes until other processes close the gallery" if busy else ""

    def close(self) -> None:
        """Close the connection."""
        with self._said():
            self._connection.close()

    def _check_header(self, new: bool) -> None:
        size = self.path.stat().st_size
        if size == 0 and not new:
            raise GalleryError(f"{self.path}: wanted a gallery, the file is empty; make one with `mfcl voices create`")
        with self.path.open("rb") as file:
            if size and file.read(len(HEADER)) != HEADER:
                raise GalleryError(f"{self.path}: file is not a database; {ADVICE['not a database']}")
        self._connection.execute("SELECT count(*) FROM sqlite_master").fetchall()  # reads the first page

    @contextlib.contextmanager
    def _said(self) -> Iterator[None]:
        """Turn errors of SQLite into one line with advice."""
        try:
            yield
        except sqlite3.Error as error:
            advice = next((text for part, text in ADVICE.items() if part in str(error)), "restore it from a copy")
            raise GalleryError(f"{self.path}: {error}; {advice}") from error
        except OSError as error:
            raise GalleryError(f"{self.path}: {error.strerror or error}; check the path and its permissions") from error
