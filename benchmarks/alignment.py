"""Alignment: seconds against slower and compiled recurrences, and what it reaches on labelled recordings (--data)."""

import importlib.util
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.timing import in_turn
from mfcl.audio import Preparation
from mfcl.data.dataset import open_data
from mfcl.embeddings import alignment
from mfcl.embeddings.alignment.paths import other_sides, path_costs, query_sides
from mfcl.embeddings.alignment.search import smallest
from mfcl.evaluation.aligned import fit_landmarks
from mfcl.evaluation.knn import knn_predict, vote
from mfcl.labelling import propagate, suggest

LONGEST, DIM = 32, 81
"""Frames of the longest of the generated clips (0.64 s), and values a frame."""
DRAWS = 10
FEW = (1, 2, 5, 10)
CHOSEN = (10, 20, 50, 100)


def measure(*, rounds: int = 5, data: Path | None = None, tiny: bool = False) -> dict[str, Any]:
    """Return seconds of one comparison of a query with many clips; with data, percent of its test part, and seconds."""
    seconds = in_turn(_works(32 if tiny else 512, 2 if tiny else 20), rounds=rounds)
    ours = seconds["anti-diagonals"]
    found = {"seconds": seconds, "ratios": {name: value / ours for name, value in seconds.items()}}
    return found if data is None else {**found, **accuracies(data)}


def accuracies(path: Path) -> dict[str, Any]:
    """Return what alignment reaches on the test part of labelled recordings, and how long each step takes."""
    data = open_data(path, Preparation(), progress=False)
    split, y = data.manifest.splits, data.manifest.column(data.label or "")
    train, test = np.flatnonzero(split != "test"), np.flatnonzero(split == "test")
    took, start = {}, time.perf_counter()
    clips = [alignment.frames(data.store.clip(place), data.store.sample_rate) for place in range(len(data.store))]
    took["frames"], start = time.perf_counter() - start, time.perf_counter()
    mutual = alignment.distances([clips[place] for place in train])
    took["training clips to each other"], start = time.perf_counter() - start, time.perf_counter()
    table = alignment.distances([clips[place] for place in test], [clips[place] for place in train])
    took["test clips to training clips"], start = time.perf_counter() - start, time.perf_counter()
    classes, codes = np.unique(y[train], return_inverse=True)
    near = smallest(table, 10)
    alone = classes[vote(codes[near[0][:, :5]], len(classes), [5])[0]]
    found = {"5-NN": _percent(alone, y[test])}
    graph = alignment.nearest_graph(mutual)

    def read(places: np.ndarray) -> float:
        labels = np.full(len(train), "", dtype=y.dtype)
        labels[places] = y[train][places]
        return _percent(propagate(graph, labels).read(*near).labels, y[test])

    for few in FEW:
        draws = [np.random.default_rng(draw) for draw in range(DRAWS)]
        one_class = [np.flatnonzero(codes == code) for code in range(len(classes))]
        figures = [read(np.concatenate([draw.permutation(own)[:few] for own in one_class])) for draw in draws]
        found[f"{few} a class, spread, mean of {DRAWS} draws"] = statistics.mean(figures)
    picked = suggest(graph, min(max(CHOSEN), len(train)))
    for count in CHOSEN:
        found[f"{count} chosen labels in all, spread"] = read(picked[:count])
    took["labels"], start = time.perf_counter() - start, time.perf_counter()
    vectors = fit_landmarks(data.store, data.store.sample_rate, known=split != "test", seed=0)(data.store)
    centred = vectors - vectors[train].mean(axis=0)
    plain = knn_predict(centred[train], y[train], centred[test], 5)
    found[f"{vectors.shape[1]} landmarks as a vector, 5-NN by cosine"] = _percent(plain, y[test])
    took["landmarks"] = time.perf_counter() - start
    return {"percent": found, "seconds_on_data": took}


def _percent(predicted: np.ndarray, wanted: np.ndarray) -> float:
    return float(100 * np.mean(predicted == wanted))


def _works(lanes: int, queries: int) -> dict[str, Callable[[], Any]]:
    """Return ways to compare some queries with as many clips as there are lanes, by one thread of ours each."""
    draw = np.random.default_rng(0)
    made = draw.standard_normal((LONGEST, lanes, DIM)).astype(np.float32)
    made /= np.linalg.norm(made, axis=-1, keepdims=True)
    lengths = np.sort(draw.integers(LONGEST // 2, LONGEST + 1, lanes))
    asked = [made[: lengths[place], place] for place in draw.permutation(lanes)[:queries]]
    others, half = other_sides(made), other_sides(np.ascontiguousarray(made[::2]))

    def products(query: np.ndarray) -> np.ndarray:
        return (query_sides(query) @ others.reshape(LONGEST * lanes, -1).T).reshape(len(query), LONGEST, lanes)

    def each(compare: Callable[[np.ndarray], Any]) -> Callable[[], list[Any]]:
        return lambda: [compare(query) for query in asked]

    works = {
        "anti-diagonals": each(lambda query: path_costs(query_sides(query), others, lengths)),
        "its products alone": each(products),
        "half the frames": each(lambda query: path_costs(query_sides(query[::2]), half, -(-lengths // 2))),
        "row by row": each(lambda query: by_rows(products(query))[lengths, np.arange(lanes)]),
    }
    if importlib.util.find_spec("numba"):
        compiled = _compiled()
        works["numba"] = each(lambda query: compiled(products(query))[lengths, np.arange(lanes)])
    return works


def by_rows(costs: np.ndarray) -> np.ndarray:
    """Return the last row of path costs, cell after cell: only the clips advance together."""
    _, longest, lanes = costs.shape
    before = np.full((longest + 1, lanes), np.inf, dtype=np.float32)
    before[0] = 0
    for row in costs:
        best = np.minimum(before[1:], before[:-1])
        before = np.full_like(before, np.inf)
        for place in range(longest):
            before[place + 1] = np.minimum(best[place], before[place]) + row[place]
    return before


def _compiled() -> Callable[[np.ndarray], np.ndarray]:
    import numba

    @numba.njit
    def advance(costs, before, corner):  # type: ignore[no-untyped-def]
        frames, longest, lanes = costs.shape
        for row in range(frames):
            for lane in range(lanes):
                corner[lane] = before[0, lane]
                before[0, lane] = np.inf
            for place in range(longest):
                for lane in range(lanes):
                    above = before[place + 1, lane]
                    best = min(min(above, corner[lane]), before[place, lane])
                    corner[lane] = above
                    before[place + 1, lane] = best + costs[row, place, lane]

    def run(costs: np.ndarray) -> np.ndarray:
        before = np.full((costs.shape[1] + 1, costs.shape[2]), np.inf, dtype=np.float32)
        before[0] = 0
        advance(costs, before, np.empty(costs.shape[2], dtype=np.float32))
        return before

    return run


def rows(found: dict[str, Any]) -> list[tuple[str, str]]:
    """Return the lines of the table."""
    lines = [
        (f"alignment, {name}: time over that of anti-diagonals", f"{ratio:.2f}")
        for name, ratio in found["ratios"].items()
    ]
    lines += [(f"alignment, {name}: %", f"{value:.1f}") for name, value in found.get("percent", {}).items()]
    lines += [(f"alignment, {name}: seconds", f"{took:.1f}") for name, took in found.get("seconds_on_data", {}).items()]
    return lines
