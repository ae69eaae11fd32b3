"""The steps around the encoders as ONNX graphs: windows of long clips, alignment with landmarks, mean and whitening.

The steps are text in ONNX's own syntax: https://onnx.ai/onnx/repo-docs/Syntax.html
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from mfcl.embeddings.whitening import Whitening


@dataclass
class Graph:
    """Nodes and constants of a graph that is put together from pieces."""

    nodes: list[Any] = field(default_factory=list)
    constants: dict[str, np.ndarray] = field(default_factory=dict)

    def add(self, text: str, prefix: str = "", **constants: Any) -> None:
        """Add the nodes of a piece of text.

        Args:
            text: Nodes in ONNX's syntax; what follows `#` is a comment.
            prefix: Put before each name that follows a `$`.
            constants: Values (arrays, numbers, lists) of names in the text; integers become int64, others float32.
        """
        import onnx.parser

        lines = (line.split("#")[0] for line in text.replace("$", prefix).splitlines())
        self.nodes += onnx.parser.parse_graph(f"piece () => () {{ {' '.join(lines)} }}").node
        for name, value in constants.items():
            kind = np.int64 if np.asarray(value).dtype.kind in "iu" else np.float32
            self.constants[prefix + name] = np.asarray(value, dtype=kind)


WINDOWS = """
    # clip i has pieces[i] windows; window p of it lasts from lengths[i] * p / pieces[i], rounded down, to the next one
    raised = Add(lengths, rounding)
    divided = Div(raised, longest)
    pieces = Max(divided, one)
    most = ReduceMax<keepdims = 0>(pieces)
    place = Range(zero, most, one)
    next_place = Add(place, one)
    long = Unsqueeze(lengths, ones)
    shared = Unsqueeze(pieces, ones)
    before = Mul(long, place)
    after = Mul(long, next_place)
    all_starts = Div(before, shared)
    all_stops = Div(after, shared)
    exists = Less(place, shared)
    found = NonZero(exists)
    pairs = Transpose(found)
    starts = GatherND(all_starts, pairs)
    stops = GatherND(all_stops, pairs)
    row_lengths = Sub(stops, starts)
    item = Gather(found, zero)

    # rows are as wide as the longest of them, in whole multiples of what the encoders take
    widest = ReduceMax<keepdims = 0>(row_lengths)
    enough = Add(widest, padding)
    times = Div(enough, multiple)
    needed = Max(times, two)
    width = Mul(needed, multiple)
    column = Range(zero, width, one)
    first = Unsqueeze(starts, ones)
    own = Unsqueeze(row_lengths, ones)
    wanted = Add(first, column)
    given_shape = Shape(wave)
    clips = Gather(given_shape, zero)
    samples = Gather(given_shape, one)
    end = Sub(samples, one)
    there = Min(wanted, end)
    clip = Unsqueeze(item, ones)
    offset = Mul(clip, samples)
    index = Add(offset, there)
    flat = Reshape(wave, minus_ones)
    taken = Gather(flat, index)
    inside = Less(column, own)
    rows = Where(inside, taken, silence)
"""

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

    # cell (i, j) lies on diagonal i + j; lane r of a diagonal holds j = longest - r, and one lane more holds j = 0
    $size = Concat<axis = 0>($lanes, $batch, $count)
    $one_before = Expand(infinity, $size)
    $row = Concat<axis = 0>($longest, $batch, $count)
    $unknown = Expand(infinity, $row)
    $cells = Concat<axis = 0>(ones, $batch, $count)
    $corner = Expand(silence, $cells)
    $two_before = Concat<axis = 0>($unknown, $corner)
    $nowhere = Expand(infinity, $cells)
    $none = Expand(silence, $cells)
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
        $now = Concat<axis = 0>($reached, $nowhere)
        $one_out = Identity($one_in)
        $ending = GatherElements<axis = 0>($reached, $end_places)
        $here = Equal($last, $at)
        $found_out = Where($here, $ending, $found_in)
    }>($one_before, $two_before, $none, $diagonals)
    $cost = Squeeze($paths, zeros)
    $positive = Max($cost, silence)
    $path_frames = Cast<to = 1>($last)
    $distance = Div($positive, $path_frames)
    $scaled = Div($distance, $width)
    $square = Mul($scaled, $scaled)
    $negative = Neg($square)
    $known = Exp($negative)
    $rest_size = Concat<axis = 0>($batch, $absent)
    $rest = Expand(silence, $rest_size)
    $landmarks = Concat<axis = 1>($known, $rest)
"""

NO_LANDMARKS = """
    $shape = Shape<end = 1>($frames)
    $size = Concat<axis = 0>($shape, $absent)
    $landmarks = Expand(silence, $size)
"""

MEAN = """
    # the mean of a clip's windows, weighted by their lengths
    numbers = Range(zero, clips, one)
    clip_numbers = Unsqueeze(numbers, ones)
    belongs = Equal(clip_numbers, item)
    shares = Cast<to = 1>(row_lengths)
    zero_shares = Where(belongs, shares, silence)
    totals = ReduceSum(zero_shares, ones)
    weights = Div(zero_shares, totals)
    embedding = MatMul(weights, vectors)
"""

WHITENED = """
    $values = Slice(embedding, $start, $stop, ones)
    $centred = Sub($values, $mean)
    $turned = MatMul($centred, $directions)
    $squares = ReduceSumSquare($turned, ones)
    $length = Sqrt($squares)
    $divisor = Max($length, tiny)
    $whitened = Div($turned, $divisor)
"""


def begin(longest: int, multiple: int) -> Graph:
    """Return a graph that splits clips that are too long into windows of equal length, as `embed_clips` does.

    From `wave` and `lengths` it makes `rows`, `row_lengths`, `item` (the clip of each row) and `clips` (their number).

    Args:
        longest: Most samples in a window.
        multiple: Rows are padded with zeros to a multiple of this number of samples.
    """
    graph = Graph()
    graph.add(
        WINDOWS, zero=0, one=1, two=2, zeros=[0], ones=[1], minus_ones=[-1], last_axes=[1, 2], silence=0.0, full=1.0,
        infinity=np.inf, tiny=1e-30, longest=longest, rounding=longest - 1, multiple=multiple, padding=multiple - 1,
    )  # fmt: skip
    return graph


def add_alignment(graph: Graph, format: str, marks: np.ndarray, ends: np.ndarray, *, width: float, absent: int) -> None:
    """Add the similarity to landmarks, `FORMAT_landmarks`, of `FORMAT_frames` and `FORMAT_steps`.

    The dynamic programme of `mfcl.models.landmarks.dtw`, a diagonal at a time; memory grows with the length of the
    landmarks, not with that of the clips.

    Args:
        graph: The graph to add to.
        format: `wave` or `mel`.
        marks: Frames of the landmarks (count, longest, dim), zero after each one's end.
        ends: Number of frames of each.
        width: Distance at which the similarity is 1/e.
        absent: Values of 0 to add for landmarks that there are not.
    """
    prefix = f"{format}_"
    if not len(marks):
        graph.add(NO_LANDMARKS, prefix, absent=[absent])
        return
    longest = marks.shape[1]
    by_lane = np.ascontiguousarray(marks[:, ::-1].transpose(1, 2, 0))  # (lane, dim, count)
    graph.add(
        ALIGNMENT, prefix, marks=by_lane, ends=ends, longest=[longest], lanes=[longest + 1], count=[len(marks)],
        lane=np.arange(longest), width=width, absent=[absent],
    )  # fmt: skip


def finish(graph: Graph, parts: Mapping[str, int], whitening: Mapping[str, Whitening], outputs: Sequence[str]) -> None:
    """Add `embedding`, and `whitened` if there is a whitening.

    Args:
        graph: The graph to add to.
        parts: Name and size of each part of an embedding.
        whitening: The whitening of each part; empty if there is none.
        outputs: Names of the values of each row, side by side in the order of the embedding.
    """
    graph.add(f"vectors = Concat<axis = 1>({', '.join(outputs)})" + MEAN)
    start, made = 0, []
    for place, (name, size) in enumerate(parts.items()):
        if whitening:
            own = whitening[name]
            ends = {"start": [start], "stop": [start + size]}
            graph.add(WHITENED, f"part{place}_", mean=own.mean, directions=own.directions, **ends)
            made.append(f"part{place}_whitened")
            start += size
    if made:
        graph.add(f"whitened = Concat<axis = 1>({', '.join(made)})")
