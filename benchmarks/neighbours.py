"""Neighbours: the study's cross-validated kNN against scikit-learn's loop, and the nearest ten of very many."""

import importlib.util
from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.timing import in_turn
from mfcl.embeddings.nearest import top_k
from mfcl.evaluation.knn import KS, choose_k

DIM = 512


def measure(*, rounds: int = 2, tiny: bool = False) -> dict[str, Any]:
    """Return the seconds of both, and of a search in many items."""
    items, many = (300, 2_000) if tiny else (10_000, 1_000_000)
    draw = np.random.default_rng(0)
    labels = np.arange(items) % 20
    vectors = (draw.standard_normal((items, DIM)) + 0.2 * draw.standard_normal((20, DIM))[labels]).astype(np.float32)
    works: dict[str, Callable[[], Any]] = {"mfcl": lambda: choose_k(vectors, labels, seed=0)}
    if importlib.util.find_spec("sklearn"):
        works["scikit-learn"] = lambda: _their_loop(vectors, labels)
    seconds = in_turn(works, rounds=rounds)
    gallery = draw.standard_normal((many, DIM), dtype=np.float32)
    queries = gallery[:100] + np.float32(0.1)
    seconds["top 10, 100 queries"] = in_turn({"search": lambda: top_k(queries, gallery, 10)}, rounds=1)["search"]
    ratio = seconds["scikit-learn"] / seconds["mfcl"] if "scikit-learn" in seconds else None
    return {"seconds": seconds, "items": items, "gallery": many, "ratio_over_scikit_learn": ratio}


def _their_loop(vectors: np.ndarray, labels: np.ndarray) -> int:
    from sklearn.model_selection import StratifiedKFold, cross_val_score
    from sklearn.neighbors import KNeighborsClassifier

    folds = StratifiedKFold(5, shuffle=True, random_state=0)
    found = [
        cross_val_score(KNeighborsClassifier(k, metric="cosine", algorithm="brute"), vectors, labels, cv=folds).mean()
        for k in KS
    ]
    return KS[int(np.argmax(found))]


def rows(found: dict[str, Any]) -> list[tuple[str, str]]:
    """Return the lines of the table."""
    ratio = found["ratio_over_scikit_learn"]
    said = f"{ratio:.1f}" if ratio else "scikit-learn is not installed"
    lines = [(f"kNN, 5 folds, 5 values of k, {found['items']} x {DIM}: scikit-learn's seconds over ours", said)]
    lines += [
        (
            f"neighbours, {name}" + (f" in {found['gallery']} x {DIM}" if name[:3] == "top" else "") + ": seconds",
            f"{seconds:.2f}",
        )
        for name, seconds in found["seconds"].items()
    ]
    return lines
