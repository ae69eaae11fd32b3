"""Cache of a study's results, keyed by everything that they depend on."""

import hashlib
import json
import re
import sys
import zipfile
import zlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mfcl.core.files import no_number, replacing, write_json
from mfcl.errors import MfclError
from mfcl.evaluation.result import Evidence, Names

ANSWER = {"rows": list, "pictures": dict, "notes": list, "seconds": int | float}
"""Required keys of a cached answer, and the types of their values."""


class Cache:
    """One JSON file per answer, named by a digest of its inputs, with its evidence in an `.npz` file beside it.

    Args:
        folder: Folder of the files.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._whole: set[Path] = set()  # answers already read and found undamaged

    def path(self, name: str, basis: Mapping[str, Any]) -> Path:
        """Return the file of the answer `name` with the inputs `basis`."""
        return self.folder / f"{slug(name)}-{digest(basis)}.json"

    def once(
        self, name: str, basis: Mapping[str, Any], work: Callable[[], tuple[dict[str, Any], Sequence[Evidence | None]]]
    ) -> dict[str, Any]:
        """Return a cached answer, computing and saving it first if necessary.

        Args:
            name: Name of the answer.
            basis: All inputs that it depends on.
            work: Computes it: JSON values, and the evidence of each result.
        """
        path = self.path(name, basis)
        if not self.known(name, basis):
            answer, evidence = work()
            save_evidence(path.with_suffix(".npz"), evidence)
            if any(one is not None for one in evidence):
                answer = {**answer, "evidence": True}
            write_json(path, answer)  # last, so that an answer never exists without its evidence
        kept = read_object(path)
        if kept is None:
            raise MfclError(f"{path}: was damaged while the study was under way; run the same command again")
        return kept

    def known(self, name: str, basis: Mapping[str, Any]) -> bool:
        """Return whether an undamaged answer exists; a damaged one is reported and deleted."""
        path = self.path(name, basis)
        if path in self._whole:
            return True
        if not path.is_file():
            return False
        kept = read_object(path)
        if kept is None or not all(isinstance(kept.get(key), kind) for key, kind in ANSWER.items()):
            self.forget(name, basis, str(path))
            return False
        self._whole.add(path)
        return True

    def forget(self, name: str, basis: Mapping[str, Any], why: str) -> None:
        """Report and delete a damaged answer, so that it is computed again."""
        path = self.path(name, basis)
        print(f"{why}: damaged; it is worked out again", file=sys.stderr)  # noqa: T201
        self._whole.discard(path)
        path.unlink(missing_ok=True)

    def evidence(self, name: str, basis: Mapping[str, Any], results: int) -> Sequence[Evidence | None]:
        """Return the evidence of an answer's results; None for results of version 0.1, which kept none.

        Where it is gone or damaged it is None, too, and a line says so.
        """
        path = self.path(name, basis).with_suffix(".npz")
        there = path.is_file()
        if not there and not (read_object(path.with_suffix(".json")) or {}).get("evidence"):
            return [None] * results
        try:
            return load_evidence(path, results)
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error):
            print(  # noqa: T201
                f"{path}: {'damaged' if there else 'gone'}, so its differences have no interval; "
                f"delete {path.with_suffix('.json')} and run the same command again",
                file=sys.stderr,
            )
            return [None] * results


def read_object(path: Path) -> dict[str, Any] | None:
    """Read a JSON object; None if the file is missing, damaged or holds something else."""
    try:
        kept = json.loads(path.read_text(encoding="utf-8"), parse_constant=no_number)
    except (OSError, ValueError, RecursionError):
        return None
    return kept if isinstance(kept, dict) else None


def save_evidence(path: Path, evidence: Sequence[Evidence | None]) -> None:
    """Save per-item correctness and bootstrap draws of results; those with the same items share ids and groups."""
    arrays: dict[str, np.ndarray] = {}
    tables: list[tuple[Names, Names]] = []
    for place, one in enumerate(evidence):
        if one is None or (one.correct is None and one.resampled is None):
            continue
        table = next((at for at, (ids, groups) in enumerate(tables) if _same(one, ids, groups)), len(tables))
        if table == len(tables):
            tables.append((one.ids, one.groups))
            arrays |= {f"ids_{table}": one.ids.astype(np.str_), f"groups_{table}": one.groups.astype(np.str_)}
        arrays[f"table_{place}"] = np.array(table)
        arrays |= {f"correct_{place}": one.correct} if one.correct is not None else {}
        arrays |= {f"resampled_{place}": one.resampled} if one.resampled is not None else {}
    with replacing(path) as temporary, temporary.open("wb") as file:
        np.savez_compressed(file, **arrays)  # type: ignore[arg-type]  # numpy's own flag comes last


def load_evidence(path: Path, results: int) -> list[Evidence | None]:
    """Load a file of `save_evidence`, one entry per result."""
    with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
        names = set(archive.files)
        tables = {name: archive[name] for name in names if name.startswith(("ids_", "groups_"))}

        def one(place: int) -> Evidence | None:
            if f"table_{place}" not in names:
                return None
            table = int(archive[f"table_{place}"])
            correct, resampled = (
                archive[f"{name}_{place}"] if f"{name}_{place}" in names else None for name in ("correct", "resampled")
            )
            return Evidence(tables[f"ids_{table}"], tables[f"groups_{table}"], correct, resampled)

        return [one(place) for place in range(results)]


def _same(one: Evidence, ids: Names, groups: Names) -> bool:
    return np.array_equal(one.ids, ids) and np.array_equal(one.groups, groups)


def digest(basis: Mapping[str, Any]) -> str:
    """Return a short hash of JSON values, independent of key order.

    Example:
        >>> digest({"a": 1, "b": 2}) == digest({"b": 2, "a": 1}) != digest({"a": 1, "b": 3})
        True
    """
    return hashlib.sha256(json.dumps(basis, sort_keys=True).encode()).hexdigest()[:12]


def slug(name: str) -> str:
    """Turn a name into part of a file name.

    Example:
        >>> slug("pre-trained, crops 45 % disjoint")
        'pre-trained-crops-45-disjoint'
    """
    return re.sub(r"[^\w.+-]+", "-", name).strip("-")
