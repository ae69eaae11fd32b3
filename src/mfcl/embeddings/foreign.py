"""Read embeddings that other programs wrote: NumPy archives and arrays, CSV, Parquet."""

import csv
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float32

from mfcl.core.extras import need
from mfcl.embeddings.blocks import open_blocks
from mfcl.embeddings.npz_file import FAULTS, read_npz
from mfcl.embeddings.part_files import is_part_folder
from mfcl.errors import MeasureError, shown

NAMES = ("id", "ids", "path", "paths", "file", "filename")
"""Columns or arrays that name the recording of each vector; the first that is there counts."""
VECTORS = ("vectors", "embeddings", "embedding", "vector", "features")
"""Columns or arrays of an archive that hold vectors."""
NOT_VALUES = ("split", "splits", "label", "start", "end", "dim", "index")
"""Columns that are never values of a vector, although they may be numbers."""


@dataclass(frozen=True)
class Foreign:
    """Vectors with the names of their recordings.

    Attributes:
        vectors: One row per recording.
        names: Id or path of each; None if the file has none, and rows are in the manifest's order.
    """

    vectors: Float32[np.ndarray, "items dim"]
    names: list[str] | None


def read_foreign(path: Path, *, wanted: Collection[str] | None = None) -> Foreign:
    """Read vectors from a file, without running code from it; its suffix is its kind.

    - `.npz`: an array `vectors` or `embeddings` (items, dim), and `ids` or `paths`; or one array alone.
    - `.npy`: one array (items, dim).
    - `.csv`: a header; a column `id` or `path`, then values. Without such a column rows are in the manifest's order.
    - `.parquet` (extra `parquet`): as CSV, or with a column `embedding` of lists.
    - A folder of parts (`mfcl embed --parts`), one of which is in memory at a time.

    Args:
        path: The file or folder.
        wanted: Of a folder of parts, read only vectors with these ids; default: all.

    Raises:
        MeasureError: the file is missing, of another kind, damaged, or a value is not a finite number.
    """
    if is_part_folder(path):
        return _parts(path, wanted)
    readers = {".npz": _npz, ".npy": _npy, ".csv": _csv, ".parquet": _parquet}
    if path.suffix.lower() not in readers:
        raise MeasureError(f"{path}: wanted embeddings as {', '.join(readers)}, got {path.suffix!r}; convert it")
    try:
        found = readers[path.suffix.lower()](path)
        vectors = np.asarray(found[0])
        if vectors.ndim != 2 or vectors.dtype.kind not in "fiu" or not vectors.size:
            raise ValueError(f"wanted numbers (items, dim), got {vectors.dtype} {vectors.shape}")
        if found[1] is not None and len(found[1]) != len(vectors):
            raise ValueError(f"{len(vectors)} vectors and {len(found[1])} names")
    except FileNotFoundError:
        raise MeasureError(f"{path}: wanted embeddings, but there is no such file; check the path") from None
    except FAULTS as error:
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise MeasureError(f"{path}: cannot be read as embeddings ({reason}); see `mfcl study --help`") from None
    rows = vectors.astype(np.float32)
    bad = np.flatnonzero(~np.isfinite(rows).all(axis=1))
    if len(bad):
        raise MeasureError(f"{path}: {len(bad)} vectors hold NaN or infinity, the first is row {bad[0] + 1}; mend them")
    return Foreign(rows, None if found[1] is None else [str(name) for name in found[1]])


def _parts(path: Path, wanted: Collection[str] | None) -> Foreign:
    vectors, names, seen = [], [], ""
    for block in open_blocks(path):
        ids = block.ids.tolist()
        seen = seen or ids[0]
        kept = [place for place, name in enumerate(ids) if wanted is None or name in wanted]
        vectors.append(block.vectors[np.array(kept, dtype=np.int64)])
        names += [ids[place] for place in kept]
    if not names:
        raise MeasureError(f"{path}: wanted vectors of these recordings, it has none; its ids are like {shown(seen)}")
    return Foreign(np.concatenate(vectors), names)


def _npz(path: Path) -> tuple[Any, list[str] | None]:
    with np.load(path, allow_pickle=False) as archive:
        known = archive.files
    wanted = known if len(known) == 1 else [name for name in known if name in (*VECTORS, *NAMES)]
    arrays = read_npz(path, wanted)
    vectors = next((name for name in VECTORS if name in arrays), None)
    if vectors is None and len(arrays) == 1:
        vectors = next(iter(arrays))
    if vectors is None:
        raise ValueError(f"wanted an array {VECTORS[0]!r} or {VECTORS[1]!r}, got {shown(known)}")
    names = next((name for name in NAMES if name in arrays), None)
    return arrays[vectors], None if names is None else arrays[names].ravel().tolist()


def _npy(path: Path) -> tuple[Any, None]:
    return np.load(path, allow_pickle=False), None


def _csv(path: Path) -> tuple[Any, list[str] | None]:
    with path.open(newline="", encoding="utf-8-sig") as file:
        rows = csv.reader(file)
        header = [name.strip() for name in next(rows, [])]
        lines = [row for row in rows if row]
    if not lines:
        raise ValueError("it has no rows")
    if any(len(row) != len(header) for row in lines):
        raise ValueError(f"a row has another number of columns than the header ({len(header)})")
    named = next((name for name in NAMES if name in header), None)
    wanted = [
        place for place, name in enumerate(header) if name not in (*NAMES, *NOT_VALUES) and _number(lines[0][place])
    ]
    values = np.array([[row[place] for place in wanted] for row in lines]).astype(np.float64)
    return values, None if named is None else [row[header.index(named)] for row in lines]


def _parquet(path: Path) -> tuple[Any, list[str] | None]:
    need("pyarrow", "parquet")
    parquet = need("pyarrow.parquet", "parquet")
    if not path.is_file():
        raise FileNotFoundError(path)
    try:
        table = parquet.read_table(path)
    except Exception as error:  # pyarrow has its own tree of exceptions, and some of Python's
        raise ValueError(str(error).splitlines()[0]) from error
    columns = table.column_names
    named = next((name for name in NAMES if name in columns), None)
    listed = next((name for name in VECTORS if name in columns), None)
    if listed is not None:
        vectors = np.array([np.asarray(one, dtype=np.float64) for one in table[listed].to_pylist()])
    else:
        plain = [
            name for name in columns
            if name not in (*NAMES, *NOT_VALUES) and str(table[name].type) in ("float", "double", "halffloat")
        ]  # fmt: skip
        vectors = np.stack([table[name].to_numpy() for name in plain], axis=1) if plain else np.zeros((0, 0))
    return vectors, None if named is None else table[named].to_pylist()


def _number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
