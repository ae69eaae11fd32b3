"""PCA whitening fitted on training embeddings, for cosine similarity."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, Float64, Int64

from mfcl.core.random import generator
from mfcl.embeddings.linalg import PrincipalAxes, check_measurable, unit_rows
from mfcl.errors import MeasureError

FLOOR = 1e-3
"""Share of the total variance added to each direction's variance, so that noise directions are not amplified."""
MOST_DIRECTIONS = 512
MOST_ITEMS = 2048
"""Most training items to fit on; of more, as many are drawn."""


@dataclass(frozen=True)
class Whitening:
    """Mean and scaled principal directions of training embeddings.

    Attributes:
        mean: Subtracted from each vector.
        directions: Multiplied with the centred vectors; columns are in order of falling variance.
    """

    mean: Float32[np.ndarray, " dim"]
    directions: Float32[np.ndarray, "dim kept"]

    def __call__(self, vectors: Float32[np.ndarray, "items dim"]) -> Float32[np.ndarray, "items kept"]:
        """Return the whitened vectors, each of length 1 (the mean itself stays 0).

        Raises:
            MeasureError: the vectors have another size.
        """
        if vectors.shape[1] != len(self.mean):
            raise MeasureError(
                f"wanted vectors of {len(self.mean)} values like those to whiten by, got {vectors.shape[1]}; "
                "embed both with one checkpoint"
            )
        return unit_rows((vectors - self.mean) @ self.directions, np.float32)


def fit_whitening(vectors: Float32[np.ndarray, "items dim"], *, floor: float = FLOOR) -> Whitening:
    """Fit a PCA whitening on training vectors, without labels.

    Each value is standardised. Each principal direction is then divided by the square root of its variance plus `floor`
    times the total variance. So all directions above the noise weigh about equally in a cosine.

    Args:
        vectors: Embeddings of training recordings.
        floor: Share of the total variance.

    Raises:
        MeasureError: fewer than two vectors, or one that is fitted on holds NaN or infinity.

    Source: Kessy et al., "Optimal whitening and decorrelation", arXiv:1512.00809, section 2.2 (PCA of the correlation
        matrix), with a floor under the variance.

    Example:
        >>> wide = np.array([[9, 0], [-9, 0], [0, 1], [0, -1]], dtype=np.float32)
        >>> np.abs(fit_whitening(wide)(wide)).round(2).tolist()
        [[1.0, 0.0], [1.0, 0.0], [0.0, 1.0], [0.0, 1.0]]
    """
    if len(vectors) < 2:
        raise MeasureError(f"wanted 2 or more training recordings to whiten by, got {len(vectors)}")
    some = vectors[drawn_items(len(vectors))] if len(vectors) > MOST_ITEMS else vectors
    exact = some.astype(np.float64)
    mean = exact.mean(axis=0)
    _check_finite(mean, vectors)
    deviation = np.maximum(exact.std(axis=0), 1e-6 * max(1e-6, float(exact.std())))
    exact -= mean
    exact /= deviation
    axes = PrincipalAxes(exact, over=len(exact))
    whole = axes.squares.sum()
    kept = min(int((axes.squares > 1e-9 * max(whole, 1e-300)).sum()), MOST_DIRECTIONS)
    if not kept:  # all vectors are equal
        return Whitening(mean.astype(np.float32), np.zeros((len(mean), 1), dtype=np.float32))
    turn = axes.directions(kept)
    turn = turn * np.sign(turn[np.abs(turn).argmax(axis=0), np.arange(kept)])  # fix the arbitrary sign of each
    weights = 1 / np.sqrt(axes.squares[:kept] + floor * whole)
    return Whitening(mean.astype(np.float32), (turn * weights / deviation[:, None]).astype(np.float32))


def drawn_items(count: int) -> Int64[np.ndarray, " drawn"]:
    """Return which of more than `MOST_ITEMS` items a whitening is fitted on, ascending."""
    return np.sort(generator(0, "whitening").permutation(count)[:MOST_ITEMS])


def fit_centring(vectors: Float32[np.ndarray, "items dim"]) -> Whitening:
    """Return the whitening that only subtracts the mean: for projections, which were trained for plain cosines.

    Raises:
        MeasureError: there is no vector, or one holds NaN or infinity.
    """
    if not len(vectors):
        raise MeasureError("wanted 1 or more training recordings to centre by, got 0")
    mean = vectors.mean(axis=0, dtype=np.float64)
    _check_finite(mean, vectors)
    return Whitening(mean.astype(np.float32), np.eye(len(mean), dtype=np.float32))


def _check_finite(mean: Float64[np.ndarray, " dim"], vectors: Float32[np.ndarray, "items dim"]) -> None:
    """Refuse vectors whose mean is not finite: it is finite only if all that it is of are."""
    if not np.isfinite(mean).all():
        check_measurable(vectors, np.ones(len(vectors)), what="whitening")
