"""Figures as the data of pictures: which class is taken for which, who is told well, errors at thresholds, maps.

What a measure found is drawn again; no classifier is fitted here.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from mfcl.embeddings.projection import MOST, drawn, project_2d
from mfcl.embeddings.table import Embeddings
from mfcl.errors import MeasureError
from mfcl.evaluation import metrics as scores
from mfcl.evaluation.result import Result
from mfcl.evaluation.wording import task


def confusion(result: Result, label: str) -> dict[str, Any]:
    """Return how often each class (a row) was called each class (a column).

    Args:
        result: One with predictions: a linear probe of all labels, or kNN.
        label: The name of what was predicted.

    Raises:
        MeasureError: the result holds no predictions.
    """
    truth, predicted = _wanted(result, "truth"), _wanted(result, "predicted")
    classes = np.array(_sorted(np.union1d(truth, predicted)))
    counts = scores.confusion(predicted, truth, classes)
    return {"label": label, "classes": classes.tolist(), "counts": counts.tolist()}


def by_group(result: Result, label: str, by: str) -> dict[str, Any]:
    """Return the accuracy of each group's items, in percent.

    Args:
        result: One with items that are right or wrong.
        label: The name of what was predicted.
        by: What the groups are, such as `speaker`.

    Raises:
        MeasureError: the result is not about single items.
    """
    correct, groups = _wanted(result, "correct"), _wanted(result, "groups")
    names, codes = np.unique(groups, return_inverse=True)
    counts = np.bincount(codes)
    accuracy = 100 * np.bincount(codes, weights=correct) / counts
    return {
        "label": label,
        "by": by,
        "names": names.tolist(),
        "accuracy": accuracy.round(3).tolist(),
        "n": counts.tolist(),
    }


def det(result: Result) -> dict[str, Any]:
    """Return the errors of verification with enrolled clips at thresholds from the strictest on, shares of 1.

    Raises:
        MeasureError: the result is not of verification with enrolled clips.
    """
    curve = _wanted(result, "curve")
    return {
        "clips": result.question.enrolled,
        "false_accept": curve.false_accept.round(6).tolist(),
        "false_reject": curve.false_reject.round(6).tolist(),
        "eer": result.value,
    }


def points(embeddings: Embeddings, labels: Sequence[str], *, seed: int, most: int = MOST) -> dict[str, Any]:
    """Return a map of the test part: where each recording lies in the plane, and its labels to colour it by.

    Args:
        embeddings: Of all parts; the training part only whitens.
        labels: Those to be shown.
        seed: Draws the recordings, where there are more than `most`, and begins the descent; see
            `mfcl.embeddings.projection`.
        most: Points of the map.

    Raises:
        MeasureError: there is no test part, or no such label.
    """
    test = np.flatnonzero(embeddings.splits == "test")
    chosen = test[drawn(len(test), most, seed=seed)]
    placed = project_2d(embeddings.whitened[chosen], seed=seed).astype(np.float64).round(3)
    return {
        "ids": embeddings.ids[chosen].tolist(),
        "x": placed[:, 0].tolist(),
        "y": placed[:, 1].tolist(),
        "labels": {name: embeddings.label(name)[chosen].tolist() for name in labels},
    }


def _wanted(result: Result, name: str) -> Any:
    found = getattr(result.evidence, name, None)
    if found is None:
        raise MeasureError(f"picture: a result with {name!r} is wanted, but {task(result.question)!r} has none")
    return found


def _sorted(values: np.ndarray) -> list[str]:
    """Return names in order, numbers by their size.

    Example:
        >>> _sorted(np.array(["10", "9"]))
        ['9', '10']
    """
    numbers = all(str(value).isdecimal() for value in values)
    return sorted(values.tolist(), key=lambda value: (int(value) if numbers else 0, str(value)))
