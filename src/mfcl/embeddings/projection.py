"""Vectors as points on paper: t-SNE of their cosines."""

import numpy as np
from jaxtyping import Float, Float32, Float64, Int64
from threadpoolctl import threadpool_limits

from mfcl.core.random import generator
from mfcl.embeddings.linalg import PrincipalAxes, check_measurable, unit_rows

MOST = 2000
"""Points of a map: more cover each other."""
DIRECTIONS = 50
"""Principal directions that are kept before: distances hardly change, and are found far quicker."""
FEWEST = 5
"""Items that t-SNE has anything to say about; fewer are shown along their principal directions."""


def project_2d(
    vectors: Float[np.ndarray, "items dim"], *, seed: int, perplexity: float = 30.0
) -> Float32[np.ndarray, "items 2"]:
    """Return a place in the plane for each vector: near where their cosine is high. Far places say nothing.

    On one machine equal seeds give equal maps; one thread is used, whatever the machine has.

    Args:
        vectors: One row an item; draw some first where there are many (`drawn`).
        seed: Of the descent.
        perplexity: About how many neighbours each keeps near; fewer where there are few items.

    Raises:
        MeasureError: there is no vector, or one is NaN or infinite.

    Source: van der Maaten and Hinton, "Visualizing Data using t-SNE", JMLR 9, 2008; the descent is scikit-learn's. The
        squared distance of vectors at length 1 is twice one minus their cosine.
    """
    check_measurable(vectors, np.ones(len(vectors)), what="map")
    points = principal(unit_rows(vectors))
    spread = float(points[:, 0].std())
    if spread < 1e-6:  # all point one way, up to rounding
        return np.zeros((len(points), 2), dtype=np.float32)
    start = 1e-4 * points[:, :2] / spread
    if len(points) < FEWEST:
        return (1e4 * start).astype(np.float32)
    start += 1e-6 * generator(seed, "map").standard_normal(
        start.shape
    )  # equal vectors, or all on a line: let them part

    from sklearn.manifold import TSNE  # slow to import, and only maps want it

    descent = TSNE(
        perplexity=min(perplexity, (len(points) - 1) / 3),
        init=start.astype(np.float32),
        random_state=seed % 2**32,
        n_jobs=1,
    )
    with threadpool_limits(1):
        placed = descent.fit_transform(points.astype(np.float32))
    return np.asarray(placed, dtype=np.float32)


def drawn(count: int, most: int = MOST, *, seed: int = 0) -> Int64[np.ndarray, " chosen"]:
    """Return the places of at most so many of `count` items, in rising order, one drawn from each equal stretch.

    Example:
        >>> drawn(3, 5).tolist()
        [0, 1, 2]
        >>> len(drawn(1000, 10)), bool((drawn(1000, 10) // 100 == np.arange(10)).all())
        (10, True)
    """
    if count <= most:
        return np.arange(count, dtype=np.int64)
    edges = np.arange(most + 1) * count // most
    share = generator(seed, "drawn").random(most)  # at the same place of each, a list's own rhythm would show
    chosen: Int64[np.ndarray, " chosen"] = edges[:-1] + (share * np.diff(edges)).astype(np.int64)
    return chosen


def principal(
    rows: Float64[np.ndarray, "items dim"], directions: int = DIRECTIONS
) -> Float64[np.ndarray, "items kept"]:
    """Return the rows along their principal directions, widest first: at most `directions`, at least 2.

    A direction's sign is such that the coordinate furthest from zero is positive.
    """
    points = PrincipalAxes(rows - rows.mean(axis=0)).coordinates(directions)
    furthest = np.take_along_axis(points, np.abs(points).argmax(axis=0)[None], axis=0)
    points = points * np.where(furthest < 0, -1.0, 1.0)
    return np.pad(points, ((0, 0), (0, max(0, 2 - points.shape[1]))))
