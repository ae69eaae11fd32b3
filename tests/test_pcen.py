"""Per-channel energy normalisation: the paper's formula as a loop, librosa's values, a clip that is itself alone."""

import dataclasses
from pathlib import Path

import librosa
import numpy as np
import pytest
import scipy.signal
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mfcl.errors import RecipeError
from mfcl.exporting import export_onnx, onnx_file
from mfcl.exporting.network import RealLogMel
from mfcl.models.frontends import LogMel, MelSettings
from mfcl.models.inference import Listed, embed_clips
from mfcl.models.pair import ModelSettings
from mfcl.models.pcen import PcenSettings, compressed, smoothed, smoothed_by_filter
from mfcl.recipe import load_recipe
from tests.small_model import RATE, saved, sound

OWN = MelSettings(fft=512, window=400, hop=160, bands=24, pcen=PcenSettings())


def powers(frames: int, seed: int = 0) -> torch.Tensor:
    random = np.random.default_rng([seed, frames])
    return torch.from_numpy(np.exp(random.uniform(-9, 4, (2, 3, frames))).astype(np.float32))


@settings(max_examples=40)
@given(frames=st.integers(1, 300), weight=st.floats(0.002, 0.99))
def test_smoothing_is_the_recursion_by_chunks_and_by_a_filter(frames: int, weight: float) -> None:
    power = powers(frames)
    wanted, held = np.zeros(power.shape), power[:, :, 0].double().numpy()
    for frame in range(frames):
        held = (1 - weight) * held + weight * power[:, :, frame].double().numpy()
        wanted[:, :, frame] = held
    for way in (smoothed, smoothed_by_filter):
        np.testing.assert_allclose(way(power, weight).numpy(), wanted, rtol=1e-4)


@pytest.mark.parametrize("own", [PcenSettings(), PcenSettings(gain=0.8, bias=10.0, power=0.25, seconds=0.06, eps=1e-4)])
def test_energies_are_librosas(own: PcenSettings) -> None:
    power = powers(150)
    weight = own.smoothing(0.01)
    found = compressed(power.log(), smoothed(power, weight), own)
    first = scipy.signal.lfilter_zi([weight], [1, weight - 1])[None, None] * power[:, :, :1].double().numpy()
    wanted = librosa.pcen(
        power.double().numpy(), sr=100, hop_length=1, gain=own.gain, bias=own.bias, power=own.power,
        time_constant=own.seconds, eps=own.eps, zi=first,
    )  # fmt: skip
    np.testing.assert_allclose(found.numpy(), wanted, rtol=1e-4, atol=1e-5)


def test_the_front_end_normalises_and_takes_out_a_steady_level() -> None:
    front = LogMel(OWN, RATE)
    waves = torch.from_numpy(np.stack([sound(1.5), sound(1.5, seed=1)]))
    lengths = torch.tensor([24000, 9000])
    waves[1, 9000:] = 0
    front.fit_normalisation([(waves, lengths)])
    found, frames = front(waves, lengths)
    assert frames is not None
    inside = torch.cat([found[0, :, : frames[0]], found[1, :, : frames[1]]], dim=1)
    assert inside.mean(dim=1).abs().max() < 1e-4
    assert (inside.std(dim=1) - 1).abs().max() < 1e-2
    assert (found[1, :, frames[1] :] == 0).all()
    alone, _ = front(waves[1:, :9000])
    torch.testing.assert_close(alone[0], found[1, :, : frames[1]], rtol=1e-4, atol=1e-4)
    louder, _ = front(4 * waves[:1])
    plain = LogMel(dataclasses.replace(OWN, pcen=None), RATE)
    plain.fit_normalisation([(waves, lengths)])
    changed = (plain(4 * waves[:1])[0] - plain(waves[:1])[0]).abs().mean()
    assert (louder[0] - found[0]).abs().mean() < 0.2 * changed


def test_settings_of_before_are_saved_as_they_were() -> None:
    assert "pcen_mean" not in LogMel(MelSettings(), RATE).state_dict()
    assert {"pcen_mean", "pcen_deviation"} <= LogMel(OWN, RATE).state_dict().keys()


def test_what_needs_log_mels_is_refused_in_one_line() -> None:
    with pytest.raises(RecipeError, match=r"landmarks and spectrum are of log-mels, which mel_format.pcen replaces"):
        load_recipe("default", ["model.mel_format.pcen={}"])
    with pytest.raises(RecipeError, match="set landmarks: null and spectrum: false"):
        ModelSettings(mel_format=OWN, spectrum=True)
    with pytest.raises(RecipeError, match=r"pcen.gain: wanted a number from 0 to 1, got 2"):
        load_recipe("reference", ["model.mel_format.pcen.gain=2"])
    own = load_recipe("reference", ["model.mel_format.pcen.gain=0.8"]).model.mel_format.pcen
    assert own == PcenSettings(gain=0.8)


@pytest.mark.timeout(900)
def test_it_is_exported(tmp_path: Path) -> None:
    front = LogMel(OWN, RATE)
    wave = torch.from_numpy(sound(1.0)[None])
    torch.testing.assert_close(RealLogMel(front)(wave)[0], front(wave)[0], rtol=1e-3, atol=1e-3)
    loaded = saved(
        {
            "name": "pcen",
            "model": {
                "mel_format": {"fft": 512, "window": 400, "hop": 160, "bands": 24, "pcen": {"seconds": 0.1}},
                "wave": {"name": "filterbank1d", "pooling": "statistics", "width": 0.05},
                "mel": {"name": "melcnn", "pooling": "statistics", "width": 0.25},
            },
        },
        tmp_path / "model",
    )
    assert loaded.model.mel.front.settings.pcen == PcenSettings(seconds=0.1)
    export_onnx(loaded, tmp_path / "m.onnx")
    clips = [sound(0.05), sound(0.9, seed=1), sound(11.0, seed=2)]
    found = onnx_file.run_session(onnx_file.open_session(tmp_path / "m.onnx"), clips, ["embedding"])[0]
    wanted = embed_clips(loaded.model, Listed(clips), RATE)
    assert (np.linalg.norm(found - wanted, axis=1) / np.linalg.norm(wanted, axis=1)).max() < 1e-4
