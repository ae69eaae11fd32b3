"""Windows of a recording, prepared as the whole recording is; of a file however long, a few seconds are in memory."""

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import numpy as np
import soxr
from jaxtyping import Float32

from mfcl.audio.io import all_finite, audio_blocks, mono, open_audio, read_audio
from mfcl.audio.preparation import Preparation, prepare
from mfcl.errors import AudioError

PIECE = 1 << 18
"""Samples that are put together before windows are cut out of them: 16 seconds at 16 kHz."""
Item = TypeVar("Item")
Samples = Float32[np.ndarray, " _"]
CHUNK = 512
"""Windows that wait together, at most."""
MOST_SAMPLES = 2**24
"""Their samples, at most: 64 MiB."""
Windows = Iterator[tuple[int, Samples]]
"""The place of each window's first sample, and its samples."""


def file_windows(
    path: Path,
    preparation: Preparation,
    *,
    window: int | float,
    hop: int | float,
    start: float | None = None,
    end: float | None = None,
) -> Windows:
    """Yield windows of a file, or of the part from `start` to `end` in seconds; places count from there.

    Nothing is trimmed: a place in time is one of the recording. The file is decoded twice, and a third time where
    sound is brought to one level.

    Args:
        path: The file.
        preparation: What is done to the whole recording.
        window: Length in seconds.
        hop: Step in seconds.
        start: Seconds from the file's beginning.
        end: Seconds from the file's beginning.

    Raises:
        AudioError: a file that cannot be used, or a window or hop that is none.
    """
    size, step = _samples(window, hop, preparation.sample_rate)
    count, mean = _counted(path, start, end)
    less = mean if preparation.remove_dc else 0.0
    blocks = _resampled(path, start, end, less, preparation.sample_rate)
    if preparation.level_db is not None:
        gain = np.float32(_gain(_resampled(path, start, end, less, preparation.sample_rate), preparation.level_db))
        blocks = (block * gain for block in blocks)
    found = False
    for first, samples in _cut(_gathered(blocks), size, step):
        found = True
        yield first, samples
    if not found:
        raise AudioError(
            f"{path}: {count} samples leave nothing at {preparation.sample_rate} Hz; leave the recording out"
        )


def array_windows(
    samples: Samples, sample_rate: int, preparation: Preparation, *, window: int | float, hop: int | float
) -> Windows:
    """Yield windows of mono samples at a rate in Hz; see `file_windows`."""
    size, step = _samples(window, hop, preparation.sample_rate)
    yield from _cut([prepare(samples, sample_rate, replace(preparation, trim_db=None))], size, step)


def bounded(items: Iterable[Item], samples_of: Callable[[Item], int]) -> Iterator[list[Item]]:
    """Yield windows some at a time, no more than memory is meant for.

    Args:
        items: Windows in any form.
        samples_of: How many samples one has.
    """
    waiting: list[Item] = []
    samples = 0
    for item in items:
        waiting.append(item)
        samples += samples_of(item)
        if len(waiting) == CHUNK or samples >= MOST_SAMPLES:
            yield waiting
            waiting, samples = [], 0
    if waiting:
        yield waiting


def check_window(window: int | float, hop: int | float) -> None:
    """Raise one clear line if these are no lengths in seconds.

    Raises:
        AudioError: one of them is not above 0, or is no number.
    """
    if not (0 < window < math.inf and 0 < hop < math.inf):
        raise AudioError(f"wanted a window and a hop above 0 seconds, got {window} and {hop}")


def _samples(window: int | float, hop: int | float, sample_rate: int) -> tuple[int, int]:
    check_window(window, hop)
    return max(1, round(window * sample_rate)), max(1, round(hop * sample_rate))


def _cut(blocks: Iterable[Samples], size: int, step: int) -> Windows:
    """Yield windows of a sound that comes in blocks; the last one ends with the sound, so that nothing is left out.

    sound     a b c d e f g h i      size 4, step 3
    window 0  a b c d
    window 1        d e f g
    window 2            f g h i      begins at 5, not at 6
    """
    held, first, begin, last = np.zeros(0, dtype=np.float32), 0, 0, -1  # `held` begins at sample `first`
    for block in blocks:
        held = np.concatenate([held, block])
        while begin + size <= first + len(held):
            yield begin, held[begin - first : begin - first + size]
            begin, last = begin + step, begin
        kept = max(first, min(begin, first + len(held) - size))  # the last window may begin before the next one
        held, first = held[kept - first :], kept
    begin = max(0, first + len(held) - size)
    if begin > last and len(held):
        yield begin, held[begin - first :]


def _gathered(blocks: Iterable[Samples]) -> Iterator[Samples]:
    """Yield the same samples in larger blocks: every block is a copy of the window that is under way."""
    waiting: list[Samples] = []
    for block in blocks:
        waiting.append(block)
        if sum(map(len, waiting)) >= PIECE:
            yield np.concatenate(waiting)
            waiting = []
    if waiting:
        yield np.concatenate(waiting)


def _counted(path: Path, start: float | None, end: float | None) -> tuple[int, float]:
    """Return the number and the mean of a file's samples, all of which must be usable."""
    count, total = 0, 0.0
    with open_audio(path) as file:
        for block in audio_blocks(file, start, end):
            samples = mono(block)
            if not all_finite(samples):
                raise AudioError(f"{path}: NaN, infinite or absurdly large samples; write it again or leave it out")
            count, total = count + len(samples), total + float(samples.sum(dtype=np.float64))
    if not count:
        read_audio(path, start=start, end=end)  # says why nothing is there
    return count, total / max(count, 1)


def _resampled(path: Path, start: float | None, end: float | None, less: float, sample_rate: int) -> Iterator[Samples]:
    """Yield a file's samples, `less` taken off each, at another rate: those of `resample`, block by block."""
    with open_audio(path) as file:
        rate = int(file.samplerate)
        blocks = (mono(block) - np.float32(less) for block in audio_blocks(file, start, end))
        if rate == sample_rate:
            yield from blocks
            return
        stream = soxr.ResampleStream(rate, sample_rate, 1, dtype="float32", quality="HQ")
        for block in blocks:
            yield stream.resample_chunk(block)
        yield stream.resample_chunk(np.zeros(0, dtype=np.float32), last=True)


def _gain(blocks: Iterable[Samples], level_db: float) -> float:
    """Return what brings sound to a level in dB without a peak above full scale; see `prepare`."""
    count, power, peak = 0, 0.0, 1e-6
    for block in blocks:
        count, power = count + len(block), power + float(np.sum(np.square(block), dtype=np.float64))
        peak = max(peak, float(np.abs(block).max(initial=0.0)))
    own = 10 * math.log10(max(power / max(count, 1), 1e-12))
    return float(min(10 ** ((level_db - own) / 20), 1 / peak))
