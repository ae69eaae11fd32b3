"""Write the tars of a pack that are not there yet, one after another, in bounded memory; then its index."""

import contextlib
import tarfile
from collections.abc import Generator, Iterator
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

from mfcl.core.console import worded
from mfcl.core.files import is_there, replacing
from mfcl.core.parallel import in_parallel
from mfcl.core.spans import HEAD
from mfcl.data.decoding import LeftOut
from mfcl.data.manifest import Manifest, Recording
from mfcl.data.manifest_blocks import ListedParts
from mfcl.data.shards.index import write_index
from mfcl.data.shards.members import Outcome, add, encoded
from mfcl.data.shards.receipt import (
    AGAIN,
    FAILURES,
    INDEX,
    Pack,
    Shard,
    ShardSums,
    read_shard,
    shard_path,
    tar_path,
    write_pack,
    write_shard,
)
from mfcl.data.unchanged import Contents, are_those, marks_of
from mfcl.errors import AudioError, ManifestError

MOST_MEMBERS = 100_000
"""Most recordings in a shard, however short or unreadable: a shard's receipt is held in memory."""
MOST_GONE = 20
"""So many missing files at the end of a shard, or all of it, mean that the storage went away."""
AT_ONCE = 512
"""Recordings of the list that are held at once."""


class ShardWriter:
    """Writes the shards of a pack that are not there, one after another, and then its index.

    Attributes:
        shards: What is kept of each shard.
    """

    def __init__(self, folder: Path, pack: Pack, listed: ListedParts, strict: bool, bar: Any) -> None:
        self.folder, self.pack, self.listed, self.bar = folder, pack, listed, bar
        self.left_out = LeftOut(strict)
        self.shards: list[ShardSums] = []
        self.contents: set[Any] = set()  # encoded recordings that are in no tar yet
        self.sound = Contents()  # of the sources of the shard in the making

    def write(self) -> int:
        """Check the shards that are there, write the others and the index; return how many were written."""
        kept = self._kept()
        first = self.shards[-1].end if self.shards else 0
        outcomes = self._outcomes(first)
        try:
            with contextlib.closing(outcomes):
                coming = next(outcomes, None)
                while coming is not None:
                    coming = self._write_shard(coming, outcomes)
        finally:
            for content in self.contents:
                with contextlib.suppress(OSError):  # of a full disk, which is said already
                    content.close()
        self._finish()
        return len(self.shards) - kept

    def _kept(self) -> int:
        """Read and check the shards that are there; return their number."""
        rows = self.listed.rows(0)
        while shard_path(self.folder, len(self.shards)).is_file():
            first = self.shards[-1].end if self.shards else 0
            shard = read_shard(self.folder, self.pack, len(self.shards), first)
            sources = Manifest(tuple(islice(rows, shard.end - first)), self.listed.root)
            if not are_those(sources, marks_of(sources), vars(shard)):
                raise ManifestError(
                    f"{tar_path(self.folder, shard.number)}: some of its recordings changed since it was made; delete "
                    f"it, {shard_path(self.folder, shard.number).name} and all later shards and {AGAIN}, or choose "
                    "another folder"
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

    def _write_shard(self, coming: Outcome, outcomes: Iterator[Outcome]) -> Outcome | None:
        """Write one shard, beginning with an outcome; return the first outcome of the next shard."""
        shard, self.sound = Shard(len(self.shards), coming.number), Contents()
        sources: list[Recording] = []
        following: Outcome | None = coming
        while following is not None and following.written is None and len(sources) < MOST_MEMBERS:
            self._took(shard, sources, following)  # no tar is begun without a recording for it
            following = next(outcomes, None)
        if len(sources) == MOST_MEMBERS or following is None:
            self._check_storage(shard, sources)
        else:
            path = tar_path(self.folder, shard.number)
            with replacing(path) as temporary:
                with tarfile.open(temporary, "w", format=tarfile.USTAR_FORMAT) as tar:
                    while following is not None and self._fits(shard, len(sources), tar, following):
                        if following.written is not None:
                            shard.members.append(add(tar, following, following.written))
                            self.contents.discard(following.content)
                        self._took(shard, sources, following)
                        following = next(outcomes, None)
                self._check_storage(shard, sources)
                shard.bytes = temporary.stat().st_size
        shard.sizes, shard.times = marks_of(Manifest(tuple(sources), self.listed.root))
        shard.contents = self.sound.digest()
        write_shard(self.folder, self.pack, shard)  # a tar without it is made again, with the same bytes
        self.shards.append(ShardSums.of(shard))
        return following

    def _check_storage(self, shard: Shard, sources: list[Recording]) -> None:
        """Refuse a shard at whose end the files are missing: it would be kept when they are there again."""
        failed = shard.end - 1 - shard.members[-1][0] if shard.members else len(sources)
        last = sources[len(sources) - min(failed, MOST_GONE) :]
        if (failed >= MOST_GONE or not shard.members) and not any(is_there(recording.path) for recording in last):
            raise AudioError(
                f"{self.listed.root}: none of the last {worded(len(last), 'file')} exists, such as {last[0].path}; "
                f"is the storage there? {AGAIN} when it is, or take them out of the list"
            )

    def _fits(self, shard: Shard, count: int, tar: tarfile.TarFile, outcome: Outcome) -> bool:
        """Tell whether an outcome belongs to the shard that has a count of them, packed or left out."""
        if count >= MOST_MEMBERS:
            return False
        if outcome.written is None or not shard.members:
            return True
        room = self.pack.shard_bytes - tarfile.RECORDSIZE  # the end of a tar is padded to a record
        return tar.offset + outcome.size + 8 * HEAD <= room

    def _took(self, shard: Shard, sources: list[Recording], outcome: Outcome) -> None:
        recording = outcome.recording
        if outcome.error is not None:
            self.left_out.add(recording, outcome.error)
            shard.left_out.append([recording.id, str(outcome.error), "failure"])
        shard.left_out += [[recording.id, notice, "notice"] for notice in outcome.notices]
        sources.append(recording)
        self.sound.add([recording])
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
                f"{self.listed.root}: none of {worded(self.pack.items, 'recording')} can be used, such as: "
                f"{found.reasons[0][1]}"
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
