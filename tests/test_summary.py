"""Means over seeds and paired differences, beside plain loops over the same draws."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mfcl.core.random import generator
from mfcl.evaluation import drawn
from mfcl.evaluation.bootstrap import DRAWN_BY, resampled
from mfcl.evaluation.drawn import DRAWS
from mfcl.evaluation.result import KNN, PAIRS, Evidence, Question, Representation, Result
from mfcl.evaluation.result import Tested as Items
from mfcl.evaluation.summary import Difference, difference, differences, summaries, summary
from mfcl.evaluation.tasks import measure_voices
from tests.test_tasks import corpus

ASKED = Question("labels", "accuracy", "digit", KNN)
ERRORS = Question("voices", "eer", "speaker", PAIRS)
SPEAKERS, CLIPS = 6, 8
OURS, THEIRS = Representation("pre-trained", "", "both"), Representation("untrained", "", "both")


def items(first=0):
    """Some clips of some speakers."""
    groups = np.repeat([f"s{first + number:02d}" for number in range(SPEAKERS)], CLIPS)
    ids = np.array([f"{group}/{clip}" for clip, group in enumerate(groups)])
    return Items(ids, groups)


def measured(correct, *, seed=0, about=OURS, first=0, **changed):
    """A result of items that are right or wrong."""
    found = items(first).accuracy(ASKED, correct, seed=seed)
    return dataclasses.replace(found, representation=about, seed=seed, **changed)


def errors(draws, *, seed=0, about=OURS, value=10.0, first=0):
    """A result that is no mean of items, known in each draw of speakers."""
    behind = Evidence(items(first).ids, items(first).groups, resampled=np.asarray(draws, dtype=np.float64))
    return Result(ERRORS, value, 5.0, 15.0, 99, None, about, seed, evidence=behind)


def random_correct(seed, share=0.7):
    """Whether each item is right; some speakers fare better."""
    rng = np.random.default_rng(seed)
    return rng.random(SPEAKERS * CLIPS) < np.repeat(rng.uniform(share - 0.3, share + 0.3, SPEAKERS), CLIPS)


def width(one):
    return one.high - one.low


def by_loops(by_seed):
    """The 95 % interval of a mean over seeds: each draw takes speakers once for all seeds, then seeds."""
    weights = np.concatenate(list(resampled(SPEAKERS, seed=DRAWN_BY, draws=DRAWS)))
    seeds = generator(DRAWN_BY, "seeds drawn").integers(len(by_seed), size=(len(by_seed), DRAWS))
    means = []
    for draw in range(DRAWS):
        of_seeds = []
        for chosen in seeds[:, draw]:
            total = count = 0.0
            for speaker in range(SPEAKERS):
                for item in range(CLIPS):
                    total += weights[draw, speaker] * 100.0 * by_seed[chosen][speaker * CLIPS + item]
                    count += weights[draw, speaker]
            of_seeds.append(total / count)
        means.append(sum(of_seeds) / len(of_seeds))
    return np.quantile(means, [0.025, 0.975])


# Over seeds


def test_one_seed_keeps_its_own_figure_and_interval():
    one = measured(random_correct(0), seed=5, x=3.0, seconds=7.0, command="mfcl study x")
    found = summary([one])
    assert (found.value, found.low, found.high) == (one.value, one.low, one.high)
    assert (found.n, found.x, found.seeds, found.seconds, found.command) == (48, 3.0, (5,), 7.0, "mfcl study x")


def test_an_interval_over_seeds_is_that_of_a_plain_loop_over_draws():
    by_seed = [random_correct(seed) for seed in range(3)]
    found = summary([measured(correct, seed=seed) for seed, correct in enumerate(by_seed)])
    np.testing.assert_allclose([found.low, found.high], by_loops(by_seed), rtol=1e-12)
    assert found.value == pytest.approx(100 * np.mean(by_seed))
    assert found.low < found.value < found.high
    assert found.seeds == (0, 1, 2)


def test_seeds_that_differ_widen_the_interval_and_equal_ones_do_not():
    same = random_correct(0)
    alone = summary([measured(same, seed=0)])
    equal = summary([measured(same, seed=seed) for seed in range(3)])
    assert width(equal) == pytest.approx(
        width(alone)
    )  # not narrower: the speakers are the same, not three times as many
    better = np.where(np.arange(len(same)) % 3 == 0, True, same)
    worse = np.where(np.arange(len(same)) % 3 == 1, False, same)
    differing = summary([measured(same, seed=0), measured(better, seed=1), measured(worse, seed=2)])
    assert width(differing) > 1.1 * width(equal)


def test_figures_that_are_no_means_of_items_take_the_same_speakers_in_every_seed():
    rng = np.random.default_rng(0)
    luck = rng.normal(10, 3, 400)  # of the speakers in each draw
    found = summary([errors(luck, seed=seed) for seed in range(3)])
    assert [found.low, found.high] == pytest.approx(np.quantile(luck, [0.025, 0.975]))


def test_an_equal_error_rates_draws_hold_the_same_speakers_whatever_the_seed():
    whole = corpus(voice=0.6)
    by_seed = [
        [one.evidence.resampled for one in measure_voices(whole, "digit", "speaker", seed=seed) if one.evidence]
        for seed in (0, 7)
    ]
    first, second = ([draws for draws in own if draws is not None] for own in by_seed)
    assert len(first) == len(second) == 4
    np.testing.assert_array_equal(first[0], second[0])  # of all pairs: nothing is drawn but the speakers
    for one, other in zip(first[1:], second[1:], strict=True):  # other clips are enrolled of the same speakers
        known = ~np.isnan(one) & ~np.isnan(other)
        assert np.corrcoef(one[known], other[known])[0, 1] > 0.6


def test_seeds_tested_by_other_speakers_have_draws_of_their_own():
    luck = np.random.default_rng(0).normal(10, 3, 1000)
    same = summary([errors(luck, seed=0), errors(luck, seed=1)])
    other = summary([errors(luck, seed=0), errors(luck, seed=1, first=SPEAKERS)])
    assert width(other) < 0.95 * width(same)  # twice as many speakers know more
    back = summary([errors(luck, seed=0), errors(luck, seed=1, first=SPEAKERS), errors(luck, seed=2)])
    assert width(back) < width(same)
    again = summary([errors(luck, seed=0, first=SPEAKERS), errors(luck, seed=1, first=SPEAKERS)])
    assert (again.low, again.high) == (same.low, same.high)


def test_without_evidence_there_is_no_interval_over_seeds():
    known = measured(random_correct(0))
    bare = dataclasses.replace(known, evidence=None, seed=1)
    found = summary([known, bare])
    assert (found.low, found.high) == (None, None)
    assert found.value == known.value
    cost = dataclasses.replace(bare, evidence=Evidence(items().ids, items().groups))
    assert summary([cost, cost]).low is None


def test_one_speaker_alone_has_no_interval():
    about = Items(items().ids, np.full(SPEAKERS * CLIPS, "s"))
    both = [about.accuracy(ASKED, random_correct(seed), seed=seed) for seed in range(2)]
    assert (summary(both).low, difference(both[:1], both[1:]).low) == (None, None)


def test_draws_without_a_figure_are_left_out_and_too_many_leave_no_interval():
    draws = np.linspace(1, 9, 100)
    some, most = draws.copy(), draws.copy()
    some[::4], most[::2], most[1] = np.nan, np.nan, np.nan
    found = summary([errors(some), errors(some, seed=1)])
    assert [found.low, found.high] == pytest.approx(np.nanquantile(some, [0.025, 0.975]))
    assert summary([errors(most), errors(most, seed=1)]).low is None
    moved = errors(some - draws / 10, about=THEIRS, value=8.0)
    apart = difference([errors(some)], [moved])
    assert apart.value == 2.0
    assert [apart.low, apart.high] == pytest.approx(np.nanquantile(some - moved.evidence.resampled, [0.025, 0.975]))


def test_two_speakers_give_an_equal_error_rate_no_interval():
    both = np.where(np.arange(100) % 3 == 0, np.nan, 4.0)  # every draw with a figure holds both
    assert difference([errors(both)], [errors(both - 1, about=THEIRS)]).low is None


def test_seeds_are_summed_up_by_question_and_representation_in_their_order():
    given_ = [measured(random_correct(seed), seed=seed, about=about) for seed in (0, 1) for about in (THEIRS, OURS)]
    found = summaries([*given_, errors(np.ones(9))])
    assert [(one.question, one.representation, one.seeds) for one in found] == [
        (ASKED, THEIRS, (0, 1)), (ASKED, OURS, (0, 1)), (ERRORS, OURS, (0,)),
    ]  # fmt: skip
    assert found[1].value == np.mean([given_[1].value, given_[3].value])


# Differences


def test_a_representation_differs_from_itself_by_nothing():
    own = [measured(random_correct(seed), seed=seed) for seed in range(3)]
    for seeds in (own[:1], own):
        found = difference(seeds, seeds)
        assert (found.value, found.low, found.high, found.verdict) == (0.0, None, None, "")


def test_a_steady_advantage_is_better_and_the_other_way_round_worse():
    theirs = np.tile([True, False, False, True, False, False, True, False], SPEAKERS)
    ours = np.tile([True, True, False, True, False, False, True, False], SPEAKERS)  # one more of each speaker
    ours[2] = True  # two more of the first
    own = [measured(ours, seed=seed) for seed in range(2)]
    rival = [measured(theirs, seed=seed, about=THEIRS) for seed in range(2)]
    found = difference(own, rival)
    assert found.value == pytest.approx(12.5 + 100 / len(ours))
    assert 12.5 <= found.low < found.high
    assert (found.first, found.second, found.question) == (OURS, THEIRS, ASKED)
    assert (found.verdict, difference(rival, own).verdict) == ("better", "worse")


def test_an_advantage_that_is_the_same_in_every_draw_has_no_interval():
    theirs = np.tile([True, False, False, True], 2 * SPEAKERS)
    ours = np.tile([True, True, False, True], 2 * SPEAKERS)
    found = difference([measured(ours)], [measured(theirs, about=THEIRS)])
    assert (found.value, found.low, found.high, found.verdict) == (25.0, None, None, "")


def test_less_is_better_of_errors():
    luck = np.random.default_rng(0).normal(10, 3, 400)
    less, more = errors(luck - 2 + 0.01 * luck, value=8.0), errors(luck, about=THEIRS)
    assert (difference([less], [more]).verdict, difference([more], [less]).verdict) == ("better", "worse")
    found = difference([less], [more])
    assert found.value == -2.0
    assert found.low < found.high < 0


def test_a_paired_interval_is_that_of_a_plain_loop_over_draws():
    ours, theirs = ([random_correct(10 * kind + seed).astype(float) for seed in range(3)] for kind in (1, 2))
    found = difference(
        [measured(correct, seed=seed) for seed, correct in enumerate(ours)],
        [measured(correct, seed=seed, about=THEIRS) for seed, correct in enumerate(theirs)],
    )
    gaps = [one - other for one, other in zip(ours, theirs, strict=True)]
    np.testing.assert_allclose([found.low, found.high], by_loops(gaps), rtol=1e-9, atol=1e-12)


def test_what_makes_a_speaker_hard_is_taken_away_with_the_difference():
    theirs = random_correct(3, share=0.6)
    ours = theirs | (np.arange(len(theirs)) % CLIPS == 0)
    one, other = measured(ours), measured(theirs, about=THEIRS)
    assert width(difference([one], [other])) < 0.7 * (width(one) + width(other))


def test_seeds_are_paired_with_the_same_seed_whatever_the_order():
    own = [measured(random_correct(seed), seed=seed) for seed in range(3)]
    rival = [measured(random_correct(seed), seed=seed, about=THEIRS) for seed in (2, 0, 1)]
    found = difference(own, rival)
    assert (found.value, found.low) == (0.0, None)  # the same items in every pair: nothing to draw
    fewer = difference(own, rival[:1])  # seed 2 alone is measured of both
    assert (fewer.value, fewer.low) == (0.0, None)
    assert (found.seeds, fewer.seeds) == ((0, 1, 2), (2,))


def test_a_difference_of_fewer_seeds_than_the_figures_beside_it_says_so():
    ours, theirs = (
        [measured(random_correct(seed, share), seed=seed, about=about) for seed in range(2)]
        for share, about in ((0.8, OURS), (0.3, THEIRS))
    )
    whole, some = difference(ours, theirs), difference(ours, theirs[:1])
    assert whole.of_fewer(summary(ours), summary(theirs)) == ""
    assert some.of_fewer(summary(ours), summary(theirs[:1])) == "of seed 0 alone"
    assert dataclasses.replace(some, seeds=()).of_fewer(summary(ours)) == ""  # a file of before says nothing of seeds


def test_where_no_seed_is_shared_each_is_compared_with_the_first_of_the_other():
    own = [measured(random_correct(seed), seed=seed) for seed in (1, 2)]
    rival = measured(random_correct(0), seed=0, about=THEIRS)
    found = difference(own, [rival])
    assert found.value == pytest.approx(np.mean([one.value for one in own]) - rival.value)
    assert found.low < found.value < found.high


def test_items_that_differ_give_no_interval():
    one, other = measured(random_correct(0)), measured(random_correct(1), about=THEIRS, first=1)
    found = difference([one], [other])
    assert (found.value, found.low, found.high) == (one.value - other.value, None, None)
    assert found.verdict == ""
    bare = dataclasses.replace(other, evidence=None)
    assert difference([one], [bare]).verdict == difference([bare], [one]).verdict == ""
    of_two = difference(
        [one, dataclasses.replace(one, seed=1)], [measured(random_correct(2)), dataclasses.replace(bare, seed=1)]
    )
    assert of_two.low is None  # one seed of two has no items: the mean of both is not known in a draw


ends = st.floats(-50, 50)


@given(ends, ends)
def test_a_verdict_is_open_unless_the_interval_excludes_nothing_at_all(one, other):
    low, high = sorted((one, other))
    gain, loss = (Difference(asked, OURS, THEIRS, (low + high) / 2, low, high).verdict for asked in (ASKED, ERRORS))
    assert gain == ("better" if low > 0 else "worse" if high < 0 else "open")
    assert loss == {"better": "worse", "worse": "better", "open": "open"}[gain]


def test_groups_are_drawn_once_for_all_differences(monkeypatch):
    calls = []
    monkeypatch.setattr(drawn, "resampled", lambda *given, **more: calls.append(given) or resampled(*given, **more))
    kinds = [OURS, THEIRS, *(Representation("baseline", name) for name in "abc")]
    found = [
        dataclasses.replace(measured(random_correct(seed), seed=seed, about=about), question=asked)
        for asked in (ASKED, dataclasses.replace(ASKED, label="word"))
        for about in kinds
        for seed in range(2)
    ]
    assert len(differences(found)) == 8
    assert calls == [(SPEAKERS,)]  # of many recordings without speakers, drawing for each pair took most of a study
    assert differences(found)[0] == difference(found[:2], found[2:4])


def test_pre_trained_encoders_are_compared_with_baselines_and_with_their_own_kind():
    baseline = Representation("baseline", "MFCC statistics")
    kinds = [
        OURS, baseline, THEIRS, Representation("supervised", "", "both"), Representation("untrained", "", "mel"),
        Representation("untrained", "", "both", "content"), Representation("pre-trained", "", "mel"),
        Representation("pre-trained", "model.x=1", "both"), Representation("untrained", "model.x=1", "both"),
    ]  # fmt: skip
    given_ = [
        measured(random_correct(10 * place + seed), seed=seed, about=about)
        for seed in (0, 1)
        for place, about in enumerate(kinds)
    ]
    found = differences([*given_, errors(np.arange(9.0), about=baseline)])
    assert {(one.first, one.second) for one in found} == {
        *((about, baseline) for about in (kinds[0], kinds[6], kinds[7])),
        *((OURS, other) for other in (THEIRS, kinds[3])),
        (kinds[6], kinds[4]),
        (kinds[7], kinds[8]),
    }
    assert len(found) == 7
    assert all(one.low is not None for one in found)
