"""Values of results in bootstrap draws of their groups, the same groups for every result that has them."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float64, Int64

from mfcl.evaluation.bootstrap import DRAWN_BY, FEWEST_GROUPS, resampled
from mfcl.evaluation.result import Result

DRAWS = 1000


@dataclass(frozen=True)
class OneDrawn:
    """The groups of a result, and its value in each bootstrap draw of them: None without evidence, or of too few."""

    groups: tuple[str, ...]
    values: Float64[np.ndarray, " draws"] | None


Drawn = Mapping[int, OneDrawn]
"""`id` of a result -> its draws."""


def draws_of(results: Iterable[Result]) -> Drawn:
    """Return the draws of results; groups are drawn once for all that have as many, which is most of the work."""
    found: dict[int, OneDrawn] = {}
    coded: dict[int, tuple[tuple[str, ...], Int64[np.ndarray, " items"], Float64[np.ndarray, " groups"]]] = {}
    wanted: dict[int, list[Result]] = {}
    for one in results:
        evidence = one.evidence
        if evidence is None:
            found[id(one)] = OneDrawn((), None)
            continue
        if id(evidence.groups) not in coded:  # many results share them
            names, codes = np.unique(evidence.groups, return_inverse=True)
            coded[id(evidence.groups)] = tuple(names.tolist()), codes, np.bincount(codes).astype(np.float64)
        groups = coded[id(evidence.groups)][0]
        found[id(one)] = OneDrawn(groups, evidence.resampled if len(groups) >= FEWEST_GROUPS else None)
        if len(groups) >= FEWEST_GROUPS and evidence.resampled is None and evidence.correct is not None:
            wanted.setdefault(len(groups), []).append(one)
    for count, own in wanted.items():
        sums, totals = [], []
        for evidence in (one.evidence for one in own if one.evidence is not None):
            _, codes, counts = coded[id(evidence.groups)]
            totals.append(counts)
            sums.append(np.bincount(codes, weights=100.0 * np.asarray(evidence.correct)))
        blocks = [
            [(weights @ right) / (weights @ every) for right, every in zip(sums, totals, strict=True)]
            for weights in resampled(count, seed=DRAWN_BY, draws=DRAWS)
        ]
        for one, values in zip(own, zip(*blocks, strict=True), strict=True):
            found[id(one)] = replace(found[id(one)], values=np.concatenate(values))
    return found
