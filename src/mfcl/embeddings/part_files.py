"""A folder of embeddings in part files: its receipt, the parts' names, and the checks that they belong together."""

import json
import re
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from mfcl.core.files import entries, read_json, write_json
from mfcl.core.limits import MOST_PARTS
from mfcl.core.urls import local_path
from mfcl.embeddings.npz_file import FAULTS, check_system, read_npz
from mfcl.embeddings.parquet_file import PARQUET, has_vectors, read_about_parquet
from mfcl.errors import MeasureError, shown

RECEIPT = "parts.json"
"""The file of a folder of parts that says how many there are, and of what."""
FORMAT = 1
PART = re.compile(r"part-\d+-of-\d+\.(?:npz|parquet)")
AGAIN = "run the same `mfcl embed` again"
DIFFERS = {
    "model": "another model",
    "data": "another list of recordings",
    "items": "another number of recordings",
    "settings": "other settings",
    "parts": "another number of parts",
    "suffix": "another kind of file",
}
"""Entry of a receipt, and what it means if two differ."""


@dataclass(frozen=True)
class Receipt:
    """What a folder of parts is made of; equal receipts make equal parts."""

    parts: int
    """Number of part files."""
    items: int
    """Number of recordings."""
    data: str
    """Digest of the list of recordings."""
    model: str
    """Digest of the model."""
    suffix: str
    """`.npz` or `.parquet`."""
    settings: dict[str, Any] = field(default_factory=dict)
    """Format, part, windows and whitening of the embeddings."""

    def difference(self, other: dict[str, Any]) -> str | None:
        """Return what another receipt, as plain values, differs in; None if in nothing."""
        own = asdict(self)
        for key, words in DIFFERS.items():
            if other.get(key) != own[key]:
                return f"{words} ({_short(other.get(key))}, not {_short(own[key])})"
        return None


@dataclass(frozen=True)
class PartFiles:
    """The part files of a folder."""

    folder: Path
    receipt: Receipt

    def path(self, part: int) -> Path:
        """Return the file of a part, which is counted from 0."""
        return self.folder / f"part-{part:06d}-of-{self.receipt.parts:06d}{self.receipt.suffix}"

    def missing(self) -> list[int]:
        """Return the numbers of the parts that are not there.

        Raises:
            MeasureError: part files of another number or kind are there, too.
        """
        names = {path.name for path in entries(self.folder)}
        expected = {self.path(part).name: part for part in range(self.receipt.parts)}
        strange = sorted(name for name in names - set(expected) if PART.fullmatch(name))
        if strange:
            raise MeasureError(
                f"{self.folder / strange[0]}: it is none of the {self.receipt.parts} parts that {RECEIPT} names "
                f"({self.path(0).name}, ...); move it elsewhere"
            )
        return [part for name, part in expected.items() if name not in names]

    def check(self, part: int, about: dict[str, Any]) -> dict[str, Any]:
        """Return the receipt in a part's file, after checking that it is that part of this folder.

        Raises:
            MeasureError: it is another part, or was made of something else.
        """
        path, found = self.path(part), about.get("receipt")
        if not isinstance(found, dict) or not isinstance(found.get("failures"), list):
            raise MeasureError(f"{path}: wanted a part with its receipt, it has none; delete it and {AGAIN}")
        difference = self.receipt.difference(found)
        if difference is None and found.get("part") != part:
            difference = f"another part ({shown(found.get('part'))}, not {part})"
        if difference is not None:
            raise MeasureError(f"{path}: made of {difference} than {RECEIPT} names; delete it and {AGAIN}")
        return found

    def read_receipt(self, part: int) -> dict[str, Any]:
        """Return the receipt in a part's file, without reading its vectors.

        Raises:
            MeasureError: the file is damaged or does not belong here.
        """
        path = self.path(part)
        try:
            if self.receipt.suffix == PARQUET:
                about = read_about_parquet(path)
            else:
                about = json.loads(str(read_npz(path, ("about",))["about"]))
            if not isinstance(about, dict):
                raise ValueError(f"its facts are {shown(about)}")
        except FAULTS as error:
            check_system(path, error)
            raise damaged(path, error) from None
        return self.check(part, about)


def damaged(path: Path, error: BaseException) -> MeasureError:
    """Return the error of a part that cannot be read."""
    reason = " ".join(str(error).split())[:200] or type(error).__name__
    return MeasureError(f"{path}: a damaged part ({reason}); delete it and {AGAIN}")


def is_part_folder(path: str | Path) -> bool:
    """Return whether a path is a folder of parts."""
    return (local_path(path, "embeddings") / RECEIPT).is_file()


def holds_embeddings(path: str | Path) -> bool:
    """Return whether a path is a file of embeddings or a folder of parts; a table is known by its column of vectors.

    Raises:
        MissingExtraError: the path is a `.parquet` file, and pyarrow is not installed.
    """
    suffix = Path(path).suffix.lower()
    return has_vectors(Path(path)) if suffix == PARQUET else suffix == ".npz" or is_part_folder(path)


def begin_parts(folder: Path, receipt: Receipt) -> PartFiles:
    """Write the receipt of a folder, or check that it has this one already.

    Raises:
        MeasureError: the folder holds parts of something else, or parts without a receipt.
    """
    if not is_part_folder(folder):
        found = PartFiles(folder, receipt)
        found.missing()  # refuses parts of another number, whose receipt was lost
        write_json(folder / RECEIPT, {"format": FORMAT, **asdict(receipt)})
    found = open_part_files(folder)
    difference = receipt.difference(asdict(found.receipt))
    if difference is not None:
        raise MeasureError(f"{folder}: it holds parts of {difference}; choose another folder")
    return found


def open_part_files(folder: Path) -> PartFiles:
    """Open a folder of parts, some of which may be missing.

    Raises:
        MeasureError: its receipt is damaged.
    """
    path = folder / RECEIPT
    kept = read_json(path, do=f"delete it and {AGAIN}", error=MeasureError)
    names = {one.name: one.type for one in fields(Receipt)}
    right = kept.get("format") == FORMAT and set(kept) == {"format", *names}
    kinds = {"parts": int, "items": int, "data": str, "model": str, "suffix": str, "settings": dict}
    if not right or not all(type(kept[name]) is kind for name, kind in kinds.items()):
        raise MeasureError(f"{path}: wanted the receipt of a folder of parts, got {shown(kept)}; delete it and {AGAIN}")
    receipt = Receipt(**{name: kept[name] for name in names})
    if not 1 <= receipt.parts <= min(receipt.items, MOST_PARTS) or receipt.suffix not in (".npz", PARQUET):
        raise MeasureError(f"{path}: {receipt.parts} parts as {shown(receipt.suffix)} cannot be; delete it and {AGAIN}")
    return PartFiles(folder, receipt)


def _short(value: object) -> str:
    return value[:12] if isinstance(value, str) else shown(value)
