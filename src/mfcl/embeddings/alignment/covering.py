"""Choose few representative items of many by greedy coverage (facility location)."""

import numpy as np
from jaxtyping import Float, Float64, Int64

CELLS_AT_ONCE = 2**20  # 8 MiB
AT_ONCE = 16
"""Candidates whose gains are computed anew at once."""


def covering(
    reach: Float[np.ndarray, "items candidates"],
    count: int,
    *,
    covered: Float[np.ndarray, " items"] | None = None,
    weights: Float[np.ndarray, " items"] | None = None,
) -> Int64[np.ndarray, " {count}"]:
    """Choose candidates greedily, each the one that raises the total coverage most, none twice.

    An item's coverage is its highest similarity to any chosen candidate. Ties go to the earlier candidate.

    Args:
        reach: Similarity of each candidate to each item, 0 or more.
        count: Candidates to choose, at most all.
        covered: Coverage of each item before the first choice; default: 0.
        weights: Weight of each item, 0 or more; default: equal.

    Source: Nemhauser, Wolsey and Fisher, "An analysis of approximations for maximizing submodular set functions", 1978:
        the coverage is at least 63 % of the optimum for as many candidates. Minoux, "Accelerated greedy algorithms for
        maximizing submodular set functions", 1978, for computing few of the gains.

    Example:
        >>> covering(np.array([[1.0, 0.9, 0.0], [0.7, 0.9, 0.0], [0.0, 0.0, 0.5]]), 2).tolist()
        [1, 2]
    """
    items, candidates = reach.shape
    so_far = np.zeros(items) if covered is None else covered.astype(np.float64)
    counts = np.ones(items) if weights is None else weights.astype(np.float64)
    by_candidate = np.ascontiguousarray(reach.T)
    # coverage only grows, so a gain computed earlier is an upper bound of the gain now (Minoux, 1978)
    bounds = _gains(by_candidate, np.arange(candidates), so_far, counts)
    chosen = np.empty(count, dtype=np.int64)
    for turn in range(count):
        fresh = bounds == -np.inf  # those chosen already
        while not fresh[best := int(bounds.argmax())]:
            stale = np.flatnonzero(~fresh)
            some = stale[np.argsort(-bounds[stale], kind="stable")[:AT_ONCE]]
            bounds[some] = _gains(by_candidate, some, so_far, counts)
            fresh[some] = True
        chosen[turn] = best
        bounds[best] = -np.inf
        so_far = np.maximum(so_far, by_candidate[best])
    return chosen


def _gains(
    by_candidate: Float[np.ndarray, "candidates items"],
    some: Int64[np.ndarray, " some"],
    covered: Float64[np.ndarray, " items"],
    weights: Float64[np.ndarray, " items"],
) -> Float64[np.ndarray, " some"]:
    """Return how much each of some candidates would add to the total coverage; equal candidates add the same."""
    rows = max(1, CELLS_AT_ONCE // by_candidate.shape[1])
    parts = [some[start : start + rows] for start in range(0, len(some), rows)]
    return np.concatenate([np.einsum("ci,i->c", np.maximum(by_candidate[one] - covered, 0), weights) for one in parts])
