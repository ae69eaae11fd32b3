"""Linear algebra of embedding matrices: checks, unit length, principal axes."""

import numpy as np
from jaxtyping import Float, Float64, Int64, Shaped

from mfcl.errors import MeasureError

COLUMNS = 512
"""Values whose mean and deviation are taken at once, in double precision."""


def check_measurable(
    vectors: Shaped[np.ndarray, "..."], labels: Shaped[np.ndarray, "..."], *, what: str = "recordings"
) -> None:
    """Check that vectors are finite and that each has a label.

    Args:
        vectors: One row per item.
        labels: One value per item; an empty string means that it is missing.
        what: Name of the items in the message.

    Raises:
        MeasureError: there are no items, the counts differ, a number is NaN or infinite, or a label is missing.
    """
    if vectors.ndim != 2 or not vectors.size:
        raise MeasureError(f"{what}: wanted vectors of shape (items, dim), got {vectors.shape}; give at least one item")
    if labels.shape != vectors.shape[:1]:
        raise MeasureError(
            f"{what}: {len(vectors)} vectors, but labels of shape {labels.shape}; give one label per item"
        )
    bad = np.flatnonzero(~np.isfinite(vectors).all(axis=1))
    if len(bad):
        raise MeasureError(
            f"{what}: {len(bad)} of {len(vectors)} vectors hold NaN or infinity (the first is number {bad[0]}); "
            "leave them out"
        )
    missing = np.flatnonzero(labels == "") if labels.dtype.kind in "UO" else np.empty(0)
    if len(missing):
        raise MeasureError(
            f"{what}: {len(missing)} of {len(labels)} have no label (the first is number {missing[0]}); leave them out"
        )


def unit_rows(
    vectors: Float[np.ndarray, "items dim"], dtype: type[np.floating] = np.float64
) -> Float[np.ndarray, "items dim"]:
    """Scale vectors to length 1, so that their dot products are cosines; a zero vector stays zero.

    Args:
        vectors: One row per item.
        dtype: Type of the arithmetic and the result; `np.float32` saves memory for large single-precision tables.

    Example:
        >>> unit_rows(np.array([[3.0, 4.0]])).tolist()
        [[0.6, 0.8]]
    """
    rows: Float[np.ndarray, "items dim"] = np.asarray(vectors / lengths_of(vectors, dtype)[:, None], dtype=dtype)
    return rows


def lengths_of(
    vectors: Float[np.ndarray, "items dim"], dtype: type[np.floating] = np.float64
) -> Float[np.ndarray, " items"]:
    """Return the length of each vector, with 1 in place of 0 so that it can be divided by."""
    if dtype == np.float32:
        lengths = np.linalg.norm(vectors, axis=1)
    else:  # sums in double precision without converting the whole table
        lengths = np.sqrt(np.einsum("id,id->i", vectors, vectors, dtype=dtype))
    return np.where(lengths > 0, lengths, np.ones((), dtype=lengths.dtype))


def moments(
    vectors: Float[np.ndarray, "items dim"], rows: Int64[np.ndarray, " _"] | None = None
) -> tuple[Float64[np.ndarray, " dim"], Float64[np.ndarray, " dim"]]:
    """Return the mean and the standard deviation of each value, without a table of all of them in double precision.

    Args:
        vectors: One row per item.
        rows: The items to take; default: all.
    """
    dim = vectors.shape[1]
    mean, deviation = np.empty((2, dim))
    for start in range(0, dim, COLUMNS):
        block = slice(start, start + COLUMNS)
        exact = (vectors[:, block] if rows is None else vectors[rows, block]).astype(np.float64)
        mean[block], deviation[block] = exact.mean(axis=0), exact.std(axis=0)
    return mean, deviation


def smaller_gram(rows: Float64[np.ndarray, "items dim"]) -> Float64[np.ndarray, "least least"]:
    """Return the Gram matrix of the columns, or of the rows if there are fewer rows.

    Both have the same nonzero eigenvalues: the squared singular values.
    """
    gram: Float64[np.ndarray, "least least"] = rows @ rows.T if _wide(rows) else rows.T @ rows
    return gram


class PrincipalAxes:
    """Compute the principal axes (PCA) of centred rows, largest variance first.

    The eigenvectors are those of the smaller Gram matrix; see `smaller_gram`.

    Args:
        rows: One row per item, of mean zero.
        over: Divisor of the sums of squares; the number of items turns them into variances.

    Attributes:
        squares: Sum of squares along each axis, divided by `over`, in descending order.
    """

    def __init__(self, rows: Float64[np.ndarray, "items dim"], *, over: int = 1) -> None:
        self._rows, self._over = rows, over
        squares, axes = np.linalg.eigh(smaller_gram(rows) / over)
        self.squares, self._axes = squares[::-1], axes[:, ::-1]

    def directions(self, kept: int) -> Float64[np.ndarray, "dim {kept}"]:
        """Return the first axes as columns of length 1. Their `squares` must not be zero."""
        axes = self._axes[:, :kept]
        if not _wide(self._rows):
            return axes
        turned: Float64[np.ndarray, "dim kept"] = self._rows.T @ axes / np.sqrt(self._over * self.squares[:kept])
        return turned

    def coordinates(self, kept: int) -> Float64[np.ndarray, "items _"]:
        """Return the rows' coordinates on the first axes, at most `kept`."""
        axes = self._axes[:, :kept]
        if not _wide(self._rows):
            placed: Float64[np.ndarray, "items _"] = self._rows @ axes
        else:
            placed = axes * np.sqrt(np.maximum(self._over * self.squares[:kept], 0))
        return placed


def _wide(rows: Float64[np.ndarray, "items dim"]) -> bool:
    return bool(rows.shape[1] > rows.shape[0])
