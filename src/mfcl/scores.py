"""Figures from decisions and scores: accuracy, confusion, EER, minDCF, and intervals over groups such as speakers."""

from collections.abc import Iterator

import numpy as np
from jaxtyping import Bool, Float, Float64, Int64, Shaped

from mfcl.errors import MeasureError
from mfcl.seeds import generator

DRAWS_AT_ONCE = 128  # bounds the memory of a bootstrap over many groups


def check_measurable(
    vectors: Shaped[np.ndarray, "..."], labels: Shaped[np.ndarray, "..."], *, what: str = "recordings"
) -> None:
    """Raise one clear line if vectors and their labels cannot be measured.

    Args:
        vectors: One row an item.
        labels: One value an item; an empty string means that it is missing.
        what: What the items are called in the message.

    Raises:
        MeasureError: there are no items, the counts differ, a number is NaN or infinite, or a label is missing.
    """
    if vectors.ndim != 2 or not vectors.size:
        raise MeasureError(
            f"{what}: vectors of shape (items, dim) are wanted, but came {vectors.shape}; give at least one item"
        )
    if labels.shape != vectors.shape[:1]:
        raise MeasureError(
            f"{what}: {len(vectors)} vectors, but labels of shape {labels.shape}; give one label an item"
        )
    bad = np.flatnonzero(~np.isfinite(vectors).all(axis=1))
    if len(bad):
        raise MeasureError(
            f"{what}: {len(bad)} of {len(vectors)} vectors hold NaN or infinity (the first is number {bad[0]}); "
            "leave them out"
        )
    missing = np.flatnonzero(labels == "") if labels.dtype.kind in "UO" else np.empty(0)
    if len(missing):
        raise MeasureError(
            f"{what}: {len(missing)} of {len(labels)} have no label (the first is number {missing[0]}); leave them out"
        )


def accuracy(predictions: Shaped[np.ndarray, " _"], truth: Shaped[np.ndarray, " _"]) -> float:
    """Return the share of predictions that are right, 0 to 1.

    Raises:
        MeasureError: there is nothing to score, or the counts differ.

    Example:
        >>> accuracy(np.array(["a", "b"]), np.array(["a", "a"]))
        0.5
    """
    if len(truth) == 0 or predictions.shape != truth.shape:
        raise MeasureError(
            f"accuracy: {len(predictions)} predictions for {len(truth)} items; give one an item, and at least one"
        )
    return float(np.mean(predictions == truth))


def confusion(
    predictions: Shaped[np.ndarray, " items"],
    truth: Shaped[np.ndarray, " items"],
    classes: Shaped[np.ndarray, " classes"],
) -> Int64[np.ndarray, "classes classes"]:
    """Count how often each true class (row) was called each class (column).

    Raises:
        MeasureError: a value is none of the classes.

    Example:
        >>> confusion(np.array(["a", "b"]), np.array(["a", "a"]), np.array(["a", "b"])).tolist()
        [[1, 1], [0, 0]]
    """
    order = np.argsort(classes, kind="stable")
    codes = []
    for values in (truth, predictions):
        places = np.searchsorted(classes, values, sorter=order).clip(max=len(classes) - 1)
        if (unknown := values[classes[order[places]] != values]).size:
            raise MeasureError(
                f"confusion: {str(unknown[0])!r} is none of the {len(classes)} classes; give all classes"
            )
        codes.append(order[places])
    counts = np.bincount(codes[0] * len(classes) + codes[1], minlength=len(classes) ** 2)
    return counts.reshape(len(classes), len(classes)).astype(np.int64)


def error_rates(
    scores: Float[np.ndarray, " pairs"], same: Bool[np.ndarray, " pairs"]
) -> tuple[Float64[np.ndarray, " thresholds"], Float64[np.ndarray, " thresholds"]]:
    """Return the false-accept and false-reject rate at every threshold that tells scores apart, strictest first.

    Args:
        scores: Higher means more alike.
        same: Whether a pair is of one speaker.

    Raises:
        MeasureError: one of the two kinds of pair is absent, or a score is NaN or infinite.
    """
    same_count = int(same.sum())
    if same_count in (0, len(same)):
        kind = "equal" if same_count == 0 else "different"
        raise MeasureError(
            f"error rates: none of the {len(same)} pairs is of {kind} speakers; give pairs of both kinds"
        )
    if not np.isfinite(scores).all():
        raise MeasureError(f"error rates: some of the {len(scores)} scores are NaN or infinite; leave those pairs out")
    order = np.argsort(-scores, kind="stable")
    falling = scores[order]
    ends = np.append(np.flatnonzero(falling[1:] != falling[:-1]), len(falling) - 1)  # equal scores fall together
    accepted_same = np.cumsum(same[order])[ends]
    accepted_other = ends + 1 - accepted_same
    false_accept = np.concatenate([[0.0], accepted_other / (len(same) - same_count)])
    false_reject = 1.0 - np.concatenate([[0.0], accepted_same / same_count])
    return false_accept, false_reject


def accept_rates(counts: Float64[np.ndarray, "draws bins"]) -> Float64[np.ndarray, "draws thresholds"]:
    """Return the share of counted scores at or above each threshold, strictest first: from none to all."""
    accepted = np.cumsum(counts[:, ::-1], axis=1) / counts.sum(axis=1, keepdims=True)
    return np.hstack([np.zeros((len(counts), 1)), accepted])


def crossing(
    false_accept: Float64[np.ndarray, "*rows thresholds"], false_reject: Float64[np.ndarray, "*rows thresholds"]
) -> Float64[np.ndarray, "*rows"]:
    """Return the rate at which both errors are equal, on the straight line between the two thresholds around it."""
    gap = false_accept - false_reject  # rises from -1 to 1
    after = np.argmax(gap >= 0, axis=-1, keepdims=True)
    low, high = (np.take_along_axis(gap, after - step, axis=-1) for step in (1, 0))
    start, end = (np.take_along_axis(false_accept, after - step, axis=-1) for step in (1, 0))
    rates: Float64[np.ndarray, "*rows"] = (start + (end - start) * -low / (high - low))[..., 0]
    return rates


def equal_error_rate(scores: Float[np.ndarray, " pairs"], same: Bool[np.ndarray, " pairs"]) -> float:
    """Return the error rate at the threshold where as many wrong pairs pass as right pairs fail, 0 to 1.

    Exact: every threshold is tried, and the rate lies on the straight line between the two around the crossing.

    Example:
        >>> equal_error_rate(np.array([0.9, 0.4, 0.6, 0.1]), np.array([True, True, False, False]))
        0.5
    """
    return float(crossing(*error_rates(scores, same)))


def min_dcf(scores: Float[np.ndarray, " pairs"], same: Bool[np.ndarray, " pairs"], *, target: float = 0.01) -> float:
    """Return the lowest detection cost of any threshold, as a share of always (or never) accepting.

    Both errors cost 1.

    Args:
        scores: Higher means more alike.
        same: Whether a pair is of one speaker.
        target: How often a pair in use is of one speaker, between 0 and 1.

    Example:
        >>> min_dcf(np.array([0.9, 0.1]), np.array([True, False]))
        0.0
    """
    return lowest_cost(*error_rates(scores, same), target=target)


def lowest_cost(
    false_accept: Float64[np.ndarray, " thresholds"], false_reject: Float64[np.ndarray, " thresholds"], *, target: float
) -> float:
    """Return minDCF from the error rates at every threshold; see `min_dcf`."""
    if not 0 < target < 1:
        raise MeasureError(f"minDCF: the share of true pairs lies between 0 and 1, but came {target}; 0.01 is usual")
    costs = target * false_reject + (1 - target) * false_accept
    return float(costs.min() / min(target, 1 - target))


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
