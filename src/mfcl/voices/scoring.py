"""Scores of clips against voices: cosines of several clips, normalised by a cohort."""

from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
from jaxtyping import Float32, Float64, Int64

from mfcl.embeddings.linalg import unit_rows
from mfcl.errors import GalleryError, check_choice

Way = Literal["mean", "best", "average", "both"]
WAYS: tuple[Way, ...] = ("mean", "best", "average", "both")
WAY: Way = "mean"
"""How clips of a voice make one score; chosen by measuring (docs/voices.md)."""
TOP = 75
"""Cohort members nearest to a clip or a voice that its scores are normalised by; 0: not normalised. With them a
threshold that was set on some people holds on others (measured: docs/voices.md)."""
LEAST_COHORT = 20
"""Fewest cohort members to normalise by."""
VALUES_AT_ONCE = 2**24
"""Cosines in memory at once."""


@dataclass(frozen=True, eq=False)
class Profiles:
    """Enrolled voices: their clips, voice by voice."""

    names: tuple[str, ...]
    owners: Int64[np.ndarray, " clips"]
    """Voice (index) of each clip, rising; every voice has a clip."""
    vectors: Float32[np.ndarray, "clips dim"]
    """Unit vectors."""

    @classmethod
    def of(
        cls, names: tuple[str, ...], owners: Int64[np.ndarray, " clips"], vectors: Float32[np.ndarray, "clips dim"]
    ) -> "Profiles":
        """Make profiles of clips in any order; vectors get unit length."""
        order = np.argsort(owners, kind="stable")
        return cls(names, owners[order], unit_rows(vectors[order], np.float32))

    def __len__(self) -> int:
        return len(self.names)

    @cached_property
    def counts(self) -> Int64[np.ndarray, " voices"]:
        """Clips of each voice."""
        return np.bincount(self.owners, minlength=len(self))

    @cached_property
    def starts(self) -> Int64[np.ndarray, " voices"]:
        """Index of each voice's first clip."""
        return np.asarray(np.cumsum(self.counts) - self.counts)

    @cached_property
    def means(self) -> Float32[np.ndarray, "voices dim"]:
        """Unit vector of the mean of each voice's clips."""
        if not len(self):
            return np.zeros((0, self.vectors.shape[1]), dtype=np.float32)
        return unit_rows(np.add.reduceat(self.vectors, self.starts, axis=0), np.float32)

    def without(self, voice: int) -> "Profiles":
        """Return all voices but one."""
        kept = self.owners != voice
        owners = self.owners[kept] - (self.owners[kept] > voice)
        names = self.names[:voice] + self.names[voice + 1 :]
        return Profiles(names, owners, self.vectors[kept])


def raw_scores(
    queries: Float32[np.ndarray, "clips dim"], profiles: Profiles, *, way: Way = WAY
) -> Float32[np.ndarray, "clips voices"]:
    """Return the cosine of each clip with each voice.

    Args:
        queries: Unit vectors.
        profiles: The voices.
        way: `mean`: with the mean of the voice's unit vectors. `best`: with its nearest clip. `average`: the mean of
            the cosines with its clips. `both`: half `mean`, half `best`.

    Example:
        >>> axes = np.eye(2, dtype=np.float32)
        >>> two = Profiles.of(("a", "b"), np.array([0, 0, 1]), np.stack([axes[0], axes[1], axes[1]]))
        >>> found = {way: raw_scores(axes[:1], two, way=way).astype(float).round(2).tolist() for way in WAYS}
        >>> found["mean"], found["best"], found["average"], found["both"]
        ([[0.71, 0.0]], [[1.0, 0.0]], [[0.5, 0.0]], [[0.85, 0.0]])
    """
    check_choice("way to score", way, WAYS, error=GalleryError)
    if way == "mean":
        return np.asarray(queries @ profiles.means.T)
    if way == "both":
        mean, best = (raw_scores(queries, profiles, way=one) for one in ("mean", "best"))
        return np.asarray((mean + best) / 2)
    if not len(profiles):
        return np.zeros((len(queries), 0), dtype=np.float32)
    found = np.empty((len(queries), len(profiles)), dtype=np.float32)
    step = max(1, VALUES_AT_ONCE // max(1, len(profiles.vectors)))
    for first in range(0, len(queries), step):
        cosines = queries[first : first + step] @ profiles.vectors.T
        if way == "best":
            found[first : first + step] = np.maximum.reduceat(cosines, profiles.starts, axis=1)
        else:
            found[first : first + step] = np.add.reduceat(cosines, profiles.starts, axis=1) / profiles.counts
    return found


@dataclass(frozen=True, eq=False)
class Scorer:
    """Scores normalised by a cohort of other voices (adaptive symmetric normalisation, AS-norm).

    A score is the mean of two: how many deviations it lies above the scores of the clip with the cohort members nearest
    to it, and above those of the voice with the cohort members nearest to the voice. Without a cohort it is the cosine.

    Source: Matejka et al., "Analysis of score normalization in multilingual speaker recognition", Interspeech 2017,
        section 2.4 (adaptive s-norm 1).
    """

    profiles: Profiles
    cohort: Float32[np.ndarray, "members dim"]
    """Unit vectors of other voices; fewer than `LEAST_COHORT` are not used."""
    way: Way = WAY
    top: int = TOP

    @property
    def normalises(self) -> bool:
        """Whether the cohort is large enough."""
        return self.top > 0 and len(self.cohort) >= LEAST_COHORT

    @cached_property
    def _voice_side(self) -> tuple[Float64[np.ndarray, " voices"], Float64[np.ndarray, " voices"]]:
        return _nearest_members(raw_scores(self.cohort, self.profiles, way=self.way).T, self.top)

    def __call__(self, queries: Float32[np.ndarray, "clips dim"]) -> Float64[np.ndarray, "clips voices"]:
        """Return the score of each clip with each voice; higher is more alike."""
        rows = unit_rows(queries, np.float32)
        raw = raw_scores(rows, self.profiles, way=self.way).astype(np.float64)
        if not self.normalises or not len(self.profiles):
            return raw
        return self._normalised(raw, rows @ self.cohort.T)

    def cohort_scores(self) -> Float64[np.ndarray, "members voices"]:
        """Return the score of each cohort member with each voice: scores of strangers."""
        raw = raw_scores(self.cohort, self.profiles, way=self.way).astype(np.float64)
        if not self.normalises:
            return raw
        own = self.cohort @ self.cohort.T
        np.fill_diagonal(own, -np.inf)
        return self._normalised(raw, own)

    def _normalised(
        self, raw: Float64[np.ndarray, "clips voices"], own: Float32[np.ndarray, "clips members"]
    ) -> Float64[np.ndarray, "clips voices"]:
        clip_mean, clip_deviation = _nearest_members(own, self.top)
        voice_mean, voice_deviation = self._voice_side
        return np.asarray(
            ((raw - clip_mean[:, None]) / clip_deviation[:, None] + (raw - voice_mean) / voice_deviation) / 2
        )


def _nearest_members(
    scores: Float32[np.ndarray, "rows members"], top: int
) -> tuple[Float64[np.ndarray, " rows"], Float64[np.ndarray, " rows"]]:
    """Return mean and deviation of each row's highest scores."""
    most = min(top, scores.shape[1] - 1)
    highest = np.partition(scores, -most, axis=1)[:, -most:].astype(np.float64)
    return highest.mean(axis=1), np.maximum(highest.std(axis=1), 1e-6)
