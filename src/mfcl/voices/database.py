"""What a gallery asks of a database: few calls that SQLite and PostgreSQL both answer."""

import contextlib
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple, Protocol, runtime_checkable

Row = tuple[Any, ...]


class Types(NamedTuple):
    """Names of column types in a database's dialect."""

    key: str
    """An integer primary key that counts up by itself."""
    whole: str
    real: str
    bytes: str


@runtime_checkable
class Database(Protocol):
    """A connection to a database.

    Statements have `?` for values. Every failure is a `GalleryError` of one line.
    """

    types: Types

    @property
    def name(self) -> str:
        """Return the place for messages, without a password."""

    def tables(self) -> set[str]:
        """Return the names of all tables."""
        ...

    def rows(self, statement: str, values: Sequence[Any] = ()) -> list[Row]:
        """Run a statement and return its rows, if it has any."""
        ...

    def many(self, statement: str, values: Iterable[Sequence[Any]]) -> None:
        """Run a statement for each row of values."""
        ...

    def transaction(self, *, write: bool = True) -> contextlib.AbstractContextManager[None]:
        """Do everything in the block or nothing; a writer waits for other writers, a reader sees one state."""
        ...

    def forget(self) -> str:
        """Erase what was deleted from the files, and return what is still to be said about it, or ""."""
        ...

    def close(self) -> None:
        """Close the connection."""
        ...
