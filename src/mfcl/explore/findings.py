"""What a person should look at: outliers, near-duplicates, and labels that are likely wrong, each with the reason."""

from dataclasses import asdict, dataclass
from typing import Any, TypeAlias

import numpy as np
from jaxtyping import Bool, Float32, Float64, Int64, Shaped

from mfcl.embeddings.nearest import top_k
from mfcl.embeddings.projection import principal
from mfcl.evaluation.knn import deal
from mfcl.explore.silence import Silence
from mfcl.explore.spaces import Spaces
from mfcl.labelling.logistic import fit_classifiers

MOST = 60
"""Most findings of a kind."""
NEAREST = 10
"""Nearest labelled clips that vote on a label."""
FOLDS = 5
LEAST = 3
"""Fewest clips of a label that is checked."""
AXES = 48
"""Principal components that the classifier sees."""
SHARE = 0.1
"""Its L2 strength, as a share of the mean squared length of a vector."""
MOST_LABELLED = 20_000
OUTLYING = 4.0
"""Deviations above the middle from which a clip is an outlier; the deviation is that of the middle half."""
DUPLICATE = 0.15
"""Share of the usual distance to the nearest clip below which two clips are nearly the same."""
Pair: TypeAlias = tuple[tuple[int, int], float]
COPY = 1e-6
"""Distance up to which two clips are copies: what rounding leaves."""


@dataclass(frozen=True)
class Finding:
    """Something to look at.

    Attributes:
        clip: The clip.
        other: The clip that it resembles; -1 for none.
        given: Its label; "" where none is doubted.
        better: The label that it seems to have.
        reason: One sentence.
    """

    clip: int
    other: int
    given: str
    better: str
    reason: str

    def row(self) -> dict[str, Any]:
        """Return it for JSON."""
        return asdict(self)


def outliers(spaces: Spaces, part: str) -> list[Finding]:
    """Return the clips that are furthest from their fifth nearest clip, the furthest first."""
    distances = _distances(spaces, part)
    rank = min(5, distances.shape[1]) - 1
    if rank < 0:
        return []
    reach = np.log(distances[:, rank] + 1e-6)  # distances spread by factors
    low, middle, high = np.quantile(reach, [0.25, 0.5, 0.75])
    scores = (reach - middle) / max(float(high - low) / 1.349, 1e-9)
    found = [int(clip) for clip in np.argsort(-scores, kind="stable")[:MOST] if scores[clip] > OUTLYING]
    usual = float(np.exp(middle))
    return [
        Finding(clip, -1, "", "", f"far from all others: its 5th nearest clip is at {distances[clip, rank]:.2f}, "
                f"that of most clips at about {usual:.2f}")
        for clip in found
    ]  # fmt: skip


def duplicates(spaces: Spaces, part: str, silence: Silence | None = None) -> list[Finding]:
    """Return pairs of clips that are nearly the same, the nearest first.

    Args:
        spaces: The vectors.
        part: The part by which they are compared.
        silence: Knows which clips are silent: they are all the same, and would be all that is listed.
    """
    places, _ = spaces.prepared.table(spaces.kind(part))
    distances = _distances(spaces, part)
    if not distances.shape[1]:
        return []
    others = _others(places)
    nearest_own = np.where(distances > COPY, distances, np.inf).min(axis=1)  # else copies of all would hide each other
    apart = nearest_own[np.isfinite(nearest_own)]
    usual = float(np.median(apart)) if len(apart) else 0.0
    rows, columns = np.nonzero(distances <= max(COPY, DUPLICATE * usual))
    pairs = {
        (min(int(a), int(b)), max(int(a), int(b))): float(distances[a, c])
        for a, c, b in zip(rows, columns, others[rows, columns], strict=True)
    }
    nearest = sorted(pairs.items(), key=lambda pair: (pair[1], pair[0]))
    nearest = nearest[:MOST] if silence is None else _audible(nearest, silence)
    away = f"the nearest clip that is no copy is usually {usual:.2f} away" if usual else "all near clips are copies"
    return [Finding(a, b, "", "", f"nearly the same: {distance:.3f} apart; {away}") for (a, b), distance in nearest]


def _audible(pairs: list[Pair], silence: Silence) -> list[Pair]:
    """Return the first pairs of which not both clips are silent."""
    kept: list[Pair] = []
    for first in range(0, len(pairs), MOST):
        some = pairs[first : first + MOST]
        silence.found(sorted({clip for both, _ in some for clip in both}))
        silent = silence.known
        kept += [pair for pair in some if not silent[list(pair[0])].all()]
        if len(kept) >= MOST:
            break
    return kept[:MOST]


def doubtful(spaces: Spaces, part: str, labels: Shaped[np.ndarray, " items"], *, seed: int = 0) -> list[Finding]:
    """Return labels against which both the nearest clips and a classifier that did not see the clip speak.

    A label is doubted if most of the ten nearest labelled clips (fewer, where fewer others have that label) have
    another, and a classifier fitted on other clips is surer of that other label than it is of the clips that have it,
    on average.

    Source: Northcutt et al., "Confident learning", JAIR 70, 2021, section 3, for the thresholds.
    """
    known = np.flatnonzero(labels != "")
    names, counts = np.unique(labels[known], return_counts=True)
    kept = names[counts >= LEAST]
    known = known[np.isin(labels[known], kept)]
    if len(kept) < 2:
        return []
    if len(known) > MOST_LABELLED:
        known = np.sort(np.random.default_rng(seed).permutation(known)[:MOST_LABELLED])
    vectors, given = spaces.vectors(part)[known], labels[known]
    classes, codes = np.unique(given, return_inverse=True)
    if len(classes) < 2:
        return []
    shares = _held_out_shares(vectors, codes, seed)
    own = shares[np.arange(len(known)), codes]
    sure = np.array([own[codes == code].mean() for code in range(len(classes))])
    confident = np.where(shares >= sure, shares, 0.0)
    confident[np.arange(len(known)), codes] = 0
    better = confident.argmax(axis=1)
    votes = _votes(vectors, codes, len(classes))
    asked = votes.sum(axis=1)
    voted = votes.argmax(axis=1)
    doubted = (confident.max(axis=1) > own) & (voted == better) & (votes.max(axis=1) > asked / 2)
    margins = shares[np.arange(len(known)), better] - own
    order = [at for at in np.argsort(-margins, kind="stable") if doubted[at]][:MOST]
    return [
        Finding(
            int(known[at]), -1, str(given[at]), str(classes[better[at]]),
            f"{int(votes[at, better[at]])} of its {int(asked[at])} nearest labelled clips are "
            f"{str(classes[better[at]])!r}, and a classifier that did not see it is {shares[at, better[at]]:.0%} sure",
        )
        for at in order
    ]  # fmt: skip


def _votes(
    vectors: Float32[np.ndarray, "known _"], codes: Int64[np.ndarray, " known"], classes: int
) -> Float64[np.ndarray, "known {classes}"]:
    """Return how many of each clip's nearest labelled clips have each class: no more are asked than have its own label.

    Of four clips of a label three can be near to the fourth, so that of ten, most would always speak against it.
    """
    places, _ = top_k(vectors, vectors, min(NEAREST + 1, len(vectors)))
    votes = np.zeros((len(vectors), classes))
    rows = np.broadcast_to(np.arange(len(vectors))[:, None], places.shape)
    other = places != rows
    same = np.bincount(codes, minlength=classes)[codes] - 1
    asked = other & (np.cumsum(other, axis=1) <= same[:, None])
    np.add.at(votes, (rows[asked], codes[places[asked]]), 1)
    return votes


def _held_out_shares(
    vectors: Float32[np.ndarray, "known _"], codes: Int64[np.ndarray, " known"], seed: int
) -> Float64[np.ndarray, "known classes"]:
    """Return class probabilities of each clip by logistic regressions that were fitted without it.

    Axes keep their lengths: standardised, as many axes as clips would set every clip as far from each other one.
    """
    points = principal(vectors.astype(np.float64), AXES)
    points *= np.sqrt(points.shape[1] / max(np.square(points).sum(axis=1).mean(), 1e-12))
    as_they_are = np.stack([np.ones(points.shape[1]), -np.ones(points.shape[1])])  # of mean 0 and deviation 1
    folds = deal(codes.astype(str), FOLDS, seed=seed)
    shares = np.zeros((len(codes), int(codes.max()) + 1))
    for fold in range(FOLDS):
        out = folds == fold
        if not out.any() or len(np.unique(codes[~out])) < 2:
            continue
        strength = SHARE * points.shape[1]
        fitted = fit_classifiers(points[~out], codes[~out], standard=as_they_are, strengths=[strength])[strength]
        scores = points[out] @ fitted.weights + fitted.bias
        scores = np.exp(scores - scores.max(axis=1, keepdims=True))
        shares[np.ix_(out, fitted.classes.astype(np.int64))] = scores / scores.sum(axis=1, keepdims=True)
    return shares


def _others(places: Int64[np.ndarray, "items near"]) -> Int64[np.ndarray, "items others"]:
    """Return each row without the clip itself, or without its last where it is not among them."""
    others: Int64[np.ndarray, "items others"] = places[_kept(places)].reshape(len(places), -1)
    return others


def _distances(spaces: Spaces, part: str) -> Float32[np.ndarray, "items others"]:
    """Return the distances, one minus the cosine, to the other nearest clips."""
    places, angles = spaces.prepared.table(spaces.kind(part))
    angles = angles[_kept(places)].reshape(len(places), -1)
    distances: Float32[np.ndarray, "items others"] = (1 - np.cos(angles)).astype(np.float32)
    return distances


def _kept(places: Int64[np.ndarray, "items near"]) -> Bool[np.ndarray, "items near"]:
    own: Bool[np.ndarray, "items near"] = places == np.arange(len(places))[:, None]
    missing = ~own.any(axis=1)
    own[missing, -1] = True
    return ~own
