"""Multinomial logistic regression with several L2 strengths at once, exact and quick for wide vectors.

Three things make it quick: the problem is turned into the space its items span, so that one eigendecomposition serves
every strength; Newton's method with conjugate gradients, scaled by the curvature of each turned coordinate, takes tens
of products where other solvers take thousands; and each strength starts from the last one's solution.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float32, Float64, Shaped

from mfcl.errors import MeasureError

NEWTON_STEPS = 100  # it takes about 8
GRADIENT_STEPS = 250  # conjugate ones in a Newton step; about 10
TOLERANCE = 1e-10  # of the loss: what further steps could still gain
TINY = 1e-11  # of the largest eigenvalue: below it is rounding


@dataclass(frozen=True)
class LinearClassifier:
    """A class for each vector: the highest of `vectors @ weights + bias`."""

    weights: Float64[np.ndarray, "dim classes"]
    bias: Float64[np.ndarray, " classes"]
    classes: Shaped[np.ndarray, " classes"]

    def predict(self, vectors: Float[np.ndarray, "items dim"]) -> Shaped[np.ndarray, " items"]:
        """Return the class of each vector; of equal scores the first class."""
        labels: Shaped[np.ndarray, " items"] = self.classes[np.argmax(vectors @ self.weights + self.bias, axis=1)]
        return labels


def fit_classifiers(
    x: Float[np.ndarray, "items dim"],
    y: Shaped[np.ndarray, " items"],
    *,
    standard: Float[np.ndarray, "_ dim"],
    strengths: Sequence[float],
) -> dict[float, LinearClassifier]:
    """Fit a multinomial logistic regression with each L2 strength; features are standardised.

    Args:
        x: Vectors to fit on.
        y: Their labels, of at least two classes.
        standard: The vectors whose mean and deviation standardise the features.
        strengths: Positive L2 strengths: the loss is the sum of the cross-entropies plus strength / 2 times the
            squared weights of the standardised features (scikit-learn's `1 / C`); the bias is free.

    Raises:
        MeasureError: there is only one class, or a strength is not positive.
    """
    if not strengths or min(strengths) <= 0:
        raise MeasureError(f"probe: positive L2 strengths are wanted, but came {list(strengths)}")
    classes, codes = np.unique(y, return_inverse=True)
    if len(classes) < 2:
        raise MeasureError(f"probe: labels of at least 2 classes are wanted, but all {len(y)} are {str(classes[0])!r}")
    mean = standard.mean(axis=0, dtype=np.float64)
    deviation = standard.std(axis=0, dtype=np.float64)
    deviation[deviation < 1e-6 * np.maximum(np.abs(mean), 1e-6)] = np.inf  # a constant tells nothing
    features = (x - mean) / deviation
    turned = turn(features)
    rows = np.hstack([turned.coordinates, np.ones((len(x), 1))])
    narrow = rows.astype(np.float32)
    truth = np.eye(len(classes))[codes]
    weights = np.zeros((rows.shape[1], len(classes)))
    fitted = {}
    for strength in sorted(strengths)[::-1]:  # strongest first: its solution is nearest to zero
        penalty = np.append(np.full(rows.shape[1] - 1, strength), 0.0)[:, None]  # none on the bias
        weights = minimise(Problem(rows, narrow, truth, penalty), weights)
        turned_back = turned.back(weights[:-1]) / deviation[:, None]
        fitted[strength] = LinearClassifier(turned_back, weights[-1] - mean @ turned_back, classes)
    return fitted


@dataclass(frozen=True)
class Turned:
    """Features in the space their items span: as few coordinates as items or features, whichever are fewer."""

    coordinates: Float64[np.ndarray, "items rank"]
    axes: Float64[np.ndarray, "_ rank"]
    """Each coordinate's direction, as a sum of features or, where these are more, of items."""
    items: Float64[np.ndarray, "items dim"] | None
    """The items that `axes` sums, if it does."""

    def back(self, weights: Float64[np.ndarray, "rank classes"]) -> Float64[np.ndarray, "dim classes"]:
        """Return weights of the features for weights of the coordinates."""
        back: Float64[np.ndarray, "_ classes"] = self.axes @ weights
        return back if self.items is None else self.items.T @ back


def turn(features: Float64[np.ndarray, "items dim"]) -> Turned:
    """Turn features into the space their items span; the L2 penalty of a weight is the same there."""
    wide = features.shape[1] > features.shape[0]
    values, vectors = np.linalg.eigh(features @ features.T if wide else features.T @ features)
    kept = values > TINY * max(float(values[-1]), np.finfo(np.float64).tiny)
    vectors = vectors[:, kept]
    if wide:  # features = vectors @ diag(lengths) @ directions.T, and directions = features.T @ (vectors / lengths)
        lengths = np.sqrt(values[kept])
        return Turned(vectors * lengths, vectors / lengths, features)
    return Turned(features @ vectors, vectors, None)


@dataclass(frozen=True)
class Problem:
    """A loss to minimise: the sum of the cross-entropies plus half the penalised squares of the weights."""

    rows: Float64[np.ndarray, "items columns"]
    """Coordinates, and a last column of ones for the bias."""
    narrow: Float32[np.ndarray, "items columns"]
    """The same for curvatures, which need not be exact: a step along a rough one is still measured exactly."""
    truth: Float64[np.ndarray, "items classes"]
    """1 at each item's class, else 0."""
    penalty: Float64[np.ndarray, "columns 1"]

    def loss(
        self, weights: Float64[np.ndarray, "columns classes"]
    ) -> tuple[float, Float64[np.ndarray, "items classes"]]:
        """Return the loss and the chance of each class."""
        scores = self.rows @ weights
        scores -= scores.max(axis=1, keepdims=True)
        chances = np.exp(scores)
        sums = chances.sum(axis=1, keepdims=True)
        loss = np.log(sums).sum() - (scores * self.truth).sum() + 0.5 * (self.penalty * weights**2).sum()
        return float(loss), chances / sums


def minimise(
    problem: Problem, weights: Float64[np.ndarray, "columns classes"]
) -> Float64[np.ndarray, "columns classes"]:
    """Return the weights of the lowest loss, by Newton's method with halved steps where a whole one does not gain."""
    loss, chances = problem.loss(weights)
    for _ in range(NEWTON_STEPS):
        gradient = ((chances - problem.truth).T @ problem.rows).T + problem.penalty * weights
        narrow = chances.astype(np.float32)
        curvature = (problem.narrow**2).T @ (narrow * (1 - narrow)) + problem.penalty
        curvature = np.maximum(curvature, 1e-6)
        reach = float((gradient**2 / curvature).sum())  # about twice what is left to gain
        if reach <= TOLERANCE * loss:
            break
        step = newton_step(problem, narrow, gradient, curvature, error=min(0.3, (reach / loss) ** 0.25))
        slope, size = float((gradient * step).sum()), 1.0
        while (tried := problem.loss(weights + size * step))[0] > loss + 1e-4 * size * slope and size > 1e-6:
            size /= 2
        if tried[0] >= loss:
            break  # rounding: no step gains any more
        weights = weights + size * step
        loss, chances = tried
    return weights


def newton_step(
    problem: Problem,
    chances: Float32[np.ndarray, "items classes"],
    gradient: Float64[np.ndarray, "columns classes"],
    curvature: Float64[np.ndarray, "columns classes"],
    *,
    error: float,
) -> Float64[np.ndarray, "columns classes"]:
    """Return the step to where the gradient would vanish, by conjugate gradients, to a relative error."""
    step = np.zeros_like(gradient)
    residual, scaled = -gradient, -gradient / curvature
    direction, left = scaled, float((-gradient * scaled).sum())
    goal = error**2 * left
    for _ in range(GRADIENT_STEPS):
        change = problem.narrow @ direction.astype(np.float32)
        change = chances * (change - (chances * change).sum(axis=1, keepdims=True))
        product = (change.T @ problem.narrow).T + problem.penalty * direction
        bend = float((direction * product).sum())
        if left <= goal or bend <= 0:
            break
        step = step + left / bend * direction
        residual = residual - left / bend * product
        scaled = residual / curvature
        before, left = left, float((residual * scaled).sum())
        direction = scaled + left / before * direction
    return step
