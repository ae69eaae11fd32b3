"""Labels as training targets, and draws of a few labels of each class."""

import numpy as np
from jaxtyping import Int64, Shaped

from mfcl.core.random import generator
from mfcl.data.store import Store
from mfcl.errors import ManifestError, MeasureError


def known_classes(
    store: Store, label: str | None, per_class: int, *, seed: int
) -> tuple[Shaped[np.ndarray, " classes"], Int64[np.ndarray, " items"]]:
    """Return the values of a label, and which of them each recording has; -1 where it is not known.

    Args:
        store: Training recordings.
        label: What they are named by.
        per_class: Take no more than so many labels of each class for known; 0: all.
        seed: Draws them.

    Raises:
        ManifestError: there is no label, or there are fewer than two values.
        MeasureError: a class has fewer labels.
    """
    if label is None:
        raise ManifestError("wanted a label to learn by (a column digit, label, word, species), found none")
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
    """Draw as many items of each class, without repeats, in rising order; a smaller draw is part of a larger one.

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
            f"few labels: {per_class} items of each class are wanted, but class {least!r} has "
            f"{counts.min()}; ask for fewer"
        )
    shuffled = generator(seed, "few labels", draw).permutation(len(y))
    by_class = shuffled[np.argsort(codes[shuffled], kind="stable")]
    starts = np.cumsum(counts) - counts
    chosen = by_class[(starts[:, None] + np.arange(per_class)).ravel()]
    return np.sort(chosen).astype(np.int64)
