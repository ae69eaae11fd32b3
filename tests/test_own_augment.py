"""An augmentation of the user's own gets every crop, is named in the run, and is told in one line what it did wrong."""

from pathlib import Path

import numpy as np
import pytest
import torch
import yaml

from mfcl.errors import CheckpointError, TrainingError
from mfcl.training.api import train
from mfcl.views.batches import ClipBatch
from mfcl.views.own import augment_name, augmented_clips
from tests.recipes import tiny_recipe
from tests.sounds import write_corpus


def backwards(samples: np.ndarray, sample_rate: int) -> np.ndarray:
    return samples[::-1]


class Louder:
    """Has a state, as augmentations of other packages have."""

    def __init__(self) -> None:
        self.seen: list[tuple[int, int]] = []

    def __call__(self, samples: np.ndarray, sample_rate: int) -> np.ndarray:
        self.seen.append((len(samples), sample_rate))
        samples *= 2  # a copy: what is stored does not change
        return samples


def run(folder: Path, **asked: object) -> object:
    if not (folder / "corpus").exists():
        write_corpus(folder / "corpus")
    given = {"recipe": tiny_recipe(folder), "cache": folder / "cache", "device": "cpu", "progress": False, **asked}
    return train(folder / "corpus", folder / "run", **given)


def test_each_clip_is_changed_without_its_padding() -> None:
    wave = torch.tensor([[1.0, 2.0, 3.0, 0.0], [4.0, 5.0, 6.0, 7.0]])
    clips = ClipBatch(wave, torch.tensor([3, 4]))
    found = augmented_clips(clips, backwards, 16000)
    assert found.wave.tolist() == [[3, 2, 1, 0], [7, 6, 5, 4]]
    louder = Louder()
    assert augmented_clips(clips, louder, 8000).wave.tolist() == (2 * wave).tolist()
    assert louder.seen == [(3, 8000), (4, 8000)]
    assert clips.wave.tolist() == wave.tolist()
    assert augmented_clips(ClipBatch(wave, None), backwards, 16000).wave[0].tolist() == [0, 3, 2, 1]


@pytest.mark.parametrize(
    ("made", "message"),
    [
        (lambda samples, rate: samples[1:], r"wanted 4 samples back, got an array of shape \(3,\); pad or cut"),
        (lambda samples, rate: samples[None], r"got an array of shape \(1, 4\)"),
        (lambda samples, rate: None, "got None"),
        (lambda samples, rate: "louder", "got 'louder'"),
        (lambda samples, rate: samples * np.nan, "it made NaN"),
    ],
)
def test_what_it_makes_wrong_is_one_line(made: object, message: str) -> None:
    with pytest.raises(TrainingError, match=message):
        augmented_clips(ClipBatch(torch.zeros(2, 4), None), made, 16000)


def test_a_run_trains_on_what_it_makes_and_names_it(tmp_path: Path) -> None:
    files = [tmp_path / "corpus" / "data" / "01" / "1_01_0.wav"]
    plain = run(tmp_path).encode(files)
    louder = Louder()
    changed = run(tmp_path, augment=louder, overwrite=True).encode(files)
    assert not np.allclose(plain, changed)
    assert len(louder.seen) > 20
    assert {rate for _, rate in louder.seen} == {16000}
    config = yaml.safe_load((tmp_path / "run" / "config.yaml").read_text())
    assert config["augment"] == f"{__name__}.Louder" == augment_name(louder)
    again = run(tmp_path, augment=Louder(), overwrite=True).encode(files)
    assert np.array_equal(changed, again)
    with pytest.raises(CheckpointError, match=r"begun with augment = .*Louder.*got .*backwards"):
        run(tmp_path, augment=backwards, resume=True)


def test_joint_training_has_it_too(tmp_path: Path) -> None:
    louder = Louder()
    run(tmp_path, augment=louder, joint=True, label="digit")
    config = yaml.safe_load((tmp_path / "run" / "config.yaml").read_text())
    assert (config["task"], config["augment"]) == ("joint", f"{__name__}.Louder")
    assert louder.seen
