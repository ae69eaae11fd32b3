"""From scores to answers: a name, or "unknown" and why."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64

from mfcl.voices.scoring import Profiles, Scorer

UNKNOWN = "unknown"
BELOW, MARGIN, OVERLAP, EMPTY = "below threshold", "margin too small", "two profiles overlap", "nobody is enrolled"
LEAST_MARGIN = 0.7
"""Smallest difference to the next voice, as a logarithm of a likelihood ratio: twice as likely."""
NEAREST = 3
"""Nearest clips that are named."""
COHORT_FAR = 0.01
"""Share of the cohort that may get a name where nothing was calibrated."""


@dataclass(frozen=True)
class Near:
    """An enrolled clip near to a tested one."""

    voice: str
    source: str
    cosine: float


@dataclass(frozen=True)
class Identification:
    """Who speaks in a clip."""

    source: str
    name: str
    """Name of the voice, or `unknown`."""
    reason: str
    """Why it is unknown; "" for a name."""
    best: str
    """Voice with the highest score, whether it reaches the threshold or not; "" if nobody is enrolled."""
    score: float
    """Its log-likelihood ratio, or its score where nothing was calibrated."""
    margin: float | None
    """Difference to the score of the next voice, never to a second clip of the same one; None if there is no other."""
    second: str
    """The next voice, "" if there is one voice."""
    seconds: float
    """Seconds of sound in the clip."""
    level: float
    """Level of the clip in dB."""
    near: tuple[Near, ...]


@dataclass(frozen=True)
class Verification:
    """Whether a clip is of the voice that it is said to be of."""

    source: str
    claimed: str
    accepted: bool
    score: float
    threshold: float
    nearer: str
    """Another voice that scores higher, "" if there is none."""
    seconds: float
    level: float


def decide(
    scores: Float64[np.ndarray, " voices"],
    names: tuple[str, ...],
    threshold: int | float,
    *,
    least_margin: int | float,
) -> tuple[str, str, int, int]:
    """Return the name, the reason for `unknown`, and the places of the best and the next voice (-1 for none).

    Args:
        scores: Of one clip with each voice.
        names: Name of each voice.
        threshold: Lowest score that gets a name.
        least_margin: Smallest difference between the best and the next voice.

    Example:
        >>> decide(np.array([5.0, 4.9]), ("a", "b"), 3.0, least_margin=0.7)[:2]
        ('unknown', 'margin too small')
        >>> decide(np.array([5.0, 1.0]), ("a", "b"), 3.0, least_margin=0.7)[:2]
        ('a', '')
    """
    if not len(scores):
        return UNKNOWN, EMPTY, -1, -1
    order = np.argsort(-scores, kind="stable")
    best, second = int(order[0]), int(order[1]) if len(order) > 1 else -1
    if scores[best] < threshold:
        return UNKNOWN, BELOW, best, second
    if second >= 0 and scores[best] - scores[second] < least_margin:
        return UNKNOWN, MARGIN, best, second
    return names[best], "", best, second


def cohort_threshold(scorer: Scorer, far: int | float = COHORT_FAR) -> float:
    """Return the score that at most `far` of the cohort's clips reach with any enrolled voice."""
    if not len(scorer.cohort) or not len(scorer.profiles):
        return float("inf")
    return float(np.quantile(scorer.cohort_scores().max(axis=1), 1 - far))


def nearest_clips(
    row: Float64[np.ndarray, " dim"], profiles: Profiles, sources: list[str], *, count: int = NEAREST
) -> tuple[Near, ...]:
    """Return the enrolled clips nearest to a unit vector."""
    cosines = profiles.vectors @ row.astype(np.float32)
    order = np.argsort(-cosines, kind="stable")[:count]
    return tuple(
        Near(profiles.names[profiles.owners[place]], sources[place], float(cosines[place])) for place in order.tolist()
    )
