"""Scores that spread from single items, kept, so that one more label costs the spreading of one more item only."""

import threading
from typing import Any

import numpy as np
from jaxtyping import Float64, Int64, Shaped
from scipy import sparse

from mfcl.embeddings.alignment.ties import as_graph
from mfcl.labelling.propagate import VALUES_AT_ONCE, Spread, check_labels, propagate_each, scores_from, spread_of

MOST_VALUES = 2**22
"""Scores kept for one graph: 32 MiB. More labels than that allows are spread together, and nothing is kept."""


class Sources:
    """Spreads labels over one graph as `propagate` does; the sums are taken in another order.

    A class's scores are the sum of what spreads from each of its labelled items, and that depends on the graph alone.
    So hiding labels, renaming a class, or a further label spreads nothing anew but items that were not labelled before.

    Args:
        ties: A graph of the items.

    Raises:
        MeasureError: see `propagate`.
    """

    def __init__(self, ties: sparse.spmatrix | sparse.sparray) -> None:
        self._ties: Any = as_graph(ties)
        self._places: Int64[np.ndarray, " kept"] = np.zeros(0, dtype=np.int64)
        self._scores: Float64[np.ndarray, "kept items"] = np.zeros((0, self._ties.shape[0]))
        self._lock = threading.Lock()

    def spread(self, sets: Shaped[np.ndarray, "sets items"]) -> list[Spread]:
        """Spread several sets of known labels.

        Args:
            sets: For each set a label for each item; "" where it is unknown.

        Raises:
            MeasureError: a set has no known label, or the number of labels is wrong.
        """
        items = self._ties.shape[0]
        checked = [check_labels(labels, items) for labels in sets]
        known = np.flatnonzero(np.any([labels != "" for labels in checked], axis=0))
        if not len(known) or len(known) * items > MOST_VALUES:
            return list(propagate_each(self._ties, np.stack(checked)))
        scores = self._from(known)
        return [spread_of(labels, known, scores) for labels in checked]

    def _from(self, known: Int64[np.ndarray, " known"]) -> Float64[np.ndarray, "known items"]:
        """Return what spreads from each of some items, in their order."""
        with self._lock:
            new = np.setdiff1d(known, self._places)
            if len(new):
                fits = (len(self._places) + len(new)) * self._ties.shape[0] <= MOST_VALUES
                kept = np.flatnonzero(np.isin(self._places, known) | fits)
                self._scores = np.concatenate([self._scores[kept], *self._spread_alone(new)])
                self._places = np.concatenate([self._places[kept], new])
            order = np.argsort(self._places)
            found: Float64[np.ndarray, "known items"] = self._scores[
                order[np.searchsorted(self._places, known, sorter=order)]
            ]
            return found

    def _spread_alone(self, new: Int64[np.ndarray, " new"]) -> list[Float64[np.ndarray, "some items"]]:
        items = self._ties.shape[0]
        at_once = max(1, VALUES_AT_ONCE // items)
        found = []
        for first in range(0, len(new), at_once):
            some = new[first : first + at_once]
            start = np.zeros((items, len(some)))
            start[some, np.arange(len(some))] = 1
            found.append(scores_from(self._ties, start).T)
        return found
