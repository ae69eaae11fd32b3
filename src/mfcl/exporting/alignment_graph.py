"""Alignment with landmarks as an ONNX graph."""

import numpy as np

from mfcl.embeddings import alignment
from mfcl.exporting.graphs import Graph

ALIGNMENT = """
    # time comes first, with as many frames of nothing at both ends as the longest landmark has
    $turned = Transpose<perm = [1, 0, 2]>($frames)
    $shape = Shape($turned)
    $height = Gather($shape, zero)
    $batch = Gather($shape, ones)
    $pads = Concat<axis = 0>($longest, zeros, zeros, $longest, zeros, zeros)
    $padded = Pad($turned, $pads)
    $inner = Gather($shape, zeros)
    $outside = Expand(infinity, $longest)
    $within = Expand(silence, $inner)
    $penalties = Concat<axis = 0>($outside, $within, $outside)

    # cell (i, j) lies on diagonal i + j; lane r of a diagonal holds j = longest - r, and one lane more holds j = 0,
    # the border: infinite for clips, aligned from end to end, and 0 for pieces, which are found anywhere
    $row = Concat<axis = 0>($longest, $batch, $count)
    $unknown = Expand(infinity, $row)
    $cells = Concat<axis = 0>(ones, $batch, $count)
    $before = Expand($border, $cells)
    $one_before = Concat<axis = 0>($unknown, $before)
    $corner = Expand(silence, $cells)
    $two_before = Concat<axis = 0>($unknown, $corner)
    $anywhere = Less($border, infinity)
    $undecided = Where($anywhere, infinity, silence)
    $none = Expand($undecided, $cells)
    $clip_frames = Unsqueeze($steps, ones)
    $last = Add($clip_frames, $ends)
    $most = Add($height, $longest)
    $stop = Add($most, one)
    $past = Squeeze($stop, zeros)
    $diagonals = Range(two, $past, one)
    $end_lanes = Sub($longest, $ends)
    $end_places = Expand($end_lanes, $cells)
    $one_left, $two_left, $paths = Scan<num_scan_inputs = 1, body = diagonal (
        float[$lane_dim, $row_dim, $mark_dim] $one_in, float[$lane_dim, $row_dim, $mark_dim] $two_in,
        float[$single_dim, $row_dim, $mark_dim] $found_in, int64 $at
    ) => (
        float[$lane_dim, $row_dim, $mark_dim] $now, float[$lane_dim, $row_dim, $mark_dim] $one_out,
        float[$single_dim, $row_dim, $mark_dim] $found_out
    ) {
        $from = Sub($at, one)
        $those = Add($from, $lane)
        $heard = Gather($padded, $those)
        $cosines = MatMul($heard, $marks)
        $costs = Sub(full, $cosines)
        $penalty = Gather($penalties, $those)
        $penalty_column = Unsqueeze($penalty, last_axes)
        $allowed = Add($costs, $penalty_column)
        $above = Slice($one_in, zeros, $longest, zeros)
        $left = Slice($one_in, ones, $lanes, zeros)
        $diagonal = Slice($two_in, ones, $lanes, zeros)
        $best = Min($above, $left, $diagonal)
        $reached = Add($best, $allowed)
        $now = Concat<axis = 0>($reached, $before)
        $one_out = Identity($one_in)
        $ending = GatherElements<axis = 0>($reached, $end_places)
        $here = Equal($last, $at)
        $whole = Where($here, $ending, $found_in)
        $less = Min($ending, $found_in)
        $within_clip = GreaterOrEqual($last, $at)
        $least = Where($within_clip, $less, $found_in)
        $found_out = Where($anywhere, $least, $whole)
    }>($one_before, $two_before, $none, $diagonals)
    $cost = Squeeze($paths, zeros)
    $positive = Max($cost, silence)
    $whole_frames = Mul($clip_frames, $is_clip)
    $counted = Add($whole_frames, $ends)
    $path_frames = Cast<to = 1>($counted)
    $distances = Div($positive, $path_frames)
"""

NEARNESS = """
    $own_columns = Slice(DISTANCES, $from, $to, ones)
    $mean = ReduceMean<keepdims = 1>($own_columns, ones)
    $apart = Sub($own_columns, $mean)
    $apart_squares = Mul($apart, $apart)
    $variance = ReduceMean<keepdims = 1>($apart_squares, ones)
    $deviation = Sqrt($variance)
    $spread = Add($deviation, $least_spread)
    $standing = Div($apart, $spread)
    $above = Add($standing, $nearest)
    $not_below = Max($above, silence)
    $scaled = Div($not_below, $fall)
    $square = Mul($scaled, $scaled)
    $negative = Neg($square)
    $known = Exp($negative)
    $rows = Shape<end = 1>(DISTANCES)
    $rest_size = Concat<axis = 0>($rows, $absent)
    $rest = Expand(silence, $rest_size)
    $near = Concat<axis = 1>($known, $rest)
"""

NOTHING = """
    $shape = Shape<end = 1>(FRAMES)
    $size = Concat<axis = 0>($shape, $absent)
    $near = Expand(silence, $size)
"""


def add_alignment(
    graph: Graph, format: str, marks: np.ndarray, ends: np.ndarray, *, clips: int, absent: tuple[int, int]
) -> None:
    """Add the nearness to landmarks, `FORMAT_landmarks`, of `FORMAT_frames` and `FORMAT_steps`.

    The dynamic programme of `mfcl.models.dtw`, a diagonal at a time; memory grows with the length of the landmarks, not
    with that of the clips.

    Args:
        graph: The graph to add to.
        format: `wave` or `mel`.
        marks: Frames of the landmarks (count, longest, dim), zero after each one's end; clips, then pieces.
        ends: Number of frames of each.
        clips: How many of them are clips.
        absent: Values of 0 to add for clips that there are not, and for pieces.
    """
    prefix = f"{format}_"
    if len(marks):
        longest = marks.shape[1]
        by_lane = np.ascontiguousarray(marks[:, ::-1].transpose(1, 2, 0))  # (lane, dim, count)
        is_clip = np.arange(len(marks)) < clips
        graph.add(
            ALIGNMENT, prefix, marks=by_lane, ends=ends, longest=[longest], lanes=[longest + 1], count=[len(marks)],
            lane=np.arange(longest), border=np.where(is_clip, np.inf, 0)[None, None], is_clip=is_clip.astype(np.int64),
        )  # fmt: skip
    kinds = []
    for kind, start, stop, missing in (("clips", 0, clips, absent[0]), ("pieces", clips, len(marks), absent[1])):
        own = f"{prefix}{kind}_"
        if stop > start:
            graph.add(
                NEARNESS.replace("DISTANCES", f"{prefix}distances"), own, absent=[missing], to=[stop],
                least_spread=alignment.LEAST_SPREAD, nearest=alignment.NEAREST, fall=alignment.FALL,
                **{"from": [start]},
            )  # fmt: skip
        else:
            graph.add(NOTHING.replace("FRAMES", f"{prefix}frames"), own, absent=[missing])
        kinds.append(f"{own}near")
    graph.add(f"{prefix}landmarks = Concat<axis = 1>({', '.join(kinds)})")
