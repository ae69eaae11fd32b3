"""The nearest by cosine: exact, in blocks of bounded memory, and with ties that fall alike on every machine."""

import numpy as np
from jaxtyping import Float, Float32, Float64, Int64

from mfcl.embeddings.linalg import check_measurable, lengths_of, unit_rows
from mfcl.errors import MeasureError

VALUES_AT_ONCE = 2**22  # 16 MiB of float32
LEAST_AT_ONCE = 16
"""Queries at once among however many items: fewer would read the whole gallery for next to no products."""
SPARE = 8
"""Items beyond k that are ranked in double precision: single precision finds them, but not in their order."""
GROUP = 16
"""Items of whose similarities the highest is found first: most groups' members are then not compared at all."""
STEPS = 2.0**32  # a product's last bits depend on its place in the block: equal vectors must come out equal


def top_k(
    queries: Float[np.ndarray, "queries _"],
    gallery: Float[np.ndarray, "items _"],
    k: int,
    *,
    block: int | None = None,
) -> tuple[Int64[np.ndarray, "queries {k}"], Float64[np.ndarray, "queries {k}"]]:
    """Return each query's k most similar gallery items, nearest first, and their cosines.

    Of equally similar items (to 2e-10) the earlier comes first.

    Args:
        queries: What to look for.
        gallery: Where to look.
        k: Neighbours to return, at most as many as the gallery holds.
        block: Queries at once; by default few enough for some dozen MiB, or some hundred among a million items.

    Raises:
        MeasureError: k is out of range, the vectors differ in length, or one is NaN or infinite.

    Example:
        >>> places, cosines = top_k(np.array([[1.0, 0.0]]), np.array([[0.0, 1.0], [2.0, 0.0]]), 1)
        >>> places.tolist(), cosines.tolist()
        ([[1]], [[1.0]])
    """
    check_pair(queries, gallery)
    if not 1 <= k <= len(gallery):
        raise MeasureError(f"neighbours: k from 1 to {len(gallery)} (the gallery's size) is wanted, but came {k}")
    lengths = lengths_of(gallery)
    single, scale = gallery, (1 / lengths).astype(np.float32)
    if gallery.dtype != np.float32 or not 1e-15 < lengths.min() <= lengths.max() < 1e15:  # no product may overflow
        single, scale = unit_rows(gallery).astype(np.float32), np.ones(len(gallery), dtype=np.float32)
    if block is None:
        ranked = min(k + SPARE, len(gallery)) * gallery.shape[1]  # values that are looked at twice, for each query
        block = max(1, min(max(LEAST_AT_ONCE, VALUES_AT_ONCE // len(gallery)), VALUES_AT_ONCE // ranked))
    parts = (queries[start : start + block] for start in range(0, len(queries), block))
    found = [_search(unit_rows(part), gallery, lengths, single, scale, k) for part in parts]
    return np.concatenate([places for places, _ in found]), np.concatenate([cosines for _, cosines in found])


def _search(
    asked: Float64[np.ndarray, "queries dim"],
    gallery: Float[np.ndarray, "items dim"],
    lengths: Float64[np.ndarray, " items"],
    single: Float32[np.ndarray, "items dim"],
    scale: Float32[np.ndarray, " items"],
    k: int,
) -> tuple[Int64[np.ndarray, "queries {k}"], Float64[np.ndarray, "queries {k}"]]:
    """Return the nearest to unit vectors: single precision finds a few more than wanted, double precision ranks them.

    Where others may be as near, for all that single precision can tell, those are ranked too.
    """
    items = len(gallery)
    rough = np.full((len(asked), items + -items % GROUP), -np.inf, dtype=np.float32)  # in whole groups
    np.matmul(asked.astype(np.float32), single.T, out=rough[:, :items])
    rough[:, :items] *= scale
    few = min(k + SPARE, items)
    found = np.sort(_highest(rough, few), axis=1)
    left_out = np.take_along_axis(rough, found, axis=1).min(axis=1)  # at least as near as all that were not found
    ranks, cosines = nearest(_in_steps(np.einsum("qd,qfd->qf", asked, gallery[found]) / lengths[found]), k)
    places = np.take_along_axis(found, ranks, axis=1)
    # many deviations of the sum of `dim` roundings that go up as often as down: Higham & Mary, doi:10.1137/18M1226312
    doubt = (4 * np.sqrt(gallery.shape[1]) + 4) * 2.0**-24
    unsure = np.flatnonzero(cosines[:, -1] <= left_out + doubt) if few < items else np.empty(0, dtype=np.int64)
    if len(unsure):
        close = np.flatnonzero((rough[unsure] >= cosines[unsure, -1:] - doubt).any(axis=0))
        ranks, cosines[unsure] = nearest(_in_steps(asked[unsure] @ unit_rows(gallery[close]).T), k)
        places[unsure] = close[ranks]
    return places, cosines


def _highest(values: Float32[np.ndarray, "rows columns"], few: int) -> Int64[np.ndarray, "rows {few}"]:
    """Return the places of the highest values of each row: they lie in as few groups, those with the highest maxima."""
    rows, columns = values.shape
    grouped = values.reshape(rows, GROUP, columns // GROUP)  # a group's members lie apart: its maximum is quick to find
    groups = min(few, columns // GROUP)
    first = np.argpartition(grouped.max(axis=1), -groups, axis=1)[:, None, -groups:]
    some = np.take_along_axis(grouped, first, axis=2).reshape(rows, GROUP * groups)
    places = (first + np.arange(0, columns, columns // GROUP)[:, None]).reshape(rows, GROUP * groups)
    return np.take_along_axis(places, np.argpartition(some, -few, axis=1)[:, -few:], axis=1)


def _in_steps(cosines: Float64[np.ndarray, "queries items"]) -> Float64[np.ndarray, "queries items"]:
    """Round cosines in their place, so that those of equal vectors are equal."""
    cosines *= STEPS
    np.rint(cosines, out=cosines)
    cosines /= STEPS
    return cosines


def nearest(
    similarity: Float64[np.ndarray, "queries items"], k: int
) -> tuple[Int64[np.ndarray, "queries {k}"], Float64[np.ndarray, "queries {k}"]]:
    """Return the places and values of the k highest of each row, highest first, ties to the earlier place."""
    if k < similarity.shape[1]:
        places = np.sort(np.argpartition(similarity, -k, axis=1)[:, -k:], axis=1)
    else:
        places = np.broadcast_to(np.arange(k), similarity.shape).copy()
    values = np.take_along_axis(similarity, places, axis=1)
    last = values.min(axis=1, keepdims=True)
    cut = np.flatnonzero((similarity >= last).sum(axis=1) > k)  # a tie across the border: which was kept is chance
    if len(cut):
        places[cut] = np.argsort(-similarity[cut], axis=1, kind="stable")[:, :k]
        values[cut] = np.take_along_axis(similarity[cut], places[cut], axis=1)
    order = np.argsort(-values, axis=1, kind="stable")
    return np.take_along_axis(places, order, axis=1), np.take_along_axis(values, order, axis=1)


def check_pair(queries: Float[np.ndarray, "queries _"], gallery: Float[np.ndarray, "items _"]) -> None:
    """Raise one clear line if queries cannot be compared with a gallery."""
    for what, vectors in (("queries", queries), ("gallery", gallery)):
        check_measurable(vectors, np.ones(len(vectors)), what=what)
    if queries.shape[1] != gallery.shape[1]:
        raise MeasureError(
            f"neighbours: queries of {gallery.shape[1]} values like the gallery's are wanted, but came "
            f"{queries.shape[1]}; embed both with one checkpoint"
        )
