"""A gallery in one SQLite file: write-ahead log, foreign keys, deleted bytes overwritten."""

from pathlib import Path

from mfcl.core.files import check_file_place, is_there
from mfcl.core.sqlite import SqliteFile, advice_of, path_errors
from mfcl.errors import GalleryError
from mfcl.voices.database import Types

WAIT_SECONDS = 60.0
"""How long a writer waits for another process that writes."""
ADVICE = advice_of("change") | {
    "locked": f"another process has written for more than {WAIT_SECONDS:.0f} seconds; try again",
    "not a database": "it is damaged or no gallery; restore it from a copy or give another path",
}


class SqliteDatabase(SqliteFile):
    """A connection to a SQLite file.

    Args:
        path: The file.
        new: Make the file if it is not there.

    Raises:
        GalleryError: the file is missing, damaged, or cannot be opened.
    """

    types = Types("INTEGER PRIMARY KEY", "INTEGER", "REAL", "BLOB")

    def __init__(self, path: Path, *, new: bool = False) -> None:
        if new:
            _make_folder(path)
        else:
            _check_there(path)
        super().__init__(
            path, error=GalleryError, advice=ADVICE, wait_seconds=WAIT_SECONDS, settings=("secure_delete = ON",)
        )
        if new:
            self.use_log()

    def forget(self) -> str:
        """Move the log into the file and empty it: deleted bytes are zeroed in the file, the log still has them."""
        busy = self.rows("PRAGMA wal_checkpoint(TRUNCATE)")[0][0]
        return f"{self.name}-wal keeps removed bytes until other processes close the gallery" if busy else ""


def _make_folder(path: Path) -> None:
    check_file_place(path)
    with path_errors(path, GalleryError):
        path.parent.mkdir(parents=True, exist_ok=True)


def _check_there(path: Path) -> None:
    if not is_there(path):
        raise GalleryError(f"{path}: there is no gallery; make one with `mfcl voices create`")
    if not path.is_file():
        raise GalleryError(f"{path}: wanted a gallery, it is not a file; give the file that was created")
    with path_errors(path, GalleryError):
        size = path.stat().st_size
    if not size:
        raise GalleryError(f"{path}: wanted a gallery, the file is empty; make one with `mfcl voices create`")
