"""Confidence intervals of figures: groups such as speakers are drawn with replacement."""

from collections.abc import Iterator

import numpy as np
from jaxtyping import Float, Float64, Shaped

from mfcl.core.random import generator
from mfcl.errors import MeasureError

DRAWS_AT_ONCE = 128  # bounds the memory of a bootstrap over many groups
DRAWN_BY = 0
"""The seed of draws that several figures share: draw number d holds the same groups in all of them."""


def resampled(groups: int, *, seed: int, draws: int) -> Iterator[Float64[np.ndarray, "block groups"]]:
    """Yield, in blocks of draws, how often each group comes when as many groups are drawn with replacement.

    Raises:
        MeasureError: there is only one group, so that every draw would be the same.
    """
    if groups < 2:
        raise MeasureError(
            f"bootstrap: an interval needs at least 2 groups (speakers), but came {groups}; measure recordings of more"
        )
    numbers = generator(seed, "bootstrap")
    for start in range(0, draws, DRAWS_AT_ONCE):
        block = min(DRAWS_AT_ONCE, draws - start)
        yield numbers.multinomial(groups, np.full(groups, 1 / groups), size=block).astype(np.float64)


def bootstrap_interval(
    values: Shaped[np.ndarray, " _"],
    groups: Shaped[np.ndarray, " _"],
    *,
    seed: int,
    draws: int = 1000,
    level: float = 0.95,
) -> tuple[float, float]:
    """Return where the mean of `values` lies when other groups had been measured: whole groups are drawn again.

    The clips of a speaker are right or wrong together, so drawing clips would give too narrow an interval.

    Args:
        values: A number an item, such as whether it was recognised.
        groups: The group of each item, such as its speaker.
        seed: Equal seeds give equal intervals.
        draws: How often the groups are drawn.
        level: The share of the draws that lies inside.

    Returns:
        The low and the high end (percentiles of the draws).

    Raises:
        MeasureError: there is only one group, or values and groups differ in number.

    Example:
        >>> bootstrap_interval(np.ones(4), np.array(["a", "a", "b", "b"]), seed=0)
        (1.0, 1.0)
    """
    if values.shape != groups.shape:
        raise MeasureError(f"bootstrap: {len(values)} values for {len(groups)} groups; give the group of each value")
    _, codes = np.unique(groups, return_inverse=True)
    sums, counts = np.bincount(codes, weights=values), np.bincount(codes).astype(np.float64)
    means = [(weights @ sums) / (weights @ counts) for weights in resampled(len(sums), seed=seed, draws=draws)]
    return percentiles(np.concatenate(means), level=level)


def percentiles(draws: Float64[np.ndarray, " draws"], *, level: float) -> tuple[float, float]:
    """Return the ends of the middle `level` of the draws."""
    low, high = np.quantile(draws, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def paired_interval(
    values: Float[np.ndarray, " _"],
    others: Float[np.ndarray, " _"],
    groups: Shaped[np.ndarray, " _"],
    *,
    seed: int,
    draws: int = 1000,
    level: float = 0.95,
) -> tuple[float, float]:
    """Return where the mean of `values - others` lies when other groups had been measured, item by item.

    What makes a speaker hard is taken away with the difference, so two figures can differ for certain whose own
    intervals overlap. For the rest see `bootstrap_interval`.

    Raises:
        MeasureError: there is only one group, or the items differ in number.

    Example:
        >>> right, wrong = np.array([1.0, 0.0]), np.array([0.0, -1.0])
        >>> paired_interval(right, wrong, np.array(["a", "b"]), seed=0)
        (1.0, 1.0)
    """
    if values.shape != others.shape:
        raise MeasureError(f"pairs: the same items twice are wanted, but came {len(values)} and {len(others)}")
    return bootstrap_interval(values - others, groups, seed=seed, draws=draws, level=level)


def paired_draws(
    values: Float64[np.ndarray, " _"], others: Float64[np.ndarray, " _"], *, level: float = 0.95
) -> tuple[float, float]:
    """Return the interval of a difference from two figures of the same draws of groups; NaN: a draw has none.

    For figures that are not means of items, such as an equal error rate.

    Example:
        >>> low, high = paired_draws(np.array([3.0, 2.0, np.nan]), np.array([1.0, 0.0, 1.0]))
        >>> low, high
        (2.0, 2.0)
    """
    if values.shape != others.shape:
        raise MeasureError(f"pairs: the same draws twice are wanted, but came {len(values)} and {len(others)}")
    gaps = values - others
    return percentiles(gaps[~np.isnan(gaps)], level=level)
