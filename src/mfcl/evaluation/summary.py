"""Summaries over seeds: means with intervals over speakers and seeds, and paired differences.

Each bootstrap draw resamples speakers and seeds with replacement. All seeds of a draw share the drawn speakers. Seeds
with other test speakers, such as the rotations of a protocol, are resampled independently.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float64

from mfcl.core.random import generator
from mfcl.evaluation.bootstrap import DRAWN_BY, FEWEST_GROUPS, interval_of, resampled
from mfcl.evaluation.result import FORMATLESS, PRETRAINED, Question, Representation, Result, grouped
from mfcl.evaluation.wording import metric

DRAWS = 1000


@dataclass(frozen=True)
class Summary:
    """The mean of a metric over seeds.

    Attributes:
        question: What is measured.
        representation: The evaluated representation.
        value: Mean over seeds.
        low: Lower end of the 95 % interval over groups and seeds; None if there is none.
        high: Upper end.
        n: Test items of one seed.
        x: Mean position on a chart's x axis; None if there is no chart.
        seeds: The measured seeds.
        seconds: Mean time to make the representation.
        command: Command that reproduces it.
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
    """Paired difference of two representations on the same test items.

    Attributes:
        question: What is measured.
        first: The representation that `second` is subtracted from.
        second: The other representation.
        value: First minus second, in the unit of the metric.
        low: Lower end of its 95 % interval; None if there is no per-item evidence, or too few groups.
        high: Upper end.
        seeds: The seeds that both were measured with, which it is the mean of; empty if none, or if a file does not
            tell.
    """

    question: Question
    first: Representation
    second: Representation
    value: float
    low: float | None
    high: float | None
    seeds: tuple[int, ...] = ()

    @property
    def verdict(self) -> str:
        """Return whether the first is "better" or "worse", "open" if the interval includes 0, "" without an interval.

        For error rates, lower is better.
        """
        if self.low is None or self.high is None:
            return ""
        way = metric(self.question.metric).best or 1
        low, high = sorted((way * self.low, way * self.high))
        return "better" if low > 0 else "worse" if high < 0 else "open"

    def of_fewer(self, *beside: Summary) -> str:
        """Return the seeds in words if figures beside it are means over others too, as in a study under way; else "".

        Example:
            >>> asked, ours = Question("labels", "accuracy"), Representation("pre-trained")
            >>> figure = Summary(asked, ours, 90.0, None, None, 9, None, (0, 1), 1.0, "")
            >>> Difference(asked, ours, ours, 1.0, None, None, (0,)).of_fewer(figure)
            'of seed 0 alone'
        """
        if not self.seeds or all(set(one.seeds) == set(self.seeds) for one in beside):
            return ""
        return f"of seed{'s' * (len(self.seeds) > 1)} {', '.join(map(str, self.seeds))} alone"


def summaries(results: Sequence[Result]) -> list[Summary]:
    """Summarise over seeds: one summary per question and representation, in order of first occurrence."""
    return [summary(own) for own in grouped(results).values()]


def summary(own: Sequence[Result]) -> Summary:
    """Summarise the results of one question and representation over seeds; `own` must not be empty."""
    first = own[0]
    low, high = (first.low, first.high) if len(own) == 1 else _interval(own)
    places = [one.x for one in own if one.x is not None]
    return Summary(
        first.question, first.representation, float(np.mean([one.value for one in own])), low, high, first.n,
        float(np.mean(places)) if len(places) == len(own) else None, tuple(one.seed for one in own),
        float(np.mean([one.seconds for one in own])), first.command,
    )  # fmt: skip


def difference(ours: Sequence[Result], theirs: Sequence[Result]) -> Difference:
    """Return the difference of two representations on one question, paired by seed and item.

    Args:
        ours: Results of the first representation, one per seed.
        theirs: Results of the second. Only shared seeds are compared; if there are none, each of `ours` is compared
            with the first of `theirs`.
    """
    other = {one.seed: one for one in theirs}
    shared = [one for one in ours if one.seed in other]
    pairs = [(one, other[one.seed]) for one in shared] or [(one, theirs[0]) for one in ours]
    value = float(np.mean([one.value - rival.value for one, rival in pairs]))
    low = high = None
    gaps = _paired_draws(pairs)
    if gaps is not None:
        low, high = _ends(gaps)
    seeds = tuple(one.seed for one in shared)
    return Difference(ours[0].question, ours[0].representation, theirs[0].representation, value, low, high, seeds)


def differences(results: Sequence[Result]) -> list[Difference]:
    """Return the paired differences of every pre-trained representation to its references.

    The references are each baseline, each representation made elsewhere, and the other kinds of encoders of the same
    variant, format and part.
    """
    groups = grouped(results)
    found = []
    for (question, representation), own in groups.items():
        if representation.kind != PRETRAINED:
            continue
        for (asked, other), theirs in groups.items():
            alike = replace(other, kind=PRETRAINED) == representation
            if asked == question and other.kind != PRETRAINED and (other.kind in FORMATLESS or alike):
                found.append(difference(own, theirs))
    return found


def _interval(own: Sequence[Result]) -> tuple[float | None, float | None]:
    """Return the 95 % interval of the mean over seeds; (None, None) if the evidence was not kept."""
    draws = _draws([_per_draw(one) for one in own], own)
    return (None, None) if draws is None else _ends(draws)


def _paired_draws(pairs: Sequence[tuple[Result, Result]]) -> Float64[np.ndarray, " draws"] | None:
    """Return the mean difference of the pairs in each bootstrap draw; None if a result lacks evidence."""
    gaps: list[Float64[np.ndarray, " draws"] | None] = []
    for one, rival in pairs:
        mine, theirs = _matched(one, rival)
        gaps.append(None if mine is None or theirs is None else mine - theirs)
    return _draws(gaps, [one for one, _ in pairs])


def _matched(
    one: Result, rival: Result
) -> tuple[Float64[np.ndarray, " draws"] | None, Float64[np.ndarray, " draws"] | None]:
    """Return the draws of both results; (None, None) if their test items differ."""
    if one.evidence is None or rival.evidence is None:
        return None, None
    if not np.array_equal(one.evidence.ids, rival.evidence.ids):
        return None, None
    return _per_draw(one), _per_draw(rival)


def _per_draw(one: Result) -> Float64[np.ndarray, " draws"] | None:
    """Return a result's value in each bootstrap draw of groups; None if it has no evidence or too few groups."""
    evidence = one.evidence
    if evidence is None:
        return None
    names, codes = np.unique(evidence.groups, return_inverse=True)
    if len(names) < FEWEST_GROUPS:
        return None
    if evidence.resampled is not None or evidence.correct is None:
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
    """Resample seeds with replacement: return the mean over the drawn seeds in each draw; one seed is kept as it is.

    Args:
        by_seed: For each seed, the value in each draw of groups.
        of: The result of each seed.
    """
    known = [draws for draws in by_seed if draws is not None]
    if not known or len(known) < len(by_seed) or len({len(draws) for draws in known}) > 1:
        return None
    if len(known) == 1:
        return known[0]
    groups = [_groups(one) for one in of]
    first = [groups.index(own) for own in groups]  # index of the first seed with the same groups
    table = np.stack([_reordered(draws, place) for draws, place in zip(known, first, strict=True)])  # (seeds, draws)
    chosen = generator(DRAWN_BY, "seeds drawn").integers(len(table), size=table.shape)
    means: Float64[np.ndarray, " draws"] = np.take_along_axis(table, chosen, axis=0).mean(axis=0)
    return means


def _groups(one: Result) -> tuple[str, ...]:
    return () if one.evidence is None else tuple(np.unique(one.evidence.groups).tolist())


def _reordered(draws: Float64[np.ndarray, " draws"], place: int) -> Float64[np.ndarray, " draws"]:
    """Permute the draws of seeds with other groups, so that they are independent of the first seed's draws."""
    return generator(DRAWN_BY, "other groups", place).permutation(draws) if place else draws


def _ends(draws: Float64[np.ndarray, " draws"]) -> tuple[float | None, float | None]:
    """Return the 95 % interval of draws; (None, None) if more than half of them are NaN."""
    if 2 * int(np.isnan(draws).sum()) > len(draws):
        return None, None
    interval = interval_of(draws, FEWEST_GROUPS)
    return interval.low, interval.high
