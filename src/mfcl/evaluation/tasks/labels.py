"""How much of a label lies in embeddings: linear probes with all and with few labels, also under noise, and kNN."""

from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property

import numpy as np
from jaxtyping import Shaped

from mfcl.embeddings.table import Embeddings
from mfcl.errors import MeasureError
from mfcl.evaluation.knn import knn_predict
from mfcl.evaluation.linear_probe import FewLabelResult, Labelled, ProbeResult, few_label_probe, linear_probe
from mfcl.evaluation.result import CLEAN, KNN, LINEAR, Names, Question, Result, Tested, Vectors, standardised
from mfcl.evaluation.wording import NEIGHBOURS

FEW = 10
"""Labels a class of the few-label row."""
COUNTS = (1, 5, 10, 50)
"""Labels a class along the curve of label efficiency."""


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

    def question(self, per_class: int | None = None) -> Question:
        """Return what a linear probe that knows so many labels of each class is asked; None: all labels."""
        return Question("labels", "accuracy", self.label, LINEAR, per_class)

    def measures(self) -> list[Result]:
        """Return the section `labels`; see `measure_labels`."""
        found = [self.by_all()]
        if self.fewest >= FEW:
            found.append(self.by_few(FEW))
        whitened = self.embeddings.whitened
        known, valid, test = (
            labelled(self.embeddings, whitened, self.label, part) for part in ("train", "valid", "test")
        )
        vectors, names = (np.concatenate(pair) for pair in zip(known, valid, strict=True))
        nearest = knn_predict(vectors, names, test[0], min(NEIGHBOURS, len(names)))
        found.append(self._accuracy(Question("labels", "accuracy", self.label, KNN), nearest))
        return found

    def efficiency(self, counts: Sequence[int] = COUNTS) -> list[Result]:
        """Return the section `efficiency`; see `measure_efficiency`."""
        found = [self.by_few(count, x=float(count)) for count in counts if count <= self.fewest]
        mean = len(self.train[1]) / len(np.unique(self.train[1]))
        return [one.asked(section="efficiency") for one in (*found, self.by_all(x=mean))]

    def by_all(self, *, x: float | None = None) -> Result:
        """Return the figure of the probe that knows all labels."""
        return self._accuracy(self.question(), self.all_labels.predictions, x=x)

    def by_few(self, per_class: int, *, x: float | None = None) -> Result:
        """Return the figure of the probes that know as many labels of each class, mean of their draws."""
        return self.tested.accuracy(self.question(per_class), self.few(per_class).correct, seed=self.seed, x=x)

    def clean(self, per_class: int | None = None) -> Result:
        """Return the figure that `under` is compared with: of the test recordings as they are."""
        found = self.by_all() if per_class is None else self.by_few(per_class)
        return found.asked(section="robustness", condition=CLEAN)

    def under(
        self,
        disturbed: Embeddings,
        *,
        condition: str,
        value: float | None,
        x: float | None,
        per_class: int | None = None,
    ) -> Result:
        """Return the accuracy of clean-trained probes on the embeddings of disturbed test recordings.

        Args:
            disturbed: Of the same recordings, with noise or another gain; standardised by the clean training part.
            condition: What was done to them; see `mfcl.evaluation.result.CONDITIONS`.
            value: How much, in dB.
            x: Where the figure stands on the chart's axis, such as the dB of the noise.
            per_class: Labels of each class that the probe knows; all if left out.
        """
        question = replace(self.question(per_class), section="robustness", condition=condition, condition_value=value)
        test = labelled(disturbed, standardised(disturbed, by=self.embeddings), self.label, "test")
        asked = tested(disturbed, self.label, self.speaker)
        if per_class is None:
            predicted = self.all_labels.classifier.predict(test[0])
            return asked.accuracy(question, predicted == test[1], seed=self.seed, x=x, predicted=predicted)
        rights = [found.predict(test[0]) == test[1] for found in self.few(per_class).classifiers]
        return asked.accuracy(question, np.mean(rights, axis=0), seed=self.seed, x=x)

    def _accuracy(
        self, question: Question, predicted: Shaped[np.ndarray, " items"], *, x: float | None = None
    ) -> Result:
        return self.tested.accuracy(question, predicted == self.test[1], seed=self.seed, x=x, predicted=predicted)


def measure_labels(embeddings: Embeddings, label: str, speaker: str | None, *, seed: int) -> list[Result]:
    """Measure how much of a label lies in embeddings: linear probe with all and with few labels, and kNN.

    See `LabelProbes`, which also answers further questions without fitting again.
    """
    return LabelProbes(embeddings, label, speaker, seed=seed).measures()


def measure_efficiency(
    embeddings: Embeddings, label: str, speaker: str | None, *, counts: Sequence[int] = COUNTS, seed: int
) -> list[Result]:
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
    condition: str,
    value: float | None,
    x: float | None,
    seed: int,
    per_class: int | None = None,
) -> Result:
    """Measure what a linear probe of clean recordings reads from disturbed ones; see `LabelProbes.under`."""
    probes = LabelProbes(clean, label, speaker, seed=seed)
    return probes.under(disturbed, condition=condition, value=value, x=x, per_class=per_class)


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
