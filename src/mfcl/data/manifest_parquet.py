"""Read a Parquet table as rows of text, a row group at a time."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mfcl.core.extras import need
from mfcl.errors import ManifestError

PARQUET = ".parquet"
EXTRA = "parquet"
ROWS = 1 << 14  # turned into Python texts at a time


@contextlib.contextmanager
def parquet_rows(path: Path) -> Iterator[tuple[list[str], Iterator[tuple[str, list[str]]]]]:
    """Open a Parquet table; give the names of its columns, and each row as texts with its place in the file.

    Numbers are written so that they are read back exactly; a null or NaN is an empty text. One row group is in memory
    at a time.

    Raises:
        ManifestError: it cannot be read, or a column holds lists, tables or bytes.
        MissingExtraError: pyarrow is not installed.
    """
    arrow, parquet = need("pyarrow", EXTRA), need("pyarrow.parquet", EXTRA)
    try:
        with path.open("rb") as file, parquet.ParquetFile(file) as table:
            for field in table.schema_arrow:
                if not is_scalar(arrow, field.type):
                    raise ManifestError(
                        f"{path}: the column {field.name!r} holds {field.type}; leave it out, or write it as text"
                    )
            yield [name.strip() for name in table.schema_arrow.names], _rows(path, table, arrow)
    except OSError as error:
        raise ManifestError(f"{path}: cannot be read ({error.strerror or error}); check the path") from error
    except arrow.ArrowException as error:
        told = " ".join(str(error).split())[:200]
        raise ManifestError(f"{path}: not a readable Parquet table ({told}); write it again") from error


def _rows(path: Path, table: Any, arrow: Any) -> Iterator[tuple[str, list[str]]]:
    number = 0
    for group in range(table.num_row_groups):
        for batch in table.iter_batches(ROWS, row_groups=[group], use_threads=False):
            columns = [texts_of(column, arrow) for column in batch.columns]
            for cells in zip(*columns, strict=True):
                number += 1
                yield f"{path}, row {number}", list(cells)


def texts_of(column: Any, arrow: Any) -> list[str]:
    """Return the values of an Arrow column as texts; a null or NaN is an empty one."""
    if arrow.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    if arrow.types.is_floating(column.type):
        compute = need("pyarrow.compute", EXTRA)
        column = compute.if_else(compute.is_nan(column), None, column)
    return [text or "" for text in column.cast(arrow.string()).to_pylist()]


def is_scalar(arrow: Any, kind: Any) -> bool:
    """Return whether each value of an Arrow type is one short text: no list, no table, no bytes."""
    types = arrow.types
    if types.is_dictionary(kind):
        return is_scalar(arrow, kind.value_type)
    return not (types.is_nested(kind) or types.is_binary(kind) or types.is_large_binary(kind)) and (
        types.is_primitive(kind) or types.is_string(kind) or types.is_large_string(kind) or types.is_boolean(kind)
        or types.is_decimal(kind) or types.is_null(kind) or str(kind) == "string_view"
    )  # fmt: skip
