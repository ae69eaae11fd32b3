"""What a study has already worked out, found again by what it depends on."""

import hashlib
import json
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from mfcl.core.files import write_json


class Ledger:
    """One JSON file a result, named by what it is and by everything that it depends on.

    Args:
        folder: Where the files are.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def path(self, name: str, basis: Mapping[str, Any]) -> Path:
        """Return where the result of this name that depends on `basis` is or will be."""
        return self.folder / f"{slug(name)}-{digest(basis)}.json"

    def once(self, name: str, basis: Mapping[str, Any], work: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        """Return a result, worked out now or on an earlier day."""
        path = self.path(name, basis)
        if not path.is_file():
            write_json(path, work())
        kept: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        return kept


def digest(basis: Mapping[str, Any]) -> str:
    """Return a short name of plain values: equal for equal ones only.

    Example:
        >>> digest({"a": 1, "b": 2}) == digest({"b": 2, "a": 1}) != digest({"a": 1, "b": 3})
        True
    """
    return hashlib.sha256(json.dumps(basis, sort_keys=True).encode()).hexdigest()[:12]


def slug(name: str) -> str:
    """Return a name as part of a file name.

    Example:
        >>> slug("pre-trained, crops 45 % disjoint")
        'pre-trained-crops-45-disjoint'
    """
    return re.sub(r"[^\w.+-]+", "-", name).strip("-")
