"""Alignment distances as vectors: how alike a clip is to each of some clips that were chosen without labels."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float32, Int64

from mfcl.core.random import generator
from mfcl.embeddings.alignment.covering import covering
from mfcl.embeddings.alignment.search import Frames, distances, smallest
from mfcl.errors import MeasureError

POOL = 4
"""Clips that are drawn for each landmark; of these the landmarks are chosen."""
NEIGHBOUR = 10
"""Which neighbour's distance is the unit that affinities are measured in."""
WIDTH = 1.5
"""Units at which an affinity has fallen to 1 / e."""


def landmark_pool(items: int, count: int, *, seed: int) -> Int64[np.ndarray, " _"]:
    """Return the clips that `landmarks` would look at among so many: four for each landmark, in their order.

    Args:
        items: Clips to draw from.
        count: Landmarks that are to be chosen; 1 or more.
        seed: Draws them.

    Raises:
        MeasureError: fewer than one landmark is wanted.
    """
    if count < 1:
        raise MeasureError(f"landmarks: 1 or more are wanted, but came {count}; use 256")
    return np.sort(generator(seed, "landmarks").permutation(items)[: POOL * count])


def landmarks(clips: Sequence[Frames], count: int, *, seed: int, workers: int | None = None) -> Int64[np.ndarray, " _"]:
    """Return clips to measure all others by: drawn at random, then chosen so that they cover what was drawn.

    Args:
        clips: Frames of clips without labels; see `frames`.
        count: Landmarks to choose; all clips if there are no more.
        seed: Draws four clips for each landmark.
        workers: Threads; none: all cores.

    Returns:
        Places in `clips`, the one that covers most first.

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
        table: Distances of some clips to others, among which each finds itself at distance 0.
    """
    k = min(NEIGHBOUR + 1, table.shape[1])
    return float(np.median(smallest(table, k)[1][:, -1]))


def affinities(table: Float32[np.ndarray, "*some"], scale: float) -> Float32[np.ndarray, "*some"]:
    """Return exp(-(d / 1.5 s)^2) of distances d: 1 for equal clips, near 0 for what is far.

    Args:
        table: Distances.
        scale: The unit s; see `affinity_scale`. Where it is 0, most clips are equal, and others count as far.

    Example:
        >>> affinities(np.array([0.0, 1.5], dtype=np.float32), 1.0).astype(float).round(2).tolist()
        [1.0, 0.37]
    """
    return np.exp(-((table / np.float32(max(WIDTH * scale, 1e-6))) ** 2)).astype(np.float32)
