"""Neighbours and graph of vectors by the angle between them: what `alignment` makes from clips, made from vectors."""

import numpy as np
from jaxtyping import Float, Float32, Int64
from scipy import sparse

from mfcl.embeddings.alignment.ties import EDGES, graph
from mfcl.embeddings.nearest import top_k
from mfcl.errors import MeasureError


def nearest_by_angle(
    queries: Float[np.ndarray, "queries dim"], gallery: Float[np.ndarray, "items dim"], k: int
) -> tuple[Int64[np.ndarray, "queries _"], Float32[np.ndarray, "queries _"]]:
    """Return the indices and angles (radians) of each query's k nearest gallery vectors, nearest first.

    Memory is bounded whatever the number of vectors; see `mfcl.embeddings.nearest.top_k`.

    Args:
        queries: Vectors to search for, best whitened: `Embeddings.whitened`.
        gallery: Vectors to search in.
        k: Neighbours to return; all of the gallery if there are fewer.

    Raises:
        MeasureError: the gallery is empty, or vectors differ in length or are not finite.

    Example:
        >>> nearest_by_angle(np.array([[1.0, 0.0]]), np.array([[0.0, 1.0], [2.0, 0.0]]), 2)[1].round(2).tolist()
        [[0.0, 1.5700000524520874]]
    """
    if not len(gallery):
        raise MeasureError("neighbours: wanted at least one vector to search in, got none; give recordings")
    places, cosines = top_k(queries, gallery, min(k, len(gallery)))
    return places, np.arccos(np.clip(cosines, -1.0, 1.0)).astype(np.float32)


def vector_graph(vectors: Float[np.ndarray, "items _"]) -> sparse.csr_matrix:
    """Return the nearest-neighbour graph of vectors by angle; see `mfcl.embeddings.alignment.graph`.

    Args:
        vectors: Vectors, best whitened: `Embeddings.whitened`.

    Raises:
        MeasureError: fewer than two vectors, or one that is not finite.

    Example:
        >>> vector_graph(np.array([[1.0, 0.0], [1.0, 0.1], [0.0, 1.0]])).toarray().round(1).tolist()
        [[0.0, 0.9, 0.2], [0.9, 0.0, 0.3], [0.2, 0.3, 0.0]]
    """
    if len(vectors) < 2:
        raise MeasureError(f"graph: wanted two items or more, got {len(vectors)}; give more recordings")
    return graph(*nearest_by_angle(vectors, vectors, EDGES + 1))
