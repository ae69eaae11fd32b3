"""Blocks for use on their own: the loss, encoders of one's own in recipes, and what the rooms hand out."""

import math
import subprocess
import sys
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

import mfcl
from mfcl import models, views
from mfcl.errors import CheckpointError, RecipeError, TrainingError
from mfcl.models import (
    EncoderSettings,
    Frames,
    MelEncoder,
    NTXentLoss,
    WaveEncoder,
    encoders,
    make_encoder,
    register_encoder,
)
from mfcl.recipe import load_recipe
from tests.recipes import tiny_recipe
from tests.sounds import tone, write_corpus


class Pieces(WaveEncoder):
    """Every 160 samples through one layer."""

    def __init__(self, *, width: float = 1.0, norm: str = "batch") -> None:
        super().__init__()
        self.features = max(1, round(8 * width))
        self.layer = nn.Linear(160, self.features)

    def forward(self, wave, lengths=None) -> Frames:
        wave = functional.pad(wave, (0, -wave.shape[1] % 160))
        frames = None if lengths is None else -(-lengths // 160)
        values = self.layer(wave.unfold(1, 160, 160)).tanh()
        if frames is not None:
            values = values * (torch.arange(values.shape[1]) < frames[:, None])[:, :, None]
        return Frames(values, frames)


class Bands(MelEncoder):
    """Each frame as it is."""

    def __init__(self, *, bands: int, width: float, norm: str) -> None:
        super().__init__()
        self.features = bands

    def forward(self, mel, lengths=None) -> Frames:
        return Frames(mel.transpose(1, 2), lengths)


@pytest.fixture(autouse=True)
def _own_registry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(encoders, "WAVE_ENCODERS", dict(encoders.WAVE_ENCODERS))
    monkeypatch.setattr(encoders, "MEL_ENCODERS", dict(encoders.MEL_ENCODERS))


def test_the_loss_is_the_formula_written_as_loops() -> None:
    draw = torch.Generator().manual_seed(0)
    first, second = (torch.randn(5, 3, generator=draw, dtype=torch.float32) for _ in range(2))
    z = [row / row.norm() for row in (*first, *second)]
    total = 0.0
    for i in range(10):
        others = [math.exp(float(z[i] @ z[k]) / 0.2) for k in range(10) if k != i]
        total -= math.log(math.exp(float(z[i] @ z[(i + 5) % 10]) / 0.2) / sum(others))
    assert float(NTXentLoss(0.2)(first, second)) == pytest.approx(total / 10, rel=1e-5)
    assert float(NTXentLoss()(torch.ones(4, 2), torch.ones(4, 2))) == pytest.approx(math.log(7), rel=1e-5)


def test_a_loss_of_no_temperature_or_of_views_that_do_not_fit_is_said() -> None:
    for temperature in (0.0, -1.0, float("nan"), float("inf")):
        with pytest.raises(RecipeError, match="temperature: wanted a number above 0"):
            NTXentLoss(temperature)
    for shapes in (((3, 2), (4, 2)), ((3,), (3,)), ((1, 2), (1, 2)), ((2, 3, 4), (2, 3, 4))):
        with pytest.raises(TrainingError, match="two views of one shape"):
            NTXentLoss()(*(torch.zeros(shape) for shape in shapes))


def test_a_recipe_trains_an_encoder_of_ones_own(tmp_path: Path) -> None:
    register_encoder("pieces", "wave", Pieces)
    register_encoder("bands", "mel", Bands)
    data = write_corpus(tmp_path / "corpus", speakers=4, digits=2, takes=2)
    choices = ["model.wave.name=pieces", "model.mel.name=bands", "train.epochs=1", "train.batch=8"]
    recipe = load_recipe(tiny_recipe(tmp_path), choices)
    before = models.make_model(recipe.model, seed=0).wave.encoder.layer.weight
    made = mfcl.train(data, tmp_path / "run", recipe=recipe, cache=tmp_path / "cache", progress=False)
    assert isinstance(made.model.wave.encoder, Pieces)
    assert made.model.wave.encoder.features == 1  # the recipe's width
    assert not torch.equal(made.model.wave.encoder.layer.weight, before)
    vectors = made.encode([tone(0.3), tone(0.2)])
    assert vectors.shape == (2, 2 * 1 + 2 * 32)
    np.testing.assert_allclose(vectors[1:], made.encode(tone(0.2)), atol=1e-4)
    assert np.array_equal(mfcl.load(tmp_path / "run").encode([tone(0.3), tone(0.2)]), vectors)

    del encoders.WAVE_ENCODERS["pieces"]
    with pytest.raises(CheckpointError, match=r"'pieces'.*mfcl\.models\.register_encoder") as raised:
        mfcl.load(tmp_path / "run")
    assert "\n" not in str(raised.value)


def test_what_cannot_be_registered_is_one_line() -> None:
    register_encoder("pieces", "wave", Pieces)
    register_encoder("pieces", "wave", Pieces)  # the same again
    register_encoder("pieces", "mel", Bands)  # a name for each format
    for name, format, factory, said in (
        ("pieces", "wave", Bands, "is called 'pieces' already"),
        ("res1dnet", "wave", Pieces, "is called 'res1dnet' already"),
        ("x", "sound", Pieces, "no format is called 'sound'"),
        ("", "wave", Pieces, "wanted a name"),
        ("x", "wave", Bands, "must take the keywords width, norm, but does not"),
        ("x", "mel", Pieces, "must take the keywords width, norm, bands, but does not"),
    ):
        with pytest.raises(RecipeError, match=said) as raised:
            register_encoder(name, format, factory)
        assert "\n" not in str(raised.value)
    register_encoder("odd", "wave", lambda **_: nn.ReLU())
    with pytest.raises(RecipeError, match=r"must be an nn.Module with `features`.*but is ReLU with None"):
        make_encoder(EncoderSettings("odd"), "wave", bands=80)


class Loudness(WaveEncoder):
    """How loud every 160 samples are; what it does at a clip's end is chosen."""

    features = 1

    def __init__(self, end: str) -> None:
        super().__init__()
        self.end = end

    def forward(self, wave, lengths=None) -> Frames:
        if self.end != "lost":
            wave = functional.pad(wave, (0, -wave.shape[1] % 160))
        values = wave.abs().unfold(1, 160, 160).mean(dim=2)[:, :, None]
        if self.end == "mean":
            values = (values - values.mean(dim=1, keepdim=True)) * (values > 0)
        if self.end == "filled":
            values = values + 1
        if lengths is None or self.end == "unsaid":
            return Frames(values, None)
        return Frames(values, lengths // 160 if self.end in ("lost", "fewer") else -(-lengths // 160))


@pytest.mark.parametrize(
    ("end", "said"),
    [
        ("", ""),
        ("lost", "zeros after its 35 frames"),
        ("fewer", "as many frames as of it alone, one or more, got 35 and 36"),
        ("mean", "its frames alone, got some 0."),
        ("filled", "zeros after its 36 frames"),
        ("unsaid", "the number of frames of each, got None"),
    ],
)
def test_a_training_refuses_an_encoder_in_which_padding_counts(end: str, said: str, tmp_path: Path) -> None:
    register_encoder("loudness", "wave", lambda **_: Loudness(end))
    data = write_corpus(tmp_path / "corpus", speakers=4, digits=2, takes=2)
    recipe = load_recipe(tiny_recipe(tmp_path), ["model.wave.name=loudness", "train.epochs=1", "train.batch=8"])
    with (
        pytest.raises(RecipeError, match=r"model\.wave\.name: of a padded clip wanted")
        if said
        else nullcontext() as raised
    ):
        mfcl.train(data, tmp_path / "run", recipe=recipe, cache=tmp_path / "cache", progress=False)
    if said:
        assert said in str(raised.value)
        assert "\n" not in str(raised.value)
        assert not (tmp_path / "run").exists()


def test_the_rooms_hand_out_their_blocks() -> None:
    for room in (models, views):
        assert all(getattr(room, name) is not None for name in room.__all__)
    assert issubclass(models.Filterbank1d, WaveEncoder)
    assert issubclass(models.ResNet18, MelEncoder)
    with pytest.raises(AttributeError, match="no attribute 'shift'"):
        views.shift  # noqa: B018


def test_the_rooms_of_blocks_load_when_they_are_first_used() -> None:
    code = "import mfcl; mfcl.models.register_encoder; mfcl.views.noisy"
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True)


def test_crops_come_without_torch() -> None:
    code = "import sys, mfcl; mfcl.views.CropSettings; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
