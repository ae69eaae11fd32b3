"""Which items to label next: few that stand for many, and those that the known labels leave open."""

import functools
from collections.abc import Iterator
from typing import Any

import numpy as np
from jaxtyping import Float, Float32, Int64, Shaped
from scipy import sparse

from mfcl.core.random import generator
from mfcl.embeddings.alignment.covering import covering
from mfcl.embeddings.alignment.ties import as_graph
from mfcl.errors import MeasureError
from mfcl.labelling.propagate import check_labels, propagate

STEPS = 12
"""Ties in the longest chain along which an item stands for another."""
DAMPING = 0.95
"""What each tie of a chain leaves."""
MOST = 4096
"""Items that are looked at; of more, as many are drawn (64 MiB)."""
LEAST_DOUBT = 0.1
"""What an item counts at least, however sure its label is: shares of one are worth little while few are known."""
CELLS_AT_ONCE = 2**21
"""Of the walk's table: 16 MiB."""


def suggest(
    given: sparse.spmatrix | sparse.sparray | Float[np.ndarray, "_ _"],
    count: int,
    *,
    known: Shaped[np.ndarray, " _"] | None = None,
    seed: int = 0,
) -> Int64[np.ndarray, " {count}"]:
    """Return the items to label next, the most useful first.

    An item stands for those that short chains of ties lead to. Without labels each new item is the one that adds most
    to what the chosen ones stand for. With labels the labelled items count as chosen, and an item counts the more the
    closer its two likeliest labels are: what is far from every label or lies between two is asked for.

    Args:
        given: A graph of the items (see `mfcl.embeddings.alignment.graph`), or the distances of all to all.
        count: Items to return.
        known: A label for each item, "" where it is unknown; none: no label is known.
        seed: Draws the items that are looked at, where there are more than 4,096.

    Returns:
        Places of items without a label, none twice.

    Raises:
        MeasureError: more items are wanted than have no label, or the graph or the labels cannot be used.

    Example:
        >>> far = np.array([[0, 1, 9, 9], [1, 0, 9, 9], [9, 9, 0, 1], [9, 9, 1, 0]], dtype=np.float32)
        >>> suggest(far, 1, known=np.array(["a", "", "", ""])).tolist()
        [2]
    """
    ties: Any = as_graph(given)
    items = ties.shape[0]
    labels = np.full(items, "") if known is None else check_labels(known, items)
    unknown, labelled = np.flatnonzero(labels == ""), np.flatnonzero(labels != "")
    if not 1 <= count <= len(unknown):
        raise MeasureError(
            f"suggestions: 1 to {len(unknown)} (the items without a label) are wanted, but came {count}; ask for fewer"
        )
    drawn = unknown
    if len(unknown) > max(MOST, count):
        drawn = np.sort(generator(seed, "suggest").permutation(unknown)[: max(MOST, count)])
    reach = np.concatenate([total[drawn] for total in _reach(ties, drawn)], axis=1)
    whole = np.maximum(reach.max(axis=1), 1e-9)  # as a rule what an item stands for itself
    reach /= whole[:, None].astype(np.float32)
    covered = weights = None
    if len(labelled):
        covered = functools.reduce(np.maximum, (total[drawn].max(axis=1) for total in _reach(ties, labelled))) / whole
        weights = np.maximum(1 - propagate(ties, labels).margins[drawn], LEAST_DOUBT)
    chosen: Int64[np.ndarray, " {count}"] = drawn[covering(reach, count, covered=covered, weights=weights)]
    return chosen


def _reach(ties: Any, sources: Int64[np.ndarray, " sources"]) -> Iterator[Float32[np.ndarray, "items some"]]:
    """Yield, for some sources at a time, how strongly all chains of up to `STEPS` ties lead from them to each item."""
    at_once = max(1, CELLS_AT_ONCE // ties.shape[0])
    for start in range(0, len(sources), at_once):
        own = sources[start : start + at_once]
        walk = np.zeros((ties.shape[0], len(own)))
        walk[own, np.arange(len(own))] = 1
        total = walk.copy()
        for _ in range(STEPS):
            walk = DAMPING * (ties @ walk)
            total += walk
        yield total.astype(np.float32)
