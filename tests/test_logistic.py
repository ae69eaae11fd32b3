import tracemalloc

import numpy as np
import pytest

from mfcl.errors import MeasureError
from mfcl.labelling import turning
from mfcl.labelling.logistic import fit_classifiers
from mfcl.labelling.turning import Features, turn


def problem(items: int, dim: int, classes: int = 3, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    numbers = np.random.default_rng(seed)
    y = np.arange(items) % classes
    x = numbers.normal(size=(items, dim)) + numbers.normal(size=(classes, dim))[y]
    return (x * numbers.uniform(0.01, 100, dim) + 5).astype(np.float32), y


@pytest.mark.parametrize(("items", "dim"), [(60, 5), (30, 80), (40, 40)])
@pytest.mark.parametrize("strength", [0.1, 10.0])
def test_the_weights_are_those_of_another_exact_solver(items: int, dim: int, strength: float) -> None:
    from sklearn.linear_model import LogisticRegression

    x, y = problem(items, dim)
    mean, deviation = x.mean(axis=0, dtype=np.float64), x.std(axis=0, dtype=np.float64)
    other = LogisticRegression(C=1 / strength, tol=1e-10, max_iter=20_000).fit((x - mean) / deviation, y)
    found = fit_classifiers(x, y, standard=x, strengths=[1000.0, strength])[strength]
    assert found.weights * deviation[:, None] == pytest.approx(other.coef_.T, abs=2e-4)
    assert (found.predict(x) == y).mean() > 0.9


def test_a_strength_has_one_solution_whatever_was_solved_before() -> None:
    x, y = problem(50, 70)
    alone = fit_classifiers(x, y, standard=x, strengths=[3.0])[3.0]
    after = fit_classifiers(x, y, standard=x, strengths=[3.0, 1e5, 50.0])[3.0]
    assert alone.weights == pytest.approx(after.weights, abs=1e-3 * np.abs(alone.weights).max())


@pytest.mark.parametrize(("items", "dim"), [(9, 4), (4, 9)])
@pytest.mark.parametrize("block", [1, 8, turning.BLOCK])
def test_turned_features_keep_every_product(items: int, dim: int, block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turning, "BLOCK", block)
    vectors = np.random.default_rng(0).normal(size=(items, dim))
    mean, deviation = vectors[:3].mean(axis=0), vectors[:3].std(axis=0)
    features = (vectors - mean) / deviation
    turned = turn(Features(vectors, mean, deviation))
    assert turned.coordinates @ turned.coordinates.T == pytest.approx(features @ features.T)
    weights = np.random.default_rng(1).normal(size=(turned.coordinates.shape[1], 2))
    assert features @ turned.back(weights) == pytest.approx(turned.coordinates @ weights)


def test_a_fit_on_wide_vectors_holds_no_table_of_them_in_double_precision(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turning, "BLOCK", 1 << 17)
    x, y = problem(120, 30_000)
    tracemalloc.start()
    fit_classifiers(x, y, standard=x, strengths=[1000.0])
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 120 * 30_000 * 8 / 2


def test_constant_and_repeated_features_do_no_harm() -> None:
    x, y = problem(40, 6)
    plain = fit_classifiers(x, y, standard=x, strengths=[1.0])[1.0]
    padded = np.hstack([x, np.full((40, 1), 7, dtype=np.float32), np.zeros((40, 1), dtype=np.float32)])
    found = fit_classifiers(padded, y, standard=padded, strengths=[1.0])[1.0]
    assert found.weights[6:].tolist() == [[0.0] * 3] * 2
    assert found.weights[:6] == pytest.approx(plain.weights, rel=1e-3, abs=1e-6)


def test_labels_far_apart_still_converge() -> None:
    y = np.repeat([0, 1], 20)
    x = (y[:, None] * 1000 + np.random.default_rng(0).normal(size=(40, 3))).astype(np.float32)
    found = fit_classifiers(x, y, standard=x, strengths=[1e-6])[1e-6]
    assert (found.predict(x) == y).all()
    assert np.isfinite(found.weights).all()


@pytest.mark.parametrize("strength", [0.0, -1.0, float("nan"), float("inf")])
def test_one_class_and_strengths_that_are_none_are_refused(strength: float) -> None:
    x, y = problem(6, 2)
    with pytest.raises(MeasureError, match="all 6 are '0'"):
        fit_classifiers(x, np.zeros(6, dtype=np.int64), standard=x, strengths=[1.0])
    with pytest.raises(MeasureError, match="positive L2 strengths"):
        fit_classifiers(x, y, standard=x, strengths=[1.0, strength])
