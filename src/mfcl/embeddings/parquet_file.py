"""Embeddings as a Parquet table (extra `parquet`): a row per item, its vector in the column `embedding`.

The other columns are `id`, `split` and the labels, as text; `start` and `end` of windows are numbers of seconds. Names
of labels that are taken begin with `label_`.
"""

import contextlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from mfcl.core.extras import need
from mfcl.core.files import replacing
from mfcl.embeddings.npz_file import check_system

PARQUET, EXTRA = ".parquet", "parquet"
VECTOR, ID, SPLIT = COLUMNS = ("embedding", "id", "split")
SECONDS = ("start", "end")
"""Labels that are written as numbers, where each is one or empty."""
ABOUT = b"mfcl"
"""Key of the schema's metadata, which holds the facts that an archive of embeddings holds."""


def write_parquet(
    path: Path,
    vectors: np.ndarray,
    ids: np.ndarray,
    splits: np.ndarray,
    labels: Mapping[str, np.ndarray],
    about: Mapping[str, Any],
) -> None:
    """Write a table atomically; see `mfcl.embeddings.table.Embeddings` for the first arguments.

    Args:
        path: The file.
        vectors: A row per item.
        ids: Of the items.
        splits: Of the items.
        labels: Label name -> one text per item.
        about: Facts to read back, with the list `labels` of all names of labels.

    Raises:
        MissingExtraError: pyarrow is not installed.
    """
    arrow, parquet = need("pyarrow", EXTRA), need("pyarrow.parquet", EXTRA)
    names = _columns(labels)
    flat = arrow.array(np.ascontiguousarray(vectors, dtype=np.float32).ravel())
    columns = {ID: arrow.array(ids.astype(np.str_).tolist()), SPLIT: arrow.array(splits.astype(np.str_).tolist())}
    columns |= {names[name]: _label(arrow, name, column) for name, column in labels.items()}
    columns[VECTOR] = arrow.FixedSizeListArray.from_arrays(flat, vectors.shape[1])
    table = arrow.table(columns).replace_schema_metadata({ABOUT: json.dumps(dict(about)).encode()})
    with replacing(path) as temporary:
        parquet.write_table(table, temporary, compression="zstd")


def read_parquet(path: Path) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Read a table of `write_parquet` as the arrays and the facts of an archive of embeddings.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is damaged, or another program's: `mfcl.embeddings.foreign` reads those.
        MissingExtraError: pyarrow is not installed.
    """
    parquet = need("pyarrow.parquet", EXTRA)
    if not path.is_file():
        raise FileNotFoundError(path)
    try:
        table = parquet.read_table(path)
    except Exception as error:  # pyarrow raises its own exceptions and some of Python's
        check_system(path, error)
        raise ValueError(str(error).splitlines()[0] if str(error) else type(error).__name__) from error
    if ABOUT not in (table.schema.metadata or {}):
        raise ValueError("it was not written by mfcl")
    about: dict[str, Any] = json.loads(table.schema.metadata[ABOUT])
    names = _columns(about["labels"])
    column = table[VECTOR].combine_chunks()
    vectors = np.asarray(column.flatten(), dtype=np.float32).reshape(len(column), column.type.list_size)
    arrays = {"vectors": vectors, "ids": _text(table, ID), "splits": _text(table, SPLIT)}
    arrays |= {f"label_{place}": _text(table, names[name]) for place, name in enumerate(about["labels"])}
    return arrays, about


def has_vectors(path: Path) -> bool:
    """Return whether a file is a Parquet table with lists in the column `embedding`; false if it is damaged.

    Raises:
        MissingExtraError: pyarrow is not installed.
    """
    arrow, parquet = need("pyarrow", EXTRA), need("pyarrow.parquet", EXTRA)
    if not path.is_file():
        return False
    try:
        schema = parquet.read_schema(path)
    except Exception:  # see `read_parquet`; whoever reads the file says what is wrong with it
        return False
    return VECTOR in schema.names and bool(arrow.types.is_nested(schema.field(VECTOR).type))


def read_about_parquet(path: Path) -> dict[str, Any]:
    """Return the facts in a table of `write_parquet`, without its rows.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is damaged, or another program's.
        MissingExtraError: pyarrow is not installed.
    """
    parquet = need("pyarrow.parquet", EXTRA)
    if not path.is_file():
        raise FileNotFoundError(path)
    try:
        metadata = parquet.read_schema(path).metadata or {}
    except Exception as error:  # pyarrow raises its own exceptions and some of Python's
        check_system(path, error)
        raise ValueError(str(error).splitlines()[0] if str(error) else type(error).__name__) from error
    if ABOUT not in metadata:
        raise ValueError("it was not written by mfcl")
    about: dict[str, Any] = json.loads(metadata[ABOUT])
    return about


def _columns(labels: Iterable[str]) -> dict[str, str]:
    """Return label -> its column.

    Example:
        >>> _columns(["word", "id", "label_id"])
        {'word': 'word', 'id': 'label_id', 'label_id': 'label_label_id'}
    """
    found: dict[str, str] = {}
    for name in labels:
        column = name
        while column in COLUMNS or column in found.values():
            column = f"label_{column}"
        found[name] = column
    return found


def _label(arrow: Any, name: str, column: np.ndarray) -> Any:
    """Return a label as a column of numbers if it is one of `SECONDS` and they read back as the same texts."""
    texts = column.astype(np.str_).tolist()
    if name in SECONDS:
        with contextlib.suppress(ValueError):
            numbers = [float(text) if text else None for text in texts]
            if ["" if number is None else repr(number) for number in numbers] == texts:
                return arrow.array(numbers, arrow.float64())
    return arrow.array(texts, arrow.string())


def _text(table: Any, name: str) -> np.ndarray:
    return np.array(["" if value is None else str(value) for value in table[name].to_pylist()], dtype=np.str_)
