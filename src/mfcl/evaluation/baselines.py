"""Baseline features without training, to compare every encoder with."""

import functools
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float32, Float64, Int64
from numpy.lib.stride_tricks import sliding_window_view

from mfcl.audio.log_mel import HOP_SECONDS, LOUD_DB, log_mel
from mfcl.core.random import generator
from mfcl.data.store.interfaces import IndexedClips
from mfcl.errors import MeasureError
from mfcl.evaluation.long_clips import (
    LONG,
    LongClip,
    columns_in_pieces,
    frames_in_pieces,
    samples_at,
    summary_in_pieces,
)

EMPHASIS = 0.97  # pre-emphasis coefficient of the MFCC
SLOPE_FRAMES = 9
KERNELS = 8  # competing kernels in a group
TAPS = 9
MOST_PLACES = 4096  # most positions in a clip at which the kernels are applied


@runtime_checkable
class ClipReader(Protocol):
    """Clips that are read one at a time, such as a store's."""

    def __len__(self) -> int: ...

    def clip(self, index: int) -> Float32[np.ndarray, " samples"]:
        """Return the mono samples of one clip."""


ClipSource = ClipReader | Iterable[Float32[np.ndarray, " _"]]
Clip = Float32[np.ndarray, " _"] | LongClip


def mfcc_statistics(clips: ClipSource, sample_rate: int) -> Float32[np.ndarray, "items 80"]:
    """Return mean and standard deviation over time of 20 MFCC and their deltas; time order is lost.

    Args:
        clips: Mono clips.
        sample_rate: In Hz.
    """

    def summary(clip: Clip) -> Float64[np.ndarray, " _"]:
        if not isinstance(clip, LongClip):
            return mfcc_summary(mfcc(clip, sample_rate))
        blocks = frames_in_pieces(lambda piece: mfcc(piece, sample_rate), clip, sample_rate, hop_of(sample_rate))
        return summary_in_pieces(blocks, slope_weights())

    return stack(summary(clip) for clip in each(clips))


def log_mel_picture(
    clips: ClipSource, sample_rate: int, *, bands: int = 40, frames: int = 12
) -> Float32[np.ndarray, "items _"]:
    """Return each clip's log-mel spectrogram (dB) resized in time to `frames` columns, flattened.

    A column is the mean of an equal share of the clip, so that clips of any length can be compared.

    Args:
        clips: Mono clips.
        sample_rate: In Hz.
        bands: Mel bands.
        frames: Columns.
    """

    def picture(clip: Clip) -> Float64[np.ndarray, "bands frames"]:
        if not isinstance(clip, LongClip):
            return resized(log_mel(clip, sample_rate, bands=bands), frames)
        hop = hop_of(sample_rate)
        blocks = frames_in_pieces(lambda piece: log_mel(piece, sample_rate, bands=bands), clip, sample_rate, hop)
        return columns_in_pieces(blocks, 1 + len(clip) // hop, frames)

    return stack(picture(clip).ravel() for clip in each(clips))


def average_spectrum(clips: ClipSource, sample_rate: int, *, bands: int = 80) -> Float32[np.ndarray, "items _"]:
    """Return the mean log-mel (dB) of each clip's loud frames; what is said is mostly averaged out, the voice is not.

    Args:
        clips: Mono clips.
        sample_rate: In Hz.
        bands: Mel bands.

    Source: Kinnunen, Hautamäki and Fränti, "On the use of long-term average spectrum in automatic speaker
        recognition", ISCSLP 2006.
    """

    def average(clip: Clip) -> Float64[np.ndarray, " bands"]:
        if not isinstance(clip, LongClip):
            blocks = [log_mel(clip, sample_rate, bands=bands)]
            return loud_mean(lambda: blocks)
        spectra = functools.partial(log_mel, sample_rate=sample_rate, bands=bands)
        return loud_mean(lambda: frames_in_pieces(spectra, clip, sample_rate, hop_of(sample_rate)))

    return stack(average(clip) for clip in each(clips))


def loud_mean(
    blocks: Callable[[], Iterable[Float64[np.ndarray, "bands frames"]]],
) -> Float64[np.ndarray, " bands"]:
    """Return the mean of a clip's loud frames (`LOUD_DB`), given twice in blocks: once to find how loud they are."""
    highest = max(float(block.mean(axis=0).max()) for block in blocks())
    loud = (block[:, block.mean(axis=0) >= highest - LOUD_DB] for block in blocks())
    sums = [(chosen.sum(axis=1), chosen.shape[1]) for chosen in loud]
    total: Float64[np.ndarray, " bands"] = np.sum([own for own, _ in sums], axis=0) / sum(count for _, count in sums)
    return total


def random_features(
    clips: ClipSource, sample_rate: int, *, seed: int, groups: int = 32, workers: int | None = None
) -> Float32[np.ndarray, "items _"]:
    """Return Hydra-like features: how often, and how strongly, each random kernel wins in its group.

    As in Hydra, groups of 8 random kernels of 9 taps compete at each position of the waveform and of its first
    difference, at dilations of 1, 2, 4, ... The strongest response is added to its kernel's sum, and the count of the
    weakest kernel rises by one. Unlike Hydra, each clip is scaled to the same RMS, there are fewer groups, only every
    fourth position or fewer (at most 4,096) is used, and sums and counts are divided by the number of positions. Their
    square roots are returned, for a standardised linear classifier.

    Args:
        clips: Mono clips.
        sample_rate: In Hz; the dilated kernels span up to half a second.
        seed: Seed of the kernels.
        groups: Groups at each dilation, half of them on the first difference; an even number.
        workers: Threads; default: one per core.

    Source: Dempster, Schmidt and Webb, "HYDRA: competing convolutional kernels for fast and accurate time series
        classification", arXiv:2203.13652.
    """
    if groups < 2 or groups % 2:
        raise MeasureError(f"random features: wanted an even number of groups, got {groups}; use 32")
    dilations = 2 ** np.arange(max(1, int(np.log2(0.5 * sample_rate / (TAPS - 1))) + 1), dtype=np.int64)
    kernels = generator(seed, "hydra").standard_normal((len(dilations), 2, groups // 2 * KERNELS, TAPS))
    kernels -= kernels.mean(axis=-1, keepdims=True)
    kernels /= np.abs(kernels).sum(axis=-1, keepdims=True)
    count = functools.partial(competition, kernels=kernels.astype(np.float32), dilations=dilations)
    with ThreadPoolExecutor(workers) as pool:
        return stack(row for some in batched(clips, 256) for row in pool.map(count, some))


def competition(
    clip: Clip,
    *,
    kernels: Float32[np.ndarray, "dilations 2 kernels taps"],
    dilations: Int64[np.ndarray, " dilations"],
) -> Float32[np.ndarray, " values"]:
    """Return, for all kernels, the square roots of the winners' sums and losers' counts per position."""
    level = clip.level() if isinstance(clip, LongClip) else float(np.sqrt(np.mean(clip**2, dtype=np.float64)))
    scale = np.float32(max(level, 1e-9))
    places, number = -(-len(clip) // _stride(len(clip))), kernels.shape[2]
    # arrays of a megabyte are made once for all dilations: making them takes as long as filling them
    answers = np.empty((number // KERNELS, KERNELS, places), dtype=np.float32)
    ends, chosen = np.empty_like(answers[:, :1]), np.empty(answers.shape, dtype=np.bool_)
    found = []
    for which in range(2):  # the waveform, its first difference
        values = clip if isinstance(clip, LongClip) else _series(clip / scale, which)
        for dilation, weights in zip(dilations, kernels[:, which], strict=True):
            seen = (
                long_windows(values, int(dilation), which) / scale
                if isinstance(values, LongClip)
                else windows(values, int(dilation))
            )
            np.matmul(weights, seen, out=answers.reshape(number, places))
            lost = np.equal(answers, answers.min(axis=1, keepdims=True, out=ends), out=chosen)
            losses = lost.view(np.uint8).sum(axis=2, dtype=np.int32)
            won = np.equal(answers, answers.max(axis=1, keepdims=True, out=ends), out=chosen)
            sums = np.multiply(answers, won, out=answers).sum(axis=2)
            found += [np.maximum(sums, 0) / places, losses.astype(np.float32) / np.float32(places)]
    counted: Float32[np.ndarray, " values"] = np.sqrt(np.concatenate([part.ravel() for part in found]))
    return counted


def _series(values: Float32[np.ndarray, " samples"], which: int) -> Float32[np.ndarray, " samples"]:
    """Return the samples (`which` 0) or their first difference, padded with a final 0 (`which` 1)."""
    return np.diff(values, append=values[-1:]) if which else values


def _stride(samples: int) -> int:
    """Return the step between positions in a clip of so many samples."""
    return max(4, -(-samples // MOST_PLACES))


def windows(values: Float32[np.ndarray, " samples"], dilation: int) -> Float32[np.ndarray, "taps places"]:
    """Return the samples under the kernel taps at evenly spaced positions; samples outside the clip are 0."""
    stride = _stride(len(values))
    places = -(-len(values) // stride)
    reach = dilation * (TAPS - 1)
    padded = np.pad(values, (reach // 2, reach // 2 + stride))
    return np.stack([padded[tap * dilation :][: places * stride : stride] for tap in range(TAPS)])


def long_windows(clip: LongClip, dilation: int, which: int) -> Float32[np.ndarray, "taps places"]:
    """Return `windows` of a long clip (`which` 0) or of its first difference (`which` 1), read in pieces."""
    stride = _stride(len(clip))
    reach = dilation * (TAPS - 1)
    places = np.arange(TAPS)[:, None] * dilation + np.arange(-(-len(clip) // stride)) * stride - reach // 2
    seen = samples_at(clip, places)
    if not which:
        return seen
    inside = (places >= 0) & (places < len(clip) - 1)
    return np.where(inside, samples_at(clip, places + 1) - seen, np.float32(0))


def mfcc(
    clip: Float32[np.ndarray, " samples"], sample_rate: int, *, bands: int = 40, count: int = 20
) -> Float64[np.ndarray, "{count} frames"]:
    """Return MFCC: the orthonormal DCT-II of the log-mel spectrogram, after pre-emphasis."""
    angles = np.pi / bands * np.arange(count)[:, None] * (np.arange(bands) + 0.5)
    transform = np.sqrt(2 / bands) * np.cos(angles)
    transform[0] /= np.sqrt(2)
    brighter = np.concatenate([clip[:1], clip[1:] - np.float32(EMPHASIS) * clip[:-1]])
    coefficients: Float64[np.ndarray, "count frames"] = transform @ log_mel(brighter, sample_rate, bands=bands)
    return coefficients


def mfcc_summary(values: Float64[np.ndarray, "count frames"]) -> Float64[np.ndarray, " _"]:
    """Return mean and standard deviation over time of coefficients and their deltas over nine frames."""
    padded = np.pad(values, ((0, 0), (SLOPE_FRAMES // 2, SLOPE_FRAMES // 2)), mode="edge")
    slopes = sliding_window_view(padded, SLOPE_FRAMES, axis=1) @ slope_weights()
    parts = [values.mean(axis=1), values.std(axis=1), slopes.mean(axis=1), slopes.std(axis=1)]
    return np.concatenate(parts)


def slope_weights() -> Float64[np.ndarray, " taps"]:
    """Return the weights of the nine-frame delta: the least-squares slope at the middle frame."""
    around = np.arange(SLOPE_FRAMES) - SLOPE_FRAMES // 2
    return np.asarray(around / (around**2).sum())


def hop_of(sample_rate: int) -> int:
    """Return the hop between frames in samples."""
    return max(1, round(HOP_SECONDS * sample_rate))


def resized(values: Float64[np.ndarray, "bands frames"], columns: int) -> Float64[np.ndarray, "bands {columns}"]:
    """Average frames into `columns` equal shares; a frame on a border is split between its two columns.

    Example:
        >>> resized(np.array([[1.0, 2.0, 3.0]]), 2).round(3).tolist()
        [[1.333, 2.667]]
    """
    frames = values.shape[1]
    sums = np.concatenate([np.zeros((len(values), 1)), np.cumsum(values, axis=1)], axis=1)
    borders = np.linspace(0, frames, columns + 1)
    whole = np.minimum(borders.astype(np.int64), frames - 1)
    upto = sums[:, whole] + (borders - whole) * values[:, whole]
    means: Float64[np.ndarray, "bands columns"] = np.diff(upto, axis=1) * (columns / frames)
    return means


def stack(rows: Iterable[Float64[np.ndarray, " _"] | Float32[np.ndarray, " _"]]) -> Float32[np.ndarray, "items _"]:
    """Stack feature vectors as float32 rows."""
    found = [row.astype(np.float32) for row in rows]
    if not found:
        raise MeasureError("baselines: wanted at least one clip, but there is none; give recordings")
    return np.stack(found)


def each(clips: ClipSource) -> Iterator[Clip]:
    """Yield the clips in order, none of which may be empty; a store's long clips come as `LongClip`."""
    for clip in _stored(clips) if isinstance(clips, ClipReader) else clips:
        if not len(clip):
            raise MeasureError("baselines: wanted a clip with samples, but one is empty; leave it out")
        yield clip


def _stored(clips: ClipReader) -> Iterator[Clip]:
    for index in range(len(clips)):
        long = isinstance(clips, IndexedClips) and clips.lengths[index] > LONG
        yield LongClip(clips, index) if long and isinstance(clips, IndexedClips) else clips.clip(index)


def batched(clips: ClipSource, size: int) -> Iterator[list[Clip]]:
    """Yield lists of at most `size` clips, and of bounded length in total, so that memory is bounded."""
    some: list[Clip] = []
    held = 0
    for clip in each(clips):
        some.append(clip)
        held += 0 if isinstance(clip, LongClip) else len(clip)
        if len(some) == size or held > LONG:
            yield some
            some, held = [], 0
    if some:
        yield some
