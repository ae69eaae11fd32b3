"""Where sound stands out of a long recording's background: levels of bands, streamed, against a floor of their own."""

from collections.abc import Iterable, Iterator

import numpy as np
from jaxtyping import Bool, Float32, Float64, Int64

from mfcl.audio.endpoints import MARGIN, active_runs, joined_runs
from mfcl.audio.preparation import SILENCE_DB

HOP_SECONDS = 0.010
"""Step between frames, as in `mfcl.audio.endpoints`; a frame is two steps long."""
BANDS = 16
"""Bands of equal width: a call in one of them stands out of noise that fills all."""
AVERAGED = 5
"""Frames over which power is averaged, so that noise rises above its floor by 2 dB at most, mostly."""
FLOOR_SECONDS = 60.0
"""A band's floor is that of the minute around, since the background changes during a day."""
FLOOR_PERCENT = 20
"""The floor is this percentile of a band's levels; what sounds during most of a minute is background."""


def sounding(
    blocks: Iterable[Float32[np.ndarray, "_ channels"]], sample_rate: int, *, above_db: int | float
) -> Bool[np.ndarray, " frames"]:
    """Return whether each frame of 10 ms stands out of the background in some band.

    Memory grows by a byte a frame. The result does not depend on how the sound is divided into blocks.

    Args:
        blocks: Consecutive blocks of a recording.
        sample_rate: In Hz.
        above_db: How far above the band's floor it must be; the floor is no lower than silence, -90 dB.
    """
    hop = hop_samples(sample_rate)
    levels = _averaged(_band_powers(blocks, hop))
    found = [
        _above_floor(minute, above_db) for minute in _in_minutes(levels, max(1, round(FLOOR_SECONDS / HOP_SECONDS)))
    ]
    return np.concatenate(found) if found else np.zeros(0, dtype=np.bool_)


def sound_spans(
    active: Bool[np.ndarray, " frames"], samples: int, sample_rate: int, longest: int | float
) -> Int64[np.ndarray, "spans 2"]:
    """Return the first sample of each stretch of sound and the one after its last.

    Stretches less than 0.25 s apart are one, shorter ones than 50 ms are clicks, 50 ms are kept on either side. A
    stretch longer than `longest` is divided into equal pieces.

    Args:
        active: See `sounding`.
        samples: Samples of the recording.
        sample_rate: In Hz.
        longest: Seconds.
    """
    hop, most = hop_samples(sample_rate), max(1, round(longest * sample_rate))
    runs = joined_runs(active_runs(active))
    first = np.maximum(runs[:, 0] - MARGIN, 0) * hop
    last = np.minimum((runs[:, 1] + MARGIN) * hop, samples)
    pieces = -(-(last - first) // most)
    place = np.arange(int(pieces.sum())) - np.repeat(np.cumsum(pieces) - pieces, pieces)
    start, length, count = (np.repeat(one, pieces) for one in (first, last - first, pieces))
    return np.stack([start + length * place // count, start + length * (place + 1) // count], axis=1).astype(np.int64)


def hop_samples(sample_rate: int) -> int:
    """Return the step between frames in samples."""
    return max(1, round(HOP_SECONDS * sample_rate))


def _band_powers(
    blocks: Iterable[Float32[np.ndarray, "_ channels"]], hop: int
) -> Iterator[Float64[np.ndarray, "frames bands"]]:
    """Yield the power of each band in frames of two steps; the channels' powers are averaged, as channels may cancel.

    Frame k lies over steps k - 1 and k, so that it is centred where step k begins; before the recording is silence.
    """
    window = np.sqrt(2 / 3) * (1 - np.cos(2 * np.pi * np.arange(2 * hop) / (2 * hop)))  # of mean square 1
    edges = np.unique(np.linspace(1, hop + 1, BANDS + 1).astype(np.int64))[:-1]
    held: list[Float32[np.ndarray, "_ channels"]] = []
    count = 0
    for block in blocks:
        if not held:
            held, count = [np.zeros((hop, block.shape[1]), dtype=np.float32)], hop
        held.append(block)
        count += len(block)
        if count >= 200 * hop:
            whole = np.concatenate(held)
            kept = len(whole) // hop * hop
            yield _powers(whole[:kept], hop, window, edges)
            held, count = [whole[kept - hop :]], len(whole) - kept + hop
    if held:
        whole = np.concatenate([*held, np.zeros((2 * hop, held[0].shape[1]), dtype=np.float32)])
        frames = -(-(count - hop) // hop)
        if frames:
            yield _powers(whole[: (frames + 1) * hop], hop, window, edges)


def _powers(
    samples: Float32[np.ndarray, "_ channels"],
    hop: int,
    window: Float64[np.ndarray, " _"],
    edges: Int64[np.ndarray, " bands"],
) -> Float64[np.ndarray, "frames bands"]:
    steps = np.nan_to_num(samples, nan=0.0, posinf=0.0, neginf=0.0).T.reshape(samples.shape[1], -1, hop)
    frames = np.concatenate([steps[:, :-1], steps[:, 1:]], axis=2)  # (channels, frames, two steps)
    bins = np.square(np.abs(np.fft.rfft(frames * window))).mean(axis=0) / (2 * hop**2)  # sums to the mean square
    return np.add.reduceat(bins, edges, axis=1)


def _averaged(powers: Iterable[Float64[np.ndarray, "_ bands"]]) -> Iterator[Float64[np.ndarray, "_ bands"]]:
    """Yield the level in dB of each frame, averaged over the frames around it; the last come at the end."""
    half = AVERAGED // 2
    before: Float64[np.ndarray, "_ bands"] | None = None
    for block in powers:
        before = np.repeat(block[:1], half, axis=0) if before is None else before
        whole = np.concatenate([before, block])
        if len(whole) >= AVERAGED:
            yield _levels(whole)
        before = whole[max(0, len(whole) - AVERAGED + 1) :]
    if before is not None:
        yield _levels(np.concatenate([before, np.repeat(before[-1:], half, axis=0)]))


def _levels(powers: Float64[np.ndarray, "_ bands"]) -> Float64[np.ndarray, "_ bands"]:
    frames = len(powers) - AVERAGED + 1
    mean = sum(powers[place : place + frames] for place in range(AVERAGED)) / AVERAGED
    return np.asarray(10 * np.log10(np.maximum(mean, 10 ** (SILENCE_DB / 10))))


def _in_minutes(
    levels: Iterable[Float64[np.ndarray, "_ bands"]], minute: int
) -> Iterator[Float64[np.ndarray, "_ bands"]]:
    """Yield stretches of `minute` frames; the last has half of that at least, unless it is the only one."""
    held: list[Float64[np.ndarray, "_ bands"]] = []
    count = 0
    for block in levels:
        held.append(block)
        count += len(block)
        if count >= minute + minute // 2 + len(block):
            whole = np.concatenate(held)
            yield whole[:minute]
            held, count = [whole[minute:]], count - minute
    whole = np.concatenate(held) if held else np.zeros((0, BANDS))
    while len(whole) >= minute + minute // 2:
        yield whole[:minute]
        whole = whole[minute:]
    if len(whole):
        yield whole


def _above_floor(levels: Float64[np.ndarray, "frames bands"], above_db: int | float) -> Bool[np.ndarray, " frames"]:
    heard = (levels > SILENCE_DB + 1e-6).any(axis=1)
    # where a recorder paused, digital silence is not the background; where sounds lie in silence, it is
    background = levels[heard] if 2 * heard.sum() >= len(levels) else levels
    floor = np.percentile(background, FLOOR_PERCENT, axis=0)
    return np.asarray((levels > floor + above_db).any(axis=1))
