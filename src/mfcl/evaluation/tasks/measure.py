"""One figure with its interval and what stands behind it, and the one treatment of vectors that all figures share."""

import dataclasses
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from jaxtyping import Float32, Shaped

from mfcl.embeddings.table import Embeddings
from mfcl.errors import MeasureError
from mfcl.evaluation.bootstrap import bootstrap_interval
from mfcl.evaluation.speaker import Curve

Vectors = Float32[np.ndarray, "_ _"]
Names = Shaped[np.ndarray, " _"]
FIELDS = ("table", "task", "metric", "value", "low", "high", "n", "x")


@dataclass(frozen=True)
class Measure:
    """One figure with its interval, and the evidence that a paired comparison or a picture needs.

    Attributes:
        table: `labels`, `voices`, `traits`, `efficiency`, `robustness` or `geometry`.
        task: What was asked, in words.
        metric: `accuracy` and `eer` are in percent, `min_dcf` is 0 to 1; those of `geometry` are of their own kind.
        value: The figure.
        low: Lower end of its 95 % interval, bootstrapped over speakers; None where there is none.
        high: Upper end.
        n: Test items, or pairs, behind it.
        x: Where it stands on a chart's axis, such as labels a class.
        ids: The recordings that were tested.
        groups: The speaker of each, drawn together in an interval.
        correct: Whether each was right, 0 to 1; a share where there were several draws.
        truth: What each is.
        predicted: What each was called.
        resampled: The figure for each draw of speakers, NaN where a draw has none: equal seeds draw equal speakers.
        curve: The errors at every threshold.
        clips: Clips enrolled of each speaker.
        no_interval: Why there is no interval, in words; empty where there is one, or the metric never has one.
        left_out: What of the test part is not measured and why, in words; empty where nothing is.
    """

    table: str
    task: str
    metric: str
    value: float
    low: float | None
    high: float | None
    n: int
    x: float | None = None
    ids: np.ndarray | None = field(default=None, compare=False, repr=False)
    groups: np.ndarray | None = field(default=None, compare=False, repr=False)
    correct: np.ndarray | None = field(default=None, compare=False, repr=False)
    truth: np.ndarray | None = field(default=None, compare=False, repr=False)
    predicted: np.ndarray | None = field(default=None, compare=False, repr=False)
    resampled: np.ndarray | None = field(default=None, compare=False, repr=False)
    curve: Curve | None = field(default=None, compare=False, repr=False)
    clips: int | None = field(default=None, compare=False, repr=False)
    no_interval: str = field(default="", compare=False)
    left_out: str = field(default="", compare=False)

    def row(self) -> dict[str, Any]:
        """Return the figure without its evidence: what is written.

        Example:
            >>> list(Measure("labels", "digit", "accuracy", 50.0, None, None, 2).row())
            ['table', 'task', 'metric', 'value', 'low', 'high', 'n', 'x']
        """
        return {name: getattr(self, name) for name in FIELDS}


@dataclass(frozen=True)
class Tested:
    """The items that a figure is about.

    Attributes:
        ids: Which recordings.
        groups: Their speakers.
        truth: What each is; None where nothing is to be told.
        left_out: What of the test part is not among them, and why, in words.
    """

    ids: Names
    groups: Names
    truth: Names | None = None
    left_out: str = ""

    def select(self, mask: Shaped[np.ndarray, " items"], left_out: str) -> "Tested":
        """Return the items where a mask is true, with more that is left out."""
        truth = None if self.truth is None else self.truth[mask]
        said = "; ".join(text for text in (self.left_out, left_out) if text)
        return Tested(self.ids[mask], self.groups[mask], truth, said)

    def accuracy(
        self,
        table: str,
        task: str,
        correct: Shaped[np.ndarray, " items"],
        *,
        seed: int,
        x: float | None = None,
        metric: str = "accuracy",
        predicted: Names | None = None,
    ) -> Measure:
        """Return the mean of `correct` in percent, with the interval over the groups, where there are enough."""
        shares = np.asarray(correct, dtype=np.float64)
        interval = bootstrap_interval(100.0 * shares, self.groups, seed=seed)
        return Measure(
            table, task, metric, 100.0 * float(shares.mean()), interval.low, interval.high, len(shares), x,
            ids=self.ids, groups=self.groups, correct=shares, truth=self.truth, predicted=predicted,
            no_interval=interval.reason, left_out=self.left_out,
        )  # fmt: skip


def standardised(embeddings: Embeddings, by: Embeddings | None = None) -> Vectors:
    """Return the vectors with the training part's mean and deviation taken out, each format scaled to length 1.

    Without it the format with the larger numbers decides every cosine; controls are treated alike.

    Args:
        embeddings: Whose vectors.
        by: Whose training part; the embeddings' own if left out.
    """
    basis = by or embeddings
    train = basis.vectors[basis.splits == "train"].astype(np.float64)
    if len(train) < 2:
        raise MeasureError(f"wanted 2 or more training recordings to standardise by, got {len(train)}")
    if basis.dim != embeddings.dim:
        raise MeasureError(
            f"wanted vectors of {basis.dim} values like those to standardise by, got {embeddings.dim}; "
            "embed both with one checkpoint"
        )
    deviation = np.maximum(train.std(axis=0), 1e-6 * max(1e-6, float(train.std())))
    scaled = ((embeddings.vectors - train.mean(axis=0)) / deviation).astype(np.float32)
    return dataclasses.replace(embeddings, vectors=scaled).scaled().vectors
