"""The example that embeds with Resemblyzer, run on a stand-in of its package with the same two names."""

import runpy
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from mfcl.embeddings.blocks import load_embeddings
from tests.sounds import tone

EXAMPLE = Path(__file__).parents[1] / "examples" / "embed_resemblyzer.py"
PACKAGE = """
import numpy as np

def preprocess_wav(wave, source_sr):
    assert source_sr == 16000
    loud = np.flatnonzero(np.abs(wave) > 0.01)  # in place of a detector of speech
    return wave[loud[0] : loud[-1] + 1] if len(loud) else wave[:0]

class VoiceEncoder:
    def __init__(self, device, verbose):
        assert (device, verbose) == ("cpu", False)

    def embed_utterance(self, wave):
        assert wave.dtype == np.float32
        return np.array([len(wave), np.abs(wave).max()], dtype=np.float64)
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a list, and the stand-in where Python finds it."""
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "resemblyzer.py").write_text(PACKAGE)
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    monkeypatch.delitem(sys.modules, "resemblyzer", raising=False)
    monkeypatch.setattr(sys, "argv", ["x", str(tmp_path / "list.csv"), str(tmp_path / "out.npz")])
    return tmp_path


def run(folder: Path, rows: dict[str, np.ndarray], *, rate: int = 16000) -> np.ndarray:
    for name, samples in rows.items():
        soundfile.write(folder / name, samples, rate, subtype="FLOAT")
    lines = [f"{name},{place},train" for place, name in enumerate(rows)]
    (folder / "list.csv").write_text("\n".join(["path,digit,split", *lines]) + "\n")
    runpy.run_path(str(EXAMPLE), run_name="__main__")
    found = load_embeddings(folder / "out.npz")
    assert found.ids.tolist() == list(rows)
    assert found.labels["digit"].tolist() == [str(place) for place in range(len(rows))]
    assert set(found.splits.tolist()) == {"train"}
    return found.vectors


def test_pauses_are_cut_unless_almost_nothing_is_left(folder: Path) -> None:
    pause = np.zeros(8000, dtype=np.float32)
    word = tone(0.5, level=0.1)
    found = run(
        folder,
        {
            "word.wav": np.concatenate([pause, word, pause]),
            "click.wav": np.concatenate([pause, word[:800], pause]),  # 50 ms: the detector missed the word
            "quiet.wav": pause + np.float32(0.001),
        },
    )
    assert found[0, 0] == pytest.approx(len(word), abs=20)
    assert found[1:, 0].tolist() == [16800, 8000]


def test_recordings_of_other_rates_are_heard_at_its_own(folder: Path) -> None:
    found = run(folder, {"a.wav": tone(1.0, sample_rate=8000, level=0.1)}, rate=8000)
    assert found[0, 0] == pytest.approx(16000, rel=0.01)
