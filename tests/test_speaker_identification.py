import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mfcl.errors import MeasureError
from mfcl.evaluation.speaker import verify
from mfcl.evaluation.speaker.identification import half, identify, identify_apart, in_upper_half

Corpus = tuple[np.ndarray, np.ndarray, np.ndarray]


def corpus(voice: float, word: float, *, speakers: int = 6, takes: int = 4, digits: int = 4, seed: int = 0) -> Corpus:
    numbers = np.random.default_rng(seed)
    speaker, digit, _ = (axis.ravel() for axis in np.indices((speakers, digits, takes)))
    x = 0.5 * numbers.normal(size=(len(speaker), 16))
    x += voice * numbers.normal(size=(speakers, 16))[speaker] + word * numbers.normal(size=(digits, 16))[digit]
    x += word * numbers.normal(size=(speakers, digits, 16))[speaker, digit]  # each says a word in a way of their own
    order = numbers.permutation(len(x))
    return x[order].astype(np.float32), speaker[order].astype(np.str_), digit[order].astype(np.str_)


def test_voices_are_found_where_they_are_in_the_vectors_only() -> None:
    assert identify(*corpus(2.0, 0.0), seed=0, ks=(1, 3)).accuracy > 0.95
    assert identify(*corpus(0.0, 0.0), seed=0, ks=(1, 3)).accuracy < 0.4


def test_words_kept_apart_tell_a_voice_from_how_one_word_is_said() -> None:
    x, speaker, digit = corpus(0.0, 2.0)
    assert identify(x, speaker, digit, seed=0, ks=(1, 3)).accuracy > 0.9
    assert identify_apart(x, speaker, digit).accuracy < 0.4
    assert identify_apart(*corpus(2.0, 0.0)).accuracy > 0.95


def test_each_clip_is_tested_once_or_enrolled() -> None:
    x, speaker, digit = corpus(1.0, 0.5)
    found = identify(x, speaker, digit, seed=0, ks=(3,))
    enrolled = np.setdiff1d(np.arange(len(x)), found.tested)
    for each in np.unique(speaker):
        for said in np.unique(digit):
            here = (speaker == each) & (digit == said)
            assert (here[enrolled].sum(), here[found.tested].sum()) == (2, 2)
    assert found.speakers.tolist() == speaker[found.tested].tolist()
    assert found.accuracy == found.correct.mean()
    interval = found.interval(seed=0)
    assert interval.low <= found.accuracy <= interval.high
    assert identify_apart(x, speaker, digit).tested.tolist() == list(range(len(x)))


def test_who_is_enrolled_depends_on_the_seed() -> None:
    data = corpus(1.0, 0.5)
    one, same, other = (identify(*data, seed=seed, ks=(3,)).tested.tolist() for seed in (0, 0, 1))
    assert one == same
    assert one != other


@given(counts=st.lists(st.integers(1, 6), min_size=1, max_size=8), seed=st.integers(0, 99))
@settings(deadline=None, max_examples=25)
def test_half_is_half_of_every_digit_and_of_the_speaker(counts: list[int], seed: int) -> None:
    digit = np.random.default_rng(seed).permutation(np.repeat(np.arange(len(counts)), counts))
    enrolled = half(np.full(len(digit), "a"), digit, seed=seed)
    assert enrolled.sum() == (len(digit) + 1) // 2
    for code in range(len(counts)):
        assert abs(2 * enrolled[digit == code].sum() - (digit == code).sum()) <= 1


def test_digits_are_halved_as_numbers() -> None:
    digit = np.array(["10", "9", "2", "100", "9"])
    assert in_upper_half(digit).tolist() == [True, False, False, True, False]
    assert in_upper_half(np.array(["b", "a", "10"])).tolist() == [True, True, False]  # 3 words: 1 below, 2 above


def test_a_speaker_of_one_half_is_left_out() -> None:
    x, speaker, digit = corpus(2.0, 0.0)
    lacking = (speaker == "0") & (digit.astype(int) >= 2)
    found = identify_apart(x[~lacking], speaker[~lacking], digit[~lacking])
    assert "0" not in found.speakers
    assert set(found.speakers) == {"1", "2", "3", "4", "5"}


@pytest.mark.parametrize("measure", ["identify", "apart", "verify"])
def test_voices_that_cannot_be_measured_are_refused_in_one_line(measure: str) -> None:
    def run(x: np.ndarray, speaker: np.ndarray, digit: np.ndarray) -> None:
        if measure == "identify":
            identify(x, speaker, digit, seed=0)
        elif measure == "apart":
            identify_apart(x, speaker, digit)
        else:
            verify(x, speaker, x.mean(axis=0), seed=0)

    x, speaker, digit = corpus(1.0, 0.0)
    with pytest.raises(MeasureError, match="all are of '0'"):
        run(x, np.full(len(x), "0"), digit)
    with pytest.raises(MeasureError, match="each of 96 speakers has one"):
        run(x, np.arange(len(x)).astype(np.str_), digit)
    with pytest.raises(MeasureError, match="voices: 1 of 96 vectors hold NaN"):
        run(np.where(np.arange(len(x))[:, None] == 3, np.float32(np.nan), x), speaker, digit)
    with pytest.raises(MeasureError, match="have no label"):
        run(x, np.where(speaker == "0", "", speaker), digit)


def test_one_digit_cannot_be_kept_apart_and_a_centre_has_as_many_values() -> None:
    x, speaker, _ = corpus(1.0, 0.0)
    with pytest.raises(MeasureError, match="all are '7'"):
        identify_apart(x, speaker, np.full(len(x), "7"))
    with pytest.raises(MeasureError, match="digits of both halves"):
        identify_apart(x, speaker, speaker)
    with pytest.raises(MeasureError, match="centre of 16 values, got 3"):
        verify(x, speaker, np.zeros(3, dtype=np.float32), seed=0)
