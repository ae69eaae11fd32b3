"""The API of the HEAR benchmark, as its text asks: shapes, types, times in milliseconds, rate and sizes."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from mfcl import hear
from mfcl.errors import AudioError
from tests.small_model import RATE, SETTINGS, saved, sound


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return saved(SETTINGS, tmp_path_factory.mktemp("model")).folder


@pytest.fixture(scope="module")
def audio() -> torch.Tensor:
    return torch.from_numpy(np.stack([sound(0.62, seed=seed) for seed in range(2)]))


def test_a_model_tells_its_rate_and_sizes_and_is_a_module(folder: Path) -> None:
    model = hear.load_model(str(folder))
    assert isinstance(model, torch.nn.Module)
    assert sum(weight.numel() for weight in model.parameters()) > 0
    for name in ("sample_rate", "scene_embedding_size", "timestamp_embedding_size"):
        assert isinstance(getattr(model, name), int)
    assert model.sample_rate == RATE


def test_scene_embeddings_are_what_encode_gives(folder: Path, audio: torch.Tensor) -> None:
    model = hear.load_model(str(folder))
    found = hear.get_scene_embeddings(audio, model)
    assert found.shape == (2, model.scene_embedding_size)
    assert found.dtype == torch.float32
    np.testing.assert_array_equal(found.numpy(), model.embedder.encode(list(audio.numpy())))
    assert torch.equal(model(audio), found)


def test_timestamps_are_in_milliseconds_from_the_first_sample_to_the_last(folder: Path, audio: torch.Tensor) -> None:
    model = hear.load_model(str(folder))
    found, times = hear.get_timestamp_embeddings(audio, model)
    assert found.shape == (2, 13, model.timestamp_embedding_size)
    assert times.dtype == torch.float32
    np.testing.assert_allclose(times.numpy(), np.tile(50.0 * np.arange(13), (2, 1)))
    assert times.max() < 620
    later = torch.nn.functional.pad(audio, (RATE // 5, 0))  # 200 ms of silence first
    moved, _ = hear.get_timestamp_embeddings(later, model)
    assert torch.allclose(moved[:, 8:13], found[:, 4:9], atol=0.1 * float(found.abs().max()))


def test_another_shape_is_one_line(folder: Path, audio: torch.Tensor) -> None:
    with pytest.raises(AudioError, match=r"wanted clips of shape \(sounds, samples\)"):
        hear.get_scene_embeddings(audio[:, :0], hear.load_model(str(folder)))


@pytest.mark.parametrize("embeddings", [hear.get_scene_embeddings, hear.get_timestamp_embeddings])
def test_audio_that_is_no_sound_is_one_line_for_scenes_and_timestamps(
    folder: Path, audio: torch.Tensor, embeddings: Callable[..., object]
) -> None:
    model = hear.load_model(str(folder))
    broken = audio.clone()
    broken[1, 5] = torch.nan
    with pytest.raises(AudioError, match="audio: clip 1: wanted finite samples"):
        embeddings(broken, model)
    with pytest.raises(AudioError, match="wanted samples from -1 to 1, got a peak of"):
        embeddings(32768 * audio, model)
    for other in ((32767 * audio).short(), audio > 0):
        with pytest.raises(AudioError, match=r"wanted a tensor of floats.*got torch\.(int16|bool)"):
            hear._clips(other)
