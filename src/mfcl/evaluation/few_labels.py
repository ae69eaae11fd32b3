"""Linear probes on few labels: many draws of labels and L2 strengths fitted at once.

With few items it is faster to search for one coefficient an item and class than for the weights: the classifier's
weights are `features.T @ coefficients`, and its scores need only the products of the items with one another. Draws of
one size are one stack of such products, and the folds of their cross-validation are more columns of it.
"""

import time
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Bool, Float, Float32, Float64, Int64, Shaped

from mfcl.core.random import generator
from mfcl.data.labels import few_labels
from mfcl.embeddings.linalg import check_measurable, moments
from mfcl.errors import MeasureError
from mfcl.evaluation.linear_probe import Labelled, check_splits
from mfcl.labelling.logistic import LinearClassifier, fit_classifiers

SHARES = (0.1, 0.01, 1.0)
"""L2 strengths to try, as multiples of the mean squared length of a standardised vector; ties go to the earlier."""
FIXED_SHARE = 0.1
"""The strength where there are too few labels to choose one: fewer than two of a class on average."""
FOLDS = 3
DRAWS = 5
STEPS = 200
"""Most steps of a fit; 10 to 60 are needed."""
MOMENTUM = 0.75
"""Share of the step before that is kept."""
MOST_AT_ONCE = 600
"""Most known items of a draw that are fitted by their products with one another; the time grows with their square."""
TOLERANCE = 2e-3
"""A fit ends when every coefficient is so near to its fixed point, in units of a probability."""


@dataclass(frozen=True)
class FewLabelResult:
    """Test result of linear probes fitted on a few labels, over several draws of those labels."""

    accuracy: float
    """Test accuracy, 0 to 1, mean over draws."""
    accuracies: tuple[float, ...]
    """Test accuracy of each draw."""
    per_class: int
    """Labels per class."""
    rights: Bool[np.ndarray, "draws items"]
    """Whether each test item was predicted correctly in each draw, for intervals over speakers and draws."""
    seconds: float
    classifiers: tuple[LinearClassifier, ...] = field(repr=False, compare=False)
    """The classifier of each draw, to predict other items with."""


def few_label_probe(
    train: Labelled, test: Labelled, per_class: int, *, seed: int, draws: int = DRAWS
) -> FewLabelResult:
    """Fit on `per_class` labelled training items of each class and score on the test items, over several draws.

    No other label is used: the strength is chosen with the drawn labels alone; see `few_label_classifiers`.

    Raises:
        MeasureError: a class has fewer training items, a test class has none, or vectors cannot be used.
    """
    begin = time.perf_counter()
    check_splits(train, train, test)
    drawn = [few_labels(train[1], per_class, seed=seed, draw=draw) for draw in range(draws)]
    classifiers = few_label_classifiers(train[0], train[1], np.stack(drawn), seed=seed)
    rights = np.stack([classifier.predict(test[0]) == test[1] for classifier in classifiers])
    shares = tuple(float(right.mean()) for right in rights)
    seconds = time.perf_counter() - begin
    return FewLabelResult(float(np.mean(shares)), shares, per_class, rights, seconds, tuple(classifiers))


def few_label_classifiers(
    vectors: Float[np.ndarray, "items dim"],
    labels: Shaped[np.ndarray, " items"],
    drawn: Int64[np.ndarray, "draws known"],
    *,
    seed: int,
) -> list[LinearClassifier]:
    """Return a logistic regression for each draw of known labels; the other labels are not looked at.

    Features are standardised by all vectors, since that needs no labels. The L2 strength of each draw is chosen by
    cross-validation within its own labels (ties go to the first of `SHARES`); with fewer than two labels a class on
    average it is `FIXED_SHARE`. The bias is penalised like a weight: the frequencies of so few labels say little.

    Args:
        vectors: Vectors of all training items.
        labels: Their labels; only those of `drawn` are used.
        drawn: For each draw the indices of its known items.
        seed: Seed of the folds.

    Raises:
        MeasureError: vectors cannot be used, or all labels of a draw are of one class.
    """
    check_measurable(vectors, np.ones(len(vectors)), what="probe, few labels")
    mean, deviation = moments(vectors)
    deviation[deviation < 1e-6 * np.maximum(np.abs(mean), 1e-6)] = np.inf  # constant features become 0
    known = labels[drawn]
    names, flat = np.unique(known, return_inverse=True)
    codes = flat.reshape(known.shape)
    for own in codes:
        if (own == own[0]).all():
            raise MeasureError(
                f"probe: wanted labels of at least 2 classes, but all {len(own)} are {str(names[own[0]])!r}"
            )
    scale = max(1.0, float(np.isfinite(deviation).sum()))  # 1: a part that was not fitted is zero
    if drawn.shape[1] > MOST_AT_ONCE:
        return [_alone(vectors, labels, own, scale, seed) for own in drawn]

    def features(own: Int64[np.ndarray, " known"]) -> Float32[np.ndarray, "known dim"]:
        """Return the features of one draw: those of all draws together would be several times all vectors."""
        exact = vectors[own] - mean
        exact /= deviation
        single: Float32[np.ndarray, "known dim"] = exact.astype(np.float32)
        return single

    products = np.stack([(rows := features(own)) @ rows.T for own in drawn])
    products += np.float32(1)  # the bias is a feature that is 1 everywhere
    fit = _Fits(products, np.eye(len(names), dtype=np.float32)[codes])
    chosen = _chosen_shares(fit, codes, len(names), scale, seed)
    everything = np.ones((len(drawn), 1, drawn.shape[1]), dtype=np.bool_)
    coefficients = fit.solve(everything, chosen * scale)[:, 0]
    exact = coefficients.astype(np.float64)
    by_class = np.stack([one.T @ features(own) for own, one in zip(drawn, exact, strict=True)])
    weights = by_class.transpose(0, 2, 1) / deviation[:, None]  # (draws, dim, classes)
    bias = coefficients.sum(axis=1) - mean @ weights
    found = []
    for draw, own in enumerate(codes):  # a class without a label in this draw cannot be predicted
        held = np.unique(own)
        found.append(LinearClassifier(weights[draw][:, held], bias[draw][held], names[held]))
    return found


def _alone(
    vectors: Float[np.ndarray, "items dim"],
    labels: Shaped[np.ndarray, " items"],
    own: Int64[np.ndarray, " known"],
    scale: float,
    seed: int,
) -> LinearClassifier:
    """Return the classifier of one draw of many labels, by the solver of all labels, which does not penalise the bias.

    The products of so many items with one another would be larger than their features.
    """
    known = labels[own]
    fold = _folds(np.unique(known, return_inverse=True)[1], seed)
    strengths = [share * scale for share in SHARES]
    right = np.zeros(len(strengths))
    for part in range(FOLDS):
        inside = fold == part
        fitted = fit_classifiers(vectors[own[~inside]], known[~inside], standard=vectors, strengths=strengths)
        held = vectors[own[inside]]
        right += [float((fitted[one].predict(held) == known[inside]).sum()) for one in strengths]
    best = strengths[int(right.argmax())]
    return fit_classifiers(vectors[own], known, standard=vectors, strengths=[best])[best]


def _chosen_shares(
    fit: "_Fits", codes: Int64[np.ndarray, "draws known"], classes: int, scale: float, seed: int
) -> Float64[np.ndarray, " draws"]:
    """Return the strength of each draw, chosen by cross-validation within its labels."""
    draws, known = codes.shape
    if known < 2 * classes:
        return np.full(draws, FIXED_SHARE)
    fold = np.stack([_folds(own, seed) for own in codes])
    fitted = fold[:, None, :] != np.arange(FOLDS)[:, None]  # (draws, folds, known)
    right = {}
    start = None
    for share in sorted(SHARES, reverse=True):  # strongest first: its solution is nearest to the zero start
        start = fit.solve(fitted, np.full(draws, share * scale), start)
        predicted = (fit.products[:, None] @ start).argmax(axis=-1)  # (draws, folds, known)
        right[share] = ((predicted == codes[:, None]) & ~fitted).sum(axis=(1, 2))
    best = np.stack([right[share] for share in SHARES]).argmax(axis=0)
    return np.asarray(np.array(SHARES)[best], dtype=np.float64)


def _folds(codes: Int64[np.ndarray, " known"], seed: int) -> Int64[np.ndarray, " known"]:
    """Assign items to folds, each class evenly."""
    shuffled = generator(seed, "few folds").permutation(len(codes))
    fold = np.empty(len(codes), dtype=np.int64)
    fold[shuffled[np.argsort(codes[shuffled], kind="stable")]] = np.arange(len(codes)) % FOLDS
    return fold


@dataclass(frozen=True)
class _Fits:
    """Logistic regressions on several draws of items.

    Attributes:
        products: Products of the features of each draw's items.
        truth: One-hot labels.
    """

    products: Float32[np.ndarray, "draws known known"]
    truth: Float32[np.ndarray, "draws known classes"]

    def solve(
        self,
        used: Bool[np.ndarray, "draws tasks known"],
        strengths: Float64[np.ndarray, " draws"],
        start: Float32[np.ndarray, "draws tasks known classes"] | None = None,
    ) -> Float32[np.ndarray, "draws tasks known classes"]:
        """Return the coefficients of each task, a task being a fit on some of the draw's items.

        The loss is the sum of the cross-entropies plus strength / 2 times the squared weights. A step divides the
        gradient by an upper bound of the curvature, half the products plus the strength, and keeps some of the step
        before.

        Source: Boehning, "Multinomial logistic regression algorithm", 1992, for the bound; Nesterov, "Introductory
        lectures on convex optimization", 2004, scheme 2.2.11, for the momentum.
        """
        draws, tasks, known = used.shape
        classes = self.truth.shape[-1]
        counted = used[..., None].astype(np.float32)
        strength = strengths.astype(np.float32)[:, None, None]
        inverse = np.linalg.inv(0.5 * self.products + strength * np.eye(known, dtype=np.float32))

        def across(
            table: Float32[np.ndarray, "draws known known"], values: Float32[np.ndarray, "draws tasks known classes"]
        ) -> Float32[np.ndarray, "draws tasks known classes"]:
            side = values.transpose(0, 2, 1, 3).reshape(draws, known, tasks * classes)
            return np.asarray((table @ side).reshape(draws, known, tasks, classes).transpose(0, 2, 1, 3))

        now = np.zeros((draws, tasks, known, classes), dtype=np.float32) if start is None else start
        ahead = now
        for _ in range(STEPS):
            scores = across(self.products, ahead)
            chances = np.exp(scores - scores.max(axis=-1, keepdims=True))
            chances /= chances.sum(axis=-1, keepdims=True)
            gradient = counted * (chances - self.truth[:, None]) + strength[..., None] * ahead
            if float(np.abs(gradient).max()) < TOLERANCE:
                return ahead
            after = ahead - across(inverse, gradient)
            ahead, now = after + np.float32(MOMENTUM) * (after - now), after
        return now
