"""One integer becomes every random number of a run, as a pure function of (seed, epoch, recording).

No generator is shared and none has state that must be saved: whoever asks for the draws of a recording in an epoch gets
the same ones, in any batch, worker or process, and after a resume.
"""

import zlib
from typing import Any

import numpy as np
from jaxtyping import Float64, Int64, UInt64
from scipy.special import ndtri

from mfcl.core.limits import LARGEST_SEED
from mfcl.errors import MfclError, check_number

GOLDEN = np.uint64(0x9E3779B97F4A7C15)


def check_seed(seed: int, *, error: type[MfclError] = MfclError) -> None:
    """Refuse a seed that some library would not take."""
    check_number("seed", seed, 0, LARGEST_SEED, whole=True, error=error)


def generator(seed: int, *stream: int | str) -> np.random.Generator:
    """Return a generator of its own for a named stream, for draws that are made once (a split, a permutation).

    Raises:
        MfclError: the seed is negative or too large.

    Example:
        >>> int(generator(0, "split").integers(1000)) == int(generator(0, "split").integers(1000))
        True
    """
    check_seed(seed)
    words = [zlib.crc32(part.encode()) if isinstance(part, str) else part for part in stream]
    return np.random.default_rng([seed, *words])


def uniforms(
    seed: int, stream: str, epoch: int, recordings: Int64[np.ndarray, " items"], count: int
) -> Float64[np.ndarray, "items {count}"]:
    """Draw `count` numbers in (0, 1) for each recording, all recordings at once.

    A recording's draws depend on (seed, stream, epoch, recording) alone, and its first draws do not change when
    `count` grows.

    Args:
        seed: The run's seed.
        stream: The name of what the numbers are for; equal names give equal numbers.
        epoch: How often the data has been seen.
        recordings: The recordings' indices in the training data, not their places in the batch.
        count: Numbers to draw for each.

    Source: SplitMix64 (Steele, Lea and Flood, "Fast splittable pseudorandom number generators", 2014), used as a
        counter-based generator: two rounds make the key, one a draw.
    """
    with np.errstate(over="ignore"):  # arithmetic modulo 2**64 is what is wanted
        named = np.array([zlib.crc32(stream.encode())], dtype=np.uint64) * GOLDEN + np.uint64(seed % 2**63)
        key = _mix(_mix(named) + np.uint64(epoch) * GOLDEN)
        keys = _mix(_mix(key + recordings.astype(np.uint64) * GOLDEN))
        words = _mix(keys[:, None] + np.arange(1, count + 1, dtype=np.uint64) * GOLDEN)
    # 52 bits and a half: with 53 the largest would round to 1, and its normal number be infinite
    return ((words >> np.uint64(12)).astype(np.float64) + 0.5) * 2.0**-52


def normals(
    seed: int, stream: str, epoch: int, recordings: Int64[np.ndarray, " items"], count: int
) -> Float64[np.ndarray, "items {count}"]:
    """Draw standard normal numbers for each recording; see `uniforms`."""
    draws: Any = ndtri(uniforms(seed, stream, epoch, recordings, count))
    return np.asarray(draws, dtype=np.float64)


def _mix(words: UInt64[np.ndarray, "*shape"]) -> UInt64[np.ndarray, "*shape"]:
    words = (words ^ (words >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    words = (words ^ (words >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    mixed: UInt64[np.ndarray, "*shape"] = words ^ (words >> np.uint64(31))
    return mixed
