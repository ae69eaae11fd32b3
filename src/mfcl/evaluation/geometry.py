"""Geometry of embeddings: alignment, uniformity, effective rank, linear CKA, cross-format retrieval."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Float

from mfcl.embeddings.linalg import check_measurable, smaller_gram, unit_rows
from mfcl.embeddings.nearest import top_k
from mfcl.errors import MeasureError

PAIRS_AT_ONCE = 2**22
EPSILON = 1e-7


def alignment(first: Float[np.ndarray, "_ _"], second: Float[np.ndarray, "_ _"], *, power: float = 2.0) -> float:
    """Return the mean powered distance of two views of an item on the unit sphere: 0 equal, 4 opposite (at power 2).

    Args:
        first: One view of each item.
        second: The other view, in the same space.
        power: Power of the distance.

    Raises:
        MeasureError: the views differ in items or values, or a vector is NaN or infinite.

    Example:
        >>> alignment(np.array([[2.0, 0.0]]), np.array([[0.0, 1.0]]))
        2.0

    Source: Wang and Isola, "Understanding Contrastive Representation Learning through Alignment and Uniformity on the
        Hypersphere", arXiv:2005.10242, section 4.
    """
    _check_views(first, second)
    if first.shape[1] != second.shape[1]:
        raise MeasureError(
            f"alignment: wanted two views in one space, got {first.shape[1]} and {second.shape[1]} values; "
            "give projections"
        )
    squares = ((unit_rows(first) - unit_rows(second)) ** 2).sum(axis=1)
    return float(np.mean(squares ** (power / 2)))


def uniformity(vectors: Float[np.ndarray, "_ _"], *, sharpness: float = 2.0) -> float:
    """Return the log mean of `exp(-sharpness * squared distance)` over all pairs of vectors on the unit sphere.

    It is 0 if all vectors are equal, and about -4 if they are spread evenly (at sharpness 2).

    Raises:
        MeasureError: there are fewer than 2 vectors, or one is NaN or infinite.

    Example:
        >>> round(uniformity(np.array([[1.0, 0.0], [-3.0, 0.0]])), 6)
        -8.0

    Source: Wang and Isola, arXiv:2005.10242, section 4.
    """
    _check(vectors, "uniformity", least=2)
    rows = unit_rows(vectors)
    squares = (rows**2).sum(axis=1)
    block = max(1, PAIRS_AT_ONCE // len(rows))
    total = 0.0
    for start in range(0, len(rows), block):
        own = rows[start : start + block]
        distances = squares[start : start + block, None] + squares[start:] - 2 * own @ rows[start:].T
        above = np.arange(distances.shape[1]) > np.arange(len(own))[:, None]  # each pair once, none with itself
        total += float((np.exp(-sharpness * np.maximum(distances, 0)) * above).sum())
    return float(np.log(total / (len(rows) * (len(rows) - 1) / 2)))


def rankme(vectors: Float[np.ndarray, "_ _"]) -> float:
    """Return the effective rank: the exponential of the entropy of the singular values, 1 to `dim`.

    Compare it only between representations of one method and for the same number of items.

    Raises:
        MeasureError: there is no vector, or one is NaN or infinite.

    Example:
        >>> round(rankme(np.eye(3)), 4)
        3.0

    Source: Garrido, Balestriero, Najman and LeCun, "RankMe: Assessing the downstream performance of pretrained
        self-supervised representations by their rank", arXiv:2210.02885, section 3.
    """
    _check(vectors, "RankMe")
    rows = vectors.astype(np.float64)
    rows /= max(float(np.abs(rows).max()), np.finfo(np.float64).tiny)  # RankMe does not depend on the scale
    squares = np.linalg.eigvalsh(smaller_gram(rows))
    values = np.sqrt(np.maximum(squares, 0))
    shares = values / max(float(values.sum()), np.finfo(np.float64).tiny) + EPSILON
    return float(np.exp(-(shares * np.log(shares)).sum()))


def linear_cka(first: Float[np.ndarray, "_ _"], second: Float[np.ndarray, "_ _"]) -> float:
    """Return the linear CKA of two representations of the same items, 0 to 1; invariant to rotation and scale.

    Computed from feature covariances, so memory does not grow with the square of the number of items.

    Raises:
        MeasureError: the views differ in items, there are fewer than 2, or all vectors of a view are equal.

    Example:
        >>> space = np.array([[0.0, 1.0], [2.0, 0.0], [1.0, 5.0]])
        >>> round(linear_cka(space, 3 * space[:, ::-1] + 7), 6)
        1.0

    Source: Kornblith, Norouzi, Lee and Hinton, "Similarity of Neural Network Representations Revisited",
        arXiv:1905.00414, table 1.
    """
    _check_views(first, second, least=2)
    centred = []
    for vectors in (first, second):
        rows = vectors - vectors.mean(axis=0, dtype=np.float64)
        length = float(np.linalg.norm(rows))
        if length <= EPSILON * max(float(np.abs(vectors).max()), np.finfo(np.float64).tiny):
            raise MeasureError(f"CKA: wanted vectors that differ, but all {len(vectors)} of a view are equal")
        rows /= length
        centred.append(rows)
    one, other = centred
    across, own, theirs = (float(np.linalg.norm(a.T @ b)) for a, b in ((one, other), (one, one), (other, other)))
    return across**2 / (own * theirs)


def retrieval(wave: Float[np.ndarray, "_ _"], mel: Float[np.ndarray, "_ _"], k: int) -> float:
    """Return R@k: how often a waveform's own log-mel is among its k nearest log-mels by cosine, 0 to 1.

    Args:
        wave: Projections of the waveforms.
        mel: Projections of the log-mels of the same recordings, in the same space.
        k: Number of nearest neighbours.

    Raises:
        MeasureError: k is out of range, or the projections differ in shape.

    Example:
        >>> retrieval(np.eye(3), np.roll(np.eye(3), 1, axis=0), 1)
        0.0
    """
    return float(retrieved(wave, mel, [k]).mean())


def retrieved(
    wave: Float[np.ndarray, "_ _"], mel: Float[np.ndarray, "_ _"], ks: Sequence[int]
) -> Bool[np.ndarray, "choices items"]:
    """Return for each k whether a waveform's own log-mel is among its k nearest; see `retrieval`."""
    _check_views(wave, mel)
    places, _ = top_k(wave, mel, max(ks))
    own = places == np.arange(len(wave))[:, None]
    return np.stack([own[:, :k].any(axis=1) for k in ks])


def _check(vectors: Float[np.ndarray, "_ _"], what: str, *, least: int = 1) -> None:
    check_measurable(vectors, np.ones(len(vectors)), what=what)
    if len(vectors) < least:
        raise MeasureError(f"{what}: wanted {least} or more vectors, got {len(vectors)}; give more recordings")


def _check_views(first: Float[np.ndarray, "_ _"], second: Float[np.ndarray, "_ _"], *, least: int = 1) -> None:
    _check(first, "first view", least=least)
    _check(second, "second view", least=least)
    if len(first) != len(second):
        raise MeasureError(
            f"views: wanted the same items twice, got {len(first)} and {len(second)}; embed the same recordings"
        )
