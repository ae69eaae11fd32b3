"""What one representation is worth: the same questions for an encoder's embeddings and for every control."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float32

from mfcl.embeddings import Embeddings
from mfcl.errors import MeasureError
from mfcl.neighbours import knn_predict
from mfcl.probe import few_labels, linear_probe
from mfcl.scores import bootstrap_interval
from mfcl.voices import identify, identify_apart, verify

FEW = 10
"""Labels a class of the few-label row."""
DRAWS = 5
"""How often they are drawn; the row is the mean."""
NEIGHBOURS = 5

Vectors = Float32[np.ndarray, "items dim"]
Parts = dict[str, tuple[Vectors, np.ndarray]]


@dataclass(frozen=True)
class Measure:
    """One figure with its interval.

    Attributes:
        table: `labels` or `voices`.
        task: What was asked, in words.
        metric: `accuracy` or `eer`, in percent.
        value: The figure.
        low: Lower end of its 95 % interval, bootstrapped over speakers.
        high: Upper end.
        n: Test items, or pairs, behind it.
    """

    table: str
    task: str
    metric: str
    value: float
    low: float
    high: float
    n: int


def measure_labels(embeddings: Embeddings, label: str, speaker: str | None, *, seed: int) -> list[Measure]:
    """Measure how much of a label lies in embeddings: linear probe with all and with few labels, and kNN.

    Features are standardised on the training part; the probe's strength is chosen on the validation part, then the
    probe is fitted on both. The test part is only predicted.

    Args:
        embeddings: Of all parts, with `splits` train, valid and test.
        label: The label to predict.
        speaker: The label whose values are resampled for the interval; each recording is its own if left out.
        seed: For the draws of few labels and the bootstrap.

    Raises:
        MeasureError: a part is missing, or the label has a single value in it.
    """
    parts = labelled_parts(embeddings, label)
    (train_x, train_y), (valid_x, valid_y), (test_x, test_y) = (parts[name] for name in ("train", "valid", "test"))
    groups = _groups(embeddings, label, speaker)
    probe = linear_probe((train_x, train_y), (valid_x, valid_y), (test_x, test_y))
    found = [_accuracy(f"{label}, linear probe, all labels", probe.predictions == test_y, groups, seed)]

    few_correct = np.zeros(len(test_y), dtype=np.float64)
    smallest = int(np.unique(train_y, return_counts=True)[1].min())
    if smallest >= FEW:
        for draw in range(DRAWS):
            chosen = few_labels(train_y, FEW, seed=seed * DRAWS + draw)
            few = linear_probe((train_x[chosen], train_y[chosen]), (valid_x, valid_y), (test_x, test_y), refit=False)
            few_correct += (few.predictions == test_y) / DRAWS
        found.append(_accuracy(f"{label}, linear probe, {FEW} labels a class", few_correct, groups, seed))

    gallery_x, gallery_y = np.concatenate([train_x, valid_x]), np.concatenate([train_y, valid_y])
    nearest = knn_predict(gallery_x, gallery_y, test_x, NEIGHBOURS)
    found.append(_accuracy(f"{label}, {NEIGHBOURS}-NN, no training", nearest == test_y, groups, seed))
    return found


def measure_voices(embeddings: Embeddings, label: str | None, speaker: str, *, seed: int) -> list[Measure]:
    """Measure how much of the speaker lies in embeddings of speakers never seen: identification and verification.

    Args:
        embeddings: Of all parts; the test part is measured, the training part only standardises it.
        label: What is said; half of each (speaker, label) is enrolled, and words are kept apart by it.
        speaker: The label that names the voice.
        seed: For who is enrolled and the bootstrap.

    Raises:
        MeasureError: the test part has one speaker, or one clip of each.
    """
    test = np.flatnonzero((embeddings.splits == "test") & (embeddings.labels[speaker] != ""))
    vectors = standardised(embeddings)[test]
    voices = embeddings.labels[speaker][test]
    words = embeddings.labels[label][test] if label else np.full(len(test), "", dtype="<U1")
    same = identify(vectors, voices, words, seed=seed)
    found = [_accuracy("voices, kNN, half of each enrolled", same.correct, same.speakers, seed, table="voices")]
    if len(np.unique(words)) > 1:
        apart = identify_apart(vectors, voices, words)
        task = f"voices, {label} of enrolment and test apart"
        found.append(_accuracy(task, apart.correct, apart.speakers, seed, table="voices"))
    pairs = verify(vectors, voices, centre=np.zeros(vectors.shape[1], dtype=np.float32), seed=seed)
    eer, low, high = (100 * value for value in (pairs.eer, pairs.low, pairs.high))
    found.append(Measure("voices", "voices, all pairs of unseen speakers", "eer", eer, low, high, pairs.pairs))
    return found


def standardised(embeddings: Embeddings) -> Vectors:
    """Return the vectors with the training part's mean and deviation taken out, each format scaled to length 1.

    Without it the format with the larger numbers decides every cosine; controls are treated alike.
    """
    train = embeddings.vectors[embeddings.splits == "train"].astype(np.float64)
    if len(train) < 2:
        raise MeasureError(f"wanted 2 or more training recordings to standardise by, got {len(train)}")
    deviation = np.maximum(train.std(axis=0), 1e-6 * max(1e-6, float(train.std())))
    scaled = (embeddings.vectors - train.mean(axis=0)) / deviation
    for start, stop in embeddings.parts.values():
        part = scaled[:, start:stop]
        part /= np.maximum(np.linalg.norm(part, axis=1, keepdims=True), 1e-12)
    return scaled.astype(np.float32)


def labelled_parts(embeddings: Embeddings, label: str) -> Parts:
    """Return train, valid and test vectors, standardised, with their labels; recordings without one are left out."""
    vectors, values = standardised(embeddings), embeddings.labels[label]
    parts = {}
    for name in ("train", "valid", "test"):
        chosen = (embeddings.splits == name) & (values != "")
        if len(np.unique(values[chosen])) < 2:
            raise MeasureError(
                f"label {label!r}: wanted 2 or more values in the {name} part, got {len(np.unique(values[chosen]))} "
                f"in {int(chosen.sum())} recordings; choose another label or split"
            )
        parts[name] = (vectors[chosen], values[chosen])
    return parts


def _groups(embeddings: Embeddings, label: str, speaker: str | None) -> np.ndarray:
    test = (embeddings.splits == "test") & (embeddings.labels[label] != "")
    return embeddings.labels[speaker][test] if speaker else embeddings.ids[test]


def _accuracy(
    task: str, correct: Bool[np.ndarray, " items"] | np.ndarray, groups: np.ndarray, seed: int, *, table: str = "labels"
) -> Measure:
    values = 100.0 * np.asarray(correct, dtype=np.float64)
    low, high = bootstrap_interval(values, groups, seed=seed)
    return Measure(table, task, "accuracy", float(values.mean()), low, high, len(values))
