"""Soft alignment: a dynamic time warping (DTW) distance with a gradient, by which landmark clips can learn.

The cheapest path jumps as frames change. A soft minimum over all paths, each weighted by how cheap it is, does not.
"""

import itertools
from typing import Any, cast

import torch
from jaxtyping import Float, Int64
from torch import Tensor


def soft_dtw(
    clips: Float[Tensor, "batch steps dim"],
    lengths: Int64[Tensor, " batch"],
    marks: Float[Tensor, "count longest dim"],
    ends: Int64[Tensor, " count"],
    *,
    smoothing: float,
) -> Float[Tensor, "batch count"]:
    """Return the soft DTW distance of every clip to every landmark: the paths' soft minimum over the frames of both.

    It has a gradient for clips and landmarks, and is at most the distance by the cheapest path alone, which it nears as
    `smoothing` nears 0 (`mfcl.models.landmarks.dtw`).

    Args:
        clips: Unit frames, zero after each clip's end.
        lengths: Number of frames of each clip, 1 or more.
        marks: Unit frames of the landmarks.
        ends: Number of frames of each landmark, 1 or more.
        smoothing: Above 0, in units of the cost of two frames (one minus their cosine): gamma of the source.

    Source: Cuturi and Blondel, "Soft-DTW: a differentiable loss function for time-series", arXiv:1703.01541,
        equations 1 and 2, and algorithms 1 and 2.
    """
    batch, height, _ = clips.shape
    count, width, _ = marks.shape
    # landmarks last: what is worked on are long rows of all pairs
    cosines = clips.reshape(batch * height, -1) @ marks.transpose(0, 1).reshape(width * count, -1).T
    costs = (1 - cosines).reshape(batch, height, width, count).permute(1, 2, 0, 3).reshape(height, width, batch * count)
    rows = lengths.repeat_interleave(count)
    last = rows + ends.repeat(batch)  # the diagonal on which each pair's path ends
    total = cast(Tensor, _SoftPaths.apply(costs, rows, last, smoothing))  # type: ignore[no-untyped-call]
    return (total / last).reshape(batch, count)


class _SoftPaths(torch.autograd.Function):
    """The soft minimum of the costs of all paths of each pair, along anti-diagonals as `mfcl.models.landmarks.dtw`.

    The forward pass keeps how much each cell owes to the three before it: the weights of the soft minimum. By these the
    backward pass shares a pair's gradient out from its last cell to the first.
    """

    @staticmethod
    def forward(
        context: Any,
        costs: Float[Tensor, "height width pairs"],
        rows: Int64[Tensor, " pairs"],
        last: Int64[Tensor, " pairs"],
        smoothing: float,
    ) -> Float[Tensor, " pairs"]:
        """Return the soft minimum for each pair of clips, whose path ends in `rows` on the diagonal `last`."""
        costs = costs.contiguous()
        height, width, pairs = costs.shape
        ending, weights = _ending(last, height + width), []
        found = costs.new_zeros(pairs)
        two_before, one_before = (costs.new_full((height + 1, pairs), torch.inf) for _ in range(2))
        two_before[0] = 0
        for diagonal in range(2, height + width + 1):
            low, high = max(1, diagonal - width), min(height, diagonal - 1)
            ways = torch.stack([one_before[low - 1 : high], one_before[low : high + 1], two_before[low - 1 : high]])
            best = ways.amin(dim=0)
            ways.sub_(best).mul_(-1 / smoothing).exp_()
            total = ways.sum(dim=0)
            weights.append(ways.div_(total))
            now = torch.full_like(one_before, torch.inf)
            now[low : high + 1] = best.sub_(total.log_(), alpha=smoothing).add_(_diagonal(costs, diagonal))
            here = ending[diagonal]
            found[here] = now[rows[here], here]
            two_before, one_before = one_before, now
        context.weights, context.rows, context.ending, context.shape = weights, rows, ending, costs.shape
        return found

    @staticmethod
    def backward(context: Any, gradient: Float[Tensor, " pairs"]) -> tuple[Tensor, None, None, None]:
        """Return the gradient for the costs: the expected number of paths through each cell, times that given."""
        weights, rows, ending = context.weights, context.rows, context.ending
        height, width, pairs = context.shape
        costs = gradient.new_zeros(context.shape)
        now, before, two_before = (gradient.new_zeros(height + 1, pairs) for _ in range(3))
        for diagonal in range(height + width, 1, -1):
            low, high = max(1, diagonal - width), min(height, diagonal - 1)
            here = ending[diagonal]
            now[rows[here], here] += gradient[here]
            own = now[low : high + 1]
            _diagonal(costs, diagonal).copy_(own)
            down, right, both = weights[diagonal - 2]
            before[low - 1 : high].addcmul_(own, down)
            before[low : high + 1].addcmul_(own, right)
            two_before[low - 1 : high].addcmul_(own, both)
            now, before, two_before = before, two_before, now.zero_()
        return costs, None, None, None


def _ending(last: Int64[Tensor, " pairs"], most: int) -> list[Int64[Tensor, " some"]]:
    """Return the pairs whose path ends on each diagonal from 0 to `most`."""
    order = torch.argsort(last)
    edges = torch.searchsorted(last[order], torch.arange(most + 2, device=last.device)).tolist()
    return [order[first:stop] for first, stop in itertools.pairwise(edges)]


def _diagonal(costs: Float[Tensor, "height width pairs"], diagonal: int) -> Float[Tensor, "some pairs"]:
    """Return the cells (row, column) with row + column equal to `diagonal`, both from 1, as a view."""
    height, width, pairs = costs.shape
    low, high = max(1, diagonal - width), min(height, diagonal - 1)
    start = (low - 1) * width + diagonal - low - 1  # then one row down, one column less
    return costs.as_strided((high - low + 1, pairs), (max(1, width - 1) * pairs, 1), start * pairs)
