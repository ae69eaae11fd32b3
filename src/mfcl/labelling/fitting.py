"""Fit a classifier on spread labels: its weights, the sharpness of its probabilities, and what is `unknown` to it."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, TypeAlias, runtime_checkable

import numpy as np
from jaxtyping import Float32, Float64, Int64, Shaped

from mfcl.core.random import generator
from mfcl.embeddings.linalg import check_measurable
from mfcl.embeddings.table import Embeddings
from mfcl.labelling.choosing import Checked, Way, folds_of, hidden_sets
from mfcl.labelling.classifier import LabelClassifier, distances_to
from mfcl.labelling.features import Features
from mfcl.labelling.logistic import TOLERANCE, Rows, as_rows, fit_rows
from mfcl.labelling.propagate import Spread

STRENGTH = 0.1
"""L2 strength, as a multiple of the mean squared length of the features."""
MOST_FITTED = 4000
"""Most recordings that a classifier is fitted on; of more, as many are drawn."""
KNOWN_SHARE = 0.98
"""Share of the collection's own recordings that are nearer than the distance beyond which a sound is unknown."""
CALIBRATED_FROM = 20
"""Fewest hidden labels by which probabilities are calibrated."""
SHARPEST = 8.0
ROUGHLY = 1e-6
"""Share of the loss to which the classifiers without a fold are fitted: they only set the sharpness."""

Weights: TypeAlias = tuple[Float64[np.ndarray, "features classes"], Float64[np.ndarray, " classes"]]
"""A weight for each feature and class, and each class's bias."""


@dataclass(frozen=True, eq=False)
class Used:
    """The recordings that classifiers are fitted on, taken out once for all fits.

    Attributes:
        places: Which of all recordings, ascending.
        rows: Their features.
        squares: Their features' squared lengths.
    """

    places: Int64[np.ndarray, " used"]
    rows: Rows
    squares: Float64[np.ndarray, " used"]


@runtime_checkable
class Prepared(Protocol):
    """What fitting needs of a collection."""

    embeddings: Embeddings

    @property
    def files(self) -> Shaped[np.ndarray, " items"]:
        """The file that each recording is of."""
        ...

    def matrix(self, kind: str) -> Float32[np.ndarray, "items features"]:
        """Return the features of all recordings."""
        ...

    def kind(self, name: str) -> Features:
        """Return what makes the features."""
        ...

    def spread_sets(self, way: Way, sets: Shaped[np.ndarray, "sets items"]) -> list[Spread]:
        """Spread several sets of labels."""
        ...


def fitted_classifier(
    collection: Prepared,
    way: Way,
    labels: Shaped[np.ndarray, " items"],
    spread: Spread,
    checked: Sequence[Checked],
    *,
    seed: int,
) -> tuple[LabelClassifier, tuple[str, ...]]:
    """Fit a classifier on labels and on what they were spread to; return it with notes.

    Args:
        collection: The recordings.
        way: How the labels were spread.
        labels: The given labels, "" where unknown.
        spread: What they were spread to.
        checked: The cross-validation by which the way was chosen, to be told.
        seed: Seed of draws and folds.
    """
    features = collection.matrix(way.features)
    used = used_of(features, labels, spread, alone=not way.graph, seed=seed)
    exact = weights_of(used, labels, spread)
    weights, bias = (one.astype(np.float32).astype(np.float64) for one in exact)  # as they are saved
    sharpness, notes = _sharpness(collection, way, labels, used, exact, seed=seed)
    centres = centres_of(features, labels, spread)
    farthest = farthest_of(distances_to(features, centres), labels, spread)
    given = labels != ""
    about = {
        "labels": int(given.sum()), "recordings": len(labels), "way": way.name, "calibrated": not notes,
        "known share": KNOWN_SHARE,
        "checked": {one.way: [one.right, one.count] for one in checked},
        "labelled": id_digests(collection.embeddings.ids[given].tolist()),
    }  # fmt: skip
    made = LabelClassifier(
        spread.classes, collection.kind(way.features), weights, bias, sharpness, centres, farthest,
        collection.embeddings.model, about,
    )  # fmt: skip
    return made, notes


def id_digests(ids: Sequence[str]) -> list[str]:
    """Return short digests of the ids of recordings: a classifier that is passed on names none of them.

    `mfcl classify --check` says by them which recordings are not held out.
    """
    return [hashlib.sha256(one.encode("utf-8", "backslashreplace")).hexdigest()[:12] for one in ids]


def used_of(
    features: Float32[np.ndarray, "items features"],
    labels: Shaped[np.ndarray, " items"],
    spread: Spread,
    *,
    alone: bool = False,
    seed: int = 0,
) -> Used:
    """Return the recordings with given labels, and those with spread ones, at most `MOST_FITTED` of them.

    Args:
        features: Of all recordings.
        labels: Given labels, "" where unknown.
        spread: Class scores of all recordings.
        alone: Take those with given labels only.
        seed: Seed of the draw of recordings, if there are many.
    """
    given = np.flatnonzero(labels != "")
    others = np.flatnonzero((labels == "") & (spread.margins > 0)) if not alone else np.zeros(0, dtype=np.int64)
    if len(others) > MOST_FITTED:
        others = generator(seed, "fitted").permutation(others)[:MOST_FITTED]
    places: Int64[np.ndarray, " used"] = np.sort(np.concatenate([given, others]))
    rows = features[places]
    return Used(places, as_rows(rows), np.einsum("if,if->i", rows, rows, dtype=np.float64))


def weights_of(
    used: Used,
    labels: Shaped[np.ndarray, " items"],
    spread: Spread,
    *,
    start: Weights | None = None,
    tolerance: float = TOLERANCE,
) -> Weights:
    """Fit a linear classifier on given labels and on spread ones, which weigh as much as they are sure.

    Args:
        used: The recordings to fit on; those with neither a given nor a spread label are left out.
        labels: Given labels of all recordings, "" where unknown.
        spread: Class scores of all recordings.
        start: Weights of the same classes by similar labels, which saves time.
        tolerance: See `fit_shares`.
    """
    shares = _with_given(labels, spread)[used.places]
    counts = np.where(labels != "", 1.0, spread.margins)[used.places]
    strength = STRENGTH * max(float(used.squares[counts > 0].mean()), 1e-6)
    return fit_rows(used.rows, shares, counts, strength=strength, start=start, tolerance=tolerance)


def centres_of(
    features: Float32[np.ndarray, "items features"], labels: Shaped[np.ndarray, " items"], spread: Spread
) -> Float32[np.ndarray, "classes features"]:
    """Return the mean features of each class, in which a recording counts by its class score."""
    shares = _with_given(labels, spread)
    sums = np.maximum(shares.sum(axis=0), 1e-12)
    return np.asarray((shares / sums).astype(np.float32).T @ features)


def farthest_of(
    distances: Float64[np.ndarray, " items"], labels: Shaped[np.ndarray, " items"], spread: Spread
) -> float:
    """Return the distance within which `KNOWN_SHARE` of the collection lies.

    A recording counts as much as its spread label is sure, so that recordings of none of the classes, whose labels are
    doubtful, hardly widen it.
    """
    weights = np.where(labels != "", 1.0, spread.margins)
    order = np.argsort(distances, kind="stable")
    sums = np.cumsum(weights[order])
    place = int(np.searchsorted(sums, KNOWN_SHARE * sums[-1]))
    return float(distances[order[min(place, len(order) - 1)]])


def _with_given(labels: Shaped[np.ndarray, " items"], spread: Spread) -> Float64[np.ndarray, "items classes"]:
    """Return the class scores, those of given labels 1 and 0."""
    shares, given = spread.scores.copy(), np.flatnonzero(labels != "")
    shares[given] = (labels[given, None] == spread.classes[None]).astype(np.float64)
    return shares


def labels_alone(features: Float32[np.ndarray, "items features"], labels: Shaped[np.ndarray, " items"]) -> Spread:
    """Return class scores of all recordings by a classifier of the given labels alone."""
    check_measurable(features, np.ones(len(features)), what="labelling")
    known = np.flatnonzero(labels != "")
    classes = np.unique(labels[known])
    if len(classes) == 1:
        return Spread(classes, np.ones((len(labels), 1)))
    sure = Spread(classes, np.zeros((len(labels), len(classes))))
    weights, bias = weights_of(used_of(features, labels, sure, alone=True), labels, sure)
    scores = features @ weights.astype(np.float32) + bias  # features in double precision would be a copy of all
    chances = np.exp(scores - scores.max(axis=1, keepdims=True))
    return Spread(classes, chances / chances.sum(axis=1, keepdims=True))


def _sharpness(
    collection: Prepared, way: Way, labels: Shaped[np.ndarray, " items"], used: Used, whole: Weights, *, seed: int
) -> tuple[float, tuple[str, ...]]:
    """Return the factor of the scores that makes hidden labels likeliest, and a note where there are too few.

    The labels of each fold are hidden, the others spread and a classifier fitted without the fold's recordings. Each
    begins with the weights by all labels.

    Source: Guo et al., "On calibration of modern neural networks", ICML 2017 (temperature scaling).
    """
    fold = folds_of(labels, seed=seed, most=0, files=collection.files)
    if fold is None or (fold >= 0).sum() < CALIBRATED_FROM:
        few = 0 if fold is None else int((fold >= 0).sum())
        alike = len(np.unique(collection.files[labels != ""])) < int((labels != "").sum())
        several = "in two recordings or more" if alike else "with two or more"
        wanted = f"{CALIBRATED_FROM} labels of classes {several} are wanted, {few} are given"
        return 1.0, (f"probabilities are not calibrated: {wanted}",)
    features, scores, truth = collection.matrix(way.features), [], []
    for part, other in enumerate(collection.spread_sets(way, hidden_sets(labels, fold))):
        inside = np.flatnonzero(fold == part)
        hidden = labels.copy()
        hidden[inside] = ""
        blank = other.scores.copy()
        blank[inside] = 0  # the recordings themselves must not be fitted on
        left = Spread(other.classes, blank)
        weights, bias = weights_of(used, hidden, left, start=whole, tolerance=ROUGHLY)
        scores.append(features[inside] @ weights + bias)
        truth.append(np.searchsorted(other.classes, labels[inside]))
    every, codes = np.concatenate(scores), np.concatenate(truth)

    def surprise(log_sharpness: float) -> float:
        scaled = np.exp(log_sharpness) * every
        top = scaled.max(axis=1)
        sums = np.log(np.exp(scaled - top[:, None]).sum(axis=1)) + top
        # one further label is taken to be wrong by chance, so that few labels that are all right do not say "surely"
        return float((sums - scaled[np.arange(len(codes)), codes]).sum() + (sums - scaled.mean(axis=1)).mean())

    from scipy.optimize import minimize_scalar  # slow to import

    limit = float(np.log(SHARPEST))
    found = minimize_scalar(surprise, bounds=(-limit, limit), method="bounded")
    return float(np.exp(found.x)), ()
