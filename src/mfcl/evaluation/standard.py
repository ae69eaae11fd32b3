"""Standardise vectors by their training split, a block at a time."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, Float64, Int64

from mfcl.embeddings.linalg import check_measurable, moments, unit_rows
from mfcl.embeddings.table import Embeddings
from mfcl.errors import MeasureError

ROWS = 64
"""Recordings that are standardised at once, in double precision."""


@dataclass(frozen=True)
class Standard:
    """Mean and standard deviation of each value of training vectors."""

    mean: Float64[np.ndarray, " dim"]
    deviation: Float64[np.ndarray, " dim"]


def check_training(embeddings: Embeddings, name: object) -> None:
    """Refuse embeddings none of which a probe can learn from.

    Args:
        embeddings: Embeddings to measure.
        name: What they are called in the message, such as their file.

    Raises:
        MeasureError: none is of the train split.
    """
    if not (embeddings.splits == "train").any():
        raise MeasureError(
            f"{name}: none of its recordings is of the split train, from which a probe learns; embed a list with a "
            "column `split`, such as the manifest.csv of a run"
        )


def standard_of(embeddings: Embeddings) -> Standard:
    """Return the mean and standard deviation of the train split; a value that hardly varies gets a floor.

    Raises:
        MeasureError: there are fewer than two training recordings, or one has a vector with NaN or infinity.
    """
    train = np.flatnonzero(embeddings.splits == "train")
    if len(train) < 2:
        raise MeasureError(f"wanted 2 or more training recordings to standardise by, got {len(train)}")
    mean, deviation = moments(embeddings.vectors, train)
    if not np.isfinite(mean).all():  # told of these: once standardised by them, all vectors would be NaN
        check_measurable(embeddings.vectors[train], np.ones(len(train)), what="probe, train")
    whole = float(np.sqrt(np.mean(deviation**2 + (mean - mean.mean()) ** 2)))  # deviation of all values together
    return Standard(mean, np.maximum(deviation, 1e-6 * max(1e-6, whole)))


def standardised(
    embeddings: Embeddings, by: Standard | None = None, rows: Int64[np.ndarray, " _"] | None = None
) -> Float32[np.ndarray, "_ dim"]:
    """Standardise vectors by the train split, then scale each part to length 1.

    Otherwise the format with the larger values would dominate every cosine. Baselines are treated the same way.

    Args:
        embeddings: The vectors to standardise.
        by: Mean and standard deviation of other embeddings; default: those of `embeddings`.
        rows: The recordings to return, in this order; default: all.

    Raises:
        MeasureError: there are fewer than two training recordings, or `by` is of vectors of another size.
    """
    by = by or standard_of(embeddings)
    if len(by.mean) != embeddings.dim:
        raise MeasureError(
            f"wanted vectors of {len(by.mean)} values like those to standardise by, got {embeddings.dim}; "
            "embed both with one checkpoint"
        )
    wanted = np.arange(len(embeddings)) if rows is None else rows
    scaled = np.empty((len(wanted), embeddings.dim), dtype=np.float32)
    for start in range(0, len(wanted), ROWS):
        block = scaled[start : start + ROWS]
        block[:] = (embeddings.vectors[wanted[start : start + ROWS]] - by.mean) / by.deviation
        for first, last in embeddings.parts.values() or [(0, embeddings.dim)]:
            block[:, first:last] = unit_rows(block[:, first:last], np.float32)
    return scaled
