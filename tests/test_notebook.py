"""The example notebook runs from top to bottom, and is kept without what it printed."""

import json
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
NOTEBOOK = ROOT / "examples" / "study.ipynb"
FEWER_STEPS = f"""
import sys
sys.path.insert(0, {str(ROOT)!r})
from mfcl.training.tasks import supervised
from tests.small_study import LEAST_STEPS
supervised.LEAST_STEPS = LEAST_STEPS
"""
"""What the kernel does, too: each of dozens of trainings on few labels would have 200 steps."""


def test_the_notebook_is_kept_without_outputs_and_names_no_place_of_its_own() -> None:
    text = NOTEBOOK.read_text(encoding="utf-8")
    for cell in json.loads(text)["cells"]:
        if cell["cell_type"] == "code":
            assert cell["outputs"] == []
            assert cell["execution_count"] is None
    assert "/home/" not in text
    assert "/tmp/" not in text


@pytest.mark.slow
@pytest.mark.filterwarnings(
    "ignore::DeprecationWarning", "ignore::PendingDeprecationWarning", "ignore::ResourceWarning"
)
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # sockets of the kernel's client
def test_the_notebook_runs_from_top_to_bottom(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("espeakng_loader", reason="the extra `demo` is not installed")
    pytest.importorskip("matplotlib", reason="the extra `figures` is not installed")
    pytest.importorskip("ipykernel", reason="ipykernel is not installed: no notebook can run")
    nbclient = pytest.importorskip("nbclient", reason="nbclient is not installed: no notebook can run")
    nbformat = pytest.importorskip("nbformat", reason="nbformat is not installed: no notebook can be read")
    for name in ("MFCL_CACHE", "IPYTHONDIR", "JUPYTER_RUNTIME_DIR", "MPLCONFIGDIR"):
        monkeypatch.setenv(name, str(tmp_path / name.lower()))
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    notebook.cells.insert(2, nbformat.v4.new_code_cell(FEWER_STEPS))  # after the cell that comes before torch
    client = nbclient.NotebookClient(
        notebook, timeout=240, kernel_name="python3", resources={"metadata": {"path": str(tmp_path)}}
    )
    client.execute()
    outputs = [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]
    said = "".join(output.text for output in outputs if output.output_type == "stream" and output.name == "stdout")
    assert "160 recordings" in said
    assert "MFCC statistics" in said
    assert "pre-trained, both" in said
    assert sum("image/png" in output.get("data", {}) for output in outputs) == 2
    report = Path(said.strip().splitlines()[-1])
    assert report == (tmp_path / "study" / "report.html").resolve()
    assert report.is_file()
