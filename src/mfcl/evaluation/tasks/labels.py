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
NAMED = 3
"""Classes that a text names."""


class LabelProbes:
    """The questions about one label of one embedding; a classifier is fitted once, whichever figures ask for it.

    Vectors are standardised on the training part, and for kNN whitened by it. A probe's strength is chosen on the
    validation part, then the probe of all labels is fitted on both. The test part is only predicted. A class that
    training lacks cannot be predicted: its recordings are left out of every part, and the figures say so.

    Args:
        embeddings: Of all parts, with `splits` train, valid and test.
        label: The label to predict.
        speaker: The label whose values are resampled for the intervals; each recording is its own if left out.
        seed: For the draws of few labels and the bootstrap.

    Raises:
        MeasureError: a part is missing, or the label has a single value to train on or to test.
    """

    def __init__(self, embeddings: Embeddings, label: str, speaker: str | None, *, seed: int) -> None:
        self.embeddings, self.label, self.speaker, self.seed = embeddings, label, speaker, seed
        vectors = standardised(embeddings)
        self.train, self.valid, self.test = (
            labelled(embeddings, vectors, label, part) for part in ("train", "valid", "test")
        )
        self.classes, self.counts = np.unique(self.train[1], return_counts=True)
        self.tested = tested(embeddings, label, speaker)
        self._few: dict[int, FewLabelResult] = {}

    @cached_property
    def all_labels(self) -> ProbeResult:
        """The linear probe that knows all labels."""
        return linear_probe(self.train, self.valid, self.test)

    def few(self, per_class: int) -> FewLabelResult:
        """Return the linear probes that know as many labels of each class that has so many; others are left out."""
        if per_class not in self._few:
            enough = self.enough(per_class)
            train, valid, test = (among(part, enough) for part in (self.train, self.valid, self.test))
            self._few[per_class] = few_label_probe(train, valid, test, per_class, seed=self.seed)
        return self._few[per_class]

    def enough(self, per_class: int) -> Names:
        """Return the classes that have as many training recordings."""
        return self.classes[self.counts >= per_class]

    def can_few(self, per_class: int) -> bool:
        """Return whether there are two classes or more to ask with as many labels of each."""
        enough = self.enough(per_class)
        valid, test = (among(part, enough)[1] for part in (self.valid, self.test))
        return len(enough) > 1 and len(valid) > 0 and len(np.unique(test)) > 1

    def few_words(self, per_class: int) -> str:
        """Return how few labels are told of in the names of figures."""
        count = len(self.enough(per_class))
        words = f"{per_class} labels a class"
        return words if count == len(self.classes) else f"{words}, {count} of {len(self.classes)} classes"

    def measures(self) -> list[Measure]:
        """Return the table `labels`; see `measure_labels`."""
        found = [self.by_all("labels", f"{self.label}, linear probe, all labels")]
        if self.can_few(FEW):
            found.append(self.by_few("labels", f"{self.label}, linear probe, {self.few_words(FEW)}", FEW))
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
            if len(self.enough(count)) == len(self.classes)  # of fewer classes a point would not be of the same curve
        ]
        mean = len(self.train[1]) / len(self.classes)
        return [*found, self.by_all("efficiency", f"{self.label}, all labels", x=mean)]

    def by_all(self, table: str, task: str, *, x: float | None = None) -> Measure:
        """Return the figure of the probe that knows all labels."""
        return self._accuracy(table, task, self.all_labels.predictions, x=x)

    def by_few(self, table: str, task: str, per_class: int, *, x: float | None = None) -> Measure:
        """Return the figure of the probes that know as many labels of each class, mean of their draws."""
        about = self._asked_few(self.tested, self.test[1], per_class)
        return about.accuracy(table, task, self.few(per_class).correct, seed=self.seed, x=x)

    def under(self, disturbed: Embeddings, *, task: str, x: float | None, per_class: int | None = None) -> Measure:
        """Return what the probes fitted on these embeddings read from the test part of disturbed ones.

        Args:
            disturbed: Of the same recordings, made otherwise; standardised by the clean training part.
            task: What was asked, in words.
            x: Where the figure stands on the chart's axis, such as the dB of the noise.
            per_class: Labels of each class that the probe knows; all if left out.
        """
        test = labelled(disturbed, standardised(disturbed, by=self.embeddings), self.label, "test", self.classes)
        asked = tested(disturbed, self.label, self.speaker, self.classes)
        if per_class is None:
            predicted = self.all_labels.classifier.predict(test[0])
            right = predicted == test[1]
            return asked.accuracy("robustness", task, right, seed=self.seed, x=x, predicted=predicted)
        about = self._asked_few(asked, test[1], per_class)
        test = among(test, self.enough(per_class))
        rights = [found.predict(test[0]) == test[1] for found in self.few(per_class).classifiers]
        return about.accuracy("robustness", task, np.mean(rights, axis=0), seed=self.seed, x=x)

    def _asked_few(self, about: Tested, values: Names, per_class: int) -> Tested:
        """Return the tested items of the classes that have as many training recordings."""
        enough = self.enough(per_class)
        lost = np.setdiff1d(self.classes, enough)
        text = f"left out for fewer than {per_class} labels: {some(lost)}"
        return about.select(np.isin(values, enough), text) if len(lost) else about

    def _accuracy(
        self, table: str, task: str, predicted: Shaped[np.ndarray, " items"], *, x: float | None = None
    ) -> Measure:
        return self.tested.accuracy(table, task, predicted == self.test[1], seed=self.seed, x=x, predicted=predicted)


def measure_labels(embeddings: Embeddings, label: str, speaker: str | None, *, seed: int) -> list[Measure]:
    """Measure how much of a label lies in embeddings: linear probe with all and with few labels, and kNN.

    The figure of few labels is of the classes that have as many; its name says of how many.

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


def labelled(embeddings: Embeddings, vectors: Vectors, label: str, part: str, classes: Names | None = None) -> Labelled:
    """Return a part's vectors and labels; recordings without one, or of a class that training lacks, are left out.

    Args:
        embeddings: Of all parts.
        vectors: A row each.
        label: The label.
        part: `train`, `valid` or `test`.
        classes: Those of training; of the embeddings' own training part if left out.

    Raises:
        MeasureError: nothing is left, or a single value to train on or to test.
    """
    chosen = having(embeddings, label, part, classes)
    values = embeddings.label(label)[chosen]
    kinds, wanted = len(np.unique(values)), 1 if part == "valid" else 2
    if kinds < wanted:
        also = "" if part == "train" else " that training has"
        raise MeasureError(
            f"label {label!r}: wanted {wanted} or more values in the {part} part, got {kinds}{also} in {len(chosen)} "
            "recordings; choose another label or split"
        )
    return vectors[chosen], values


def tested(embeddings: Embeddings, label: str, speaker: str | None, classes: Names | None = None) -> Tested:  # noqa: PT028
    """Return the test part's recordings that are measured; each is its own group without a speaker."""
    chosen = having(embeddings, label, "test", classes)
    every = np.flatnonzero(embeddings.splits == "test")
    values = embeddings.label(label)
    nameless = int((values[every] == "").sum())
    unknown = np.setdiff1d(every[values[every] != ""], chosen)
    said = [f"{nameless} without {label!r}"] if nameless else []
    if len(unknown):
        said.append(f"{len(unknown)} of {some(np.unique(values[unknown]))}, which training lacks")
    groups = embeddings.label(speaker) if speaker else embeddings.ids
    text = f"left out of {len(every)} test recordings: {', '.join(said)}" if said else ""
    return Tested(embeddings.ids[chosen], groups[chosen], values[chosen], text)


def having(embeddings: Embeddings, label: str, part: str, classes: Names | None = None) -> Names:
    """Return the places of a part's recordings that have the label, and a value of it that training has."""
    values = embeddings.label(label)
    known = values[embeddings.splits == "train"] if classes is None else classes
    return np.flatnonzero((embeddings.splits == part) & (values != "") & np.isin(values, known))


def among(part: Labelled, classes: Names) -> Labelled:
    """Return the items of some classes only."""
    mask = np.isin(part[1], classes)
    return part[0][mask], part[1][mask]


def some(names: Names) -> str:
    """Return how many classes there are, and the first few of them.

    Example:
        >>> some(np.array(["rare"])), some(np.array(list("abcde")))
        ('1 class (rare)', '5 classes (a, b, c, ...)')
    """
    listed = ", ".join(str(name) for name in names[:NAMED]) + (", ..." if len(names) > NAMED else "")
    return f"{len(names)} class{'es' if len(names) != 1 else ''} ({listed})"
