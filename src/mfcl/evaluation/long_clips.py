"""Features of recordings too long for memory, computed piece by piece; equal to those of the whole recording."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, Float64, Int64
from numpy.lib.stride_tricks import sliding_window_view

from mfcl.data.store.interfaces import IndexedClips

LONG = 1 << 23  # samples; shorter recordings are read whole
PIECE = 1 << 20  # samples read at a time
FRAMES = 4096  # frames computed at a time
EDGE_SECONDS = 0.1  # read on both sides of a piece; more than half an analysis window


@dataclass(frozen=True)
class LongClip:
    """One clip of many, read in pieces."""

    clips: IndexedClips
    index: int

    def __len__(self) -> int:
        return int(self.clips.lengths[self.index])

    def read(self, start: int, stop: int) -> Float32[np.ndarray, " samples"]:
        """Return the samples from `start` to `stop`, clipped to the recording."""
        return self.clips.piece(self.index, max(start, 0), min(stop, len(self)))

    def level(self) -> float:
        """Return the root mean square."""
        pieces = (self.read(start, start + PIECE).astype(np.float64) for start in range(0, len(self), PIECE))
        return float(np.sqrt(sum(float(np.square(piece).sum()) for piece in pieces) / len(self)))


def frames_in_pieces(
    frames_of: Callable[[Float32[np.ndarray, " _"]], Float64[np.ndarray, "values _"]],
    clip: LongClip,
    sample_rate: int,
    hop: int,
) -> Iterator[Float64[np.ndarray, "values _"]]:
    """Yield the frames of a clip in blocks.

    Args:
        frames_of: Computes the frames of a piece, centred every `hop` samples from its first sample on.
        clip: The clip.
        sample_rate: In Hz.
        hop: Hop between frames in samples.
    """
    total = 1 + len(clip) // hop
    edge = int(EDGE_SECONDS * sample_rate) // hop + 1
    for first in range(0, total, FRAMES):
        stop = min(first + FRAMES, total)
        before = min(first, edge)
        found = frames_of(clip.read((first - before) * hop, (stop + edge) * hop))
        yield found[:, before : before + stop - first]


def summary_in_pieces(
    blocks: Iterable[Float64[np.ndarray, "values _"]], slope: Float64[np.ndarray, " taps"]
) -> Float64[np.ndarray, " summary"]:
    """Return mean and standard deviation over time of values and their deltas, over all blocks.

    Args:
        blocks: Frames in order of time.
        slope: Delta weights of the frames around each frame; the first and last frames are repeated at the ends.
    """
    reach = len(slope) // 2
    values, slopes = _Moments(), _Moments()
    tail: Float64[np.ndarray, "values _"] | None = None
    for block in blocks:
        values.add(block)
        before = np.repeat(block[:, :1], reach, axis=1) if tail is None else tail
        joined = np.concatenate([before, block], axis=1)
        if joined.shape[1] > 2 * reach:
            slopes.add(sliding_window_view(joined, len(slope), axis=1) @ slope)
        tail = joined[:, -2 * reach :]
    if tail is not None:
        joined = np.concatenate([tail, np.repeat(tail[:, -1:], reach, axis=1)], axis=1)
        slopes.add(sliding_window_view(joined, len(slope), axis=1) @ slope)
    return np.concatenate([*values.outcome(), *slopes.outcome()])


class _Moments:
    """Mean and standard deviation over blocks of values."""

    def __init__(self) -> None:
        self.count = 0
        self.sums: Float64[np.ndarray, " values"] | float = 0.0
        self.squares: Float64[np.ndarray, " values"] | float = 0.0

    def add(self, block: Float64[np.ndarray, "values _"]) -> None:
        self.count += block.shape[1]
        self.sums = self.sums + block.sum(axis=1)
        self.squares = self.squares + np.square(block).sum(axis=1)

    def outcome(self) -> tuple[Float64[np.ndarray, " values"], Float64[np.ndarray, " values"]]:
        mean = np.asarray(self.sums / self.count)
        return mean, np.sqrt(np.maximum(self.squares / self.count - mean**2, 0))


def columns_in_pieces(
    blocks: Iterable[Float64[np.ndarray, "bands _"]], total: int, columns: int
) -> Float64[np.ndarray, "bands {columns}"]:
    """Average `total` frames into `columns` equal shares; a frame on a border is split between its two columns."""
    borders = np.linspace(0, total, columns + 1)
    found: Float64[np.ndarray, "bands columns"] | float = 0.0
    first = 0
    for block in blocks:
        places = np.arange(first, first + block.shape[1])[:, None]
        shares = np.minimum(places + 1, borders[1:]) - np.maximum(places, borders[:-1])  # (frames, columns)
        found = found + block @ np.maximum(shares, 0)
        first += block.shape[1]
    return np.asarray(found * (columns / total))


def samples_at(clip: LongClip, places: Int64[np.ndarray, "*shape"]) -> Float32[np.ndarray, "*shape"]:
    """Return the samples of a clip at `places` (sample indices); 0 outside the clip."""
    flat = places.ravel()
    order = np.argsort(flat, kind="stable")
    rising = flat[order]
    found = np.zeros(flat.size, dtype=np.float32)
    for start in range(0, len(clip), PIECE):
        first, last = np.searchsorted(rising, [start, min(start + PIECE, len(clip))])
        if last > first:
            found[order[first:last]] = clip.read(start, start + PIECE)[rising[first:last] - start]
    return found.reshape(places.shape)
