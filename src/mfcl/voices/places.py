"""Where a gallery is: a file, or the address of a PostgreSQL database."""

from pathlib import Path

from mfcl.core.files import is_there
from mfcl.core.urls import local_path
from mfcl.errors import GalleryError
from mfcl.voices.database import Database
from mfcl.voices.postgres import PREFIXES, PostgresDatabase
from mfcl.voices.sqlite import SqliteDatabase


def check_free(place: str | Path) -> None:
    """Check that a gallery can be made at a place, before any work is done for it.

    Raises:
        GalleryError: there is a file already.
    """
    if is_address(place):
        return
    file = local_path(place, "gallery")
    if is_there(file) and file.is_file() and not _is_empty(file):
        raise GalleryError(f"{place}: there is a gallery or a file already; give a new path")


def _is_empty(file: Path) -> bool:
    """Return whether a file has no bytes or is a database without tables, which a killed `create` leaves."""
    if not file.stat().st_size:
        return True
    try:
        database = SqliteDatabase(file)
        try:
            return not database.tables()
        finally:
            database.close()
    except GalleryError:  # another file, or a damaged one
        return False


def connect(place: str | Path, *, new: bool = False) -> Database:
    """Connect to the database of a gallery: a file, or the address of a PostgreSQL database."""
    if is_address(place):
        return PostgresDatabase(str(place))
    return SqliteDatabase(local_path(place, "gallery"), new=new)


def is_address(place: str | Path) -> bool:
    """Return whether a place is the address of a PostgreSQL database.

    Example:
        >>> is_address("postgresql://host/voices"), is_address("voices.db")
        (True, False)
    """
    return isinstance(place, str) and place.startswith(PREFIXES)
