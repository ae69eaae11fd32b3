"""What is done to every recording before anything hears it."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import soxr
from jaxtyping import Float32, Int16

from mfcl.core.settings import bounded, check_settings
from mfcl.errors import AudioError

SILENCE_DB = -90.0
"""Below this level, about one step of 16-bit sound, a recording holds nothing."""

PIECE = 1 << 20  # samples


@dataclass(frozen=True)
class Preparation:
    """What is done to every recording before anything hears it.

    Raises:
        RecipeError: a value out of range.
    """

    sample_rate: int = bounded(16000, 1000, 384000)
    """Rate that all sound is brought to, in Hz."""
    remove_dc: bool = True
    """Subtract the recording's mean."""
    trim_db: float | None = bounded(None, 0.001, 200.0)
    """Cut from both ends what is quieter than the loudest 10 ms by this many dB, such as 40; none: keep all."""
    level_db: float | None = bounded(None, -80.0, 0.0)
    """Bring the root mean square to this many dB relative to full scale, such as -25; peaks stay below full scale."""

    def __post_init__(self) -> None:
        check_settings(self, "preparation")


def level_db(samples: Float32[np.ndarray, " samples"], *, mean: float = 0.0) -> float:
    """Return the root mean square around `mean` in dB relative to full scale; silence is -120.

    Example:
        >>> round(level_db(np.full(8, 0.1, dtype=np.float32)), 3)
        -20.0
    """
    power = sum(float(np.sum(np.square(piece.astype(np.float64) - mean))) for piece in _pieces(samples))
    return decibels(power / max(samples.size, 1))


def decibels(power: float) -> float:
    """Return a mean square in dB relative to full scale, -120 at the least."""
    return float(10 * np.log10(max(power, 1e-12)))


def resample(
    samples: Float32[np.ndarray, " samples"], source_rate: int, target_rate: int, *, less: float = 0.0
) -> Float32[np.ndarray, " resampled"]:
    """Return the samples, `less` taken off each, at another rate (soxr, high quality)."""
    if source_rate != target_rate and samples.size <= PIECE:
        lowered = samples - np.float32(less) if less else samples
        return np.asarray(soxr.resample(lowered, source_rate, target_rate, quality="HQ"))
    made = list(resampled_blocks(_pieces(samples), source_rate, target_rate, less=less))
    return made[0] if len(made) == 1 else np.concatenate(made)


def resampled_blocks(
    blocks: Iterable[Float32[np.ndarray, " _"]], source_rate: int, target_rate: int, *, less: float = 0.0
) -> Iterator[Float32[np.ndarray, " _"]]:
    """Yield what `resample` returns of all blocks together, to the last bit, some at a time.

    Args:
        blocks: One after another.
        source_rate: Theirs, in Hz.
        target_rate: The wanted one, in Hz.
        less: Taken off each sample.
    """
    lowered = (block - np.float32(less) if less else block for block in blocks)
    if source_rate == target_rate:
        yield from lowered
        return
    stream = soxr.ResampleStream(source_rate, target_rate, 1, dtype="float32", quality="HQ")
    yield from (stream.resample_chunk(block) for block in lowered)
    yield stream.resample_chunk(np.zeros(0, dtype=np.float32), last=True)


def prepare(
    samples: Float32[np.ndarray, " samples"], source_rate: int, preparation: Preparation
) -> Float32[np.ndarray, " prepared"]:
    """Return a recording as training and use both hear it: mean removed, resampled, trimmed, levelled.

    Raises:
        AudioError: nothing would be left.
    """
    mean = float(np.mean(samples, dtype=np.float64)) if preparation.remove_dc and samples.size else 0.0
    prepared = resample(samples, source_rate, preparation.sample_rate, less=mean)
    if prepared.size == 0:
        raise AudioError(
            f"{samples.size} samples at {source_rate} Hz leave nothing at {preparation.sample_rate} Hz; leave it out"
        )
    if preparation.trim_db is not None:
        prepared = _trim(prepared, preparation.sample_rate // 100, preparation.trim_db)
    if preparation.level_db is not None:
        peak = float(np.max(np.abs(prepared)))
        prepared = prepared * gain_to(preparation.level_db, level_db(prepared), peak)
    return prepared


def gain_to(wanted_db: float, is_db: float, peak: float) -> np.float32:
    """Return the factor that brings a level to another, or less where the peak would pass full scale."""
    return np.float32(min(10 ** ((wanted_db - is_db) / 20), 1 / max(peak, 1e-6)))


def step_16_bit(peak: float) -> np.float32:
    """Return the step of 16-bit numbers that reach just to a peak: full resolution at any level."""
    return np.float32(max(peak, 1e-9) / 32767)


def to_16_bit(samples: Float32[np.ndarray, " samples"], step: np.float32) -> Int16[np.ndarray, " samples"]:
    """Return samples as numbers of 16 bits, in steps of `step`."""
    return np.rint(samples / step).astype(np.int16)


def rounded(samples: Float32[np.ndarray, " samples"]) -> Float32[np.ndarray, " samples"]:
    """Return samples as they come back from 16 bits: what a store gives is what every model hears."""
    step = step_16_bit(float(np.abs(samples).max(initial=0)))
    return np.asarray(to_16_bit(samples, step) * step, dtype=np.float32)


def _pieces(samples: Float32[np.ndarray, " samples"]) -> Iterator[Float32[np.ndarray, " piece"]]:
    """Yield the samples in pieces, one even of nothing, so that no step needs copies of an hour."""
    for first in range(0, max(samples.size, 1), PIECE):
        yield samples[first : first + PIECE]


def _trim(samples: Float32[np.ndarray, " samples"], frame: int, below_db: float) -> Float32[np.ndarray, " kept"]:
    """Cut whole frames (of `frame` samples) from both ends that lie more than `below_db` under the loudest."""
    edges = np.arange(0, samples.size, frame)
    power = np.add.reduceat(np.square(samples), edges) / np.diff(np.append(edges, samples.size))
    loud = np.flatnonzero(power >= power.max() * 10 ** (-below_db / 10))
    return samples[edges[loud[0]] : edges[loud[-1]] + frame]
