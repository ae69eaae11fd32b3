"""Summaries over seeds: means with intervals over speakers and seeds, and paired differences.

Each bootstrap draw resamples speakers and seeds with replacement. All seeds of a draw share the drawn speakers. Seeds
with other test speakers, such as the rotations of a protocol, are resampled independently.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float64

from mfcl.core.random import generator
from mfcl.evaluation.bootstrap import DRAWN_BY, FEWEST_GROUPS, interval_of
from mfcl.evaluation.drawn import Drawn, draws_of
from mfcl.evaluation.result import FORMATLESS, PRETRAINED, Question, Representation, Result, grouped
from mfcl.evaluation.wording import metric


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
    groups = grouped(results).values()
    drawn = draws_of(one for own in groups if len(own) > 1 for one in own)
    return [_summary(own, drawn) for own in groups]


def summary(own: Sequence[Result]) -> Summary:
    """Summarise the results of one question and representation over seeds; `own` must not be empty."""
    return _summary(own, draws_of(own if len(own) > 1 else ()))


def _summary(own: Sequence[Result], drawn: Drawn) -> Summary:
    first = own[0]
    low, high = (first.low, first.high) if len(own) == 1 else _interval(own, drawn)
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
    return _difference(ours, theirs, draws_of([*ours, *theirs]))


def _difference(ours: Sequence[Result], theirs: Sequence[Result], drawn: Drawn) -> Difference:
    other = {one.seed: one for one in theirs}
    shared = [one for one in ours if one.seed in other]
    pairs = [(one, other[one.seed]) for one in shared] or [(one, theirs[0]) for one in ours]
    value = float(np.mean([one.value - rival.value for one, rival in pairs]))
    low = high = None
    gaps = _paired_draws(pairs, drawn)
    if gaps is not None:
        low, high = _ends(gaps)
    seeds = tuple(one.seed for one in shared)
    return Difference(ours[0].question, ours[0].representation, theirs[0].representation, value, low, high, seeds)


def differences(results: Sequence[Result]) -> list[Difference]:
    """Return the paired differences of every pre-trained representation to its references.

    The references are each baseline, each representation made elsewhere, and the other kinds of encoders of the same
    variant, format and part.
    """
    groups, drawn = grouped(results), draws_of(results)
    rivals: dict[Question, list[Representation]] = {}
    for question, other in groups:
        if other.kind != PRETRAINED:
            rivals.setdefault(question, []).append(other)
    return [
        _difference(own, groups[question, other], drawn)
        for (question, representation), own in groups.items()
        if representation.kind == PRETRAINED
        for other in rivals.get(question, ())
        if other.kind in FORMATLESS or replace(other, kind=PRETRAINED) == representation
    ]


def _interval(own: Sequence[Result], drawn: Drawn) -> tuple[float | None, float | None]:
    """Return the 95 % interval of the mean over seeds; (None, None) if the evidence was not kept."""
    draws = _draws([drawn[id(one)].values for one in own], [drawn[id(one)].groups for one in own])
    return (None, None) if draws is None else _ends(draws)


def _paired_draws(pairs: Sequence[tuple[Result, Result]], drawn: Drawn) -> Float64[np.ndarray, " draws"] | None:
    """Return the mean difference of the pairs in each bootstrap draw; None without evidence of the same test items."""
    gaps: list[Float64[np.ndarray, " draws"] | None] = []
    for one, rival in pairs:
        mine, theirs = drawn[id(one)].values, drawn[id(rival)].values
        of, beside = one.evidence, rival.evidence
        same = of is not None and beside is not None and np.array_equal(of.ids, beside.ids)
        gaps.append(mine - theirs if same and mine is not None and theirs is not None else None)
    return _draws(gaps, [drawn[id(one)].groups for one, _ in pairs])


def _draws(
    by_seed: Sequence[Float64[np.ndarray, " draws"] | None], groups: Sequence[tuple[str, ...]]
) -> Float64[np.ndarray, " draws"] | None:
    """Resample seeds with replacement: return the mean over the drawn seeds in each draw; one seed is kept as it is.

    Args:
        by_seed: For each seed, the value in each draw of groups.
        groups: The groups of each seed.
    """
    known = [draws for draws in by_seed if draws is not None]
    if not known or len(known) < len(by_seed) or len({len(draws) for draws in known}) > 1:
        return None
    if len(known) == 1:
        return known[0]
    first = [groups.index(own) for own in groups]  # index of the first seed with the same groups
    table = np.stack([_reordered(draws, place) for draws, place in zip(known, first, strict=True)])  # (seeds, draws)
    chosen = generator(DRAWN_BY, "seeds drawn").integers(len(table), size=table.shape)
    means: Float64[np.ndarray, " draws"] = np.take_along_axis(table, chosen, axis=0).mean(axis=0)
    return means


def _reordered(draws: Float64[np.ndarray, " draws"], place: int) -> Float64[np.ndarray, " draws"]:
    """Permute the draws of seeds with other groups, so that they are independent of the first seed's draws."""
    return generator(DRAWN_BY, "other groups", place).permutation(draws) if place else draws


def _ends(draws: Float64[np.ndarray, " draws"]) -> tuple[float | None, float | None]:
    """Return the 95 % interval of draws; (None, None) if more than half of them are NaN."""
    if 2 * int(np.isnan(draws).sum()) > len(draws):
        return None, None
    interval = interval_of(draws, FEWEST_GROUPS)
    return interval.low, interval.high
