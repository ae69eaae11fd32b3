"""Cluster-bootstrap confidence intervals: whole groups, such as speakers, are drawn with replacement."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64, Shaped

from mfcl.core.console import are, worded
from mfcl.core.random import generator
from mfcl.errors import MeasureError, check_number

FEWEST_GROUPS = 5
"""Fewest groups for an interval; with fewer, there are too few distinct draws."""
HELD = {8: 79, 12: 87, 20: 89}
"""Fewer groups than this -> percent of simulated corpora in which a 95 % interval held the truth; from 20 on 92 and \
more. Those of the next lower number that was simulated, 5, 8 and 12: see `docs/results.md`."""
MOST_DRAWS = 1_000_000
DRAWS_AT_ONCE = 128  # bounds the memory of a bootstrap over many groups
DRAWN_BY = 0
"""Common seed of the draws, so that draw d holds the same groups for every metric value and differences are paired."""


@dataclass(frozen=True)
class Interval:
    """A cluster-bootstrap interval, or the reason why there is none.

    Attributes:
        low: Lower end; None if there is no interval.
        high: Upper end; None if there is no interval.
        reason: Why there is no interval; "" if there is one.
    """

    low: float | None
    high: float | None
    reason: str = ""


def held_by(groups: int) -> int | None:
    """Return in how many percent of simulated corpora a 95 % interval over so few groups held the truth.

    None from 20 groups on, where it is nearly what it is called, and where there is no interval.

    Example:
        >>> held_by(15), held_by(5), held_by(20), held_by(4)
        (89, 79, None, None)
    """
    return None if groups < FEWEST_GROUPS else next((share for most, share in HELD.items() if groups < most), None)


def interval_of(draws: Float64[np.ndarray, " draws"], groups: int, *, level: float = 0.95) -> Interval:
    """Return the percentile interval of bootstrap draws; NaN draws are ignored.

    Args:
        draws: The metric value of each draw of groups.
        groups: Number of groups.
        level: Confidence level, 0 to 1.

    Example:
        >>> interval_of(np.array([1.0, 3.0]), 2).reason
        'no interval of 2 groups (speakers, else recordings); 5 or more are wanted'
    """
    if groups < FEWEST_GROUPS:
        return Interval(
            None,
            None,
            f"no interval of {worded(groups, 'group')} (speakers, else recordings); {FEWEST_GROUPS} or more are wanted",
        )
    usable = draws[~np.isnan(draws)]
    low, high = percentiles(usable, level=level) if len(usable) else (0.0, 0.0)
    if not high > low:
        return Interval(
            None,
            None,
            "no interval where a figure is the same for nearly all draws of groups (speakers, else recordings)",
        )
    return Interval(low, high)


def resampled(groups: int, *, seed: int, draws: int) -> Iterator[Float64[np.ndarray, "block groups"]]:
    """Yield, in blocks of draws, how often each group is drawn when all groups are resampled with replacement.

    Raises:
        MeasureError: there is only one group, so that all draws would be equal.
    """
    if groups < 2:
        raise MeasureError(
            f"bootstrap: an interval needs at least 2 groups (speakers, else recordings), got {groups}; "
            "measure recordings of more"
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
    """Return the cluster-bootstrap interval of the mean of `values`, resampling whole groups.

    The clips of one speaker are correlated, so resampling single clips would give too narrow an interval.

    Args:
        values: One number per item, such as 1 if it was recognised and 0 if not.
        groups: The group of each item, such as its speaker.
        seed: Equal seeds give equal intervals.
        draws: Number of bootstrap draws.
        level: Confidence level, 0 to 1.

    Returns:
        The percentile interval, or why there is none; see `interval_of`.

    Raises:
        MeasureError: values and groups differ in number, a value is not finite, or draws or level are out of range.

    Example:
        >>> bootstrap_interval(np.arange(6.0), np.array(["a", "b", "c", "d", "e", "f"]), seed=0, level=0.5)
        Interval(low=2.0, high=3.0, reason='')
    """
    if values.shape != groups.shape:
        raise MeasureError(f"bootstrap: {len(values)} values for {len(groups)} groups; give the group of each value")
    check_number("draws", draws, 1, MOST_DRAWS, whole=True, error=MeasureError)
    check_number("level", level, 0, 1, error=MeasureError)
    bad = int((~np.isfinite(values)).sum())
    if bad:
        raise MeasureError(
            f"bootstrap: {bad} of {worded(len(values), 'value')} {are(bad)} NaN or infinite; leave them out"
        )
    _, codes = np.unique(groups, return_inverse=True)
    if codes.max(initial=0) + 1 < FEWEST_GROUPS:
        return interval_of(np.empty(0), int(codes.max(initial=-1)) + 1)
    sums, counts = np.bincount(codes, weights=values), np.bincount(codes).astype(np.float64)
    means = [(weights @ sums) / (weights @ counts) for weights in resampled(len(sums), seed=seed, draws=draws)]
    return interval_of(np.concatenate(means), len(sums), level=level)


def percentiles(draws: Float64[np.ndarray, " draws"], *, level: float) -> tuple[float, float]:
    """Return the two percentiles that enclose the middle `level` (0 to 1) of the draws."""
    low, high = np.quantile(draws, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def paired_draws(
    values: Float64[np.ndarray, " _"], others: Float64[np.ndarray, " _"], groups: int, *, level: float = 0.95
) -> Interval:
    """Return the interval of a difference of two metrics, each evaluated on the same draws; NaN draws are ignored.

    For metrics that are not means over items, such as an equal error rate.

    Example:
        >>> paired_draws(np.array([3.0, 2.0, np.nan]), np.array([1.0, 1.0, 1.0]), 5, level=0.5)
        Interval(low=1.25, high=1.75, reason='')
    """
    if values.shape != others.shape:
        raise MeasureError(f"pairs: wanted the same draws twice, got {len(values)} and {len(others)}")
    return interval_of(values - others, groups, level=level)


def draws_and_groups(
    values: Float64[np.ndarray, "draws items"], groups: Shaped[np.ndarray, " items"], *, draws: int = 1000
) -> Float64[np.ndarray, " resampled"] | None:
    """Return the mean of `values` when groups and draws of labels are both resampled with replacement.

    Resample d holds the same groups and draws for all values of one shape, so that differences are paired.

    Args:
        values: A number for each draw of labels and item.
        groups: The group of each item, such as its speaker.
        draws: Number of resamples.

    Returns:
        None if there are fewer than `FEWEST_GROUPS` groups.
    """
    names, codes = np.unique(groups, return_inverse=True)
    if len(names) < FEWEST_GROUPS:
        return None
    sums = np.stack([np.bincount(codes, weights=row) for row in values])
    counts = np.bincount(codes).astype(np.float64)
    blocks = resampled(len(names), seed=DRAWN_BY, draws=draws)
    # (resamples, draws of labels)
    means = np.concatenate([weights @ sums.T / (weights @ counts)[:, None] for weights in blocks])
    if len(values) == 1:
        return np.asarray(means[:, 0])
    often = generator(DRAWN_BY, "label draws").multinomial(len(values), np.full(len(values), 1 / len(values)), draws)
    return np.asarray((means * often).sum(axis=1) / len(values))
