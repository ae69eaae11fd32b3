"""Metrics of decisions and scores: accuracy, confusion matrix, EER, minDCF, average precision."""

import numpy as np
from jaxtyping import Bool, Float, Float64, Int64, Shaped

from mfcl.errors import MeasureError


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
            f"accuracy: {len(predictions)} predictions for {len(truth)} items; give one per item, and at least one"
        )
    return float(np.mean(predictions == truth))


def confusion(
    predictions: Shaped[np.ndarray, " items"],
    truth: Shaped[np.ndarray, " items"],
    classes: Shaped[np.ndarray, " classes"],
) -> Int64[np.ndarray, "classes classes"]:
    """Count how often each true class (row) was predicted as each class (column).

    Raises:
        MeasureError: a value is not among the classes.

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
    """Return the false-accept and false-reject rates at every distinct threshold, strictest first.

    Args:
        scores: Similarity of each pair; higher means more similar.
        same: Whether both clips of a pair are of one speaker.

    Raises:
        MeasureError: there are no same-speaker or no different-speaker pairs, or a score is NaN or infinite.
    """
    same_count = int(same.sum())
    if same_count in (0, len(same)):
        kind = "equal" if same_count == 0 else "different"
        raise MeasureError(
            f"error rates: none of the {len(same)} pairs is of {kind} speakers; give pairs of both kinds"
        )
    if not np.isfinite(scores).all():
        raise MeasureError(f"error rates: some of the {len(scores)} scores are NaN or infinite; leave those pairs out")
    accepted, accepted_same = _accepted(scores, same)
    accepted_other = accepted - accepted_same
    false_accept = np.concatenate([[0.0], accepted_other / (len(same) - same_count)])
    false_reject = 1.0 - np.concatenate([[0.0], accepted_same / same_count])
    return false_accept, false_reject


def average_precision(scores: Float[np.ndarray, " pairs"], same: Bool[np.ndarray, " pairs"]) -> float:
    """Return the mean precision over the pairs that are the same, each at the threshold that just accepts it, 0 to 1.

    It is the area under the curve of precision against recall, by steps. Equal scores share one threshold, so the order
    of the pairs does not matter. Scores that tell nothing have the share of same pairs.

    Args:
        scores: Similarity of each pair; higher means more similar.
        same: Whether both clips of a pair are the same in what is asked.

    Raises:
        MeasureError: there are no same or no different pairs, or a score is NaN or infinite.

    Example:
        >>> average_precision(np.array([0.9, 0.8, 0.1]), np.array([True, False, True])) == (1 / 1 + 2 / 3) / 2
        True
    """
    count = int(same.sum())
    if count in (0, len(same)):
        kind = "same" if count == 0 else "different"
        raise MeasureError(f"average precision: none of the {len(same)} pairs is {kind}; give pairs of both kinds")
    if not np.isfinite(scores).all():
        raise MeasureError(
            f"average precision: some of the {len(scores)} scores are NaN or infinite; leave those pairs out"
        )
    accepted, accepted_same = _accepted(scores, same)
    found = np.diff(accepted_same, prepend=0)  # same pairs that each threshold adds
    return float((found * accepted_same / accepted).sum() / count)


def _accepted(
    scores: Float[np.ndarray, " pairs"], same: Bool[np.ndarray, " pairs"]
) -> tuple[Int64[np.ndarray, " thresholds"], Int64[np.ndarray, " thresholds"]]:
    """Return the pairs accepted at every distinct threshold, strictest first: all of them, and those that are same."""
    order = np.argsort(-scores, kind="stable")
    falling = scores[order]
    ends = np.append(np.flatnonzero(falling[1:] != falling[:-1]), len(falling) - 1)  # equal scores share one threshold
    return ends + 1, np.cumsum(same[order])[ends]


def accept_rates(counts: Float64[np.ndarray, "draws bins"]) -> Float64[np.ndarray, "draws thresholds"]:
    """Return the share of scores at or above each threshold, strictest first, from histograms of the scores."""
    accepted = np.cumsum(counts[:, ::-1], axis=1) / counts.sum(axis=1, keepdims=True)
    return np.hstack([np.zeros((len(counts), 1)), accepted])


def crossing(
    false_accept: Float64[np.ndarray, "*rows thresholds"], false_reject: Float64[np.ndarray, "*rows thresholds"]
) -> Float64[np.ndarray, "*rows"]:
    """Return the equal error rate, interpolated linearly between the two thresholds around it."""
    gap = false_accept - false_reject  # rises from -1 to 1
    after = np.argmax(gap >= 0, axis=-1, keepdims=True)
    low, high = (np.take_along_axis(gap, after - step, axis=-1) for step in (1, 0))
    start, end = (np.take_along_axis(false_accept, after - step, axis=-1) for step in (1, 0))
    rates: Float64[np.ndarray, "*rows"] = (start + (end - start) * -low / (high - low))[..., 0]
    return rates


def equal_error_rate(scores: Float[np.ndarray, " pairs"], same: Bool[np.ndarray, " pairs"]) -> float:
    """Return the error rate at the threshold where false-accept and false-reject rates are equal, 0 to 1.

    All thresholds are used; the rate is interpolated linearly between the two around the crossing.

    Example:
        >>> equal_error_rate(np.array([0.9, 0.4, 0.6, 0.1]), np.array([True, True, False, False]))
        0.5
    """
    return float(crossing(*error_rates(scores, same)))


def min_dcf(scores: Float[np.ndarray, " pairs"], same: Bool[np.ndarray, " pairs"], *, target: float = 0.01) -> float:
    """Return minDCF: the lowest detection cost over thresholds, relative to always (or never) accepting.

    Both errors cost 1.

    Args:
        scores: Similarity of each pair; higher means more similar.
        same: Whether both clips of a pair are of one speaker.
        target: Prior probability that a pair is of one speaker, between 0 and 1.

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
        raise MeasureError(f"minDCF: wanted a share of same-speaker pairs between 0 and 1, got {target}; 0.01 is usual")
    costs = target * false_reject + (1 - target) * false_accept
    return float(costs.min() / min(target, 1 - target))
