"""Labels as training targets, and balanced draws of a few labels per class."""

import numpy as np
from jaxtyping import Int64, Shaped

from mfcl.core.console import worded
from mfcl.core.random import generator
from mfcl.data.store import Store
from mfcl.errors import ManifestError, MeasureError


def known_classes(
    store: Store, label: str | None, per_class: int, *, seed: int
) -> tuple[Shaped[np.ndarray, " classes"], Int64[np.ndarray, " items"]]:
    """Return the class names and the class index of each recording; -1 if it has no label or was not drawn.

    Args:
        store: Training recordings.
        label: Label that holds the classes.
        per_class: Number of labelled recordings to draw per class; 0: use all.
        seed: Seed of the draw.

    Raises:
        ManifestError: there is no label, or it has fewer than two values.
        MeasureError: a class has fewer than `per_class` labels.
    """
    if label is None:
        raise ManifestError("wanted a label to train on, such as a column digit, label, word or species; found none")
    values = store.manifest.column(label)
    known = np.flatnonzero(values != "")
    names, codes = np.unique(values[known], return_inverse=True)
    if len(names) < 2:
        raise ManifestError(f"label {label!r}: wanted 2 or more values to train on, got {len(names)}")
    chosen = few_labels(values[known], per_class, seed=seed) if per_class else np.arange(len(known))
    targets = np.full(len(values), -1, dtype=np.int64)
    targets[known[chosen]] = codes[chosen]
    return names, targets


def few_labels(
    y: Shaped[np.ndarray, " items"], per_class: int, *, seed: int, draw: int = 0
) -> Int64[np.ndarray, " chosen"]:
    """Draw `per_class` items of each class without replacement; return their indices in ascending order.

    With the same seed and draw, a smaller draw is a subset of a larger one.

    Args:
        y: Class of each item.
        per_class: Number of items per class.
        seed: Seed of the draw.
        draw: Number of the draw, for repeated draws with one seed.

    Raises:
        MeasureError: a class has too few items.

    Example:
        >>> labels = np.array(["a", "b", "a", "b"])
        >>> labels[few_labels(labels, 1, seed=0)].tolist() in (["a", "b"], ["b", "a"])
        True
    """
    classes, codes, counts = np.unique(y, return_inverse=True, return_counts=True)
    if per_class < 1 or counts.min() < per_class:
        least = str(classes[counts.argmin()])
        raise MeasureError(
            f"few labels: wanted {worded(per_class, 'item')} per class, but class {least!r} has {counts.min()}; "
            f"ask for fewer"
        )
    shuffled = generator(seed, "few labels", draw).permutation(len(y))
    by_class = shuffled[np.argsort(codes[shuffled], kind="stable")]
    starts = np.cumsum(counts) - counts
    chosen = by_class[(starts[:, None] + np.arange(per_class)).ravel()]
    return np.sort(chosen).astype(np.int64)
