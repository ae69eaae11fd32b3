"""What a store holds and gives: pieces of many recordings at once."""

import mmap
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float32, Int16, Int64

from mfcl.data.manifest import Manifest

LONG = 1 << 22
"""Samples; what is read of a longer recording is let go of at once."""
AROUND = 1 << 22
"""Bytes on either side that the system may have put into memory with those that were read."""
Samples = Int16[np.ndarray, " samples"] | Float32[np.ndarray, " samples"]


@dataclass(frozen=True, eq=False)
class Store:
    """Decoded recordings; `gather` cuts pieces out of many at once."""

    manifest: Manifest
    """The recordings that could be decoded, in the order of all indices."""
    lengths: Int64[np.ndarray, " items"]
    """Samples of each recording."""
    sample_rate: int
    """Hz."""
    failures: tuple[tuple[str, str], ...]
    """Recordings left out: id and reason."""
    samples: Samples
    """All recordings, one after another."""
    scales: Float32[np.ndarray, " items"]
    """What a recording's samples are multiplied with: 16-bit sound keeps its full resolution at any level."""
    offsets: Int64[np.ndarray, " items"]
    """Where each recording begins in `samples`."""

    def __len__(self) -> int:
        return len(self.lengths)

    def select(self, indices: Int64[np.ndarray, " chosen"]) -> "Store":
        """Return the chosen recordings, in the order asked for; the sound itself is shared."""
        chosen = self.manifest.select(indices)
        lengths, scales, offsets = self.lengths[indices], self.scales[indices], self.offsets[indices]
        return Store(chosen, lengths, self.sample_rate, self.failures, self.samples, scales, offsets)

    def clip(self, index: int) -> Float32[np.ndarray, " samples"]:
        """Return one whole recording."""
        return self.piece(index, 0, int(self.lengths[index]))

    def piece(self, index: int, start: int, stop: int) -> Float32[np.ndarray, " samples"]:
        """Return the samples of one recording from `start` to `stop`; no others are read."""
        first = int(self.offsets[index])
        last = first + min(stop, int(self.lengths[index]))
        found = np.asarray(self.samples[first + start : last] * self.scales[index], dtype=np.float32)
        if self.lengths[index] > LONG:
            self._let_go(first + start, last)
        return found

    def _let_go(self, first: int, last: int) -> None:
        """Take samples that were read out of this process's memory again; the system may keep them for the next time.

        Pages of a file that is mapped stay, once read: of a day of sound, all of it.
        """
        mapped, size = getattr(self.samples.base, "obj", None), self.samples.itemsize
        if isinstance(mapped, mmap.mmap) and hasattr(mapped, "madvise"):
            begin = max(first * size - AROUND, 0) // mmap.PAGESIZE * mmap.PAGESIZE
            mapped.madvise(mmap.MADV_DONTNEED, begin, min(last * size + AROUND, len(mapped)) - begin)

    def gather(
        self,
        indices: Int64[np.ndarray, " batch"],
        starts: Int64[np.ndarray, " batch"],
        counts: Int64[np.ndarray, " batch"],
    ) -> Float32[np.ndarray, "batch samples"]:
        """Return `counts` samples from `starts` on of each recording; shorter rows end in zeros.

        Raises:
            IndexError: a piece that is not inside its recording.
        """
        if np.any((starts < 0) | (counts < 0) | (starts + counts > self.lengths[indices])):
            raise IndexError("a piece reaches beyond its recording")
        rows = np.zeros((len(indices), int(counts.max(initial=0))), dtype=np.float32)
        firsts = self.offsets[indices] + starts
        # a copy a row is faster than an index a sample: rows lie in one piece in the file
        for row, first, count, index in zip(rows, firsts.tolist(), counts.tolist(), indices.tolist(), strict=True):
            row[:count] = self.samples[first : first + count]
            if self.lengths[index] > LONG:
                self._let_go(first, first + count)
        rows *= self.scales[indices][:, None]
        return rows


def load(place: Path, manifest: Manifest, sample_rate: int, dtype: str) -> Store | None:
    """Return a whole store, or none if it is absent or damaged."""
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
