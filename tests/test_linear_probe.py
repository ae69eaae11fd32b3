import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mfcl.data.labels import few_labels
from mfcl.errors import MeasureError
from mfcl.evaluation.linear_probe import Labelled, linear_probe

CLASSES = np.array(["one", "three", "two"])


def part(items: int, seed: int, *, signal: float = 1.0, dim: int = 30) -> Labelled:
    codes = np.arange(items) % 3
    x = np.random.default_rng(seed).normal(size=(items, dim))
    x += signal * np.random.default_rng(99).normal(size=(3, dim))[codes]
    return x.astype(np.float32), CLASSES[codes]


def test_a_label_in_the_vectors_is_read_and_one_that_is_not_is_guessed() -> None:
    found = linear_probe(part(90, 0), part(30, 1), part(300, 2))
    assert found.accuracy > 0.95
    assert found.accuracy == found.correct.mean()
    assert (found.predictions == part(300, 2)[1]).tolist() == found.correct.tolist()
    assert linear_probe(part(90, 0, signal=0), part(30, 1, signal=0), part(300, 2, signal=0)).accuracy < 0.5


def test_the_strength_is_the_one_best_on_the_validation_items() -> None:
    (x, y), valid, test = part(60, 0, signal=0.7), part(300, 1, signal=0.7), part(60, 2)
    train = x, np.where(np.arange(60) % 4 == 0, y[::-1], y)  # some labels are wrong: trusting them all costs
    strengths = (0.001, 0.1, 10.0, 1000.0)
    alone = {each: linear_probe(train, valid, test, strengths=[each]).valid_accuracy for each in strengths}
    found = linear_probe(train, valid, test, strengths=strengths)
    assert max(alone.values()) > min(alone.values()) + 0.05
    assert found.valid_accuracy == pytest.approx(max(alone.values()), abs=0.01)
    assert alone[found.strength] == pytest.approx(max(alone.values()), abs=0.01)


def test_test_items_decide_nothing() -> None:
    train, valid, test = part(60, 0, signal=0.5), part(60, 1, signal=0.5), part(60, 2, signal=0.5)
    other = (test[0], test[1][::-1].copy())
    one, two = (linear_probe(train, valid, each) for each in (test, other))
    assert one.predictions.tolist() == two.predictions.tolist()
    assert (one.strength, one.valid_accuracy) == (two.strength, two.valid_accuracy)


def test_the_final_classifier_learns_from_the_validation_items_too_unless_told_not_to() -> None:
    few, many, test = part(6, 0, signal=0.5), part(300, 1, signal=0.5), part(300, 2, signal=0.5)
    assert linear_probe(few, many, test).accuracy > linear_probe(few, many, test, refit=False).accuracy + 0.1


def test_scale_and_offset_of_a_feature_do_not_count() -> None:
    parts = [part(60, seed, signal=0.5) for seed in range(3)]
    scale = np.geomspace(1e-3, 1e3, 30).astype(np.float32)
    moved = [((x + 3) * scale, y) for x, y in parts]
    one, two = linear_probe(*parts), linear_probe(*moved)
    assert (one.predictions == two.predictions).mean() > 0.98


@given(counts=st.lists(st.integers(2, 9), min_size=2, max_size=5), seed=st.integers(0, 99))
@settings(deadline=None, max_examples=25)
def test_few_labels_are_as_many_of_each_class_and_nested(counts: list[int], seed: int) -> None:
    y = np.random.default_rng(seed).permutation(np.repeat(np.arange(len(counts)), counts))
    one, two = few_labels(y, 1, seed=seed), few_labels(y, 2, seed=seed)
    assert np.bincount(y[two]).tolist() == [2] * len(counts)
    assert set(one.tolist()) < set(two.tolist())
    assert (np.diff(two) > 0).all()


def test_draws_differ() -> None:
    y = np.repeat([0, 1], 500)
    chosen = [tuple(few_labels(y, 5, seed=seed, draw=draw)) for seed in range(2) for draw in range(2)]
    assert len(set(chosen)) == 4


def test_what_cannot_be_probed_is_refused_in_one_line() -> None:
    train, valid, test = part(9, 0), part(6, 1), part(6, 2)
    with pytest.raises(MeasureError, match="class 'two' is in valid but not in train"):
        linear_probe((train[0][train[1] != "two"], train[1][train[1] != "two"]), valid, test)
    with pytest.raises(MeasureError, match="wanted test vectors of 30 values like train's, got 4"):
        linear_probe(train, valid, (test[0][:, :4], test[1]))
    with pytest.raises(MeasureError, match="probe, train: 3 of 9 have no label"):
        linear_probe((train[0], np.where(train[1] == "one", "", train[1])), valid, test)
    with pytest.raises(MeasureError, match="probe, valid: 6 of 6 vectors hold NaN"):
        linear_probe(train, (valid[0] * np.float32(np.nan), valid[1]), test)
