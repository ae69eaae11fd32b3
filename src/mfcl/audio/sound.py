"""Read a file as model input: decode, check and prepare it the same way for training and use."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from jaxtyping import Float32, Float64

from mfcl.audio.endpoints import FRAMES_PER_SECOND, LONGEST_SECONDS, sound_span
from mfcl.audio.judging import Judgement, decoded_blocks, judge
from mfcl.audio.preparation import (
    Preparation,
    decibels,
    gain_to,
    prepare,
    resampled_blocks,
    rounded,
    step_16_bit,
    to_16_bit,
)
from mfcl.errors import AudioError

BLOCK = 1 << 16  # samples resampled at a time


class LongSound:
    """A prepared recording too long for memory: its samples are decoded from the file when they are asked for.

    Read pieces in the order of time: going back decodes the file from the beginning.

    Args:
        path: The file.
        start: Seconds from the file's beginning.
        end: Seconds from the file's beginning.
        preparation: How to prepare it.
        judgement: Result of `judge`.

    Attributes:
        peak: Largest absolute value.

    Raises:
        AudioError: no sample would be left.
    """

    def __init__(
        self, path: Path, start: float | None, end: float | None, preparation: Preparation, judgement: Judgement
    ) -> None:
        self.path = path
        self._part = (start, end)
        self._judgement = judgement
        self._preparation = preparation
        self._frame = preparation.sample_rate // FRAMES_PER_SECOND
        self._first, self._last, self._gain, self.peak = self._measured()
        self._waiting: Iterator[Float32[np.ndarray, " _"]] | None = None  # blocks after the held samples
        self._held = np.zeros(0, dtype=np.float32)
        self._place = 0  # index of the first held sample in the recording

    def __len__(self) -> int:
        return self._last - self._first

    def __getitem__(self, piece: slice) -> Float32[np.ndarray, " samples"]:
        """Return a slice of the samples, rounded to 16 bits as in a store.

        Raises:
            AudioError: the file has changed since it was checked.
        """
        start, stop, _ = piece.indices(len(self))
        if self._waiting is None or start < self._place:
            self._waiting, self._place, self._held = self.blocks(), 0, self._held[:0]
        held, end = [self._held], self._place + len(self._held)
        while end < stop:
            block = next(self._waiting, None)
            if block is None:
                raise self.changed()
            if end <= start:
                held, self._place = [], end
            held.append(block)
            end += len(block)
        self._held = (held[0] if len(held) == 1 else np.concatenate(held))[start - self._place :]
        self._place = start
        step = step_16_bit(self.peak)
        return np.asarray(to_16_bit(self._held[: stop - start], step) * step, dtype=np.float32)

    def blocks(self) -> Iterator[Float32[np.ndarray, " _"]]:
        """Yield the whole recording in blocks.

        Raises:
            AudioError: the file has changed since it was checked.
        """
        place = 0
        for block in self._prepared():
            kept = block[max(self._first - place, 0) : max(self._last - place, 0)]
            place += len(block)
            if kept.size:
                yield kept * self._gain if self._gain != 1 else kept
        if place < self._last:
            raise self.changed()

    def changed(self) -> AudioError:
        """Return the error for a file that changed while it was read."""
        return AudioError(f"{self.path}: changed while it was read; start again")

    def _prepared(self) -> Iterator[Float32[np.ndarray, " _"]]:
        """Yield the resampled recording before it is cut and scaled."""
        judgement, preparation = self._judgement, self._preparation
        blocks = _joined(decoded_blocks(self.path, *self._part, judgement), BLOCK)
        less = judgement.mean if preparation.remove_dc else 0.0
        yield from resampled_blocks(blocks, judgement.sample_rate, preparation.sample_rate, less=less)

    def _measured(self) -> tuple[int, int, np.float32, float]:
        """Return first and last sample that are kept, gain and peak, from the energies and peaks of 10 ms frames."""
        energies: list[Float64[np.ndarray, " frames"]] = []
        peaks: list[Float32[np.ndarray, " frames"]] = []
        total = 0
        for block in _joined(self._prepared(), BLOCK // self._frame * self._frame):
            edges = np.arange(0, block.size, self._frame)
            energies.append(np.add.reduceat(np.square(block.astype(np.float64)), edges))
            peaks.append(np.maximum.reduceat(np.abs(block), edges))
            total += block.size
        if not total:
            raise AudioError(f"{self.path}: nothing is left at {self._preparation.sample_rate} Hz; leave it out")
        energy, highest = np.concatenate(energies), np.concatenate(peaks)
        first, last = 0, len(energy)
        counts = np.full(len(energy), self._frame)
        counts[-1] = total - self._frame * (len(energy) - 1)
        power = energy / counts
        if self._preparation.trim_db is not None:
            loud = np.flatnonzero(power >= power.max() * 10 ** (-self._preparation.trim_db / 10))
            first, last = int(loud[0]), int(loud[-1]) + 1
        if self._preparation.endpoints and total <= LONGEST_SECONDS * self._preparation.sample_rate:
            span = sound_span(power[first:last])
            first, last = first + span.first, first + span.last
        begins, ends = first * self._frame, min(last * self._frame, total)
        peak, gain = float(highest[first:last].max()), np.float32(1)
        if self._preparation.level_db is not None:
            level = decibels(float(energy[first:last].sum()) / (ends - begins))
            gain = gain_to(self._preparation.level_db, level, peak)
        return begins, ends, gain, peak * float(gain)


Sound = Float32[np.ndarray, " _"] | LongSound
"""A prepared recording: samples in memory, or a `LongSound` that decodes them when asked for."""


def read_prepared(
    path: Path, preparation: Preparation, *, start: float | None = None, end: float | None = None
) -> tuple[Sound, tuple[str, ...]]:
    """Read and prepare a recording; return it with its notices (`mfcl.audio.judging.NOTICES`).

    Args:
        path: The file.
        preparation: How to prepare it.
        start: Seconds from the file's beginning.
        end: Seconds from the file's beginning.

    Raises:
        AudioError: it cannot be used; see `mfcl.audio.judging.FAILURES`.
        TransferError: the storage of a URL does not answer.
    """
    judgement = judge(path, start, end, keep_for_rate=preparation.sample_rate)
    if judgement.failures:
        reason = "; ".join(problem.removeprefix("unreadable: ") for problem in judgement.failures)
        raise AudioError(f"{path}: {reason}; replace it or leave it out")
    try:
        if judgement.blocks is None:
            return LongSound(path, start, end, preparation, judgement), judgement.notices
        samples = np.concatenate(list(decoded_blocks(path, start, end, judgement)))
        return prepare(samples, judgement.sample_rate, preparation), judgement.notices
    except MemoryError as error:
        raise AudioError(f"{path}: it does not fit into memory; split it or leave it out") from error
    except AudioError as error:
        raise AudioError(f"{path}: {str(error).removeprefix(f'{path}: ')}") from error


def heard(sound: Sound) -> Sound:
    """Round a recording to 16 bits, as a store does."""
    return sound if isinstance(sound, LongSound) else rounded(sound)


def _joined(blocks: Iterator[Float32[np.ndarray, " _"]], size: int) -> Iterator[Float32[np.ndarray, " _"]]:
    """Regroup blocks to a fixed size; the last one may be shorter."""
    waiting: list[Float32[np.ndarray, " _"]] = []
    count = 0
    for block in blocks:
        waiting.append(block)
        count += len(block)
        if count >= size:
            whole = np.concatenate(waiting)
            yield from (whole[first : first + size] for first in range(0, count - size + 1, size))
            waiting = [whole[count - count % size :]]
            count %= size
    if count:
        yield np.concatenate(waiting)
