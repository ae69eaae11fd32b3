"""Results over seeds: means with intervals over speakers and seeds together, and paired differences.

A figure of several seeds is uncertain in two ways: other speakers might have been tested, and other seeds drawn. Each
bootstrap draw takes speakers and seeds with replacement; speakers are drawn once for all seeds of a draw. Seeds that
were tested by other speakers, such as the rotations of a protocol, have draws of their own.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float64

from mfcl.core.random import generator
from mfcl.evaluation.bootstrap import DRAWN_BY, FEWEST_GROUPS, interval_of, resampled
from mfcl.evaluation.result import BASELINE, PRETRAINED, Question, Representation, Result, grouped
from mfcl.evaluation.wording import metric

DRAWS = 1000


@dataclass(frozen=True)
class Summary:
    """A figure over seeds.

    Attributes:
        question: What was asked.
        representation: What it is about.
        value: Mean over seeds.
        low: Lower end of the 95 % interval over groups and seeds; None where there is none.
        high: Upper end.
        n: Test items of one seed.
        x: Mean place on a chart's axis; None where it is on none.
        seeds: Those that were measured.
        seconds: Mean seconds to make the representation.
        command: What to type to have it again.
    """

    question: Question
    representation: Representation
    value: float
    low: float | None
    high: float | None
    n: int
    x: float | None
    seeds: tuple[int, ...]
    seconds: float
    command: str


@dataclass(frozen=True)
class Difference:
    """How far one representation is above another, by the same items.

    Attributes:
        question: What was asked of both.
        first: The representation whose figure is the minuend.
        second: The other one.
        value: First minus second, in the unit of the metric.
        low: Lower end of its 95 % interval; None where there is no evidence, or too few groups.
        high: Upper end.
    """

    question: Question
    first: Representation
    second: Representation
    value: float
    low: float | None
    high: float | None

    @property
    def verdict(self) -> str:
        """Return "better" or "worse" of the first where the interval excludes 0, else "open"; "" without an interval.

        Less is better of errors.
        """
        if self.low is None or self.high is None:
            return ""
        way = metric(self.question.metric).best or 1
        low, high = sorted((way * self.low, way * self.high))
        return "better" if low > 0 else "worse" if high < 0 else "open"


def summaries(results: Sequence[Result]) -> list[Summary]:
    """Return the mean over seeds of every question about every representation, in the order of their first result."""
    return [summary(own) for own in grouped(results).values()]


def summary(own: Sequence[Result]) -> Summary:
    """Return one figure's mean over its seeds; there is at least one."""
    first = own[0]
    low, high = (first.low, first.high) if len(own) == 1 else _interval(own)
    places = [one.x for one in own if one.x is not None]
    return Summary(
        first.question, first.representation, float(np.mean([one.value for one in own])), low, high, first.n,
        float(np.mean(places)) if len(places) == len(own) else None, tuple(one.seed for one in own),
        float(np.mean([one.seconds for one in own])), first.command,
    )  # fmt: skip


def difference(ours: Sequence[Result], theirs: Sequence[Result]) -> Difference:
    """Return the paired difference of two representations on one question, seed by seed and item by item.

    Args:
        ours: The results of the first representation, one a seed.
        theirs: Those of the second one. A baseline measured with fewer seeds is compared seed by seed where both have
            one; where they share none, each of ours with the first of theirs.
    """
    other = {one.seed: one for one in theirs}
    shared = [one for one in ours if one.seed in other]
    pairs = [(one, other[one.seed]) for one in shared] or [(one, theirs[0]) for one in ours]
    value = float(np.mean([one.value - rival.value for one, rival in pairs]))
    low = high = None
    gaps = _paired_draws(pairs)
    if gaps is not None:
        low, high = _ends(gaps)
    return Difference(ours[0].question, ours[0].representation, theirs[0].representation, value, low, high)


def differences(results: Sequence[Result]) -> list[Difference]:
    """Return the paired differences of every pre-trained representation to what it must be compared with.

    That is: each baseline, and the untrained and the supervised encoders of the same variant, format and part.
    """
    groups = grouped(results)
    found = []
    for (question, representation), own in groups.items():
        if representation.kind != PRETRAINED:
            continue
        for (asked, other), theirs in groups.items():
            alike = replace(other, kind=PRETRAINED) == representation
            if asked == question and other.kind != PRETRAINED and (other.kind == BASELINE or alike):
                found.append(difference(own, theirs))
    return found


def _interval(own: Sequence[Result]) -> tuple[float | None, float | None]:
    """Return the 95 % interval of the mean over seeds; none where the evidence was not kept."""
    draws = _draws([_per_draw(one) for one in own], own)
    return (None, None) if draws is None else _ends(draws)


def _paired_draws(pairs: Sequence[tuple[Result, Result]]) -> Float64[np.ndarray, " draws"] | None:
    """Return the mean difference of the pairs in each bootstrap draw; None where one lacks evidence."""
    gaps: list[Float64[np.ndarray, " draws"] | None] = []
    for one, rival in pairs:
        mine, theirs = _matched(one, rival)
        gaps.append(None if mine is None or theirs is None else mine - theirs)
    return _draws(gaps, [one for one, _ in pairs])


def _matched(
    one: Result, rival: Result
) -> tuple[Float64[np.ndarray, " draws"] | None, Float64[np.ndarray, " draws"] | None]:
    """Return both figures in the same draws; None where they are not of the same items."""
    if one.evidence is None or rival.evidence is None:
        return None, None
    if not np.array_equal(one.evidence.ids, rival.evidence.ids):
        return None, None
    return _per_draw(one), _per_draw(rival)


def _per_draw(one: Result) -> Float64[np.ndarray, " draws"] | None:
    """Return a figure in each bootstrap draw of its groups; None where it has no evidence or too few groups."""
    evidence = one.evidence
    if evidence is None:
        return None
    names, codes = np.unique(evidence.groups, return_inverse=True)
    if len(names) < FEWEST_GROUPS:
        return None
    if evidence.correct is None:
        return evidence.resampled
    sums = np.bincount(codes, weights=100.0 * evidence.correct)
    counts = np.bincount(codes).astype(np.float64)
    means: Float64[np.ndarray, " draws"] = np.concatenate(
        [(weights @ sums) / (weights @ counts) for weights in resampled(len(names), seed=DRAWN_BY, draws=DRAWS)]
    )
    return means


def _draws(
    by_seed: Sequence[Float64[np.ndarray, " draws"] | None], of: Sequence[Result]
) -> Float64[np.ndarray, " draws"] | None:
    """Return the mean over as many seeds, drawn with replacement, in each draw; one seed is itself.

    Args:
        by_seed: The figure of each seed in each draw of its groups.
        of: The result that each is of.
    """
    known = [draws for draws in by_seed if draws is not None]
    if not known or len(known) < len(by_seed) or len({len(draws) for draws in known}) > 1:
        return None
    if len(known) == 1:
        return known[0]
    groups = [_groups(one) for one in of]
    first = [groups.index(own) for own in groups]  # the first seed with the same groups
    table = np.stack([_reordered(draws, place) for draws, place in zip(known, first, strict=True)])  # (seeds, draws)
    chosen = generator(DRAWN_BY, "seeds drawn").integers(len(table), size=table.shape)
    means: Float64[np.ndarray, " draws"] = np.take_along_axis(table, chosen, axis=0).mean(axis=0)
    return means


def _groups(one: Result) -> tuple[str, ...]:
    return () if one.evidence is None else tuple(np.unique(one.evidence.groups).tolist())


def _reordered(draws: Float64[np.ndarray, " draws"], place: int) -> Float64[np.ndarray, " draws"]:
    """Return draws in another order for other groups, whose luck has nothing to do with that of the first ones."""
    return generator(DRAWN_BY, "other groups", place).permutation(draws) if place else draws


def _ends(draws: Float64[np.ndarray, " draws"]) -> tuple[float | None, float | None]:
    """Return the 95 % interval of draws of enough groups; none where fewer than half have a figure."""
    if 2 * int(np.isnan(draws).sum()) > len(draws):
        return None, None
    interval = interval_of(draws, FEWEST_GROUPS)
    return interval.low, interval.high
