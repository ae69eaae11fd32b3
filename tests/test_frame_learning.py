import contextlib
import dataclasses
from pathlib import Path
from typing import TypeAlias

import numpy as np
import pytest
import soundfile
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mfcl.data.store import Store
from mfcl.embeddings import alignment
from mfcl.evaluation.same_word import same_word
from mfcl.models.encoders import EncoderSettings
from mfcl.models.encoders.base import Frames
from mfcl.models.frame_encoder import FrameEncoder
from mfcl.models.frontends import MelSettings
from mfcl.models.inference import embed_store
from mfcl.models.landmarks import Landmarks, LandmarkSettings
from mfcl.models.pair import ModelSettings, MultiFormatModel, make_model
from mfcl.models.unlearned import spectrum_alone
from mfcl.training import frame_learning
from mfcl.training.frame_learning import learn_frames
from mfcl.training.landmark_choice import choose_landmarks, frames_to_align
from mfcl.training.positives import Neighbourhood
from mfcl.training.tasks.supervised import Classify, content_part
from tests.small_run import make_task, open_tiny, tiny, with_neighbours
from tests.sounds import spoken

Learned: TypeAlias = tuple[Store, np.ndarray, np.ndarray, MultiFormatModel, MultiFormatModel]
LEARNING = ModelSettings(
    mel_format=MelSettings(bands=32),
    wave=EncoderSettings("filterbank1d", "thirds_max", width=0.125),
    mel=EncoderSettings("melcnn", "thirds_max", width=0.25),
    landmarks=LandmarkSettings(count=6, frames=30, learned=8),
)


def units(count: int, *, seed: int, dim: int = 5) -> np.ndarray:
    drawn = np.random.default_rng(seed).standard_normal((count, dim)).astype(np.float32)
    return drawn / np.linalg.norm(drawn, axis=1, keepdims=True)


def stacked(clips: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    longest = max(map(len, clips))
    return np.stack([np.pad(clip, ((0, longest - len(clip)), (0, 0))) for clip in clips]), np.array([*map(len, clips)])


COUNTS = st.lists(st.tuples(st.integers(1, 9), st.integers(1, 9)), min_size=1, max_size=4)


@settings(deadline=None, max_examples=25)
@given(counts=COUNTS)
def test_matched_frames_are_a_path_that_costs_the_distance(counts: list[tuple[int, int]]) -> None:
    first = [units(height, seed=place) for place, (height, _) in enumerate(counts)]
    second = [units(width, seed=100 + place) for place, (_, width) in enumerate(counts)]
    path, there = alignment.matched(*stacked(first), *stacked(second))
    for pair, (one, other) in enumerate(zip(first, second, strict=True)):
        own = path[there[:, pair], pair][::-1]
        assert own[0].tolist() == [0, 0]
        assert own[-1].tolist() == [len(one) - 1, len(other) - 1]
        steps = np.diff(own, axis=0)
        assert np.isin(steps, (0, 1)).all()
        assert (steps.sum(axis=1) > 0).all()
        cost = sum(1 - float(one[row] @ other[column]) for row, column in own)
        wanted = alignment.distances([one], [other])[0, 0] * (len(one) + len(other))
        np.testing.assert_allclose(cost, wanted, atol=1e-4)


@settings(deadline=None, max_examples=15)
@given(counts=st.lists(st.integers(1, 20), min_size=1, max_size=4), more=st.integers(0, 5))
def test_a_clips_learned_frames_do_not_depend_on_its_batch(counts: list[int], more: int) -> None:
    encoder = FrameEncoder(5, 4)
    encoder.start(0)
    frames = torch.zeros(len(counts), max(counts) + more, 5)
    for row, count in enumerate(counts):
        frames[row, :count] = torch.from_numpy(units(count, seed=row))
    lengths = torch.tensor(counts)
    with torch.no_grad():
        together = encoder(frames, lengths)
        for row, count in enumerate(counts):
            alone = encoder(frames[row : row + 1, :count], lengths[row : row + 1])[0]
            torch.testing.assert_close(together[row, :count], alone, atol=1e-5, rtol=0)
            torch.testing.assert_close(alone.norm(dim=1), torch.ones(count))
            assert not together[row, count:].any()


def test_a_silent_frame_matches_nothing_in_what_is_learned_either() -> None:
    encoder = FrameEncoder(5, 4)
    frames = torch.from_numpy(units(6, seed=0))[None].clone()
    frames[0, 2] = 0
    assert not encoder(frames, torch.tensor([6]))[0, 2].any()


def test_until_frames_are_learned_the_distances_are_those_of_the_spectrum() -> None:
    spectrum = Frames(torch.randn(3, 12, 30, generator=torch.Generator().manual_seed(0)), torch.tensor([12, 7, 9]))
    plain, learning = (Landmarks(30, LandmarkSettings(count=4, frames=10, learned=learned)) for learned in (0, 8))
    clips = [units(9, seed=seed, dim=60) for seed in range(5)]
    plain.fit(clips, seed=0)
    learning.fit([np.pad(clip, ((0, 0), (0, 8))) for clip in clips], seed=0)
    torch.testing.assert_close(learning(spectrum), plain(spectrum))
    learning.learned.fill_(True)
    assert not torch.allclose(learning(spectrum), plain(spectrum), atol=1e-3)
    frames, _ = learning.frames(spectrum)
    torch.testing.assert_close(frames[0].norm(dim=1), torch.ones(12))


def test_what_was_not_learned_can_be_left_out_and_changes_nothing() -> None:
    sounds = [torch.from_numpy(spoken(word, seed=place))[None] for place, word in enumerate(("abc", "cba", "dad"))]
    found = []
    for alone in (lambda _: contextlib.nullcontext(), spectrum_alone):
        model = make_model(LEARNING, seed=0).eval()
        with torch.no_grad(), alone(model):
            for encoder in (model.wave, model.mel):
                encoder.front.fit_normalisation([(sound, None) for sound in sounds])
                made = [encoder.landmarks.frames(encoder.spectrum(*encoder.front(sound))) for sound in sounds]
                encoder.landmarks.fit([frames[0].numpy() for frames, _ in made], seed=0)
            said = model(sounds[0])
        found.append((said, model.state_dict()))
    (with_zeros, kept), (without_them, same) = found
    assert all(torch.equal(value, without_them[format]) for format, value in with_zeros.items())
    assert all(torch.equal(value, same[name]) for name, value in kept.items())
    model.mel.landmarks.learned.fill_(True)
    with spectrum_alone(model):
        assert model.wave.landmarks.frame_encoder is None
        assert model.mel.landmarks.frame_encoder is not None


def test_learned_frames_leave_the_encoders_first_weights_as_they_are() -> None:
    plain = make_model(dataclasses.replace(LEARNING, landmarks=LandmarkSettings(count=6, frames=30)), seed=3)
    weights = make_model(LEARNING, seed=3).state_dict()
    for name, weight in plain.state_dict().items():
        if not name.endswith("marks"):
            torch.testing.assert_close(weights[name], weight, msg=name)


def stored(clips: list[np.ndarray], folder: Path) -> Store:
    for place, clip in enumerate(clips):
        soundfile.write(folder / f"{place:03d}.wav", clip, 16000)
    return open_tiny(folder, tiny())


def said_by_all(folder: Path, *, voices: int = 8) -> tuple[Store, np.ndarray, np.ndarray]:
    """Six words by several voices, whose pitches and paces differ, two takes each."""
    names = ["abc", "cba", "acb", "bca", "dab", "bad"]
    of = [(word, voice, take) for word in names for voice in range(voices) for take in range(2)]
    clips = [
        spoken(word, pace=0.8 + 0.06 * voice, pitch=0.8 + 0.05 * voice, seed=100 * voice + take)
        for word, voice, take in of
    ]
    return stored(clips, folder), np.array([word for word, _, _ in of]), np.array([str(voice) for _, voice, _ in of])


def neighbours(words: np.ndarray, voices: np.ndarray) -> Neighbourhood:
    """Each recording's neighbours: the same word by other voices."""
    hood = Neighbourhood(len(words), positives=2, ambiguous=8, seed=0)
    drawn = np.random.default_rng(0)
    for item in range(len(words)):
        others = np.flatnonzero((words == words[item]) & (voices != voices[item]))
        hood.near[item] = torch.from_numpy(drawn.permutation(others)[: hood.near.shape[1]])
    return hood


@pytest.fixture(scope="module")
def learned(tmp_path_factory: pytest.TempPathFactory) -> Learned:
    store, words, voices = said_by_all(tmp_path_factory.mktemp("words"))
    model, before = (make_model(LEARNING, seed=0).eval() for _ in range(2))
    learn_frames(model, store, neighbours(words, voices), "inter+intra", steps=60, seed=0)
    return store, words, voices, model, before


@pytest.mark.parametrize("format", ["wave", "mel"])
def test_frames_learned_from_other_voices_align_one_word_by_unknown_voices_better(
    learned: Learned, tmp_path: Path, format: str
) -> None:
    _, _, _, model, before = learned
    new = [(word, voice) for word in ("abc", "cba", "acb", "bca", "dab", "bad") for voice in range(6)]
    drawn = np.random.default_rng(1)
    clips = [spoken(word, pace=0.83 + 0.06 * voice, pitch=0.82 + 0.06 * voice, seed=voice) for word, voice in new]
    clips = [clip + 0.15 * drawn.standard_normal(len(clip)).astype(np.float32) for clip in clips]  # about -3 dB
    store, words, voices = stored(clips, tmp_path), *np.array(new).T
    found = [same_word(frames_to_align(getattr(one, format), store), words, voices).across for one in (before, model)]
    assert found[0] is not None
    assert found[1] is not None
    assert found[1] > found[0] + 0.05


def test_only_the_frame_encoders_learn_and_twice_the_same(learned: Learned) -> None:
    store, words, voices, model, before = learned
    changed = {
        name for name, weight in model.state_dict().items() if not torch.equal(weight, before.state_dict()[name])
    }
    assert changed
    assert all("landmarks.frame_encoder" in name or name.endswith("landmarks.learned") for name in changed)
    assert not any(weight.requires_grad for name, weight in model.named_parameters() if "frame_encoder" in name)
    one, other = (make_model(LEARNING, seed=0).eval() for _ in range(2))
    for again in (one, other):
        learn_frames(again, store, neighbours(words, voices), "inter+intra", steps=3, seed=0)
    for name, weight in one.state_dict().items():
        assert torch.equal(weight, other.state_dict()[name]), name


def test_frames_heard_one_step_ahead_are_those_heard_in_turn(learned: Learned, monkeypatch: pytest.MonkeyPatch) -> None:
    store, words, voices, _, _ = learned
    one, other = (make_model(LEARNING, seed=0).eval() for _ in range(2))
    learn_frames(one, store, neighbours(words, voices), "inter+intra", steps=4, seed=0)
    monkeypatch.setattr(frame_learning, "ahead", lambda make, steps: ((step, make(step)) for step in steps))
    learn_frames(other, store, neighbours(words, voices), "inter+intra", steps=4, seed=0)
    for name, weight in one.state_dict().items():
        assert torch.equal(weight, other.state_dict()[name]), name


def test_formats_that_are_not_trained_do_not_learn_frames(learned: Learned) -> None:
    store, words, voices, _, _ = learned
    model = make_model(LEARNING, seed=0).eval()
    learn_frames(model, store, neighbours(words, voices), "mel-mel", steps=2, seed=0)
    assert bool(model.mel.landmarks.learned)
    assert not bool(model.wave.landmarks.learned)


def test_frames_of_what_may_say_the_same_are_no_negatives() -> None:
    hood = Neighbourhood(100, positives=2, ambiguous=5, seed=0)
    hood.near[0] = torch.tensor([7, 8, 9, 10, 11])
    first, second = np.array([0, 1]), np.array([7, 9])  # 9 may say what 0 says; 7 says nothing of 1
    pair = torch.tensor([0, 0, 1])
    times = torch.tensor([[0, 0], [4, 4], [0, 0]])
    found = frame_learning._negatives(hood, first, second, pair, times)
    assert found.tolist() == [[False, True, False], [True, False, False], [True, True, False]]


def test_a_model_that_is_not_trained_learns_no_frames(tmp_path: Path) -> None:
    store, _, _ = said_by_all(tmp_path)
    recipe = with_neighbours(tiny())
    landmarks = LandmarkSettings(count=6, frames=30, learned=8, steps=2)
    task = make_task(store, dataclasses.replace(recipe, model=dataclasses.replace(recipe.model, landmarks=landmarks)))
    task.prepare()
    task.finish()
    assert not any(bool(encoder.landmarks.learned) for encoder in (task.model.wave, task.model.mel))
    task.begin(0, 1)
    task.finish()
    assert all(bool(encoder.landmarks.learned) for encoder in (task.model.wave, task.model.mel))
    assert all((encoder.landmarks.lengths > 0).all() for encoder in (task.model.wave, task.model.mel))


@pytest.mark.parametrize(("count", "apart"), [(6, True), (60, False)])
def test_the_formats_have_other_recordings_as_landmarks_where_there_are_enough(
    learned: Learned, count: int, apart: bool
) -> None:
    store = learned[0]  # 96 recordings
    model = make_model(dataclasses.replace(LEARNING, landmarks=LandmarkSettings(count=count, frames=30)), seed=0).eval()
    choose_landmarks(model, store, LandmarkSettings(count=count, frames=30), seed=0)
    chosen = []
    for format in ("wave", "mel"):
        landmarks = getattr(model, format).landmarks
        frames = [torch.from_numpy(one[:30]) for one in frames_to_align(getattr(model, format), store)]
        marks = [mark[:length] for mark, length in zip(landmarks.marks, landmarks.lengths.tolist(), strict=True)]
        chosen.append({item for item, own in enumerate(frames) if any(torch.equal(own, mark) for mark in marks)})
        assert len(chosen[-1]) == count
    assert (not chosen[0] & chosen[1]) == apart


def test_what_is_trained_with_labels_aligns_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store, words, _ = said_by_all(tmp_path)
    targets = np.unique(words, return_inverse=True)[1].astype(np.int64)
    recipe = dataclasses.replace(tiny(), model=LEARNING)
    task = Classify(make_model(LEARNING, seed=0), ["mel"], store, targets, recipe, seed=0)
    task.prepare()
    whole = embed_store(task.whole[0], store, format="mel")
    choose_landmarks(task.whole[0], store, LEARNING.landmarks, seed=0)
    monkeypatch.delattr(Landmarks, "forward")
    found = task.embed(store)["mel"]
    assert np.array_equal(found, content_part(whole, "mel"))
    assert found.shape[1] == task.linears["mel"].in_features
    assert task.encoder("mel").landmarks is not None
