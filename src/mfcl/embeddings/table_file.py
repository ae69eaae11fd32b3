"""Read a file of embeddings and check what is in it, without running code from it."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from mfcl.core.console import worded
from mfcl.embeddings.npz_file import FAULTS, check_system, read_npz
from mfcl.embeddings.parquet_file import PARQUET, read_parquet
from mfcl.embeddings.table import FILE_VERSION, Embeddings
from mfcl.errors import MeasureError, shown


def read_embeddings(path: Path) -> tuple[Embeddings, dict[str, Any]]:
    """Read one file, and the facts in it; see `mfcl.embeddings.blocks.load_embeddings`."""
    try:
        if path.suffix.lower() == PARQUET:
            arrays, about = read_parquet(path)
        else:
            arrays = read_npz(path, ("about", "vectors", "ids", "splits", "label_"))
            about = json.loads(str(arrays["about"]))
        if about["version"] != FILE_VERSION:
            raise MeasureError(
                f"{path}: wanted an embeddings file of version {FILE_VERSION}, got {shown(about['version'])}; "
                "run `mfcl embed` again"
            )
        found = _built(arrays, about)
    except FileNotFoundError:
        raise MeasureError(
            f"{path}: wanted embeddings, but there is no such file; write them with `mfcl embed`"
        ) from None
    except FAULTS as error:
        check_system(path, error)
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise MeasureError(f"{path}: not a valid embeddings file ({reason}); run `mfcl embed` again") from None
    finite = np.isfinite(found.vectors).all(axis=1)
    if not finite.all():
        first = shown(str(found.ids[int(np.argmin(finite))]))
        raise MeasureError(
            f"{path}: {worded(int((~finite).sum()), 'vector holds', 'vectors hold')} NaN or infinity, the first "
            f"that of {first}; "
            "leave these recordings out, or embed them with another model"
        )
    return found, about


def _built(arrays: Mapping[str, np.ndarray], about: Mapping[str, Any]) -> Embeddings:
    """Build embeddings from the arrays of a file.

    Raises:
        ValueError: an array is missing or has the wrong type; or KeyError, TypeError.
    """
    names, vectors = about["labels"], arrays["vectors"]
    if not isinstance(names, list) or len(set(names)) < len(names) or not all(isinstance(name, str) for name in names):
        raise ValueError(f"the names of the labels are {shown(names)}")
    labels = {name: arrays[f"label_{place}"] for place, name in enumerate(names)}
    for name, column in {"ids": arrays["ids"], "splits": arrays["splits"], **labels}.items():
        if column.dtype.kind != "U":
            raise ValueError(f"{shown(name)} is {column.dtype}, wanted text")
    if vectors.dtype.kind != "f":
        raise ValueError(f"the vectors are {vectors.dtype}, wanted float32")
    parts = {name: tuple(ends) for name, ends in about["parts"].items()}
    if not all(len(ends) == 2 and all(type(end) is int for end in ends) for ends in parts.values()):
        raise ValueError(f"the parts are {shown(parts)}, wanted first and last columns")
    columns = {name: (ends[0], ends[1]) for name, ends in parts.items()}
    model = about.get("model", "")  # older files do not name it
    if not isinstance(model, str):
        raise ValueError(f"the model is {shown(model)}, wanted a digest")
    silent = _silent(about.get("silent"), len(vectors))
    vectors = vectors.astype(np.float32, copy=False)
    return Embeddings(vectors, arrays["ids"], labels, columns, arrays["splits"], model, silent)


def _silent(places: Any, count: int) -> np.ndarray | None:
    """Return which of `count` items are silent, by a list of their places; older files have none.

    Raises:
        ValueError: it is no list of places.
    """
    if places is None:
        return None
    if not isinstance(places, list) or not all(type(place) is int and 0 <= place < count for place in places):
        raise ValueError(f"the silent items are {shown(places)}, wanted places below {count}")
    found = np.zeros(count, dtype=np.bool_)
    found[np.array(places, dtype=np.int64)] = True
    return found
