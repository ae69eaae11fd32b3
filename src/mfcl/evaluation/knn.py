"""k-nearest-neighbour classification, with k chosen by stratified cross-validation."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, Int64, Shaped

from mfcl.core.console import worded
from mfcl.core.random import generator
from mfcl.embeddings.linalg import check_measurable
from mfcl.embeddings.nearest import top_k
from mfcl.embeddings.nearest_outside import nearest_outside
from mfcl.errors import MeasureError
from mfcl.evaluation.metrics import accuracy

KS = (3, 5, 10, 20, 50)
VOTES_AT_ONCE = 2**22  # 32 MiB of counts


def vote(
    codes: Int64[np.ndarray, "queries neighbours"], classes: int, ks: Sequence[int]
) -> Int64[np.ndarray, "choices queries"]:
    """Return the majority class of the first k neighbours for every k in one pass; ties go to the nearest.

    Args:
        codes: The class of each neighbour, 0 to classes - 1, nearest first.
        classes: Number of classes.
        ks: Values of k in ascending order.
    """
    rows = max(1, VOTES_AT_ONCE // max(1, classes))
    blocks = [_vote(codes[start : start + rows], classes, ks) for start in range(0, max(1, len(codes)), rows)]
    return np.concatenate(blocks, axis=1)


def _vote(
    codes: Int64[np.ndarray, "queries neighbours"], classes: int, ks: Sequence[int]
) -> Int64[np.ndarray, "choices queries"]:
    rows = np.arange(len(codes))
    counts = np.zeros((len(codes), classes), dtype=np.int64)
    first = np.full((len(codes), classes), codes.shape[1], dtype=np.int64)  # the rank of a class's nearest member
    winners = []
    for rank in range(max(ks)):
        code = codes[:, rank]
        first[rows, code] = np.minimum(first[rows, code], rank)
        counts[rows, code] += 1
        if rank + 1 in ks:
            winners.append((counts * (codes.shape[1] + 1) - first).argmax(axis=1))
    return np.stack(winners)


def knn_predict(
    train_x: Float[np.ndarray, "items _"],
    train_y: Shaped[np.ndarray, " _"],
    test_x: Float[np.ndarray, "queries _"],
    k: int,
) -> Shaped[np.ndarray, " queries"]:
    """Return the majority label of each query's k nearest neighbours by cosine; ties go to the nearest.

    Raises:
        MeasureError: see `top_k`; or a label is missing.

    Example:
        >>> knn_predict(np.array([[1.0, 0.0], [0.0, 1.0]]), np.array(["a", "b"]), np.array([[0.9, 0.1]]), 1).tolist()
        ['a']
    """
    check_measurable(train_x, train_y, what="neighbours")
    classes, codes = np.unique(train_y, return_inverse=True)
    places, _ = top_k(test_x, train_x, k)
    found: Shaped[np.ndarray, " queries"] = classes[vote(codes[places], len(classes), [k])[0]]
    return found


def choose_k(
    x: Float[np.ndarray, "items dim"],
    y: Shaped[np.ndarray, " items"],
    *,
    ks: Sequence[int] = KS,
    folds: int = 5,
    seed: int,
) -> int:
    """Choose the number of neighbours k by stratified cross-validation; ties go to the smallest k.

    Args:
        x: Vectors.
        y: Their labels.
        ks: Values of k to try; those above the number of items outside the largest fold are skipped.
        folds: Number of folds.
        seed: Seed of the assignment to folds.

    Raises:
        MeasureError: every k is too large for so few items, or a vector or label cannot be used.
    """
    check_measurable(x, y, what="neighbours")
    fold = deal(y, folds, seed=seed)
    most = len(y) - int(np.bincount(fold).max())
    usable = sorted({k for k in ks if 1 <= k <= most})
    if not usable:
        raise MeasureError(
            f"neighbours: no k of {sorted(ks)} fits {worded(len(y), 'item')} in {folds} folds; give more recordings"
        )
    classes, codes = np.unique(y, return_inverse=True)
    predicted = vote(codes[nearest_outside(x, fold, usable[-1])], len(classes), usable)
    return usable[int(np.argmax([accuracy(row, codes) for row in predicted]))]


def deal(y: Shaped[np.ndarray, " items"], folds: int, *, seed: int) -> Int64[np.ndarray, " items"]:
    """Assign items to stratified folds whose sizes differ by at most one.

    Example:
        >>> np.bincount(deal(np.array(["a"] * 4 + ["b"] * 2), 2, seed=0)).tolist()
        [3, 3]
    """
    shuffled = generator(seed, "folds").permutation(len(y))
    by_class = shuffled[np.argsort(y[shuffled], kind="stable")]
    fold = np.empty(len(y), dtype=np.int64)
    fold[by_class] = np.arange(len(y)) % folds  # round robin over the items ordered by class
    return fold
