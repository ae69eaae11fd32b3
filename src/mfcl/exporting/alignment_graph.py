"""Alignment with landmarks as an ONNX graph."""

import numpy as np

from mfcl.embeddings import alignment
from mfcl.exporting.graphs import Graph

ALIGNMENT = """
    # time comes first, with as many frames of nothing at both ends as the longest landmark has
    $turned = Transpose<perm = [1, 0, 2]>(FRAMES)
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
    # the border
    $row = Concat<axis = 0>($longest, $batch, $count)
    $unknown = Expand(infinity, $row)
    $cells = Concat<axis = 0>(ones, $batch, $count)
    $before = Expand(BORDER, $cells)
    $one_before = Concat<axis = 0>($unknown, $before)
    $corner = Expand(silence, $cells)
    $two_before = Concat<axis = 0>($unknown, $corner)
    $none = Expand(infinity, $cells)
    $clip_frames = Unsqueeze(STEPS, ones)
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
        $less = Min($ending, $found_in)
        $ends_here = ENDS($last, $at)
        $found_out = Where($ends_here, $less, $found_in)
    }>($one_before, $two_before, $none, $diagonals)
    $cost = Squeeze($paths, zeros)
    $positive = Max($cost, silence)
    $path_frames = Cast<to = 1>(COUNTED)
    $distances = Div($positive, $path_frames)

    $mean = ReduceMean<keepdims = 1>($distances, ones)
    $apart = Sub($distances, $mean)
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
    $rest_size = Concat<axis = 0>($batch, $absent)
    $rest = Expand(silence, $rest_size)
    $near = Concat<axis = 1>($known, $rest)
"""

NOTHING = """
    $shape = Shape<end = 1>(FRAMES)
    $size = Concat<axis = 0>($shape, $absent)
    $near = Expand(silence, $size)
"""


KINDS = {
    "clips": {"BORDER": "infinity", "ENDS": "Equal", "COUNTED": "$last"},
    "pieces": {"BORDER": "silence", "ENDS": "GreaterOrEqual", "COUNTED": "$ends"},
}
"""How each kind is aligned. A clip from end to end: the border is infinite, a path ends on one diagonal alone, and its
cost is divided by the frames of both. A piece anywhere: the border is 0, a path ends at any frame of the clip, and its
cost is divided by the piece's frames."""


def add_alignment(graph: Graph, format: str, kind: str, marks: np.ndarray, ends: np.ndarray, *, absent: int) -> str:
    """Add the nearness to landmarks of one kind, of `FORMAT_frames` and `FORMAT_steps`; return its name.

    The dynamic programme of `mfcl.models.dtw`, a diagonal at a time; memory grows with the length of the landmarks, not
    with that of the clips.

    Args:
        graph: The graph to add to.
        format: `wave` or `mel`.
        kind: `clips` or `pieces`.
        marks: Frames of the landmarks (count, longest, dim), zero after each one's end.
        ends: Number of frames of each.
        absent: Values of 0 to add for landmarks that there are not.
    """
    prefix = f"{format}_{kind}_"
    given = {"FRAMES": f"{format}_frames", "STEPS": f"{format}_steps"}
    text = ALIGNMENT if len(marks) else NOTHING
    for word, name in (KINDS[kind] | given).items():
        text = text.replace(word, name)
    constants: dict[str, object] = {"absent": [absent]}
    if len(marks):
        longest = marks.shape[1]
        by_lane = np.ascontiguousarray(marks[:, ::-1].transpose(1, 2, 0))  # (lane, dim, count)
        constants |= {
            "marks": by_lane, "ends": ends, "longest": [longest], "lanes": [longest + 1], "count": [len(marks)],
            "lane": np.arange(longest), "least_spread": alignment.LEAST_SPREAD, "nearest": alignment.NEAREST,
            "fall": alignment.FALL,
        }  # fmt: skip
    graph.add(text, prefix, **constants)
    return f"{prefix}near"
