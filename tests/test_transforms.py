import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from mfcl.views import transforms as effects


def whole(*numbers: int) -> Tensor:
    return torch.tensor(numbers, dtype=torch.int64)


def real(*numbers: float) -> Tensor:
    return torch.tensor(numbers, dtype=torch.float32)


def drawn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def test_a_shift_moves_each_clip_within_its_own_length() -> None:
    wave = torch.tensor([[1.0, 2, 3, 4], [1, 2, 3, 0], [1, 2, 0, 0]])
    moved = effects.shifted(wave, whole(4, 3, 2), whole(1, -2, 0))
    assert moved.tolist() == [[0, 1, 2, 3], [3, 0, 0, 0], [1, 2, 0, 0]]


def test_speed_one_changes_nothing_and_speed_two_halves_the_period() -> None:
    wave = drawn(3, 301)
    wave[1, 200:] = 0
    wave[2, 1:] = 0
    lengths = whole(301, 200, 1)
    assert torch.equal(effects.sped(wave, lengths, real(1.0, 1.0, 1.0)), wave)
    place = torch.arange(401) - 200.0
    sine = torch.sin(2 * math.pi * place / 40)[None]  # odd around the middle, so it stays in phase
    fast = effects.sped(sine, whole(401), real(2.0))[0]
    assert torch.allclose(fast[100:301], torch.sin(2 * math.pi * place[100:301] / 20), atol=1e-4)
    assert not fast[:100].any()
    assert not fast[301:].any()
    slow = effects.sped(sine, whole(401), real(0.5))[0]
    assert torch.allclose(slow, torch.sin(2 * math.pi * place / 80), atol=4e-3)  # between samples it is linear


def test_speed_is_taken_within_each_clips_own_length() -> None:
    wave = torch.zeros(2, 8)
    wave[0, :5] = real(1, 2, 3, 4, 5)
    wave[1] = torch.arange(8) + 1.0
    fast = effects.sped(wave, whole(5, 8), real(2.0, 1.0))
    assert fast.tolist() == [[0, 1, 3, 5, 0, 0, 0, 0], [1, 2, 3, 4, 5, 6, 7, 8]]
    slow = effects.sped(wave, whole(5, 8), real(0.5, 0.5))
    assert slow[0].tolist() == [2, 2.5, 3, 3.5, 4, 0, 0, 0]


def test_fades_are_linear_in_amplitude_and_leave_the_middle() -> None:
    faded = effects.faded(torch.ones(2, 10), whole(10, 8), whole(3, 0), whole(1, 3))
    assert faded[0].tolist() == pytest.approx([0.25, 0.5, 0.75, 1, 1, 1, 1, 1, 1, 0.5])
    assert faded[1, :8].tolist() == pytest.approx([1, 1, 1, 1, 1, 0.75, 0.5, 0.25])
    assert faded[1, 8:].tolist() == [0, 0]


def test_a_mask_silences_as_many_samples_as_it_says() -> None:
    masked = effects.silenced(torch.ones(3, 6), whole(1, 0, 3), whole(2, 6, 0))
    assert masked.tolist() == [[1, 0, 0, 1, 1, 1], [0] * 6, [1] * 6]


def test_gain_is_in_db() -> None:
    louder = effects.amplified(torch.ones(2, 4), real(20.0, -6.0206))
    assert louder[:, 0].tolist() == pytest.approx([10.0, 0.5], rel=1e-5)


@given(
    lengths=st.lists(st.integers(1, 900), min_size=1, max_size=6),
    snr_db=st.floats(-20, 60),
    padding=st.integers(0, 300),
    level=st.floats(1e-4, 1),
)
@settings(max_examples=25, deadline=None)
def test_the_measured_snr_is_the_asked_one(lengths: list[int], snr_db: float, padding: int, level: float) -> None:
    wave = torch.zeros(len(lengths), max(lengths) + padding)
    for row, length in enumerate(lengths):
        wave[row, :length] = level * drawn(length, seed=row).abs().clamp(min=0.1)
    noise = effects.noisy(wave, whole(*lengths), torch.full((len(lengths),), snr_db), torch.arange(len(lengths))) - wave
    for row, length in enumerate(lengths):
        assert (noise[row, length:] == 0).all()
        measured = 10 * math.log10(float(wave[row].double().square().sum() / noise[row].double().square().sum()))
        assert measured == pytest.approx(snr_db, abs=0.05 if snr_db < 40 else 0.5)  # noise was rounded with its clip


def test_silence_stays_silent() -> None:
    assert (effects.noisy(torch.zeros(1, 50), whole(50), real(10.0), whole(3)) == 0).all()


def test_noise_is_white_of_deviation_one_and_unlike_for_unlike_keys() -> None:
    noise = effects.white_noise(torch.arange(6), 50_000).double()
    assert noise.mean(dim=1).abs().max() < 0.02
    assert noise.std(dim=1).numpy() == pytest.approx([1.0] * 6, abs=0.01)
    assert (torch.corrcoef(noise) - torch.eye(6)).abs().max() < 0.02
    for apart in (1, 2, 7):  # neither neighbours nor others of its samples know of each other
        assert (noise[:, apart:] * noise[:, :-apart]).mean(dim=1).abs().max() < 0.02


def test_noise_is_a_function_of_key_and_place() -> None:
    keys = torch.tensor([5, 2**52 - 1])
    assert torch.equal(effects.white_noise(keys, 40)[:, :9], effects.white_noise(keys, 9))
    assert torch.equal(effects.white_noise(keys.flip(0), 40).flip(0), effects.white_noise(keys, 40))


@pytest.mark.parametrize(("clips", "samples"), [(1, 1), (3, 7), (6, 50_000), (2, effects.NOISE_AT_ONCE + 1), (0, 5)])
def test_white_noise_is_splitmix64_of_key_and_place_however_many_are_made_at_once(clips: int, samples: int) -> None:
    keys = np.random.default_rng(0).integers(2**63, size=clips)
    words = keys.astype(np.uint64)[:, None] + np.arange(1, samples + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    words = (words ^ (words >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    words = (words ^ (words >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    words ^= words >> np.uint64(31)
    draws = words.view(np.int16).reshape(clips, samples, 4).astype(np.float32)
    expected = (draws.sum(axis=2) + np.float32(2)) / np.float32(2**16 / np.sqrt(3))
    assert np.array_equal(effects.white_noise(torch.from_numpy(keys), samples).numpy(), expected)


def test_noise_is_splitmix64_in_four_parts() -> None:
    def word(key: int, place: int) -> int:
        state = (key + (place + 1) * 0x9E3779B97F4A7C15) % 2**64
        state = (state ^ (state >> 30)) * 0xBF58476D1CE4E5B9 % 2**64
        state = (state ^ (state >> 27)) * 0x94D049BB133111EB % 2**64
        return state ^ (state >> 31)

    noise = effects.white_noise(torch.tensor([123456789]), 5)
    for place in range(5):
        parts = [(word(123456789, place) >> 16 * part) % 2**16 for part in range(4)]
        signed = [part - 2**16 if part >= 2**15 else part for part in parts]
        assert float(noise[0, place]) == pytest.approx((sum(signed) + 2) * math.sqrt(3) / 2**16, rel=1e-5)


def test_mixing_is_the_papers_formula() -> None:
    mel, partner, ratio = 3 * drawn(2, 3, 5), 3 * drawn(2, 3, 4, seed=1), real(0.3, 0.05)
    mixed = effects.mixed(mel, partner, whole(4, 2), ratio)
    for clip in range(2):
        share, frames = float(ratio[clip]), (4, 2)[clip]
        for band in range(3):
            for frame in range(5):
                own, other = float(mel[clip, band, frame]), float(partner[clip, band, frame % frames])
                wanted = math.log((1 - share) * math.exp(own) + share * math.exp(other))
                assert float(mixed[clip, band, frame]) == pytest.approx(wanted, abs=1e-5)


def test_a_window_of_the_whole_picture_is_the_picture() -> None:
    mel = drawn(2, 4, 6)
    same = effects.resized(
        mel,
        whole(6, 3),
        torch.zeros(4),
        band_start=real(0, 0),
        band_scale=real(1, 1),
        frame_start=real(0, 0),
        frame_scale=real(1, 1),
    )
    assert torch.equal(same[0], mel[0])
    assert torch.equal(same[1, :, :3], mel[1, :, :3])


@given(
    bands=st.integers(1, 6),
    frames=st.integers(1, 7),
    padding=st.integers(0, 3),
    scales=st.tuples(st.floats(0.3, 2), st.floats(0.3, 2)),
    starts=st.tuples(st.floats(-2, 2), st.floats(-2, 2)),
)
@settings(max_examples=25, deadline=None)
def test_resizing_is_linear_interpolation_and_shows_the_fill_outside(
    bands: int, frames: int, padding: int, scales: tuple[float, float], starts: tuple[float, float]
) -> None:
    mel, fill = drawn(1, bands, frames + padding), torch.arange(bands) + 100.0
    cut = effects.resized(
        mel,
        whole(frames),
        fill,
        band_start=real(starts[0]),
        band_scale=real(scales[0]),
        frame_start=real(starts[1]),
        frame_scale=real(scales[1]),
    )
    assert cut.shape == mel.shape
    for band in range(bands):
        for frame in range(frames):
            row, column = (s + (i + 0.5) * k - 0.5 for s, i, k in zip(starts, (band, frame), scales, strict=True))
            edges = [abs(row + 0.5), abs(row - bands + 0.5), abs(column + 0.5), abs(column - frames + 0.5)]
            if min(edges) < 1e-4:
                continue  # on the rim either answer is right
            if not (-0.5 <= row <= bands - 0.5 and -0.5 <= column <= frames - 0.5):
                assert float(cut[0, band, frame]) == fill[band]
                continue
            assert float(cut[0, band, frame]) == pytest.approx(bilinear(mel[0, :, :frames], row, column), abs=1e-4)


def bilinear(picture: Tensor, row: float, column: float) -> float:
    total = 0.0
    row, column = (min(max(place, 0), size - 1) for place, size in zip((row, column), picture.shape, strict=True))
    for i in range(picture.shape[0]):
        for j in range(picture.shape[1]):
            total += max(0, 1 - abs(row - i)) * max(0, 1 - abs(column - j)) * float(picture[i, j])
    return total


def test_a_fader_is_linear_in_db_over_the_clips_own_time() -> None:
    level_db = effects.tilted(torch.zeros(3, 2, 5), whole(5, 3, 1), real(0, 10, -6), real(8, -10, 6))
    level_db = level_db * 10 / math.log(10)  # natural logarithm of power to dB
    assert level_db[0, 1].tolist() == pytest.approx([0, 2, 4, 6, 8], abs=1e-5)
    assert level_db[1, 0, :3].tolist() == pytest.approx([10, 0, -10], abs=1e-5)
    assert level_db[2, 0, 0].tolist() == pytest.approx(-6)


def test_hidden_bands_and_frames_show_the_fill() -> None:
    fill = torch.arange(4) + 10.0
    shown = effects.hidden(
        torch.zeros(2, 4, 5), fill, bands=(whole(1, 0), whole(2, 0)), frames=(whole(0, 3), whole(0, 2))
    )
    assert shown[0, :, 0].tolist() == [0, 11, 12, 0]
    assert (shown[0] == shown[0, :, :1]).all()
    assert (shown[1, :, :3] == 0).all()
    assert (shown[1, :, 3:] == fill[:, None]).all()
