"""Nearest-neighbour graph of clips, for label propagation."""

from typing import Any

import numpy as np
from jaxtyping import Float, Float32, Int64, Shaped
from scipy import sparse

from mfcl.embeddings.alignment.search import smallest
from mfcl.errors import MeasureError

EDGES = 20
"""Nearest items that each item gets an edge to."""
LOCAL = 7
"""Rank of the neighbour whose distance is an item's local scale, so that edges are shorter in dense regions."""
SHARPNESS = 2.0
"""Factor of the scaled squared distance in the exponent of an edge's weight."""
CELLS_AT_ONCE = 2**22
"""Distances processed at once: 32 MiB in double precision."""


def graph(places: Int64[np.ndarray, "items _"], distances: Float[np.ndarray, "items _"]) -> sparse.csr_matrix:
    """Return the symmetric nearest-neighbour graph, normalised by the weighted degrees of both ends.

    An edge's weight is exp(-2 d^2 / (a b)) before normalising: d is the distance, a and b are the distances of its ends
    to their own seventh neighbours. Two items have an edge if either is among the other's 20 nearest.

    Args:
        places: For each item the indices of its nearest items, nearest first; the item itself is ignored.
        distances: Distances to them, 0 or more.

    Returns:
        Weights, (items, items), with an empty diagonal.

    Raises:
        MeasureError: there are no items, an index is out of range, or a distance is negative, NaN or infinite.

    Source: Zelnik-Manor and Perona, "Self-tuning spectral clustering", 2004; Zhou et al., "Learning with local and
        global consistency", 2004, for the normalisation.

    Example:
        >>> near = np.array([[1], [0], [1]])
        >>> graph(near, np.array([[0.1], [0.1], [0.2]])).toarray().round(2).tolist()
        [[0.0, 0.94, 0.0], [0.94, 0.0, 0.35], [0.0, 0.35, 0.0]]
    """
    items = len(places)
    if places.shape != distances.shape or not places.size:
        raise MeasureError(
            f"graph: wanted places and distances of one shape (items, neighbours), got {places.shape} and "
            f"{distances.shape}"
        )
    if not 0 <= places.min() <= places.max() < items:
        raise MeasureError(f"graph: wanted places from 0 to {items - 1}, but one lies outside; pass one row per item")
    if not np.isfinite(distances).all() or distances.min() < 0:
        raise MeasureError("graph: wanted distances of 0 or more, but one is negative, NaN or infinite")
    rows = np.broadcast_to(np.arange(items)[:, None], places.shape)
    others = places != rows
    rank = np.cumsum(others, axis=1)  # 1 for the nearest other
    reach = np.where(others & (rank <= LOCAL), distances, 0.0).max(axis=1)
    kept = others & (rank <= EDGES)
    row, column, distance = rows[kept], places[kept], distances[kept].astype(np.float64)
    weights = np.exp(-SHARPNESS * distance**2 / (reach[row] * reach[column] + 1e-9))
    shape = (items, items)
    one_way = sparse.csr_matrix((np.maximum(weights, 1e-12), (row, column)), shape=shape)
    both = one_way.maximum(one_way.T)
    scale = sparse.diags(1 / np.sqrt(np.asarray(both.sum(axis=1)).ravel() + 1e-9))
    return (scale @ both @ scale).tocsr()


def nearest_graph(distances: Float32[np.ndarray, "items items"]) -> sparse.csr_matrix:
    """Return the nearest-neighbour graph of a full distance matrix; see `graph`.

    Raises:
        MeasureError: fewer than two items; see `graph`.
    """
    items = len(distances)
    if items < 2:
        raise MeasureError(f"graph: wanted two items or more, got {items}; give more recordings")
    k = min(EDGES + 1, items)
    rows = max(1, CELLS_AT_ONCE // items)
    found = [smallest(distances[start : start + rows], k) for start in range(0, items, rows)]
    return graph(np.concatenate([places for places, _ in found]), np.concatenate([values for _, values in found]))


def as_graph(given: sparse.spmatrix | sparse.sparray | Shaped[np.ndarray, "..."]) -> sparse.csr_matrix:
    """Return a sparse graph as it is, or build the graph of a square distance matrix.

    Raises:
        MeasureError: no matrix, not square, no items, no real numbers, or weights that are negative, NaN, infinite or
            not symmetric.
    """
    found: Any = given
    if not hasattr(found, "shape"):
        raise MeasureError(
            f"graph: wanted a graph or all distances, got {type(found).__name__}; mfcl.Collection takes embeddings"
        )
    if len(found.shape) != 2 or found.shape[0] != found.shape[1]:
        raise MeasureError(f"graph: wanted shape (items, items), got {found.shape}; give a graph or all distances")
    found = found if sparse.issparse(found) else np.asarray(found)
    if found.dtype.kind not in "fiub":
        raise MeasureError(f"graph: wanted weights or distances as real numbers, got {found.dtype}; convert them")
    if not sparse.issparse(found):
        return nearest_graph(np.asarray(found, dtype=np.float32))
    ties = found.tocsr()
    if not ties.shape[0]:
        raise MeasureError("graph: wanted one item or more, got 0; give more recordings")
    if not np.isfinite(ties.data).all() or (ties.data < 0).any() or abs(ties - ties.T).max() > 1e-6:
        raise MeasureError("graph: wanted finite weights of 0 or more, the same both ways; make it with `graph`")
    return ties
