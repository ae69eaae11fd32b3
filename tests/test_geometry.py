"""The formulas written as loops, and what each figure must not depend on."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mfcl.errors import MeasureError
from mfcl.evaluation.geometry import alignment, linear_cka, rankme, retrieval, retrieved, uniformity


def views(items: int = 7, dim: int = 5, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    numbers = np.random.default_rng(seed)
    first = numbers.normal(size=(items, dim))
    return first.astype(np.float32), (first + 0.5 * numbers.normal(size=(items, dim))).astype(np.float32)


def unit(row: np.ndarray) -> list[float]:
    length = math.sqrt(sum(float(value) ** 2 for value in row))
    return [float(value) / length for value in row]


def squared_distance(one: list[float], other: list[float]) -> float:
    return sum((a - b) ** 2 for a, b in zip(one, other, strict=True))


@pytest.mark.parametrize("power", [1.0, 2.0])
def test_alignment_is_the_formula_in_loops(power: float) -> None:
    first, second = views()
    distances = [math.sqrt(squared_distance(unit(a), unit(b))) for a, b in zip(first, second, strict=True)]
    assert alignment(first, second, power=power) == pytest.approx(sum(d**power for d in distances) / len(distances))
    assert alignment(first, 3 * first) == pytest.approx(0, abs=1e-12)
    assert alignment(first, -first) == pytest.approx(4)


@given(items=st.integers(2, 12), dim=st.integers(1, 6), block=st.integers(1, 40), seed=st.integers(0, 99))
@settings(deadline=None, max_examples=30)
def test_uniformity_is_the_formula_in_loops_in_any_blocks(items: int, dim: int, block: int, seed: int) -> None:
    vectors, _ = views(items, dim, seed)
    rows = [unit(row) for row in vectors]
    terms = [
        math.exp(-2 * squared_distance(rows[i], rows[j])) for i in range(len(rows)) for j in range(i + 1, len(rows))
    ]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("mfcl.evaluation.geometry.PAIRS_AT_ONCE", block)
        assert uniformity(vectors) == pytest.approx(math.log(sum(terms) / len(terms)))


def test_spread_vectors_are_more_uniform_than_a_bundle() -> None:
    numbers = np.random.default_rng(0)
    spread = numbers.normal(size=(200, 32))
    assert uniformity(spread) == pytest.approx(-3.7, abs=0.2)
    assert uniformity(spread + 10) > -0.3
    assert uniformity(np.ones((3, 4))) == pytest.approx(0, abs=1e-12)


def test_rankme_is_the_formula_in_loops() -> None:
    vectors, _ = views(9, 4)
    values = np.linalg.svd(vectors.astype(np.float64), compute_uv=False)
    shares = [float(value / values.sum()) + 1e-7 for value in values]
    expected = math.exp(-sum(share * math.log(share) for share in shares))
    assert rankme(vectors) == pytest.approx(expected, rel=1e-6)
    assert rankme(np.hstack([vectors, np.zeros((9, 20), dtype=np.float32)])) == pytest.approx(expected, rel=1e-4)


@given(rank=st.integers(1, 6), items=st.integers(8, 20), dim=st.integers(8, 20), seed=st.integers(0, 99))
@settings(deadline=None, max_examples=30)
def test_rankme_counts_directions_that_are_used_alike(rank: int, items: int, dim: int, seed: int) -> None:
    numbers = np.random.default_rng(seed)
    left, right = (np.linalg.qr(numbers.normal(size=(size, rank)))[0] for size in (items, dim))
    vectors = left @ right.T
    assert rankme(vectors) == pytest.approx(rank, rel=1e-3)
    assert rankme(1e-20 * vectors) == pytest.approx(rank, rel=1e-3)


def test_cka_is_that_of_the_products_of_items() -> None:
    first, second = views(8, 5)
    second = second[:, :3]
    centre = np.eye(8) - 1 / 8
    own, theirs = (centre @ (x.astype(np.float64) @ x.T.astype(np.float64)) @ centre for x in (first, second))
    expected = (own * theirs).sum() / math.sqrt((own**2).sum() * (theirs**2).sum())
    assert linear_cka(first, second) == pytest.approx(expected, abs=1e-6)
    assert 0.05 < expected < 0.95


def test_cka_knows_no_turn_shift_or_scale() -> None:
    first, second = views(20, 5)
    turned = second @ np.linalg.qr(np.random.default_rng(1).normal(size=(5, 5)))[0]
    assert linear_cka(first, 1e-3 * turned + 7) == pytest.approx(linear_cka(first, second), abs=1e-6)
    assert linear_cka(first, 5 * first - 1) == pytest.approx(1, abs=1e-6)


@given(items=st.integers(1, 12), k=st.integers(1, 12), seed=st.integers(0, 99))
@settings(deadline=None, max_examples=40)
def test_retrieval_is_the_rank_of_the_own_item_in_loops(items: int, k: int, seed: int) -> None:
    wave, mel = views(items, 3, seed)
    k = min(k, items)
    hits = 0
    for place, row in enumerate(wave):
        cosines = [sum(a * b for a, b in zip(unit(row), unit(other), strict=True)) for other in mel]
        hits += sum(cosine > cosines[place] + 1e-9 for cosine in cosines) < k
    assert retrieval(wave, mel, k) == pytest.approx(hits / items)
    assert retrieved(wave, mel, [1, items])[1].all()


def test_what_cannot_be_measured_is_said_in_one_line() -> None:
    first, second = views()
    with pytest.raises(MeasureError, match="wanted the same items twice, got 7 and 6"):
        alignment(first, second[:6])
    with pytest.raises(MeasureError, match="wanted two views in one space, got 5 and 4"):
        alignment(first, second[:, :4])
    with pytest.raises(MeasureError, match="wanted 2 or more vectors, got 1"):
        uniformity(first[:1])
    with pytest.raises(MeasureError, match="hold NaN"):
        rankme(np.where(np.arange(7)[:, None] == 2, np.float32(np.nan), first))
    with pytest.raises(MeasureError, match="all 7 of a view are equal"):
        linear_cka(first, np.ones((7, 3), dtype=np.float32))
