import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mfcl.embeddings.linalg import unit_rows
from mfcl.errors import MeasureError
from mfcl.evaluation.bootstrap import percentiles, resampled
from mfcl.evaluation.metrics import equal_error_rate, min_dcf
from mfcl.evaluation.speaker import Curve, verify, verify_enrolled
from mfcl.evaluation.speaker.enrolled import enrolled_clips, half_of_words, rank_within
from tests.test_speaker_identification import corpus

NOWHERE = np.zeros(16, dtype=np.float32)


@pytest.mark.parametrize("pairs_at_once", [50, 2**22])
def test_verification_scores_every_pair_once(pairs_at_once: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mfcl.evaluation.speaker.curves.PAIRS_AT_ONCE", pairs_at_once)
    monkeypatch.setattr("mfcl.evaluation.speaker.curves.COUNTS_AT_ONCE", pairs_at_once * 200)
    x, speaker, _ = corpus(0.6, 0.3)
    keep = np.random.default_rng(5).random(len(x)) < 0.7  # speakers with unequal numbers of clips
    x, speaker, centre = x[keep], speaker[keep], x.mean(axis=0)
    rows = unit_rows(x.astype(np.float64) - centre)
    first, second = np.triu_indices(len(x), k=1)
    scores, same = (rows[first] * rows[second]).sum(axis=1), speaker[first] == speaker[second]
    found = verify(x, speaker, centre, seed=0, draws=50)
    assert 0.05 < found.eer < 0.4
    assert found.eer == pytest.approx(equal_error_rate(scores, same), abs=2e-3)
    assert found.min_dcf == pytest.approx(min_dcf(scores, same), abs=0.02)
    assert (found.pairs, found.speakers) == (len(scores), 6)
    assert found.low <= found.eer <= found.high


def test_the_interval_of_verification_is_that_of_speakers_drawn_one_draw_at_a_time() -> None:

    x, speaker, _ = corpus(0.6, 0.3, speakers=5)
    rows, (first, second) = unit_rows(x.astype(np.float64)), np.triu_indices(len(x), k=1)
    scores, same = (rows[first] * rows[second]).sum(axis=1), speaker[first] == speaker[second]
    rates = []
    for weights in np.concatenate(list(resampled(5, seed=0, draws=40))).astype(int):
        mine, theirs = weights[speaker[first].astype(int)], weights[speaker[second].astype(int)]
        often = np.where(same, mine, mine * theirs)
        if (often * same).any() and (often * ~same).any():
            rates.append(equal_error_rate(np.repeat(scores, often), np.repeat(same, often)))
    found = verify(x, speaker, np.zeros(16, dtype=np.float32), seed=0, draws=40)
    assert (found.low, found.high) == pytest.approx(percentiles(np.array(rates), level=0.95), abs=3e-3)


def test_speakers_with_one_clip_each_make_no_interval_of_a_few_others() -> None:
    """Same-speaker trials are of two speakers, whoever else is drawn: covered in a quarter to two thirds of samples."""
    x, speaker, digit = corpus(0.6, 0.3, speakers=12)
    first = np.unique(speaker, return_index=True)[1]
    for several in (2, 5):
        kept = np.isin(np.arange(len(x)), first) | np.isin(speaker, np.unique(speaker)[:several])
        own, whose = x[kept], speaker[kept]
        pairs = verify(own, whose, NOWHERE, seed=0, draws=50)
        few = verify_enrolled(own, whose, digit[kept], NOWHERE, clips=1, seed=0, draws=50)
        for found in (pairs, few):
            assert (found.low is None) == (several < 5) == bool(np.isnan(found.resampled).all())
            assert ("speakers with several clips" in found.no_interval) == (several < 5)


def test_the_centre_is_taken_away() -> None:
    x, speaker, _ = corpus(1.0, 0.0)
    centred = verify(x + 100, speaker, np.full(16, 100, dtype=np.float32), seed=0, draws=5)
    assert centred.eer == pytest.approx(
        verify(x, speaker, np.zeros(16, dtype=np.float32), seed=0, draws=5).eer, abs=1e-3
    )


def test_equal_seeds_draw_equal_speakers_for_a_paired_difference() -> None:
    x, speaker, _ = corpus(0.6, 0.3)
    other = x + np.random.default_rng(1).normal(size=x.shape).astype(np.float32)
    one, two, again = (verify(vectors, speaker, NOWHERE, seed=3, draws=40) for vectors in (x, other, x))
    np.testing.assert_array_equal(one.resampled, again.resampled)
    assert (np.isnan(one.resampled) == np.isnan(two.resampled)).all()
    assert np.nanquantile(one.resampled, 0.025) == pytest.approx(one.low, abs=1e-9)
    assert np.nanstd(two.resampled - one.resampled) < np.nanstd(two.resampled) + np.nanstd(one.resampled)


@pytest.mark.parametrize("counts_at_once", [1, 2**23])
def test_enrolled_speakers_are_scored_as_written_in_loops(counts_at_once: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mfcl.evaluation.speaker.curves.COUNTS_AT_ONCE", counts_at_once)
    x, speaker, word = corpus(0.6, 0.3, speakers=5, takes=3, digits=2)
    found = verify_enrolled(x, speaker, word, x.mean(axis=0), clips=2, seed=1, draws=30, enrolments=3)
    names, codes = np.unique(speaker, return_inverse=True)
    rates, costs, drawn_rates = [], [], []
    for draw in range(3):
        enrolled = enrolled_clips(codes, word, 2, seed=1, draw=draw)
        scores, pairs = [], []
        for model in range(len(names)):
            centred = [(row - x.mean(axis=0)) for row in x[enrolled & (codes == model)].astype(np.float64)]
            mean = sum(row / np.linalg.norm(row) for row in centred)
            for row, who in zip(x[~enrolled].astype(np.float64) - x.mean(axis=0), codes[~enrolled], strict=True):
                scores.append(float(row @ mean / np.linalg.norm(row) / np.linalg.norm(mean)))
                pairs.append((model, int(who)))
        told, same = np.array(scores), np.array([model == who for model, who in pairs])
        rates.append(equal_error_rate(told, same))
        costs.append(min_dcf(told, same))
        own = []
        for weights in np.concatenate(list(resampled(5, seed=1, draws=30))).astype(int):
            often = np.array([weights[m] if m == who else weights[m] * weights[who] for m, who in pairs])
            usable = (often * same).any() and (often * ~same).any()
            own.append(equal_error_rate(np.repeat(told, often), np.repeat(same, often)) if usable else np.nan)
        drawn_rates.append(own)
    assert (found.models, found.trials, found.enrolments, found.clips) == (5, len(scores), 3, 2)
    assert found.eer == pytest.approx(np.mean(rates), abs=4e-3)
    assert 0.02 < found.eer < 0.5
    assert found.min_dcf == pytest.approx(np.mean(costs), abs=0.03)
    expected = np.mean(drawn_rates, axis=0)
    np.testing.assert_allclose(found.resampled, expected, atol=2e-2)
    assert (found.low, found.high) == pytest.approx(percentiles(expected[~np.isnan(expected)], level=0.95), abs=1e-2)


@pytest.mark.parametrize("speakers", [2, 4, 5])
def test_few_speakers_have_figures_without_an_interval_and_say_why(speakers: int) -> None:
    x, speaker, word = corpus(0.6, 0.3, speakers=speakers)
    both = (
        verify(x, speaker, NOWHERE, seed=0, draws=40),
        verify_enrolled(x, speaker, word, NOWHERE, clips=1, seed=0, draws=40),
    )
    for found in both:
        assert 0 < found.eer < 0.5
        assert (found.low is None, found.high is None) == (speakers < 5, speakers < 5)
        assert found.no_interval.startswith(f"no interval of {speakers} groups") == (speakers < 5)


def test_more_clips_enrolled_make_a_better_model() -> None:
    x, speaker, word = corpus(0.6, 0.0, takes=6)
    one, five = (verify_enrolled(x, speaker, word, NOWHERE, clips=clips, seed=0, draws=5) for clips in (1, 5))
    assert five.eer < one.eer < 0.4


def test_with_words_apart_no_word_is_enrolled_and_tested() -> None:
    x, speaker, word = corpus(0.6, 0.3)
    found = verify_enrolled(x, speaker, word, x.mean(axis=0), clips=2, seed=1, draws=30, enrolments=3, apart=True)
    rows, who = unit_rows(x.astype(np.float64) - x.mean(axis=0)), np.unique(speaker, return_inverse=True)[1]
    rates, trials = [], []
    for draw in range(3):
        side = half_of_words(word, seed=1, draw=draw)
        assert not set(word[side]) & set(word[~side])
        assert len(set(word[side])) == len(set(word)) // 2
        places = np.flatnonzero(side)[enrolled_clips(who[side], word[side], 2, seed=1, draw=draw)]
        scores, same = [], []
        for person in range(who.max() + 1):
            own = rows[places[who[places] == person]].sum(axis=0)
            for clip in np.flatnonzero(~side):
                scores.append(float(own @ rows[clip] / np.linalg.norm(own)))
                same.append(who[clip] == person)
        rates.append(equal_error_rate(np.array(scores), np.array(same)))
        trials.append(len(scores))
    assert found.eer == pytest.approx(np.mean(rates), abs=3e-3)
    assert found.trials == round(np.mean(trials))
    assert found.low <= found.eer <= found.high
    with pytest.raises(MeasureError, match="clips of half of the words"):
        verify_enrolled(x, speaker, word, NOWHERE, clips=int((speaker == speaker[0]).sum()) - 1, seed=0, apart=True)


def test_with_words_apart_what_is_said_helps_nobody() -> None:
    x, speaker, word = corpus(0.2, 0.1)  # who speaks is in the words alone: each speaker's own way of each word
    draw, names = np.random.default_rng(0), sorted(set(zip(speaker.tolist(), word.tolist(), strict=True)))
    own = {name: draw.standard_normal(x.shape[1]) for name in names}
    x = np.stack([own[one, two] for one, two in zip(speaker.tolist(), word.tolist(), strict=True)]).astype(np.float32)
    together = verify_enrolled(x, speaker, word, NOWHERE, clips=5, seed=0, draws=5)
    apart = verify_enrolled(x, speaker, word, NOWHERE, clips=2, seed=0, draws=5, apart=True)
    assert together.eer < 0.4 < apart.eer


def test_who_has_too_few_clips_is_tried_and_not_enrolled() -> None:
    x, speaker, word = corpus(0.6, 0.3, speakers=3, takes=2, digits=3)
    few = np.flatnonzero(speaker == "0")[2:]
    keep = np.setdiff1d(np.arange(len(x)), few)
    found = verify_enrolled(x[keep], speaker[keep], word[keep], NOWHERE, clips=2, seed=0, draws=20)
    assert found.models == 2
    assert found.trials == 2 * (len(keep) - 4)
    assert np.isnan(found.resampled).any()  # a draw of the third speaker alone has no trial
    with pytest.raises(MeasureError, match="more clips than the 6 to enrol, but none has more than 6"):
        verify_enrolled(x[keep], speaker[keep], word[keep], NOWHERE, clips=6, seed=0)
    with pytest.raises(MeasureError, match="centre of 16 values, got 3"):
        verify_enrolled(x, speaker, word, NOWHERE[:3], clips=1, seed=0)


@given(
    counts=st.lists(st.lists(st.integers(0, 4), min_size=3, max_size=3), min_size=1, max_size=5),
    clips=st.integers(1, 5),
    seed=st.integers(0, 99),
)
@settings(deadline=None, max_examples=40)
def test_as_many_clips_of_each_are_enrolled_of_as_many_words_as_can_be(
    counts: list[list[int]], clips: int, seed: int
) -> None:
    pairs = [(who, what) for who, row in enumerate(counts) for what, number in enumerate(row) for _ in range(number)]
    if not pairs:
        return
    speaker, word = np.random.default_rng(seed).permutation(np.array(pairs)).T
    enrolled = enrolled_clips(speaker, word.astype(np.str_), clips, seed=seed)
    for who in np.unique(speaker):
        own = speaker == who
        chosen = word[own & enrolled]
        assert len(chosen) == min(clips, own.sum())
        assert len(np.unique(chosen)) == min(clips, len(np.unique(word[own])))


def test_the_enrolment_depends_on_the_seed_and_the_draw() -> None:
    _, speaker, word = corpus(1.0, 0.0)
    codes = speaker.astype(np.int64)
    one, same, other, later = (
        enrolled_clips(codes, word, 2, seed=seed, draw=draw).tolist() for seed, draw in ((0, 0), (0, 0), (1, 0), (0, 1))
    )
    assert one == same
    assert one not in (other, later)


@given(codes=st.lists(st.integers(0, 4), min_size=1, max_size=30))
@settings(deadline=None, max_examples=40)
def test_rank_within_counts_the_equal_ones_before(codes: list[int]) -> None:
    assert rank_within(np.array(codes)).tolist() == [codes[:place].count(code) for place, code in enumerate(codes)]


@given(bins=st.integers(2, 3000), seed=st.integers(0, 99))
@settings(deadline=None, max_examples=40)
def test_a_thinned_curve_keeps_its_ends_and_its_way(bins: int, seed: int) -> None:
    numbers = np.random.default_rng(seed)
    rising = np.concatenate([[0.0], np.cumsum(numbers.random(bins))])
    falling = 1 - np.concatenate([[0.0], np.cumsum(numbers.random(bins))])
    curve = Curve(rising / rising[-1], (falling - falling[-1]) / (1 - falling[-1]))
    thin = curve.thinned(200)
    assert 2 <= len(thin.false_accept) <= 200
    assert (thin.false_accept[0], thin.false_reject[0]) == (0, 1)
    assert (np.diff(thin.false_accept) >= 0).all()
    assert (np.diff(thin.false_reject) <= 0).all()
    assert set(zip(thin.false_accept, thin.false_reject, strict=True)) <= set(
        zip(curve.false_accept, curve.false_reject, strict=True)
    )


def test_the_curve_meets_the_figure() -> None:
    x, speaker, word = corpus(0.6, 0.3)
    found = verify_enrolled(x, speaker, word, NOWHERE, clips=1, seed=0, draws=5)
    gap = found.curve.false_accept - found.curve.false_reject
    nearest = np.abs(gap).argmin()
    both = (found.curve.false_accept[nearest] + found.curve.false_reject[nearest]) / 2
    assert both == pytest.approx(found.eer, abs=0.02)
    assert len(found.curve.false_accept) <= 200


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_centre_that_is_no_number_is_refused(value: float) -> None:
    x, speaker = np.random.default_rng(0).standard_normal((12, 3)), np.repeat(list("abcd"), 3)
    centre = np.array([0.0, value, 0.0])
    with pytest.raises(MeasureError, match="wanted a centre of finite values"):
        verify(x, speaker, centre, seed=0)
    with pytest.raises(MeasureError, match="wanted a centre of finite values"):
        verify_enrolled(x, speaker, speaker, centre, clips=1, seed=0)
