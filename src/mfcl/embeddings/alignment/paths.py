"""The recurrence of dynamic time warping for one clip against many at once, in bounded memory."""

import numpy as np
from jaxtyping import Float32, Int64

CELLS_AT_ONCE = 2**20
"""Pairs of frames whose costs are held at once, over all pairs of clips: 4 MiB."""


def query_sides(frames: Float32[np.ndarray, "*some dim"]) -> Float32[np.ndarray, "*some more"]:
    """Return unit frames negated, with a 1 appended: their products with `other_sides` are one minus the cosine."""
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
    """Return the cost of the cheapest path from the first to the last frames of a query and of each other clip.

    A step goes on by one frame in the query, in the other clip, or in both. Each pair of frames on the path costs the
    product of both: `query_sides` and `other_sides` make frames whose product is one minus a cosine.

    All lanes advance together. The query is taken some rows at a time, of which the last is handed on; within them the
    costs are added up along anti-diagonals, whose cells do not wait for each other:

        row 0       above, from the rows before (at first: 0 in the corner, infinity beside it)
        row 1       s=2  s=3  s=4         cell (i, j) lies on diagonal s = i + j and needs
        row 2       s=3  s=4  s=5         (i-1, j) and (i, j-1) of s-1, and (i-1, j-1) of s-2
                    j=1  j=2  j=3

    Args:
        query: Frames of the one clip.
        others: Frames of the other clips, padded at their ends with anything finite; lanes side by side.
        lengths: Frames of each other clip.
        cells: Costs held at once; one row of the query is the least.

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


def _advance(
    costs: Float32[np.ndarray, "cells lanes"], above: Float32[np.ndarray, "columns lanes"]
) -> Float32[np.ndarray, "columns lanes"]:
    """Return the row of path costs below some rows of cells, from the row above them; column 0 lies before the clips.

    Args:
        costs: Of each cell, row by row.
        above: Cheapest paths to the row above.
    """
    width, lanes = len(above) - 1, costs.shape[1]
    height = len(costs) // width
    below = np.full_like(above, np.inf)
    now, one_before, two_before = (np.full((height + 1, lanes), np.inf, dtype=np.float32) for _ in range(3))
    two_before[0], one_before[0] = above[0], above[1]
    best = np.empty((height, lanes), dtype=np.float32)
    for diagonal in range(2, height + width + 1):
        low, high = max(1, diagonal - width), min(height, diagonal - 1)
        inner = best[: high - low + 1]
        np.minimum(one_before[low - 1 : high], one_before[low : high + 1], out=inner)
        np.minimum(inner, two_before[low - 1 : high], out=inner)
        start = (low - 1) * width + diagonal - low - 1  # of cell (low, diagonal - low); the next lies a row less one on
        step = max(1, width - 1)
        np.add(inner, costs[start : start + (high - low) * step + 1 : step], out=now[low : high + 1])
        now[0] = above[diagonal] if diagonal <= width else np.inf
        if diagonal <= height:
            now[diagonal] = np.inf
        else:
            below[diagonal - height] = now[height]
        now, one_before, two_before = two_before, now, one_before
    return below
