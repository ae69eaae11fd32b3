"""Embeddings read block by block, one in memory at a time: a folder of parts, a file, or a table."""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from jaxtyping import Int64

from mfcl.core.console import are
from mfcl.embeddings.npz_file import UnreadError
from mfcl.embeddings.part_files import RECEIPT, PartFiles, damaged, is_part_folder, open_part_files
from mfcl.embeddings.table import Embeddings
from mfcl.embeddings.table_file import read_embeddings
from mfcl.errors import MeasureError


@dataclass(frozen=True, eq=False)
class Blocks:
    """Embeddings in blocks, in their order.

    Attributes:
        source: A table in memory, which is one block, or part files, each of which is one.
        name: For messages.
        known: Number of items in each block, where that is known without reading them.
    """

    source: Embeddings | PartFiles
    name: str
    known: tuple[int, ...] | None = None

    def __iter__(self) -> Iterator[Embeddings]:
        """Yield the blocks; each is read when it is asked for, and none is empty."""
        columns: tuple[int, dict[str, tuple[int, int]]] | None = None
        for number in range(self._count):
            found = self._read(number)
            own = (found.dim, dict(found.parts))
            columns = own if columns is None else columns
            if own != columns:
                raise MeasureError(f"{self.name}: the vectors of block {number + 1} have other columns than the first")
            if len(found):
                yield found
            del found  # before the next is read

    @cached_property
    def sizes(self) -> list[int]:
        """Number of items in each block, empty ones included; all are read and checked for it, unless it is known."""
        if self.known is not None:
            return list(self.known)
        return [len(self._read(number)) for number in range(self._count)]

    def __len__(self) -> int:
        return sum(self.sizes)

    def select(self, places: Int64[np.ndarray, " chosen"]) -> Embeddings:
        """Return the items at `places`, in that order; only blocks with one of them are read.

        Raises:
            MeasureError: there is no item.
        """
        order = np.argsort(places, kind="stable")
        edges = np.cumsum([0, *self.sizes])
        cuts = np.searchsorted(places[order], edges)
        found = [
            self._read(number).select(places[order][start:stop] - edges[number])
            for number, (start, stop) in enumerate(itertools.pairwise(cuts.tolist()))
            if stop > start
        ]
        if not found:
            raise MeasureError(f"{self.name}: wanted one item or more, got none")
        back = np.empty(len(places), dtype=np.int64)
        back[order] = np.arange(len(places))
        return Embeddings.concatenate(found).select(back)

    def whole(self) -> Embeddings:
        """Return all items in memory.

        Raises:
            MeasureError: there is no item.
        """
        found = list(self)
        if not found:
            raise MeasureError(f"{self.name}: no recording could be embedded; see failures.csv there")
        return found[0] if len(found) == 1 else Embeddings.concatenate(found)

    @property
    def _count(self) -> int:
        return 1 if isinstance(self.source, Embeddings) else self.source.receipt.parts

    def _read(self, number: int) -> Embeddings:
        return self.source if isinstance(self.source, Embeddings) else read_part(self.source, number)


def open_blocks(source: Embeddings | str | Path, *, sizes: tuple[int, ...] | None = None) -> Blocks:
    """Open embeddings to be read block by block.

    Args:
        source: A folder of parts, of which one is in memory at a time; a file, which is one block; or a table.
        sizes: Number of items in each block, if that is known; else all are read when it is needed.

    Raises:
        MeasureError: a part is missing, or a file cannot be read; see `mfcl.embeddings.table.load_embeddings`.
    """
    if isinstance(source, Embeddings):
        return Blocks(source, "embeddings", sizes)
    folder = Path(source)
    if not is_part_folder(folder):
        return Blocks(read_embeddings(folder)[0], str(folder), sizes)
    files = open_part_files(folder)
    missing = files.missing()
    if missing:
        raise MeasureError(
            f"{folder}: {len(missing)} of the {files.receipt.parts} parts that {RECEIPT} names {are(len(missing))} "
            f"missing, the first is {files.path(missing[0]).name}; run the same `mfcl embed` to make them"
        )
    return Blocks(files, str(folder), sizes)


def read_part(files: PartFiles, part: int) -> Embeddings:
    """Read one part, after checking that it belongs to its folder.

    Raises:
        MeasureError: it is damaged, or does not belong there.
    """
    path = files.path(part)
    try:
        found, about = read_embeddings(path)
    except UnreadError:
        raise
    except MeasureError as error:
        reason = str(error).removeprefix(f"{path}: ").partition("; run")[0]
        raise damaged(path, ValueError(reason)) from None
    files.check(part, about)
    return found


def load_embeddings(path: str | Path) -> Embeddings:
    """Read a file that `Embeddings.save` wrote, or a folder of parts, without running code from it.

    Args:
        path: An `.npz` or `.parquet` file, or the folder of `mfcl embed --parts`; see `open_blocks` for reading the
            latter part by part.

    Raises:
        MeasureError: the file is missing, damaged, of another kind or version, or a vector is not finite; or a part is
            missing or of another model.
    """
    return open_blocks(Path(path)).whole() if is_part_folder(path) else read_embeddings(Path(path))[0]
