"""Embeddings as a Parquet table (extra `parquet`): a row per item, its vector in the column `embedding`.

The other columns are `id`, `split` and the labels, as text. Names of labels that are taken begin with `label_`.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from mfcl.core.extras import need
from mfcl.core.files import replacing

PARQUET, EXTRA = ".parquet", "parquet"
VECTOR, ID, SPLIT = COLUMNS = ("embedding", "id", "split")
ABOUT = b"mfcl"
"""Key of the schema's metadata with version, parts, and column -> label."""
VERSION = 1


def write_parquet(
    path: Path,
    vectors: np.ndarray,
    ids: np.ndarray,
    splits: np.ndarray,
    labels: Mapping[str, np.ndarray],
    parts: Mapping[str, tuple[int, int]],
) -> None:
    """Write a table atomically; see `mfcl.embeddings.table.Embeddings` for the arguments.

    Raises:
        MissingExtraError: pyarrow is not installed.
    """
    arrow, parquet = need("pyarrow", EXTRA), need("pyarrow.parquet", EXTRA)
    names = {(f"label_{name}" if name in COLUMNS else name): name for name in labels}
    flat = arrow.array(np.ascontiguousarray(vectors, dtype=np.float32).ravel())
    columns = {ID: arrow.array(ids.astype(np.str_).tolist()), SPLIT: arrow.array(splits.astype(np.str_).tolist())}
    columns |= {column: arrow.array(labels[name].astype(np.str_).tolist()) for column, name in names.items()}
    columns[VECTOR] = arrow.FixedSizeListArray.from_arrays(flat, vectors.shape[1])
    about = {"version": VERSION, "parts": {name: list(ends) for name, ends in parts.items()}, "labels": names}
    table = arrow.table(columns).replace_schema_metadata({ABOUT: json.dumps(about).encode()})
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
        raise ValueError(str(error).splitlines()[0] if str(error) else type(error).__name__) from error
    if ABOUT not in (table.schema.metadata or {}):
        raise ValueError("it was not written by mfcl")
    about = json.loads(table.schema.metadata[ABOUT])
    names: dict[str, str] = about["labels"]
    column = table[VECTOR].combine_chunks()
    vectors = np.asarray(column.flatten(), dtype=np.float32).reshape(len(column), -1)
    arrays = {"vectors": vectors, "ids": _text(table, ID), "splits": _text(table, SPLIT)}
    arrays |= {f"label_{place}": _text(table, one) for place, one in enumerate(names)}
    return arrays, {"version": about["version"], "parts": about["parts"], "labels": list(names.values())}


def _text(table: Any, name: str) -> np.ndarray:
    return np.array(["" if value is None else str(value) for value in table[name].to_pylist()], dtype=np.str_)
