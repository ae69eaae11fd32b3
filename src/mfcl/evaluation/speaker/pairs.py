"""Speaker verification over all pairs of clips."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float64, Int64, Shaped

from mfcl.embeddings.linalg import unit_rows
from mfcl.evaluation.metrics import lowest_cost
from mfcl.evaluation.speaker import curves
from mfcl.evaluation.speaker.curves import BINS, TARGET, check_centre, count, error_curve, speaker_draws, with_interval
from mfcl.evaluation.speaker.identification import check_speakers


@dataclass(frozen=True)
class VerifyResult:
    """Result of verifying all pairs of clips by their cosine."""

    eer: float
    """Equal error rate, 0 to 1."""
    low: float | None
    """Lower end of the 95 % interval over speakers; None if there is none."""
    high: float | None
    min_dcf: float
    """minDCF at a prior of 1 same-speaker pair in 100, relative to always rejecting."""
    pairs: int
    """Number of scored pairs."""
    speakers: int
    draws: int
    """Bootstrap draws of speakers, for the interval."""
    resampled: Float64[np.ndarray, " draws"]
    """Equal error rate of each draw, NaN if it lacks pairs of one kind; equal seeds draw equal speakers. All are NaN if
    too few speakers have several clips."""
    no_interval: str
    """Why there is no interval; "" if there is one."""


def verify(
    x: Float[np.ndarray, "items dim"],
    speaker: Shaped[np.ndarray, " items"],
    centre: Float[np.ndarray, " _"],
    *,
    seed: int,
    draws: int = 1000,
) -> VerifyResult:
    """Score every pair of clips by cosine after subtracting `centre`, and return the equal error rate.

    Cosines are counted in histograms of 4,096 bins for each pair of speakers, so memory does not grow with the pairs.
    A bootstrap draw of speakers only weights the histograms; copies of a speaker never form a pair.

    Args:
        x: Vectors of speakers that do not occur in training.
        speaker: Speaker of each item.
        centre: Mean of the training vectors.
        seed: Seed of the bootstrap.
        draws: Bootstrap draws of speakers, for the interval.

    Raises:
        MeasureError: there is one speaker, or each has a single clip; or vectors or labels cannot be used.
    """
    check_speakers(x, speaker)
    check_centre(x, centre)
    order = np.argsort(speaker, kind="stable")
    _, counts = np.unique(speaker, return_counts=True)
    rows = unit_rows(x[order].astype(np.float64) - centre)
    drawn = speaker_draws(len(counts), seed=seed, draws=draws)
    same, other = pair_counts(rows, counts, drawn)
    curve, eers = error_curve(same, other)
    resampled, interval = with_interval(eers, int((counts > 1).sum()), len(counts))
    return VerifyResult(
        eer=float(eers[0]),
        low=interval.low,
        high=interval.high,
        min_dcf=lowest_cost(curve.false_accept, curve.false_reject, target=TARGET),
        pairs=len(x) * (len(x) - 1) // 2,
        speakers=len(counts),
        draws=draws,
        resampled=resampled,
        no_interval=interval.reason,
    )


def pair_counts(
    rows: Float64[np.ndarray, "items dim"],
    counts: Int64[np.ndarray, " speakers"],
    drawn: Float64[np.ndarray, "draws speakers"],
) -> tuple[Float64[np.ndarray, "draws bins"], Float64[np.ndarray, "draws bins"]]:
    """Return histograms of the cosines of same-speaker and different-speaker pairs, per draw.

    Args:
        rows: Unit vectors, speaker after speaker.
        counts: Number of clips of each speaker.
        drawn: Count of each speaker in each draw.
    """
    same, other = np.zeros((2, len(drawn), BINS))
    ends = np.cumsum(counts)
    step = max(1, curves.COUNTS_AT_ONCE // BINS)  # partners at once
    for mine, end in enumerate(ends):
        own = rows[end - counts[mine] : end]
        same += drawn[:, mine, None] * count(own, own, counts[mine : mine + 1], upper=True)
        for first in range(mine + 1, len(counts), step):
            last = min(first + step, len(counts))
            partners = rows[ends[first] - counts[first] : ends[last - 1]]
            table = count(own, partners, counts[first:last])
            other += (drawn[:, mine, None] * drawn[:, first:last]) @ table
    return same, other
