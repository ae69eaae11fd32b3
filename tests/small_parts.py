"""A folder of parts from a table in memory, as `mfcl embed --parts` writes it."""

from dataclasses import asdict
from pathlib import Path

import numpy as np

from mfcl.embeddings.part_files import Receipt, begin_parts
from mfcl.embeddings.table import Embeddings


def write_parts(folder: Path, table: Embeddings, parts: int, *, empty: int = 0, suffix: str = ".npz") -> Path:
    """Write a table in parts of nearly equal size; the first `empty` parts hold nothing."""
    receipt = Receipt(parts + empty, len(table) + empty, "list", table.model, suffix)
    files = begin_parts(folder, receipt)
    edges = [0] * empty + [len(table) * part // parts for part in range(parts + 1)]
    for part in range(parts + empty):
        some = table.select(np.arange(edges[part], edges[part + 1]))
        some.save(files.path(part), receipt=asdict(receipt) | {"part": part, "failures": []})
    return folder
