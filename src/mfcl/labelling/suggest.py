"""Suggest which items to label next: those that represent most of the items far from every label."""

import functools
from collections.abc import Iterator
from typing import Any

import numpy as np
from jaxtyping import Float, Float32, Float64, Int64, Shaped
from scipy import sparse

from mfcl.core.parallel import in_parallel
from mfcl.core.random import check_seed, generator
from mfcl.embeddings.alignment.covering import covering
from mfcl.embeddings.alignment.ties import as_graph
from mfcl.errors import MeasureError
from mfcl.labelling.propagate import check_labels

STEPS = 12
"""Edges of the longest graph path by which one item represents another."""
DAMPING = 0.95
"""Factor on a path's weight for each edge."""
MOST = 4096
"""Most candidates at once; of more items, as many are drawn (64 MiB)."""
CELLS_AT_ONCE = 2**19
"""Path weights held at once by each thread: 4 MiB."""


def suggest(
    given: sparse.spmatrix | sparse.sparray | Float[np.ndarray, "_ _"],
    count: int,
    *,
    known: Shaped[np.ndarray, " _"] | None = None,
    seed: int = 0,
) -> Int64[np.ndarray, " {count}"]:
    """Return the indices of the items to label next, the most useful first.

    An item represents the items that short graph paths connect it to. Each new item is the one that adds most to the
    coverage of all items. Labelled items count as already chosen, so items far from every label come first. Once the
    groups of items have labels, it is mostly outliers that are far from all, and their labels tell little of others. So
    with known labels each item counts as much as the sum of its ties.

    Args:
        given: A graph of the items (see `mfcl.embeddings.alignment.graph`), or the full distance matrix. Of embeddings
            `mfcl.Collection` makes the graph, and has this as a method.
        count: Items to return.
        known: A label for each item, "" where it is unknown; default: all unknown.
        seed: Seed of the draw of candidates, if there are more than 4,096 items.

    Returns:
        Indices of items without a label, none twice.

    Raises:
        MeasureError: `count` exceeds the number of unlabelled items, or the graph, the labels or the seed cannot be
            used.

    Example:
        >>> far = np.array([[0, 1, 9, 9], [1, 0, 9, 9], [9, 9, 0, 1], [9, 9, 1, 0]], dtype=np.float32)
        >>> suggest(far, 1, known=np.array(["a", "", "", ""])).tolist()
        [2]
    """
    ties: Any = as_graph(given)
    check_seed(seed, error=MeasureError)
    items = ties.shape[0]
    labels = np.full(items, "") if known is None else check_labels(known, items)
    unknown, labelled = np.flatnonzero(labels == ""), np.flatnonzero(labels != "")
    if not len(unknown):
        raise MeasureError(f"suggestions: all {items} items have a label, so none is left to suggest; add recordings")
    if isinstance(count, bool) or not isinstance(count, int | np.integer) or not 1 <= count <= len(unknown):
        raise MeasureError(
            f"suggestions: wanted a count from 1 to {len(unknown)} (the unlabelled items), got {count}; ask for fewer"
        )
    weights = np.asarray(ties.sum(axis=1), dtype=np.float64).reshape(-1) if len(labelled) else None
    covered = _covered(ties, labelled)
    chosen: Int64[np.ndarray, " {count}"] = np.zeros(0, dtype=np.int64)
    while len(chosen) < count:  # more than `MOST` in turns: all at once would take memory by their square
        left = np.setdiff1d(unknown, chosen)
        turn = (len(chosen),) if len(chosen) else ()
        drawn = np.sort(generator(seed, "suggest", *turn).permutation(left)[:MOST]) if len(left) > MOST else left
        some = _chosen(ties, drawn, min(count - len(chosen), len(drawn)), covered, weights)
        chosen = np.concatenate([chosen, some])
        covered = np.maximum(covered, _covered(ties, some)) if len(chosen) < count else covered
    return chosen


def _chosen(
    ties: Any,
    drawn: Int64[np.ndarray, " drawn"],
    count: int,
    covered: Float32[np.ndarray, " items"],
    weights: Float64[np.ndarray, " items"] | None,
) -> Int64[np.ndarray, " {count}"]:
    """Return the most useful of some candidates, which stand for all items.

    Args:
        ties: The graph.
        drawn: The candidates.
        count: How many.
        covered: What reaches each item from those that are labelled or chosen.
        weights: Weight of each item; None: equal.
    """
    reach = np.concatenate([total[drawn] for total in _reach(ties, drawn)], axis=1)
    whole = np.maximum(reach.max(axis=1), 1e-9)  # usually an item's weight for itself
    reach /= whole[:, None].astype(np.float32)
    own = None if weights is None else weights[drawn]
    chosen: Int64[np.ndarray, " {count}"] = drawn[covering(reach, count, covered=covered[drawn] / whole, weights=own)]
    return chosen


def _covered(ties: Any, sources: Int64[np.ndarray, " sources"]) -> Float32[np.ndarray, " items"]:
    """Return the highest weight of paths to each item from any of some items."""
    nothing = np.zeros(ties.shape[0], dtype=np.float32)
    return functools.reduce(np.maximum, (total.max(axis=1) for total in _reach(ties, sources)), nothing)


def _reach(ties: Any, sources: Int64[np.ndarray, " sources"]) -> Iterator[Float32[np.ndarray, "items some"]]:
    """Yield, for a block of sources at a time, the total weight of paths of up to `STEPS` edges to each item."""
    at_once = max(1, CELLS_AT_ONCE // ties.shape[0])
    blocks = [sources[start : start + at_once] for start in range(0, len(sources), at_once)]

    def total(own: Int64[np.ndarray, " some"]) -> Float32[np.ndarray, "items some"]:
        walk = np.zeros((ties.shape[0], len(own)))
        walk[own, np.arange(len(own))] = 1
        found = walk.copy()
        for _ in range(STEPS):
            walk = DAMPING * (ties @ walk)
            found += walk
        return found.astype(np.float32)

    yield from in_parallel(total, blocks, what="Looking", shown=False)


def in_turn(ranked: Int64[np.ndarray, " some"], codes: Int64[np.ndarray, " items"]) -> list[int]:
    """Return ranked items of all classes in turn, each class in its order, so that no class comes first as a whole.

    Args:
        ranked: The items, the best first.
        codes: Class number of every item.
    """
    turn: dict[int, int] = {}
    keys: list[tuple[int, int, int]] = []
    for clip in ranked.tolist():
        code = int(codes[clip])
        turn[code] = turn.get(code, -1) + 1
        keys.append((turn[code], len(keys), clip))
    return [clip for _, _, clip in sorted(keys)]
