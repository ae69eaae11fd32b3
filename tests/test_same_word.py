import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mfcl.embeddings import alignment
from mfcl.errors import MeasureError, MfclError
from mfcl.evaluation.metrics import average_precision
from mfcl.evaluation.same_word import drawn_clips, same_word
from mfcl.models.encoders import EncoderSettings
from mfcl.models.frontends import MelSettings
from mfcl.models.inference import Listed, encoder_frames
from mfcl.models.pair import ModelSettings, make_model
from tests.sounds import spoken


def precision_by_loop(scores: list[float], same: list[bool]) -> float:
    total = 0.0
    for score, is_same in zip(scores, same, strict=True):
        if is_same:
            accepted = [other_same for other, other_same in zip(scores, same, strict=True) if other >= score]
            total += sum(accepted) / len(accepted)
    return total / sum(same)


def dtw_by_loop(one: np.ndarray, other: np.ndarray) -> float:
    best = np.full((len(one) + 1, len(other) + 1), np.inf)
    best[0, 0] = 0
    for i in range(len(one)):
        for j in range(len(other)):
            before = min(best[i, j], best[i, j + 1], best[i + 1, j])
            best[i + 1, j + 1] = before + 1 - float(one[i] @ other[j])
    return best[-1, -1] / (len(one) + len(other))


def some_frames(count: int, seed: int) -> list[np.ndarray]:
    draw = np.random.default_rng(seed)
    return [alignment.unit_frames(draw.normal(size=(draw.integers(2, 7), 3)).astype(np.float32)) for _ in range(count)]


@given(data=st.data(), count=st.integers(2, 40))
@settings(deadline=None, max_examples=30)
def test_average_precision_is_the_plain_loop(data: st.DataObject, count: int) -> None:
    scores = data.draw(st.lists(st.sampled_from([0.0, 0.1, 0.5, 0.7, 2.0]), min_size=count, max_size=count))
    same = data.draw(st.lists(st.booleans(), min_size=count, max_size=count).filter(lambda all_: 0 < sum(all_) < count))
    found = average_precision(np.array(scores), np.array(same))
    assert found == pytest.approx(precision_by_loop(scores, same), abs=1e-12)
    order = np.random.default_rng(0).permutation(count)
    assert average_precision(np.array(scores)[order], np.array(same)[order]) == pytest.approx(found, abs=1e-12)


def test_average_precision_of_all_right_of_none_and_of_nothing_known() -> None:
    same = np.array([True, True, False, False, False])
    assert average_precision(np.array([5.0, 4, 3, 2, 1]), same) == 1
    assert average_precision(np.array([1.0, 2, 3, 4, 5]), same) == pytest.approx((2 / 5 + 1 / 4) / 2)
    assert average_precision(np.zeros(5), same) == pytest.approx(2 / 5)
    for scores, kinds, word in (
        (np.zeros(2), np.array([True, True]), "none of the 2 pairs is different"),
        (np.zeros(2), np.array([False, False]), "none of the 2 pairs is same"),
        (np.array([0.0, np.nan]), np.array([True, False]), "NaN or infinite"),
    ):
        with pytest.raises(MeasureError, match=word) as caught:
            average_precision(scores, kinds)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("seed", [0, 1])
def test_same_word_precision_is_the_plain_loop_over_pairs(seed: int) -> None:
    frames = some_frames(9, seed)
    words, speakers = ["a", "b", "c"] * 3, ["x", "x", "x", "y", "y", "y", "x", "y", "z"]
    pairs = [(i, j) for i in range(9) for j in range(i + 1, 9)]
    rounded = {pair: -round(dtw_by_loop(frames[pair[0]], frames[pair[1]]) * 2**20) for pair in pairs}
    found = same_word(frames, words, speakers, workers=1)
    for kept, value, chance in (
        (pairs, found.every, found.chance),
        ([pair for pair in pairs if speakers[pair[0]] != speakers[pair[1]]], found.across, found.across_chance),
    ):
        same = [words[i] == words[j] for i, j in kept]
        assert value == pytest.approx(precision_by_loop([rounded[pair] for pair in kept], same), abs=1e-9)
        assert chance == pytest.approx(sum(same) / len(same))
    assert (found.clips, found.pairs) == (9, 36)


def test_said_words_are_told_apart_across_voices_and_shuffled_words_are_not() -> None:
    said = [(word, pitch) for word in ("abc", "cab", "dab", "bcd") for pitch in (1.0, 1.05, 0.95)]
    frames = [
        alignment.frames(spoken(word, pitch=pitch, pace=2 - pitch, seed=place), 16000)
        for place, (word, pitch) in enumerate(said)
    ]
    words, speakers = [word for word, _ in said], [str(pitch) for _, pitch in said]
    found = same_word(frames, words, speakers)
    assert found.every > 0.8
    assert found.across is not None
    assert found.across > 0.8
    shuffled = [words[place] for place in np.random.default_rng(0).permutation(len(words))]
    assert same_word(frames, shuffled, speakers).every < 0.5


def test_pairs_across_speakers_are_left_out_where_there_are_none_to_compare() -> None:
    frames = some_frames(4, 0)
    assert same_word(frames, ["a", "b", "a", "b"]).across is None
    assert same_word(frames, ["a", "b", "a", "b"], ["x"] * 4).across is None
    assert same_word(frames, ["a", "a", "b", "b"], ["x", "x", "y", "y"]).across is None


def test_clips_are_drawn_by_the_seed_and_no_more_than_asked() -> None:
    drawn = drawn_clips(50, most=8, seed=3)
    assert len(set(drawn.tolist())) == 8
    assert (np.diff(drawn) > 0).all()
    assert 0 <= drawn.min() <= drawn.max() < 50
    assert drawn.tolist() == drawn_clips(50, most=8, seed=3).tolist()
    assert drawn.tolist() != drawn_clips(50, most=8, seed=4).tolist()
    assert drawn_clips(5, most=8).tolist() == [0, 1, 2, 3, 4]
    frames, words = some_frames(50, 0), ["a", "b"] * 25
    some = same_word(frames, words, most=8, seed=3)
    own = same_word([frames[item] for item in drawn], [words[item] for item in drawn])
    assert some == own
    assert some.pairs == 28


@pytest.mark.parametrize(
    ("words", "speakers", "kind", "word"),
    [
        (["a", "b"], None, {}, "wanted words for 3 clips"),
        (["a", "b", "a"], ["x"], {}, "wanted speakers for 3 clips"),
        (["a", "", "a"], None, {}, "have no entry in words"),
        (["a", "a", "a"], None, {}, "none of the 3 pairs is different"),
        (["a", "b", "a"], None, {"most": 1}, "most: wanted a whole number from 2"),
    ],
)
def test_what_cannot_be_measured_is_refused_in_one_line(
    words: list[str], speakers: list[str] | None, kind: dict[str, int], word: str
) -> None:
    with pytest.raises(MeasureError, match=word) as caught:
        same_word(some_frames(3, 0), words, speakers, **kind)
    assert "\n" not in str(caught.value)
    with pytest.raises(MeasureError, match="two clips or more"):
        same_word(some_frames(1, 0), ["a"])


def test_unit_frames_are_standardised_over_the_clip_of_length_one_and_still_ones_are_marked() -> None:
    values = np.random.default_rng(0).normal(size=(6, 4)).astype(np.float32)
    values[:, 3] = 1e6  # a feature that never changes says nothing
    wanted = np.zeros((6, 4))
    for feature in range(3):
        column = values[:, feature].astype(np.float64)
        wanted[:, feature] = (column - column.mean()) / column.std()
    wanted /= np.linalg.norm(wanted, axis=1, keepdims=True)
    found = alignment.unit_frames(values)
    assert np.allclose(found[:, :4], wanted, atol=1e-6)
    assert not found[:, 4].any()
    scaled = alignment.unit_frames(values * np.float32(8) + np.float32(1))
    assert np.allclose(scaled, found, atol=1e-5)
    assert alignment.unit_frames(values[:1]).tolist() == [[0, 0, 0, 0, 1]]
    for wrong in (values[:0], np.full((2, 2), np.nan, dtype=np.float32)):
        with pytest.raises(MeasureError, match="one finite frame or more"):
            alignment.unit_frames(wrong)


@pytest.mark.parametrize("format", ["wave", "mel"])
def test_an_encoders_frames_are_each_clips_own_in_order(format: str) -> None:
    small = ModelSettings(
        mel_format=MelSettings(bands=40),
        wave=EncoderSettings("res1dnet", "mean_max", width=0.125),
        mel=EncoderSettings("melcnn", "mean_max", width=0.25),
    )
    model = make_model(small, seed=0).train()
    draw = np.random.default_rng(0)
    clips = [0.1 * draw.normal(size=size).astype(np.float32) for size in (9000, 3000, 16000, 170_000)]
    together = encoder_frames(model, Listed(clips), 16000, format, batch=3)
    assert model.training
    for clip, frames in zip(clips, together, strict=True):
        alone = encoder_frames(model, Listed([clip]), 16000, format)[0]
        assert frames.shape == alone.shape
        assert np.allclose(frames, alone, atol=1e-4 * np.abs(alone).max())
        with torch.no_grad():
            own = getattr(model.eval(), format).frames(torch.from_numpy(clip[None, :160_000])).values[0]
        assert np.allclose(frames, own.numpy(), atol=1e-4 * np.abs(alone).max())
    with pytest.raises(MfclError, match="format"):
        encoder_frames(model, Listed(clips), 16000, "both")
