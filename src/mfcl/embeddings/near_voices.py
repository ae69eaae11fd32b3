"""Whiten the speaker part by what one voice differs in from word to word, found without labels.

Whitening makes all directions weigh alike, those in which a voice changes with what it says as well. Pairs of
recordings of probably one voice that say different things tell which directions these are. Near voices alone would not
do: two recordings are near for saying the same more often than for being of one person.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Float, Float32, Int64

from mfcl.core.random import generator
from mfcl.embeddings.linalg import unit_rows
from mfcl.embeddings.whitening import Whitening

CLASSES, ROUNDS = 32, 50
"""Classes of what is said, and most rounds of finding them."""
SHARPNESS = 10.0
"""Factor of the cosines with the classes, before the softmax."""
SAME_SHARE = 0.1
"""Share of the recordings, the most alike by what is said, that a recording makes no pair with."""
NEAR = 8
SHRUNK = 0.2
"""Share of the mean variance in the spread within a voice, so that no direction counts for too much."""


def fit_near_voices(
    voices: Mapping[str, Float32[np.ndarray, "items _"]],
    said: Sequence[Float32[np.ndarray, "items _"]],
    plain: Mapping[str, Whitening],
) -> dict[str, Whitening]:
    """Return whitenings of the speaker parts after which one voice's recordings lie close together.

    What is said makes soft classes of the training recordings; each class's mean is taken out of the whitened speaker
    parts, and by what is left pairs of mutual near voices are found, leaving out those that say the same. The spread of
    the speaker parts within pairs is then divided out.

    Args:
        voices: The training recordings' speaker parts, by name.
        said: Their projections of what is said, one of each format, centred.
        plain: The whitening of each speaker part by `mfcl.embeddings.whitening.fit_whitening`.

    Source: Hatch, Kajarekar and Stolcke, "Within-class covariance normalization for SVM-based speaker recognition",
        Interspeech 2006, with pairs in place of known speakers.
    """
    words = np.concatenate([unit_rows(one, np.float32) for one in said], axis=1) / np.float32(np.sqrt(len(said)))
    alike = _soft_classes(words)
    white = {name: plain[name](vectors) for name, vectors in voices.items()}
    freed = [unit_rows(one - alike @ _means(alike, one), np.float32) for one in white.values()]
    first, second = _near_pairs(np.concatenate(freed, axis=1), words)
    if len(first) < 2:
        return dict(plain)
    return {name: _turned(plain[name], one[first] - one[second]) for name, one in white.items()}


def _means(
    alike: Float32[np.ndarray, "items classes"], vectors: Float32[np.ndarray, "items dim"]
) -> Float32[np.ndarray, "classes dim"]:
    """Return the mean of each soft class."""
    return np.asarray((alike.T @ vectors) / (alike.sum(axis=0)[:, None] + np.float32(1e-6)), dtype=np.float32)


def _soft_classes(words: Float32[np.ndarray, "items dim"]) -> Float32[np.ndarray, "items classes"]:
    """Return how much each item belongs to each of `CLASSES` clusters of directions (spherical k-means++)."""
    draw = generator(0, "classes of what is said")
    chosen = [int(draw.integers(len(words)))]
    nearest = words @ words[chosen[0]]
    for _ in range(CLASSES - 1):
        apart = np.maximum(1 - nearest.astype(np.float64), 1e-9)
        chosen.append(int(draw.choice(len(words), p=apart / apart.sum())))
        nearest = np.maximum(nearest, words @ words[chosen[-1]])
    centres = words[chosen]
    for _ in range(ROUNDS):
        own = (words @ centres.T).argmax(axis=1)
        sums = np.zeros_like(centres)
        np.add.at(sums, own, words)
        empty = np.bincount(own, minlength=CLASSES) == 0
        found = np.where(empty[:, None], centres, unit_rows(sums, np.float32))
        if np.array_equal(found, centres):
            break
        centres = found
    scores = SHARPNESS * (words @ centres.T)
    weights = np.exp(scores - scores.max(axis=1, keepdims=True))
    return np.asarray(weights / weights.sum(axis=1, keepdims=True), dtype=np.float32)


def _near_pairs(
    voices: Float32[np.ndarray, "items dim"], words: Float32[np.ndarray, "items _"]
) -> tuple[Int64[np.ndarray, " pairs"], Int64[np.ndarray, " pairs"]]:
    """Return the pairs that are among each other's `NEAR` nearest voices, but say different things."""
    said, near = words @ words.T, voices @ voices.T
    same = said > np.quantile(said, 1 - SAME_SHARE, axis=1, keepdims=True)
    near[same] = -np.inf
    np.fill_diagonal(near, -np.inf)
    listed = np.zeros(near.shape, dtype=np.bool_)
    np.put_along_axis(listed, np.argpartition(-near, NEAR, axis=1)[:, :NEAR], True, axis=1)
    first, second = np.nonzero(np.triu(listed & listed.T & np.isfinite(near)))
    return first, second


def _turned(plain: Whitening, differences: Float[np.ndarray, "pairs kept"]) -> Whitening:
    """Return a whitening after which the differences within a voice have one size in all directions."""
    exact = differences.astype(np.float64)
    spread = exact.T @ exact / len(exact)
    size = len(spread)
    level = np.trace(spread) / size
    if level <= 0:
        return plain
    squares, axes = np.linalg.eigh((1 - SHRUNK) * spread + SHRUNK * level * np.eye(size))
    axes = axes[:, ::-1] * np.sign(axes[np.abs(axes).argmax(axis=0), np.arange(size)])[::-1]
    directions = plain.directions.astype(np.float64) @ (axes / np.sqrt(squares[::-1]))
    return Whitening(plain.mean, directions.astype(np.float32))
