"""Features of recordings too long to be held, from pieces of them: what the whole would give, some frames at a time."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float32, Float64, Int64
from numpy.lib.stride_tricks import sliding_window_view

LONG = 1 << 23  # samples; a shorter recording is read whole
PIECE = 1 << 20  # samples read at a time
FRAMES = 4096  # at a time
EDGE_SECONDS = 0.1  # read beside a piece's frames: more than any frame reaches


@runtime_checkable
class InPieces(Protocol):
    """Clips of which pieces can be read, such as those of a store."""

    @property
    def lengths(self) -> Int64[np.ndarray, " items"]:
        """Return the clips' lengths in samples."""

    def piece(self, index: int, start: int, stop: int) -> Float32[np.ndarray, " samples"]:
        """Return the samples of one clip from `start` to `stop`."""
        ...


@dataclass(frozen=True)
class LongClip:
    """One clip of many, read in pieces."""

    clips: InPieces
    index: int

    def __len__(self) -> int:
        return int(self.clips.lengths[self.index])

    def read(self, start: int, stop: int) -> Float32[np.ndarray, " samples"]:
        """Return the samples from `start` to `stop`, as far as there are any."""
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
    """Yield the frames of a clip, some at a time.

    Args:
        frames_of: Returns the frames of a piece, centred every `hop` samples from its first sample on.
        clip: The clip.
        sample_rate: In Hz.
        hop: Samples between two frames.
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
    """Return mean and deviation over time of values and of their slopes, as of all blocks in one.

    Args:
        blocks: Frames, in the order of time.
        slope: Weights of the frames around one that give its slope; before and after all the outermost frame goes on.
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
    """Mean and deviation of numbers that come some at a time."""

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
    """Return the means of equal shares of `total` frames, a frame being cut where a border falls in it."""
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
    """Return single samples of a clip; 0 outside it."""
    flat = places.ravel()
    order = np.argsort(flat, kind="stable")
    rising = flat[order]
    found = np.zeros(flat.size, dtype=np.float32)
    for start in range(0, len(clip), PIECE):
        first, last = np.searchsorted(rising, [start, min(start + PIECE, len(clip))])
        if last > first:
            found[order[first:last]] = clip.read(start, start + PIECE)[rising[first:last] - start]
    return found.reshape(places.shape)
