"""The result type of all evaluations: question, representation, metric value, interval and per-item evidence.

Display texts are made from these fields by `mfcl.evaluation.wording` and are never parsed.
"""

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from jaxtyping import Float32, Float64, Shaped

from mfcl.evaluation.bootstrap import bootstrap_interval, draws_and_groups, interval_of
from mfcl.evaluation.speaker import Curve

Names = Shaped[np.ndarray, " _"]
Vectors = Float32[np.ndarray, "_ _"]

BASELINE, UNTRAINED, PRETRAINED, SUPERVISED = "baseline", "untrained", "pre-trained", "supervised"
FINE_TUNED, FROM_SCRATCH, JOINT, ELSEWHERE = "fine-tuned", "from scratch", "joint", "elsewhere"
KINDS = (BASELINE, UNTRAINED, PRETRAINED, SUPERVISED, FINE_TUNED, FROM_SCRATCH, JOINT, ELSEWHERE)
FORMATLESS = (BASELINE, ELSEWHERE)
"""Kinds that have a name and no formats; the vectors of `ELSEWHERE` were made by another program."""
EMBEDDED_FORMATS = ("wave", "mel", "both")
CONTENT, SPEAKER = "content", "speaker"
"""Parts of an embedding: what is said, and who says it. Recipes and tables call them words and voices."""
LINEAR, KNN, NETWORK, SPREAD = "linear", "knn", "network", "spread"
IDENTIFY, IDENTIFY_APART, PAIRS, ENROLLED = "identify", "identify apart", "pairs", "enrolled"
SPEAKER_PROBES = (IDENTIFY, IDENTIFY_APART, PAIRS, ENROLLED)
PROBES = (LINEAR, KNN, NETWORK, SPREAD, *SPEAKER_PROBES, "")
"""How a label is predicted from embeddings; `network` is the encoder's own output layer, `spread` reads labels spread
over the graph of nearest recordings, "" predicts no label."""
RANDOM, CHOSEN = "random", "chosen"
SELECTIONS = (RANDOM, CHOSEN, "")
"""How the known labels were selected if they are counted in all: at random, or by `mfcl.labelling.suggest`."""
LANDMARKS, ALIGNMENT = "alignment landmarks", "alignment"
"""Baselines by DTW: similarities to landmarks as a vector, and nearest clips by the distance itself."""
ALIGNED = (LANDMARKS, ALIGNMENT)
CLEAN, NOISE, PINK, BABBLE, GAIN = "clean", "noise", "pink noise", "babble", "gain"
OTHER_NOISE = (PINK, BABBLE)
"""Noise of other kinds than the white `NOISE`, which training uses too."""
CONDITIONS = (CLEAN, NOISE, *OTHER_NOISE, GAIN, "")
"""How test recordings were altered; the condition's value is in dB. "" if no condition was varied."""


@dataclass(frozen=True)
class Representation:
    """The evaluated representation.

    Attributes:
        kind: One of `KINDS`: how the vectors were made.
        variant: The name of a baseline or of what was made elsewhere, or the setting of a sweep or an ablation; "" for
            the unchanged recipe.
        format: "wave", "mel" or "both"; "" for a kind in `FORMATLESS`.
        part: `CONTENT` or `SPEAKER` if one part of the embedding was used; "" for the whole embedding.
    """

    kind: str = ""
    variant: str = ""
    format: str = ""
    part: str = ""


@dataclass(frozen=True)
class Question:
    """What is measured: task, metric and conditions.

    Attributes:
        section: The section of the study, such as `labels` or `robustness`.
        metric: See `mfcl.evaluation.wording.METRICS`.
        label: The label column that is predicted, which is the speaker column for speaker tasks; "" if none.
        probe: One of `PROBES`.
        labels_per_class: Training labels per class; None for all.
        apart: For `IDENTIFY_APART`, and for `ENROLLED` if it is not "", the label column whose values differ between
            enrolled and tested recordings.
        enrolled: For `ENROLLED`, recordings enrolled of each speaker.
        classes: Number of tested classes, if some classes have fewer than `labels_per_class` labels; None for all.
        of_classes: Number of all classes, if `classes` is given.
        seen: Number of tested speakers that occur in training; None for none.
        speakers: Number of tested speakers, if `seen` is given.
        condition: One of `CONDITIONS`.
        condition_value: Its value in dB; None if it has none.
        labels_in_all: Known labels counted over all classes, whatever their classes; None if they are counted a class.
        selection: One of `SELECTIONS`, how those were selected; "" if labels are counted a class.
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
    labels_in_all: int | None = None
    selection: str = ""


@dataclass(frozen=True, eq=False)
class Evidence:
    """Per-item data of a result, for paired comparisons and charts.

    Attributes:
        ids: Ids of the tested recordings.
        groups: Group of each recording, such as its speaker, for the cluster bootstrap.
        correct: Correctness of each item, 0 to 1 (a share if there were several draws); None if the metric is not a
            mean over items.
        resampled: The value in each bootstrap draw of groups, NaN if undefined: for metrics that are no mean over
            items, and for means over several draws of labels, which are resampled too. Draw d holds the same groups
            and draws for every representation.
        truth: True class of each item.
        predicted: Predicted class of each item.
        curve: Error rates at every threshold.
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
    """One metric value of one seed.

    Attributes:
        question: What is measured.
        value: The metric's value, in its unit.
        low: Lower end of its 95 % interval over groups such as speakers; None if there is none.
        high: Upper end.
        n: Number of test items or pairs.
        x: Position on a chart's x axis, such as labels per class; None if there is no chart.
        representation: The evaluated representation.
        seed: Seed of the weights and the draws.
        seconds: Time to make the representation: training and embedding.
        command: Command that reproduces it.
        note: What was excluded, such as classes missing in training, and why there is no interval; "" if nothing.
        evidence: Per-item data; None if it was not kept.
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
        """Return a copy for `representation`, with other fields changed too."""
        return dataclasses.replace(self, representation=representation, **changed)

    def asked(self, **changed: Any) -> "Result":
        """Return a copy with fields of its question changed, such as the section."""
        return dataclasses.replace(self, question=dataclasses.replace(self.question, **changed))


@dataclass(frozen=True)
class Tested:
    """The tested items.

    Attributes:
        ids: Ids of the recordings.
        groups: Group of each recording, such as its speaker.
        truth: True class of each; None if there is none to predict.
        left_out: Which test recordings are excluded, and why, and how many have no speaker; "" if none.
    """

    ids: Names
    groups: Names
    truth: Names | None = None
    left_out: str = ""

    def select(self, mask: Shaped[np.ndarray, " items"], left_out: str) -> "Tested":
        """Return the items where the mask is true; `left_out` says why the others are excluded."""
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
        """Return the mean of `correct` in percent, with its interval if there are enough groups."""
        shares = np.asarray(correct, dtype=np.float64)
        interval = bootstrap_interval(100.0 * shares, self.groups, seed=seed)
        return Result(
            question, 100.0 * float(shares.mean()), interval.low, interval.high, len(shares), x,
            note=noted(self.left_out, interval.reason),
            evidence=Evidence(self.ids, self.groups, shares, truth=self.truth, predicted=predicted),
        )  # fmt: skip


def over_draws(
    about: Tested, question: Question, rights: Shaped[np.ndarray, "draws items"], *, x: float | None = None
) -> Result:
    """Return the mean accuracy over several draws of labels, in percent, with an interval over groups and draws.

    Args:
        about: The tested items.
        question: What is measured.
        rights: Whether each item was predicted correctly in each draw of labels.
        x: Position on a chart's x axis.
    """
    shares = rights.mean(axis=0, dtype=np.float64)
    resampled = draws_and_groups(100.0 * rights.astype(np.float64), about.groups)
    interval = interval_of(np.zeros(0) if resampled is None else resampled, len(np.unique(about.groups)))
    return Result(
        question, 100.0 * float(shares.mean()), interval.low, interval.high, len(shares), x,
        note=noted(about.left_out, interval.reason),
        evidence=Evidence(about.ids, about.groups, shares, resampled, truth=about.truth),
    )  # fmt: skip


def noted(*texts: str) -> str:
    """Join notes into one text, without empty ones."""
    return "; ".join(text for text in texts if text)


def grouped(results: Iterable[Result]) -> Mapping[tuple[Question, Representation], Sequence[Result]]:
    """Group results over seeds: by question and representation, in order of first occurrence."""
    groups: dict[tuple[Question, Representation], list[Result]] = {}
    for one in results:
        groups.setdefault((one.question, one.representation), []).append(one)
    return groups
