"""The built package holds what its users need: data, recipes, and the program that runs exported files."""

import os
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def build(source: Path, target: str, out: Path) -> Path:
    """Build an sdist or a wheel; this asks no network."""
    words = [sys.executable, "-m", "hatchling", "build", "-t", target, "-d", str(out)]
    subprocess.run(words, cwd=source, check=True, capture_output=True, timeout=250)
    (built,) = out.iterdir()
    return built


@pytest.mark.slow
def test_a_wheel_made_of_the_source_archive_holds_all_files_and_the_runner(tmp_path: Path) -> None:
    pytest.importorskip("hatchling", reason="hatchling, which builds the package, is not installed")
    with tarfile.open(build(ROOT, "sdist", tmp_path / "sdist")) as archive:
        archive.extractall(tmp_path / "source", filter="data")
    (source,) = (tmp_path / "source").iterdir()
    with zipfile.ZipFile(build(source, "wheel", tmp_path / "wheel")) as archive:
        archive.extractall(tmp_path / "site")
    site = tmp_path / "site"
    built = {one.relative_to(site).as_posix(): one for one in site.glob("mfcl/**/*") if one.is_file()}
    wanted = {
        one.relative_to(ROOT / "src").as_posix(): one
        for one in ROOT.glob("src/mfcl/**/*")
        if one.is_file() and "__pycache__" not in one.parts
    }
    assert {Path(name).suffix for name in wanted} >= {".py", ".html", ".css", ".js", ".json", ".svg", ".typed"}
    wanted |= {f"mfcl/recipes/{one.name}": one for one in ROOT.glob("recipes/*.yaml")}
    wanted["mfcl/exporting/run_onnx.py"] = ROOT / "examples" / "run_onnx.py"
    assert sorted(built) == sorted(wanted)
    assert all(built[name].read_bytes() == one.read_bytes() for name, one in wanted.items())
    # as one who installed the wheel, in a folder without the repository
    code = (
        "import mfcl; from mfcl.exporting import write_runner; from mfcl.recipe import load_recipe;"
        "load_recipe('quick'); write_runner('runner.py'); print(mfcl.__file__)"
    )
    path = os.pathsep.join([str(site), os.environ.get("PYTHONPATH", "")]).rstrip(os.pathsep)
    user = {"cwd": tmp_path, "env": {**os.environ, "PYTHONPATH": path}, "check": True, "text": True}
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, **user).stdout
    assert Path(said.strip()).is_relative_to(site)
    assert (tmp_path / "runner.py").read_bytes() == (ROOT / "examples" / "run_onnx.py").read_bytes()
    pytest.importorskip("onnxruntime", reason="the extra onnx is not installed")
    said = subprocess.run([sys.executable, "runner.py", "--help"], capture_output=True, **user).stdout
    assert "python run_onnx.py model.onnx" in said
