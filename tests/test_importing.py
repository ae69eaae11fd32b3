"""Published weights become a model that the library embeds with; files that could run code do not."""

import pickle
import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

import mfcl
from mfcl import cli, hub
from mfcl.checkpoint import load_checkpoint
from mfcl.errors import CheckpointError
from mfcl.importing import import_model
from tests.small_model import sound
from tests.test_encoders import filled, panns_weights, torchvision_resnet18


def published() -> dict[str, torch.Tensor]:
    """Weights with torchvision's names and shapes, small enough that numbers stay finite."""
    weights = {}
    for name, value in filled(torchvision_resnet18(colours=3)).items():
        scaled = value / max(value[0].numel(), 1) ** 0.5 if value.ndim > 1 else value
        positive = name.endswith("running_var") or ("bn" in name and name.endswith("weight"))
        weights[name] = scaled.abs() + 0.5 if positive else scaled
    return {**weights, "fc.weight": torch.zeros(1000, 512), "fc.bias": torch.zeros(1000)}


def test_torchvisions_weights_become_a_model(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    weights = published()
    torch.save(weights, tmp_path / "resnet18.pth")
    assert cli.main(["import", "torchvision", str(tmp_path / "resnet18.pth"), "--out", str(tmp_path / "model")]) == 0
    assert "512 values" in capsys.readouterr().out
    model = mfcl.load(tmp_path / "model", device="cpu")
    encoder = model.model.mel.encoder.state_dict()
    assert torch.equal(encoder["layer4.1.conv2.weight"], weights["layer4.1.conv2.weight"])
    assert torch.equal(encoder["conv1.weight"], weights["conv1.weight"].sum(dim=1, keepdim=True))
    vectors = model.encode([sound(0.5), sound(0.5, seed=1)], format="mel")
    assert vectors.shape == (2, 512)
    assert np.isfinite(vectors).all()
    assert not np.allclose(vectors[0], vectors[1])


def test_panns_weights_become_a_model_of_waveforms(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    weights = panns_weights()
    torch.save({"iteration": 3, "model": weights}, tmp_path / "panns.pth")
    assert cli.main(["import", "panns", str(tmp_path / "panns.pth"), "--out", str(tmp_path / "model")]) == 0
    assert "2048 values from waveforms at 32 kHz" in capsys.readouterr().out
    model = mfcl.load(tmp_path / "model", device="cpu")
    assert (model.sample_rate, model.model.default_format) == (32000, "wave")
    assert torch.equal(model.model.wave.encoder.state_dict()["conv0.weight"], weights["conv0.weight"])
    assert torch.equal(model.model.wave.poolings["words"].state_dict()["fc1.weight"], weights["fc1.weight"])
    clip = sound(0.3, rate=32000)
    assert np.array_equal(model.encode(clip), model.encode(clip, format="wave"))
    assert model.encode(clip).shape == (1, 2048)


@pytest.fixture(scope="module")
def resnet(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with an imported ResNet18, `model`, and six recordings, `sound`."""
    folder = tmp_path_factory.mktemp("resnet")
    torch.save(published(), folder / "resnet18.pth")
    import_model("torchvision", folder / "resnet18.pth", folder / "model")
    (folder / "sound").mkdir()
    for seed in range(6):
        soundfile.write(folder / "sound" / f"{seed}.wav", sound(0.4, seed=seed), 16000)
    return folder


def test_nothing_of_the_untrained_encoder_is_embedded_unless_told(
    resnet: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model, out = str(resnet / "model"), tmp_path / "vectors.npz"
    words = ["embed", model, str(resnet / "sound"), "--quiet", "--device", "cpu"]
    assert cli.main([*words, "--out", str(out)]) == 0
    assert "6 recordings x 512 values" in capsys.readouterr().out
    table = mfcl.load_embeddings(out)
    assert list(table.parts) == ["mel"]
    assert cli.main([*words, "--format", "both", "--out", str(tmp_path / "both.npz")]) == 0
    both = mfcl.load_embeddings(tmp_path / "both.npz")
    assert list(both.parts) == ["wave", "mel"]
    assert np.array_equal(both.only("mel").vectors, table.vectors)
    assert cli.main([*words, "--parts", "2", "--out", str(tmp_path / "parts")]) == 0
    assert np.allclose(mfcl.load_embeddings(tmp_path / "parts").vectors, table.vectors, rtol=1e-4, atol=1e-5)
    capsys.readouterr()
    assert cli.main([*words, "--parts", "2", "--format", "mel", "--out", str(tmp_path / "parts")]) == 0
    assert "0 made, 2 kept" in capsys.readouterr().out  # the receipt names the format itself
    assert cli.main(["info", model]) == 0
    assert "mel; the encoder of wave is untrained" in capsys.readouterr().out


def test_what_hears_with_an_imported_model_hears_its_own_format(resnet: Path, tmp_path: Path) -> None:
    model, sounds = mfcl.load(resnet / "model", device="cpu"), sorted((resnet / "sound").glob("*.wav"))
    table = mfcl.embed(model, resnet / "sound", progress=False)
    assert mfcl.MfclEmbedder(str(resnet / "model"), device="cpu").fit(sounds).n_features_out_ == 512
    assert model.dim() == 512
    assert model.encode_windows(sounds[0], window=0.2).vectors.shape[1] == 512
    copied = load_checkpoint(hub.save_pretrained(resnet / "model", tmp_path / "copy"))
    assert copied.model.default_format == "mel"
    found = mfcl.similar(table, shutil.copy(sounds[2], tmp_path / "again.wav"), model=model)
    assert found[0].id == "2.wav"


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_no_numbers_are_one_line(
    value: float, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    weights = published()
    weights["layer4.1.conv2.weight"][3, 1] = value
    torch.save(weights, tmp_path / "resnet18.pth")
    words = ["import", "torchvision", str(tmp_path / "resnet18.pth"), "--out", str(tmp_path / "model")]
    assert cli.main(words) == 2
    assert "resnet18.pth: 'layer4.1.conv2.weight' holds NaN or infinity; download" in capsys.readouterr().err
    assert not (tmp_path / "model").exists()


class Trap:
    """What a pickle that runs code looks like."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return (Path.touch, (Path("trap"),))  # type: ignore[return-value]


def test_files_that_are_no_weights_are_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "trap.pth").write_bytes(pickle.dumps({"model": Trap()}))
    (tmp_path / "torn.safetensors").write_bytes(b"\xff" * 20)
    torch.save([torch.zeros(1)], tmp_path / "list.pth")
    torch.save({"iteration": 3, "model": {"conv0.weight": torch.zeros(64, 1, 11)}}, tmp_path / "part.pth")
    for name, source, said in (
        ("trap.pth", "panns", "could run code"),
        ("torn.safetensors", "torchvision", "cannot be read as weights"),
        ("list.pth", "panns", "wanted a state dict"),
        ("absent.pth", "panns", "no such file"),
        ("part.pth", "panns", "Res1dNet31: the weights lack"),
    ):
        with pytest.raises(CheckpointError, match=said):
            import_model(source, tmp_path / name, tmp_path / "model")
    with pytest.raises(CheckpointError, match="no source of weights is called 'timm'"):
        import_model("timm", tmp_path / "part.pth", tmp_path / "model")
    assert not (tmp_path / "trap").exists()
    assert not (tmp_path / "model").exists()
