"""Linear algebra of embedding matrices: checks, unit length, and eigenvectors of the smaller side."""

import numpy as np
from jaxtyping import Float, Float64, Shaped

from mfcl.errors import MeasureError


def check_measurable(
    vectors: Shaped[np.ndarray, "..."], labels: Shaped[np.ndarray, "..."], *, what: str = "recordings"
) -> None:
    """Raise one clear line if vectors and their labels cannot be measured.

    Args:
        vectors: One row an item.
        labels: One value an item; an empty string means that it is missing.
        what: What the items are called in the message.

    Raises:
        MeasureError: there are no items, the counts differ, a number is NaN or infinite, or a label is missing.
    """
    if vectors.ndim != 2 or not vectors.size:
        raise MeasureError(
            f"{what}: vectors of shape (items, dim) are wanted, but came {vectors.shape}; give at least one item"
        )
    if labels.shape != vectors.shape[:1]:
        raise MeasureError(
            f"{what}: {len(vectors)} vectors, but labels of shape {labels.shape}; give one label an item"
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
    """Return the vectors at length 1, so that their products are cosines; a zero vector stays zero.

    Args:
        vectors: One row an item.
        dtype: Of the arithmetic and of what is returned; `np.float32` keeps large single-precision tables small.

    Example:
        >>> unit_rows(np.array([[3.0, 4.0]])).tolist()
        [[0.6, 0.8]]
    """
    rows: Float[np.ndarray, "items dim"] = np.asarray(vectors / lengths_of(vectors, dtype)[:, None], dtype=dtype)
    return rows


def lengths_of(
    vectors: Float[np.ndarray, "items dim"], dtype: type[np.floating] = np.float64
) -> Float[np.ndarray, " items"]:
    """Return the length of each vector; of a zero vector, 1."""
    if dtype == np.float32:
        lengths = np.linalg.norm(vectors, axis=1)
    else:  # in double precision without a copy of a single-precision table
        lengths = np.sqrt(np.einsum("id,id->i", vectors, vectors, dtype=dtype))
    return np.where(lengths > 0, lengths, np.ones((), dtype=lengths.dtype))


def smaller_gram(rows: Float64[np.ndarray, "items dim"]) -> Float64[np.ndarray, "least least"]:
    """Return the products of the columns with each other, or of the rows where those are fewer.

    Both have the same eigenvalues but for zeros: the squared singular values.
    """
    gram: Float64[np.ndarray, "least least"] = rows @ rows.T if _wide(rows) else rows.T @ rows
    return gram


class PrincipalAxes:
    """The principal axes of centred rows, widest first, from the eigenvectors of the smaller side.

    Args:
        rows: One row an item, of mean zero.
        over: What the sums of squares are divided by; the number of items makes variances of them.

    Attributes:
        squares: The sum of squares along each axis over `over`, falling.
    """

    def __init__(self, rows: Float64[np.ndarray, "items dim"], *, over: int = 1) -> None:
        self._rows, self._over = rows, over
        squares, axes = np.linalg.eigh(smaller_gram(rows) / over)
        self.squares, self._axes = squares[::-1], axes[:, ::-1]

    def directions(self, kept: int) -> Float64[np.ndarray, "dim {kept}"]:
        """Return the first axes, of length 1, as columns. None of their squares may be zero."""
        axes = self._axes[:, :kept]
        if not _wide(self._rows):
            return axes
        turned: Float64[np.ndarray, "dim kept"] = self._rows.T @ axes / np.sqrt(self._over * self.squares[:kept])
        return turned

    def coordinates(self, kept: int) -> Float64[np.ndarray, "items _"]:
        """Return the rows along the first axes, at most `kept`."""
        axes = self._axes[:, :kept]
        if not _wide(self._rows):
            placed: Float64[np.ndarray, "items _"] = self._rows @ axes
        else:
            placed = axes * np.sqrt(np.maximum(self._over * self.squares[:kept], 0))
        return placed


def _wide(rows: Float64[np.ndarray, "items dim"]) -> bool:
    return bool(rows.shape[1] > rows.shape[0])
