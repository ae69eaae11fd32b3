"""Arrays and JSON in one answer: what the page reads without parsing numbers as text."""

import json
import struct
from typing import Any

import numpy as np

KINDS = {"float32": "f4", "int32": "i4", "int16": "i2", "uint8": "u1", "int8": "i1"}


def packed(about: Any, **arrays: np.ndarray) -> bytes:
    """Return a header and arrays as bytes: the header's length, the header as JSON, then each array at 8 bytes' pace.

    Example:
        >>> packed({}, x=np.zeros(2, dtype=np.int8))[4:].split(b"}}")[0]
        b'{"about": {}, "arrays": {"x": {"kind": "int8", "shape": [2], "at": 0'
    """
    held, places, at = [], {}, 0
    for name, array in arrays.items():
        kind = array.dtype.name
        content = np.ascontiguousarray(array, dtype=f"<{KINDS[kind]}").tobytes()
        places[name] = {"kind": kind, "shape": list(array.shape), "at": at}
        padding = -len(content) % 8
        held += [content, bytes(padding)]
        at += len(content) + padding
    header = json.dumps({"about": about, "arrays": places}).encode("utf-8")
    header += b" " * (-(len(header) + 4) % 8)
    return b"".join([struct.pack("<I", len(header)), header, *held])
