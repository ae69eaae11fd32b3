import dataclasses

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mfcl.embeddings import alignment
from mfcl.models.dtw import dtw, spotting
from mfcl.models.encoders import EncoderSettings
from mfcl.models.encoders.base import Frames, merged
from mfcl.models.frontends import MelSettings
from mfcl.models.heads import NeckSettings
from mfcl.models.inference import part_bounds
from mfcl.models.landmarks import Landmarks, LandmarkSettings, aligned_frames
from mfcl.models.pair import ModelSettings, make_model, without
from mfcl.training.projections import head_sizes
from tests.sounds import spoken

ALIGNED = ModelSettings(
    mel_format=MelSettings(bands=32),
    wave=EncoderSettings("filterbank1d", "thirds_max", width=0.125),
    mel=EncoderSettings("melcnn", "thirds_max", width=0.25),
    voices="statistics",
    neck=NeckSettings(2, 16, 8, 4),
    landmarks=LandmarkSettings(count=6, frames=30, pieces=4),
)

COUNTS = st.lists(st.integers(1, 12), min_size=1, max_size=4)


def units(count: int, *, seed: int, dim: int = 10) -> np.ndarray:
    drawn = np.random.default_rng(seed).standard_normal((count, dim)).astype(np.float32)
    return drawn / np.linalg.norm(drawn, axis=1, keepdims=True)


def padded(clips: list[np.ndarray]) -> tuple[torch.Tensor, torch.Tensor]:
    longest = max(len(clip) for clip in clips)
    stacked = np.stack([np.pad(clip, ((0, longest - len(clip)), (0, 0))) for clip in clips])
    return torch.from_numpy(stacked), torch.tensor([len(clip) for clip in clips])


@settings(deadline=None, max_examples=25)
@given(
    asked=st.lists(st.integers(1, 12), min_size=1, max_size=4),
    held=st.lists(st.integers(1, 12), min_size=1, max_size=4),
)
def test_distances_are_those_of_the_search(asked: list[int], held: list[int]) -> None:
    clips = [units(count, seed=place) for place, count in enumerate(asked)]
    marks = [units(count, seed=100 + place) for place, count in enumerate(held)]
    found = dtw(*padded(clips), *padded(marks)).numpy()
    np.testing.assert_allclose(found, alignment.distances(clips, marks), atol=2e-6)


@settings(deadline=None, max_examples=25)
@given(asked=COUNTS, held=COUNTS)
def test_pieces_are_found_as_the_search_finds_them(asked: list[int], held: list[int]) -> None:
    clips = [units(count, seed=place) for place, count in enumerate(asked)]
    pieces = [units(count, seed=100 + place) for place, count in enumerate(sorted(held))]
    found = spotting(*padded(clips), *padded(pieces)).numpy()
    np.testing.assert_allclose(found, alignment.spotted(clips, pieces), atol=2e-6)


def test_the_frames_are_the_formula() -> None:
    drawn = np.random.default_rng(0).standard_normal((9, 60)).astype(np.float32)
    longer = np.concatenate([drawn, np.full((3, 60), 7.0, dtype=np.float32)])  # padding of any value
    frames, lengths = aligned_frames(Frames(torch.from_numpy(longer)[None], torch.tensor([9])))
    levels = drawn.reshape(9, 30, 2).mean(axis=2)
    levels = np.log(np.exp(levels) + np.exp(levels.max() - 9))
    shape = (levels - levels.mean(axis=0)) / (levels.std(axis=0) + 0.3)
    slopes = np.zeros_like(shape)
    slopes[1:-1] = (shape[2:] - shape[:-2]) / 2
    wanted = np.concatenate([shape, 2 * slopes], axis=1)
    wanted /= np.linalg.norm(wanted, axis=1, keepdims=True)
    assert lengths.tolist() == [9]
    np.testing.assert_allclose(frames[0, :9].numpy(), wanted, atol=1e-5)
    assert not frames[0, 9:].any()


@settings(deadline=None, max_examples=10)
@given(counts=st.lists(st.integers(1, 9), min_size=1, max_size=4), hop=st.integers(1, 4), more=st.integers(0, 5))
def test_merged_frames_are_means_of_a_clips_own_frames(counts: list[int], hop: int, more: int) -> None:
    values = torch.zeros(len(counts), max(counts) + more, 2)
    for row, count in enumerate(counts):
        values[row, :count] = torch.arange(count)[:, None] + torch.tensor([1.0, -5.0])
        values[row, count:] = 7.0  # padding of any value
    found = merged(Frames(values, torch.tensor(counts)), hop)
    for row, count in enumerate(counts):
        wanted = [values[row, start : min(start + hop, count)].mean(dim=0) for start in range(0, count, hop)]
        assert int(found.lengths[row]) == len(wanted)
        torch.testing.assert_close(found.values[row, : len(wanted)], torch.stack(wanted))
        assert not found.values[row, len(wanted) :].any()


def fitted(*, words: tuple[str, ...] = ("abc", "cba", "dad", "bad", "acd", "dcb", "aab", "ccd")) -> torch.nn.Module:
    model = make_model(ALIGNED, seed=0).eval()
    sounds = [torch.from_numpy(spoken(word, seed=place))[None] for place, word in enumerate(words)]
    with torch.no_grad():
        for encoder in (model.wave, model.mel):
            encoder.front.fit_normalisation([(sound, None) for sound in sounds])
            made = [aligned_frames(encoder.spectrum(*encoder.front(sound)))[0][0].numpy() for sound in sounds]
            encoder.landmarks.fit(made, seed=0)
    return model


@pytest.fixture(scope="module")
def model() -> torch.nn.Module:
    return fitted()


def landmarks_of(
    model: torch.nn.Module, wave: torch.Tensor, lengths: torch.Tensor | None = None
) -> dict[str, torch.Tensor]:
    bounds = part_bounds(model, "both")
    with torch.no_grad():
        both = torch.cat(list(model(wave, lengths).values()), dim=1)
    return {name: both[:, start:stop] for name, (start, stop) in bounds.items() if name.endswith("landmarks")}


def test_until_they_are_fitted_all_values_are_zero_and_the_part_has_its_name() -> None:
    plain = make_model(ALIGNED, seed=0).eval()
    found = landmarks_of(plain, torch.from_numpy(spoken("abc"))[None])
    assert list(found) == ["wave words landmarks", "mel words landmarks"]
    assert not any(value.any() for value in found.values())
    assert {value.shape for value in found.values()} == {torch.Size([1, 10])}


def test_a_landmark_said_slower_by_a_higher_voice_is_nearer_than_another_word(model: torch.nn.Module) -> None:
    slow = landmarks_of(model, torch.from_numpy(spoken("abc", pace=0.8, pitch=1.03, seed=9))[None])
    fast = landmarks_of(model, torch.from_numpy(spoken("abc", pace=1.3, seed=10))[None])
    other = landmarks_of(model, torch.from_numpy(spoken("dcb", seed=11))[None])
    for format, values in slow.items():
        assert (values - fast[format]).norm() < 0.5 * (values - other[format]).norm(), format
        assert ((values >= 0) & (values <= 1)).all()


@settings(deadline=None, max_examples=8)
@given(counts=st.lists(st.integers(800, 24000), min_size=2, max_size=3), more=st.sampled_from([0, 1, 500]))
def test_a_value_depends_on_its_own_clip_alone(model: torch.nn.Module, counts: list[int], more: int) -> None:
    wave = torch.zeros(len(counts), max(counts) + more)
    for row, count in enumerate(counts):
        wave[row, :count] = 0.1 * torch.randn(count, generator=torch.Generator().manual_seed(row))
    together = landmarks_of(model, wave, torch.tensor(counts))
    for row, count in enumerate(counts):
        for name, alone in landmarks_of(model, wave[row : row + 1, :count]).items():
            torch.testing.assert_close(together[name][row], alone[0], atol=2e-4, rtol=1e-4)


def test_memory_bounds_change_no_value(model: torch.nn.Module, monkeypatch: pytest.MonkeyPatch) -> None:
    wave = 0.1 * torch.randn(5, 9000, generator=torch.Generator().manual_seed(0))
    lengths = torch.tensor([9000, 4000, 8000, 2000, 6000])
    whole = landmarks_of(model, wave, lengths)
    monkeypatch.setattr("mfcl.models.landmarks.CELLS_AT_ONCE", 1)
    for name, value in landmarks_of(model, wave, lengths).items():
        torch.testing.assert_close(value, whole[name], atol=1e-5, rtol=1e-5)


def test_fewer_clips_than_landmarks_leave_zeros() -> None:
    found = landmarks_of(fitted(words=("abc", "dcb")), torch.from_numpy(spoken("abc"))[None])
    for values in found.values():
        assert (values[0, :2] > 0).all()
        assert not values[0, 2:6].any()
        assert (values[0, 6:] > 0).all()  # pieces of these two


def test_noise_moves_a_clip_less_than_another_word_does(model: torch.nn.Module) -> None:
    clean = spoken("abc", seed=9)
    noise = np.random.default_rng(0).standard_normal(len(clean)).astype(np.float32)
    noisy = clean + noise * np.float32(np.sqrt((clean**2).mean() / 10))  # 10 dB
    said, disturbed, other = (
        landmarks_of(model, torch.from_numpy(wave)[None]) for wave in (clean, noisy, spoken("dcb", seed=11))
    )
    for format, values in said.items():
        assert (values - disturbed[format]).norm() < (values - other[format]).norm(), format


def test_silence_and_a_single_frame_have_finite_values(model: torch.nn.Module) -> None:
    for wave in (torch.zeros(1, 8000), torch.zeros(1, 1), 0.1 * torch.ones(1, 300)):
        assert all(torch.isfinite(value).all() for value in landmarks_of(model, wave).values())


def test_landmarks_need_no_projection_head_and_can_be_left_out(model: torch.nn.Module) -> None:
    voices = {f"{name} voices": getattr(model, name).pooled["speaker"] for name in ("wave", "mel")}
    assert head_sizes(ALIGNED, model.parts) == voices
    wave = torch.from_numpy(spoken("abc"))[None]
    with without(model, "landmarks"):
        assert not landmarks_of(model, wave)
    assert landmarks_of(model, wave)
    alone = make_model(ModelSettings(wave=ALIGNED.wave, mel=ALIGNED.mel, landmarks=LandmarkSettings(count=3)), seed=0)
    assert list(head_sizes(ModelSettings(landmarks=LandmarkSettings(count=3)), alone.parts)) == ["wave", "mel"]


def test_a_landmark_longer_than_allowed_is_cut() -> None:
    found = Landmarks(20, LandmarkSettings(count=2, frames=4))
    found.fit([units(9, seed=0, dim=40), units(3, seed=1, dim=40)], seed=0)
    assert sorted(found.lengths.tolist()) == [3, 4]


@pytest.mark.parametrize("rate", [8000, 16000, 48000, 96000])
def test_a_frame_of_the_alignment_is_about_20_ms_at_any_rate(rate: int) -> None:
    model = make_model(dataclasses.replace(ALIGNED, sample_rate=rate), seed=0)
    for encoder in (model.wave, model.mel):
        frames = encoder.spectrum(*encoder.front(torch.zeros(1, rate)))
        assert 40 <= frames.values.shape[1] <= 61, rate
