import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from mfcl.views import transforms as effects
from mfcl.views.responses import OCTAVES, TAPS, channel_responses, room_responses

RATE = 8000
KNOTS = [TAPS // 2 >> octave for octave in range(OCTAVES, -1, -1)]


def rooms(seconds: list[float], ratio_db: list[float], *, gap: float = 0.005, samples: int = 8000) -> Tensor:
    count = len(seconds)
    return room_responses(
        torch.arange(count) + 7,
        RATE,
        samples,
        seconds=torch.tensor(seconds),
        ratio_db=torch.tensor(ratio_db),
        gap_seconds=torch.full((count,), gap),
    )


@given(st.lists(st.lists(st.floats(-30, 30), min_size=9, max_size=9), min_size=1, max_size=3))
@settings(max_examples=20, deadline=None)
def test_a_channels_spectrum_is_as_drawn_and_linear_between(gains: list[list[float]]) -> None:
    response = channel_responses(torch.tensor(gains))
    spectrum_db = 20 * torch.fft.rfft(response.double()).abs().log10()
    assert response.shape == (len(gains), TAPS)
    for clip, own in enumerate(gains):
        for place in (1, 2, 3, 5, 40, 100, 300, 511, 512):
            octave = math.log2(place / 512) + OCTAVES
            wanted = np.interp(octave, range(OCTAVES + 1), own)
            assert float(spectrum_db[clip, place]) == pytest.approx(wanted, abs=0.02)
        assert [float(spectrum_db[clip, place]) for place in KNOTS] == pytest.approx(own, abs=0.02)


def test_a_channel_of_no_gain_is_a_click_and_others_have_their_energy_early() -> None:
    flat = channel_responses(torch.zeros(1, 9))[0]
    assert float(flat[0]) == pytest.approx(1, abs=1e-6)
    assert flat[1:].abs().max() < 1e-6
    gains = torch.tensor([[12.0, -12, 12, -12, 12, -12, 12, -12, 12], [-20.0, -15, -5, 0, 0, 0, -5, -15, -20]])
    early = channel_responses(gains).square().cumsum(dim=1)
    assert (early[:, 200] / early[:, -1] > 0.99).all()  # of minimum phase: nothing comes before, little long after


def test_a_rooms_decay_has_the_time_that_was_asked() -> None:
    times = [0.1, 0.25, 0.5, 1.0]
    for seconds, response in zip(times, rooms(times, [0.0] * 4, samples=16000), strict=True):
        tail = response[41:].double().square()
        left_db = 10 * (tail.flip(0).cumsum(0).flip(0) / tail.sum()).log10()  # Schroeder's integral
        first, last = (int((left_db < level).nonzero()[0]) for level in (-5.0, -35.0))
        assert 2 * (last - first) / RATE == pytest.approx(seconds, rel=0.15)  # 30 dB take half of the time


def test_direct_sound_gap_and_decay_have_the_asked_energies() -> None:
    ratios = [-10.0, 0.0, 15.0] * 20
    response = rooms([0.3] * 60, ratios)
    assert (response[:, 0] == 1).all()
    assert not response[:, 1:40].any()  # 5 ms at 8 kHz
    assert (response[:, 40] != 0).all()
    measured = -10 * response[:, 1:].double().square().sum(dim=1).log10()
    assert (measured - torch.tensor(ratios)).abs().max() < 1.5
    for kind in range(3):
        assert float(measured[kind::3].mean()) == pytest.approx(ratios[kind], abs=0.3)


def test_a_rooms_samples_do_not_depend_on_how_many_are_asked_for() -> None:
    whole = rooms([0.2, 0.9], [3.0, 5.0])
    assert torch.equal(rooms([0.2, 0.9], [3.0, 5.0], samples=500), whole[:, :500])
    assert torch.equal(rooms([0.2], [3.0], samples=1), torch.ones(1, 1))
    assert rooms([0.2], [3.0], gap=0.0, samples=3)[0, 1] != 0  # a gap of one sample at least
    assert (torch.corrcoef(whole[:, 40:])[0, 1]).abs() < 0.1  # another room's noise


@given(
    lengths=st.lists(st.integers(1, 40), min_size=1, max_size=4),
    taps=st.integers(1, 60),
    padding=st.integers(0, 20),
    seed=st.integers(0, 99),
)
@settings(max_examples=25, deadline=None)
def test_convolution_is_the_plain_sum_scaled_to_the_clips_energy(
    lengths: list[int], taps: int, padding: int, seed: int
) -> None:
    draw = torch.Generator().manual_seed(seed)
    wave, responses = (torch.randn(len(lengths), size, generator=draw) for size in (max(lengths) + padding, taps))
    for row, length in enumerate(lengths):
        wave[row, length:] = 0
    before = wave.clone()
    found = effects.convolved(wave, torch.tensor(lengths), responses)
    assert torch.equal(wave, before)
    for row, length in enumerate(lengths):
        own = wave[row, :length].double().numpy()
        wanted = np.convolve(own, responses[row].double().numpy())[:length]
        wanted *= np.sqrt((own**2).sum() / (wanted**2).sum())
        assert np.allclose(found[row, :length].numpy(), wanted, atol=1e-4 * np.abs(wanted).max())
        assert not found[row, length:].any()


def test_no_clips_are_convolved_too_and_silence_and_faint_sound_keep_their_level() -> None:
    response = channel_responses(torch.zeros(2, 9) + torch.arange(9.0))
    assert effects.convolved(torch.zeros(0, 5), torch.zeros(0, dtype=torch.int64), response[:0]).shape == (0, 5)
    faint = torch.zeros(2, 50)
    faint[1, 10:] = 1e-15
    found = effects.convolved(faint, torch.tensor([50, 50]), response)
    assert not found[0].any()
    assert float(found[1].double().square().sum()) == pytest.approx(40e-30, rel=1e-4)
