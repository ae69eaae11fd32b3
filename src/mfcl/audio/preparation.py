"""What is done to every recording before anything hears it."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import soxr
from jaxtyping import Float32

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
    power = sum(float(np.sum(np.square(piece - np.float32(mean)), dtype=np.float64)) for piece in _pieces(samples))
    return float(10 * np.log10(max(power / max(samples.size, 1), 1e-12)))


def resample(
    samples: Float32[np.ndarray, " samples"], source_rate: int, target_rate: int, *, less: float = 0.0
) -> Float32[np.ndarray, " resampled"]:
    """Return the samples, `less` taken off each, at another rate (soxr, high quality)."""
    pieces = (piece - np.float32(less) if less else piece for piece in _pieces(samples))
    if source_rate == target_rate:
        made = list(pieces)
    elif samples.size <= PIECE:
        made = [soxr.resample(piece, source_rate, target_rate, quality="HQ") for piece in pieces]
    else:  # the same samples to the last bit, but slower to begin and without copies of the whole
        stream = soxr.ResampleStream(source_rate, target_rate, 1, dtype="float32", quality="HQ")
        made = [stream.resample_chunk(piece) for piece in pieces]
        made.append(stream.resample_chunk(np.zeros(0, dtype=np.float32), last=True))
    return made[0] if len(made) == 1 else np.concatenate(made)


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
        gain = 10 ** ((preparation.level_db - level_db(prepared)) / 20)
        peak = float(np.max(np.abs(prepared)))
        prepared = prepared * np.float32(min(gain, 1 / max(peak, 1e-6)))
    return prepared


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
