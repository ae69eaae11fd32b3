"""Histograms of cosines, and the error rates at every threshold computed from them."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float64, Int64
from scipy.special import ndtri

from mfcl.core.console import worded
from mfcl.errors import MeasureError
from mfcl.evaluation.bootstrap import FEWEST_GROUPS, Interval, interval_of, resampled
from mfcl.evaluation.metrics import accept_rates, crossing

BINS = 4096  # histogram bins of cosines from -1 to 1; the EER is interpolated within a bin
PAIRS_AT_ONCE = 2**22
COUNTS_AT_ONCE = 2**23
DRAWS_AT_ONCE = 64  # of 1,000: error rates of all at once would be several tables of 32 MB
POINTS = 200  # points of a drawn curve
TARGET = 0.01  # prior probability of a same-speaker trial, for minDCF


@dataclass(frozen=True)
class Curve:
    """A DET curve: both error rates at each threshold, strictest first."""

    false_accept: Float64[np.ndarray, " thresholds"]
    """Share of different-speaker trials that are accepted."""
    false_reject: Float64[np.ndarray, " thresholds"]
    """Share of same-speaker trials that are rejected."""

    def thinned(self, points: int = POINTS) -> "Curve":
        """Return at most `points` points, evenly spread on the axes of a DET plot (normal deviates)."""
        low = 1e-4
        accept, reject = (ndtri(rate.clip(low, 1 - low)) for rate in (self.false_accept, self.false_reject))
        way = accept - reject  # rises along the curve
        places = np.unique(np.searchsorted(way, np.linspace(way[0], way[-1], points)).clip(max=len(way) - 1))
        return Curve(self.false_accept[places], self.false_reject[places])


def error_curve(
    same: Float64[np.ndarray, "draws bins"], other: Float64[np.ndarray, "draws bins"]
) -> tuple[Curve, Float64[np.ndarray, " draws"]]:
    """Return the DET curve of the first draw, and each draw's equal error rate (NaN if it lacks trials of one kind)."""
    filled = np.flatnonzero((same[0] + other[0]) > 0)  # an empty bin with all speakers is empty in every draw
    usable = np.flatnonzero((same.sum(axis=1) > 0) & (other.sum(axis=1) > 0))  # a draw may lack trials of one kind
    eers, curve = np.full(len(same), np.nan), Curve(np.zeros(0), np.zeros(0))
    for start in range(0, len(usable), DRAWS_AT_ONCE):
        some = usable[start : start + DRAWS_AT_ONCE, None]
        false_accept = accept_rates(other[some, filled])
        false_reject = 1 - accept_rates(same[some, filled])
        eers[some[:, 0]] = crossing(false_accept, false_reject)
        curve = curve if start else Curve(false_accept[0].copy(), false_reject[0].copy())
    return curve, eers


def with_interval(
    eers: Float64[np.ndarray, " draws"], repeated: int, speakers: int
) -> tuple[Float64[np.ndarray, " resampled"], Interval]:
    """Return the equal error rates of bootstrap draws, and their interval.

    Same-speaker trials come from the speakers with several clips alone. With too few of those, other speakers hardly
    move the rate from draw to draw, so the draws are NaN: no interval and no paired difference is made of them.

    Args:
        eers: Rate of all speakers, then of each draw.
        repeated: Speakers with same-speaker trials.
        speakers: All speakers.
    """
    if repeated >= FEWEST_GROUPS or speakers < FEWEST_GROUPS:
        return eers[1:], interval_of(eers[1:], speakers)
    why = f"no interval of {worded(repeated, 'speaker')} with several clips; {FEWEST_GROUPS} or more are wanted"
    return np.full(len(eers) - 1, np.nan), Interval(None, None, why)


def speaker_draws(speakers: int, *, seed: int, draws: int) -> Float64[np.ndarray, "_ {speakers}"]:
    """Return each speaker's count per draw: 1 in the first row, then bootstrap draws with replacement."""
    return np.concatenate([np.ones((1, speakers)), *resampled(speakers, seed=seed, draws=draws)])


def count(
    own: Float64[np.ndarray, "own dim"],
    partners: Float64[np.ndarray, "partners dim"],
    counts: Int64[np.ndarray, " speakers"],
    *,
    upper: bool = False,
) -> Float64[np.ndarray, "speakers bins"]:
    """Return a histogram of cosines for each partner speaker.

    Args:
        own: Unit vectors of one speaker's clips.
        partners: Unit vectors of the other clips, speaker after speaker.
        counts: Number of clips of each partner speaker.
        upper: If `partners` is `own`: count each pair once, and no clip with itself.
    """
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


def check_centre(x: Float[np.ndarray, "items dim"], centre: Float[np.ndarray, " _"]) -> None:
    """Check that the centre has the vectors' size and finite values."""
    if centre.shape != x.shape[1:]:
        raise MeasureError(f"voices: wanted a centre of {x.shape[1]} values, got {len(centre)}; use one part")
    if not np.isfinite(centre).all():  # all scores would be NaN, and count as equal
        raise MeasureError("voices: wanted a centre of finite values, got NaN or infinity")
