"""Calibrate a gallery on held-out people, and say what the recordings support."""

import numpy as np
from jaxtyping import Float32

from mfcl.core.console import are, worded
from mfcl.core.random import generator
from mfcl.embeddings.linalg import unit_rows
from mfcl.errors import MeasureError, check_number
from mfcl.evaluation.bootstrap import held_by
from mfcl.voices.agreement import SAME
from mfcl.voices.calibration import (
    LEAST_PEOPLE,
    MOST_SKETCHES,
    Calibration,
    apply_weights,
    check_far,
    check_people,
    few_behind,
    fit_weights,
    measured_levels,
    sizes_up_to,
    sketched,
    supported_rate,
)
from mfcl.voices.held_out import DRAWS, MOST_CLIPS, People, enrol_and_test, stacked
from mfcl.voices.scoring import TOP, WAY, Profiles, Way

MOST_VOICES = 1000
"""Most voices of the gallery that take part; of more, as many are drawn."""
CLIPS = 3
"""Clips to enrol of each person where the gallery has no voices yet."""


def calibrate(
    held: People,
    cohort: Float32[np.ndarray, "members dim"],
    gallery: Profiles,
    *,
    far: int | float,
    setting: str,
    clips: int | None = None,
    use_quality: bool = False,
    way: Way = WAY,
    top: int = TOP,
    seed: int = 0,
    what: str = "calibration",
) -> tuple[Calibration, list[str]]:
    """Measure the scores of strangers and of enrolled people, and set the thresholds.

    The people are enrolled beside the gallery's voices with as many clips as those have; strangers are scored with
    all of them.

    Args:
        held: Clips of people on whom nothing was trained; a person of the gallery is recognised by the name.
        cohort: Unit vectors to normalise by.
        gallery: The gallery's voices.
        far: Share of strangers' clips that may get a name.
        setting: How scores are made.
        clips: Clips to enrol of each person; default: the median of the gallery's voices.
        use_quality: Let log-likelihood ratios depend on seconds and level of a clip.
        way: See `raw_scores`.
        top: See `Scorer`.
        seed: Seed of the draws of enrolled clips.
        what: Name of the recordings, for messages.

    Returns:
        The calibration, and notes.

    Raises:
        MeasureError: there are too few people or clips.
    """
    check_far(far)
    if clips is not None:
        check_number("clips", clips, 1, MOST_CLIPS, whole=True, error=MeasureError)
    notes: list[str] = []
    if clips is None:
        clips = max(1, int(np.median(gallery.counts))) if len(gallery) else CLIPS
        most = int(np.unique(held.people, return_counts=True)[1].max())
        if clips >= most > 1:
            clips = max(1, most // 2)
            notes.append(
                f"people have at most {most} clips, so {worded(clips, 'is', 'are')} enrolled, fewer than in the gallery"
            )
    if len(gallery) > MOST_VOICES:
        chosen = np.sort(generator(seed, "calibrated voices").permutation(len(gallery))[:MOST_VOICES])
        gallery = _some(gallery, chosen)
    check_people(held.people, what)
    if len(cohort):
        known = int(((unit_rows(held.heard.vectors, np.float32) @ cohort.T).max(axis=1) > SAME).sum())
        if known:
            notes.append(
                f"{known} of {len(held.people)} clips {are(known)} in the cohort too, so strangers will get a name "
                f"more often "
                "than is said; calibrate on people who are not in it"
            )
    scored = stacked(
        [
            enrol_and_test(held, cohort, clips=clips, draw=draw, seed=seed, gallery=gallery, way=way, top=top)
            for draw in range(DRAWS)
        ]
    )
    check_people(scored.people[scored.own >= 0], f"{what}, with more than {worded(clips, 'clip')}")
    weights = fit_weights(*scored.pairs(), use_quality=use_quality)
    trials = scored.trials(apply_weights(weights, scored.scores, scored.quality))
    strangers = len(held.people)
    supported = supported_rate(far, strangers)
    if supported > far:
        notes.append(
            f"{strangers} clips of {trials.persons} people are too few for {100 * far:g} % false alarms; the "
            f"thresholds are for {100 * supported:.2g} % (3 clips in {strangers}), the least that so many can tell"
        )
    levels = measured_levels(trials, sizes_up_to(trials.largest()), supported, seed=seed)
    few = few_behind(trials, levels)
    if few:
        sizes = ", ".join(str(level.size) for level in few)
        notes.append(
            f"galleries of {sizes}: the false alarms come from what amounts to fewer than {LEAST_PEOPLE} people, so "
            "others may get a name several times as often as is said, even above the interval; calibrate on more people"
        )
    share = held_by(trials.persons)
    if share is not None:
        notes.append(
            f"{trials.persons} people are few: in simulations 95 % intervals over so few held the truth in about "
            f"{share} % of cases, and other people may get a name more often than is said; 20 or more tell better"
        )
    remembered = generator(seed, "sketches").permutation(strangers)[:MOST_SKETCHES]
    made = Calibration(
        far, supported, tuple(weights.tolist()), trials.persons, strangers, clips, len(gallery), levels,
        setting, sketched(held.heard.vectors[remembered]),
    )  # fmt: skip
    return made, notes


def _some(gallery: Profiles, chosen: np.ndarray) -> Profiles:
    kept = np.isin(gallery.owners, chosen)
    names = tuple(gallery.names[place] for place in chosen.tolist())
    return Profiles(names, np.searchsorted(chosen, gallery.owners[kept]), gallery.vectors[kept])
