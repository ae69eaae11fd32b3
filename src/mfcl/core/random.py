"""Random numbers as a pure function of (seed, epoch, recording).

No generator is shared, and there is no state to save. The draws of a recording in an epoch are the same in any batch,
worker or process, and after a resume.
"""

import zlib
from typing import Any

import numpy as np
from jaxtyping import Float64, Int64, UInt64

from mfcl.core.limits import LARGEST_SEED
from mfcl.errors import MfclError, check_number

GOLDEN = np.uint64(0x9E3779B97F4A7C15)


def check_seed(seed: Any, *, error: type[MfclError] = MfclError) -> int:
    """Return a seed, of whatever kind of whole number, as an `int`, which every generator and file takes.

    Raises:
        MfclError: it is no whole number, negative, or too large.
    """
    check_number("seed", seed, 0, LARGEST_SEED, whole=True, error=error)
    return int(seed)


def generator(seed: int, *stream: int | str) -> np.random.Generator:
    """Return a new generator for a named stream, for draws that are made once (a split, a permutation).

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
    """Draw `count` uniform numbers in (0, 1) for each recording, all recordings at once.

    A recording's draws depend only on (seed, stream, epoch, recording), and its first draws do not change when `count`
    grows.

    Args:
        seed: The run's seed.
        stream: Name of the purpose; equal names give equal numbers.
        epoch: Number of the epoch.
        recordings: Indices of the recordings in the training data, not positions in the batch.
        count: Numbers to draw for each.

    Source: SplitMix64 (Steele, Lea and Flood, "Fast splittable pseudorandom number generators", 2014), used as a
        counter-based generator: two rounds make the key, one a draw.
    """
    with np.errstate(over="ignore"):  # overflow is intended: arithmetic modulo 2**64
        named = np.array([zlib.crc32(stream.encode())], dtype=np.uint64) * GOLDEN + np.uint64(seed % 2**63)
        key = _mix(_mix(named) + np.uint64(epoch) * GOLDEN)
        keys = _mix(_mix(key + recordings.astype(np.uint64) * GOLDEN))
        words = _mix(keys[:, None] + np.arange(1, count + 1, dtype=np.uint64) * GOLDEN)
    # 52 bits plus one half: with 53 bits the largest number would round to 1
    return ((words >> np.uint64(12)).astype(np.float64) + 0.5) * 2.0**-52


def _mix(words: UInt64[np.ndarray, "*shape"]) -> UInt64[np.ndarray, "*shape"]:
    words = (words ^ (words >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    words = (words ^ (words >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    mixed: UInt64[np.ndarray, "*shape"] = words ^ (words >> np.uint64(31))
    return mixed
