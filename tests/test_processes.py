"""The package's own processes run the package, not what lies in the folder that somebody works in."""

import io
from pathlib import Path

import numpy as np
import pytest
import soundfile

import mfcl
from mfcl.audio import Preparation
from mfcl.web.decoding import Decoders


def test_a_module_among_the_recordings_is_not_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "soxr.py").write_text("raise SystemExit(3)")
    (tmp_path / "queue.py").write_text("raise SystemExit(3)")
    monkeypatch.chdir(tmp_path)
    content = io.BytesIO()
    soundfile.write(content, 0.1 * np.sin(np.arange(8000)), 8000, format="FLAC")
    decoders = Decoders(Preparation(8000), 1)
    try:
        assert len(decoders.decode(content.getvalue()).samples) == 8000
    finally:
        decoders.close()


def test_all_of_them_are_started_in_one_way() -> None:
    root = Path(mfcl.__file__).parent
    found = [
        path.relative_to(root).as_posix()
        for path in root.rglob("*.py")
        if "sys.executable" in path.read_text(encoding="utf-8")
    ]
    assert found == ["core/processes.py"]
