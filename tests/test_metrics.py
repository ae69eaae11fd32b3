import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mfcl.core.console import counted
from mfcl.embeddings.linalg import check_measurable
from mfcl.errors import MeasureError
from mfcl.evaluation.bootstrap import bootstrap_interval, interval_of, paired_draws
from mfcl.evaluation.metrics import accept_rates, accuracy, confusion, crossing, equal_error_rate, min_dcf

ONES = np.ones((3, 2))


def rates_by_loops(scores: np.ndarray, same: np.ndarray) -> list[tuple[float, float]]:
    points = []
    for threshold in [np.inf, *sorted(set(scores.tolist()), reverse=True)]:
        accepted = [score >= threshold for score in scores]
        wrong = sum(a and not s for a, s in zip(accepted, same, strict=True)) / (~same).sum()
        missed = sum(s and not a for a, s in zip(accepted, same, strict=True)) / same.sum()
        points.append((wrong, missed))
    return points


def scored_pairs(seed: int, count: int) -> tuple[np.ndarray, np.ndarray]:
    numbers = np.random.default_rng(seed)
    same = np.arange(count) % 3 == 0
    return np.round(numbers.normal(size=count) + same, 1), same  # rounded: many ties


@given(seed=st.integers(0, 999), count=st.integers(4, 60))
@settings(deadline=None, max_examples=25)
def test_the_equal_error_rate_lies_between_the_two_thresholds_around_the_crossing(seed: int, count: int) -> None:
    scores, same = scored_pairs(seed, count)
    points = rates_by_loops(scores, same)
    after = next(place for place, (wrong, missed) in enumerate(points) if wrong >= missed)
    (x0, y0), (x1, y1) = points[after - 1], points[after]
    share = (y0 - x0) / ((y0 - x0) + (x1 - y1))
    assert equal_error_rate(scores, same) == pytest.approx(x0 + share * (x1 - x0), abs=1e-12)


@given(seed=st.integers(0, 999), count=st.integers(4, 60))
@settings(deadline=None, max_examples=25)
def test_min_dcf_is_the_lowest_cost_of_all_thresholds(seed: int, count: int) -> None:
    scores, same = scored_pairs(seed, count)
    wanted = min(0.4 * missed + 0.6 * wrong for wrong, missed in rates_by_loops(scores, same)) / 0.4
    assert min_dcf(scores, same, target=0.4) == pytest.approx(wanted)


def test_separate_scores_have_no_error_and_reversed_ones_only_errors() -> None:
    scores, same = np.array([0.1, 0.2, 0.8, 0.9]), np.array([False, False, True, True])
    assert (equal_error_rate(scores, same), equal_error_rate(-scores, same)) == (0.0, 1.0)


def test_scores_that_are_all_equal_tell_nothing() -> None:
    assert equal_error_rate(np.zeros(4), np.array([True, False, False, True])) == 0.5


def test_counted_scores_cross_where_the_scores_do() -> None:
    scores, same = scored_pairs(0, 600)
    places = np.round(scores * 10).astype(int) + 100
    counts = np.stack([np.bincount(places[same], minlength=200), np.bincount(places[~same], minlength=200)])
    rates = accept_rates(counts.astype(np.float64))
    assert float(crossing(rates[1], 1 - rates[0])) == pytest.approx(equal_error_rate(scores, same))


def test_pairs_of_one_kind_and_scores_that_are_nan_are_refused() -> None:
    with pytest.raises(MeasureError, match=r"none of the 2 pairs is of different speakers"):
        equal_error_rate(np.zeros(2), np.array([True, True]))
    with pytest.raises(MeasureError, match=r"none of the 2 pairs is of equal speakers"):
        equal_error_rate(np.zeros(2), np.array([False, False]))
    with pytest.raises(MeasureError, match="NaN"):
        equal_error_rate(np.array([np.nan, 0.0]), np.array([True, False]))
    with pytest.raises(MeasureError, match="between 0 and 1"):
        min_dcf(np.array([1.0, 0.0]), np.array([True, False]), target=0.0)


def test_a_confusion_has_a_row_a_true_class_and_refuses_unknown_ones() -> None:
    classes = np.array(["b", "a"])  # in any order
    found = confusion(np.array(["a", "a", "b"]), np.array(["b", "a", "b"]), classes)
    assert found.tolist() == [[1, 1], [0, 1]]
    with pytest.raises(MeasureError, match="'c' is none of the 2 classes"):
        confusion(np.array(["c"]), np.array(["a"]), classes)


def test_accuracy_refuses_nothing_and_unequal_counts() -> None:
    with pytest.raises(MeasureError, match="0 predictions for 0 items"):
        accuracy(np.empty(0), np.empty(0))
    with pytest.raises(MeasureError, match="1 predictions for 2 items"):
        accuracy(np.ones(1), np.ones(2))


def test_the_interval_draws_whole_groups() -> None:
    groups = np.repeat(np.arange(10), 50)
    speakers = np.repeat(np.arange(10) % 2, 50).astype(float)  # right or wrong together
    shuffled = np.tile([0.0, 1.0], 250)  # each speaker half right
    found = bootstrap_interval(speakers, groups, seed=0)
    assert found.high - found.low == pytest.approx(2 * 1.96 * np.sqrt(0.25 / 10), rel=0.2)
    assert "the same for nearly all draws" in bootstrap_interval(shuffled, groups, seed=0).reason


def test_a_group_weighs_as_much_as_it_has_items() -> None:
    values, groups = np.repeat([1.0, 0.0], [96, 4]), np.repeat(["a", "b", "c", "d", "e"], [93, 1, 1, 1, 4])
    found = bootstrap_interval(values, groups, seed=1, level=0.9)
    heavy = bootstrap_interval(values, np.repeat(["a", "b", "c", "d", "e"], [20, 20, 20, 36, 4]), seed=1, level=0.9)
    assert found.low < 0.5 < 0.8 < heavy.low  # some draws do not hold the one with nearly all items


def test_the_interval_is_a_function_of_the_seed_and_not_of_the_order() -> None:
    values, groups = np.random.default_rng(0).random(60), np.arange(60) % 7
    order = np.random.default_rng(1).permutation(60)
    first, again = (bootstrap_interval(values[way], groups[way], seed=3) for way in (np.arange(60), order))
    assert (first.low, first.high) == pytest.approx((again.low, again.high), abs=1e-12)
    assert first != bootstrap_interval(values, groups, seed=4)


@pytest.mark.parametrize("count", [1, 2, 4, 5])
def test_few_groups_have_no_interval_and_the_reason_is_said(count: int) -> None:
    groups = np.arange(40) % count
    found = bootstrap_interval(np.random.default_rng(0).random(40), groups, seed=0)
    assert (found.low is None) == (found.high is None) == (count < 5)
    assert found.reason == (
        f"no interval of {counted(count, 'group')} (speakers, else recordings); 5 or more are wanted"
        if count < 5
        else ""
    )
    draws = np.random.default_rng(0).random(100)
    assert (interval_of(draws, count).low is None) == (count < 5)
    assert (paired_draws(draws, 0 * draws, count).low is None) == (count < 5)


def test_draws_without_spread_or_without_a_figure_have_no_interval() -> None:
    for draws in (np.full(50, 3.0), np.full(50, np.nan), np.where(np.arange(50) % 2, np.nan, 3.0)):
        found = interval_of(draws, 9)
        assert (found.low, found.high) == (None, None)
        assert "the same for nearly all draws" in found.reason


def test_unequal_counts_are_refused() -> None:
    with pytest.raises(MeasureError, match="2 values for 3 groups"):
        bootstrap_interval(np.ones(2), np.array(["a", "b", "b"]), seed=0)


@pytest.mark.parametrize(
    ("vectors", "labels", "message"),
    [
        (np.array([[1.0, np.nan], [0.0, 0.0]]), np.array(["a", "b"]), "1 of 2 vectors hold NaN"),
        (np.array([[0.0, 0.0], [np.inf, -np.inf]]), np.array(["a", "b"]), "the first is number 1"),
        (ONES, np.array(["a", "", ""]), "2 of 3 have no label"),
        (ONES, np.array(["a"]), "3 vectors, but labels of shape"),
        (np.empty((0, 2)), np.empty(0), "at least one item"),
    ],
)
def test_what_cannot_be_measured_is_named_in_one_line(vectors: np.ndarray, labels: np.ndarray, message: str) -> None:
    with pytest.raises(MeasureError, match=message) as raised:
        check_measurable(vectors, labels)
    assert "\n" not in str(raised.value)
    check_measurable(ONES, np.array(["a", "b", "c"]))


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"values": np.array([0.0, np.nan, 1.0, np.inf, 0.0, 1.0])}, "2 of 6 values are NaN or infinite"),
        ({"draws": 0}, "draws: wanted a whole number from 1"),
        ({"level": 2.0}, "level: wanted a number from 0 to 1, got 2.0"),
        ({"level": float("nan")}, "level: wanted a number from 0 to 1, got nan"),
    ],
)
def test_an_interval_of_what_is_no_number_is_refused(wrong, said):
    asked = {"values": np.arange(6.0), "groups": np.array(list("abcdef")), "seed": 0, **wrong}
    with pytest.raises(MeasureError, match=said):
        bootstrap_interval(asked.pop("values"), asked.pop("groups"), **asked)
