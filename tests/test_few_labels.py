import numpy as np
import pytest

from mfcl.errors import MeasureError
from mfcl.evaluation import few_labels
from mfcl.evaluation.few_labels import few_label_classifiers, few_label_probe
from mfcl.labelling.logistic import fit_classifiers
from tests.test_linear_probe import part


def test_more_labels_a_class_read_more_and_the_figure_is_the_mean_of_the_draws() -> None:
    parts = part(120, 0, signal=0.5), part(150, 2, signal=0.5)
    one, many = (few_label_probe(*parts, count, seed=0) for count in (1, 40))
    assert many.accuracy > one.accuracy + 0.1
    assert len(set(one.accuracies)) > 1
    assert one.accuracy == pytest.approx(np.mean(one.accuracies))
    assert one.accuracy == pytest.approx(one.rights.mean())
    assert one.accuracies == few_label_probe(*parts, 1, seed=0).accuracies
    assert few_label_probe(*parts, 40, seed=0).accuracies[0] == few_label_probe(*parts, 40, seed=0).accuracies[1]  # all


def test_draws_fitted_at_once_are_logistic_regressions(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(few_labels, "TOLERANCE", 1e-5)
    x, y = part(60, 0, signal=0.5)
    drawn = np.stack([np.arange(0, 5), np.arange(10, 15), np.arange(40, 45)])  # fewer than two a class: one strength
    found = few_label_classifiers(x, y, drawn, seed=0)
    test = part(100, 3)[0]
    for own, ours in zip(drawn, found, strict=True):
        with_one = [np.c_[(each - x.mean(0)) / x.std(0), np.ones(len(each))] for each in (x[own], test)]
        wanted = fit_by_steps(with_one[0], y[own], few_labels.FIXED_SHARE * x.shape[1])
        assert test @ ours.weights + ours.bias == pytest.approx(with_one[1] @ wanted, abs=2e-3)


def fit_by_steps(rows: np.ndarray, y: np.ndarray, strength: float) -> np.ndarray:
    """Plain gradient descent on the weights, the bias's among them."""
    truth = np.unique(y)[:, None] == y
    weights = np.zeros((rows.shape[1], len(truth)))
    for _ in range(3000):
        scores = np.exp(rows @ weights)
        weights -= (rows.T @ (scores / scores.sum(1, keepdims=True) - truth.T) + strength * weights) / (
            strength + 0.5 * np.linalg.norm(rows, 2) ** 2
        )
    return weights


def test_only_the_known_labels_choose_the_strength() -> None:
    x, y = part(120, 0, signal=0.5)
    drawn = np.arange(30)[None]
    other = np.r_[y[:30], np.roll(y[30:], 1)]
    one, two = (few_label_classifiers(x, labels, drawn, seed=0)[0] for labels in (y, other))
    assert np.array_equal(one.weights, two.weights)


def test_wrong_labels_make_the_strength_strong() -> None:
    x, y = part(200, 0, signal=1.0)
    rng = np.random.default_rng(0)
    drawn = np.arange(100)[None]
    noisy = np.where(rng.random(200) < 0.4, rng.permutation(y), y)
    sizes = [np.linalg.norm(few_label_classifiers(x, labels, drawn, seed=0)[0].weights) for labels in (y, noisy)]
    assert sizes[1] < sizes[0]
    exact = fit_classifiers(x[:100], y[:100], standard=x, strengths=[0.01 * x.shape[1]])
    ours = few_label_classifiers(x, y, drawn, seed=0)[0]
    test = part(300, 5)[0]
    assert (ours.predict(test) == next(iter(exact.values())).predict(test)).mean() > 0.9


def test_many_labels_are_fitted_one_draw_at_a_time_and_read_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    x, y = part(120, 0, signal=0.5)
    drawn = np.stack([np.arange(60), np.arange(60, 120)])
    together = few_label_classifiers(x, y, drawn, seed=0)
    monkeypatch.setattr(few_labels, "MOST_AT_ONCE", 10)
    alone = few_label_classifiers(x, y, drawn, seed=0)
    test = part(300, 5)[0]
    for one, other in zip(together, alone, strict=True):
        assert (one.predict(test) == other.predict(test)).mean() > 0.9


def test_a_class_without_a_label_is_not_predicted() -> None:
    x, y = part(60, 0)
    drawn = np.stack([np.flatnonzero(y != "two")[:12], np.flatnonzero(y != "one")[:12]])
    one, two = few_label_classifiers(x, y, drawn, seed=0)
    assert set(one.predict(x)) == {"one", "three"}
    assert set(two.predict(x)) == {"two", "three"}


def test_what_cannot_be_probed_is_refused_in_one_line() -> None:
    train, test = part(9, 0), part(6, 2)
    with pytest.raises(MeasureError, match="wanted 50 items per class, but class 'one' has 3"):
        few_label_probe(train, test, 50, seed=0)
    with pytest.raises(MeasureError, match="labels of at least 2 classes, but all 2 are 'one'"):
        few_label_classifiers(*train, np.array([[0, 3]]), seed=0)


def test_vectors_that_are_all_equal_predict_by_chance() -> None:
    train, test = (part(items, seed) for items, seed in ((60, 0), (40, 1)))
    empty = few_label_probe((np.zeros_like(train[0]), train[1]), (np.zeros_like(test[0]), test[1]), 10, seed=0)
    assert 0 < empty.accuracy < 0.6
