"""Few labels counted in all: drawn at random or chosen, read by a linear probe or by spreading them over a graph."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Int64, Shaped

from mfcl.core.random import generator
from mfcl.data.labels import few_labels
from mfcl.embeddings.table import Embeddings
from mfcl.errors import MeasureError
from mfcl.evaluation.few_labels import DRAWS, few_label_classifiers
from mfcl.evaluation.knn import vote
from mfcl.evaluation.neighbourhood import READ_BY, Neighbourhood
from mfcl.evaluation.result import (
    CHOSEN,
    KNN,
    LINEAR,
    RANDOM,
    SPREAD,
    Question,
    Result,
    Tested,
    over_draws,
)
from mfcl.evaluation.standard import standardised
from mfcl.evaluation.tasks.labelled_rows import having, tested
from mfcl.evaluation.wording import NEIGHBOURS
from mfcl.labelling import propagate_each, suggest

IN_ALL = (10, 20, 50, 100, 200)
"""Known labels in all."""
Drawn = Int64[np.ndarray, "_ _"]


def measure_labels_in_all(
    near: Neighbourhood,
    embeddings: Embeddings,
    label: str,
    speaker: str | None,
    *,
    probed: bool = True,
    counts: Sequence[int] = IN_ALL,
    seed: int,
) -> list[Result]:
    """Measure accuracy with so many known labels in all, and with one a class.

    The labels are those of training and validation recordings: drawn at random, whatever their classes, as the mean of
    several draws; or of the recordings that `suggest` chooses without any label. They are read by a linear probe, and
    by spreading them over the graph of nearest recordings, whose scores the ten nearest of a test recording vote with.
    A class that no known label names cannot be predicted: its test recordings count as wrong. Counts above the number
    of recordings are left out, and so are probes where every label of a draw names one class.

    Args:
        near: The neighbours of these recordings.
        embeddings: Their vectors, labels and splits.
        label: The label to predict.
        speaker: The label whose groups are resampled for the intervals; None makes each file a group.
        probed: Fit linear probes too; False where the neighbours come from no vectors.
        counts: Known labels in all.
        seed: Seed of the draws.

    Raises:
        MeasureError: fewer than two classes to learn from or to test.
    """
    values = embeddings.label(label)
    wanted = having(embeddings, label, "test")
    asked = np.flatnonzero(np.isin(near.tested, wanted))
    usable = np.flatnonzero(values[near.known] != "")  # a recording without a label can be a neighbour, not an answer
    if len(np.unique(values[near.known][usable])) < 2 or len(np.unique(values[wanted])) < 2:
        raise MeasureError(f"label {label!r}: wanted 2 or more values to learn from and to test; choose another label")
    about = tested(embeddings, label, speaker)
    known_values = values[near.known]
    order = _suggested(near, usable, max((count for count in counts if count <= len(usable)), default=0), seed)
    sets: list[tuple[Question, Drawn]] = []
    for count in (count for count in counts if count <= len(usable)):
        shuffled = [generator(seed, "labels in all", draw).permutation(usable)[:count] for draw in range(DRAWS)]
        for selection, drawn in ((RANDOM, np.stack(shuffled)), (CHOSEN, order[None, :count])):
            question = Question("efficiency", "accuracy", label, SPREAD, labels_in_all=count, selection=selection)
            sets.append((question, drawn))
    one_each = [usable[few_labels(known_values[usable], 1, seed=seed, draw=draw)] for draw in range(DRAWS)]
    sets.append((Question("efficiency", "accuracy", label, SPREAD, labels_per_class=1), np.stack(one_each)))
    spread = _spread(near, asked, known_values, [drawn for _, drawn in sets])
    found = [
        over_draws(about, question, predicted == about.truth)
        for (question, _), predicted in zip(sets, spread, strict=True)
    ]
    return found + (_probed(near, embeddings, about, known_values, wanted, sets[:-1], seed) if probed else [])


def measure_nearest(
    near: Neighbourhood, embeddings: Embeddings, label: str, speaker: str | None, *, seed: int
) -> Result:
    """Measure 5-NN of the test recordings among the labelled training and validation recordings.

    Args:
        near: The neighbours of these recordings, see `with_answers`.
        embeddings: Labels and splits.
        label: The label to predict.
        speaker: The label whose groups are resampled for the intervals; None makes each file a group.
        seed: Seed of the interval.

    Raises:
        MeasureError: a recording that could be a neighbour has no label, or one that training lacks.
    """
    lacking = np.setdiff1d(near.known, np.flatnonzero(with_answers(embeddings, label) != ""))
    if len(lacking):
        raise MeasureError(f"neighbours: {len(lacking)} of {len(near.known)} have no {label!r} to vote with")
    values = embeddings.label(label)
    wanted = having(embeddings, label, "test")
    about = tested(embeddings, label, speaker)
    asked = near.tested_places[np.isin(near.tested, wanted)]
    classes, codes = np.unique(values[near.known], return_inverse=True)
    k = min(NEIGHBOURS, asked.shape[1])
    predicted = classes[vote(codes[asked], len(classes), [k])[0]]
    question = Question("labels", "accuracy", label, KNN)
    return about.accuracy(question, predicted == about.truth, seed=seed, predicted=predicted)


def with_answers(embeddings: Embeddings, label: str) -> Shaped[np.ndarray, " items"]:
    """Return the splits without training and validation recordings that cannot answer what a label is.

    Those have none, or in validation one that training lacks: no probe and no kNN learns from them.
    """
    splits = embeddings.splits.copy()
    for split in ("train", "valid"):
        rows = np.flatnonzero(splits == split)
        splits[np.setdiff1d(rows, having(embeddings, label, split))] = ""
    return splits


def _suggested(near: Neighbourhood, usable: Int64[np.ndarray, " _"], count: int, seed: int) -> Int64[np.ndarray, " _"]:
    """Return the recordings to label, most useful first; those without a label are passed over."""
    if not count:
        return np.empty(0, dtype=np.int64)
    lacking = len(near.known) - len(usable)
    order = suggest(near.graph, min(count + lacking, len(near.known)), seed=seed)
    return order[np.isin(order, usable)][:count]


def _spread(
    near: Neighbourhood,
    asked: Int64[np.ndarray, " tested"],
    values: Shaped[np.ndarray, " known"],
    sets: Sequence[Drawn],
) -> list[Shaped[np.ndarray, "_ tested"]]:
    """Return the labels that the test recordings get by each draw of each set."""
    labels = np.full((sum(len(drawn) for drawn in sets), len(values)), "", dtype=values.dtype)
    for row, own in zip(labels, (own for drawn in sets for own in drawn), strict=True):
        row[own] = values[own]
    places, distances = near.tested_places[asked][:, :READ_BY], near.tested_distances[asked][:, :READ_BY]
    read = np.stack([spread.read(places, distances).labels for spread in propagate_each(near.graph, labels)])
    return np.split(read, np.cumsum([len(drawn) for drawn in sets])[:-1])


def _probed(
    near: Neighbourhood,
    embeddings: Embeddings,
    about: Tested,
    values: Shaped[np.ndarray, " known"],
    wanted: Int64[np.ndarray, " tested"],
    sets: Sequence[tuple[Question, Drawn]],
    seed: int,
) -> list[Result]:
    """Return the accuracy of linear probes on the same known labels."""
    vectors = standardised(embeddings, rows=np.concatenate([near.known, wanted]))
    known, test = vectors[: len(near.known)], vectors[len(near.known) :]
    found = []
    for question, drawn in sets:
        if any(len(np.unique(values[own])) < 2 for own in drawn):
            continue
        classifiers = few_label_classifiers(known, values, drawn, seed=seed)
        rights: Bool[np.ndarray, "_ _"] = np.stack([one.predict(test) == about.truth for one in classifiers])
        asked = Question(
            question.section, question.metric, question.label, LINEAR, labels_in_all=question.labels_in_all,
            selection=question.selection,
        )  # fmt: skip
        found.append(over_draws(about, asked, rights))
    return found
