import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mfcl.embeddings.projection import drawn, principal, project_2d
from mfcl.errors import MeasureError


def clusters(dim: int = 80, each: int = 15) -> tuple[np.ndarray, np.ndarray]:
    numbers = np.random.default_rng(0)
    kinds = np.repeat(np.arange(3), each)
    vectors = numbers.normal(size=(3, dim))[kinds] + 0.2 * numbers.normal(size=(len(kinds), dim))
    lengths = numbers.uniform(0.1, 10, size=(len(kinds), 1))  # a cosine knows no length
    return (lengths * vectors).astype(np.float32), kinds


@pytest.mark.parametrize("dim", [10, 80])
def test_what_is_alike_lies_together(dim: int) -> None:
    vectors, kinds = clusters(dim)
    placed = project_2d(vectors, seed=0)
    gaps = np.linalg.norm(placed[:, None] - placed, axis=2)
    np.fill_diagonal(gaps, np.inf)
    assert (kinds[gaps.argmin(axis=1)] == kinds).mean() > 0.95


def test_a_map_depends_on_its_seed_alone() -> None:
    vectors, _ = clusters()
    one, same, other = (project_2d(vectors, seed=seed) for seed in (0, 0, 1))
    np.testing.assert_array_equal(one, same)
    assert not np.allclose(one, other)


@pytest.mark.parametrize("items", [1, 2, 3, 4, 5, 6, 9])
def test_few_items_have_a_place(items: int) -> None:
    vectors = np.random.default_rng(1).normal(size=(items, 12)).astype(np.float32)
    placed = project_2d(vectors, seed=0)
    assert placed.shape == (items, 2)
    assert np.isfinite(placed).all()
    assert items == 1 or len(np.unique(placed, axis=0)) == items


@pytest.mark.parametrize("items", [2, 5, 40])
def test_identical_vectors_lie_on_one_point(items: int) -> None:
    vector = np.random.default_rng(2).normal(size=60)
    vectors = (np.arange(1, items + 1)[:, None] * vector).astype(np.float32)  # one direction, several lengths
    placed = project_2d(vectors, seed=0)
    assert np.isfinite(placed).all()
    assert np.ptp(placed) < 1e-3
    assert np.isfinite(project_2d(np.zeros((items, 3), dtype=np.float32), seed=0)).all()


def test_two_kinds_of_identical_vectors_are_two_heaps() -> None:
    vectors = np.repeat(np.eye(2, 60, dtype=np.float32), 10, axis=0)
    placed = project_2d(vectors, seed=0)
    assert np.isfinite(placed).all()
    assert not np.allclose(placed[:10].mean(axis=0), placed[10:].mean(axis=0), atol=1)


@given(count=st.integers(0, 200), most=st.integers(1, 60), seed=st.integers(0, 99))
@settings(deadline=None, max_examples=60)
def test_items_are_drawn_evenly_and_once(count: int, most: int, seed: int) -> None:
    places = drawn(count, most, seed=seed)
    assert len(places) == min(count, most)
    assert (np.diff(places) > 0).all()
    assert all(0 <= place < count for place in places)
    if count > most:
        assert (places * most // count).tolist() == pytest.approx(list(range(most)), abs=1)
        assert places.tolist() == drawn(count, most, seed=seed).tolist()


@given(items=st.integers(1, 12), dim=st.integers(1, 12), seed=st.integers(0, 99))
@settings(deadline=None, max_examples=40)
def test_principal_directions_keep_the_distances(items: int, dim: int, seed: int) -> None:
    rows = np.random.default_rng(seed).normal(size=(items, dim))
    points = principal(rows)
    assert points.shape[1] >= 2
    for before, after in zip(rows, points, strict=True):
        np.testing.assert_allclose(
            np.linalg.norm(rows - before, axis=1), np.linalg.norm(points - after, axis=1), atol=1e-6
        )
    variances = points.var(axis=0)
    assert (np.diff(variances) <= 1e-9).all()


def test_a_map_of_nothing_is_refused_in_one_line() -> None:
    with pytest.raises(MeasureError, match="map: wanted vectors of shape"):
        project_2d(np.zeros((0, 3), dtype=np.float32), seed=0)
    with pytest.raises(MeasureError, match="map: 1 of 2 vectors hold NaN"):
        project_2d(np.array([[1.0, np.nan], [0, 1]], dtype=np.float32), seed=0)
