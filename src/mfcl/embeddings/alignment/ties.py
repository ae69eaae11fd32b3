"""Each clip tied to its nearest ones: the graph that labels spread over."""

from typing import Any

import numpy as np
from jaxtyping import Float, Float32, Int64, Shaped
from scipy import sparse

from mfcl.embeddings.alignment.search import smallest
from mfcl.errors import MeasureError

EDGES = 20
"""Nearest items that each is tied to."""
LOCAL = 7
"""Which neighbour's distance is an item's own unit: where items lie dense, ties reach less far."""
SHARPNESS = 2.0
"""Of the fall with the squared distance."""
CELLS_AT_ONCE = 2**22
"""Distances that are looked at once: 32 MiB in double precision."""


def graph(places: Int64[np.ndarray, "items _"], distances: Float[np.ndarray, "items _"]) -> sparse.csr_matrix:
    """Return the symmetric graph that ties items to their nearest ones, each tie normalised by both ends' own ties.

    A tie weighs exp(-2 d^2 / (a b)), d being the distance and a and b the distances of both ends to their own seventh
    neighbours. Two items are tied if either is among the other's nearest.

    Args:
        places: For each item its nearest others, nearest first. The item itself may be among them and is left out.
        distances: To them, from 0 on.

    Returns:
        Weights, (items, items), with an empty diagonal.

    Raises:
        MeasureError: nothing to tie, a place out of range, or a distance that is negative, NaN or infinite.

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
            f"graph: places and distances of one shape (items, neighbours) are wanted, but came {places.shape} and "
            f"{distances.shape}"
        )
    if not 0 <= places.min() <= places.max() < items:
        raise MeasureError(
            f"graph: places from 0 to {items - 1} are wanted, but one lies outside; pass one row an item"
        )
    if not np.isfinite(distances).all() or distances.min() < 0:
        raise MeasureError("graph: distances from 0 on are wanted, but one is negative, NaN or infinite")
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
    """Return the graph of items of which all distances are known; see `graph`.

    Raises:
        MeasureError: fewer than two items; see `graph`.
    """
    items = len(distances)
    if items < 2:
        raise MeasureError(f"graph: two items or more are wanted, but came {items}; give more recordings")
    k = min(EDGES + 1, items)
    rows = max(1, CELLS_AT_ONCE // items)
    found = [smallest(distances[start : start + rows], k) for start in range(0, items, rows)]
    return graph(np.concatenate([places for places, _ in found]), np.concatenate([values for _, values in found]))


def as_graph(given: sparse.spmatrix | sparse.sparray | Shaped[np.ndarray, "..."]) -> sparse.csr_matrix:
    """Return a graph as it is, or the graph of a square table of distances.

    Raises:
        MeasureError: neither, or not square, or weights that are negative, NaN, infinite or not the same both ways.
    """
    found: Any = given
    if len(found.shape) != 2 or found.shape[0] != found.shape[1]:
        raise MeasureError(f"graph: (items, items) are wanted, but came {found.shape}; give ties or distances of all")
    if not sparse.issparse(found):
        return nearest_graph(np.asarray(found, dtype=np.float32))
    ties = found.tocsr()
    if not np.isfinite(ties.data).all() or (ties.data < 0).any() or abs(ties - ties.T).max() > 1e-6:
        raise MeasureError("graph: finite weights from 0 on, the same both ways, are wanted; make it with `graph`")
    return ties
