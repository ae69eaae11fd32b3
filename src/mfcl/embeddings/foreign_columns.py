"""Vectors of other programs, and what the names of their columns and arrays say."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from jaxtyping import Float32

from mfcl.errors import MeasureError, shown

NAMES = ("id", "path", "file", "filename", "filepath", "name", "recording")
"""Columns or arrays that name the recording of each vector, also in the plural; see `word`."""
VECTORS = ("vector", "embedding", "feature")
"""Columns of lists, or arrays of an archive, that hold vectors; likewise."""
NOT_VALUES = ("split", "label", "start", "end", "dim", "index")
"""Columns that are neither values nor names of recordings, whatever they hold; likewise."""
CALL = "call what names the recordings `id` or `path`; without such, rows are in the manifest's order: leave texts out"


@dataclass(frozen=True)
class Foreign:
    """Vectors with the names of their recordings.

    Attributes:
        vectors: One row per recording.
        named: Column or array -> id or path of each row; empty if the file names none, and rows are in the manifest's
            order.
        columns: Names of the columns that are values, of a table with one for each value.
        about: What was read, for a person: the columns or the array.
        unread: Columns that are neither names nor values.
    """

    vectors: Float32[np.ndarray, "items dim"]
    named: Mapping[str, list[str]] = field(default_factory=dict)
    columns: tuple[str, ...] = ()
    about: str = ""
    unread: tuple[str, ...] = ()

    @property
    def names(self) -> list[str] | None:
        """Id or path of each, by the first column that names them; None if there is none."""
        return next(iter(self.named.values()), None)


def word(name: str) -> str:
    """Return what a column's name says, however it is written.

    Example:
        >>> [word(name) for name in ("ID", "File Name", "file-paths", "names", "v0", "s")]
        ['id', 'filename', 'filepath', 'name', 'v0', 's']
    """
    plain = re.sub(r"[\s_-]", "", name).casefold()
    return plain.removesuffix("s") if len(plain) > 1 else plain


def by_preference(names: Iterable[str], words: Sequence[str]) -> list[str]:
    """Return those names that are one of the words, the earlier words first."""
    return sorted((name for name in names if word(name) in words), key=lambda name: words.index(word(name)))


def spanned(columns: Sequence[str]) -> str:
    """Return the first and the last column for a message."""
    return columns[0] if len(columns) == 1 else f"{columns[0]} to {columns[-1]}"


def quoted(names: Iterable[str]) -> str:
    """Return names in quotes for a message, the first few if there are many.

    Example:
        >>> quoted("abcdefg")
        "'a', 'b', 'c', 'd' and 3 more"
    """
    every = [shown(name) for name in names]
    return ", ".join(every) if len(every) <= 5 else f"{', '.join(every[:4])} and {len(every) - 4} more"


def check_named(path: Path, named: Iterable[str], texts: Sequence[str]) -> None:
    """Refuse a file that names no recordings but has texts which may be meant as names.

    Raises:
        MeasureError: it is such a file.
    """
    if texts and not [*named]:
        raise MeasureError(f"{path}: it names no recordings, and has text in {quoted(texts)}; {CALL}")


def check_columns(
    path: Path, columns: Sequence[str], texts: Sequence[str], named: Iterable[str], every: Iterable[str]
) -> None:
    """Refuse a table in which it is not clear which columns are values or names.

    Args:
        path: The file, for the message.
        columns: Those of values.
        texts: Those of text that are no known names.
        named: Those that name recordings.
        every: All columns.

    Raises:
        MeasureError: it is such a table.
    """
    listed = [name for name in texts if word(name) in VECTORS]
    if listed:
        raise MeasureError(f"{path}: {quoted(listed)} holds text, wanted a column for each value; write it so")
    if not columns:
        raise MeasureError(
            f"{path}: wanted numbers, it has no column of numbers beside {quoted(every)}; "
            "give a header and a column for each value, in CSV with commas between"
        )
    if any(not name or re.fullmatch(r"__index_level_\d+__", name) for name in columns):
        raise MeasureError(
            f"{path}: it has numbers in a column without a name; name it if it is a value, leave it out if it is an "
            "index (pandas: index=False)"
        )
    check_named(path, named, texts)


def unread_columns(every: Iterable[str], columns: Sequence[str], named: Iterable[str]) -> tuple[str, ...]:
    """Return the columns of a table that are neither values nor names."""
    used = {*columns, *named}
    return tuple(name for name in every if name and name not in used)
