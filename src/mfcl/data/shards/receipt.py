"""A pack's receipts: what the whole folder is made of, and what each shard holds."""

import re
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from mfcl.core.files import read_json, write_json
from mfcl.errors import ManifestError, shown

PACK = "pack.json"
"""The file of a folder that makes it a pack: of which list, how, and in the end which shards there are."""
INDEX = "index.csv"
"""The pack's list of recordings, a manifest; written when the last shard is there."""
FAILURES = "failures.csv"
"""The recordings that could not be packed, and problems of others."""
FORMAT = 1
AGAIN = "run the same `mfcl pack` again"
DIFFERS = {
    "data": "another list of recordings",
    "items": "another number of recordings",
    "encoding": "another encoding",
    "shard_bytes": "another size of shards",
}
"""Entry of a receipt, and what it means if two differ."""
LATER = ("times", "contents")
"""Entries of a shard's receipt that an earlier version did not write."""
UNSAFE = re.compile(r"[^A-Za-z0-9_-]+", re.ASCII)
LONGEST_NAME = 60


@dataclass(frozen=True)
class Pack:
    """What a folder of shards is made of; equal ones give equal shards."""

    data: str
    """Digest of the list: ids, segments, labels and splits."""
    items: int
    """Number of recordings of the list."""
    encoding: str
    """`flac` or `wav`."""
    shard_bytes: int
    """Bytes that a shard does not exceed, unless a single recording does."""

    def difference(self, other: dict[str, Any]) -> str | None:
        """Return what plain values of another pack differ in; None if in nothing."""
        own = asdict(self)
        return next((words for name, words in DIFFERS.items() if other.get(name) != own[name]), None)


@dataclass
class Shard:
    """What a tar holds.

    Attributes:
        number: Of the shard, from 0.
        first: Number of its first recording in the list.
        end: Number of the recording after its last.
        bytes: Of the tar; 0 if no recording could be packed, and there is no tar.
        sizes: Digest of the sizes of the sources' files.
        times: Digest of their times of change; "" of shards that an earlier version made.
        contents: Digest of their bytes.
        members: Each packed recording: its number in the list, offset, bytes and name in the tar, samples of each
            channel, sample rate in Hz, channels, and whether it was rounded.
        left_out: Id, reason and kind (failure or notice) of recordings with problems.
    """

    number: int
    first: int
    end: int = 0
    bytes: int = 0
    sizes: str = ""
    times: str = ""
    contents: str = ""
    members: list[list[Any]] = field(default_factory=list)
    left_out: list[list[str]] = field(default_factory=list)


@dataclass(frozen=True)
class ShardSums:
    """What is kept of a shard while others are made: memory does not grow with its recordings."""

    end: int
    """Number of the recording after its last."""
    bytes: int
    """Of its tar."""
    packed: int
    """Recordings in it."""
    rounded: int
    """Recordings whose samples were rounded."""

    @classmethod
    def of(cls, shard: Shard) -> "ShardSums":
        """Return the sums of a shard."""
        return cls(shard.end, shard.bytes, len(shard.members), sum(bool(member[7]) for member in shard.members))


def key_of(number: int, name: str) -> str:
    """Return a name without dots that is unique in a pack, as WebDataset takes it.

    Example:
        >>> key_of(17, "sounds/owl 3.wav")
        '000000017-sounds_owl_3_wav'
    """
    return f"{number:09d}-{UNSAFE.sub('_', name)[-LONGEST_NAME:].strip('_-')}".rstrip("-")


def tar_path(folder: Path, number: int) -> Path:
    """Return the place of a shard."""
    return folder / f"shard-{number:06d}.tar"


def shard_path(folder: Path, number: int) -> Path:
    """Return the place of a shard's receipt."""
    return folder / f"shard-{number:06d}.json"


def is_pack(path: Path) -> bool:
    """Return whether a path is a folder of shards, complete or not."""
    return (path / PACK).is_file()


def read_pack(folder: Path) -> tuple[Pack, list[int] | None]:
    """Return what a folder is made of, and the bytes of its index and its tars; None while shards are missing.

    Raises:
        ManifestError: its receipt is damaged.
    """
    path = folder / PACK
    kept = read_json(path, do=f"delete it and {AGAIN}", error=ManifestError)
    kinds = {"format": int, "data": str, "items": int, "encoding": str, "shard_bytes": int}
    sizes = kept.get("bytes")
    whole = sizes is None or (
        isinstance(sizes, list) and len(sizes) > 1 and all(type(one) is int and one >= 0 for one in sizes)
    )
    if kept.get("format") != FORMAT or not whole or any(type(kept.get(name)) is not kinds[name] for name in kinds):
        raise ManifestError(f"{path}: wanted the receipt of a pack, got {shown(kept)}; delete it and {AGAIN}")
    return Pack(kept["data"], kept["items"], kept["encoding"], kept["shard_bytes"]), sizes


def write_pack(folder: Path, pack: Pack, sizes: list[int] | None) -> None:
    """Write what a folder is made of, and, when it is complete, the bytes of its index and its tars."""
    write_json(folder / PACK, {"format": FORMAT, **asdict(pack), "bytes": sizes})


def write_shard(folder: Path, pack: Pack, shard: Shard) -> None:
    """Write the receipt of a shard; what is written is not changed again."""
    write_json(shard_path(folder, shard.number), {"format": FORMAT, "pack": asdict(pack), **asdict(shard)})


def read_shard(folder: Path, pack: Pack, number: int, first: int) -> Shard:
    """Return the receipt of a shard, after checking that it and its tar belong here.

    Args:
        folder: The pack.
        pack: What it is made of.
        number: Of the shard.
        first: Number of the recording with which it must begin.

    Raises:
        ManifestError: it is damaged or of another pack, or its tar is missing or was cut.
    """
    path = shard_path(folder, number)
    do = f"delete it and {AGAIN}"
    kept = read_json(path, do=do, error=ManifestError)
    try:
        made = Shard(**{name: kept[name] for name in Shard.__dataclass_fields__ if name in kept or name not in LATER})
        right = kept["format"] == FORMAT and made.number == number and first <= made.end <= pack.items
        rows = [len(row) == 8 and all(type(row[place]) is int for place in (0, 1, 2, 4, 5, 6)) for row in made.members]
        right = right and made.first == first and all(rows) and all(len(row) == 3 for row in made.left_out)
        difference = pack.difference(kept["pack"])
    except (KeyError, TypeError, AttributeError):
        raise ManifestError(f"{path}: wanted the receipt of a shard, got something else; {do}") from None
    if difference is not None or not right:
        raise ManifestError(f"{path}: made of {difference or 'other recordings'} than {PACK} names; {do}")
    check_tar(folder, number, made.bytes, _delete(folder, number))
    return made


def complete_index(folder: Path) -> Path:
    """Return the index of a pack, after checking that it and all shards are there with their sizes.

    Raises:
        ManifestError: the pack is not complete, or a shard or the index is missing or was cut.
    """
    _, sizes = read_pack(folder)
    if sizes is None:
        raise ManifestError(f"{folder}: this pack is not complete; {AGAIN} to make the rest")
    index = folder / INDEX
    there = index.stat().st_size if index.is_file() else None
    if there != sizes[0]:
        found = "it is missing" if there is None else f"it has {there} bytes"
        raise ManifestError(f"{index}: wanted an index of {sizes[0]} bytes, {found}; copy it again, or {AGAIN}")
    for number, size in enumerate(sizes[1:]):
        check_tar(
            folder, number, size, f"copy it again, or delete it and {shard_path(folder, number).name} and {AGAIN}"
        )
    return index


def _delete(folder: Path, number: int) -> str:
    return f"delete it and {shard_path(folder, number).name} and {AGAIN}"


def check_tar(folder: Path, number: int, size: int, do: str) -> None:
    """Refuse a missing tar, or one of another size.

    Raises:
        ManifestError: it is missing, or has other bytes than `size`; 0 is no tar.
    """
    path = tar_path(folder, number)
    there = path.stat().st_size if path.is_file() else None
    if size and there != size:
        found = "it is missing" if there is None else f"it has {there} bytes"
        raise ManifestError(f"{path}: wanted a shard of {size} bytes, {found}; {do}")
