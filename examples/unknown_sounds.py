"""What a classifier of few labels refuses: python examples/unknown_sounds.py EMBEDDINGS --label digit --without 7 8 9

Twenty chosen train clips are labelled truly, their labels are spread, and the classifier is asked about the clips of
`--part`. Without `--without` all classes are labelled. With it, the named classes are strange: they are left out of
the collection, or with `--in-collection` stay in it without labels. `--strange FILE` asks about other embeddings of the
same model too, all of whose clips are strange.
"""

import argparse
from pathlib import Path

import numpy as np

from mfcl import Collection, Embeddings, load_embeddings
from mfcl.core.console import table
from mfcl.labelling.classifier import UNKNOWN, LabelClassifier

AMONG = 4
"""Suggestions for each label, of which the strange ones are passed over."""


def main() -> None:
    """Print a row for each kind of clip."""
    given = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    given.add_argument("embeddings", type=Path, help="an .npz file of mfcl embed, or one of a study")
    given.add_argument("--label", required=True, help="column of the true labels")
    given.add_argument("--part", default="valid", choices=("valid", "test"), help="clips to ask about")
    given.add_argument("--labels", type=int, default=20, help="clips that are chosen and labelled")
    given.add_argument("--without", nargs="+", default=[], help="classes that get no label")
    given.add_argument("--in-collection", action="store_true", help="clips of those classes are in the collection")
    given.add_argument("--strange", type=Path, nargs="+", default=[], help="embeddings of other sounds, same model")
    told = given.parse_args()
    whole = load_embeddings(told.embeddings)
    strange = np.isin(whole.label(told.label), told.without)
    kept = (whole.splits == "train") & (told.in_collection | ~strange)
    known = whole.select(np.flatnonzero(kept))
    classifier = fitted(known, known.label(told.label), told)
    asked = whole.splits == told.part
    rows = [asked_about(f"{told.part}, labelled classes", classifier, whole.select(np.flatnonzero(asked & ~strange)),
                        told.label)]  # fmt: skip
    if told.without:
        few = whole.select(np.flatnonzero(asked & strange))
        rows.append(asked_about(f"{told.part}, {' '.join(told.without)}", classifier, few, None))
    rows += [asked_about(file.stem, classifier, load_embeddings(file), None) for file in told.strange]
    print(table(rows, ["clips", "number", "refused, %", "read wrong", "of these refused"]))


def fitted(known: Embeddings, truth: np.ndarray, told: argparse.Namespace) -> LabelClassifier:
    """Return the classifier of the clips that are suggested; strange ones among them are passed over."""
    collection = Collection(known)
    order = collection.suggest(min(len(known), AMONG * told.labels))
    chosen = order[~np.isin(truth[order], told.without)][: told.labels]
    labels = np.full(len(known), "", dtype=truth.dtype)
    labels[chosen] = truth[chosen]
    return collection.fit(labels).classifier


def asked_about(name: str, classifier: LabelClassifier, clips: Embeddings, label: str | None) -> list[object]:
    """Return what the classifier says of some clips: how many it refuses, and what it would have got wrong."""
    answers = classifier.predict(clips)
    refused = answers.labels == UNKNOWN
    row: list[object] = [name, len(clips), f"{100 * refused.mean():.1f}"]
    if label is None:
        return [*row, "-", "-"]
    wrong = answers.likeliest != clips.label(label)
    return [*row, int(wrong.sum()), int((wrong & refused).sum())]


if __name__ == "__main__":
    main()
