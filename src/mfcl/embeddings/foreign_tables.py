"""Read vectors from tables of other programs: CSV and Parquet."""

import csv
import itertools
from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float32

from mfcl.core.extras import need
from mfcl.embeddings.foreign_columns import (
    NAMES,
    NOT_VALUES,
    VECTORS,
    Foreign,
    by_preference,
    check_columns,
    quoted,
    spanned,
    unread_columns,
    word,
)
from mfcl.errors import MeasureError, shown


def read_csv(path: Path) -> Foreign:
    """Read vectors from a table of text with a header; its text is read line by line and not kept.

    Raises:
        ValueError: it is damaged.
        MeasureError: a value is no number, or it is not clear which columns are values or names.
    """
    with path.open(newline="", encoding="utf-8-sig") as file:
        try:
            return _csv(path, csv.reader(file))
        except csv.Error as error:
            raise ValueError(str(error)) from error


def _csv(path: Path, rows: Any) -> Foreign:
    header = [name.strip() for name in next(rows, [])]
    lines = _lines(rows, len(header))
    top, first = next(lines, (0, None))
    if first is None:
        raise ValueError("it has no rows")
    named: dict[str, list[str]] = {name: [] for name in by_preference(header, NAMES)}
    free = [place for place, name in enumerate(header) if word(name) not in (*NAMES, *NOT_VALUES)]
    values = [place for place in free if _is_number(first[place])]
    texts = {place: False for place in free if place not in values}  # -> whether any line has text there
    numbers = array("f")
    for line, row in itertools.chain([(top, first)], lines):
        for place in texts:
            if _is_number(row[place]):  # a column with any number is one of numbers
                raise _no_number(path, top, header[place], first[place])
            texts[place] = texts[place] or bool(row[place].strip())
        try:
            numbers.extend(_numbers([row[place] for place in values]))
        except ValueError:
            bad = next(place for place in values if not _is_number(row[place]))
            raise _no_number(path, line, header[bad], row[bad]) from None
        for name, column in named.items():
            column.append(row[header.index(name)])
    columns = [header[place] for place in values]
    check_columns(path, columns, [header[place] for place, filled in texts.items() if filled], named, header)
    vectors = np.frombuffer(numbers, dtype=np.float32).reshape(-1, len(values))
    return Foreign(vectors, named, tuple(columns), spanned(columns), unread_columns(header, columns, named))


def read_table(path: Path) -> Foreign:
    """Read vectors from Parquet: a column of lists, or a column of numbers for each value.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is damaged.
        MeasureError: it is not clear which columns are values or names.
        MissingExtraError: pyarrow is not installed.
    """
    need("pyarrow", "parquet")
    parquet = need("pyarrow.parquet", "parquet")
    if not path.is_file():
        raise FileNotFoundError(path)
    try:
        schema = parquet.read_schema(path)
        kinds = {one.name: _kind(one.type) for one in schema}
        named, columns = _chosen(path, kinds)
        table = parquet.read_table(path, columns=[*named, *columns])
    except MeasureError:
        raise
    except Exception as error:  # pyarrow has its own tree of exceptions, and some of Python's
        raise ValueError(str(error).splitlines()[0] if str(error) else type(error).__name__) from error
    found = {name: ["" if one is None else str(one) for one in table[name].to_pylist()] for name in named}
    unread = unread_columns(kinds, columns, found)
    if kinds[columns[0]] == "list":
        return Foreign(_rows(path, columns[0], table[columns[0]].combine_chunks()), found, (), columns[0], unread)
    vectors = np.empty((len(table), len(columns)), dtype=np.float32)
    with np.errstate(over="ignore"):  # too large numbers become infinity, which is refused
        for place, name in enumerate(columns):
            vectors[:, place] = table[name].to_numpy()
    return Foreign(vectors, found, tuple(columns), spanned(columns), unread)


def _chosen(path: Path, kinds: Mapping[str, str]) -> tuple[list[str], list[str]]:
    """Return the columns of a Parquet table that name recordings, and those that hold values."""
    named = [name for name in by_preference(kinds, NAMES) if kinds[name] != "list"]
    free = {name: kind for name, kind in kinds.items() if word(name) not in (*NAMES, *NOT_VALUES)}
    of = {kind: [name for name, own in free.items() if own == kind] for kind in ("list", "float", "whole", "text")}
    lists = by_preference(of["list"], VECTORS) or of["list"]
    if len(lists) > 1:
        raise MeasureError(
            f"{path}: {quoted(lists)} hold lists; keep the one with the vectors, and call it `embedding`"
        )
    if not lists and of["float"] and of["whole"]:
        raise MeasureError(
            f"{path}: wanted values as floats, got whole numbers in {quoted(of['whole'])}; leave it out if it is a "
            "label or an index, else make it float"
        )
    columns = lists or of["float"] or of["whole"]
    check_columns(path, columns, of["text"], named, kinds)
    return named, columns


def _rows(path: Path, name: str, column: Any) -> Float32[np.ndarray, "items dim"]:
    """Return the lists of a column as rows."""
    counts = np.array(need("pyarrow.compute", "parquet").list_value_length(column).fill_null(0))
    if len(counts) and counts.min() != counts.max():
        raise MeasureError(f"{path}: wanted lists of one size in {shown(name)}, got {counts.min()} to {counts.max()}")
    with np.errstate(over="ignore"):
        values = column.flatten().to_numpy(zero_copy_only=False).astype(np.float32)
    return np.asarray(values.reshape(len(counts), -1 if len(values) else 0), dtype=np.float32)


def _kind(type: Any) -> str:
    """Return what a column of Parquet holds: "float", "whole", "text", "list" of numbers, or "" for anything else."""
    types = need("pyarrow", "parquet").types
    if types.is_dictionary(type):
        type = type.value_type
    if types.is_list(type) or types.is_large_list(type) or types.is_fixed_size_list(type):
        return "list" if _kind(type.value_type) in ("float", "whole") else ""
    if types.is_string(type) or types.is_large_string(type):
        return "text"
    return "float" if types.is_floating(type) else "whole" if types.is_integer(type) else ""


def _lines(rows: Any, count: int) -> Iterator[tuple[int, list[str]]]:
    """Yield the lines of a table that are not empty, with their number in the file.

    Raises:
        ValueError: one has not as many columns as the header.
    """
    for row in rows:
        if not row:
            continue
        if len(row) != count:
            raise ValueError(
                f"line {rows.line_num} has another number of columns ({len(row)}) than the header ({count})"
            )
        yield rows.line_num, row


def _numbers(cells: Sequence[str]) -> Iterable[float]:
    if "_" in "".join(cells):  # Python reads 0_01 as 1, but as a table's text it is a name
        raise ValueError
    return map(float, cells)


def _is_number(text: str) -> bool:
    try:
        return bool([*_numbers([text])])
    except ValueError:
        return False


def _no_number(path: Path, line: int, column: str, text: str) -> MeasureError:
    return MeasureError(
        f"{path}: line {line}, column {shown(column)}: wanted a number, got {shown(text)}, but the column has numbers; "
        "mend it, or leave the column out"
    )
