"""How many labels make a classifier: python examples/label_from_nothing.py EMBEDDINGS --label digit --speaker speaker

A simulated person labels what the explorer suggests: true labels stand in for the answers, and the clips to label come
from the train part alone. After 10, 20, ... labels a classifier is fitted and read on other clips (`--part`, by default
valid), which nothing was chosen by. Beside it stand the same classifier of as many labels drawn at random, and linear
probes on those and on twice as many, by the part of the embedding, whitened or not, that does best on those clips.
Intervals are over speakers where they are named, else over recordings.
"""

import argparse
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from mfcl import Collection, Embeddings, load_embeddings
from mfcl.core.console import table
from mfcl.core.random import generator
from mfcl.evaluation.bootstrap import bootstrap_interval
from mfcl.labelling.logistic import fit_classifiers

STEP = 10
STRENGTH = 0.1
"""L2 strength of the probe, as a share of the mean squared length of a standardised vector."""


def main() -> None:
    """Print a row for each number of labels."""
    given = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    given.add_argument("embeddings", type=Path, help="an .npz file of mfcl embed, or one of a study")
    given.add_argument("--label", required=True, help="column of the true labels")
    given.add_argument("--speaker", help="column of the speakers, for the intervals")
    given.add_argument("--part", default="valid", choices=("valid", "test"), help="clips to read the classifier on")
    given.add_argument("--labels", type=int, nargs="+", default=[10, 20, 30, 40, 60], help="numbers of labels")
    given.add_argument("--draws", type=int, default=5, help="random draws of labels")
    told = given.parse_args()
    whole = load_embeddings(told.embeddings)
    named = whole.label(told.label) != ""  # the person knows no other answers
    known, others = (whole.select(np.flatnonzero(named & (whole.splits == part))) for part in ("train", told.part))
    truth, answers = known.label(told.label), others.label(told.label)
    groups = others.label(told.speaker) if told.speaker else others.ids
    collection = Collection(known)
    labels, rows = np.full(len(known), "", dtype=truth.dtype), []
    for count in sorted(told.labels):
        while (labels != "").sum() < count:
            given_labels = labels if (labels != "").any() else None
            few = min(STEP, count - int((labels != "").sum()))
            way = collection.choose(labels).name if given_labels is not None else None
            chosen = collection.suggest(few, given_labels, way=way)
            labels[chosen] = truth[chosen]  # what the person says
        fitted = collection.fit(labels)
        right = fitted.classifier.predict(others).likeliest == answers
        spread = fitted.spread.labels[labels == ""] == truth[labels == ""]
        probes = [probed(collection, others, told, size) for size in (count, 2 * count)]
        spread_too = spread_at_random(collection, others, told, count)
        left = f"{100 * spread.mean():.1f}"
        rows.append([count, fitted.way, figure(right, groups), left, spread_too, *probes])
    heads = [
        "labels",
        "spread by",
        f"classifier, {told.part}",
        "train clips left",
        "the same, random",
        "probe, random",
        "probe, twice as many",
    ]
    print(table(rows, heads))


def figure(right: np.ndarray, groups: np.ndarray) -> str:
    """Return an accuracy in percent with its interval over groups."""
    found = bootstrap_interval(right.astype(float), groups, seed=0)
    ends = "no interval" if found.low is None else f"{100 * found.low:.1f}, {100 * found.high:.1f}"
    return f"{100 * right.mean():.1f} [{ends}]"


def drawn(told: argparse.Namespace, truth: np.ndarray, count: int) -> list[np.ndarray]:
    """Return random draws of clips to label, of two classes or more."""
    draws = (generator(draw, "labels").permutation(len(truth))[:count] for draw in range(told.draws))
    return [some for some in draws if len(np.unique(truth[some])) > 1]


def spread_at_random(collection: Collection, others: Embeddings, told: argparse.Namespace, count: int) -> str:
    """Return the mean accuracy of classifiers of labels that were drawn at random and spread."""
    truth, answers, shares = collection.embeddings.label(told.label), others.label(told.label), []
    for some in drawn(told, truth, count):
        labels = np.full(len(truth), "", dtype=truth.dtype)
        labels[some] = truth[some]
        shares.append((collection.fit(labels).classifier.predict(others).likeliest == answers).mean())
    return f"{100 * np.mean(shares):.1f}"


def probed(collection: Collection, others: Embeddings, told: argparse.Namespace, count: int) -> str:
    """Return the mean accuracy of linear probes on labels that were drawn at random, by the vectors that do best."""
    truth, answers = collection.embeddings.label(told.label), others.label(told.label)
    best = 0.0
    for vectors, asked in readable(collection, others):
        strength = STRENGTH * vectors.shape[1]
        shares = []
        for some in drawn(told, truth, count):
            probe = fit_classifiers(vectors[some], truth[some], standard=vectors, strengths=[strength])[strength]
            shares.append(float((probe.predict(asked) == answers).mean()))
        best = max(best, float(np.mean(shares)))
    return f"{100 * best:.1f}"


def readable(collection: Collection, others: Embeddings) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield what a probe may read of the collection and of the others: features, whitened, and values as they are."""
    for kind in collection.features:
        yield collection.matrix(kind.name), kind(others)
    here = collection.embeddings
    yield here.vectors, others.vectors
    for role in ("words", "voices"):
        if any(role in part for part in here.parts):
            yield here.only(role).vectors, others.only(role).vectors


if __name__ == "__main__":
    main()
