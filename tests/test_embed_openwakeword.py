"""The example that embeds with openWakeWord, run on small networks of the same inputs and outputs."""

import runpy
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from mfcl.embeddings.blocks import load_embeddings
from tests.sounds import tone

onnx = pytest.importorskip("onnx", reason="onnx is not installed (extra onnx)")
pytest.importorskip("onnxruntime", reason="onnxruntime is not installed (extra onnx)")
EXAMPLE = Path(__file__).parents[1] / "examples" / "embed_openwakeword.py"
MEL = """<ir_version: 8, opset_import: ["" : 17]>
mel (float[1, samples] wave) => (float[1, 1, frames, 32] out)
<int64[1] one = {1}, int64[4] size = {1, 1, 1, 32}> {
    sizes = Abs(wave)
    channel = Unsqueeze(sizes, one)
    mean = AveragePool<kernel_shape = [160], strides = [160]>(channel)
    last = Constant<value_ints = [3]>()
    column = Unsqueeze(mean, last)
    out = Expand(column, size)
}"""
NETWORK = """<ir_version: 8, opset_import: ["" : 17]>
network (float[n, 76, 32, 1] windows) => (float[n, 1, 1, 32] out) {
    mean = ReduceMean<axes = [1]>(windows)
    out = Transpose<perm = [0, 3, 2, 1]>(mean)
    }"""


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package of the real one's shape: it cannot be imported, which the example must not need."""
    models = tmp_path / "site" / "openwakeword" / "resources" / "models"
    models.mkdir(parents=True)
    (models.parents[1] / "__init__.py").write_text("raise ImportError('no such thing')")
    for name, text in (("melspectrogram", MEL), ("embedding_model", NETWORK)):
        made = onnx.parser.parse_model(text)
        onnx.checker.check_model(made)
        onnx.save(made, models / f"{name}.onnx")
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    return tmp_path


def test_each_recording_gets_the_mean_and_spread_of_the_networks_answers(
    package: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    soundfile.write(package / "long.wav", tone(2.0, level=0.1), 16000, subtype="FLOAT")
    soundfile.write(package / "short.wav", tone(0.3, sample_rate=8000, level=0.1), 8000, subtype="FLOAT")
    (package / "list.csv").write_text("path,digit,split\nlong.wav,1,train\nshort.wav,2,test\n")
    monkeypatch.setattr(sys, "argv", ["x", str(package / "list.csv"), str(package / "out.npz")])
    runpy.run_path(str(EXAMPLE), run_name="__main__")
    found = load_embeddings(package / "out.npz")
    assert found.labels["digit"].tolist() == ["1", "2"]
    assert found.splits.tolist() == ["train", "test"]
    mean, spread = found.vectors[:, :32], found.vectors[:, 32:]
    level = 32767 * 0.1 * np.sqrt(8) / np.pi / 10 + 2  # the mean of a sine's size, as the package scales it
    np.testing.assert_allclose(mean[0], level, rtol=1e-2)
    assert (spread[0] < 0.01 * level).all()
    assert (mean[1] < 0.6 * level).all()  # silence at both ends
    assert (mean[1] > 0.2 * level).all()


def test_without_the_package_it_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    monkeypatch.setattr(sys, "argv", ["x", "list.csv", str(tmp_path / "out.npz")])
    with pytest.raises(SystemExit, match=r"openwakeword==0\.4\.0"):
        runpy.run_path(str(EXAMPLE), run_name="__main__")
