"""The program that runs an exported model says in one line what it cannot do, and writes a file whole or not at all."""

import subprocess
import sys
from pathlib import Path

import pytest
import soundfile

from tests.sounds import tone

EXAMPLE = Path(__file__).parents[1] / "examples" / "run_onnx.py"

onnx = pytest.importorskip("onnx", reason="the package onnx is not installed (extra onnx)")
pytest.importorskip("onnxruntime", reason="the package onnxruntime is not installed (extra onnx)")


@pytest.fixture
def desk(tmp_path: Path) -> Path:
    """A sound, a file that is no model, and models: of somebody else, and one without whitening."""
    soundfile.write(tmp_path / "a.wav", tone(0.3), 16000)
    (tmp_path / "text.onnx").write_text("no model")
    wave, lengths = (
        onnx.helper.make_tensor_value_info(name, kind, shape)
        for name, kind, shape in (("wave", onnx.TensorProto.FLOAT, [1, None]), ("lengths", onnx.TensorProto.INT64, [1]))
    )
    vector = onnx.helper.make_tensor_value_info("embedding", onnx.TensorProto.FLOAT, [1, None])
    graph = onnx.helper.make_graph(
        [onnx.helper.make_node("Identity", ["wave"], ["embedding"])], "own", [wave, lengths], [vector]
    )
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, tmp_path / "other.onnx")
    preparation = '{"sample_rate": 16000, "remove_dc": true, "trim_db": null, "level_db": null, "endpoints": false}'
    onnx.helper.set_model_props(model, {"preparation": preparation, "parts": '{"mel": 4800}'})
    onnx.save(model, tmp_path / "plain.onnx")
    return tmp_path


def ran(desk: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(EXAMPLE), *words], cwd=desk, capture_output=True, text=True, check=False, timeout=100
    )


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (("no.onnx", "a.wav", "--out", "o.npz"), "no.onnx: wanted a file of mfcl export --onnx, cannot read it ("),
        (("text.onnx", "a.wav", "--out", "o.npz"), "text.onnx: wanted a file of mfcl export --onnx, cannot read it ("),
        (("other.onnx", "a.wav", "--out", "o.npz"), "other.onnx: wanted a file of mfcl export --onnx, got another"),
        (("plain.onnx", "a.wav", "--whitened", "--out", "o.npz"), "plain.onnx: no whitening was learned"),
        (("plain.onnx", "a.wav", "--out", "o.txt"), "o.txt: wanted a name that ends in .npz"),
        (("plain.onnx", "a.wav", "--out", "no/o.npz"), "no/o.npz: wanted a name that ends in .npz, in a folder that"),
    ],
)
def test_what_cannot_be_done_is_one_line(desk: Path, words: tuple[str, ...], line: str) -> None:
    before = sorted(desk.iterdir())
    done = ran(desk, *words)
    assert done.returncode == 2
    assert done.stderr.startswith(line)
    assert len(done.stderr.splitlines()) == 1
    assert sorted(desk.iterdir()) == before


def test_one_recording_is_one_and_a_file_that_cannot_be_written_leaves_none(desk: Path) -> None:
    assert ran(desk, "plain.onnx", "a.wav", "--out", "o.npz").stdout == "o.npz: 1 recording x 4800 values\n"
    (desk / "full.npz").mkdir()
    done = ran(desk, "plain.onnx", "a.wav", "--out", "full.npz")
    assert (done.returncode, done.stderr) == (2, "full.npz: cannot be written (Is a directory)\n")
    assert not list(desk.glob(".*"))
