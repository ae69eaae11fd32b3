"""Which recordings are alike, told without labels: a walk over the graph in which each is tied to its nearest ones.

Two recordings of one word by unlike voices have little in common directly, but a chain of others between them.
"""

import numpy as np
from jaxtyping import Float, Int64
from scipy import sparse

from mfcl.embeddings.nearest import nearest, top_k
from mfcl.errors import MeasureError

EDGES = 20
"""Nearest recordings that each is tied to."""
STEPS = 20
"""Longest chain; longer ones change next to nothing."""
DAMPING = 0.95
"""What each step keeps of the way so far."""
SHARPNESS = 3
"""Power of a cosine that makes the weight of a tie."""
CELLS_AT_ONCE = 2**21  # of the walk's table: 8 MiB, and 16 MiB where the highest are found


def alike(vectors: Float[np.ndarray, "items _"], kept: int) -> Int64[np.ndarray, "items {kept}"]:
    """Return each item's most alike others, the most alike first.

    Ties are cosines to a power, normalised by both ends' own ties, so that an item near to everything is near to
    nobody. All ways of up to `STEPS` ties count, longer ones less.

    Memory grows with the items; time with their square.

    Args:
        vectors: What cosines say something about, such as whitened embeddings.
        kept: How many others to return for each; fewer than there are items.

    Raises:
        MeasureError: there are not more items than are to be kept, or a vector is NaN or infinite.

    Source: Zhou et al., "Ranking on data manifolds", NIPS 2004, with the series cut short.

    Example:
        >>> chain = np.array([[np.cos(angle), np.sin(angle)] for angle in (0, 0.5, 1.0, 2.8)])
        >>> alike(chain, 2).tolist()[0]
        [1, 2]
    """
    items = len(vectors)
    if not 1 <= kept < items:
        raise MeasureError(f"alike: 1 to {items - 1} others are there for each of {items} items, but {kept} are wanted")
    ties = _ties(vectors)
    found = np.empty((items, kept), dtype=np.int64)
    rows = max(1, CELLS_AT_ONCE // items)
    for start in range(0, items, rows):
        own = np.arange(start, min(start + rows, items))
        walk = ties[:, own].toarray()  # (items, rows); ties are the same both ways
        total = walk.copy()
        for _ in range(STEPS - 1):
            walk = np.float32(DAMPING) * (ties @ walk)
            total += walk
        total[own, np.arange(len(own))] = -1.0  # nobody is his own neighbour
        found[own], _ = nearest(total.T.astype(np.float64), kept)
    return found


def _ties(vectors: Float[np.ndarray, "items _"]) -> sparse.csr_matrix:
    """Return the normalised weights of the ties, (items, items) and symmetric."""
    items = len(vectors)
    edges = min(EDGES, items - 1)
    places, cosines = top_k(vectors, vectors, edges + 1)
    rows = np.repeat(np.arange(items), edges + 1)
    others = places.ravel() != rows
    weights = np.maximum(cosines.ravel(), 1e-3) ** SHARPNESS
    shape = (items, items)
    one_way = sparse.csr_matrix((weights[others], (rows[others], places.ravel()[others])), shape=shape)
    both = one_way.maximum(one_way.T)
    scale = sparse.diags(1 / np.sqrt(np.asarray(both.sum(axis=1)).ravel()))
    return (scale @ both @ scale).astype(np.float32).tocsr()
