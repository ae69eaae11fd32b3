"""One kind of result: what was asked, of which representation, and the figure with its interval and evidence.

Texts are made from these fields by `mfcl.evaluation.wording`, and never taken apart again.
"""

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from jaxtyping import Float32, Float64, Shaped

from mfcl.embeddings.table import Embeddings
from mfcl.errors import MeasureError
from mfcl.evaluation.bootstrap import bootstrap_interval
from mfcl.evaluation.speaker import Curve

Names = Shaped[np.ndarray, " _"]
Vectors = Float32[np.ndarray, "_ _"]

BASELINE, UNTRAINED, PRETRAINED, SUPERVISED = "baseline", "untrained", "pre-trained", "supervised"
FINE_TUNED, FROM_SCRATCH, JOINT = "fine-tuned", "from scratch", "joint"
KINDS = (BASELINE, UNTRAINED, PRETRAINED, SUPERVISED, FINE_TUNED, FROM_SCRATCH, JOINT)
FORMATS = ("wave", "mel", "both")
CONTENT, SPEAKER = "content", "speaker"
"""Parts of an embedding: what is said, and who says it. Recipes and the command call them words and voices."""
LINEAR, KNN, NETWORK = "linear", "knn", "network"
IDENTIFY, IDENTIFY_APART, PAIRS, ENROLLED = "identify", "identify apart", "pairs", "enrolled"
SPEAKER_PROBES = (IDENTIFY, IDENTIFY_APART, PAIRS, ENROLLED)
PROBES = (LINEAR, KNN, NETWORK, *SPEAKER_PROBES, "")
"""How a figure is read from embeddings; `network` is an encoder's own output layer, "" reads no label."""
CLEAN, NOISE, GAIN = "clean", "noise", "gain"
CONDITIONS = (CLEAN, NOISE, GAIN, "")
"""What test recordings were made to sound like; the value is in dB. "" where no condition was varied."""


@dataclass(frozen=True)
class Representation:
    """What a figure is about.

    Attributes:
        kind: One of `KINDS`: how the vectors were made.
        variant: The name of a baseline, or the choice of a sweep or an ablation; "" for the recipe as it is.
        format: "wave", "mel" or "both"; "" for a baseline.
        part: `CONTENT` or `SPEAKER` where one part of the embedding was used; "" for all of it.
    """

    kind: str = ""
    variant: str = ""
    format: str = ""
    part: str = ""


@dataclass(frozen=True)
class Question:
    """What was asked of a representation.

    Attributes:
        section: The section of the study, such as `labels` or `robustness`.
        metric: See `mfcl.evaluation.wording.METRICS`.
        label: The label column that is predicted; for speakers the column that names them; "" if none is.
        probe: One of `PROBES`.
        labels_per_class: Labels of each class that the probe knows; None: all.
        apart: For `IDENTIFY_APART`, the label column whose values differ between enrolled and tested recordings.
        enrolled: For `ENROLLED`, recordings enrolled of each speaker.
        classes: Where only some classes have as many labels: how many have, and are asked for; None: all.
        of_classes: Of how many classes.
        seen: Where training has heard some of the tested speakers: how many; None: none of them.
        speakers: Of how many tested speakers.
        condition: One of `CONDITIONS`.
        condition_value: Its value in dB, None where it has none.
    """

    section: str
    metric: str
    label: str = ""
    probe: str = ""
    labels_per_class: int | None = None
    apart: str = ""
    enrolled: int | None = None
    condition: str = ""
    condition_value: float | None = None
    classes: int | None = None
    of_classes: int | None = None
    seen: int | None = None
    speakers: int | None = None


@dataclass(frozen=True, eq=False)
class Evidence:
    """What stands behind a figure, item by item: what a paired comparison or a picture needs.

    Attributes:
        ids: The recordings that were tested.
        groups: The speaker of each; speakers are drawn as a whole in an interval.
        correct: Whether each was right, 0 to 1; a share where there were several draws. None if not of single items.
        resampled: The figure in each bootstrap draw of groups, NaN where a draw has none; for figures that are no
            means of items. Draw number d holds the same groups in every representation.
        truth: What each is.
        predicted: What each was called.
        curve: The error rates at every threshold.
    """

    ids: Names
    groups: Names
    correct: Float64[np.ndarray, " items"] | None = None
    resampled: Float64[np.ndarray, " draws"] | None = None
    truth: Names | None = None
    predicted: Names | None = None
    curve: Curve | None = None


@dataclass(frozen=True)
class Result:
    """One figure of one seed.

    Attributes:
        question: What was asked.
        value: The figure, in the unit of its metric.
        low: Lower end of its 95 % interval over groups such as speakers; None where there is none.
        high: Upper end.
        n: Test items, or pairs, behind it.
        x: Where it stands on a chart's axis, such as labels a class; None where it is on none.
        representation: What it is about.
        seed: Of the weights and the draws.
        seconds: To make the representation: training and embedding.
        command: What to type to have it again.
        note: What was left out, such as classes that training lacks, and why there is no interval; "" if nothing.
        evidence: What stands behind it; None where it was not kept.
    """

    question: Question
    value: float
    low: float | None
    high: float | None
    n: int
    x: float | None = None
    representation: Representation = Representation()
    seed: int = 0
    seconds: float = 0.0
    command: str = ""
    note: str = ""
    evidence: Evidence | None = field(default=None, compare=False, repr=False)

    @property
    def table(self) -> str:
        """The section, by its name of version 0.1."""
        return self.question.section

    def about(self, representation: Representation, **changed: Any) -> "Result":
        """Return the same figure as one of a representation, with other fields changed too."""
        return dataclasses.replace(self, representation=representation, **changed)

    def asked(self, **changed: Any) -> "Result":
        """Return the same figure with fields of its question changed, such as its section."""
        return dataclasses.replace(self, question=dataclasses.replace(self.question, **changed))


@dataclass(frozen=True)
class Tested:
    """The items that a figure is about.

    Attributes:
        ids: Which recordings.
        groups: Their speakers.
        truth: What each is; None where nothing is to be told.
        left_out: What of the test part is not among them, and why; "" if nothing.
    """

    ids: Names
    groups: Names
    truth: Names | None = None
    left_out: str = ""

    def select(self, mask: Shaped[np.ndarray, " items"], left_out: str) -> "Tested":
        """Return the items where a mask is true, with more that is left out."""
        truth = None if self.truth is None else self.truth[mask]
        return Tested(self.ids[mask], self.groups[mask], truth, noted(self.left_out, left_out))

    def accuracy(
        self,
        question: Question,
        correct: Shaped[np.ndarray, " items"],
        *,
        seed: int,
        x: float | None = None,
        predicted: Names | None = None,
    ) -> Result:
        """Return the mean of `correct` in percent, with the interval over the groups where there are enough."""
        shares = np.asarray(correct, dtype=np.float64)
        interval = bootstrap_interval(100.0 * shares, self.groups, seed=seed)
        return Result(
            question, 100.0 * float(shares.mean()), interval.low, interval.high, len(shares), x,
            note=noted(self.left_out, interval.reason),
            evidence=Evidence(self.ids, self.groups, shares, truth=self.truth, predicted=predicted),
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


def noted(*texts: str) -> str:
    """Return remarks as one text, without empty ones."""
    return "; ".join(text for text in texts if text)


def grouped(results: Iterable[Result]) -> Mapping[tuple[Question, Representation], Sequence[Result]]:
    """Return the results of each question about each representation, one a seed, in the order of their first."""
    groups: dict[tuple[Question, Representation], list[Result]] = {}
    for one in results:
        groups.setdefault((one.question, one.representation), []).append(one)
    return groups
