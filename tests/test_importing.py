"""Published weights become a model that the library embeds with; files that could run code do not."""

import pickle
from pathlib import Path

import numpy as np
import pytest
import torch

import mfcl
from mfcl import cli
from mfcl.errors import CheckpointError
from mfcl.importing import import_model
from tests.small_model import sound
from tests.test_encoders import filled, torchvision_resnet18


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
