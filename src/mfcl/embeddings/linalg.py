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


def unit_rows(vectors: Float[np.ndarray, "items dim"]) -> Float64[np.ndarray, "items dim"]:
    """Return the vectors at length 1, so that their products are cosines; a zero vector stays zero.

    Example:
        >>> unit_rows(np.array([[3.0, 4.0]])).tolist()
        [[0.6, 0.8]]
    """
    rows: Float64[np.ndarray, "items dim"] = vectors / lengths_of(vectors)[:, None]
    return rows


def lengths_of(vectors: Float[np.ndarray, "items dim"]) -> Float64[np.ndarray, " items"]:
    """Return the length of each vector; of a zero vector, 1."""
    lengths = np.sqrt(np.einsum("id,id->i", vectors, vectors, dtype=np.float64))
    return np.where(lengths > 0, lengths, 1.0)
