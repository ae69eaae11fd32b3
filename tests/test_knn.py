import tracemalloc
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mfcl.embeddings.nearest import top_k
from mfcl.errors import MeasureError
from mfcl.evaluation.knn import choose_k, deal, knn_predict, vote


def random(seed: int, *shape: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def rank_by_loops(queries: np.ndarray, gallery: np.ndarray, k: int) -> list[list[int]]:
    found = []
    for query in queries.astype(np.float64):
        cosines = [query @ item / np.linalg.norm(query) / np.linalg.norm(item) for item in gallery.astype(np.float64)]
        found.append(sorted(range(len(gallery)), key=lambda place: (-round(cosines[place], 9), place))[:k])
    return found


@given(seed=st.integers(0, 999), items=st.integers(1, 30), k=st.integers(1, 30), block=st.integers(1, 12))
@settings(deadline=None, max_examples=25)
def test_neighbours_are_those_of_a_full_sort_in_blocks_of_any_size(seed: int, items: int, k: int, block: int) -> None:
    gallery = np.concatenate([random(seed, items, 3)] * 2)  # each twice: every rank is a tie
    queries = random(seed + 1, 7, 3)
    k = min(k, len(gallery))
    places, cosines = top_k(queries, gallery, k, block=block)
    assert places.tolist() == rank_by_loops(queries, gallery, k)
    assert (np.diff(cosines, axis=1) <= 0).all()


@given(seed=st.integers(0, 999), items=st.integers(40, 90), k=st.integers(1, 12))
@settings(deadline=None, max_examples=25)
def test_items_closer_than_single_precision_can_tell_are_ranked(seed: int, items: int, k: int) -> None:
    query = random(seed, 1, 24).astype(np.float64)
    across = random(seed + 1, items, 24).astype(np.float64)
    across -= across @ query.T @ query / (query @ query.T)  # at right angles: cosines differ in the 8th digit and after
    near = query + 1e-4 * np.linspace(1, 2, items)[:, None] * across / np.linalg.norm(across, axis=1, keepdims=True)
    gallery = np.concatenate([random(seed + 2, 100, 24), near])[np.random.default_rng(seed).permutation(items + 100)]
    places, _ = top_k(query, gallery, k)
    cosines = (gallery @ query[0]) / np.linalg.norm(gallery, axis=1) / np.linalg.norm(query)
    np.testing.assert_allclose(cosines[places[0]], np.sort(cosines)[::-1][:k], rtol=0, atol=3e-10)


@pytest.mark.parametrize("size", [1e-30, 1e-12, 1e12, 1e30])
@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_however_long_or_short_the_vectors(size: float, kind: type) -> None:
    gallery, queries = random(0, 100, 5), random(1, 7, 5)
    expected, _ = top_k(queries, gallery, 4)
    places, cosines = top_k(queries, (gallery * size).astype(kind), 4)
    assert places.tolist() == expected.tolist() == rank_by_loops(queries, gallery, 4)
    assert np.isfinite(cosines).all()


def test_equal_items_come_in_their_order_however_many_and_wide() -> None:
    gallery = np.repeat(random(0, 3, 301), 67, axis=0)
    places, _ = top_k(gallery[:1], gallery, 100)
    assert places[0, :67].tolist() == list(range(67))
    assert (np.diff(places[0, 67:]) == 1).all()


def test_length_does_not_count_and_a_zero_vector_is_near_nothing() -> None:
    gallery = np.array([[0.0, 0.0], [0.1, 0.0], [-9.0, 0.0]])
    places, cosines = top_k(np.array([[5.0, 0.0]]), gallery, 3)
    assert places.tolist() == [[1, 0, 2]]
    assert cosines.tolist() == [[1.0, 0.0, -1.0]]


@given(seed=st.integers(0, 999), classes=st.integers(1, 5))
@settings(deadline=None, max_examples=25)
def test_the_most_votes_win_and_of_equals_the_nearest(seed: int, classes: int) -> None:
    codes = np.random.default_rng(seed).integers(0, classes, size=(20, 8))
    ks = [1, 2, 5, 8]
    for k, winners in zip(ks, vote(codes, classes, ks), strict=True):
        for row, winner in zip(codes.tolist(), winners.tolist(), strict=True):
            counts = Counter(row[:k])  # counts keep the order of first appearance
            assert winner == max(counts, key=lambda code: counts[code])


def test_votes_are_counted_a_block_of_queries_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    codes = np.random.default_rng(0).integers(0, 1000, size=(500, 5))
    whole = vote(codes, 1000, [1, 5])
    monkeypatch.setattr("mfcl.evaluation.knn.VOTES_AT_ONCE", 2**12)
    tracemalloc.start()
    in_blocks = vote(codes, 1000, [1, 5])
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert (in_blocks == whole).all()
    assert peak < 500 * 1000  # less than a byte for each query and class
    assert vote(codes[:0], 1000, [1, 5]).shape == (2, 0)


def test_labels_are_predicted_from_the_nearest() -> None:
    x = np.concatenate([random(0, 20, 8) + 4, random(1, 20, 8) - 4])
    y = np.array(["up"] * 20 + ["down"] * 20)
    assert knn_predict(x, y, np.full((1, 8), 1.0, dtype=np.float32), 5).tolist() == ["up"]
    assert knn_predict(x, y, np.full((1, 8), -1.0, dtype=np.float32), 5).tolist() == ["down"]


def test_the_chosen_k_is_that_of_folds_searched_one_by_one() -> None:
    y = np.arange(90) % 3
    x = random(0, 90, 5) + 1.2 * random(1, 3, 5)[y]
    fold = deal(y, 5, seed=7)
    rights = []
    for k in (1, 3, 10, 20):
        right = 0
        for part in range(5):
            inside = fold == part
            right += (knn_predict(x[~inside], y[~inside], x[inside], k) == y[inside]).sum()
        rights.append(right)
    assert len(set(rights)) > 1
    assert choose_k(x, y, ks=(20, 3, 10, 1), seed=7) == (1, 3, 10, 20)[int(np.argmax(rights))]


def test_a_k_beyond_the_folds_is_left_out() -> None:
    x, y = random(0, 12, 3), np.arange(12) % 2
    assert choose_k(x, y, ks=(3, 500), seed=0) == 3
    with pytest.raises(MeasureError, match=r"no k of \[50\] fits 12 items in 5 folds"):
        choose_k(x, y, ks=(50,), seed=0)


@given(counts=st.lists(st.integers(1, 12), min_size=1, max_size=6), folds=st.integers(2, 6), seed=st.integers(0, 99))
@settings(deadline=None, max_examples=25)
def test_folds_hold_each_class_evenly(counts: list[int], folds: int, seed: int) -> None:
    y = np.random.default_rng(seed).permutation(np.repeat(np.arange(len(counts)), counts))
    fold = deal(y, folds, seed=seed)
    for chosen in (np.ones(len(y), dtype=bool), *(y == code for code in range(len(counts)))):
        sizes = np.bincount(fold[chosen], minlength=folds)
        assert sizes.max() - sizes.min() <= 1


def test_what_cannot_be_compared_is_refused_in_one_line() -> None:
    x, y = random(0, 4, 3), np.array(["a", "b", "a", "b"])
    with pytest.raises(MeasureError, match="wanted queries of 3 values like the gallery's, got 2"):
        knn_predict(x, y, random(0, 1, 2), 1)
    with pytest.raises(MeasureError, match="k from 1 to 4"):
        top_k(x, x, 5)
    with pytest.raises(MeasureError, match="have no label"):
        knn_predict(x, np.array(["a", "", "a", "b"]), x, 1)
    with pytest.raises(MeasureError, match=r"gallery: 1 of 4 vectors hold NaN"):
        top_k(x, np.where(np.arange(4)[:, None] == 2, np.float32(np.nan), x), 1)
