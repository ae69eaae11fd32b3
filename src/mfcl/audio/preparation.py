"""Prepare recordings the same way for training and use: remove DC, resample, cut silence off, normalise the level."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

import numpy as np
import soxr
from jaxtyping import Float32, Int16

from mfcl.audio.endpoints import FRAMES_PER_SECOND, LONGEST_SECONDS, frame_power, sound_span
from mfcl.core.console import worded
from mfcl.core.settings import bounded, check_settings, later, written
from mfcl.errors import AudioError

SILENCE_DB = -90.0
"""Level in dB below which a recording is silent: about one step of 16-bit audio."""

PIECE = 1 << 20  # samples processed at once


@dataclass(frozen=True)
class Preparation:
    """Settings of the preparation of every recording, for training and use alike.

    Raises:
        RecipeError: a value out of range.
    """

    sample_rate: int = bounded(16000, 1000, 384000)
    """Sample rate in Hz to which all recordings are resampled."""
    remove_dc: bool = True
    """Subtract the recording's mean."""
    trim_db: float | None = bounded(None, 0.001, 200.0)
    """Trim both ends where they are this many dB below the loudest 10 ms, such as 40; null: do not trim."""
    level_db: float | None = bounded(None, -80.0, 0.0)
    """Scale to this RMS level in dB relative to full scale, such as -25; peaks stay below full scale; null: do not."""
    endpoints: bool = later(False)
    """Cut recordings of at most 30 s to their main sound, found against their own noise floor, with 50 ms around it."""

    def __post_init__(self) -> None:
        check_settings(self, "preparation")

    def __repr__(self) -> str:
        """Return the settings as `saved` lists them, so that caches that are keyed by this text stay valid."""
        return f"Preparation({', '.join(f'{entry.name}={getattr(self, entry.name)!r}' for entry in written(self))})"

    @property
    def uncut(self) -> "Preparation":
        """The same settings without cutting anything off, so that times are those of the original recording."""
        return replace(self, trim_db=None, endpoints=False)


def level_db(samples: Float32[np.ndarray, " samples"], *, mean: float = 0.0) -> float:
    """Return the RMS level around `mean` in dB relative to full scale; silence is -120.

    Example:
        >>> round(level_db(np.full(8, 0.1, dtype=np.float32)), 3)
        -20.0
    """
    power = sum(float(np.sum(np.square(piece.astype(np.float64) - mean))) for piece in _pieces(samples))
    return decibels(power / max(samples.size, 1))


def swing_db(samples: Float32[np.ndarray, " samples"]) -> float:
    """Return the RMS level around the samples' own mean: what is judged as silent, as a constant is no sound.

    Example:
        >>> swing_db(np.full(8, 0.1, dtype=np.float32))
        -120.0
    """
    return level_db(samples, mean=float(samples.mean(dtype=np.float64)) if samples.size else 0.0)


def decibels(power: float) -> float:
    """Convert a mean square to dB relative to full scale, at least -120."""
    return float(10 * np.log10(max(power, 1e-12)))


def resample(
    samples: Float32[np.ndarray, " samples"], source_rate: int, target_rate: int, *, less: float = 0.0
) -> Float32[np.ndarray, " resampled"]:
    """Subtract `less` from all samples, then resample them (soxr, high quality)."""
    if source_rate != target_rate and samples.size <= PIECE:
        lowered = samples - np.float32(less) if less else samples
        return np.asarray(soxr.resample(lowered, source_rate, target_rate, quality="HQ"))
    made = list(resampled_blocks(_pieces(samples), source_rate, target_rate, less=less))
    return made[0] if len(made) == 1 else np.concatenate(made)


def resampled_blocks(
    blocks: Iterable[Float32[np.ndarray, " _"]], source_rate: int, target_rate: int, *, less: float = 0.0
) -> Iterator[Float32[np.ndarray, " _"]]:
    """Resample consecutive blocks; together they are bit-identical to `resample` of the whole.

    Args:
        blocks: Consecutive blocks of samples.
        source_rate: Sample rate of the blocks in Hz.
        target_rate: Wanted sample rate in Hz.
        less: Number to subtract from each sample, such as the mean.
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
    """Prepare a recording for training or use: remove the mean, resample, cut silence off, scale to a level.

    Raises:
        AudioError: no sample would be left.
    """
    mean = float(np.mean(samples, dtype=np.float64)) if preparation.remove_dc and samples.size else 0.0
    prepared = resample(samples, source_rate, preparation.sample_rate, less=mean)
    if prepared.size == 0:
        raise AudioError(
            f"{worded(samples.size, 'sample')} at {source_rate} Hz leave nothing at {preparation.sample_rate} Hz; "
            "leave it out"
        )
    frame = preparation.sample_rate // FRAMES_PER_SECOND
    short = prepared.size <= LONGEST_SECONDS * preparation.sample_rate
    if preparation.trim_db is not None:
        prepared = _trim(prepared, frame, preparation.trim_db)
    if preparation.endpoints and short:
        span = sound_span(frame_power(prepared, frame))
        prepared = prepared[span.first * frame : span.last * frame]
    if preparation.level_db is not None:
        peak = float(np.max(np.abs(prepared)))
        prepared = prepared * gain_to(preparation.level_db, level_db(prepared), peak)
    return prepared


def gain_to(wanted_db: float, is_db: float, peak: float) -> np.float32:
    """Return the factor from the level `is_db` to `wanted_db`, limited so that the peak stays within full scale."""
    return np.float32(min(10 ** ((wanted_db - is_db) / 20), 1 / max(peak, 1e-6)))


def step_16_bit(peak: float) -> np.float32:
    """Return the 16-bit quantisation step with which a peak reaches full range: full resolution at any level."""
    return np.float32(max(peak, 1e-9) / 32767)


def to_16_bit(samples: Float32[np.ndarray, " samples"], step: np.float32) -> Int16[np.ndarray, " samples"]:
    """Quantise samples to 16-bit integers in units of `step`."""
    return np.rint(samples / step).astype(np.int16)


def rounded(samples: Float32[np.ndarray, " samples"]) -> Float32[np.ndarray, " samples"]:
    """Round samples to 16 bits as a store does, so that models get the same input with and without a store."""
    step = step_16_bit(float(np.abs(samples).max(initial=0)))
    return np.asarray(to_16_bit(samples, step) * step, dtype=np.float32)


def _pieces(samples: Float32[np.ndarray, " samples"]) -> Iterator[Float32[np.ndarray, " piece"]]:
    """Yield the samples in pieces, at least one, so that no operation copies a whole long recording."""
    for first in range(0, max(samples.size, 1), PIECE):
        yield samples[first : first + PIECE]


def _trim(samples: Float32[np.ndarray, " samples"], frame: int, below_db: float) -> Float32[np.ndarray, " kept"]:
    """Cut frames of `frame` samples from both ends while they are more than `below_db` quieter than the loudest."""
    edges = np.arange(0, samples.size, frame)
    power = np.add.reduceat(np.square(samples), edges) / np.diff(np.append(edges, samples.size))
    loud = np.flatnonzero(power >= power.max() * 10 ** (-below_db / 10))
    return samples[edges[loud[0]] : edges[loud[-1]] + frame]
