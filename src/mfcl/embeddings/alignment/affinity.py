"""DTW distances as vectors: a clip's similarities to landmark clips, which are chosen without labels."""

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


def landmark_pool(items: int, count: int, *, seed: int) -> Int64[np.ndarray, " _"]:
    """Draw the candidates that `landmarks` chooses from: the ascending indices of four clips per landmark.

    Args:
        items: Number of clips to draw from.
        count: Landmarks to choose; 1 or more.
        seed: Seed of the draw.

    Raises:
        MeasureError: fewer than one landmark is wanted.
    """
    if count < 1:
        raise MeasureError(f"landmarks: wanted 1 or more, got {count}; use 256")
    return np.sort(generator(seed, "landmarks").permutation(items)[: POOL * count])


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
    reach = affinities(table, affinity_scale(table))
    chosen: Int64[np.ndarray, " _"] = drawn[covering(reach, min(count, len(drawn)))]
    return chosen


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
