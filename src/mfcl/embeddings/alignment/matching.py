"""Which frames of two clips say the same: the cheapest alignment paths of many pairs of clips at once."""

import numpy as np
from jaxtyping import Bool, Float32, Int8, Int64

BOTH, FIRST, SECOND = 0, 1, 2
"""The steps to a cell: one frame on in both clips, in the first alone, in the second alone."""


def matched(
    first: Float32[np.ndarray, "pairs height dim"],
    heights: Int64[np.ndarray, " pairs"],
    second: Float32[np.ndarray, "pairs width dim"],
    widths: Int64[np.ndarray, " pairs"],
) -> tuple[Int64[np.ndarray, "longest pairs 2"], Bool[np.ndarray, "longest pairs"]]:
    """Return the frames that the cheapest path of each pair of clips matches with each other.

    A path is that of `mfcl.embeddings.alignment.distances`: from both first frames to both last ones, at the cost of
    one minus the cosine for each pair of frames on it. Of two equally cheap ways the one with fewer steps is taken.

    Args:
        first: Unit frames of the first clips, padded at the end with any finite values.
        heights: Number of frames of each, 1 or more.
        second: Unit frames of the second clips, likewise.
        widths: Number of frames of each.

    Returns:
        The matched frames of each pair, last ones first, and which entries are there: paths differ in length.

    Source: Sakoe and Chiba, "Dynamic programming algorithm optimization for spoken word recognition", 1978.

    Example:
        >>> sound = np.eye(3, dtype=np.float32)
        >>> path, there = matched(sound[None], np.array([3]), sound[None, [0, 0, 1, 2]], np.array([4]))
        >>> path[there].tolist()
        [[2, 3], [1, 2], [0, 1], [0, 0]]
    """
    steps = _steps(1 - first @ second.transpose(0, 2, 1))
    pairs = np.arange(len(first))
    row, column = heights - 1, widths - 1
    there = np.ones(len(first), dtype=np.bool_)
    path, known = [], []
    while there.any():
        path.append(np.stack([row, column], axis=1))
        known.append(there)
        step = steps[pairs, row, column]
        there = there & ((row > 0) | (column > 0))
        row = np.where(there & (step != SECOND), row - 1, row)
        column = np.where(there & (step != FIRST), column - 1, column)
    return np.stack(path), np.stack(known)


def _steps(costs: Float32[np.ndarray, "pairs height width"]) -> Int8[np.ndarray, "pairs height width"]:
    """Return the last step of the cheapest path to each cell, along anti-diagonals, whose cells are independent."""
    pairs, height, width = costs.shape
    total = np.full((pairs, height + 1, width + 1), np.inf, dtype=np.float32)
    total[:, 0, 0] = 0
    steps = np.zeros(costs.shape, dtype=np.int8)
    for diagonal in range(2, height + width + 1):
        row = np.arange(max(1, diagonal - width), min(height, diagonal - 1) + 1)
        column = diagonal - row
        ways = np.stack([total[:, row - 1, column - 1], total[:, row - 1, column], total[:, row, column - 1]])
        step = ways.argmin(axis=0)
        steps[:, row - 1, column - 1] = step
        total[:, row, column] = ways.min(axis=0) + costs[:, row - 1, column - 1]
    return steps
