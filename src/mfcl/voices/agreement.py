"""Do the clips of one profile agree? Clips that do not, and two voices under one name."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, Float64, Int64

from mfcl.embeddings.linalg import unit_rows

FEWEST_CLIPS = 3
"""Fewest clips of which one can disagree with the others."""
FEWEST_OF_TWO = 4
"""Fewest clips in which two voices can be suspected: two of each."""
SAME = 0.9999
"""Cosine from which two clips are the same recording."""
STRANGER_QUANTILE = 0.9
"""A clip disagrees if this share of the cohort's clips or more are as near to the others' mean as it is."""
APART = 0.5
"""Two voices are suspected if clips across two halves agree at least this much less than clips within them, and no more
than this much more than clips of strangers, in deviations of the cohort's cosines. Measured: docs/voices.md."""


@dataclass(frozen=True)
class Agreement:
    """How well the clips of a profile agree."""

    mean: float | None
    """Mean cosine of each clip with the mean of the others; None for a single clip."""
    disagreeing: tuple[int, ...]
    """Clips (indices) that are no more like the others than strangers' clips may be."""
    groups: tuple[int, ...]
    """Group (0 or 1) of each clip if two voices are suspected, else empty."""
    copies: tuple[tuple[int, int], ...]
    """Pairs of clips that are the same recording."""


def agreement(vectors: Float32[np.ndarray, "clips dim"], cohort: Float32[np.ndarray, "members dim"]) -> Agreement:
    """Return how well the clips of one profile agree.

    Args:
        vectors: Vectors of the clips, of any length.
        cohort: Unit vectors of other voices; without them nothing is called disagreeing.
    """
    rows = unit_rows(vectors.astype(np.float64))
    count = len(rows)
    cosines = rows @ rows.T
    copies = tuple(zip(*(side.tolist() for side in np.nonzero(np.triu(cosines > SAME, 1))), strict=True))
    if count < 2:
        return Agreement(None, (), (), copies)
    others = unit_rows(rows.sum(axis=0) - rows)
    own = np.einsum("id,id->i", rows, others)
    if count < FEWEST_CLIPS or len(cohort) < 2:
        return Agreement(float(own.mean()), (), (), copies)
    strange = np.quantile(cohort.astype(np.float64) @ others.T, STRANGER_QUANTILE, axis=0)
    disagreeing = tuple(np.flatnonzero(own <= strange).tolist())
    return Agreement(float(own.mean()), disagreeing, _two_voices(cosines, cohort), copies)


def _two_voices(
    cosines: Float64[np.ndarray, "clips clips"], cohort: Float32[np.ndarray, "members dim"]
) -> tuple[int, ...]:
    """Return the group of each clip if they fall into two groups that have little to do with each other."""
    count = len(cosines)
    if count < FEWEST_OF_TWO:
        return ()
    groups = _halves(cosines)
    sizes = np.bincount(groups, minlength=2)
    if sizes.min() < 2:
        return ()
    same = groups[:, None] == groups
    off = ~np.eye(count, dtype=bool)
    within = min(float(cosines[same & off & (groups == group)[:, None]].mean()) for group in (0, 1))
    across = float(cosines[~same].mean())
    between = (cohort @ cohort.T)[np.triu_indices(len(cohort), 1)]
    strangers, deviation = float(between.mean()), float(between.std())
    suspected = across < strangers + APART * deviation and within - across > APART * deviation
    return tuple(groups.tolist()) if suspected else ()


def _halves(cosines: Float64[np.ndarray, "clips clips"]) -> Int64[np.ndarray, " clips"]:
    """Split clips into two groups by average linkage."""
    from scipy.cluster.hierarchy import fcluster, linkage
    from scipy.spatial.distance import squareform

    distances = 1 - cosines
    np.fill_diagonal(distances, 0)
    tree = linkage(squareform(np.maximum(distances, 0), checks=False), "average")
    return np.asarray(fcluster(tree, 2, "maxclust") - 1, dtype=np.int64)
