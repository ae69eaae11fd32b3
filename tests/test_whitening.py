import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mfcl.embeddings import whitening
from mfcl.embeddings.part_whitening import fit_part
from mfcl.embeddings.table import Embeddings
from mfcl.embeddings.whitening import FLOOR, fit_whitening
from mfcl.errors import MeasureError


def vectors(items: int, dim: int, seed: int = 0) -> np.ndarray:
    """Vectors whose values hang together, as those of an encoder do."""
    draws = np.random.default_rng(seed)
    return (draws.standard_normal((items, dim)) @ draws.standard_normal((dim, dim)) + 3).astype(np.float32)


def by_formula(train: np.ndarray, asked: np.ndarray) -> np.ndarray:
    """Standardise, turn to the principal directions, divide each by the root of its variance and the floor."""
    mean, deviation = train.mean(axis=0, dtype=np.float64), train.std(axis=0, dtype=np.float64)
    variances, axes = np.linalg.eigh(np.cov((train - mean) / deviation, rowvar=False, bias=True))
    turned = ((asked - mean) / deviation) @ axes / np.sqrt(variances + FLOOR * variances.sum())
    return turned / np.linalg.norm(turned, axis=1, keepdims=True)


def test_the_cosines_are_those_of_the_formula() -> None:
    train, asked = vectors(60, 5), vectors(7, 5, seed=1)
    expected = by_formula(train, asked)
    found = fit_whitening(train)(asked)
    np.testing.assert_allclose(found @ found.T, expected @ expected.T, atol=1e-4)


@settings(deadline=None, max_examples=15)
@given(items=st.integers(2, 12), dim=st.integers(1, 12), seed=st.integers(0, 99))
def test_more_values_than_items_or_fewer_gives_the_same(items: int, dim: int, seed: int) -> None:
    train = vectors(items, dim, seed)
    once, often = (fit_whitening(np.tile(train, (times, 1)))(train) for times in (1, dim + 1))
    np.testing.assert_allclose(once @ once.T, often @ often.T, atol=2e-3)
    assert np.all(np.linalg.norm(once, axis=1) <= 1 + 1e-5)


def test_the_scale_of_a_value_does_not_count() -> None:
    train = vectors(40, 6)
    factors = np.array([1, 10, 1e3, 1e-3, 5, 2], dtype=np.float32)
    np.testing.assert_allclose(
        np.abs(fit_whitening(train)(train)), np.abs(fit_whitening(train * factors)(train * factors)), atol=1e-3
    )


def test_a_common_difference_no_longer_hides_a_rare_one() -> None:
    draws = np.random.default_rng(0)
    kind = np.repeat([0, 1], 100)
    common = draws.standard_normal((200, 4)) @ draws.standard_normal((4, 8))  # great, and says nothing of the kind
    train = (common + 0.1 * draws.standard_normal((200, 8))).astype(np.float32)
    train[:, 0] += 0.5 * kind
    plain = (train - train.mean(axis=0)) / train.std(axis=0)

    def nearest_is_alike(points: np.ndarray) -> float:
        points = points / np.linalg.norm(points, axis=1, keepdims=True)
        cosines = points @ points.T - 3 * np.eye(len(points))
        return float((kind[cosines.argmax(axis=1)] == kind).mean())

    assert nearest_is_alike(fit_whitening(train)(train)) > nearest_is_alike(plain) + 0.1


def test_many_items_are_drawn_from_and_few_directions_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(whitening, "MOST_ITEMS", 50)
    monkeypatch.setattr(whitening, "MOST_DIRECTIONS", 4)
    train = vectors(400, 9)
    learned = fit_whitening(train)
    assert learned.directions.shape == (9, 4)
    assert np.array_equal(learned.directions, fit_whitening(train).directions)
    assert not np.allclose(learned.mean, train.mean(axis=0), rtol=1e-6)


def test_what_cannot_be_whitened_is_refused_and_what_is_all_alike_is_zero() -> None:
    with pytest.raises(MeasureError, match="2 or more training recordings to whiten by, got 1"):
        fit_whitening(vectors(1, 3))
    with pytest.raises(MeasureError, match="wanted vectors of 3 values"):
        fit_whitening(vectors(9, 3))(vectors(9, 4))
    same = np.ones((5, 3), dtype=np.float32)
    assert not fit_whitening(same)(same).any()
    broken = vectors(9, 3)
    broken[4, 1] = np.nan
    for part in ("mel words", "mel words projection"):
        with pytest.raises(MeasureError, match=r"whitening: 1 of 9 vectors hold NaN .*the first is number 4"):
            fit_part(part, broken)


def test_embeddings_are_whitened_part_by_part_by_their_training_items_alone() -> None:
    values = vectors(30, 7)
    names = np.array([f"{place}" for place in range(30)])
    splits = np.where(np.arange(30) < 20, "train", "test")
    parts = {"wave": (0, 3), "mel words": (3, 5), "mel voices": (5, 7)}
    embeddings = Embeddings(values, names, {}, parts, splits)
    expected = [fit_part(name, values[:20, slice(*ends)])(values[:, slice(*ends)]) for name, ends in parts.items()]
    np.testing.assert_array_equal(embeddings.whitened, np.concatenate(expected, axis=1))
    moved = values.copy()
    moved[25:] += 9
    other = Embeddings(moved, names, {}, parts, splits)
    np.testing.assert_array_equal(other.whitened[:25], embeddings.whitened[:25])
    mel = embeddings.only("mel").whiten(embeddings.whitenings())
    np.testing.assert_array_equal(mel.vectors, np.concatenate(expected[1:], axis=1))
    assert list(mel.parts) == ["mel words", "mel voices"]
    with pytest.raises(MeasureError, match="no part to whiten is called 'wave'"):
        embeddings.whiten(embeddings.only("mel").whitenings())
    assert list(embeddings.only("voices").parts) == ["mel voices"]
    with pytest.raises(MeasureError, match="no part is called 'word'"):
        embeddings.only("word")


@pytest.mark.parametrize(
    ("part", "items", "floor"),
    [
        ("mel words", 2000, 0.01),
        ("mel words", 100, 0.01),
        ("mel words landmarks", 400, 0.01),
        ("alignment landmarks", 2000, 0.01),
        ("mel voices", 100, 0.001),
        ("log-mel picture", 2000, 0.001),
        ("log-mel picture", 100, 0.01),
        ("", 9000, 0.001),
    ],
)
def test_the_floor_is_higher_for_what_is_said_and_of_few_vectors_for_both(part: str, items: int, floor: float) -> None:
    train = vectors(items, 6)
    assert np.array_equal(fit_part(part, train).directions, fit_whitening(train, floor=floor).directions)


def test_projections_are_centred_alone() -> None:
    whitening = fit_part("mel words projection", vectors(50, 4))
    assert np.array_equal(whitening.directions, np.eye(4, dtype=np.float32))
