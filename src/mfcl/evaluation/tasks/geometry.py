"""How embeddings lie in their space: spread, rank, and whether the two formats of a recording meet."""

from collections.abc import Mapping

import numpy as np
from jaxtyping import Float

from mfcl.embeddings.projection import drawn
from mfcl.embeddings.table import Embeddings
from mfcl.errors import MeasureError
from mfcl.evaluation.geometry import alignment, linear_cka, rankme, retrieved, uniformity
from mfcl.evaluation.result import Question, Result, Tested

MOST = 4000
"""Test recordings that are looked at: all pairs of them are."""
RANKS = (1, 5)
SECTION = "geometry"


def measure_geometry(
    embeddings: Embeddings,
    projections: Mapping[str, Float[np.ndarray, "items _"]] | None,
    seed: int,
    *,
    speaker: str | None = None,
) -> list[Result]:
    """Measure how the test part's embeddings lie in their space.

    RankMe is of the vectors as they are; uniformity of the whitened ones, like every cosine. Of two formats, linear
    CKA is of their embeddings; alignment and R@k, which want one space for both, are of their projections.

    Args:
        embeddings: Of all parts; the training part only whitens.
        projections: What the heads make of each format's embedding, `wave` and `mel`, one row an item of `embeddings`;
            None: what needs them is left out.
        seed: Draws at most `MOST` test recordings, and the speakers of the intervals.
        speaker: The label resampled for the intervals of R@k; each recording is its own if left out.

    Raises:
        MeasureError: there are fewer than 2 test recordings, or projections that do not fit.
    """
    test = np.flatnonzero(embeddings.splits == "test")
    if len(test) < 2:
        raise MeasureError(f"geometry: 2 or more test recordings are wanted, but came {len(test)}; split otherwise")
    chosen = test[drawn(len(test), MOST, seed=seed)]
    part = embeddings.select(chosen)
    values = {"rankme": rankme(part.vectors), "uniformity": uniformity(embeddings.whitened[chosen])}
    found = []
    if {"wave", "mel"} == {one.format for one in part.sizes}:
        values["cka"] = linear_cka(part.only("wave").vectors, part.only("mel").vectors)
        if projections is not None:
            wave, mel = (_projected(projections, name, len(embeddings))[chosen] for name in ("wave", "mel"))
            values["alignment"] = alignment(wave, mel)
            groups = part.label(speaker) if speaker else part.ids
            ranks = [k for k in RANKS if k <= len(chosen)]
            for k, right in zip(ranks, retrieved(wave, mel, ranks), strict=True):
                about = Tested(part.ids, groups)
                found.append(about.accuracy(Question(SECTION, f"r_at_{k}"), right, seed=seed))
    plain = [Result(Question(SECTION, name), value, None, None, len(chosen)) for name, value in values.items()]
    return plain + found


def _projected(
    projections: Mapping[str, Float[np.ndarray, "_ _"]], name: str, items: int
) -> Float[np.ndarray, "items _"]:
    if name not in projections or len(projections[name]) != items:
        came = f"{len(projections[name])} rows" if name in projections else "none"
        raise MeasureError(f"geometry: projections {name!r} of {items} recordings are wanted, but came {came}")
    return projections[name]
