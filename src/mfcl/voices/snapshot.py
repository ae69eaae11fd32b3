"""The voices of a gallery in memory: their scores and thresholds."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64

from mfcl.core.console import worded
from mfcl.errors import GalleryError
from mfcl.voices.calibration import Calibration, Level
from mfcl.voices.decisions import LEAST_MARGIN, cohort_threshold
from mfcl.voices.scoring import WAYS, Profiles, Scorer
from mfcl.voices.sound import Heard
from mfcl.voices.storage import Storage

VOICES_AT_ONCE = 1000
"""Voices whose scores are kept for every window of a recording; of a larger gallery only the likely ones are."""
WINDOWS_AT_ONCE = 256
CLIPS_APART = 2
"""A voice with this many times more or fewer clips than the calibration had is noted."""
ADVICE = "calibrate on recordings like yours: mfcl voices calibrate"


@dataclass(frozen=True)
class Threshold:
    """The threshold of a gallery, and what to expect of it."""

    value: float
    level: Level | None
    """What was measured in calibration; None without one."""
    notes: tuple[str, ...]
    margin: float
    """Smallest difference to the next voice unless another is given; 0 where scores are plain cosines."""


@dataclass(frozen=True, eq=False)
class Snapshot:
    """The voices of a gallery at one moment."""

    name: str
    """The gallery's place, for messages."""
    changes: int
    sources: list[str]
    """Source of each clip of the profiles."""
    scorer: Scorer
    calibration: Calibration | None
    size: int
    """Voices with clips in the gallery; the profiles are fewer where only the likeliest were read."""

    @property
    def profiles(self) -> Profiles:
        """The enrolled voices."""
        return self.scorer.profiles

    @property
    def setting(self) -> str:
        """How scores are made; a calibration holds for no other."""
        scorer = self.scorer
        cohort = f"{scorer.top} nearest of a cohort of {len(scorer.cohort)}" if scorer.normalises else "no cohort"
        return f"{scorer.way}, {cohort}"

    def scores(self, heard: Heard) -> Float64[np.ndarray, "clips voices"]:
        """Return log-likelihood ratios, or scores where nothing was calibrated.

        Raises:
            GalleryError: the vectors have another size than the gallery's.
        """
        dim = self.profiles.vectors.shape[1]
        if heard.vectors.shape[1] != dim:
            raise GalleryError(f"{self.name}: wanted vectors of {dim} values, got {heard.vectors.shape[1]}")
        scores = self.scorer(heard.vectors)
        return np.asarray(scores if self.calibration is None else self.calibration.ratios(scores, heard.quality))

    def window_scores(self, heard: Heard) -> tuple[list[int], Float64[np.ndarray, "windows voices"]]:
        """Return the scores of windows with all voices, or, in a large gallery, with those that are ever the best."""
        count = len(heard)
        blocks = [np.arange(first, min(first + WINDOWS_AT_ONCE, count)) for first in range(0, count, WINDOWS_AT_ONCE)]
        kept = list(range(len(self.profiles)))
        if len(kept) > VOICES_AT_ONCE:
            best = np.concatenate([self.scores(heard.select(block)).argmax(axis=1) for block in blocks])
            voices, counts = np.unique(best, return_counts=True)
            kept = voices[np.argsort(-counts, kind="stable")[:VOICES_AT_ONCE]].tolist()
        return kept, np.concatenate([self.scores(heard.select(block))[:, kept] for block in blocks])

    def overlap(self, one: int, other: int) -> float:
        """Return the mean score of one voice's clips with another voice."""
        return float(self._of_voice(one)[other])

    def likest(self, voice: int) -> tuple[int, float]:
        """Return the other voice that a voice's clips score highest with, and the score; there must be another."""
        scores = self._of_voice(voice)
        scores[voice] = -np.inf
        nearest = int(scores.argmax())
        return nearest, float(scores[nearest])

    def _of_voice(self, voice: int) -> Float64[np.ndarray, " voices"]:
        """Return the mean scores of a voice's clips, taken as of a second at an ordinary level."""
        own = self.profiles.vectors[self.profiles.owners == voice]
        clips = Heard(own, np.ones(len(own)), np.full(len(own), -25.0), ("",) * len(own))
        return np.asarray(self.scores(clips).mean(axis=0))

    def threshold(self, size: int | None = None) -> Threshold:
        """Return the threshold for a gallery of this size (default: its own), and what to expect of it."""
        voices = max(1, self.size if size is None else size)
        if self.calibration is not None:
            level, beyond = self.calibration.level(voices)
            notes = []
            if beyond:
                notes.append(
                    f"calibrated for up to {self.calibration.levels[-1].size} voices, the gallery has {voices}: "
                    "the threshold is extrapolated; calibrate again"
                )
            few = int((self.profiles.counts * CLIPS_APART < self.calibration.enrolled).sum())
            many = int((self.profiles.counts > CLIPS_APART * self.calibration.enrolled).sum())
            if few or many:
                notes.append(
                    f"calibrated for voices of {worded(self.calibration.enrolled, 'clip')}; "
                    f"{worded(few, 'has fewer than half of that and is', 'have fewer than half of that and are')} "
                    f"missed more often, {worded(many, 'has', 'have')} more than twice that; enrol as many of each"
                )
            return Threshold(level.threshold, level, tuple(notes), LEAST_MARGIN)
        if not len(self.scorer.cohort):
            note = f"neither calibrated nor a cohort: nothing tells a threshold, so all are unknown; {ADVICE}"
            return Threshold(float("inf"), None, (note,), 0.0)
        note = f"not calibrated: the threshold is what 1 % of the training recordings reach; {ADVICE}"
        margin = LEAST_MARGIN if self.scorer.normalises else 0.0  # no likelihood ratio: 0.7 is most of a cosine's range
        return Threshold(cohort_threshold(self.scorer), None, (note,), margin)


def read_snapshot(storage: Storage, only: Sequence[str] | None = None, *, calibrated: bool = True) -> Snapshot:
    """Return the voices of a gallery, all of one moment.

    Args:
        storage: The gallery's rows.
        only: Names of the voices to read; default: all.
        calibrated: Read the calibration too; a new one is made without it, for it may be damaged.

    Raises:
        GalleryError: the gallery is damaged, or was calibrated with other settings of scores.
    """
    with storage.database.transaction(write=False):
        about = storage.about()
        names, owners, vectors, sources = storage.profiles(only)
        content = storage.calibration() if calibrated else None
        way, top = about.get("score", ""), about.get("nearest", "")
        if way not in WAYS or not top.isdecimal():
            raise GalleryError(f"{storage.name}: wanted how to score, got {way!r} and {top!r}; restore it from a copy")
        scorer = Scorer(Profiles.of(tuple(names), owners, vectors), storage.cohort(), way=way, top=int(top))
        calibration = None if content is None else Calibration.from_json(content, where=storage.name)
        size = len(names) if only is None else storage.size()
        found = Snapshot(storage.name, int(about["changes"]), sources, scorer, calibration, size)
    if calibration is not None and calibration.setting != found.setting:
        raise GalleryError(
            f"{storage.name}: calibrated for scores by {calibration.setting!r}, these are by {found.setting!r}; "
            "calibrate again"
        )
    return found
