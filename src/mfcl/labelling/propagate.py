"""Label propagation: spread the labels of a few items to all others over a similarity graph."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float, Float64, Int64, Shaped
from scipy import sparse

from mfcl.embeddings.alignment.ties import as_graph
from mfcl.errors import MeasureError
from mfcl.labelling.estimate import known_labels

ALPHA = 0.97
"""Factor on the scores that an item receives from its neighbours in each step."""
STEPS = 60
"""Propagation steps; further steps would add less than a sixth of the total."""
NEAREST = 10
"""Nearest graph items that score an item outside the graph."""
CLOSENESS = 4
"""Power of the inverse distance that weights them."""
SMALLEST = 1e-3
"""Added to those distances, so that an identical clip does not get infinite weight."""
VALUES_AT_ONCE = 2**21
"""Scores held at once while several sets of labels are spread: 16 MiB."""

_Places = Int64[np.ndarray, " _"]


@dataclass(frozen=True)
class Spread:
    """Class scores of each item after label propagation.

    Attributes:
        classes: The labels, in alphabetical order.
        scores: Class scores; each row sums to 1, or to 0 for an item that no known label reaches.
    """

    classes: Shaped[np.ndarray, " classes"]
    scores: Float64[np.ndarray, "items classes"]

    @property
    def labels(self) -> Shaped[np.ndarray, " items"]:
        """Return the highest-scoring label of each item; "" where no label reaches it."""
        found: Shaped[np.ndarray, " items"] = np.where(
            self.scores.max(axis=1) > 0, self.classes[self.scores.argmax(axis=1)], ""
        )
        return found

    @property
    def margins(self) -> Float64[np.ndarray, " items"]:
        """Return the highest score minus the second highest, from 0 (a tie, or no label) to 1."""
        if len(self.classes) == 1:
            return self.scores[:, 0].copy()
        two = np.partition(self.scores, -2, axis=1)[:, -2:]
        margins: Float64[np.ndarray, " items"] = two[:, 1] - two[:, 0]
        return margins

    def read(self, places: Int64[np.ndarray, "queries _"], distances: Float[np.ndarray, "queries _"]) -> "Spread":
        """Score items outside the graph by their ten nearest graph items, weighted by inverse distance.

        Args:
            places: For each query the indices of its nearest graph items, nearest first; only the first ten are used.
            distances: Distances to them.

        Raises:
            MeasureError: there is no neighbour, or an index is out of range.
        """
        items = len(self.scores)
        if places.shape != distances.shape or not places.shape[1]:
            raise MeasureError(
                f"labels: wanted places and distances of one shape (queries, neighbours), got {places.shape} "
                f"and {distances.shape}"
            )
        if places.size and not 0 <= places.min() <= places.max() < items:
            raise MeasureError(f"labels: wanted places from 0 to {items - 1}, but one lies outside of the graph")
        weights = 1 / (distances[:, :NEAREST].astype(np.float64) + SMALLEST) ** CLOSENESS
        scores = np.einsum("qn,qnc->qc", weights, self.scores[places[:, :NEAREST]])
        return Spread(self.classes, _shares(scores))


def propagate(
    given: sparse.spmatrix | sparse.sparray | Float[np.ndarray, "_ _"],
    labels: Shaped[np.ndarray, " _"],
) -> Spread:
    """Spread the labels of a few items over a graph to all items.

    In each step an item adds its neighbours' scores to its own known label. At the end each class's scores are divided
    by their sum, so that classes with many known labels do not win by number.

    Args:
        given: A graph of the items (see `mfcl.embeddings.alignment.graph`), or the full distance matrix. Of embeddings
            `mfcl.Collection` makes the graph, and has this as its method `spread`.
        labels: A label for each item; "" or None where it is unknown.

    Returns:
        The scores of all items. Its method `read` scores further items.

    Raises:
        MeasureError: no label is known, the number of labels is wrong, or the graph cannot be used.

    Source: Zhou et al., "Learning with local and global consistency", NIPS 2004, with the series truncated.

    Example:
        >>> far = np.array([[0, 1, 9, 9], [1, 0, 9, 9], [9, 9, 0, 1], [9, 9, 1, 0]], dtype=np.float32)
        >>> propagate(far, np.array(["a", "", "", "b"])).labels.tolist()
        ['a', 'a', 'b', 'b']
    """
    ties: Any = as_graph(given)
    return next(propagate_each(ties, check_labels(labels, ties.shape[0])[None]))


def propagate_each(
    given: sparse.spmatrix | sparse.sparray | Float[np.ndarray, "_ _"], labels: Shaped[np.ndarray, "sets _"]
) -> Iterator[Spread]:
    """Yield `propagate` of several sets of known labels over one graph, many sets at a time.

    Args:
        given: A graph of the items, or the full distance matrix.
        labels: For each set a label for each item; "" where it is unknown.

    Raises:
        MeasureError: see `propagate`.
    """
    ties: Any = as_graph(given)
    items = ties.shape[0]
    sets = [_known(check_labels(own, items)) for own in labels]
    at_once = max(1, VALUES_AT_ONCE // max(1, items * max((len(classes) for classes, _, _ in sets), default=1)))
    for start in range(0, len(sets), at_once):
        some = sets[start : start + at_once]
        ends = np.cumsum([0, *(len(classes) for classes, _, _ in some)])
        start_scores = np.zeros((items, ends[-1]))
        for first, (_, known, codes) in zip(ends, some, strict=False):
            start_scores[known, first + codes] = 1
        scores = scores_from(ties, start_scores)
        scores /= scores.sum(axis=0)
        for first, last, (classes, _, _) in zip(ends[:-1], ends[1:], some, strict=True):
            yield Spread(classes, _shares(scores[:, first:last]))


def scores_from(ties: Any, start: Float64[np.ndarray, "items columns"]) -> Float64[np.ndarray, "items columns"]:
    """Return what spreads from each column of given scores; the answer is linear in them."""
    scores = start.copy()
    for _ in range(STEPS):
        scores = ALPHA * (ties @ scores) + start
    return scores


def spread_of(
    labels: Shaped[np.ndarray, " items"], sources: _Places, scores: Float64[np.ndarray, "sources items"]
) -> Spread:
    """Return `propagate` of labels, worked out from what spreads from each labelled item.

    Args:
        labels: A label for each item, "" where it is unknown.
        sources: Items, ascending, with all labelled ones among them.
        scores: What spreads from each of them: `scores_from` a 1 there and 0 elsewhere.

    Raises:
        MeasureError: no label is known.
    """
    classes, known, codes = _known(labels)
    members = np.zeros((len(classes), len(sources)))
    members[codes, np.searchsorted(sources, known)] = 1
    sums = members @ scores
    sums /= sums.sum(axis=1, keepdims=True)
    return Spread(classes, _shares(np.ascontiguousarray(sums.T)))


def _known(labels: Shaped[np.ndarray, " items"]) -> tuple[Shaped[np.ndarray, " classes"], _Places, _Places]:
    """Return the known classes, the indices of the labelled items, and their class numbers."""
    known = np.flatnonzero(labels != "")
    if not len(known):
        raise MeasureError('labels: wanted at least one known label, but all are ""; label the items of `suggest`')
    classes, codes = np.unique(labels[known], return_inverse=True)
    return classes, known, codes


def check_labels(labels: Shaped[np.ndarray, "..."], items: int) -> Shaped[np.ndarray, " items"]:
    """Return labels as strings, "" for None, after checking that there is one per item.

    Raises:
        MeasureError: there is not, or one is no text.
    """
    given = np.asarray(labels)
    if given.shape != (items,):
        raise MeasureError(f"labels: wanted one label per item, for {items} items, got shape {given.shape}")
    return known_labels(given, items)


def _shares(scores: Float64[np.ndarray, "items classes"]) -> Float64[np.ndarray, "items classes"]:
    """Divide each row by its sum; rows of zeros stay zero."""
    sums = scores.sum(axis=1, keepdims=True)
    return scores / np.where(sums > 0, sums, 1.0)
