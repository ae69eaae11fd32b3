"""Find similar recordings without labels, by diffusion over the graph of nearest neighbours.

Two recordings of one word by very different voices may not be neighbours, but a chain of neighbours connects them.
"""

import numpy as np
from jaxtyping import Float, Int64
from scipy import sparse

from mfcl.core.parallel import Mapped
from mfcl.embeddings.nearest import nearest, top_k
from mfcl.errors import MeasureError

EDGES = 20
"""Nearest neighbours that each recording has an edge to."""
STEPS = 20
"""Longest path in edges; longer paths hardly change the ranking."""
DAMPING = 0.95
"""Factor on a path's weight for each further edge."""
SHARPNESS = 3
"""An edge's weight is its cosine to this power."""
CELLS_AT_ONCE = 2**21  # values of the score table: 8 MiB, and 16 MiB while the highest are found


def alike(edges: sparse.csr_matrix, kept: int, *, mapped: Mapped = map) -> Int64[np.ndarray, "items {kept}"]:
    """Return each item's most similar other items by graph diffusion, most similar first.

    An item's score is the damped sum over all paths of up to `STEPS` edges.

    Memory grows linearly with the number of items, time with its square.

    Args:
        edges: Symmetric weights, (items, items), normalised by the weighted degrees of both ends, so that a hub is near
            to nobody: `powered_cosine_graph`, or `mfcl.embeddings.alignment.graph`.
        kept: Other items to return for each; fewer than there are items.
        mapped: Does the work, such as `mfcl.core.distributed.shared_out`.

    Raises:
        MeasureError: `kept` is out of range.

    Source: Zhou et al., "Ranking on data manifolds", NIPS 2004, with the series truncated.

    Example:
        >>> chain = np.array([[np.cos(angle), np.sin(angle)] for angle in (0, 0.5, 1.0, 2.8)])
        >>> alike(powered_cosine_graph(chain), 2).tolist()[0]
        [1, 2]
    """
    items = edges.shape[0]
    if not 1 <= kept < items:
        raise MeasureError(f"similar items: wanted 1 to {items - 1} per item, got {kept}; ask for fewer")
    edges = edges.astype(np.float32)
    rows = max(1, CELLS_AT_ONCE // items)

    def nearest_of(start: int) -> Int64[np.ndarray, "_ _"]:
        own = np.arange(start, min(start + rows, items))
        walk = edges[:, own].toarray()  # (items, rows); edges are symmetric
        total = walk.copy()
        for _ in range(STEPS - 1):
            walk = np.float32(DAMPING) * (edges @ walk)
            total += walk
        total[own, np.arange(len(own))] = -1.0  # no item is its own neighbour
        return nearest(total.T.astype(np.float64), kept)[0]

    return np.concatenate(list(mapped(nearest_of, range(0, items, rows))))


def powered_cosine_graph(vectors: Float[np.ndarray, "items _"], *, mapped: Mapped = map) -> sparse.csr_matrix:
    """Return the graph of nearest neighbours by cosine, (items, items) and symmetric.

    Edge weights are powered cosines, normalised by the weighted degrees of both ends.

    Args:
        vectors: Vectors to compare by cosine, such as whitened embeddings.
        mapped: Does the search; see `alike`.

    Raises:
        MeasureError: a vector is NaN or infinite.
    """
    items = len(vectors)
    neighbours = min(EDGES, items - 1)
    places, cosines = top_k(vectors, vectors, neighbours + 1, mapped=mapped)
    rows = np.repeat(np.arange(items), neighbours + 1)
    others = places.ravel() != rows
    weights = np.maximum(cosines.ravel(), 1e-3) ** SHARPNESS
    shape = (items, items)
    one_way = sparse.csr_matrix((weights[others], (rows[others], places.ravel()[others])), shape=shape)
    both = one_way.maximum(one_way.T)
    scale = sparse.diags(1 / np.sqrt(np.asarray(both.sum(axis=1)).ravel()))
    return (scale @ both @ scale).astype(np.float32).tocsr()
