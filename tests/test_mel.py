import librosa
import numpy as np
import pytest

from mfcl.audio.log_mel import mel_filters
from mfcl.audio.mel import Scale, hertz_to_mel, mel_edges, mel_to_hertz, mel_triangles
from mfcl.models.frontends import MelSettings, mel_filterbank


@pytest.mark.parametrize("scale", ["slaney", "htk"])
def test_the_scale_is_the_one_of_the_field_and_goes_both_ways(scale: Scale) -> None:
    hertz = np.array([0.0, 60.0, 999.9, 1000.0, 1000.1, 7800.0, 22050.0])
    mels = np.array([hertz_to_mel(value, scale) for value in hertz])
    np.testing.assert_allclose(mels, librosa.hz_to_mel(hertz, htk=scale == "htk"))
    np.testing.assert_allclose(mel_to_hertz(mels, scale), hertz, atol=1e-9)


def test_bands_overlap_by_half_and_have_one_area_or_one_height() -> None:
    edges = mel_edges(0.0, 8000.0, 20)
    assert len(edges) == 22
    even = mel_triangles(16000, 2**14, edges)
    np.testing.assert_allclose(even.sum(axis=1) * 16000 / 2**14, 1, rtol=1e-3)
    np.testing.assert_allclose(mel_triangles(16000, 2**14, edges, equal_area=False).max(axis=1), 1, atol=0.02)


def test_baselines_and_models_hear_the_same_bands() -> None:
    own = mel_filterbank(MelSettings(fft=512, bands=40), 16000).numpy()
    assert np.array_equal(own, mel_filters(16000, 512, 40).astype(np.float32))
