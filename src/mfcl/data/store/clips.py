"""A store of decoded recordings, which cuts segments out of many of them at once."""

import mmap
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float32, Int16, Int64

from mfcl.data.manifest import Manifest

LONG = 1 << 22
"""Samples; memory pages of longer recordings are released after each read."""
AROUND = 1 << 22
"""Bytes on either side of a read that the system may have loaded with it (read-ahead)."""
Samples = Int16[np.ndarray, " samples"] | Float32[np.ndarray, " samples"]


@runtime_checkable
class LazySamples(Protocol):
    """Samples of all recordings, one after another, that are decoded when a piece of them is asked for."""

    @property
    def dtype(self) -> "np.dtype[np.int16]":
        """Return the type of a sample."""

    @property
    def itemsize(self) -> int:
        """Return the bytes of a sample."""

    def __getitem__(self, piece: slice) -> Int16[np.ndarray, " piece"]:
        """Return consecutive samples."""

    def ready(self, firsts: Int64[np.ndarray, " batch"]) -> None:
        """Decode at once, in threads, the recordings in which these samples lie."""


@dataclass(frozen=True, eq=False)
class Store:
    """Decoded recordings; `gather` cuts segments out of many at once."""

    manifest: Manifest
    """The decoded recordings, in the order of the indices."""
    lengths: Int64[np.ndarray, " items"]
    """Samples of each recording."""
    sample_rate: int
    """Hz."""
    failures: tuple[tuple[str, str], ...]
    """Id and reason of recordings that could not be decoded."""
    samples: Samples | LazySamples
    """Samples of all recordings, one after another."""
    scales: Float32[np.ndarray, " items"]
    """Factor of each recording's samples; quiet recordings thus keep the full 16-bit resolution."""
    offsets: Int64[np.ndarray, " items"]
    """Index of each recording's first sample in `samples`."""

    def __len__(self) -> int:
        return len(self.lengths)

    def select(self, indices: Int64[np.ndarray, " chosen"]) -> "Store":
        """Return a store of the chosen recordings, in the given order; the samples are shared, not copied."""
        chosen = self.manifest.select(indices)
        lengths, scales, offsets = self.lengths[indices], self.scales[indices], self.offsets[indices]
        return Store(chosen, lengths, self.sample_rate, self.failures, self.samples, scales, offsets)

    def clip(self, index: int) -> Float32[np.ndarray, " samples"]:
        """Return one whole recording."""
        return self.piece(index, 0, int(self.lengths[index]))

    def piece(self, index: int, start: int, stop: int) -> Float32[np.ndarray, " samples"]:
        """Return the samples of one recording from `start` to `stop`; only these are read."""
        first = int(self.offsets[index])
        last = first + min(stop, int(self.lengths[index]))
        found = np.asarray(self.samples[first + start : last] * self.scales[index], dtype=np.float32)
        if self.lengths[index] > LONG:
            self._let_go(first + start, last)
        return found

    def _let_go(self, first: int, last: int) -> None:
        """Release the memory pages of samples that were read; the system may still cache them.

        Pages of a memory-mapped file otherwise stay in this process's memory, for a day of audio all of it.
        """
        mapped, size = getattr(getattr(self.samples, "base", None), "obj", None), self.samples.itemsize
        if isinstance(mapped, mmap.mmap) and hasattr(mapped, "madvise"):
            begin = max(first * size - AROUND, 0) // mmap.PAGESIZE * mmap.PAGESIZE
            mapped.madvise(mmap.MADV_DONTNEED, begin, min(last * size + AROUND, len(mapped)) - begin)

    def gather(
        self,
        indices: Int64[np.ndarray, " batch"],
        starts: Int64[np.ndarray, " batch"],
        counts: Int64[np.ndarray, " batch"],
    ) -> Float32[np.ndarray, "batch samples"]:
        """Return `counts` samples from `starts` on of each recording; shorter rows are padded with zeros.

        Raises:
            IndexError: a segment reaches beyond its recording.
        """
        if np.any((starts < 0) | (counts < 0) | (starts + counts > self.lengths[indices])):
            raise IndexError("a segment reaches beyond its recording")
        rows = np.zeros((len(indices), int(counts.max(initial=0))), dtype=np.float32)
        firsts = self.offsets[indices] + starts
        if isinstance(self.samples, LazySamples):
            self.samples.ready(firsts)
        # copying contiguous rows is faster than indexing every sample
        for row, first, count, index in zip(rows, firsts.tolist(), counts.tolist(), indices.tolist(), strict=True):
            row[:count] = self.samples[first : first + count]
            if self.lengths[index] > LONG:
                self._let_go(first, first + count)
        rows *= self.scales[indices][:, None]
        return rows


def load(place: Path, manifest: Manifest, sample_rate: int, dtype: str) -> Store | None:
    """Load a store; None if it is absent or damaged."""
    try:
        with (place / "index.npz").open("rb") as file, np.load(file, allow_pickle=False) as index:
            lengths, scales, kept, failures = (index[name] for name in ("lengths", "scales", "kept", "failures"))
        with (place / "clips").open("rb") as file:
            mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        samples: Samples = np.frombuffer(mapped, dtype=dtype)
        if samples.size != lengths.sum() or len(kept) + len(failures) != len(manifest):
            return None
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        return None
    offsets = np.cumsum(lengths) - lengths
    left_out = tuple((str(name), str(reason)) for name, reason in failures)
    usable = manifest.select(kept) if left_out else manifest
    return Store(usable, lengths, sample_rate, left_out, samples, scales, offsets)
