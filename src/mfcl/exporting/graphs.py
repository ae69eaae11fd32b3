"""The steps around the encoders as ONNX graphs: windows of long clips, their mean and its whitening.

The steps are text in ONNX's own syntax: https://onnx.ai/onnx/repo-docs/Syntax.html
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

import numpy as np

from mfcl.embeddings.linalg import unit_rows
from mfcl.embeddings.whitening import Whitening
from mfcl.errors import ExportError


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

CLASSES = """
    scores = MatMul(features, class_weights)
    raised_scores = Add(scores, class_bias)
    sharpened = Mul(raised_scores, sharpness)
    probabilities = Softmax<axis = 1>(sharpened)

    # the distance to the nearest class: one minus the cosine
    feature_squares = ReduceSumSquare(features, ones)
    feature_length = Sqrt(feature_squares)
    feature_divisor = Max(feature_length, tiny)
    unit_features = Div(features, feature_divisor)
    centre_cosines = MatMul(unit_features, unit_centres)
    nearest = ReduceMax<keepdims = 1>(centre_cosines, ones)
    from_nearest = Sub(full, nearest)
    distance = Max(from_nearest, silence)
"""


@runtime_checkable
class Classifier(Protocol):
    """A linear classifier of embeddings.

    Attributes:
        classes: Names of the classes.
        features: Its `whitenings`: for each part of an embedding that is read, or "" for all of it, how it is whitened.
        weights: A weight for each feature and class.
        bias: Of each class.
        sharpness: Factor of the scores before the softmax.
        centres: Mean features of each class.
        farthest: Distance to the nearest centre beyond which a sound is of no class.
    """

    @property
    def classes(self) -> np.ndarray: ...  # noqa: D102
    @property
    def features(self) -> Any: ...  # noqa: D102
    @property
    def weights(self) -> np.ndarray: ...  # noqa: D102
    @property
    def bias(self) -> np.ndarray: ...  # noqa: D102
    @property
    def sharpness(self) -> float: ...  # noqa: D102
    @property
    def centres(self) -> np.ndarray: ...  # noqa: D102
    @property
    def farthest(self) -> float: ...  # noqa: D102


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


def finish(graph: Graph, parts: Mapping[str, int], whitening: Mapping[str, Whitening], outputs: Sequence[str]) -> None:
    """Add `embedding`, and `whitened` if there is a whitening.

    Args:
        graph: The graph to add to.
        parts: Name and size of each part of an embedding.
        whitening: The whitening of each part; empty if there is none.
        outputs: Names of the values of each row, side by side in the order of the embedding.
    """
    graph.add(f"vectors = Concat<axis = 1>({', '.join(outputs)})" + MEAN)
    if whitening:
        _whiten(graph, "whitened", parts, {name: whitening[name] for name in parts})


def add_classifier(graph: Graph, parts: Mapping[str, int], classifier: Classifier) -> None:
    """Add `probabilities` of the classes and the `distance` to the nearest one, from `embedding`.

    Raises:
        ExportError: the classifier reads a part that the embeddings lack, or one of another size.
    """
    sizes = {**parts, "": sum(parts.values())}
    for name, own in classifier.features.whitenings.items():
        if sizes.get(name) != len(own.mean):
            raise ExportError(
                f"classifier: wanted {len(own.mean)} values of the part {name!r}, the model has "
                f"{sizes.get(name, 'none')}; fit it on embeddings of this model"
            )
    _whiten(graph, "features", parts, classifier.features.whitenings)
    centres = np.asarray(classifier.centres, dtype=np.float64)
    graph.add(
        CLASSES, class_weights=classifier.weights, class_bias=classifier.bias, sharpness=float(classifier.sharpness),
        unit_centres=unit_rows(centres).T,
    )  # fmt: skip


def _whiten(graph: Graph, output: str, parts: Mapping[str, int], whitening: Mapping[str, Whitening]) -> None:
    """Add an output with the whitened parts of `embedding` side by side; the part "" is all of it."""
    starts = dict(zip(parts, np.cumsum([0, *parts.values()]).tolist(), strict=False))
    made = []
    for place, (name, own) in enumerate(whitening.items()):
        start, prefix = starts.get(name, 0), f"{output}{place}_"
        ends = {"start": [start], "stop": [start + len(own.mean)]}
        graph.add(WHITENED, prefix, mean=own.mean, directions=own.directions, **ends)
        made.append(f"{prefix}whitened")
    graph.add(f"{output} = Concat<axis = 1>({', '.join(made)})")
