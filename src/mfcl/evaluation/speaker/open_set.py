"""Open-set identification: how often strangers get a name and enrolled voices get none, for any gallery size."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Float64, Int64
from scipy.special import gammaln

from mfcl.core.console import worded
from mfcl.errors import MeasureError, check_number
from mfcl.evaluation.bootstrap import Interval, interval_of, resampled

MOST_THRESHOLDS = 1024
"""Most thresholds at which error rates are computed."""
DRAWS = 1000


@dataclass(frozen=True, eq=False)
class Trials:
    """Scores of tested clips with the voices of a pool, of which galleries are drawn.

    Raises:
        MeasureError: the numbers of clips differ, or a score is infinite.
    """

    own: Float64[np.ndarray, " clips"]
    """Score of each clip with its own person's voice; NaN if that person is not in the pool."""
    others: Float64[np.ndarray, "clips voices"]
    """Score of each clip with the other voices, ascending; NaN (at the end) where a voice is not to be counted."""
    people: Int64[np.ndarray, " clips"]
    """Person (index from 0) of each clip, the groups of an interval."""

    def __post_init__(self) -> None:
        if not len(self.own) == len(self.others) == len(self.people) > 0:
            raise MeasureError(
                f"trials: wanted clips with a row of scores each, got {len(self.own)} and {len(self.others)}"
            )
        infinite = int(np.isinf(self.own).sum() + np.isinf(self.others).sum())
        if infinite:  # no threshold is above it
            raise MeasureError(f"trials: {worded(infinite, 'score is', 'scores are')} infinite; leave those clips out")

    @classmethod
    def of(
        cls,
        scores: Float64[np.ndarray, "clips voices"],
        own: Int64[np.ndarray, " clips"],
        people: Int64[np.ndarray, " clips"],
        *,
        excluded: Bool[np.ndarray, "clips voices"] | None = None,
    ) -> "Trials":
        """Make trials of a matrix of scores.

        Args:
            scores: Of each clip with each voice of the pool.
            own: Column of each clip's own person; -1 if that person is not in the pool.
            people: Person of each clip, any whole numbers.
            excluded: Scores that are not to be counted.
        """
        rows = np.arange(len(scores))
        mine = np.where(own >= 0, scores[rows, np.maximum(own, 0)], np.nan)
        others = scores.astype(np.float64, copy=True)
        others[rows[own >= 0], own[own >= 0]] = np.nan
        if excluded is not None:
            others[excluded] = np.nan
        others.sort(axis=1)  # NaN last
        return cls(mine, others, np.unique(people, return_inverse=True)[1].astype(np.int64))

    @property
    def persons(self) -> int:
        """Number of people tested."""
        return int(self.people.max()) + 1

    def pools(self) -> Int64[np.ndarray, " clips"]:
        """Number of other voices that each clip was scored with."""
        return np.asarray((~np.isnan(self.others)).sum(axis=1))

    def largest(self) -> int:
        """Largest gallery without the tested person that can be drawn for every clip."""
        return int(self.pools().min())

    def thresholds(self) -> Float64[np.ndarray, " thresholds"]:
        """Return thresholds, rising, at which rates change: high scores of other voices, and own scores."""
        highest = np.nanmax(self.others, axis=1, initial=-np.inf)  # -inf where no voice is to be counted
        values = np.concatenate([self.others[~np.isnan(self.others)], highest, self.own[~np.isnan(self.own)]])
        values = np.unique(values[np.isfinite(values)])
        if len(values) > MOST_THRESHOLDS:  # as many by rank of all scores as of the highest, where rates are small
            tops = np.quantile(highest[np.isfinite(highest)], np.linspace(0, 1, MOST_THRESHOLDS // 2))
            values = np.unique(np.concatenate([tops, np.quantile(values, np.linspace(0, 1, MOST_THRESHOLDS // 2))]))
        return np.append(values, np.nextafter(values[-1], np.inf))

    def false_alarms(
        self, thresholds: Float64[np.ndarray, " thresholds"], size: int
    ) -> Float64[np.ndarray, "clips thresholds"]:
        """Return the probability that a clip reaches a threshold with any of `size` other voices drawn at random.

        It is the mean over all galleries of that size, without drawing them: 1 - C(below, size) / C(pool, size).
        """
        below = _below(self.others, thresholds)
        return np.asarray(1 - np.exp(_log_choose(below, size) - _log_choose(self.pools()[:, None], size)))

    def misses(
        self, thresholds: Float64[np.ndarray, " thresholds"], size: int
    ) -> Float64[np.ndarray, "known thresholds"]:
        """Return the probability that a clip of an enrolled person does not get its name in a gallery of `size`.

        A clip is missed if its own score is below the threshold, or if another voice scores higher.
        """
        known = ~np.isnan(self.own)
        own, pools = self.own[known], self.pools()[known]
        below = _below(self.others[known], own[:, None])[:, 0]
        first = np.exp(_log_choose(below, size - 1) - _log_choose(pools, size - 1))
        return np.asarray(1 - first[:, None] * (own[:, None] >= thresholds))


def rate_by_person(
    rates: Float64[np.ndarray, "clips thresholds"], people: Int64[np.ndarray, " clips"]
) -> tuple[Float64[np.ndarray, "persons thresholds"], Float64[np.ndarray, " persons"]]:
    """Return each person's sum of rates and number of clips."""
    persons = int(people.max()) + 1
    sums = np.zeros((persons, rates.shape[1]))
    np.add.at(sums, people, rates)
    return sums, np.bincount(people, minlength=persons).astype(np.float64)


def people_behind(trials: Trials, size: int, threshold: float) -> float:
    """Return what number of people the false alarms amount to, were they spread evenly over so many.

    It is the square of their sum over the sum of each person's squared; 0 where there are none.

    Example:
        >>> own, people = np.array([9.0, 9.0, 9.0, 9.0]), np.arange(4)
        >>> people_behind(Trials(own, np.array([[3.0], [3.0], [1.0], [1.0]]), people), 1, 2.0)
        2.0
    """
    sums = rate_by_person(trials.false_alarms(np.array([threshold]), size), trials.people)[0][:, 0]
    squares = float((sums**2).sum())
    return float(sums.sum()) ** 2 / squares if squares else 0.0


@dataclass(frozen=True)
class Point:
    """A threshold and the error rates at it, 0 to 1, each with its 95 % interval over people."""

    size: int
    """Voices in the gallery."""
    threshold: float
    threshold_interval: Interval
    """Of the threshold, were it set on other people."""
    false_alarms: float
    """Share of strangers' clips that get a name (FPIR)."""
    false_alarms_interval: Interval
    misses: float
    """Share of enrolled people's clips that do not get their name (FNIR)."""
    misses_interval: Interval


def operating_point(
    trials: Trials, size: int, far: int | float, *, seed: int = 0, threshold: float | None = None
) -> Point:
    """Return the lowest threshold at which at most `far` of strangers' clips get a name, and the rates there.

    Args:
        trials: Scores of tested clips.
        size: Voices in the gallery, at most `trials.largest()`.
        far: Share of false alarms to allow, 0 to 1.
        seed: Seed of the bootstrap.
        threshold: Measure at this threshold instead.

    Raises:
        MeasureError: the pool is smaller than `size`, no tested person is in it, or `far` is out of range.
    """
    check_number("far", far, 0, 1, error=MeasureError)
    if not 1 <= size <= trials.largest():
        raise MeasureError(f"trials: wanted a gallery of 1 to {trials.largest()} voices, got {size}")
    known = ~np.isnan(trials.own)
    if not known.any():
        raise MeasureError("trials: none of the tested people is enrolled; test clips of enrolled people too")
    grid = trials.thresholds()
    sums, counts = rate_by_person(trials.false_alarms(grid, size), trials.people)
    place = _first_at_most(sums.sum(axis=0) / counts.sum(), far)
    at = np.array([grid[place] if threshold is None else threshold])
    alarms, alarms_interval = _mean_over_people(trials.false_alarms(at, size), trials.people, seed)
    misses, misses_interval = _mean_over_people(trials.misses(at, size), trials.people[known], seed)
    drawn = np.empty(0)
    if len(counts) > 1:
        drawn = np.concatenate(
            [
                grid[[_first_at_most(row, far) for row in (weights @ sums) / (weights @ counts)[:, None]]]
                for weights in resampled(len(counts), seed=seed, draws=DRAWS)
            ]
        )
    return Point(size, float(at[0]), interval_of(drawn, len(counts)), alarms, alarms_interval, misses, misses_interval)


def cllr(same: Float[np.ndarray, " _"], other: Float[np.ndarray, " _"]) -> float:
    """Return Cllr, the cost of log-likelihood ratios in bits: 0 is perfect, 1 is what no information costs.

    Args:
        same: Natural logarithms of likelihood ratios of same-speaker trials.
        other: Of different-speaker trials.

    Raises:
        MeasureError: there are no trials of one kind.

    Source: Brummer and du Preez, "Application-independent evaluation of speaker detection", 2006, equation 15.

    Example:
        >>> cllr(np.zeros(3), np.zeros(2))
        1.0
    """
    if not len(same) or not len(other):
        raise MeasureError("Cllr: wanted trials of equal and of different speakers; give both")
    bits = [np.logaddexp(0, -same).mean(), np.logaddexp(0, other).mean()]
    return float(sum(bits) / (2 * np.log(2)))


def min_cllr(same: Float[np.ndarray, " _"], other: Float[np.ndarray, " _"]) -> float:
    """Return the Cllr of the best monotone calibration of these scores: what the scores' order alone costs.

    Example:
        >>> min_cllr(np.array([3.0, 2.0]), np.array([-1.0, 0.0]))
        0.0
    """
    from sklearn.isotonic import isotonic_regression

    scores = np.concatenate([same, other]).astype(np.float64)
    truth = np.concatenate([np.ones(len(same)), np.zeros(len(other))])
    order = np.lexsort((-truth, scores))  # of equal scores the same-speaker trial first, so that a tie is one level
    weights = np.where(truth == 1, len(other) / len(scores), len(same) / len(scores))
    found = np.empty(len(scores))
    found[order] = isotonic_regression(truth[order], sample_weight=weights[order])
    with np.errstate(divide="ignore"):
        ratios = np.log(found) - np.log1p(-found)
    return cllr(ratios[truth == 1], ratios[truth == 0])


def _mean_over_people(
    rates: Float64[np.ndarray, "clips one"], people: Int64[np.ndarray, " clips"], seed: int
) -> tuple[float, Interval]:
    codes = np.unique(people, return_inverse=True)[1]
    sums, counts = rate_by_person(rates, codes)
    mean = float(sums.sum() / counts.sum())
    if len(counts) < 2:
        return mean, interval_of(np.empty(0), len(counts))
    drawn = [(weights @ sums[:, 0]) / (weights @ counts) for weights in resampled(len(counts), seed=seed, draws=DRAWS)]
    return mean, interval_of(np.concatenate(drawn), len(counts))


def _below(
    rows: Float64[np.ndarray, "clips voices"], thresholds: Float64[np.ndarray, "*shape"]
) -> Int64[np.ndarray, "clips thresholds"]:
    """Return how many scores of each row are below each threshold: one row of thresholds, or one for each clip."""
    wanted = np.broadcast_to(thresholds, (len(rows), thresholds.shape[-1]))
    counts = (~np.isnan(rows)).sum(axis=1)
    return np.stack(
        [np.searchsorted(row[:count], own) for row, count, own in zip(rows, counts.tolist(), wanted, strict=True)]
    )


def _first_at_most(rates: Float64[np.ndarray, " thresholds"], far: int | float) -> int:
    """Return the first threshold whose rate is at most `far`; rates fall."""
    return int(np.argmax(rates <= far + 1e-12))


def _log_choose(items: Int64[np.ndarray, "*shape"], chosen: int) -> Float64[np.ndarray, "*shape"]:
    """Return the logarithm of the binomial coefficient, -inf where there are too few items."""
    few = items < chosen
    safe = np.where(few, chosen, items)
    found = gammaln(safe + 1) - gammaln(chosen + 1) - gammaln(safe - chosen + 1)
    return np.where(few, -np.inf, found)
