"""Label tasks: linear probes with all and with few labels, also on noisy test recordings, and kNN."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
from jaxtyping import Shaped

from mfcl.embeddings.table import Embeddings
from mfcl.evaluation.few_labels import FewLabelResult, few_label_probe
from mfcl.evaluation.knn import knn_predict
from mfcl.evaluation.linear_probe import Labelled, ProbeResult, linear_probe
from mfcl.evaluation.result import (
    CLEAN,
    KNN,
    LINEAR,
    Names,
    Question,
    Result,
    Tested,
    over_draws,
)
from mfcl.evaluation.standard import standard_of, standardised
from mfcl.evaluation.tasks.labelled_rows import among, some, tested, usable
from mfcl.evaluation.wording import NEIGHBOURS

FEW = 10
"""Labels per class of the few-label probe."""
COUNTS = (1, 5, 10, 50)
"""Labels per class along the label-efficiency curve."""


@dataclass
class Fitted:
    """Classifiers that several sections ask for, and their test results."""

    all_labels: ProbeResult | None = None
    few: dict[int, FewLabelResult] = field(default_factory=dict)
    """Labels per class -> probes; those of `FEW` alone are kept."""


class LabelProbes:
    """All evaluations of one label on one representation; each classifier is fitted once and reused.

    Vectors are standardised by the train split, and for kNN whitened by it. The L2 strength of the probe with all
    labels is chosen on the valid split, and it is then refitted on train and valid together. A probe with few labels
    chooses its strength within those labels; see `mfcl.evaluation.few_labels`. The test split is only predicted.
    Recordings of classes that the train split lacks are excluded from every split, and notes say so.

    Args:
        embeddings: Embeddings with `splits` train, valid and test.
        label: The label to predict.
        speaker: The label whose groups are resampled for the intervals; None makes each file a group.
        seed: Seed of the draws of few labels and of the bootstrap.
        fitted: What probes of the same arguments fitted before; it gets what these fit.

    Raises:
        MeasureError: a split is missing, or has only one class to train on or to test.
    """

    def __init__(
        self, embeddings: Embeddings, label: str, speaker: str | None, *, seed: int, fitted: Fitted | None = None
    ) -> None:
        self.embeddings, self.label, self.speaker, self.seed = embeddings, label, speaker, seed
        self._standard = standard_of(embeddings)
        self._rows = [usable(embeddings, label, split) for split in ("train", "valid", "test")]
        self.classes, self.counts = np.unique(embeddings.label(label)[self._rows[0]], return_counts=True)
        self.tested, self.truth = tested(embeddings, label, speaker), embeddings.label(label)[self._rows[2]]
        self._fitted = Fitted() if fitted is None else fitted

    @cached_property
    def _table(self) -> Labelled:
        """Standardised training, validation and test recordings, one after another: splits are views of it."""
        rows = np.concatenate(self._rows)
        return standardised(self.embeddings, self._standard, rows), self.embeddings.label(self.label)[rows]

    def _part(self, first: int, last: int) -> Labelled:
        """Return the splits from one to another (0 train, 1 valid, 2 test; the last is not in it)."""
        ends = [0, *np.cumsum([len(rows) for rows in self._rows]).tolist()]
        vectors, values = self._table
        return vectors[ends[first] : ends[last]], values[ends[first] : ends[last]]

    @property
    def train(self) -> Labelled:
        """The training recordings: standardised vectors and labels."""
        return self._part(0, 1)

    @property
    def test(self) -> Labelled:
        """The tested recordings."""
        return self._part(2, 3)

    @property
    def all_labels(self) -> ProbeResult:
        """The linear probe fitted on all labels."""
        if self._fitted.all_labels is None:
            known = self._part(0, 2)
            self._fitted.all_labels = linear_probe(self.train, self._part(1, 2), self.test, together=known)
        return self._fitted.all_labels

    def few(self, per_class: int) -> FewLabelResult:
        """Return the linear probes fitted on `per_class` labels per class; classes with fewer are excluded."""
        if per_class in self._fitted.few:
            return self._fitted.few[per_class]
        enough = self.enough(per_class)
        train, test = (among(part, enough) for part in (self.train, self.test))
        found = few_label_probe(train, test, per_class, seed=self.seed)
        if per_class == FEW:
            self._fitted.few[per_class] = found
        return found

    def enough(self, per_class: int) -> Names:
        """Return the classes with at least `per_class` training recordings."""
        return self.classes[self.counts >= per_class]

    def can_few(self, per_class: int) -> bool:
        """Return whether two or more classes have `per_class` labels and test recordings."""
        enough = self.enough(per_class)
        return len(enough) > 1 and int(np.isin(enough, self.truth).sum()) > 1

    def question(self, per_class: int | None = None) -> Question:
        """Return the question of a linear probe with `per_class` labels per class; None for all labels."""
        asked = Question("labels", "accuracy", self.label, LINEAR, per_class)
        every = len(self.classes)
        enough = every if per_class is None else len(self.enough(per_class))
        return asked if enough == every else replace(asked, classes=enough, of_classes=every)

    def measures(self) -> list[Result]:
        """Return the section `labels`; see `measure_labels`."""
        found = [self.by_all()]
        if self.can_few(FEW):
            found.append(self.by_few(FEW))
        whitened, known = self.embeddings.whitened, np.concatenate(self._rows[:2])
        names = self.embeddings.label(self.label)[known]
        nearest = knn_predict(whitened[known], names, whitened[self._rows[2]], min(NEIGHBOURS, len(names)))
        found.append(self._accuracy(Question("labels", "accuracy", self.label, KNN), nearest))
        return found

    def efficiency(self, counts: Sequence[int] = COUNTS) -> list[Result]:
        """Return the section `efficiency`; see `measure_efficiency`."""
        found = [
            self.by_few(count, x=float(count))
            for count in counts
            if len(self.enough(count)) == len(self.classes)  # accuracy over fewer classes would not be comparable
        ]
        mean = sum(map(len, self._rows[:2])) / len(self.classes)  # it is fitted on training and validation together
        return [one.asked(section="efficiency") for one in (*found, self.by_all(x=mean))]

    def by_all(self, *, x: float | None = None) -> Result:
        """Return the accuracy of the probe with all labels."""
        return self._accuracy(self.question(), self.all_labels.predictions, x=x)

    def by_few(self, per_class: int, *, x: float | None = None) -> Result:
        """Return the mean accuracy over draws of the probes with `per_class` labels per class."""
        about = self._asked_few(self.tested, self.truth, per_class)
        return over_draws(about, self.question(per_class), self.few(per_class).rights, x=x)

    def clean(self, per_class: int | None = None) -> Result:
        """Return the accuracy on clean test recordings, the reference of `under`."""
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
        """Return the accuracy of clean-trained probes on embeddings of noisy or re-levelled test recordings.

        Args:
            disturbed: Embeddings of the altered recordings; they are standardised by the clean train split.
            condition: How they were altered; see `mfcl.evaluation.result.CONDITIONS`.
            value: Signal-to-noise ratio or gain in dB.
            x: Position on the chart's x axis, such as the signal-to-noise ratio in dB.
            per_class: Labels per class of the probe; default: all.
        """
        question = replace(self.question(per_class), section="robustness", condition=condition, condition_value=value)
        rows = usable(disturbed, self.label, "test", self.classes)
        test = standardised(disturbed, self._standard, rows), disturbed.label(self.label)[rows]
        asked = tested(disturbed, self.label, self.speaker, self.classes)
        if per_class is None:
            predicted = self.all_labels.classifier.predict(test[0])
            return asked.accuracy(question, predicted == test[1], seed=self.seed, x=x, predicted=predicted)
        about = self._asked_few(asked, test[1], per_class)
        test = among(test, self.enough(per_class))
        rights = np.stack([found.predict(test[0]) == test[1] for found in self.few(per_class).classifiers])
        return over_draws(about, question, rights, x=x)

    def _asked_few(self, about: Tested, values: Names, per_class: int) -> Tested:
        """Keep the tested items of classes with at least `per_class` training recordings, and note the others."""
        enough = self.enough(per_class)
        lost = np.setdiff1d(self.classes, enough)
        text = f"left out for fewer than {per_class} labels: {some(lost)}"
        return about.select(np.isin(values, enough), text) if len(lost) else about

    def _accuracy(
        self, question: Question, predicted: Shaped[np.ndarray, " items"], *, x: float | None = None
    ) -> Result:
        return self.tested.accuracy(question, predicted == self.truth, seed=self.seed, x=x, predicted=predicted)


def measure_labels(embeddings: Embeddings, label: str, speaker: str | None, *, seed: int) -> list[Result]:
    """Measure label accuracy: linear probe with all and with few labels per class, and kNN.

    The few-label probe excludes classes with fewer labels; its question says how many classes remain. See
    `LabelProbes`, which can be reused for other evaluations without refitting.
    """
    return LabelProbes(embeddings, label, speaker, seed=seed).measures()


def measure_efficiency(
    embeddings: Embeddings, label: str, speaker: str | None, *, counts: Sequence[int] = COUNTS, seed: int
) -> list[Result]:
    """Measure the linear probe's accuracy against the number of labels: each of `counts` per class, then all.

    Counts above the size of the rarest class are skipped. `x` is the number of labels per class that the probe is
    fitted on; for all labels the mean, those of the validation split included.
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
    """Measure a clean-trained linear probe on altered test recordings; see `LabelProbes.under`."""
    probes = LabelProbes(clean, label, speaker, seed=seed)
    return probes.under(disturbed, condition=condition, value=value, x=x, per_class=per_class)
