"""Exact multinomial logistic regression for several L2 strengths, fast for high-dimensional vectors.

Three things make it fast. The features are rotated into the space that the items span, by one eigendecomposition for
all strengths. Newton's method with conjugate gradients, preconditioned by the diagonal of the curvature, takes tens of
matrix products where other solvers take thousands. Each strength starts from the previous one's solution.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float, Float32, Float64, Int64, Shaped

from mfcl.core.blas import one_blas_thread
from mfcl.embeddings.linalg import moments
from mfcl.errors import MeasureError
from mfcl.labelling.turning import Features, turn

NEWTON_STEPS = 100  # at most; about 8 are needed
SINGLE = 1e-6  # share of the loss to which single precision is enough for losses and gradients
GRADIENT_STEPS = 250  # at most, conjugate-gradient steps per Newton step; about 10 are needed
TOLERANCE = 1e-10  # stop when further steps would lower the loss by less than this share


@dataclass(frozen=True)
class LinearClassifier:
    """A linear classifier: the class of a vector is the highest of `vectors @ weights + bias`."""

    weights: Float64[np.ndarray, "dim classes"]
    bias: Float64[np.ndarray, " classes"]
    classes: Shaped[np.ndarray, " classes"]

    def predict(self, vectors: Float[np.ndarray, "items dim"]) -> Shaped[np.ndarray, " items"]:
        """Return the class of each vector; ties go to the first class."""
        labels: Shaped[np.ndarray, " items"] = self.classes[np.argmax(vectors @ self.weights + self.bias, axis=1)]
        return labels


def fit_classifiers(
    x: Float[np.ndarray, "items dim"],
    y: Shaped[np.ndarray, " items"],
    *,
    standard: Float[np.ndarray, "_ dim"],
    strengths: Sequence[float],
) -> dict[float, LinearClassifier]:
    """Fit a multinomial logistic regression on standardised features for each L2 strength.

    Args:
        x: Vectors to fit on.
        y: Their labels, of at least two classes.
        standard: Vectors whose mean and standard deviation standardise the features.
        strengths: Positive L2 strengths: the loss is the sum of the cross-entropies plus strength / 2 times the
            squared weights of the standardised features (scikit-learn's `1 / C`). The bias is not penalised.

    Raises:
        MeasureError: there is only one class, or a strength is not positive.
    """
    if not strengths or not all(0 < strength < np.inf for strength in strengths):
        raise MeasureError(f"probe: wanted positive L2 strengths, got {list(strengths)}")
    classes, codes = np.unique(y, return_inverse=True)
    if len(classes) < 2:
        raise MeasureError(f"probe: wanted labels of at least 2 classes, but all {len(y)} are {str(classes[0])!r}")
    with one_blas_thread(x.size):
        return _fitted(x, codes, classes, standard, strengths)


def _fitted(
    x: Float[np.ndarray, "items dim"],
    codes: Int64[np.ndarray, " items"],
    classes: Shaped[np.ndarray, " classes"],
    standard: Float[np.ndarray, "_ dim"],
    strengths: Sequence[float],
) -> dict[float, LinearClassifier]:
    mean, deviation = moments(standard)
    deviation[deviation < 1e-6 * np.maximum(np.abs(mean), 1e-6)] = np.inf  # constant features become 0
    turned = turn(Features(x, mean, deviation))
    rows = np.hstack([turned.coordinates, np.ones((len(x), 1))])
    narrow = rows.astype(np.float32)
    squares = narrow**2
    truth = np.eye(len(classes))[codes]
    weights = np.zeros((rows.shape[1], len(classes)))
    solved = []
    strongest_first = sorted(set(strengths))[::-1]  # its solution is nearest to the zero start
    for strength in strongest_first:
        penalty = np.append(np.full(rows.shape[1] - 1, strength), 0.0)[:, None]  # 0 for the bias
        weights = minimise(Problem(rows, narrow, squares, truth, penalty, np.ones((len(x), 1))), weights)
        solved.append(weights)
    # all at once: wide features are made again, a block at a time, to turn weights back
    back = turned.back(np.hstack([weights[:-1] for weights in solved])) / deviation[:, None]
    fitted = {}
    for place, (strength, weights) in enumerate(zip(strongest_first, solved, strict=True)):
        own = np.ascontiguousarray(back[:, place * len(classes) : (place + 1) * len(classes)])
        fitted[strength] = LinearClassifier(own, weights[-1] - mean @ own, classes)
    return fitted


@dataclass(frozen=True)
class Rows:
    """Features with a last column of ones, in the forms that fits on class shares need; made once for several fits."""

    exact: Float64[np.ndarray, "items columns"]
    narrow: Float32[np.ndarray, "items columns"]
    squares: Float32[np.ndarray, "items columns"]


def as_rows(features: Float[np.ndarray, "items dim"]) -> Rows:
    """Return features, used as they are, in the forms that `fit_rows` needs."""
    exact = np.ones((features.shape[0], features.shape[1] + 1))
    exact[:, :-1] = features
    narrow = exact.astype(np.float32)
    return Rows(exact, narrow, narrow**2)


def fit_shares(
    features: Float[np.ndarray, "items dim"],
    shares: Float64[np.ndarray, "items classes"],
    counts: Float64[np.ndarray, " items"],
    *,
    strength: int | float,
    start: tuple[Float64[np.ndarray, "dim classes"], Float64[np.ndarray, " classes"]] | None = None,
    tolerance: float = TOLERANCE,
) -> tuple[Float64[np.ndarray, "dim classes"], Float64[np.ndarray, " classes"]]:
    """Fit a multinomial logistic regression on class shares in place of labels; return weights and bias.

    Args:
        features: Vectors to fit on, used as they are.
        shares: Share of each class for each item; each row sums to 1.
        counts: Weight of each item in the loss, 0 or more.
        strength: Positive L2 strength; see `fit_classifiers`. The bias counts as a weight of a feature that is 1.
        start: Weights and bias of a similar problem, which saves steps; the answer is the same.
        tolerance: Stop when further steps would lower the loss by less than this share.

    Raises:
        MeasureError: the strength is not positive, or no item has a weight.
    """
    return fit_rows(as_rows(features), shares, counts, strength=strength, start=start, tolerance=tolerance)


def fit_rows(
    rows: Rows,
    shares: Float64[np.ndarray, "items classes"],
    counts: Float64[np.ndarray, " items"],
    *,
    strength: int | float,
    start: tuple[Float64[np.ndarray, "dim classes"], Float64[np.ndarray, " classes"]] | None = None,
    tolerance: float = TOLERANCE,
) -> tuple[Float64[np.ndarray, "dim classes"], Float64[np.ndarray, " classes"]]:
    """Do what `fit_shares` does, with rows that serve several fits.

    The features are not rotated: their eigendecomposition would take most of the time, and a strong penalty, as here,
    needs no better preconditioner than a diagonal. As far as single precision leads, it is used for everything.

    Raises:
        MeasureError: see `fit_shares`.
    """
    if strength <= 0 or not counts.sum() > 0:
        raise MeasureError(f"classifier: wanted a positive L2 strength and weights, got {strength} and {counts.sum()}")
    penalty, weighed = np.full((rows.exact.shape[1], 1), float(strength)), counts[:, None]
    weights = np.zeros((rows.exact.shape[1], shares.shape[1])) if start is None else np.vstack([start[0], start[1]])
    weights -= weights.mean(axis=1, keepdims=True)  # the answer's sum over the classes is 0: see `Problem.together`
    rough = Problem(rows.narrow, rows.narrow, rows.squares, shares, penalty, weighed, together=True)
    with one_blas_thread(rows.exact.size):
        weights = minimise(rough, weights, max(tolerance, SINGLE))
        if tolerance < SINGLE:
            weights = minimise(replace(rough, rows=rows.exact), weights, tolerance)
    return weights[:-1], weights[-1]


@dataclass(frozen=True)
class Problem:
    """The loss to minimise: the weighted sum of the cross-entropies plus half the penalty times the squared weights."""

    rows: Float[np.ndarray, "items columns"]
    """Coordinates, and a last column of ones for the bias; losses and gradients are computed in their precision."""
    narrow: Float32[np.ndarray, "items columns"]
    """`rows` in single precision, for curvatures: they only shape the step, whose loss is computed exactly."""
    squares: Float32[np.ndarray, "items columns"]
    """Squares of `narrow`."""
    truth: Float64[np.ndarray, "items classes"]
    """One-hot labels, or shares of the classes that sum to 1."""
    penalty: Float64[np.ndarray, "columns 1"]
    counts: Float64[np.ndarray, "items 1"]
    """Weight of each item."""
    together: bool = False
    """Whether all classes are preconditioned alike, by their mean curvature.

    Adding one number to all classes' scores changes nothing but the penalty, so the best weights of a feature sum to 0
    over the classes. A gradient does so too, but not after a division that differs by class: conjugate gradients then
    also search where there is nothing to find, and take twice as many steps."""

    def loss(
        self, weights: Float64[np.ndarray, "columns classes"]
    ) -> tuple[float, Float64[np.ndarray, "items classes"]]:
        """Return the loss and the softmax probabilities."""
        scores = (self.rows @ weights.astype(self.rows.dtype)).astype(np.float64)
        scores -= scores.max(axis=1, keepdims=True)
        chances = np.exp(scores)
        sums = chances.sum(axis=1, keepdims=True)
        entropies = self.counts * (np.log(sums) - (scores * self.truth).sum(axis=1, keepdims=True))
        loss = entropies.sum() + 0.5 * (self.penalty * weights**2).sum()
        return float(loss), chances / sums


def minimise(
    problem: Problem, weights: Float64[np.ndarray, "columns classes"], tolerance: float = TOLERANCE
) -> Float64[np.ndarray, "columns classes"]:
    """Return the weights of the lowest loss, by Newton's method with backtracking line search."""
    loss, chances = problem.loss(weights)
    for _ in range(NEWTON_STEPS):
        errors = (problem.counts * (chances - problem.truth)).astype(problem.rows.dtype)
        gradient = (errors.T @ problem.rows).T + problem.penalty * weights
        narrow = chances.astype(np.float32)
        spreads = problem.counts.astype(np.float32) * narrow * (1 - narrow)
        if problem.together:
            spreads = spreads.mean(axis=1, keepdims=True)
        curvature = np.maximum(problem.squares.T @ spreads + problem.penalty, 1e-6)
        reach = float((gradient**2 / curvature).sum())  # about twice the possible decrease of the loss
        if reach <= tolerance * loss:
            break
        error = (reach / loss) ** (1 / 3 if problem.together else 1 / 4)  # with good steps, solving each further pays
        step = newton_step(problem, narrow, gradient, curvature, error=min(0.3, error))
        slope, size = float((gradient * step).sum()), 1.0
        while (tried := problem.loss(weights + size * step))[0] > loss + 1e-4 * size * slope and size > 1e-6:
            size /= 2
        if tried[0] >= loss:
            break  # within rounding error: no step lowers the loss any more
        weights = weights + size * step
        loss, chances = tried
    return weights


def newton_step(
    problem: Problem,
    chances: Float32[np.ndarray, "items classes"],
    gradient: Float64[np.ndarray, "columns classes"],
    curvature: Float64[np.ndarray, "columns _"],
    *,
    error: float,
) -> Float64[np.ndarray, "columns classes"]:
    """Return the Newton step by conjugate gradients, to the relative error `error`."""
    step, counts = np.zeros_like(gradient), problem.counts.astype(np.float32)
    residual, scaled = -gradient, -gradient / curvature
    direction, left = scaled, float((-gradient * scaled).sum())
    goal = error**2 * left
    for _ in range(GRADIENT_STEPS):
        change = problem.narrow @ direction.astype(np.float32)
        change = counts * chances * (change - (chances * change).sum(axis=1, keepdims=True))
        product = (change.T @ problem.narrow).T + problem.penalty * direction
        bend = float((direction * product).sum())
        if bend <= 0:
            break
        step = step + left / bend * direction
        residual = residual - left / bend * product
        scaled = residual / curvature
        before, left = left, float((residual * scaled).sum())
        if left <= goal:
            break
        direction = scaled + left / before * direction
    return step
