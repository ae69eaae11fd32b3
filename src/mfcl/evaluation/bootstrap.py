"""Confidence intervals of figures: groups such as speakers are drawn with replacement."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float64, Shaped

from mfcl.core.random import generator
from mfcl.errors import MeasureError

FEWEST_GROUPS = 5
"""Of fewer groups no interval is told: the draws are too few different ones to say how groups differ."""
DRAWS_AT_ONCE = 128  # bounds the memory of a bootstrap over many groups
DRAWN_BY = 0
"""The seed of draws that several figures share: draw number d holds the same groups in all of them."""


@dataclass(frozen=True)
class Interval:
    """Where a figure lies when other groups had been measured, or why that cannot be said.

    Attributes:
        low: The lower end; None: there is no interval.
        high: The upper end.
        reason: Why there is none; empty where there is one.
    """

    low: float | None
    high: float | None
    reason: str = ""


def interval_of(draws: Float64[np.ndarray, " draws"], groups: int, *, level: float = 0.95) -> Interval:
    """Return the middle `level` of a figure's draws; NaN: a draw has none.

    Args:
        draws: The figure of each draw of groups.
        groups: How many groups there are.
        level: The share of the draws that lies inside.

    Example:
        >>> interval_of(np.array([1.0, 3.0]), 2).reason
        'no interval of 2 groups (speakers); 5 or more are wanted'
    """
    if groups < FEWEST_GROUPS:
        return Interval(None, None, f"no interval of {groups} groups (speakers); {FEWEST_GROUPS} or more are wanted")
    usable = draws[~np.isnan(draws)]
    low, high = percentiles(usable, level=level) if len(usable) else (0.0, 0.0)
    if not high > low:
        return Interval(None, None, "no interval where a figure is the same for nearly all draws of groups (speakers)")
    return Interval(low, high)


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
) -> Interval:
    """Return where the mean of `values` lies when other groups had been measured: whole groups are drawn again.

    The clips of a speaker are right or wrong together, so drawing clips would give too narrow an interval.

    Args:
        values: A number an item, such as whether it was recognised.
        groups: The group of each item, such as its speaker.
        seed: Equal seeds give equal intervals.
        draws: How often the groups are drawn.
        level: The share of the draws that lies inside.

    Returns:
        The low and the high end (percentiles of the draws), or why there are none; see `interval_of`.

    Raises:
        MeasureError: values and groups differ in number.

    Example:
        >>> bootstrap_interval(np.arange(6.0), np.array(["a", "b", "c", "d", "e", "f"]), seed=0, level=0.5)
        Interval(low=2.0, high=3.0, reason='')
    """
    if values.shape != groups.shape:
        raise MeasureError(f"bootstrap: {len(values)} values for {len(groups)} groups; give the group of each value")
    _, codes = np.unique(groups, return_inverse=True)
    if codes.max(initial=0) + 1 < FEWEST_GROUPS:
        return interval_of(np.empty(0), int(codes.max(initial=-1)) + 1)
    sums, counts = np.bincount(codes, weights=values), np.bincount(codes).astype(np.float64)
    means = [(weights @ sums) / (weights @ counts) for weights in resampled(len(sums), seed=seed, draws=draws)]
    return interval_of(np.concatenate(means), len(sums), level=level)


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
) -> Interval:
    """Return where the mean of `values - others` lies when other groups had been measured, item by item.

    What makes a speaker hard is taken away with the difference, so two figures can differ for certain whose own
    intervals overlap. For the rest see `bootstrap_interval`.

    Raises:
        MeasureError: the items differ in number.
    """
    if values.shape != others.shape:
        raise MeasureError(f"pairs: the same items twice are wanted, but came {len(values)} and {len(others)}")
    return bootstrap_interval(values - others, groups, seed=seed, draws=draws, level=level)


def paired_draws(
    values: Float64[np.ndarray, " _"], others: Float64[np.ndarray, " _"], groups: int, *, level: float = 0.95
) -> Interval:
    """Return the interval of a difference from two figures of the same draws of groups; NaN: a draw has none.

    For figures that are not means of items, such as an equal error rate.

    Example:
        >>> paired_draws(np.array([3.0, 2.0, np.nan]), np.array([1.0, 1.0, 1.0]), 5, level=0.5)
        Interval(low=1.25, high=1.75, reason='')
    """
    if values.shape != others.shape:
        raise MeasureError(f"pairs: the same draws twice are wanted, but came {len(values)} and {len(others)}")
    return interval_of(values - others, groups, level=level)
