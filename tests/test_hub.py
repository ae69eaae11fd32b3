"""A model in a folder with its card, from a folder or, by a stand-in, from the hub."""

import json
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from mfcl import hub
from mfcl.errors import CheckpointError, MissingExtraError
from tests.small_model import SETTINGS, saved, sound


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return saved(SETTINGS, tmp_path_factory.mktemp("model")).folder


def test_a_saved_model_embeds_as_before_and_its_card_has_the_tables(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "study").mkdir()
    (tmp_path / "study" / "results.md").write_text("| task | % |\n|---|---|\n| digit | 98.5 |\n")
    model = hub.from_pretrained(folder, device="cpu")
    made = hub.save_pretrained(model, tmp_path / "out", study=tmp_path / "study")
    again = hub.from_pretrained(str(made), device="cpu")
    clip = sound(0.5)
    np.testing.assert_array_equal(again.encode(clip, whiten=True), model.encode(clip, whiten=True))
    card = (made / "README.md").read_text()
    assert card.startswith("---\nlibrary_name: mfcl")
    assert card.rstrip().endswith("| digit | 98.5 |")
    assert json.loads((made / "config.json").read_text())["recipe"]["name"] == "small"
    with pytest.raises(CheckpointError, match="wanted the tables of a study"):
        hub.save_pretrained(folder, tmp_path / "other", study=tmp_path)
    assert not (tmp_path / "other").exists()


def test_an_id_is_asked_of_the_hub(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    stand_in, asked = ModuleType("huggingface_hub"), []

    def snapshot_download(name: str, *, revision: str | None, allow_patterns: list[str]) -> str:
        asked.append((name, revision, sorted(allow_patterns)))
        if name != "someone/birds":
            raise OSError(f"404: no repository {name}\nmore")
        return str(folder)

    stand_in.snapshot_download = snapshot_download  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "huggingface_hub", stand_in)
    assert hub.from_pretrained("someone/birds", revision="v1", device="cpu").folder == folder
    files = ["README.md", "config.json", "model.safetensors", "whitening.safetensors"]
    assert asked == [("someone/birds", "v1", files)]
    with pytest.raises(CheckpointError, match=r"'someone/fish': neither a folder nor a model on the hub \(404"):
        hub.from_pretrained("someone/fish")
    with pytest.raises(CheckpointError, match="nothing there"):
        hub.from_pretrained("no/such/folder")
    assert len(asked) == 2
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'mfcl\[hub\]'"):
        hub.from_pretrained("someone/birds")
