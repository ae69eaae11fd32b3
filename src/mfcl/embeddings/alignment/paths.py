"""Dynamic time warping of one clip against many at once, in bounded memory."""

import numpy as np
from jaxtyping import Float32, Int64

CELLS_AT_ONCE = 2**20
"""Frame-pair costs held at once, over all pairs of clips: 4 MiB."""


def query_sides(frames: Float32[np.ndarray, "*some dim"]) -> Float32[np.ndarray, "*some more"]:
    """Return unit frames negated, with a 1 appended: their dot products with `other_sides` are one minus the cosine."""
    return np.concatenate([-frames, np.ones_like(frames[..., :1])], axis=-1)


def other_sides(frames: Float32[np.ndarray, "*some dim"]) -> Float32[np.ndarray, "*some more"]:
    """Return unit frames with a 1 appended; see `query_sides`."""
    return np.concatenate([frames, np.ones_like(frames[..., :1])], axis=-1)


def path_costs(
    query: Float32[np.ndarray, "frames dim"],
    others: Float32[np.ndarray, "longest lanes dim"],
    lengths: Int64[np.ndarray, " lanes"],
    *,
    cells: int = CELLS_AT_ONCE,
) -> Float32[np.ndarray, " lanes"]:
    """Return the cost of the cheapest alignment path between a query and each other clip.

    A path goes from both first frames to both last frames. A step advances one frame in the query, in the other clip,
    or in both. A pair of frames costs its dot product: `query_sides` and `other_sides` make that one minus the cosine.

    All lanes (other clips) advance together. The query is processed in blocks of rows; only a block's last row of path
    costs is passed on. Within a block the costs are summed along anti-diagonals, whose cells are independent:

        row 0       from the block before (for the first block: 0 in the corner, infinity beside it)
        row 1       s=2  s=3  s=4         cell (i, j) lies on diagonal s = i + j and needs
        row 2       s=3  s=4  s=5         (i-1, j) and (i, j-1) of s-1, and (i-1, j-1) of s-2
                    j=1  j=2  j=3

    Args:
        query: Frames of one clip, from `query_sides`.
        others: Frames of the other clips, from `other_sides`, padded at the end with any finite values.
        lengths: Number of frames of each other clip.
        cells: Costs held at once, but at least one row of the query.

    Source: Sakoe and Chiba, "Dynamic programming algorithm optimization for spoken word recognition", 1978, symmetric,
        with weight 1 for every step.
    """
    longest, lanes, dim = others.shape
    at_once = max(1, cells // (longest * lanes))
    columns = others.reshape(longest * lanes, dim).T
    above = np.full((longest + 1, lanes), np.inf, dtype=np.float32)
    above[0] = 0
    for first in range(0, len(query), at_once):
        costs = query[first : first + at_once] @ columns
        above = _advance(costs.reshape(-1, lanes), above)
    ends: Float32[np.ndarray, " lanes"] = above[lengths, np.arange(lanes)]
    return ends


def spotting_costs(
    query: Float32[np.ndarray, "frames dim"],
    pieces: Float32[np.ndarray, "length lanes dim"],
    *,
    cells: int = CELLS_AT_ONCE,
) -> Float32[np.ndarray, " lanes"]:
    """Return the cost of the cheapest path between the whole of each piece and any stretch of a query.

    As `path_costs`, but a path may begin before any frame of the query, and end at any.

    Args:
        query: Frames of one clip, from `query_sides`.
        pieces: Frames of the pieces, from `other_sides`, all of one length.
        cells: Costs held at once, but at least one row of the query.
    """
    length, lanes, dim = pieces.shape
    at_once = max(1, cells // (length * lanes))
    columns = pieces.reshape(length * lanes, dim).T
    above = np.full((length + 1, lanes), np.inf, dtype=np.float32)
    above[0] = 0
    least = np.full(lanes, np.inf, dtype=np.float32)
    for first in range(0, len(query), at_once):
        costs = query[first : first + at_once] @ columns
        above = _advance(costs.reshape(-1, lanes), above, border=0.0, least=least)
    return least


def _advance(
    costs: Float32[np.ndarray, "cells lanes"],
    above: Float32[np.ndarray, "columns lanes"],
    *,
    border: float = np.inf,
    least: Float32[np.ndarray, " lanes"] | None = None,
) -> Float32[np.ndarray, "columns lanes"]:
    """Return the path costs in the last row of a block of cells; column 0 is the border before the first frame.

    Args:
        costs: Cost of each cell of the block, row by row.
        above: Path costs in the row before the block.
        border: Path cost in column 0: infinite, or 0 where a path may begin in any row.
        least: Lowered to the least path cost in the last column, where a path may end in any row.
    """
    width, lanes = len(above) - 1, costs.shape[1]
    height = len(costs) // width
    below = np.full_like(above, np.inf)
    below[0] = border
    now, one_before, two_before = (np.full((height + 1, lanes), np.inf, dtype=np.float32) for _ in range(3))
    two_before[0], one_before[0], one_before[1] = above[0], above[1], border
    best = np.empty((height, lanes), dtype=np.float32)
    for diagonal in range(2, height + width + 1):
        low, high = max(1, diagonal - width), min(height, diagonal - 1)
        inner = best[: high - low + 1]
        np.minimum(one_before[low - 1 : high], one_before[low : high + 1], out=inner)
        np.minimum(inner, two_before[low - 1 : high], out=inner)
        start = (low - 1) * width + diagonal - low - 1  # flat index of cell (low, diagonal - low); then one row less 1
        step = max(1, width - 1)
        np.add(inner, costs[start : start + (high - low) * step + 1 : step], out=now[low : high + 1])
        now[0] = above[diagonal] if diagonal <= width else np.inf
        if diagonal <= height:
            now[diagonal] = border
        else:
            below[diagonal - height] = now[height]
        if least is not None and diagonal > width:
            np.minimum(least, now[diagonal - width], out=least)
        now, one_before, two_before = two_before, now, one_before
    return below
