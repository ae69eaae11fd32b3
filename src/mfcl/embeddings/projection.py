"""2D maps of embeddings: t-SNE by cosine."""

from collections.abc import Sequence
from functools import partial

import numpy as np
from jaxtyping import Float, Float32, Float64, Int64
from threadpoolctl import threadpool_limits

from mfcl.core.blas import one_blas_thread
from mfcl.core.parallel import in_parallel
from mfcl.core.random import generator
from mfcl.embeddings.linalg import PrincipalAxes, check_measurable, unit_rows

MOST = 2000
"""Most points of a map; with more they cover each other."""
DIRECTIONS = 50
"""PCA dimensions kept before t-SNE: much faster, with nearly the same distances."""
FEWEST = 5
"""Fewest items for t-SNE; fewer are placed by their first two principal components."""


def project_2d(
    vectors: Float[np.ndarray, "items dim"], *, seed: int, perplexity: float = 30.0
) -> Float32[np.ndarray, "items 2"]:
    """Return 2D coordinates by t-SNE: vectors of high cosine are close. Large distances carry no meaning.

    On one machine equal seeds give equal maps, since only one thread is used.

    Args:
        vectors: One row per item; subsample large sets first with `drawn`.
        seed: Seed of t-SNE.
        perplexity: Approximate number of neighbours that t-SNE keeps close; lowered for few items.

    Raises:
        MeasureError: there is no vector, or one is NaN or infinite.

    Source: van der Maaten and Hinton, "Visualizing Data using t-SNE", JMLR 9, 2008, as implemented in scikit-learn. The
        squared distance of unit vectors is twice one minus their cosine.
    """
    return lay_out(reduced(vectors), seed=seed, perplexity=perplexity)


def reduced(vectors: Float[np.ndarray, "items dim"]) -> Float64[np.ndarray, "items kept"]:
    """Return what t-SNE needs of vectors: unit vectors in at most `DIRECTIONS` principal directions.

    Raises:
        MeasureError: see `project_2d`.
    """
    check_measurable(vectors, np.ones(len(vectors)), what="map")
    return principal(unit_rows(vectors))


def lay_out_each(several: Sequence[Float64[np.ndarray, "_ _"]], *, seed: int) -> list[Float32[np.ndarray, "_ 2"]]:
    """Return `lay_out` of several sets of points, as many at once as there are cores; each is that of one alone."""
    with one_blas_thread():
        return list(in_parallel(partial(lay_out, seed=seed), several, what="Maps", shown=False))


def lay_out(
    points: Float64[np.ndarray, "items kept"], *, seed: int, perplexity: float = 30.0
) -> Float32[np.ndarray, "items 2"]:
    """Return the t-SNE map of `reduced` vectors; see `project_2d`."""
    spread = float(points[:, 0].std())
    if spread < 1e-6:  # all vectors have one direction, up to rounding
        return np.zeros((len(points), 2), dtype=np.float32)
    start = 1e-4 * points[:, :2] / spread
    if len(points) < FEWEST:
        return (1e4 * start).astype(np.float32)
    # noise separates equal vectors, and vectors on one line
    start += 1e-6 * generator(seed, "map").standard_normal(start.shape)

    from sklearn.manifold import TSNE  # slow to import, and only maps need it

    descent = TSNE(
        perplexity=min(perplexity, (len(points) - 1) / 3),
        init=start.astype(np.float32),
        random_state=seed % 2**32,
        n_jobs=1,
    )
    with one_blas_thread(), threadpool_limits(1, "openmp"):
        placed = descent.fit_transform(points.astype(np.float32))
    return np.asarray(placed, dtype=np.float32)


def drawn(count: int, most: int = MOST, *, seed: int = 0) -> Int64[np.ndarray, " chosen"]:
    """Return the ascending indices of at most `most` of `count` items, one drawn at random from each equal interval.

    Example:
        >>> drawn(3, 5).tolist()
        [0, 1, 2]
        >>> len(drawn(1000, 10)), bool((drawn(1000, 10) // 100 == np.arange(10)).all())
        (10, True)
    """
    if count <= most:
        return np.arange(count, dtype=np.int64)
    edges = np.arange(most + 1) * count // most
    share = generator(seed, "drawn").random(most)  # a fixed step could pick one class of a periodic list
    chosen: Int64[np.ndarray, " chosen"] = edges[:-1] + (share * np.diff(edges)).astype(np.int64)
    return chosen


def principal(
    rows: Float64[np.ndarray, "items dim"], directions: int = DIRECTIONS
) -> Float64[np.ndarray, "items kept"]:
    """Return the PCA coordinates of rows: at most `directions` of them, and at least 2 (padded with zeros).

    The sign of each axis makes the coordinate furthest from zero positive.
    """
    points = PrincipalAxes(rows - rows.mean(axis=0)).coordinates(directions)
    furthest = np.take_along_axis(points, np.abs(points).argmax(axis=0)[None], axis=0)
    points = points * np.where(furthest < 0, -1.0, 1.0)
    return np.pad(points, ((0, 0), (0, max(0, 2 - points.shape[1]))))
