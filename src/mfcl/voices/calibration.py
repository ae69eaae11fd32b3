"""From scores to log-likelihood ratios and thresholds, measured on held-out people."""

import dataclasses
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Float64, Shaped

from mfcl.core.random import generator
from mfcl.embeddings.linalg import unit_rows
from mfcl.errors import GalleryError, MeasureError, check_number, shown
from mfcl.evaluation.speaker.open_set import Trials, operating_point, people_behind

LEAST_PEOPLE = 5
"""Fewest people to calibrate on; see `mfcl.evaluation.bootstrap.FEWEST_GROUPS`."""
ONE_IN = 3.0
"""Rule of three: n clips tell no rate below 3 / n, were each of another person; clips of one person tell less."""
SIZES = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000)
SKETCH, CLOSE = 4, 2e-3
"""Numbers of a sketch, and how near two of one clip are, whatever embedded it."""
MOST_SKETCHES = 2000
REGULARISATION = 1.0
"""Inverse strength (C of scikit-learn)."""


@dataclass(frozen=True)
class Level:
    """A threshold for galleries of a size, with what to expect there; rates are 0 to 1."""

    size: int
    threshold: float
    low: float | None
    """Lower end of the threshold's 95 % interval over people."""
    high: float | None
    false_alarms: float
    false_alarms_low: float | None
    false_alarms_high: float | None
    misses: float
    misses_low: float | None
    misses_high: float | None


@dataclass(frozen=True)
class Calibration:
    """How scores become log-likelihood ratios, and the threshold for each gallery size."""

    asked: float
    """Share of false alarms that was asked for."""
    far: float
    """Share that the thresholds are for: `asked`, or three clips of the strangers' if that is more."""
    weights: tuple[float, ...]
    """Intercept, weight of the score and, if quality is used, of the logarithm of the seconds and of the level."""
    people: int
    clips: int
    enrolled: int
    """Clips enrolled of each person."""
    voices: int
    """Voices of the gallery that took part."""
    levels: tuple[Level, ...]
    """By rising size."""
    setting: str
    """How scores were made; thresholds hold for no other."""
    sketches: tuple[tuple[float, ...], ...] = ()
    """See `sketched`: of the clips, or of some of very many; empty in galleries of before."""

    def calibrated_on(self, vectors: Float[np.ndarray, "clips dim"]) -> int:
        """Return how many of these clips it was calibrated on, of those that it remembers."""
        from scipy.spatial import cKDTree

        if not self.sketches or not len(vectors):
            return 0
        apart, _ = cKDTree(np.array(self.sketches)).query(np.array(sketched(vectors)), distance_upper_bound=CLOSE)
        return int(np.isfinite(apart).sum())

    def ratios(
        self, scores: Float[np.ndarray, "clips voices"], quality: Float64[np.ndarray, "clips 2"]
    ) -> Float64[np.ndarray, "clips voices"]:
        """Return the natural logarithm of the likelihood ratio of each clip with each voice."""
        return apply_weights(np.array(self.weights), scores, quality)

    def level(self, size: int) -> tuple[Level, bool]:
        """Return threshold and expected rates for a gallery size, and whether they go beyond what was measured.

        Between two sizes the values are interpolated by the logarithm of the size; beyond the largest one the threshold
        goes on rising as it did since the last of half its size: of two that are close, chance would be the slope.
        """
        sizes = [level.size for level in self.levels]
        if size <= sizes[0] or len(sizes) == 1:
            return dataclasses.replace(self.levels[0], size=size), size > sizes[0]
        after = min(int(np.searchsorted(sizes, size)), len(sizes) - 1)
        most = sizes[after - 1] if size <= sizes[-1] else max(sizes[-1] / 2, sizes[0])
        before = int(np.searchsorted(sizes, most, side="right")) - 1
        first, last = self.levels[before], self.levels[after]
        share = float(np.log(size / first.size) / np.log(last.size / first.size))
        values: dict[str, Any] = {}
        for field in dataclasses.fields(Level)[1:]:
            start, end = getattr(first, field.name), getattr(last, field.name)
            known = start is not None and end is not None
            kept = share if field.name in ("threshold", "low", "high") else min(share, 1.0)
            values[field.name] = start + kept * (end - start) if known else None
        return Level(size, **values), size > sizes[-1]

    def to_json(self) -> dict[str, Any]:
        """Return plain values."""
        return dataclasses.asdict(self)

    @classmethod
    def from_json(cls, content: dict[str, Any], *, where: str) -> "Calibration":
        """Return a calibration from plain values.

        Raises:
            GalleryError: something is missing or of another kind.
        """
        try:
            levels = tuple(Level(**level) for level in content["levels"])
            sketches = tuple(map(tuple, content.get("sketches", ())))
            made = cls(**{**content, "levels": levels, "weights": tuple(content["weights"]), "sketches": sketches})
            numbers = np.array([made.far, *made.weights, *(level.threshold for level in levels)], dtype=np.float64)
            np.array(sketches, dtype=np.float64).reshape(len(sketches), SKETCH)
            if not levels or not np.isfinite(numbers).all() or len(made.weights) not in (2, 4):
                raise ValueError("numbers are missing")
        except (KeyError, TypeError, ValueError) as error:
            raise GalleryError(
                f"{where}: the calibration cannot be read ({shown(str(error))}); calibrate again"
            ) from None
        return made


def sketched(vectors: Float[np.ndarray, "clips dim"]) -> tuple[tuple[float, ...], ...]:
    """Return a few numbers of each clip, by which it is known again and from which no voice can be made."""
    directions = generator(0, "sketches").standard_normal((vectors.shape[1], SKETCH))
    return tuple(map(tuple, np.round(unit_rows(vectors, np.float64) @ directions, 5).tolist()))


def check_far(far: int | float) -> None:
    """Refuse a share of false alarms that no threshold can be set for, before anything is heard for it.

    Raises:
        MfclError: it is not within 1e-6 and 0.5.
    """
    check_number("far", far, 1e-6, 0.5)


def supported_rate(far: int | float, clips: int) -> float:
    """Return the share of false alarms that as many clips of strangers can tell: `far`, or three of them if fewer.

    Clips count here, so it is the least that they tell: of how many people the false alarms are is told by
    `people_behind`.

    Example:
        >>> supported_rate(0.01, 1000), supported_rate(0.01, 30)
        (0.01, 0.1)
    """
    return max(far, ONE_IN / max(clips, 1))


def fit_weights(
    scores: Float64[np.ndarray, " trials"],
    quality: Float64[np.ndarray, "trials 2"],
    same: Bool[np.ndarray, " trials"],
    *,
    use_quality: bool = False,
) -> Float64[np.ndarray, " weights"]:
    """Fit a logistic regression on trials, both kinds weighing equally: its output is a log-likelihood ratio.

    Args:
        scores: Of each trial.
        quality: Of each trial's clip; see `Heard.quality`.
        same: Whether both sides of a trial are of one person.
        use_quality: Let the ratio depend on the clip's quality too.

    Returns:
        Intercept, weight of the score and, with quality, the weights of its two columns.

    Raises:
        MeasureError: there are no trials of one kind, or higher scores do not speak for the same voice.
    """
    from sklearn.linear_model import LogisticRegression

    if same.all() or not same.any():
        raise MeasureError("calibration: wanted trials of equal and of different speakers, got one kind")
    table = np.column_stack([scores, quality]) if use_quality else scores[:, None]
    centre, scale = table.mean(axis=0), np.maximum(table.std(axis=0), 1e-9)
    model = LogisticRegression(C=REGULARISATION, class_weight="balanced", max_iter=1000)
    model.fit((table - centre) / scale, same)
    slopes = model.coef_[0] / scale
    if slopes[0] <= 0:
        raise MeasureError(
            "calibration: clips of one person are no more alike than those of two; check the speaker column, "
            "or train the model longer"
        )
    return np.array([model.intercept_[0] - slopes @ centre, *slopes])


def apply_weights(
    weights: Float64[np.ndarray, " weights"],
    scores: Float[np.ndarray, "clips voices"],
    quality: Float64[np.ndarray, "clips 2"],
) -> Float64[np.ndarray, "clips voices"]:
    """Return the log-likelihood ratio of each clip with each voice."""
    of_clip = np.full(len(scores), weights[0])
    if len(weights) > 2:
        of_clip = of_clip + quality @ weights[2:]
    return np.asarray(weights[1] * scores.astype(np.float64) + of_clip[:, None])


def sizes_up_to(largest: int) -> list[int]:
    """Return the gallery sizes to measure, up to the largest.

    Example:
        >>> sizes_up_to(12)
        [1, 2, 5, 10, 12]
    """
    return sorted({*(size for size in SIZES if size < largest), largest})


def measured_levels(trials: Trials, sizes: list[int], far: int | float, *, seed: int = 0) -> tuple[Level, ...]:
    """Return threshold and rates for each gallery size."""
    found = []
    for size in sizes:
        point = operating_point(trials, size, far, seed=seed)
        ends = (point.threshold_interval, point.false_alarms_interval, point.misses_interval)
        (low, high), (alarms_low, alarms_high), (misses_low, misses_high) = ((end.low, end.high) for end in ends)
        found.append(
            Level(
                size, point.threshold, low, high, point.false_alarms, alarms_low, alarms_high,
                point.misses, misses_low, misses_high,
            )
        )  # fmt: skip
    return tuple(found)


def few_behind(trials: Trials, levels: tuple[Level, ...]) -> list[Level]:
    """Return the levels whose false alarms are of fewer than `LEAST_PEOPLE` people."""
    return [level for level in levels if people_behind(trials, level.size, level.threshold) < LEAST_PEOPLE]


def check_people(people: Shaped[np.ndarray, " clips"], what: str) -> None:
    """Check that there are enough people to calibrate on.

    Raises:
        MeasureError: there are fewer than `LEAST_PEOPLE`.
    """
    count = len(np.unique(people))
    if count < LEAST_PEOPLE:
        raise MeasureError(
            f"{what}: wanted recordings of {LEAST_PEOPLE} or more people to calibrate on, got {count}; "
            "a threshold of fewer says nothing about others"
        )
