"""DTW distances as vectors: how near a clip is to landmark clips, which are chosen without labels."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float32, Int64

from mfcl.core.random import generator
from mfcl.embeddings.alignment.covering import covering
from mfcl.embeddings.alignment.search import Frames, distances, smallest
from mfcl.errors import MeasureError

POOL = 4
"""Candidate clips drawn per landmark."""
NEIGHBOUR = 10
"""Rank of the neighbour whose median distance is the scale of affinities."""
WIDTH = 1.5
"""Distance, in units of that scale, at which an affinity is 1 / e."""
NEAREST = 3.0
"""Standard deviations below the mean of a clip's distances at which its nearness to a landmark is 1."""
FALL = 2.0
"""Standard deviations above that at which it is 1 / e."""
LEAST_SPREAD = 1e-3
"""Added to the standard deviation: a clip as far from all landmarks is not told from them by rounding."""


def landmark_pool(items: int, count: int, *, seed: int, pool: int = POOL) -> Int64[np.ndarray, " _"]:
    """Draw the candidates that `landmarks` chooses from; their indices come in ascending order.

    Args:
        items: Number of clips to draw from.
        count: Landmarks to choose; 1 or more.
        seed: Seed of the draw.
        pool: Candidates drawn per landmark.

    Raises:
        MeasureError: fewer than one landmark is wanted.
    """
    if count < 1:
        raise MeasureError(f"landmarks: wanted 1 or more, got {count}; use 256")
    return np.sort(generator(seed, "landmarks").permutation(items)[: pool * count])


def landmarks(clips: Sequence[Frames], count: int, *, seed: int, workers: int | None = None) -> Int64[np.ndarray, " _"]:
    """Choose landmark clips: draw candidates at random, then pick the ones that cover the candidates best.

    Args:
        clips: Frames of each clip; see `frames`.
        count: Landmarks to choose; all clips if there are fewer.
        seed: Seed of the draw of four candidates per landmark.
        workers: Threads; default: all cores.

    Returns:
        Indices in `clips`, the landmark that covers most first.

    Raises:
        MeasureError: fewer than one landmark is wanted, or clips cannot be compared; see `distances`.
    """
    drawn = landmark_pool(len(clips), count, seed=seed)
    if len(drawn) <= 1:
        return drawn
    table = distances([clips[place] for place in drawn], workers=workers)
    chosen: Int64[np.ndarray, " _"] = drawn[covering_landmarks(table, count)]
    return chosen


def covering_landmarks(table: Float32[np.ndarray, "clips clips"], count: int) -> Int64[np.ndarray, " _"]:
    """Choose landmarks by all distances between their candidates; see `landmarks`.

    Args:
        table: Distances of the candidates to one another.
        count: Landmarks to choose; all candidates if there are fewer.
    """
    return covering(affinities(table, affinity_scale(table)), min(count, len(table)))


def affinity_scale(table: Float32[np.ndarray, "clips others"]) -> float:
    """Return the unit of affinities: the median distance to the tenth neighbour.

    Args:
        table: Distances of clips to a set that includes them, so that each row holds one 0 for the clip itself.
    """
    k = min(NEIGHBOUR + 1, table.shape[1])
    return float(np.median(smallest(table, k)[1][:, -1]))


def affinities(table: Float32[np.ndarray, "*some"], scale: float) -> Float32[np.ndarray, "*some"]:
    """Return exp(-(d / 1.5 s)^2) for distances d: 1 for equal clips, near 0 for distant ones.

    Args:
        table: Distances.
        scale: The scale s; see `affinity_scale`. If 0 (most clips are equal), all other clips get affinity 0.

    Example:
        >>> affinities(np.array([0.0, 1.5], dtype=np.float32), 1.0).astype(float).round(2).tolist()
        [1.0, 0.37]
    """
    return np.exp(-((table / np.float32(max(WIDTH * scale, 1e-6))) ** 2)).astype(np.float32)


def nearness(table: Float32[np.ndarray, "clips landmarks"]) -> Float32[np.ndarray, "clips landmarks"]:
    """Return how near each clip is to each landmark, from 0 to 1, by the measure of its own distances to all of them.

    exp(-(max(0, z + 3) / 2)^2), where z is a distance less the mean of the clip's distances, in their standard
    deviations. Noise, another room or another microphone make a clip more distant from all landmarks alike; which of
    them it is nearest to stays.

    Args:
        table: Distances.

    Example:
        >>> nearness(np.array([[0.1, 0.3, 0.3], [0.2, 0.4, 0.4]], dtype=np.float32)).astype(float).round(2).tolist()
        [[0.53, 0.03, 0.03], [0.53, 0.03, 0.03]]
    """
    spread = table.std(axis=1, keepdims=True) + np.float32(LEAST_SPREAD)
    above = (table - table.mean(axis=1, keepdims=True)) / spread + np.float32(NEAREST)
    near: Float32[np.ndarray, "clips landmarks"] = np.exp(-((np.maximum(above, 0) / np.float32(FALL)) ** 2))
    return near
