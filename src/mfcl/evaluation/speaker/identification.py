"""Closed-set speaker identification, also with different words in enrolment and test."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int64, Shaped

from mfcl.core.console import worded
from mfcl.core.random import generator
from mfcl.embeddings.linalg import check_measurable
from mfcl.errors import MeasureError
from mfcl.evaluation.bootstrap import Interval, bootstrap_interval
from mfcl.evaluation.knn import KS, choose_k, knn_predict


@dataclass(frozen=True)
class IdentifyResult:
    """Result of closed-set speaker identification."""

    accuracy: float
    """Share of the tested clips whose speaker was identified, 0 to 1."""
    k: int
    """Neighbours of the kNN classifier."""
    tested: Int64[np.ndarray, " tested"]
    """Indices of the tested items."""
    correct: Bool[np.ndarray, " tested"]
    speakers: Shaped[np.ndarray, " tested"]
    """True speaker of each tested item, the groups of an interval."""

    def interval(self, *, seed: int, draws: int = 1000) -> Interval:
        """Return the 95 % interval of the accuracy over speakers."""
        return bootstrap_interval(self.correct, self.speakers, seed=seed, draws=draws)


def identify(
    x: Float[np.ndarray, "items dim"],
    speaker: Shaped[np.ndarray, " items"],
    digit: Shaped[np.ndarray, " items"],
    *,
    seed: int,
    ks: Sequence[int] = KS,
) -> IdentifyResult:
    """Enrol half of each speaker's clips of each digit, and identify the speaker of the other clips by cosine kNN.

    k is chosen by 5-fold cross-validation on the enrolled clips, 4 or more.

    Args:
        x: Vectors of speakers that do not occur in training.
        speaker: Speaker of each item.
        digit: What is said in each item: any label, "" where unknown.
        seed: Seed of the halves and the folds.
        ks: Values of k to try.

    Raises:
        MeasureError: there is one speaker, each has a single clip, or no k fits so few enrolled clips; or vectors or
            labels cannot be used.
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
    """Identify speakers across words: enrol the lower half of the digits, test the upper half, and the reverse.

    Each clip is tested once; the accuracy is over all clips of both directions. Speakers who lack one half of the
    digits are excluded.

    Args:
        x: Vectors of speakers that do not occur in training.
        speaker: Speaker of each item.
        digit: What is said in each item; whole numbers are sorted numerically.
        k: Neighbours of the kNN classifier.

    Raises:
        MeasureError: there is one digit, or fewer than 2 speakers said digits of both halves.
    """
    check_speakers(x, speaker)
    check_measurable(x, digit, what="voices, digits")
    upper = in_upper_half(digit)
    whole = np.isin(speaker, np.intersect1d(speaker[upper], speaker[~upper]))
    if len(np.unique(speaker[whole])) < 2:
        raise MeasureError(
            "voices: wanted 2 speakers with digits of both halves, but there are fewer; skip this measure"
        )
    correct = np.zeros(len(x), dtype=bool)
    for side in (upper, ~upper):
        tested, enrolled = whole & side, whole & ~side
        found = knn_predict(x[enrolled], speaker[enrolled], x[tested], min(k, int(enrolled.sum())))
        correct[tested] = found == speaker[tested]
    tested = np.flatnonzero(whole)
    return IdentifyResult(float(correct[tested].mean()), k, tested, correct[tested], speaker[tested])


def half(
    speaker: Shaped[np.ndarray, " items"], digit: Shaped[np.ndarray, " items"], *, seed: int
) -> Bool[np.ndarray, " items"]:
    """Draw half of each speaker's clips of each digit; odd clips are drawn alternately.

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
        raise MeasureError(f"voices: wanted at least 2 digits to keep them apart, but all are {str(values[0])!r}")
    number = all(str(value).isdecimal() for value in values)
    ranked = sorted(values, key=lambda value: (int(value), str(value)) if number else str(value))
    return np.isin(digit, ranked[len(ranked) // 2 :])


def check_speakers(x: Float[np.ndarray, "items dim"], speaker: Shaped[np.ndarray, " items"]) -> None:
    """Check that there are two speakers or more, and that one of them has two clips or more."""
    check_measurable(x, speaker, what="voices")
    names, counts = np.unique(speaker, return_counts=True)
    if len(names) < 2 or counts.max() < 2:
        came = f"all are of {str(names[0])!r}" if len(names) < 2 else f"each of {len(names)} speakers has one"
        raise MeasureError(
            f"voices: 2 speakers and 2 clips of one are wanted, but of {worded(len(x), 'clip')} {came}; give more"
        )
