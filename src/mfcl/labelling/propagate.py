"""Labels known for a few items, spread to all others over a graph of what is alike."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float, Float64, Int64, Shaped
from scipy import sparse

from mfcl.embeddings.alignment.ties import as_graph
from mfcl.errors import MeasureError

ALPHA = 0.97
"""Share of its score that an item takes from those it is tied to in each step."""
STEPS = 60
"""Longest chain of ties; what longer ones would add is less than a sixth of all."""
NEAREST = 10
"""Items of the graph that an item outside of it is read by."""
CLOSENESS = 4
"""Power of the inverse distance that weighs them."""
SMALLEST = 1e-3
"""Added to those distances, so that an equal clip weighs much but not everything."""


@dataclass(frozen=True)
class Spread:
    """How much each item looks like each class.

    Attributes:
        classes: The labels, in alphabetical order.
        scores: Shares of the classes: rows sum to 1, or to 0 for an item that no known label reaches.
    """

    classes: Shaped[np.ndarray, " classes"]
    scores: Float64[np.ndarray, "items classes"]

    @property
    def labels(self) -> Shaped[np.ndarray, " items"]:
        """Return the likeliest label of each item; "" where none is known."""
        found: Shaped[np.ndarray, " items"] = np.where(
            self.scores.max(axis=1) > 0, self.classes[self.scores.argmax(axis=1)], ""
        )
        return found

    @property
    def margins(self) -> Float64[np.ndarray, " items"]:
        """Return how far the likeliest label is ahead of the second, from 0 (a tie, or nothing known) to 1."""
        if len(self.classes) == 1:
            return self.scores[:, 0].copy()
        two = np.partition(self.scores, -2, axis=1)[:, -2:]
        margins: Float64[np.ndarray, " items"] = two[:, 1] - two[:, 0]
        return margins

    def read(self, places: Int64[np.ndarray, "queries _"], distances: Float[np.ndarray, "queries _"]) -> "Spread":
        """Return the scores of items outside the graph: those of their ten nearest inside, the nearer the more.

        Args:
            places: For each query its nearest items of the graph, nearest first; ten or more serve best.
            distances: To them.

        Raises:
            MeasureError: no neighbour, or one that is out of range.
        """
        items = len(self.scores)
        if places.shape != distances.shape or not places.shape[1]:
            raise MeasureError(
                f"labels: places and distances of one shape (queries, neighbours) are wanted, but came {places.shape} "
                f"and {distances.shape}"
            )
        if places.size and not 0 <= places.min() <= places.max() < items:
            raise MeasureError(f"labels: places from 0 to {items - 1} are wanted, but one lies outside of the graph")
        weights = 1 / (distances[:, :NEAREST].astype(np.float64) + SMALLEST) ** CLOSENESS
        scores = np.einsum("qn,qnc->qc", weights, self.scores[places[:, :NEAREST]])
        return Spread(self.classes, _shares(scores))


def propagate(
    given: sparse.spmatrix | sparse.sparray | Float[np.ndarray, "_ _"],
    labels: Shaped[np.ndarray, " _"],
) -> Spread:
    """Spread the labels of a few items over a graph to all of them.

    In every step an item keeps its own label and takes in what its ties bring. At the end each class is weighed alike,
    however many labels it had.

    Args:
        given: A graph of the items (see `mfcl.embeddings.alignment.graph`), or the distances of all to all.
        labels: A label for each item; "" where it is unknown.

    Returns:
        The scores of all items; `read` gives those of others.

    Raises:
        MeasureError: no label is known, there is not one entry an item, or the graph cannot be used.

    Source: Zhou et al., "Learning with local and global consistency", NIPS 2004, with the series cut short.

    Example:
        >>> far = np.array([[0, 1, 9, 9], [1, 0, 9, 9], [9, 9, 0, 1], [9, 9, 1, 0]], dtype=np.float32)
        >>> propagate(far, np.array(["a", "", "", "b"])).labels.tolist()
        ['a', 'a', 'b', 'b']
    """
    ties: Any = as_graph(given)
    labels = check_labels(labels, ties.shape[0])
    known = np.flatnonzero(labels != "")
    if not len(known):
        raise MeasureError('labels: at least one known label is wanted, but all are ""; label the items of `suggest`')
    classes, codes = np.unique(labels[known], return_inverse=True)
    given_scores = np.zeros((len(labels), len(classes)))
    given_scores[known, codes] = 1
    scores = given_scores.copy()
    for _ in range(STEPS):
        scores = ALPHA * (ties @ scores) + given_scores
    return Spread(classes, _shares(scores / scores.sum(axis=0)))


def check_labels(labels: Shaped[np.ndarray, "..."], items: int) -> Shaped[np.ndarray, " items"]:
    """Return labels as strings, one an item.

    Raises:
        MeasureError: there is not one an item.
    """
    if labels.shape != (items,):
        raise MeasureError(f"labels: one label an item is wanted, for {items} items, but came {labels.shape}")
    return labels.astype(np.str_)


def _shares(scores: Float64[np.ndarray, "items classes"]) -> Float64[np.ndarray, "items classes"]:
    """Return the scores over their sum; where that is 0 they stay 0."""
    sums = scores.sum(axis=1, keepdims=True)
    return scores / np.where(sums > 0, sums, 1.0)
