"""Voices: closed-set identification, also with other words enrolled than tested, and verification over all pairs."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Float64, Int64, Shaped

from mfcl.errors import MeasureError
from mfcl.neighbours import KS, choose_k, knn_predict, unit_rows
from mfcl.scores import (
    accept_rates,
    bootstrap_interval,
    check_measurable,
    crossing,
    lowest_cost,
    percentiles,
    resampled,
)
from mfcl.seeds import generator

BINS = 4096  # of cosines, -1 to 1: the crossing lies on a straight line within one
PAIRS_AT_ONCE = 2**22
COUNTS_AT_ONCE = 2**23


@dataclass(frozen=True)
class IdentifyResult:
    """Who spoke, told among enrolled speakers."""

    accuracy: float
    """Share of the tested clips whose speaker was found."""
    k: int
    """Neighbours that voted."""
    tested: Int64[np.ndarray, " tested"]
    """Which items were tested; the others were enrolled."""
    correct: Bool[np.ndarray, " tested"]
    speakers: Shaped[np.ndarray, " tested"]
    """The true speaker of each tested item: the groups of an interval."""

    def interval(self, *, seed: int, draws: int = 1000) -> tuple[float, float]:
        """Return the 95 % interval of the accuracy over speakers."""
        return bootstrap_interval(self.correct, self.speakers, seed=seed, draws=draws)


@dataclass(frozen=True)
class VerifyResult:
    """Whether two clips are of one speaker, told by their cosine, over all pairs of clips."""

    eer: float
    low: float
    """Low end of the 95 % interval over speakers."""
    high: float
    min_dcf: float
    """Lowest detection cost where 1 pair in 100 is of one speaker, as a share of always refusing."""
    pairs: int
    """How many pairs of clips were scored."""
    speakers: int
    draws: int
    """How often the speakers were drawn for the interval."""


def identify(
    x: Float[np.ndarray, "items dim"],
    speaker: Shaped[np.ndarray, " items"],
    digit: Shaped[np.ndarray, " items"],
    *,
    seed: int,
    ks: Sequence[int] = KS,
) -> IdentifyResult:
    """Enrol half of each speaker's clips of each digit, and name the speaker of each other clip by cosine kNN.

    The number of neighbours is chosen by 5-fold cross-validation on the enrolled clips.

    Args:
        x: Vectors of speakers that no training has seen.
        speaker: Who speaks.
        digit: What is said: any label, "" where none is known.
        seed: Draws the halves and the folds.
        ks: Numbers of neighbours to choose from.

    Raises:
        MeasureError: there is one speaker, or each has a single clip; or vectors or labels cannot be used.
    """
    check_speakers(x, speaker)
    enrolled = half(speaker, digit, seed=seed)
    k = choose_k(x[enrolled], speaker[enrolled], ks=ks, seed=seed)
    tested = np.flatnonzero(~enrolled)
    correct = knn_predict(x[enrolled], speaker[enrolled], x[tested], k) == speaker[tested]
    return IdentifyResult(float(correct.mean()), k, tested, correct, speaker[tested])


def identify_apart(
    x: Float[np.ndarray, "items dim"],
    speaker: Shaped[np.ndarray, " items"],
    digit: Shaped[np.ndarray, " items"],
    *,
    k: int = 3,
) -> IdentifyResult:
    """Name the speaker by clips of other words: the lower digits enrolled, the upper tested, and the reverse.

    Each clip is tested once, so the accuracy is that of both directions, weighted by their clips. A speaker who lacks
    one half of the digits is left out.

    Args:
        x: Vectors of speakers that no training has seen.
        speaker: Who speaks.
        digit: What is said; numbers are sorted as numbers.
        k: Neighbours that vote.

    Raises:
        MeasureError: there is one digit, or fewer than 2 speakers said digits of both halves.
    """
    check_speakers(x, speaker)
    check_measurable(x, digit, what="voices, digits")
    upper = in_upper_half(digit)
    whole = np.isin(speaker, np.intersect1d(speaker[upper], speaker[~upper]))
    if len(np.unique(speaker[whole])) < 2:
        raise MeasureError(
            "voices: 2 speakers with digits of both halves are wanted, but there are fewer; skip this measure"
        )
    correct = np.zeros(len(x), dtype=bool)
    for side in (upper, ~upper):
        tested, enrolled = whole & side, whole & ~side
        found = knn_predict(x[enrolled], speaker[enrolled], x[tested], min(k, int(enrolled.sum())))
        correct[tested] = found == speaker[tested]
    tested = np.flatnonzero(whole)
    return IdentifyResult(float(correct[tested].mean()), k, tested, correct[tested], speaker[tested])


def verify(
    x: Float[np.ndarray, "items dim"],
    speaker: Shaped[np.ndarray, " items"],
    centre: Float[np.ndarray, " _"],
    *,
    seed: int,
    draws: int = 1000,
) -> VerifyResult:
    """Score every pair of clips by cosine after subtracting `centre`, and return the equal error rate over speakers.

    Cosines are counted in 4,096 steps for each pair of speakers, so memory does not grow with the pairs, and drawing
    speakers again only weighs the counts: a speaker drawn twice counts twice, never as a pair with itself.

    Args:
        x: Vectors of speakers that no training has seen.
        speaker: Who speaks.
        centre: The mean of the training vectors.
        seed: Draws the speakers for the interval.
        draws: How often.

    Raises:
        MeasureError: there is one speaker, or each has a single clip; or vectors or labels cannot be used.
    """
    check_speakers(x, speaker)
    if centre.shape != x.shape[1:]:
        raise MeasureError(f"voices: a centre of {x.shape[1]} values is wanted, but came {len(centre)}; use one part")
    order = np.argsort(speaker, kind="stable")
    _, counts = np.unique(speaker, return_counts=True)
    rows = unit_rows(x[order].astype(np.float64) - centre)
    drawn = np.concatenate([np.ones((1, len(counts))), *resampled(len(counts), seed=seed, draws=draws)])
    same, other = pair_counts(rows, counts, drawn)
    usable = (same.sum(axis=1) > 0) & (other.sum(axis=1) > 0)  # a draw may hold one speaker, or none with two clips
    false_accept, false_reject = accept_rates(other[usable]), 1 - accept_rates(same[usable])
    eers = crossing(false_accept, false_reject)
    low, high = percentiles(eers[1:], level=0.95)
    return VerifyResult(
        eer=float(eers[0]),
        low=low,
        high=high,
        min_dcf=lowest_cost(false_accept[0], false_reject[0], target=0.01),
        pairs=len(x) * (len(x) - 1) // 2,
        speakers=len(counts),
        draws=draws,
    )


def pair_counts(
    rows: Float64[np.ndarray, "items dim"],
    counts: Int64[np.ndarray, " speakers"],
    drawn: Float64[np.ndarray, "draws speakers"],
) -> tuple[Float64[np.ndarray, "draws bins"], Float64[np.ndarray, "draws bins"]]:
    """Count the cosines of pairs of one speaker and of two, in each draw; rows come speaker after speaker."""
    same, other = np.zeros((2, len(drawn), BINS))
    ends = np.cumsum(counts)
    step = max(1, COUNTS_AT_ONCE // BINS)  # partners at once
    for mine, end in enumerate(ends):
        own = rows[end - counts[mine] : end]
        same += drawn[:, mine, None] * count(own, own, counts[mine : mine + 1], upper=True)
        for first in range(mine + 1, len(counts), step):
            last = min(first + step, len(counts))
            partners = rows[ends[first] - counts[first] : ends[last - 1]]
            table = count(own, partners, counts[first:last])
            other += (drawn[:, mine, None] * drawn[:, first:last]) @ table
    return same, other


def count(
    own: Float64[np.ndarray, "own dim"],
    partners: Float64[np.ndarray, "partners dim"],
    counts: Int64[np.ndarray, " speakers"],
    *,
    upper: bool = False,
) -> Float64[np.ndarray, "speakers bins"]:
    """Count the cosines of one speaker's clips with others', a row for each; `upper` takes each pair once."""
    table = np.zeros(len(counts) * BINS)
    offsets = np.repeat(np.arange(len(counts)) * BINS, counts)
    size = max(1, PAIRS_AT_ONCE // len(partners))
    for start in range(0, len(own), size):
        cosines = own[start : start + size] @ partners.T
        places = ((cosines + 1) * (BINS / 2)).astype(np.int64).clip(0, BINS - 1) + offsets
        if upper:  # above the diagonal: no clip with itself
            places = places[np.arange(len(partners)) > np.arange(start, start + len(cosines))[:, None]]
        table += np.bincount(places.ravel(), minlength=len(table))
    return table.reshape(-1, BINS)


def half(
    speaker: Shaped[np.ndarray, " items"], digit: Shaped[np.ndarray, " items"], *, seed: int
) -> Bool[np.ndarray, " items"]:
    """Draw half of each speaker's clips of each digit; the odd clip of a digit is in and out by turns.

    Example:
        >>> half(np.array(["a", "a", "b", "b"]), np.array(["0"] * 4), seed=0).reshape(2, 2).sum(axis=1).tolist()
        [1, 1]
    """
    shuffled = generator(seed, "enrolled").permutation(len(speaker))
    order = shuffled[np.lexsort((digit[shuffled], speaker[shuffled]))]
    _, starts, counts = np.unique(speaker[order], return_index=True, return_counts=True)
    enrolled = np.empty(len(speaker), dtype=bool)
    enrolled[order] = (np.arange(len(order)) - np.repeat(starts, counts)) % 2 == 0
    return enrolled


def in_upper_half(digit: Shaped[np.ndarray, " items"]) -> Bool[np.ndarray, " items"]:
    """Return whether each item's digit is of the upper half of the sorted digits."""
    values = np.unique(digit)
    if len(values) < 2:
        raise MeasureError(f"voices: at least 2 digits are wanted to keep them apart, but all are {str(values[0])!r}")
    number = all(str(value).isdecimal() for value in values)
    ranked = sorted(values, key=lambda value: (int(value), str(value)) if number else str(value))
    return np.isin(digit, ranked[len(ranked) // 2 :])


def check_speakers(x: Float[np.ndarray, "items dim"], speaker: Shaped[np.ndarray, " items"]) -> None:
    """Raise one clear line unless there are two speakers, and one of them has two clips."""
    check_measurable(x, speaker, what="voices")
    names, counts = np.unique(speaker, return_counts=True)
    if len(names) < 2 or counts.max() < 2:
        came = f"all are of {str(names[0])!r}" if len(names) < 2 else f"each of {len(names)} speakers has one"
        raise MeasureError(f"voices: 2 speakers and 2 clips of one are wanted, but of {len(x)} clips {came}; give more")
