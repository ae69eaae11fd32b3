import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mfcl.embeddings import nearest_outside as module
from mfcl.embeddings.nearest import top_k
from mfcl.embeddings.nearest_outside import nearest_outside
from mfcl.errors import MeasureError


def random(seed: int, *shape: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def group_by_group(vectors: np.ndarray, groups: np.ndarray, k: int) -> np.ndarray:
    found = np.empty((len(vectors), k), dtype=np.int64)
    for group in np.unique(groups):
        outside = np.flatnonzero(groups != group)
        found[groups == group] = outside[top_k(vectors[groups == group], vectors[outside], k)[0]]
    return found


@given(
    seed=st.integers(0, 999),
    items=st.integers(12, 150),
    groups=st.integers(2, 6),
    k=st.integers(1, 40),
    dim=st.integers(1, 40),
    copies=st.sampled_from(["none", "equal", "longer", "close", "zero"]),
    kind=st.sampled_from([np.float32, np.float64]),
    side=st.sampled_from([7, 40, 1024]),
)
@settings(deadline=None, max_examples=60)
def test_neighbours_are_those_of_a_search_group_by_group(
    seed: int, items: int, groups: int, k: int, dim: int, copies: str, kind: type, side: int
) -> None:
    vectors = random(seed, items, dim).astype(kind)
    draw = np.random.default_rng(seed + 1)
    to, of = draw.permutation(items)[: items // 2], draw.integers(0, items, items // 2)
    if copies == "equal":
        vectors[to] = vectors[of]
    elif copies == "longer":
        vectors[to] = 3 * vectors[of]
    elif copies == "close":  # by less than single precision can tell
        vectors[to] = vectors[of] * (1 + 3e-8 * random(seed + 2, items // 2, dim)).astype(kind)
    elif copies == "zero":
        vectors[to] = 0
    member = draw.integers(0, groups, items)
    k = min(k, items - int(np.bincount(member).max()))
    if k < 1:
        return
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "SIDE", side)
        np.testing.assert_array_equal(nearest_outside(vectors, member, k), group_by_group(vectors, member, k))


@pytest.mark.parametrize("different", [1, 2, 5])
def test_more_equal_items_than_there_is_room_for_come_in_their_order(different: int) -> None:
    items = 600
    vectors = np.concatenate([np.repeat(random(0, different, 8), items // different, axis=0), random(1, 30, 8)])
    vectors = vectors[np.random.default_rng(2).permutation(len(vectors))]
    groups = np.arange(len(vectors)) % 3
    assert items // different > module.ROOM * 4 + module.SPARE
    np.testing.assert_array_equal(nearest_outside(vectors, groups, 4), group_by_group(vectors, groups, 4))


def test_candidates_are_few_where_items_differ(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where near items lie side by side: then no search has to be done in the slow way."""
    monkeypatch.setattr(module, "top_k", None)
    vectors = np.repeat(random(0, 40, 32), 50, axis=0) + 0.3 * random(1, 2000, 32)
    groups = np.arange(2000) % 5
    places = nearest_outside(vectors, groups, 30)
    assert (groups[places] != groups[:, None]).all()
    assert (places // 50 == np.arange(2000)[:, None] // 50).mean() > 0.9


@pytest.mark.parametrize("size", [1e-30, 1e30])
def test_however_long_or_short_the_vectors(size: float) -> None:
    vectors, groups = random(0, 90, 6), np.arange(90) % 4
    expected = nearest_outside(vectors, groups, 5)
    np.testing.assert_array_equal(nearest_outside(vectors * np.float32(size), groups, 5), expected)


def test_an_unused_number_of_a_group_changes_nothing() -> None:
    vectors = random(0, 40, 6)
    few = nearest_outside(vectors, np.arange(40) % 2, 5)
    np.testing.assert_array_equal(nearest_outside(vectors, 3 * (np.arange(40) % 2), 5), few)


def test_what_cannot_be_searched_is_refused_in_one_line() -> None:
    vectors, groups = random(0, 6, 3), np.array([0, 0, 0, 0, 1, 1])
    with pytest.raises(MeasureError, match=r"wanted k from 1 to 2 .*largest group.*, got 3"):
        nearest_outside(vectors, groups, 3)
    with pytest.raises(MeasureError, match="1 of 6 vectors hold NaN"):
        nearest_outside(np.where(np.arange(6)[:, None] == 2, np.float32(np.nan), vectors), groups, 1)
