"""Few labels counted in all: drawn or chosen, probed or spread, and what has no label."""

import dataclasses
import tracemalloc

import numpy as np
import pytest

from mfcl.embeddings.table import Embeddings
from mfcl.errors import MeasureError
from mfcl.evaluation import wording
from mfcl.evaluation.bootstrap import DRAWN_BY, draws_and_groups, resampled
from mfcl.evaluation.neighbourhood import vector_neighbourhood
from mfcl.evaluation.result import CHOSEN, KNN, LINEAR, RANDOM, SPREAD, Result
from mfcl.evaluation.result_file import from_rows, to_row
from mfcl.evaluation.summary import difference
from mfcl.evaluation.tasks import measure_labels_in_all, measure_nearest, with_answers
from tests.test_tasks import corpus


def measured(whole: Embeddings, **changed: object) -> list[Result]:
    settings: dict[str, object] = {"counts": (10, 20, 5000), "seed": 0, **changed}
    return measure_labels_in_all(vector_neighbourhood(whole), whole, "digit", "speaker", **settings)  # type: ignore[arg-type]


def by_question(found: list[Result]) -> dict[tuple[object, ...], Result]:
    return {
        (one.question.probe, one.question.labels_in_all, one.question.selection, one.question.labels_per_class): one
        for one in found
    }


def test_labels_in_all_are_drawn_and_chosen_probed_and_spread() -> None:
    found = by_question(measured(corpus(digit=1.0)))
    wanted = {(probe, count, how, None) for probe in (LINEAR, SPREAD) for count in (10, 20) for how in (RANDOM, CHOSEN)}
    assert set(found) == {*wanted, (SPREAD, None, "", 1)}  # no 5,000: there are fewer recordings
    assert {one.question.section for one in found.values()} == {"efficiency"}
    assert all(one.x is None for one in found.values())  # no place on a chart of labels a class
    assert found[SPREAD, 20, RANDOM, None].value > found[SPREAD, 10, RANDOM, None].value
    assert found[SPREAD, 10, CHOSEN, None].value > found[SPREAD, 10, RANDOM, None].value + 5
    assert found[SPREAD, None, "", 1].value > 80
    texts = {wording.task(one.question) for one in found.values()}
    assert "digit, labels spread, 20 labels in all, chosen" in texts
    assert "digit, linear probe, 10 labels in all, drawn at random" in texts
    assert "digit, labels spread, 1 label a class" in texts


def test_a_row_of_labels_in_all_is_read_as_it_was_written_and_an_older_one_too() -> None:
    found = measured(corpus(digit=1.0))
    rows = [to_row(one) for one in found]
    again = from_rows(rows, "results.json")
    assert [one.question for one in again] == [one.question for one in found]
    for row in rows:
        del row["labels_in_all"], row["selection"]
    old = from_rows(rows, "results.json")
    assert {one.question.labels_in_all for one in old} == {None}


def test_a_class_that_no_known_label_names_counts_as_wrong() -> None:
    whole = corpus(digit=3.0)
    digits = whole.labels["digit"]
    rare = np.where(np.arange(len(whole)) == np.flatnonzero((digits == "1") & (whole.splits == "train"))[0], "1", "0")
    rare = np.where(whole.splits == "test", digits, rare)
    one = dataclasses.replace(whole, labels={**whole.labels, "digit": rare})
    found = by_question(measured(one, counts=(2,), seed=3))
    tested = one.splits == "test"
    share = (
        100
        * np.mean(np.isin(digits[tested], ["0", "1"]) & (digits[tested] == "0"))
        / np.mean(np.isin(digits[tested], ["0", "1"]))
    )
    assert found[SPREAD, 2, RANDOM, None].value == pytest.approx(share, abs=1e-9)  # "1" is never drawn
    assert (LINEAR, 2, RANDOM, None) not in found  # both labels of a draw name one class


def test_recordings_without_a_label_are_passed_over() -> None:
    whole = corpus(digit=1.0)
    some = np.where((np.arange(len(whole)) % 2 == 0) & (whole.splits != "test"), "", whole.labels["digit"])
    found = measured(dataclasses.replace(whole, labels={**whole.labels, "digit": some}))
    assert len(found) == 9
    assert by_question(found)[SPREAD, 20, CHOSEN, None].value > 50
    nothing = np.where(whole.splits == "test", whole.labels["digit"], "0")
    with pytest.raises(MeasureError, match="wanted 2 or more values to learn from"):
        measured(dataclasses.replace(whole, labels={**whole.labels, "digit": nothing}))


def test_many_groups_are_not_all_drawn_at_once() -> None:
    groups = np.arange(5000).astype(str)
    rights = np.random.default_rng(0).random((1, len(groups))) < 0.5
    tracemalloc.start()
    found = draws_and_groups(100.0 * rights, groups)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1000 * len(groups) * 8  # bytes of all draws of groups
    weights = np.concatenate(list(resampled(len(groups), seed=DRAWN_BY, draws=1000)))
    order = np.argsort(groups)
    assert np.array_equal(found, weights @ (100.0 * rights[0, order]) / len(groups))


def test_intervals_are_over_speakers_and_draws_and_paired() -> None:
    good, bad = (by_question(measured(corpus(digit=signal)))[SPREAD, 10, RANDOM, None] for signal in (1.0, 0.5))
    assert good.evidence is not None
    assert good.evidence.correct is not None
    assert good.evidence.resampled is not None
    assert good.low is not None
    assert good.high is not None
    assert good.low < good.value < good.high
    apart = difference([good], [bad])
    assert apart.low is not None
    assert apart.high is not None
    assert apart.low < apart.value < apart.high
    assert difference([good], [good]).low is None  # the same draws: no difference at all


def test_nearest_of_a_neighbourhood_are_those_of_knn() -> None:
    whole = corpus(digit=1.0)
    found = measure_nearest(vector_neighbourhood(whole), whole, "digit", "speaker", seed=0)
    assert found.question.probe == KNN
    from mfcl.evaluation.tasks import measure_labels

    wanted = next(one for one in measure_labels(whole, "digit", "speaker", seed=0) if one.question.probe == KNN)
    assert (found.value, found.low, found.high) == (wanted.value, wanted.low, wanted.high)


def test_recordings_without_a_label_do_not_vote() -> None:
    whole = corpus(digit=1.0)
    known = np.flatnonzero(np.isin(whole.splits, ("train", "valid")))
    named = whole.label("digit").copy()
    named[np.random.default_rng(0).permutation(known)[: len(known) // 2]] = ""
    partly = dataclasses.replace(whole, labels={**whole.labels, "digit": named})
    with pytest.raises(MeasureError, match=f"{len(known) // 2} of {len(known)} have no 'digit' to vote with"):
        measure_nearest(vector_neighbourhood(partly), partly, "digit", "speaker", seed=0)
    answering = dataclasses.replace(partly, splits=with_answers(partly, "digit"))
    found = measure_nearest(vector_neighbourhood(answering), answering, "digit", "speaker", seed=0)
    assert found.value > 90  # half of the votes were lost before
