"""Standardised features in the space that their items span, made a block at a time."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float64

BLOCK = 1 << 21
"""Values of a block of features: 16 MiB."""
TINY = 1e-11
"""Eigenvalues below this share of the largest are rounding error."""


@dataclass(frozen=True)
class Features:
    """Standardised vectors in double precision, made a block at a time: whole they would be a fit's largest table."""

    vectors: Float[np.ndarray, "items dim"]
    mean: Float64[np.ndarray, " dim"]
    deviation: Float64[np.ndarray, " dim"]

    @property
    def wide(self) -> bool:
        """Whether there are more features than items."""
        return bool(self.vectors.shape[1] > self.vectors.shape[0])

    def blocks(self) -> Iterator[Float64[np.ndarray, "_ _"]]:
        """Yield all features in order: some columns of every item where they are wide, else some items."""
        items, dim = self.vectors.shape
        step = max(1, BLOCK // (items if self.wide else dim))
        for start in range(0, dim if self.wide else items, step):
            part = slice(start, start + step)
            columns, rows = (part, slice(None)) if self.wide else (slice(None), part)
            block = self.vectors[rows, columns] - self.mean[columns]
            block /= self.deviation[columns]
            yield block


@dataclass(frozen=True)
class Turned:
    """Features rotated into the space that their items span; the rank is at most the number of items or features."""

    coordinates: Float64[np.ndarray, "items rank"]
    axes: Float64[np.ndarray, "_ rank"]
    """Each coordinate's axis in feature space; if `items` is given, as coefficients of a sum of items."""
    items: Features | None
    """The features of all items, if there are more features than items."""

    def back(self, weights: Float64[np.ndarray, "rank classes"]) -> Float64[np.ndarray, "dim classes"]:
        """Convert weights of the coordinates to weights of the features."""
        back: Float64[np.ndarray, "_ classes"] = self.axes @ weights
        if self.items is None:
            return back
        return np.concatenate([block.T @ back for block in self.items.blocks()])


def turn(features: Features) -> Turned:
    """Rotate features into the space that their items span, which keeps the L2 penalty of weights."""
    least = min(features.vectors.shape)
    gram = np.zeros((least, least))
    for block in features.blocks():
        gram += block @ block.T if features.wide else block.T @ block
    values, vectors = np.linalg.eigh(gram)
    kept = values > TINY * max(float(values[-1]), np.finfo(np.float64).tiny)
    vectors = vectors[:, kept]
    if features.wide:  # features = vectors @ diag(lengths) @ directions.T; directions = features.T @ vectors / lengths
        lengths = np.sqrt(values[kept])
        return Turned(vectors * lengths, vectors / lengths, features)
    return Turned(np.concatenate([block @ vectors for block in features.blocks()]), vectors, None)
