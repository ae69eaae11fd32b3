import warnings

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mfcl.errors import RecipeError
from mfcl.models import frontends
from mfcl.models.frontends import LogMel, MelSettings, Waveform, mel_filterbank

CHOICES = [
    MelSettings(),
    MelSettings(fft=400, scale="htk", ceiling=1e4),
    MelSettings(fft=512, window=512, hop=128, bands=64, scale="htk", low_hz=50.0, high_hz=7600.0),
    MelSettings(fft=2048, window=1024, hop=256, bands=128, low_hz=20.0),
    MelSettings(fft=440, window=301, hop=100, bands=40),
]


def noise(*shape: int, seed: int = 0) -> torch.Tensor:
    return 0.1 * torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("choice", CHOICES)
@pytest.mark.parametrize("sample_rate", [16000, 22050])
def test_the_filterbank_is_librosas(choice: MelSettings, sample_rate: int) -> None:
    filters = pytest.importorskip("librosa.filters")
    htk = choice.scale == "htk"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # librosa says which bands are empty
        wanted = filters.mel(
            sr=sample_rate, n_fft=choice.fft, n_mels=choice.bands, fmin=choice.low_hz, fmax=choice.high_hz,
            htk=htk, norm=None if htk else "slaney",
        )  # fmt: skip
    got = mel_filterbank(choice, sample_rate).numpy()
    assert np.allclose(got, wanted, rtol=1e-5, atol=1e-7 * wanted.max())


@pytest.mark.parametrize("choice", CHOICES)
@pytest.mark.parametrize("samples", [800, 8803])
def test_the_log_mel_is_librosas(choice: MelSettings, samples: int) -> None:
    features = pytest.importorskip("librosa.feature")
    wave, htk = noise(samples), choice.scale == "htk"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        power = features.melspectrogram(
            y=wave.numpy(), sr=16000, n_fft=choice.fft, hop_length=choice.hop, win_length=choice.window,
            center=True, pad_mode="constant", power=2.0, n_mels=choice.bands, fmin=choice.low_hz, fmax=choice.high_hz,
            htk=htk, norm=None if htk else "slaney",
        )  # fmt: skip
    wanted = np.log(np.clip(power, choice.floor, choice.ceiling))
    got, _ = LogMel(choice, 16000).log_power(wave[None])
    assert got.shape == (1, choice.bands, 1 + samples // choice.hop)
    assert np.abs(got[0].numpy() - wanted).max() < 2e-3


def test_the_references_short_transform_leaves_bands_that_say_the_same_and_a_longer_one_does_not() -> None:
    banks = [mel_filterbank(MelSettings(fft=fft, scale="htk"), 16000).numpy() for fft in (400, 1024)]
    short, long = (np.linalg.matrix_rank(bank, rtol=1e-6) for bank in banks)
    assert short <= 76
    assert long == 80


@settings(deadline=None, max_examples=25)
@given(st.lists(st.integers(1, 4000), min_size=1, max_size=4), st.sampled_from(CHOICES), st.integers(0, 999))
def test_a_clip_alone_equals_itself_in_a_padded_batch(counts: list[int], choice: MelSettings, more: int) -> None:
    front = LogMel(choice, 16000)
    front.fit_normalisation([(noise(2, 4000), None)])
    batch = torch.zeros(len(counts), max(counts) + more)
    for row, count in enumerate(counts):
        batch[row, :count] = noise(count, seed=row)
    together, frames = front(batch, torch.tensor(counts))
    assert frames is not None
    for row, count in enumerate(counts):
        alone, _ = front(batch[row : row + 1, :count])
        assert alone.shape[2] == frames[row] == 1 + count // choice.hop
        assert torch.allclose(together[row, :, : frames[row]], alone[0], atol=1e-3)
        assert not together[row, :, frames[row] :].any()


def test_normalised_training_data_has_mean_zero_and_deviation_one_in_every_band() -> None:
    front = LogMel(MelSettings(), 16000)
    wave, lengths = noise(3, 6000), torch.tensor([6000, 3000, 801])
    wave[1, 3000:], wave[2, 801:] = 0, 0
    front.fit_normalisation([(wave[:1], None), (wave[1:], lengths[1:])])
    mel, frames = front(wave, lengths)
    assert frames is not None
    own = torch.cat([mel[row, :, : frames[row]] for row in range(3)], dim=1)
    assert own.mean(dim=1).abs().max() < 1e-4
    assert (own.std(dim=1, correction=0) - 1).abs().max() < 1e-4


def test_the_normalisation_travels_with_the_weights_and_nothing_else_does() -> None:
    front, other = LogMel(MelSettings(), 16000), LogMel(MelSettings(), 16000)
    front.fit_normalisation([(noise(2, 4000), None)])
    assert sorted(front.state_dict()) == ["deviation", "mean"]
    other.load_state_dict(front.state_dict())
    assert torch.equal(other(noise(1, 4000))[0], front(noise(1, 4000))[0])


def test_silence_is_finite_even_when_there_is_nothing_else() -> None:
    front, wave = LogMel(MelSettings(), 16000), Waveform()
    for module in (front, wave):
        module.fit_normalisation([(torch.zeros(2, 2000), None)])
        assert torch.isfinite(module(torch.zeros(1, 2000))[0]).all()
        assert torch.isfinite(module(noise(1, 2000))[0]).all()


def test_bf16_arithmetic_around_it_does_not_reach_the_spectrogram() -> None:
    front = LogMel(MelSettings(), 16000)
    with torch.autocast("cpu", torch.bfloat16):
        inside, _ = front(noise(1, 2000))
    assert torch.equal(inside, front(noise(1, 2000))[0])


def test_a_waveform_is_scaled_by_the_training_datas_own_level() -> None:
    front = Waveform()
    wave = noise(2, 4000)
    wave[1, 1000:] = 0
    front.fit_normalisation([(wave, torch.tensor([4000, 1000]))])
    scaled, lengths = front(wave, torch.tensor([4000, 1000]))
    assert lengths is not None
    assert abs(float(scaled.square().sum() / 5000) - 1) < 1e-4
    assert not scaled[1, 1000:].any()


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"hop": 0}, "hop: wanted a whole number from 8 to 65536, got 0"),
        ({"fft": 401}, "fft: wanted an even number of samples, got 401"),
        ({"fft": 256}, "window: wanted at most fft"),
        ({"floor": 0.0}, "floor: wanted a number from 1e-30"),
        ({"ceiling": 1e-9}, "ceiling: wanted more than the floor"),
        ({"low_hz": 4000.0, "high_hz": 300.0}, "wanted 0 <= low_hz < high_hz"),
    ],
)
def test_settings_that_are_no_spectrogram_are_refused(wrong: dict[str, float], said: str) -> None:
    with pytest.raises(RecipeError, match=said):
        MelSettings(**wrong)  # type: ignore[arg-type]


def test_bands_beyond_half_the_sample_rate_are_refused() -> None:
    with pytest.raises(RecipeError, match=r"to 9000 Hz do not fit below half the sample rate \(8000 Hz\)"):
        mel_filterbank(MelSettings(high_hz=9000.0), 16000)


def test_log_mels_of_many_clips_are_made_in_blocks_and_are_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    front = LogMel(MelSettings(), 16000)
    wave, lengths = torch.randn(7, 4000, generator=torch.Generator().manual_seed(0)), torch.full((7,), 3000)
    whole, _ = front.log_power(wave, lengths)
    monkeypatch.setitem(frontends.SAMPLES_AT_ONCE, "cpu", 8001)  # two clips
    sizes: list[int] = []
    rfft = torch.fft.rfft
    monkeypatch.setattr(torch.fft, "rfft", lambda pieces: (sizes.append(len(pieces)), rfft(pieces))[1])
    blocks, frames = front.log_power(wave, lengths)
    torch.testing.assert_close(blocks, whole, rtol=1e-5, atol=1e-5)
    assert sizes == [2, 2, 2, 1]
    assert frames is not None
    assert frames.tolist() == [1 + 3000 // 160] * 7


def test_a_band_that_never_changes_is_not_scaled_up() -> None:
    front = LogMel(MelSettings(fft=64, window=64, hop=32, bands=40), 16000)  # narrow bands have no bin
    wave = torch.randn(2, 4000, generator=torch.Generator().manual_seed(0))
    front.fit_normalisation([(wave, None)])
    empty = ~front.filterbank.any(dim=1)
    assert empty.any()
    assert (front.deviation[empty] == 1).all()
    assert (front.deviation[~empty] > 0.1).all()
    moved = front.normalise(front.log_power(wave)[0].roll(1, dims=1), None)  # as a resize in training does
    assert moved.abs().max() < 30
