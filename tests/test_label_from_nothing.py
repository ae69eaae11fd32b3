"""The example that labels a collection from nothing."""

import sys
from pathlib import Path

import numpy as np
import pytest

from examples import label_from_nothing
from mfcl.embeddings.table import Embeddings


def test_clips_that_no_one_has_named_are_neither_asked_about_nor_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    draw = np.random.default_rng(0)
    labels = np.tile(["a", "b", ""], 30)
    vectors = (draw.standard_normal((90, 8)) + 3 * (labels == "a")[:, None] - 3 * (labels == "b")[:, None]).astype("f4")
    splits = np.repeat(["train", "valid"], [60, 30])
    Embeddings(vectors, np.array([f"{n}.wav" for n in range(90)]), {"digit": labels}, {}, splits).save(
        tmp_path / "few.npz"
    )
    asked = [str(tmp_path / "few.npz"), "--label", "digit", "--labels", "35", "--draws", "1"]
    monkeypatch.setattr(sys, "argv", ["label_from_nothing.py", *asked])
    label_from_nothing.main()
    row = capsys.readouterr().out.splitlines()[-1].split()
    assert row[0] == "35"
    assert "100.0" in row  # of the twenty clips with a name, not of thirty
