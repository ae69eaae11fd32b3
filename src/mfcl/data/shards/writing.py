"""Pack a list of recordings of any size into tars of bounded size, in bounded memory; a killed call goes on."""

import contextlib
import sys
import tarfile
from collections.abc import Generator, Iterator
from dataclasses import asdict, dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import filelock

from mfcl.audio.lossless import Encoding
from mfcl.core.console import printable
from mfcl.core.files import OWN_TEMPORARY, check_folder_place, is_there, replacing
from mfcl.core.limits import MOST_MEGABYTES
from mfcl.core.parallel import in_parallel
from mfcl.core.progress import progress as progress_bar
from mfcl.core.spans import HEAD
from mfcl.data.decoding import LeftOut
from mfcl.data.manifest import Manifest, Recording
from mfcl.data.manifest_blocks import ListedParts, list_parts
from mfcl.data.manifest_csv import check_labels
from mfcl.data.shards.index import write_index
from mfcl.data.shards.members import Outcome, add, encoded
from mfcl.data.shards.receipt import (
    AGAIN,
    FAILURES,
    INDEX,
    PACK,
    Pack,
    Shard,
    ShardSums,
    is_pack,
    read_pack,
    read_shard,
    shard_path,
    tar_path,
    write_pack,
    write_shard,
)
from mfcl.errors import AudioError, ManifestError, check_number, one_of

ENCODINGS = ("flac", "wav")
MOST_MEMBERS = 100_000
"""Most recordings in a shard, however short: a shard's receipt is held in memory."""
AT_ONCE = 512
"""Recordings of the list that are held at once."""


@dataclass(frozen=True)
class Packed:
    """What a call did.

    Attributes:
        folder: The pack.
        items: Recordings of the list.
        packed: Recordings in the pack.
        shards: Number of tars.
        made: Shards that this call wrote; the others were there before.
        rounded: Recordings whose samples were rounded, as the encoding does not hold them exactly.
        bytes: Of all tars.
    """

    folder: Path
    items: int
    packed: int
    shards: int
    made: int
    rounded: int
    bytes: int


def pack(
    data: str | Path | Manifest,
    out: str | Path,
    *,
    encoding: Encoding = "flac",
    shard_megabytes: int = 256,
    strict: bool = False,
    data_root: Path | None = None,
    progress: bool = True,
) -> Packed:
    """Pack recordings into a folder of tars that takes the place of a folder, corpus or manifest everywhere.

    Each tar holds for each recording `KEY.flac` (or `.wav`) and `KEY.json`, with id, split and all labels, as
    WebDataset reads them. A recording is kept with all its channels at its own rate; of a segment of a file only the
    segment. PCM of up to 24 bits comes back sample for sample; what neither 16 nor 24 bits hold is rounded to 24
    (`wav`: 16) and counted. Shards that are there are kept, so a killed call goes on.

    Args:
        data: The recordings: best a CSV, which is read row by row; also a folder, a corpus or a `Manifest`.
        out: The folder of the pack.
        encoding: `flac`, or `wav` with 16 bits.
        shard_megabytes: Most megabytes of a tar, unless a single recording has more.
        strict: Raise an error at the first unreadable recording.
        data_root: For a manifest: the folder that holds the recordings now, if they were moved.
        progress: Show a progress bar.

    Raises:
        MfclError: the folder holds another pack or a damaged one, none of the recordings can be used, or (`strict`)
            one cannot.
    """
    folder = Path(out)
    if encoding not in ENCODINGS:
        raise ManifestError(one_of("encoding", encoding, ENCODINGS))
    check_number("shard_megabytes", shard_megabytes, 1, MOST_MEGABYTES, whole=True, error=ManifestError)
    check_folder_place(folder)
    listed = list_parts(data, data_root=data_root)
    for note in listed.notes:
        print(f"note: {printable(note)}", file=sys.stderr)  # noqa: T201
    if listed.loose:
        raise ManifestError(
            f"{listed.root}: {listed.loose!r} is a segment of a file and has no split; in a pack segments are "
            "recordings of their own, and those of one file could get into different splits: give a column `split`"
        )
    check_labels(["path", "id", "split", *listed.label_names], listed.label_names, folder / INDEX)
    asked = Pack(listed.digest, listed.count, encoding, shard_megabytes * 10**6)
    folder.mkdir(parents=True, exist_ok=True)
    with _alone(folder):
        _begin(folder, asked)
        with progress_bar(total=listed.count, what="packing", unit="clips", shown=progress) as bar:
            return _Work(folder, asked, listed, strict, bar).done()


@contextlib.contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Hold the folder's lock, and remove what a killed call was writing.

    Raises:
        ManifestError: another process packs into it.
    """
    lock = filelock.FileLock(folder / ".pack.lock")
    try:
        lock.acquire(timeout=0)
    except filelock.Timeout:
        raise ManifestError(f"{folder}: another process packs into this folder; wait for it") from None
    try:
        for path in folder.iterdir():
            if OWN_TEMPORARY.fullmatch(path.name):
                path.unlink(missing_ok=True)
        yield
    finally:
        lock.release()


def _begin(folder: Path, asked: Pack) -> None:
    """Write the receipt of a new pack, or check that it has this one already."""
    if not is_pack(folder):
        others = [path.name for path in folder.iterdir() if not path.name.startswith(".")]
        if others:
            raise ManifestError(f"{folder}: it holds {min(others)} and no {PACK}; choose an empty folder for a pack")
        write_pack(folder, asked, None)
    found, _ = read_pack(folder)
    difference = asked.difference(asdict(found))
    if difference is not None:
        raise ManifestError(f"{folder}: it holds a pack of {difference}; choose another folder")


class _Work:
    """Writes the shards of a pack that are not there, one after another, and then its index."""

    def __init__(self, folder: Path, pack: Pack, listed: ListedParts, strict: bool, bar: Any) -> None:
        self.folder, self.pack, self.listed, self.bar = folder, pack, listed, bar
        self.left_out = LeftOut(strict)
        self.shards: list[ShardSums] = []
        self.contents: set[Any] = set()  # encoded recordings that are in no tar yet

    def done(self) -> Packed:
        kept = self._kept()
        first = self.shards[-1].end if self.shards else 0
        outcomes = self._outcomes(first)
        try:
            with contextlib.closing(outcomes):
                coming = next(outcomes, None)
                while coming is not None:
                    coming = self._write(coming, outcomes)
        finally:
            for content in self.contents:
                content.close()
        self._finish()
        tars = [shard for shard in self.shards if shard.bytes]
        return Packed(
            self.folder,
            self.pack.items,
            sum(shard.packed for shard in tars),
            len(tars),
            len(self.shards) - kept,
            sum(shard.rounded for shard in tars),
            sum(shard.bytes for shard in tars),
        )

    def _kept(self) -> int:
        """Read and check the shards that are there; return their number."""
        rows = self.listed.rows(0)
        while shard_path(self.folder, len(self.shards)).is_file():
            first = self.shards[-1].end if self.shards else 0
            shard = read_shard(self.folder, self.pack, len(self.shards), first)
            sources = Manifest(tuple(islice(rows, shard.end - first)), self.listed.root)
            if sources.sizes_digest() != shard.sizes:
                raise ManifestError(
                    f"{tar_path(self.folder, shard.number)}: some of its recordings changed since it was made; "
                    "choose another folder"
                )
            self.shards.append(ShardSums.of(shard))
            self.bar.update(len(sources))
        return len(self.shards)

    def _outcomes(self, first: int) -> Generator[Outcome, None, None]:
        """Yield the recordings from number `first` on, in order, encoded in threads."""
        encode = partial(encoded, folder=self.folder, encoding=self.pack.encoding, contents=self.contents)
        rows = enumerate(self.listed.rows(first), start=first)
        while some := list(islice(rows, AT_ONCE)):
            outcomes = in_parallel(encode, some, what="packing", shown=False)
            with contextlib.closing(outcomes):
                yield from outcomes

    def _write(self, coming: Outcome, outcomes: Iterator[Outcome]) -> Outcome | None:
        """Write one shard, beginning with an outcome; return the first outcome of the next shard."""
        shard = Shard(len(self.shards), coming.number)
        sources: list[Recording] = []
        following: Outcome | None = coming
        while following is not None and following.written is None:  # no tar is begun without a recording for it
            self._took(shard, sources, following)
            following = next(outcomes, None)
        if following is None:
            if not any(is_there(recording.path) for recording in sources):
                raise AudioError(
                    f"{self.listed.root}: none of the last {len(sources)} files exists, such as {sources[0].path}; is "
                    f"the storage there? {AGAIN} when it is"
                )
        else:
            path = tar_path(self.folder, shard.number)
            with replacing(path) as temporary:
                with tarfile.open(temporary, "w", format=tarfile.USTAR_FORMAT) as tar:
                    while following is not None and self._fits(shard, tar, following):
                        if following.written is not None:
                            shard.members.append(add(tar, following, following.written))
                            self.contents.discard(following.content)
                        self._took(shard, sources, following)
                        following = next(outcomes, None)
                shard.bytes = temporary.stat().st_size
        shard.sizes = Manifest(tuple(sources), self.listed.root).sizes_digest()
        write_shard(self.folder, self.pack, shard)  # a tar without it is made again, with the same bytes
        self.shards.append(ShardSums.of(shard))
        return following

    def _fits(self, shard: Shard, tar: tarfile.TarFile, outcome: Outcome) -> bool:
        if outcome.written is None or not shard.members:
            return True
        room = self.pack.shard_bytes - tarfile.RECORDSIZE  # the end of a tar is padded to a record
        return len(shard.members) < MOST_MEMBERS and tar.offset + outcome.size + 8 * HEAD <= room

    def _took(self, shard: Shard, sources: list[Recording], outcome: Outcome) -> None:
        recording = outcome.recording
        if outcome.error is not None:
            self.left_out.add(recording, outcome.error)
            shard.left_out.append([recording.id, str(outcome.error), "failure"])
        shard.left_out += [[recording.id, notice, "notice"] for notice in outcome.notices]
        sources.append(recording)
        shard.end = outcome.number + 1
        self.bar.update()

    def _finish(self) -> None:
        """Write the index, the failures and the complete receipt, unless they are there."""
        tars, found = [shard.bytes for shard in self.shards], LeftOut()
        for shard in self._receipts():
            for name, reason, kind in shard.left_out:
                (found.reasons if kind == "failure" else found.notices).append((name, reason))
        if not any(tars):
            raise AudioError(
                f"{self.listed.root}: none of {self.pack.items} recordings can be used, such as: {found.reasons[0][1]}"
            )
        found.write(self.folder / FAILURES)
        write_index(self.folder, self.listed, self._receipts())
        write_pack(self.folder, self.pack, [(self.folder / INDEX).stat().st_size, *tars])

    def _receipts(self) -> Iterator[Shard]:
        """Yield what each shard holds, one in memory at a time."""
        first = 0
        for number, sums in enumerate(self.shards):
            yield read_shard(self.folder, self.pack, number, first)
            first = sums.end
