"""From scores to log-likelihood ratios and thresholds, measured on held-out people."""

import dataclasses
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Float64, Int64

from mfcl.errors import GalleryError, MeasureError, shown
from mfcl.evaluation.speaker.open_set import Trials, operating_point

LEAST_PEOPLE = 5
"""Fewest people to calibrate on; see `mfcl.evaluation.bootstrap.FEWEST_GROUPS`."""
ONE_IN = 3.0
"""Rule of three: n clips without a false alarm support a rate of 3 / n (95 %)."""
SIZES = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000)
FEATURES = ("score", "log seconds")
"""What the log-likelihood ratio is computed from; chosen by measuring (docs/voices.md)."""
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
    """Share that the recordings support, at least `asked`."""
    weights: tuple[float, ...]
    """Intercept, then the weight of each of `features`."""
    features: tuple[str, ...]
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

    def ratios(
        self, scores: Float[np.ndarray, "clips voices"], seconds: Float64[np.ndarray, " clips"]
    ) -> Float64[np.ndarray, "clips voices"]:
        """Return the natural logarithm of the likelihood ratio of each clip with each voice."""
        return apply_weights(np.array(self.weights), self.features, scores, seconds)

    def level(self, size: int) -> tuple[Level, bool]:
        """Return threshold and expected rates for a gallery size, and whether they go beyond what was measured.

        Between two sizes the values are interpolated by the logarithm of the size; beyond the largest one the threshold
        goes on rising as it did between the last two.
        """
        sizes = [level.size for level in self.levels]
        if size <= sizes[0] or len(sizes) == 1:
            return dataclasses.replace(self.levels[0], size=size), size > sizes[0]
        after = min(int(np.searchsorted(sizes, size)), len(sizes) - 1)
        first, last = self.levels[after - 1], self.levels[after]
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
            made = cls(**{
                **content, "levels": levels, "weights": tuple(content["weights"]),
                "features": tuple(content["features"]),
            })  # fmt: skip
            numbers = np.array([made.far, *made.weights, *(level.threshold for level in levels)], dtype=np.float64)
            if not levels or not np.isfinite(numbers).all() or len(made.weights) != len(made.features) + 1:
                raise ValueError("numbers are missing")
        except (KeyError, TypeError, ValueError) as error:
            raise GalleryError(
                f"{where}: the calibration cannot be read ({shown(str(error))}); calibrate again"
            ) from None
        return made


def supported_rate(far: float, clips: int) -> float:
    """Return the share of false alarms that clips of strangers support: `far`, or more if they are too few.

    Example:
        >>> supported_rate(0.01, 1000), supported_rate(0.01, 30)
        (0.01, 0.1)
    """
    return max(far, ONE_IN / max(clips, 1))


def fit_weights(
    scores: Float64[np.ndarray, " trials"],
    seconds: Float64[np.ndarray, " trials"],
    same: Bool[np.ndarray, " trials"],
    *,
    features: tuple[str, ...] = FEATURES,
) -> Float64[np.ndarray, " weights"]:
    """Fit a logistic regression on trials, both kinds weighing equally: its output is a log-likelihood ratio.

    Raises:
        MeasureError: there are no trials of one kind, or higher scores do not speak for the same voice.
    """
    from sklearn.linear_model import LogisticRegression

    if same.all() or not same.any():
        raise MeasureError("calibration: wanted trials of equal and of different speakers, got one kind")
    model = LogisticRegression(C=REGULARISATION, class_weight="balanced", max_iter=1000)
    table = feature_table(features, scores, seconds)
    centre, scale = table.mean(axis=0), np.maximum(table.std(axis=0), 1e-9)
    model.fit((table - centre) / scale, same)
    slopes = model.coef_[0] / scale
    if slopes[0] <= 0:
        raise MeasureError(
            "calibration: clips of one person are no more alike than those of two; check the speaker column, "
            "or train the model longer"
        )
    return np.array([model.intercept_[0] - slopes @ centre, *slopes])


def feature_table(
    features: tuple[str, ...], scores: Float64[np.ndarray, " trials"], seconds: Float64[np.ndarray, " trials"]
) -> Float64[np.ndarray, "trials features"]:
    """Return the features of trials."""
    known = {"score": scores, "log seconds": np.log(np.maximum(seconds, 0.01))}
    return np.stack([known[name] for name in features], axis=1)


def apply_weights(
    weights: Float64[np.ndarray, " weights"],
    features: tuple[str, ...],
    scores: Float[np.ndarray, "clips voices"],
    seconds: Float64[np.ndarray, " clips"],
) -> Float64[np.ndarray, "clips voices"]:
    """Return the log-likelihood ratio of each clip with each voice."""
    other = np.full(len(seconds), weights[0])
    for name, weight in zip(features[1:], weights[2:], strict=True):
        other += weight * feature_table((name,), np.zeros(len(seconds)), seconds)[:, 0]
    return np.asarray(weights[1] * scores.astype(np.float64) + other[:, None])


def sizes_up_to(largest: int) -> list[int]:
    """Return the gallery sizes to measure, up to the largest.

    Example:
        >>> sizes_up_to(12)
        [1, 2, 5, 10, 12]
    """
    return sorted({*(size for size in SIZES if size < largest), largest})


def measured_levels(trials: Trials, sizes: list[int], far: float, *, seed: int = 0) -> tuple[Level, ...]:
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


def check_people(people: Int64[np.ndarray, " clips"], what: str) -> None:
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
