"""Read embeddings that other programs wrote: NumPy archives and arrays, CSV, Parquet."""

from collections.abc import Collection
from pathlib import Path

import numpy as np

from mfcl.core.console import worded
from mfcl.embeddings.blocks import open_blocks
from mfcl.embeddings.foreign_columns import (
    NAMES,
    NOT_VALUES,
    VECTORS,
    Foreign,
    by_preference,
    check_named,
    quoted,
    word,
)
from mfcl.embeddings.foreign_tables import read_csv, read_table
from mfcl.embeddings.npz_file import FAULTS, read_npz, read_npz_shapes
from mfcl.embeddings.part_files import is_part_folder
from mfcl.errors import MeasureError, shown


def read_foreign(path: Path, *, wanted: Collection[str] | None = None) -> Foreign:
    """Read vectors from a file, without running code from it; its suffix is its kind.

    - `.npz`: an array `vectors` or `embeddings` (items, dim), and `ids` or `paths`; or one array alone.
    - `.npy`: one array (items, dim).
    - `.csv`: a header; a column `id` or `path`, then values. Without such a column, and without other text, rows are in
      the manifest's order.
    - `.parquet` (extra `parquet`): as CSV, or with a column `embedding` of lists.
    - A folder of parts (`mfcl embed --parts`), one of which is in memory at a time.

    Names of columns and arrays count without regard to case, blanks and hyphens; see `foreign_columns`.

    Args:
        path: The file or folder.
        wanted: Of a folder of parts, read only vectors with these ids; default: all.

    Raises:
        MeasureError: the file is missing, of another kind, damaged, or a value is not a finite number; or it is not
            clear which of its columns hold values or names.
    """
    if is_part_folder(path):
        return _parts(path, wanted)
    readers = {".npz": _npz, ".npy": _npy, ".csv": read_csv, ".parquet": read_table}
    if path.suffix.lower() not in readers:
        raise MeasureError(f"{path}: wanted embeddings as {', '.join(readers)}, got {path.suffix!r}; convert it")
    try:
        found = readers[path.suffix.lower()](path)
        for name, column in found.named.items():
            if len(column) != len(found.vectors):
                raise ValueError(f"{len(found.vectors)} vectors and {len(column)} names in {shown(name)}")
    except FileNotFoundError:
        raise MeasureError(f"{path}: wanted embeddings, but there is no such file; check the path") from None
    except FAULTS as error:
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise MeasureError(f"{path}: cannot be read as embeddings ({reason}); see `mfcl study --help`") from None
    bad = np.flatnonzero(~np.isfinite(found.vectors).all(axis=1))
    if len(bad):
        raise MeasureError(
            f"{path}: {worded(len(bad), 'vector holds', 'vectors hold')} NaN, infinity or more than 32 bits hold, "
            f"the first is row {bad[0] + 1}; mend them"
        )
    return found


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
    return Foreign(np.concatenate(vectors), {"id": names})


def _npz(path: Path) -> Foreign:
    shapes = read_npz_shapes(path)
    matrices = [name for name, (shape, dtype) in shapes.items() if len(shape) == 2 and dtype.kind == "f"]
    chosen = by_preference(shapes, VECTORS)[:1] or (matrices if len(matrices) == 1 else [*shapes][: len(shapes) == 1])
    if not chosen:
        raise MeasureError(f"{path}: wanted an array `vectors` or `embeddings`, got {quoted(shapes)}; name one so")
    names = by_preference(shapes, NAMES)
    texts = [name for name, (_, dtype) in shapes.items() if dtype.kind in "USO" and word(name) not in NOT_VALUES]
    check_named(path, names, [name for name in texts if shapes[name][0][:1] == shapes[chosen[0]][0][:1]])
    names = [name for name in names if name in texts] or names  # if none is text, reading says so
    arrays = read_npz(path, [*chosen, *names])
    vectors = _matrix(arrays[chosen[0]])
    return Foreign(vectors, {name: [*map(str, arrays[name].ravel().tolist())] for name in names}, about=chosen[0])


def _npy(path: Path) -> Foreign:
    return Foreign(_matrix(np.load(path, allow_pickle=False)))


def _matrix(values: np.ndarray) -> np.ndarray:
    if values.ndim != 2 or values.dtype.kind not in "fiu" or not values.size:
        raise ValueError(f"wanted numbers (items, dim), got {values.dtype} {values.shape}")
    with np.errstate(over="ignore"):  # too large numbers become infinity, which is refused
        return values.astype(np.float32)
