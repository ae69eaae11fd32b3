"""Chart data from results: confusion matrix, accuracy by group, DET curve, 2D map. No classifier is fitted here."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Float64

from mfcl.embeddings.projection import MOST, drawn, lay_out_each, reduced
from mfcl.embeddings.table import Embeddings
from mfcl.errors import MeasureError
from mfcl.evaluation import metrics as scores
from mfcl.evaluation.result import Result
from mfcl.evaluation.tasks.labelled_rows import ALONE
from mfcl.evaluation.wording import task


def confusion(result: Result, label: str) -> dict[str, Any]:
    """Return the confusion matrix: how often each true class (row) was predicted as each class (column).

    Args:
        result: A result with predictions: a linear probe with all labels, or kNN.
        label: The name of what was predicted.

    Raises:
        MeasureError: the result holds no predictions.
    """
    truth, predicted = _wanted(result, "truth"), _wanted(result, "predicted")
    classes = np.array(_sorted(np.union1d(truth, predicted)))
    counts = scores.confusion(predicted, truth, classes)
    return {"label": label, "classes": classes.tolist(), "counts": counts.tolist()}


def by_group(result: Result, label: str, by: str) -> dict[str, Any]:
    """Return the accuracy of each group in percent; recordings without a speaker are one of them, called "".

    Args:
        result: A result with per-item correctness.
        label: The name of what was predicted.
        by: The name of the groups' column, such as `speaker`.

    Raises:
        MeasureError: the result has no per-item correctness.
    """
    correct, groups = _wanted(result, "correct"), _wanted(result, "groups")
    groups = groups.astype(np.str_)
    names, codes = np.unique(np.where(np.char.startswith(groups, ALONE), "", groups), return_inverse=True)
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
    """Return the DET curve of verification with enrolled clips: error rates (0 to 1), strictest threshold first.

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


def unplaced(
    embeddings: Embeddings, labels: Sequence[str], *, seed: int, most: int = MOST, others: int = 0
) -> tuple[dict[str, Any], Float64[np.ndarray, "chosen kept"]]:
    """Return what a map of the test split, or of all splits together, shows, and the vectors that it is to be made of.

    Args:
        embeddings: All splits; the train split is used for whitening.
        labels: Label columns to include, to colour the map by.
        seed: Seed of the draw of recordings if there are more than wanted.
        most: Most test recordings of the map.
        others: Most recordings of the other splits; 0 leaves them out.

    Returns:
        `ids`, `labels`, and with `others` also `splits`, each with one entry per point, test recordings first; and the
        points in few dimensions.

    Raises:
        MeasureError: there is no test split, or no such label.
    """
    test = np.flatnonzero(embeddings.splits == "test")
    rest = np.flatnonzero((embeddings.splits != "test") & (embeddings.splits != "")) if others else test[:0]
    sides = [part[drawn(len(part), count, seed=seed)] for part, count in ((test, most), (rest, others)) if len(part)]
    chosen = np.concatenate([test[:0], *sides])
    told = {
        "ids": embeddings.ids[chosen].tolist(),
        "labels": {name: embeddings.label(name)[chosen].tolist() for name in labels},
        **({"splits": embeddings.splits[chosen].tolist()} if others else {}),
    }
    return told, reduced(embeddings.whitened[chosen])


def placed(maps: Sequence[tuple[dict[str, Any], Float64[np.ndarray, "_ _"]]], *, seed: int) -> list[dict[str, Any]]:
    """Return maps with the places of their points, `x` and `y`, by t-SNE; several are laid out at the same time."""
    places = [one.astype(np.float64).round(3) for one in lay_out_each([vectors for _, vectors in maps], seed=seed)]
    return [
        {"ids": told["ids"], "x": at[:, 0].tolist(), "y": at[:, 1].tolist(), **told}
        for (told, _), at in zip(maps, places, strict=True)
    ]


def _wanted(result: Result, name: str) -> Any:
    found = getattr(result.evidence, name, None)
    if found is None:
        raise MeasureError(f"picture: wanted a result with {name!r}, but {task(result.question)!r} has none")
    return found


def _sorted(values: np.ndarray) -> list[str]:
    """Sort names, numerically if all are whole numbers.

    Example:
        >>> _sorted(np.array(["10", "9"]))
        ['9', '10']
    """
    numbers = all(str(value).isdecimal() for value in values)
    return sorted(values.tolist(), key=lambda value: (int(value) if numbers else 0, str(value)))
