"""Measure a model's voices on held-out people: closed set, open set and verification, by clips and seconds."""

import functools
import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float32, Float64, Int64

from mfcl.core.console import worded
from mfcl.errors import MeasureError, check_number, check_type
from mfcl.evaluation.bootstrap import bootstrap_interval
from mfcl.evaluation.metrics import lowest_cost
from mfcl.evaluation.speaker.curves import BINS, TARGET, Curve, error_curve, speaker_draws, with_interval
from mfcl.evaluation.speaker.open_set import cllr, min_cllr, operating_point
from mfcl.voices.calibration import Calibration, apply_weights, fit_weights, sizes_up_to
from mfcl.voices.held_out import DRAWS, MOST_CLIPS, People, Scored, enrol_and_test, stacked
from mfcl.voices.scoring import TOP, WAY, Way

CLIPS = (1, 3, 5, 10)
STRANGERS = 1 / 3
"""Share of people who are never enrolled, for the open set."""


@dataclass(frozen=True)
class Figure:
    """One measured figure."""

    what: str
    """`accuracy`, `eer`, `min_dcf`, `cllr`, `min_cllr`, `misses`, `false_alarms_reached` or `misses_reached`; all
    shares are 0 to 1."""
    clips: int
    """Clips enrolled of each person."""
    voices: float
    """Voices in the gallery; the mean where draws differ."""
    value: float
    low: float | None = None
    high: float | None = None
    n: int = 0
    """Tested clips of all draws of enrolled clips: a clip counts in every draw that tests it."""
    apart: bool = False
    """Whether the words of enrolment and test differ."""
    seconds: tuple[float, float] | None = None
    """Least and most seconds of sound in the tested clips; None: all."""
    asked: float | None = None
    """Share of false alarms that the threshold is for."""


@dataclass(frozen=True)
class Evaluation:
    """All figures, with a DET curve for each number of enrolled clips."""

    figures: tuple[Figure, ...]
    curves: dict[int, Curve]
    people: int
    clips: int
    notes: tuple[str, ...]


def evaluate(
    held: People,
    cohort: Float32[np.ndarray, "members dim"],
    *,
    far: int | float,
    clips: Sequence[int] = CLIPS,
    calibration: Calibration | None = None,
    way: Way = WAY,
    top: int = TOP,
    seed: int = 0,
) -> Evaluation:
    """Measure on held-out people; nobody is enrolled in the gallery itself.

    Log-likelihood ratios are those of the calibration. Without one they are fitted on the other people, in two halves.

    Args:
        held: Clips of people on whom nothing was trained or calibrated.
        cohort: Unit vectors to normalise by.
        far: Share of false alarms of the open set.
        clips: Numbers of enrolled clips; those that too few people exceed are left out and noted.
        calibration: The gallery's calibration.
        way: See `raw_scores`.
        top: See `Scorer`.
        seed: Seed of all draws.

    Raises:
        MeasureError: there is one person, nobody has two clips, or a number of clips is none.
    """
    check_type("clips", clips, Sequence, "numbers of clips to enrol, such as [1, 3, 5]", error=MeasureError)
    if not clips:
        raise MeasureError("evaluation: wanted numbers of clips to enrol, got none; give one or more, such as 1 3 5")
    for asked in clips:
        check_number("clips", asked, 1, MOST_CLIPS, whole=True, error=MeasureError)
    counts = np.unique(held.people, return_counts=True)[1]
    if len(counts) < 2:
        raise MeasureError(f"evaluation: wanted clips of two or more people, got {len(counts)}")
    usable = [count for count in clips if int((counts > count).sum()) >= 2]
    notes = [
        f"{worded(count, 'clip is', 'clips are')} not enrolled: fewer than two people have more"
        for count in clips
        if count not in usable
    ]
    if not usable:
        raise MeasureError(f"evaluation: wanted people with more clips than {min(clips)}, the most is {counts.max()}")
    if calibration is not None and (known := calibration.calibrated_on(held.heard.vectors)):
        notes.append(
            f"{known} of {len(held.people)} clips {'was' if known == 1 else 'were'} calibrated on: on other people "
            f"the thresholds will do worse; "
            "evaluate on recordings of people who took no part"
        )
    if calibration is not None and calibration.enrolled not in usable:
        size = worded(calibration.enrolled, "clip")
        notes.append(f"the calibration is of {size}: measure with as many to see what it reaches")
    draw = functools.partial(enrol_and_test, held, cohort, way=way, top=top, seed=seed)
    figures: list[Figure] = []
    curves: dict[int, Curve] = {}
    several_words = len(np.unique(held.words)) > 1
    for count in usable:
        for apart in (False, True) if several_words else (False,):
            try:
                some = _draws(draw, count, apart=apart)
            except MeasureError as error:
                notes.append(f"{worded(count, 'clip')} with words apart: {error}")
                continue
            figures.append(_closed_set(some, count, apart, seed))
            found, curve = _verification(some, count, apart, calibration, seed)
            figures += found
            if not apart:
                curves[count] = curve
        try:
            figures += _open_set(draw, count, far, calibration, seed)
        except MeasureError as error:
            notes.append(f"{worded(count, 'clip')} in an open set: {error}")
    return Evaluation(tuple(figures), curves, len(counts), len(held.people), tuple(notes))


def _draws(draw: Callable[..., Scored], clips: int, *, apart: bool = False, strangers: float = 0.0) -> Scored:
    """Return the trials of all draws of enrolled clips.

    Raises:
        MeasureError: nobody is enrolled and tested, as where a person says only words of one half.
    """
    some = stacked([draw(clips=clips, draw=number, apart=apart, strangers=strangers) for number in range(DRAWS)])
    if not (some.own >= 0).any():
        raise MeasureError("nobody who is enrolled is tested")
    return some


def _voices(scored: Scored) -> float:
    return float((~np.isnan(scored.scores)).sum(axis=1).mean())


def _closed_set(scored: Scored, count: int, apart: bool, seed: int) -> Figure:
    """Return the share of enrolled people's clips whose highest score is their own voice's."""
    known = scored.own >= 0
    best = np.nan_to_num(scored.scores[known], nan=-np.inf).argmax(axis=1)
    right = (best == scored.own[known]).astype(np.float64)
    interval = bootstrap_interval(right, scored.people[known], seed=seed)
    return Figure(
        "accuracy", count, _voices(scored), float(right.mean()), interval.low, interval.high, int(known.sum()), apart
    )


def _verification(
    scored: Scored, count: int, apart: bool, calibration: Calibration | None, seed: int
) -> tuple[list[Figure], Curve]:
    ratios = _ratios(scored, calibration, seed)
    same = np.arange(ratios.shape[1]) == scored.own[:, None]
    counted = ~np.isnan(ratios)
    people = np.broadcast_to(scored.people[:, None], ratios.shape)[counted]
    length = np.exp(scored.quality[:, 0])
    seconds = np.broadcast_to(length[:, None], ratios.shape)[counted]
    values, truth = ratios[counted], same[counted]
    voices, made = _voices(scored), []
    curve, found = _rates(values, truth, people, seed)
    for what, value, low, high in found:
        made.append(Figure(what, count, voices, value, low, high, len(ratios), apart))
    if not apart:
        edges = np.quantile(length, [0, 1 / 3, 2 / 3, 1])
        for low_edge, high_edge in itertools.pairwise(edges.tolist()):
            inside = (seconds >= low_edge) & (seconds <= high_edge)
            if high_edge > low_edge and truth[inside].any() and not truth[inside].all():
                what, value, low, high = _rates(values[inside], truth[inside], people[inside], seed)[1][0]
                tested = int(((length >= low_edge) & (length <= high_edge)).sum())
                limits = (float(low_edge), float(high_edge))
                made.append(Figure(what, count, voices, value, low, high, tested, seconds=limits))
    return made, curve.thinned()


def _rates(
    values: Float64[np.ndarray, " trials"],
    same: Bool[np.ndarray, " trials"],
    people: Int64[np.ndarray, " trials"],
    seed: int,
) -> tuple[Curve, list[tuple[str, float, float | None, float | None]]]:
    """Return the DET curve, and EER with its interval over people, minDCF and Cllr."""
    low, high = float(values.min()), float(values.max())
    bins = ((values - low) / max(high - low, 1e-12) * (BINS - 1)).astype(np.int64)
    names, codes = np.unique(people, return_inverse=True)
    tables = []
    for kind in (same, ~same):
        flat = np.bincount(codes[kind] * BINS + bins[kind], minlength=len(names) * BINS)
        tables.append(flat.reshape(-1, BINS).astype(np.float64))
    drawn = speaker_draws(len(names), seed=seed, draws=1000) if len(names) > 1 else np.ones((1, 1))
    curve, eers = error_curve(drawn @ tables[0], drawn @ tables[1])
    _, interval = with_interval(eers, len(np.unique(codes[same])), len(names))
    return curve, [
        ("eer", float(eers[0]), interval.low, interval.high),
        ("min_dcf", lowest_cost(curve.false_accept, curve.false_reject, target=TARGET), None, None),
        ("cllr", cllr(values[same], values[~same]), None, None),
        ("min_cllr", min_cllr(values[same], values[~same]), None, None),
    ]


def _ratios(scored: Scored, calibration: Calibration | None, seed: int) -> Float64[np.ndarray, "clips voices"]:
    """Return log-likelihood ratios of all clips with all voices; NaN for voices that do not count."""
    scores = np.where(scored.excluded, np.nan, scored.scores)
    if calibration is not None:
        return calibration.ratios(scores, scored.quality)
    persons = np.unique(scored.people)
    half = np.isin(scored.people, persons[::2])
    found = np.empty_like(scores)
    for mine in (half, ~half):  # fitted on the other half's people
        other = Scored(*(getattr(scored, name)[~mine] for name in ("scores", "own", "people", "quality", "excluded")))
        try:
            weights = fit_weights(*other.pairs())
        except MeasureError:  # scores that tell nothing: ratios that say nothing, in the scores' order
            weights = np.array([0.0, 1e-6])
        found[mine] = apply_weights(weights, scores[mine], scored.quality[mine])
    return found


def _open_set(
    draw: Callable[..., Scored],
    count: int,
    far: int | float,
    calibration: Calibration | None,
    seed: int,
) -> list[Figure]:
    """Return false alarms of strangers and misses of enrolled people, against the gallery's size.

    Raises:
        MeasureError: too few people have clips enough for a gallery and strangers.
    """
    scored = _draws(draw, count, strangers=STRANGERS)
    trials = scored.trials(_ratios(scored, calibration, seed))
    if trials.largest() < 1:
        raise MeasureError("too few people are enrolled beside the one who is tested")
    made = []
    for size in sizes_up_to(trials.largest()):
        best = operating_point(trials, size, far, seed=seed)
        rates = [("misses", best.misses, best.misses_interval, far)]
        if calibration is not None and calibration.enrolled == count:
            level, _ = calibration.level(size)
            reached = operating_point(trials, size, far, seed=seed, threshold=level.threshold)
            rates += [
                ("false_alarms_reached", reached.false_alarms, reached.false_alarms_interval, calibration.far),
                ("misses_reached", reached.misses, reached.misses_interval, calibration.far),
            ]
        made += [
            Figure(what, count, float(size), value, ends.low, ends.high, len(scored.own), asked=asked)
            for what, value, ends, asked in rates
        ]
    return made
