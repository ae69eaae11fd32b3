"""Speaker verification against speakers enrolled with a few clips."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Float64, Int64, Shaped

from mfcl.core.console import worded
from mfcl.core.random import generator
from mfcl.embeddings.linalg import unit_rows
from mfcl.errors import MeasureError
from mfcl.evaluation.metrics import lowest_cost
from mfcl.evaluation.speaker import curves
from mfcl.evaluation.speaker.curves import (
    BINS,
    TARGET,
    Curve,
    check_centre,
    count,
    error_curve,
    speaker_draws,
    with_interval,
)
from mfcl.evaluation.speaker.identification import check_speakers


@dataclass(frozen=True)
class EnrolledResult:
    """Result of verifying clips by their cosine with the mean of a speaker's enrolled clips."""

    eer: float
    """Equal error rate, 0 to 1, mean over enrolments."""
    low: float | None
    """Lower end of the 95 % interval over speakers; None if there is none."""
    high: float | None
    min_dcf: float
    """minDCF at a prior of 1 same-speaker trial in 100, relative to always rejecting; mean over enrolments."""
    clips: int
    """Clips enrolled of each speaker."""
    models: int
    """Enrolled speakers: those with more than `clips` clips; if words are apart, the mean over enrolments."""
    trials: int
    """Trials per enrolment: every clip that is not enrolled against every enrolled speaker; likewise."""
    enrolments: int
    """Number of draws of the enrolled clips."""
    resampled: Float64[np.ndarray, " draws"]
    """Equal error rate of each bootstrap draw of speakers; see `VerifyResult`."""
    curve: Curve
    """DET curve of the trials of all enrolments together, thinned for drawing."""
    no_interval: str
    """Why there is no interval; "" if there is one."""


def verify_enrolled(
    x: Float[np.ndarray, "items dim"],
    speaker: Shaped[np.ndarray, " items"],
    word: Shaped[np.ndarray, " items"],
    centre: Float[np.ndarray, " _"],
    *,
    clips: int,
    seed: int,
    draws: int = 1000,
    drawn_by: int | None = None,
    enrolments: int = 5,
    apart: bool = False,
) -> EnrolledResult:
    """Enrol each speaker with a few clips, and score every other clip against every enrolled speaker.

    A speaker's model is the mean of their unit vectors; a score is its cosine with a clip. Speakers with too few clips
    are not enrolled, but their clips are tested. Enrolment is repeated, and the results are averaged.

    Args:
        x: Vectors of speakers that do not occur in training.
        speaker: Speaker of each item.
        word: Word of each item; the enrolled clips of a speaker are of as many different words as possible.
        centre: Mean of the training vectors.
        clips: Clips to enrol of each speaker.
        seed: Seed of the draw of enrolled clips.
        draws: Bootstrap draws of speakers, for the interval.
        drawn_by: Seed of the bootstrap; default: `seed`.
        enrolments: Number of draws of the enrolled clips.
        apart: Enrol clips of one half of the words, drawn anew each time, and test those of the other half.

    Raises:
        MeasureError: no speaker has more than `clips` clips (with `apart`, as many of half of the words), or vectors or
            labels cannot be used.
    """
    check_speakers(x, speaker)
    check_centre(x, centre)
    _, codes, counts = np.unique(speaker, return_inverse=True, return_counts=True)
    if not 1 <= clips < counts.max():
        raise MeasureError(
            f"voices: wanted a speaker with more clips than the {clips} to enrol, but none has more than "
            f"{counts.max()}; enrol fewer (at least 1)"
        )
    rows = unit_rows(x.astype(np.float64) - centre)
    drawn = speaker_draws(len(counts), seed=seed if drawn_by is None else drawn_by, draws=draws)
    rates, costs, together = [], [], np.zeros((2, 1, BINS))
    models, trials, tested_own = [], [], []
    for enrolment in range(enrolments):
        side = half_of_words(word, seed=seed, draw=enrolment) if apart else np.ones(len(codes), dtype=bool)
        enough = np.bincount(codes[side], minlength=len(counts)) >= (clips if apart else clips + 1)
        enrolled = np.zeros(len(codes), dtype=bool)
        enrolled[side] = enrolled_clips(codes[side], word[side], clips, seed=seed, draw=enrolment)
        enrolled &= enough[codes]
        tested = ~side if apart else ~enrolled
        if not (enough[codes] & tested).any():
            raise MeasureError(
                f"voices: wanted speakers with {worded(clips, 'clip')} of half of the words and clips of the other "
                "half, got none"
            )
        same, other = trial_counts(rows, codes, enrolled, drawn, tested=tested)
        models.append(int(enough.sum()))
        trials.append(models[-1] * int(tested.sum()))
        tested_own.append(len(np.unique(codes[enough[codes] & tested])))
        curve, eers = error_curve(same, other)
        rates.append(eers)
        costs.append(lowest_cost(curve.false_accept, curve.false_reject, target=TARGET))
        together += same[:1], other[:1]
    eers = np.mean(rates, axis=0)
    resampled, interval = with_interval(eers, min(tested_own), len(counts))
    return EnrolledResult(
        eer=float(eers[0]),
        low=interval.low,
        high=interval.high,
        min_dcf=float(np.mean(costs)),
        clips=clips,
        models=round(float(np.mean(models))),
        trials=round(float(np.mean(trials))),
        enrolments=enrolments,
        resampled=resampled,
        curve=error_curve(*together)[0].thinned(),
        no_interval=interval.reason,
    )


def enrolled_clips(
    speaker: Int64[np.ndarray, " items"], word: Shaped[np.ndarray, " items"], clips: int, *, seed: int, draw: int = 0
) -> Bool[np.ndarray, " items"]:
    """Draw `clips` clips of each speaker, of as many different words as possible.

    Example:
        >>> words = np.array(["one", "one", "two", "two"])
        >>> words[enrolled_clips(np.zeros(4, dtype=np.int64), words, 2, seed=0)].tolist()
        ['one', 'two']
    """
    shuffled = generator(seed, "enrolled clips", draw).permutation(len(speaker))
    who, what = speaker[shuffled], np.unique(word, return_inverse=True)[1][shuffled]
    take = rank_within(who * (int(what.max()) + 1) + what)  # first, second, ... time that this speaker says this word
    first = np.lexsort((take, who))
    enrolled = np.zeros(len(speaker), dtype=bool)
    enrolled[shuffled[first]] = rank_within(who[first]) < clips
    return enrolled


def half_of_words(word: Shaped[np.ndarray, " items"], *, seed: int, draw: int = 0) -> Bool[np.ndarray, " items"]:
    """Return which items are of one half of the words, drawn at random; of an odd number the smaller half.

    Example:
        >>> words = np.array(["one", "two", "one", "two"])
        >>> side = half_of_words(words, seed=0)
        >>> bool(side[0] == side[2] and side[1] == side[3] and side[0] != side[1])
        True
    """
    _, codes = np.unique(word, return_inverse=True)
    chosen = generator(seed, "half of the words", draw).permutation(int(codes.max()) + 1) < (codes.max() + 1) // 2
    side: Bool[np.ndarray, " items"] = chosen[codes]
    return side


def rank_within(codes: Int64[np.ndarray, " items"]) -> Int64[np.ndarray, " items"]:
    """Return for each item how many earlier items have the same code.

    Example:
        >>> rank_within(np.array([7, 3, 7, 7])).tolist()
        [0, 0, 1, 2]
    """
    order = np.argsort(codes, kind="stable")
    _, starts, counts = np.unique(codes[order], return_index=True, return_counts=True)
    ranks = np.empty(len(codes), dtype=np.int64)
    ranks[order] = np.arange(len(codes)) - np.repeat(starts, counts)
    return ranks


def trial_counts(
    rows: Float64[np.ndarray, "items dim"],
    speaker: Int64[np.ndarray, " items"],
    enrolled: Bool[np.ndarray, " items"],
    drawn: Float64[np.ndarray, "draws speakers"],
    *,
    tested: Bool[np.ndarray, " items"] | None = None,
) -> tuple[Float64[np.ndarray, "draws bins"], Float64[np.ndarray, "draws bins"]]:
    """Return histograms of the cosines of test clips with speaker models, per draw: same and different speakers.

    In a draw, a same-speaker trial is weighted by the speaker's count, and a different-speaker trial by the product of
    both speakers' counts. Test clips are those that are not enrolled, or those of `tested`.
    """
    speakers, tested = drawn.shape[1], ~enrolled if tested is None else tested
    sums = np.zeros((speakers, rows.shape[1]))
    np.add.at(sums, speaker[enrolled], rows[enrolled])
    models, known = unit_rows(sums), np.unique(speaker[enrolled])
    order = np.flatnonzero(tested)[np.argsort(speaker[tested], kind="stable")]
    trials, counts = rows[order], np.bincount(speaker[order], minlength=speakers)
    own, other = np.zeros((speakers, BINS)), np.zeros((len(drawn), BINS))
    step = max(1, curves.COUNTS_AT_ONCE // (BINS * speakers))  # models at once
    for start in range(0, len(known), step):
        some = known[start : start + step]
        tables = np.stack([count(models[who : who + 1], trials, counts) for who in some.tolist()])
        own[some] = tables[np.arange(len(some)), some]
        tables[np.arange(len(some)), some] = 0  # leaves different-speaker trials
        weights = drawn[:, some, None] * drawn[:, None, :]
        other += weights.reshape(len(drawn), -1) @ tables.reshape(-1, BINS)
    return drawn @ own, other
