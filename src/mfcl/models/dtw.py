"""Dynamic time warping (DTW) of clips to landmarks and to pieces of clips, all pairs at once."""

from collections.abc import Iterator
from itertools import accumulate, groupby

import torch
from jaxtyping import Float, Int64
from torch import Tensor


def dtw(
    clips: Float[Tensor, "batch steps dim"],
    lengths: Int64[Tensor, " batch"],
    marks: Float[Tensor, "count longest dim"],
    ends: Int64[Tensor, " count"],
) -> Float[Tensor, "batch count"]:
    """Return the DTW distance of every clip to every landmark: the cheapest path's cost over the frames of both.

    Args:
        clips: Unit frames, zero after each clip's end.
        lengths: Number of frames of each clip, 1 or more.
        marks: Unit frames of the landmarks.
        ends: Number of frames of each landmark, 1 or more.
    """
    batch, height, _ = clips.shape
    count, width, _ = marks.shape
    rows = lengths.repeat_interleave(count)
    last = rows + ends.repeat(batch)  # the diagonal on which each pair's path ends
    order = torch.argsort(last)
    edges = torch.searchsorted(last[order], torch.arange(height + width + 2, device=last.device)).tolist()
    found = torch.zeros(batch * count, device=clips.device)
    for diagonal, reached in _diagonals(clips, marks, border=torch.inf):
        if edges[diagonal] < edges[diagonal + 1]:  # of one clip most diagonals end no path
            here = order[edges[diagonal] : edges[diagonal + 1]]
            found[here] = reached[rows[here], here]
    return (found.clamp(min=0) / last).reshape(batch, count)


def spotting(
    clips: Float[Tensor, "batch steps dim"],
    lengths: Int64[Tensor, " batch"],
    pieces: Float[Tensor, "count longest dim"],
    ends: Int64[Tensor, " count"],
) -> Float[Tensor, "batch count"]:
    """Return the distance of every piece to the stretch of every clip where it is found best, over its own frames.

    Args:
        clips: Unit frames, zero after each clip's end.
        lengths: Number of frames of each clip, 1 or more.
        pieces: Unit frames of the pieces.
        ends: Number of frames of each piece, 1 or more, in ascending order.
    """
    batch, height, _ = clips.shape
    count = len(pieces)
    same = [(length, len(list(group))) for length, group in groupby(ends.tolist())]
    stops = list(accumulate(some for _, some in same))
    shortest = int(lengths.min())
    found = torch.full((batch, count), torch.inf, device=clips.device)
    for diagonal, reached in _diagonals(clips, pieces, border=0.0):
        for (length, some), stop in zip(same, stops, strict=True):
            row = diagonal - length  # the frame of the clip at which a path ends on this diagonal
            if 1 <= row <= height:
                ended = reached[row].reshape(batch, count)[:, stop - some : stop]
                best = found[:, stop - some : stop]
                if row <= shortest:
                    torch.minimum(best, ended, out=best)
                else:  # in some clips this frame is padding
                    best.copy_(torch.where(row <= lengths[:, None], torch.minimum(best, ended), best))
    return found.clamp(min=0) / ends


def _diagonals(
    clips: Float[Tensor, "batch steps dim"], marks: Float[Tensor, "count longest dim"], *, border: float
) -> Iterator[tuple[int, Float[Tensor, "rows lanes"]]]:
    """Yield the path costs of each anti-diagonal, with its number; every tensor is written over two diagonals later.

    All pairs of a clip and a landmark advance together, since the cells of an anti-diagonal are independent:

        row 1       s=2  s=3  s=4         cell (i, j) lies on diagonal s = i + j and needs
        row 2       s=3  s=4  s=5         (i-1, j) and (i, j-1) of s-1, and (i-1, j-1) of s-2
                    j=1  j=2  j=3

    Args:
        clips: Unit frames, zero after each clip's end; the rows.
        marks: Unit frames of the landmarks; the columns.
        border: Path cost before a landmark's first frame, beside any row: 0 where a path may begin anywhere in a clip.
    """
    batch, height, _ = clips.shape
    count, width, _ = marks.shape
    lanes = batch * count
    # landmarks last, so that putting the costs of all clips' diagonals together moves whole rows of them
    cosines = clips.reshape(batch * height, -1) @ marks.transpose(0, 1).reshape(width * count, -1).T
    apart = cosines.neg_().add_(1).reshape(batch, height, width, count).permute(1, 2, 0, 3)
    costs = apart.reshape(height, width, lanes).contiguous()
    two_before, one_before, now = (torch.full((height + 1, lanes), torch.inf, device=clips.device) for _ in range(3))
    two_before[0], one_before[1] = 0, border
    for diagonal in range(2, height + width + 1):
        low, high = max(1, diagonal - width), min(height, diagonal - 1)
        best = torch.minimum(one_before[low - 1 : high], one_before[low : high + 1])
        torch.minimum(best, two_before[low - 1 : high], out=best)
        start = (low - 1) * width + diagonal - low - 1  # cell (low, diagonal - low); then one row down, one column less
        step = costs.as_strided((high - low + 1, lanes), (max(1, width - 1) * lanes, 1), start * lanes)
        torch.add(best, step, out=now[low : high + 1])
        now[low - 1] = torch.inf
        if high < height:
            now[high + 1] = border
        yield diagonal, now
        two_before, one_before, now = one_before, now, two_before
