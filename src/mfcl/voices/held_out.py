"""Trials of held-out recordings: some clips of each person are enrolled, the others are tested."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float32, Float64, Int64, Shaped

from mfcl.core.random import generator
from mfcl.errors import MeasureError
from mfcl.evaluation.speaker.enrolled import enrolled_clips
from mfcl.evaluation.speaker.open_set import Trials
from mfcl.voices.scoring import TOP, WAY, Profiles, Scorer, Way
from mfcl.voices.sound import Heard

DRAWS = 5
"""Draws of the enrolled clips; each clip is tested in several of them."""
MOST_CLIPS = 1_000_000
"""Most clips of a person that may be asked for."""


@dataclass(frozen=True, eq=False)
class People:
    """Held-out clips of known people."""

    heard: Heard
    people: Shaped[np.ndarray, " clips"]
    """Name of each clip's person."""
    words: Shaped[np.ndarray, " clips"]
    """What is said in each clip; all equal if it is not known."""


@dataclass(frozen=True, eq=False)
class Scored:
    """Scores of tested clips with the voices of a pool."""

    scores: Float64[np.ndarray, "clips voices"]
    own: Int64[np.ndarray, " clips"]
    """Column of each clip's own voice; -1 for none."""
    people: Int64[np.ndarray, " clips"]
    quality: Float64[np.ndarray, "clips 2"]
    """See `Heard.quality`."""
    excluded: Bool[np.ndarray, "clips voices"]
    """Voices that are not to be counted: of the gallery, with the name of the tested person."""

    def trials(self, scores: Float64[np.ndarray, "clips voices"] | None = None) -> Trials:
        """Return the trials, with other scores if given."""
        chosen = self.scores if scores is None else scores
        return Trials.of(chosen, self.own, self.people, excluded=self.excluded)

    def pairs(
        self,
    ) -> tuple[Float64[np.ndarray, " trials"], Float64[np.ndarray, "trials 2"], Bool[np.ndarray, " trials"]]:
        """Return score, quality and whether it is the same person, of every clip with every voice that counts."""
        same = np.arange(self.scores.shape[1]) == self.own[:, None]
        counted = same | ~self.excluded
        return self.scores[counted], np.repeat(self.quality, counted.sum(axis=1), axis=0), same[counted]


def enrol_and_test(
    held: People,
    cohort: Float32[np.ndarray, "members dim"],
    *,
    clips: int,
    draw: int,
    seed: int = 0,
    gallery: Profiles | None = None,
    strangers: int | float = 0.0,
    apart: bool = False,
    way: Way = WAY,
    top: int = TOP,
) -> Scored:
    """Enrol some clips of each person beside a gallery's voices, and score all other clips.

    Args:
        held: Clips of known people.
        cohort: Unit vectors to normalise by.
        clips: Clips to enrol; people with no more than these are only tested.
        draw: Number of the draw.
        seed: Seed of the draws.
        gallery: Voices that are in the pool too.
        strangers: Share of people who are not enrolled, drawn.
        apart: Enrol half of the words and test the other half.
        way: See `raw_scores`.
        top: See `Scorer`.

    Raises:
        MeasureError: nobody has more clips than are to be enrolled.
    """
    names, codes, counts = np.unique(held.people, return_inverse=True, return_counts=True)
    usable = np.ones(len(codes), dtype=bool)
    numbers = generator(seed, "held out", draw)
    if apart:
        kinds, said = np.unique(held.words, return_inverse=True)
        first = np.isin(said, numbers.permutation(len(kinds))[: len(kinds) // 2])
        usable = first
        counts = np.bincount(codes[usable], minlength=len(names)) + 1  # any number of them may be enrolled
    stays = np.ones(len(names), dtype=bool)
    stays[numbers.permutation(len(names))[: round(strangers * len(names))]] = False
    able = stays & (counts > clips)
    if not able.any():
        raise MeasureError(
            f"held-out recordings: wanted people with more clips than the {clips} to enrol, the most of one is "
            f"{int(counts.max(initial=0)) - int(apart)}; enrol fewer, or give more recordings"
        )
    places = np.flatnonzero(usable)
    chosen = enrolled_clips(codes[places], held.words[places], clips, seed=seed, draw=draw)
    enrolled = np.zeros(len(codes), dtype=bool)
    enrolled[places[chosen]] = True
    enrolled &= able[codes]
    tested = ~enrolled & ~usable if apart else ~enrolled
    order = np.cumsum(able) - 1
    pool = Profiles.of(tuple(names[able].tolist()), order[codes[enrolled]], held.heard.vectors[enrolled])
    if gallery is not None and len(gallery):
        owners = np.concatenate([pool.owners, gallery.owners + len(pool)])
        pool = Profiles.of(pool.names + gallery.names, owners, np.concatenate([pool.vectors, gallery.vectors]))
    scores = Scorer(pool, cohort, way=way, top=top)(held.heard.vectors[tested])
    who = codes[tested]
    own = np.where(able[who], order[who], -1)
    excluded = np.array(pool.names)[None, :] == names[who][:, None]
    excluded[np.arange(len(own))[own >= 0], own[own >= 0]] = False
    return Scored(scores, own, who, held.heard.quality[tested], excluded)


def stacked(some: list[Scored]) -> Scored:
    """Return the trials of several draws together; pools of different sizes are filled up with excluded voices."""
    widest = max(one.scores.shape[1] for one in some)

    def wide(values: np.ndarray, fill: float | bool) -> np.ndarray:
        return np.pad(values, ((0, 0), (0, widest - values.shape[1])), constant_values=fill)

    return Scored(
        np.concatenate([wide(one.scores, np.nan) for one in some]),
        np.concatenate([one.own for one in some]),
        np.concatenate([one.people for one in some]),
        np.concatenate([one.quality for one in some]),
        np.concatenate([wide(one.excluded, True) for one in some]),
    )
