"""What one representation is worth: the same questions for an encoder's embeddings and for every control."""

import dataclasses
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, Shaped

from mfcl.embeddings import Embeddings
from mfcl.errors import MeasureError
from mfcl.neighbours import knn_predict
from mfcl.probe import few_label_probe, linear_probe
from mfcl.scores import bootstrap_interval
from mfcl.voices import identify, identify_apart, verify

FEW = 10
"""Labels a class of the few-label row."""
NEIGHBOURS = 5

Vectors = Float32[np.ndarray, "_ _"]
Names = Shaped[np.ndarray, " _"]


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
    vectors = standardised(embeddings)
    train, valid, test = (_labelled(embeddings, vectors, label, name) for name in ("train", "valid", "test"))
    groups = _groups(embeddings, label, speaker)
    probe = linear_probe(train, valid, test)
    found = [_accuracy(f"{label}, linear probe, all labels", probe.correct, groups, seed)]
    if np.unique(train[1], return_counts=True)[1].min() >= FEW:
        few = few_label_probe(train, valid, test, FEW, seed=seed)
        found.append(_accuracy(f"{label}, linear probe, {FEW} labels a class", few.correct, groups, seed))
    known, names = np.concatenate([train[0], valid[0]]), np.concatenate([train[1], valid[1]])
    nearest = knn_predict(known, names, test[0], min(NEIGHBOURS, len(names)))
    found.append(_accuracy(f"{label}, {NEIGHBOURS}-NN, no training", nearest == test[1], groups, seed))
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
    voices = embeddings.label(speaker)
    test = np.flatnonzero((embeddings.splits == "test") & (voices != ""))
    vectors, voices = standardised(embeddings)[test], voices[test]
    words = embeddings.label(label)[test] if label else np.full(len(test), "any")
    same = identify(vectors, voices, words, seed=seed)
    found = [_accuracy("voices, kNN, half of each enrolled", same.correct, same.speakers, seed, table="voices")]
    if len(np.unique(words)) > 1:
        apart = identify_apart(vectors, voices, words)
        task = f"voices, kNN, {label}s of enrolment and test apart"
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
    scaled = ((embeddings.vectors - train.mean(axis=0)) / deviation).astype(np.float32)
    return dataclasses.replace(embeddings, vectors=scaled).scaled().vectors


def _labelled(embeddings: Embeddings, vectors: Vectors, label: str, part: str) -> tuple[Vectors, Names]:
    """Return a part's vectors and labels; recordings without one are left out."""
    values = embeddings.label(label)
    chosen = (embeddings.splits == part) & (values != "")
    kinds = len(np.unique(values[chosen]))
    if kinds < 2:
        raise MeasureError(
            f"label {label!r}: wanted 2 or more values in the {part} part, got {kinds} in {int(chosen.sum())} "
            "recordings; choose another label or split"
        )
    return vectors[chosen], values[chosen]


def _groups(embeddings: Embeddings, label: str, speaker: str | None) -> Names:
    test = (embeddings.splits == "test") & (embeddings.label(label) != "")
    names = embeddings.label(speaker) if speaker else embeddings.ids
    return np.asarray(names[test])


def _accuracy(
    task: str, correct: Shaped[np.ndarray, " items"], groups: Names, seed: int, *, table: str = "labels"
) -> Measure:
    values = 100.0 * np.asarray(correct, dtype=np.float64)
    low, high = bootstrap_interval(values, groups, seed=seed)
    return Measure(table, task, "accuracy", float(values.mean()), low, high, len(values))
