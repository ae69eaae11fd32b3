"""Nothing assumes speech: a model of ultrasonic sound at its own rate, from the command to an embedding."""

from pathlib import Path

import numpy as np
import pytest
import soundfile

import mfcl
from mfcl import cli
from mfcl.errors import RecipeError
from mfcl.models.pcen import PcenSettings
from mfcl.recipe import at_rate, load_recipe

SMALL = (
    "model.wave.width=0.1", "model.mel.width=0.25", "model.neck.width=32", "model.neck.out=16",
    "model.neck.directions=8", "head.width=32", "head.out=16", "crops.length=0.05", "train.epochs=1", "train.batch=8",
    "loss.searches=1", "loss.neighbours=2", "loss.ambiguous=2",
)  # fmt: skip


def bats(folder: Path, rate: int) -> Path:
    """Twelve recordings of 0.2 s: sweeps that fall within the upper half of the frequencies, in noise."""
    folder.mkdir()
    for place in range(12):
        random = np.random.default_rng([place, rate])
        time = np.arange(rate // 5) / rate
        top = rate * (0.3 + 0.01 * place)
        sweep = np.sin(2 * np.pi * (top * time - 0.25 * rate * time**2)) * (time > 0.05) * (time < 0.15)
        soundfile.write(folder / f"{place}.wav", 0.2 * sweep + 0.005 * random.standard_normal(len(time)), rate)
    return folder


def test_the_recipe_is_of_no_speech() -> None:
    recipe = load_recipe("bioacoustics")
    assert recipe.model.mel_format.pcen is None
    chosen = load_recipe("bioacoustics", ["model.mel_format.pcen={}"])
    assert chosen.model.mel_format.pcen == PcenSettings()
    assert (recipe.model.mel_format.low_hz, recipe.model.mel_format.high_hz) == (150.0, None)
    assert recipe.crops.unit == "seconds"
    assert not recipe.preparation.endpoints
    for rate in (16000, 96000, 384000):
        assert at_rate(recipe, rate).model.sample_rate == at_rate(recipe, rate).preparation.sample_rate == rate
    with pytest.raises(RecipeError, match="wanted a whole number from 1000 to 384000, got 500000"):
        at_rate(recipe, 500_000)


@pytest.mark.parametrize(("rate", "more"), [(96_000, ["model.mel_format.pcen={}"]), (384_000, [])])
def test_a_model_at_the_recordings_own_rate(
    rate: int, more: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data, out = bats(tmp_path / "bats", rate), tmp_path / "run"
    words = ["train", data, "--out", out, "--recipe", "bioacoustics", "--rate", "keep", "--quiet"]
    words += ["--set", *SMALL, *more]
    assert cli.main([str(one) for one in [*words, "--cache", tmp_path / "cache"]]) == 0
    assert f"note: the model takes sound at {rate} Hz" in capsys.readouterr().err
    model = mfcl.load(out)
    assert model.sample_rate == rate
    vectors = model.encode(sorted(data.glob("*.wav")))
    assert np.isfinite(vectors).all()
    high = model.encode(np.sin(2 * np.pi * 0.45 * np.arange(rate // 5)).astype(np.float32), sample_rate=rate)
    low = model.encode(np.sin(2 * np.pi * 0.25 * np.arange(rate // 5)).astype(np.float32), sample_rate=rate)
    assert np.abs(high - low).max() > 1e-3  # tones that a lower rate would not hold


def test_a_rate_that_is_none_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        cli.main(["train", str(tmp_path), "--out", str(tmp_path / "run"), "--rate", "slow"])
    assert "--rate" in capsys.readouterr().err
