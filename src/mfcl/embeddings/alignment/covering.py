"""Few items that stand for many: each new one is the one that adds most to what is covered."""

import numpy as np
from jaxtyping import Float, Float64, Int64

CELLS_AT_ONCE = 2**20  # 8 MiB


def covering(
    reach: Float[np.ndarray, "items candidates"],
    count: int,
    *,
    covered: Float[np.ndarray, " items"] | None = None,
    weights: Float[np.ndarray, " items"] | None = None,
) -> Int64[np.ndarray, " {count}"]:
    """Return the candidates that cover the items best, chosen one after the other, no one twice.

    An item is covered as far as the best of the chosen reaches it. Of equal candidates the earlier is chosen.

    Args:
        reach: How well each candidate stands for each item, from 0 on.
        count: Candidates to choose, at most all.
        covered: What is covered before; none: nothing.
        weights: How much each item counts, from 0 on; none: all alike.

    Source: Nemhauser, Wolsey and Fisher, "An analysis of approximations for maximizing submodular set functions", 1978:
        no less than 63 % of the best that as many candidates can cover.

    Example:
        >>> covering(np.array([[1.0, 0.9, 0.0], [0.7, 0.9, 0.0], [0.0, 0.0, 0.5]]), 2).tolist()
        [1, 2]
    """
    items, candidates = reach.shape
    so_far = np.zeros(items) if covered is None else covered.astype(np.float64)
    counts = np.ones(items) if weights is None else weights.astype(np.float64)
    free = np.ones(candidates, dtype=np.bool_)
    chosen = np.empty(count, dtype=np.int64)
    for turn in range(count):
        gains = np.where(free, _gains(reach, so_far, counts), -1.0)
        chosen[turn] = gains.argmax()
        free[chosen[turn]] = False
        so_far = np.maximum(so_far, reach[:, chosen[turn]])
    return chosen


def _gains(
    reach: Float[np.ndarray, "items candidates"],
    covered: Float64[np.ndarray, " items"],
    weights: Float64[np.ndarray, " items"],
) -> Float64[np.ndarray, " candidates"]:
    """Return how much each candidate would add."""
    found = np.zeros(reach.shape[1])
    rows = max(1, CELLS_AT_ONCE // reach.shape[1])
    for start in range(0, len(reach), rows):
        some = slice(start, start + rows)
        found += weights[some] @ np.maximum(reach[some] - covered[some, None], 0)
    return found
