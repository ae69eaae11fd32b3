"""Geometry task: uniformity, effective rank, and agreement of the two formats' embeddings."""

from collections.abc import Mapping

import numpy as np
from jaxtyping import Float

from mfcl.embeddings.projection import drawn
from mfcl.embeddings.table import Embeddings
from mfcl.errors import MeasureError
from mfcl.evaluation.geometry import alignment, linear_cka, rankme, retrieved, uniformity
from mfcl.evaluation.result import Question, Result, Tested
from mfcl.evaluation.tasks.labelled_rows import groups_of

MOST = 4000
"""Most test recordings, since all pairs of them are compared; of more, as many are drawn."""
RANKS = (1, 5)
SECTION = "geometry"


def measure_geometry(
    embeddings: Embeddings,
    projections: Mapping[str, Float[np.ndarray, "items _"]] | None,
    seed: int,
    *,
    speaker: str | None = None,
) -> list[Result]:
    """Measure the geometry of the test split's embeddings.

    RankMe uses the raw vectors, uniformity the whitened ones. Linear CKA compares the embeddings of the two formats.
    Alignment and R@k need one space for both formats, so they use the projections.

    Args:
        embeddings: All splits; the train split is used for whitening only.
        projections: Projection-head outputs of `wave` and `mel`, one row per item of `embeddings`; None skips the
            metrics that need them.
        seed: Seed of the draw of at most `MOST` test recordings, and of the intervals.
        speaker: The label whose groups are resampled for the intervals of R@k; default: each file is a group.

    Raises:
        MeasureError: there are fewer than 2 test recordings, or the projections have the wrong number of rows.
    """
    test = np.flatnonzero(embeddings.splits == "test")
    if len(test) < 2:
        raise MeasureError(f"geometry: wanted 2 or more test recordings, got {len(test)}; choose another split")
    chosen = test[drawn(len(test), MOST, seed=seed)]
    part = embeddings.select(chosen)
    values = {"rankme": rankme(part.vectors), "uniformity": uniformity(embeddings.whitened[chosen])}
    found = []
    if {"wave", "mel"} == {one.format for one in part.sizes}:
        values["cka"] = linear_cka(part.only("wave").vectors, part.only("mel").vectors)
        if projections is not None:
            wave, mel = (_projected(projections, name, len(embeddings))[chosen] for name in ("wave", "mel"))
            values["alignment"] = alignment(wave, mel)
            groups, alone = groups_of(part, speaker, np.arange(len(part)))
            ranks = [k for k in RANKS if k <= len(chosen)]
            for k, right in zip(ranks, retrieved(wave, mel, ranks), strict=True):
                about = Tested(part.ids, groups, left_out=alone)
                found.append(about.accuracy(Question(SECTION, f"r_at_{k}"), right, seed=seed))
    plain = [Result(Question(SECTION, name), value, None, None, len(chosen)) for name, value in values.items()]
    return plain + found


def _projected(
    projections: Mapping[str, Float[np.ndarray, "_ _"]], name: str, items: int
) -> Float[np.ndarray, "items _"]:
    if name not in projections or len(projections[name]) != items:
        came = f"{len(projections[name])} rows" if name in projections else "none"
        raise MeasureError(f"geometry: wanted projections {name!r} of {items} recordings, got {came}")
    return projections[name]
