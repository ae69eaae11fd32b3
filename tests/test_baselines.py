import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mfcl.audio.log_mel import log_mel, mel_filters
from mfcl.errors import MeasureError
from mfcl.evaluation import baselines, long_clips
from mfcl.evaluation.baselines import (
    average_spectrum,
    competition,
    log_mel_picture,
    mfcc,
    mfcc_statistics,
    mfcc_summary,
    random_features,
    resized,
)

RATE = 16_000


def sound(seconds: float, seed: int = 0) -> np.ndarray:
    noise = np.random.default_rng(seed).normal(size=round(seconds * RATE))
    chirp = np.sin(2 * np.pi * np.cumsum(np.linspace(200, 3000, len(noise))) / RATE)
    return (0.05 * noise + 0.3 * chirp).astype(np.float32)


class Two:
    """Clips that are read one at a time."""

    def __len__(self) -> int:
        return 2

    def clip(self, index: int) -> np.ndarray:
        return sound(0.3, index)


def test_mfcc_are_librosas() -> None:
    import librosa
    from scipy.signal import lfilter

    clip = sound(0.5)
    brighter = lfilter([1, -0.97], [1], clip).astype(np.float32)
    shape = {"n_fft": 512, "win_length": 400, "hop_length": 160, "n_mels": 40, "center": True, "pad_mode": "constant"}
    mel = librosa.feature.melspectrogram(y=brighter, sr=RATE, power=2.0, **shape)
    wanted = librosa.feature.mfcc(S=10 * np.log10(np.maximum(mel, 1e-8)), n_mfcc=20)
    assert mfcc(clip, RATE) == pytest.approx(wanted, abs=1e-2)


@pytest.mark.parametrize(("rate", "size", "bands"), [(16_000, 512, 40), (8_000, 256, 20), (1_600, 512, 10)])
def test_mel_filters_are_librosas(rate: int, size: int, bands: int) -> None:
    import librosa

    wanted = librosa.filters.mel(sr=rate, n_fft=size, n_mels=bands)
    assert mel_filters(rate, size, bands) == pytest.approx(wanted, abs=1e-6)


def test_slopes_of_a_straight_line_are_its_slope() -> None:
    line = np.array([[3.0], [-1.0]]) * np.arange(200)
    found = mfcc_summary(line).reshape(4, 2)
    assert found[0] == pytest.approx(line.mean(axis=1))
    assert found[1] == pytest.approx(line.std(axis=1))
    assert found[2] == pytest.approx([3.0, -1.0], rel=0.05)  # the ends are flat


@given(frames=st.integers(1, 40), columns=st.integers(1, 15))
@settings(deadline=None, max_examples=25)
def test_a_column_is_the_mean_of_its_share_of_the_frames(frames: int, columns: int) -> None:
    values = np.random.default_rng(frames).normal(size=(2, frames))
    fine = np.repeat(values, columns, axis=1)  # as many equal pieces in a frame as there are columns
    wanted = fine.reshape(2, columns, frames).mean(axis=2)
    assert resized(values, columns) == pytest.approx(wanted)


@given(samples=st.integers(1, 3000))
@settings(deadline=None, max_examples=25)
def test_clips_of_any_length_have_features_of_one_size(samples: int) -> None:
    clip = sound(0.2)[:samples] if samples <= 3200 else sound(0.2)
    assert average_spectrum([clip], RATE).shape == (1, 80)
    for row in (
        *(features([clip], RATE) for features in (mfcc_statistics, log_mel_picture, average_spectrum)),
        random_features([clip], RATE, seed=0),
    ):
        assert np.isfinite(row).all()
        assert row.dtype == np.float32
    assert mfcc_statistics([clip], RATE).shape == (1, 80)
    assert log_mel_picture([clip], RATE).shape == (1, 480)
    assert random_features([clip], RATE, seed=0, groups=2).shape == (1, 10 * 2 * 8 * 2)


@pytest.mark.parametrize(
    "features",
    [mfcc_statistics, log_mel_picture, average_spectrum, lambda clips, rate: random_features(clips, rate, seed=0)],
)
def test_a_clips_features_depend_on_that_clip_alone(features) -> None:  # type: ignore[no-untyped-def]
    clips = [sound(length, seed) for seed, length in enumerate((0.3, 0.1, 0.7))]
    together = features(clips, RATE)
    for place, clip in enumerate(clips):
        assert np.array_equal(features([clip], RATE)[0], together[place])
    assert np.array_equal(features(Two(), RATE), features(iter([sound(0.3, 0), sound(0.3, 1)]), RATE))


def test_an_average_spectrum_is_that_of_loud_frames_whatever_is_quiet_before_and_after() -> None:
    loud, quiet = sound(0.5), 1e-3 * sound(0.5, 1)
    padded = np.concatenate([quiet, loud, quiet])
    spectra = log_mel(padded, RATE, bands=80)
    level = spectra.mean(axis=0)
    wanted = spectra[:, level >= level.max() - 25].mean(axis=1)
    assert 45 <= (level >= level.max() - 25).sum() <= 60  # about the frames of half a second
    np.testing.assert_allclose(average_spectrum([padded], RATE)[0], wanted, rtol=1e-5)
    half = average_spectrum([0.5 * padded], RATE)[0]
    np.testing.assert_allclose(half, wanted + 20 * np.log10(0.5), atol=0.05)


def test_long_clips_are_transformed_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = log_mel(sound(0.5), RATE, bands=40)
    monkeypatch.setattr("mfcl.audio.log_mel.FRAMES_AT_ONCE", 7)
    assert log_mel(sound(0.5), RATE, bands=40) == pytest.approx(whole)


def competition_by_loops(series: np.ndarray, kernels: np.ndarray, dilations: list[int]) -> np.ndarray:
    found = []
    for which, values in enumerate((series, np.append(np.diff(series), 0.0))):
        for dilation, weights in zip(dilations, kernels[:, which], strict=True):
            sums, losses = np.zeros(len(weights)), np.zeros(len(weights))
            places = range(0, len(values), 4)
            for place in places:
                taps = [place + (tap - 4) * dilation for tap in range(9)]
                seen = np.array([values[tap] if 0 <= tap < len(values) else 0.0 for tap in taps])
                for group in range(0, len(weights), 8):
                    answers = weights[group : group + 8] @ seen
                    sums[group + answers.argmax()] += answers.max()
                    losses[group + answers.argmin()] += 1
            found += [np.sqrt(np.maximum(sums, 0) / len(places)), np.sqrt(losses / len(places))]
    return np.concatenate(found)


def test_kernels_compete_as_in_the_paper() -> None:
    kernels = np.random.default_rng(0).normal(size=(3, 2, 16, 9)).astype(np.float32)
    clip = sound(0.02)
    found = competition(clip, kernels=kernels, dilations=np.array([1, 2, 32]))
    series = clip / np.sqrt(np.mean(clip**2))
    assert found == pytest.approx(competition_by_loops(series, kernels, [1, 2, 32]), abs=1e-3)


def test_random_features_are_a_function_of_the_seed_and_not_of_the_level() -> None:
    clip = sound(0.3)
    one, same, other = (random_features([clip], RATE, seed=seed, groups=4) for seed in (0, 0, 1))
    assert np.array_equal(one, same)
    assert np.abs(one - other).max() > 0.05
    assert random_features([clip / 8], RATE, seed=0, groups=4) == pytest.approx(one, abs=1e-3)


def test_nothing_to_describe_is_refused_in_one_line() -> None:
    for features in (mfcc_statistics, log_mel_picture, average_spectrum):
        with pytest.raises(MeasureError, match="at least one clip"):
            features([], RATE)
        with pytest.raises(MeasureError, match="one is empty"):
            features([np.empty(0, dtype=np.float32)], RATE)
    with pytest.raises(MeasureError, match="one is empty"):
        random_features([np.empty(0, dtype=np.float32)], RATE, seed=0)
    with pytest.raises(MeasureError, match="even number of groups"):
        random_features([sound(0.1)], RATE, seed=0, groups=3)


class InPieces:
    """Clips that say how much of one was read at once."""

    def __init__(self, clips: list[np.ndarray]) -> None:
        self.clips = clips
        self.lengths = np.array([len(clip) for clip in clips])
        self.most = 0

    def __len__(self) -> int:
        return len(self.clips)

    def clip(self, index: int) -> np.ndarray:
        return self.piece(index, 0, len(self.clips[index]))

    def piece(self, index: int, start: int, stop: int) -> np.ndarray:
        self.most = max(self.most, stop - start)
        return self.clips[index][start:stop]


@pytest.mark.parametrize("count", [16000, 16001, 30000, 48111])
def test_features_of_a_long_recording_in_pieces_are_those_of_the_whole(monkeypatch, count):
    draw = np.random.default_rng(count)
    clips = [
        (0.1 * draw.standard_normal(count) * np.linspace(0.1, 1, count)).astype(np.float32),
        draw.random(900) - 0.5,
    ]
    clips[1] = clips[1].astype(np.float32)
    features = {
        "mfcc": lambda given: mfcc_statistics(given, RATE),
        "picture": lambda given: log_mel_picture(given, RATE, frames=7),
        "spectrum": lambda given: average_spectrum(given, RATE),
        "random": lambda given: random_features(given, RATE, seed=0, groups=4),
    }
    whole = {name: feature(clips) for name, feature in features.items()}
    stored = InPieces(clips)
    monkeypatch.setattr(baselines, "LONG", 1000)
    monkeypatch.setattr(long_clips, "PIECE", 3000)
    monkeypatch.setattr(long_clips, "FRAMES", 13)
    for name, feature in features.items():
        np.testing.assert_allclose(feature(stored), whole[name], rtol=1e-4, atol=2e-4, err_msg=name)
    assert stored.most < 8000
