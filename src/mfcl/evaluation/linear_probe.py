"""Linear probe: accuracy of a linear classifier on frozen embeddings, with all labels."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Bool, Float, Shaped

from mfcl.embeddings.linalg import check_measurable
from mfcl.errors import MeasureError
from mfcl.evaluation.metrics import accuracy
from mfcl.labelling.logistic import LinearClassifier, fit_classifiers

STRENGTHS = (0.1, 1.0, 10.0, 100.0, 1000.0, 10_000.0)

Labelled = tuple[Float[np.ndarray, "_ _"], Shaped[np.ndarray, " _"]]


@dataclass(frozen=True)
class ProbeResult:
    """Test result of a linear probe."""

    accuracy: float
    """Test accuracy, 0 to 1."""
    strength: float
    """The L2 strength with the best validation accuracy."""
    valid_accuracy: float
    """Validation accuracy at that strength, fitted on the training items alone, 0 to 1."""
    predictions: Shaped[np.ndarray, " items"]
    correct: Bool[np.ndarray, " items"]
    """Whether each test item was predicted correctly, for intervals over speakers."""
    seconds: float
    classifier: LinearClassifier = field(repr=False, compare=False)
    """The tested classifier, to predict other items with."""


def linear_probe(
    train: Labelled,
    valid: Labelled,
    test: Labelled,
    *,
    strengths: Sequence[float] = STRENGTHS,
    refit: bool = True,
    together: Labelled | None = None,
) -> ProbeResult:
    """Fit a linear classifier on frozen vectors and score it on test items.

    The L2 strength with the best validation accuracy is chosen; ties go to the strongest. Then the classifier is
    refitted on training and validation items together. Features are standardised by the items that it is fitted on.

    Args:
        train: Vectors and labels to fit on.
        valid: Vectors and labels of other speakers, to choose the strength.
        test: Vectors and labels to score; used for nothing else.
        strengths: L2 strengths to try: the loss is the sum of the cross-entropies plus strength / 2 times the squared
            weights (scikit-learn's `1 / C`).
        refit: Refit on training and validation items; if False, score the classifier of the training items.
        together: Training and validation items in one table, in this order, if the caller has one; default: a copy.

    Raises:
        MeasureError: a validation or test class has no training item, or vectors or labels cannot be used.
    """
    begin = time.perf_counter()
    check_splits(train, valid, test)
    fitted = fit_classifiers(*train, standard=train[0], strengths=strengths)
    strength, valid_accuracy = choose_strength(fitted, valid)
    if refit:
        every, labels = together or (np.concatenate(pair) for pair in zip(train, valid, strict=True))
        fitted = fit_classifiers(every, labels, standard=every, strengths=[strength])
    predictions = fitted[strength].predict(test[0])
    return ProbeResult(
        accuracy=accuracy(predictions, test[1]),
        strength=strength,
        valid_accuracy=valid_accuracy,
        predictions=predictions,
        correct=predictions == test[1],
        seconds=time.perf_counter() - begin,
        classifier=fitted[strength],
    )


def choose_strength(fitted: dict[float, LinearClassifier], valid: Labelled) -> tuple[float, float]:
    """Return the strength with the best validation accuracy (ties go to the strongest), and that accuracy."""
    shares = {strength: accuracy(fitted[strength].predict(valid[0]), valid[1]) for strength in sorted(fitted)[::-1]}
    best = max(shares, key=lambda strength: shares[strength])
    return best, shares[best]


def check_splits(train: Labelled, valid: Labelled, test: Labelled) -> None:
    """Check that the three splits have finite vectors of one size, and no class that `train` lacks."""
    for what, (vectors, labels) in (("train", train), ("valid", valid), ("test", test)):
        check_measurable(vectors, labels, what=f"probe, {what}")
        if vectors.shape[1] != train[0].shape[1]:
            raise MeasureError(
                f"probe: wanted {what} vectors of {train[0].shape[1]} values like train's, got "
                f"{vectors.shape[1]}; embed all with one checkpoint"
            )
        unknown = np.setdiff1d(labels, train[1])
        if len(unknown):
            raise MeasureError(
                f"probe: class {str(unknown[0])!r} is in {what} but not in train; label some of it or leave it out"
            )
