"""Embeddings of the same recordings: the items that all have, and a check that the same is asked of them."""

from collections.abc import Sequence

import numpy as np

from mfcl.embeddings.table import Embeddings
from mfcl.errors import MeasureError


def in_common(views: Sequence[Embeddings]) -> list[Embeddings]:
    """Keep the items that all embeddings have, in the order of the first.

    Raises:
        MeasureError: there are none, or an id is that of several items.
    """
    for number, view in enumerate(views, 1):
        ids, counts = np.unique(view.ids, return_counts=True)
        if (counts > 1).any():
            raise MeasureError(
                f"compare: {int((counts > 1).sum())} ids are of several items in number {number} of those to compare, "
                f"the first {str(ids[counts > 1][0])!r}; give each item an id of its own"
            )
    shared = set(views[0].ids.tolist()).intersection(*(view.ids.tolist() for view in views[1:]))
    if not shared:
        raise MeasureError("compare: no recording could be read by all of the runs; compare runs of one kind of sound")
    wanted = [name for name in views[0].ids.tolist() if name in shared]
    places = [{name: place for place, name in enumerate(view.ids.tolist())} for view in views]
    return [
        view.select(np.array([place[name] for name in wanted], dtype=np.int64))
        for view, place in zip(views, places, strict=True)
    ]


def refuse_other_answers(views: Sequence[Embeddings], names: Sequence[str], labels: Sequence[str]) -> None:
    """Refuse embeddings whose splits or labels differ from the first's: their figures would be of other questions.

    Args:
        views: Embeddings of the same items in the same order; see `in_common`.
        names: The name of each, for the error message.
        labels: The labels that are measured.

    Raises:
        MeasureError: a split or label of an item differs, or a label is missing.
    """
    for view, name in zip(views[1:], names[1:], strict=True):
        asked = {"splits": (view.splits, views[0].splits)}
        asked |= {f"labels {label!r}": (view.label(label), views[0].label(label)) for label in labels}
        for what, (own, first) in asked.items():
            differ = int((own.astype(np.str_) != first.astype(np.str_)).sum())
            if differ:
                raise MeasureError(
                    f"{name}: its {what} differ from those of {names[0]} in {differ} of {len(view)} recordings; embed "
                    "both with one list of recordings"
                )
