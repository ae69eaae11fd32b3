"""How much of a label lies in embeddings: linear probes with all and with few labels, also under noise, and kNN."""

from collections.abc import Sequence
from functools import cached_property

import numpy as np
from jaxtyping import Shaped

from mfcl.embeddings.table import Embeddings
from mfcl.errors import MeasureError
from mfcl.evaluation.knn import knn_predict
from mfcl.evaluation.linear_probe import FewLabelResult, Labelled, ProbeResult, few_label_probe, linear_probe
from mfcl.evaluation.tasks.measure import Measure, Names, Tested, Vectors, standardised

FEW = 10
"""Labels a class of the few-label row."""
COUNTS = (1, 5, 10, 50)
"""Labels a class along the curve of label efficiency."""
NEIGHBOURS = 5


class LabelProbes:
    """The questions about one label of one embedding; a classifier is fitted once, whichever figures ask for it.

    Vectors are standardised on the training part, and for kNN whitened by it. A probe's strength is chosen on the
    validation part, then the probe of all labels is fitted on both. The test part is only predicted.

    Args:
        embeddings: Of all parts, with `splits` train, valid and test.
        label: The label to predict.
        speaker: The label whose values are resampled for the intervals; each recording is its own if left out.
        seed: For the draws of few labels and the bootstrap.

    Raises:
        MeasureError: a part is missing, or the label has a single value in it.
    """

    def __init__(self, embeddings: Embeddings, label: str, speaker: str | None, *, seed: int) -> None:
        self.embeddings, self.label, self.speaker, self.seed = embeddings, label, speaker, seed
        vectors = standardised(embeddings)
        self.train, self.valid, self.test = (
            labelled(embeddings, vectors, label, part) for part in ("train", "valid", "test")
        )
        self.tested = tested(embeddings, label, speaker)
        self._few: dict[int, FewLabelResult] = {}

    @cached_property
    def all_labels(self) -> ProbeResult:
        """The linear probe that knows all labels."""
        return linear_probe(self.train, self.valid, self.test)

    def few(self, per_class: int) -> FewLabelResult:
        """Return the linear probes that know as many labels of each class."""
        if per_class not in self._few:
            self._few[per_class] = few_label_probe(self.train, self.valid, self.test, per_class, seed=self.seed)
        return self._few[per_class]

    @property
    def fewest(self) -> int:
        """Training recordings of the rarest class."""
        return int(np.unique(self.train[1], return_counts=True)[1].min())

    def measures(self) -> list[Measure]:
        """Return the table `labels`; see `measure_labels`."""
        found = [self.by_all("labels", f"{self.label}, linear probe, all labels")]
        if self.fewest >= FEW:
            found.append(self.by_few("labels", f"{self.label}, linear probe, {FEW} labels a class", FEW))
        whitened = self.embeddings.whitened
        known, valid, test = (
            labelled(self.embeddings, whitened, self.label, part) for part in ("train", "valid", "test")
        )
        vectors, names = (np.concatenate(pair) for pair in zip(known, valid, strict=True))
        nearest = knn_predict(vectors, names, test[0], min(NEIGHBOURS, len(names)))
        found.append(self._accuracy("labels", f"{self.label}, {NEIGHBOURS}-NN, no training", nearest))
        return found

    def efficiency(self, counts: Sequence[int] = COUNTS) -> list[Measure]:
        """Return the table `efficiency`; see `measure_efficiency`."""
        found = [
            self.by_few("efficiency", f"{self.label}, {count} labels a class", count, x=float(count))
            for count in counts
            if count <= self.fewest
        ]
        mean = len(self.train[1]) / len(np.unique(self.train[1]))
        return [*found, self.by_all("efficiency", f"{self.label}, all labels", x=mean)]

    def by_all(self, table: str, task: str, *, x: float | None = None) -> Measure:
        """Return the figure of the probe that knows all labels."""
        return self._accuracy(table, task, self.all_labels.predictions, x=x)

    def by_few(self, table: str, task: str, per_class: int, *, x: float | None = None) -> Measure:
        """Return the figure of the probes that know as many labels of each class, mean of their draws."""
        return self.tested.accuracy(table, task, self.few(per_class).correct, seed=self.seed, x=x)

    def under(self, disturbed: Embeddings, *, task: str, x: float | None, per_class: int | None = None) -> Measure:
        """Return what the probes fitted on these embeddings read from the test part of disturbed ones.

        Args:
            disturbed: Of the same recordings, made otherwise; standardised by the clean training part.
            task: What was asked, in words.
            x: Where the figure stands on the chart's axis, such as the dB of the noise.
            per_class: Labels of each class that the probe knows; all if left out.
        """
        test = labelled(disturbed, standardised(disturbed, by=self.embeddings), self.label, "test")
        asked = tested(disturbed, self.label, self.speaker)
        if per_class is None:
            predicted = self.all_labels.classifier.predict(test[0])
            right = predicted == test[1]
            return asked.accuracy("robustness", task, right, seed=self.seed, x=x, predicted=predicted)
        rights = [found.predict(test[0]) == test[1] for found in self.few(per_class).classifiers]
        return asked.accuracy("robustness", task, np.mean(rights, axis=0), seed=self.seed, x=x)

    def _accuracy(
        self, table: str, task: str, predicted: Shaped[np.ndarray, " items"], *, x: float | None = None
    ) -> Measure:
        return self.tested.accuracy(table, task, predicted == self.test[1], seed=self.seed, x=x, predicted=predicted)


def measure_labels(embeddings: Embeddings, label: str, speaker: str | None, *, seed: int) -> list[Measure]:
    """Measure how much of a label lies in embeddings: linear probe with all and with few labels, and kNN.

    See `LabelProbes`, which also answers further questions without fitting again.
    """
    return LabelProbes(embeddings, label, speaker, seed=seed).measures()


def measure_efficiency(
    embeddings: Embeddings, label: str, speaker: str | None, *, counts: Sequence[int] = COUNTS, seed: int
) -> list[Measure]:
    """Measure how the linear probe grows with the labels that it knows: `counts` of each class, then all.

    Counts that the rarest class does not reach are left out. `x` is the labels a class, for all labels their mean.
    """
    return LabelProbes(embeddings, label, speaker, seed=seed).efficiency(counts)


def measure_under(
    clean: Embeddings,
    disturbed: Embeddings,
    label: str,
    speaker: str | None,
    *,
    task: str,
    x: float | None,
    seed: int,
    per_class: int | None = None,
) -> Measure:
    """Measure what a linear probe of clean recordings reads from disturbed ones; see `LabelProbes.under`."""
    return LabelProbes(clean, label, speaker, seed=seed).under(disturbed, task=task, x=x, per_class=per_class)


def labelled(embeddings: Embeddings, vectors: Vectors, label: str, part: str) -> Labelled:
    """Return a part's vectors and labels; recordings without one are left out.

    Raises:
        MeasureError: the label has a single value in the part, or none.
    """
    chosen = having(embeddings, label, part)
    values = embeddings.label(label)[chosen]
    kinds = len(np.unique(values))
    if kinds < 2:
        raise MeasureError(
            f"label {label!r}: wanted 2 or more values in the {part} part, got {kinds} in {len(chosen)} "
            "recordings; choose another label or split"
        )
    return vectors[chosen], values


def tested(embeddings: Embeddings, label: str, speaker: str | None) -> Tested:
    """Return the test part's recordings that have the label; each is its own group without a speaker."""
    chosen = having(embeddings, label, "test")
    groups = embeddings.label(speaker) if speaker else embeddings.ids
    return Tested(embeddings.ids[chosen], groups[chosen], embeddings.label(label)[chosen])


def having(embeddings: Embeddings, label: str, part: str) -> Names:
    """Return the places of a part's recordings that have the label."""
    return np.flatnonzero((embeddings.splits == part) & (embeddings.label(label) != ""))
