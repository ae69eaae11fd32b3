"""A model in a folder with its card, from a folder or from a stand-in for the hub."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from mfcl import hub
from mfcl.checkpoint import load_checkpoint, model_digest
from mfcl.errors import CheckpointError, MissingExtraError
from tests.hub_server import serving
from tests.small_model import SETTINGS, saved, sound

DOWNLOAD = """
from mfcl import hub
from mfcl.checkpoint import model_digest
from mfcl.errors import CheckpointError
for revision in (None, "v1"):
    print(model_digest(hub.from_pretrained("someone/birds", revision=revision, device="cpu").checkpoint))
try:
    hub.from_pretrained("someone/fish")
except CheckpointError as error:
    print(f"CheckpointError: {error}")
"""
"""Run by itself, as the address of the hub is read when its package is first imported."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return saved(SETTINGS, tmp_path_factory.mktemp("model")).folder


def studied(folder: Path, model: Path, *, row: str = "pre-trained, both", **changes: object) -> Path:
    """What a study leaves that pre-trained the model and measured it and an untrained one."""
    name = "pre-trained-seed0-0123456789ab"
    shutil.copytree(model, folder / "runs" / name / "model")
    about = {"models": {name: {"kind": "pre-trained", "variant": "", "seed": 0}}, **changes}
    (folder / "about.json").write_text(json.dumps(about))
    rows = [
        {"kind": "untrained", "variant": "", "representation": "untrained, both", "seeds": [0, 1]},
        {"kind": "pre-trained", "variant": "", "representation": row, "seeds": [0, 1]},
        {"kind": "pre-trained", "variant": "crops 45 % disjoint", "representation": "pre-trained, crops", "seeds": [0]},
    ]
    (folder / "summaries.json").write_text(json.dumps(rows))
    (folder / "results.md").write_text("| task | % |\n|---|---|\n| digit | 98.5 |\n")
    return folder


def test_a_saved_model_embeds_as_before_and_its_card_has_the_tables(folder: Path, tmp_path: Path) -> None:
    study = studied(tmp_path / "study", folder)
    model = hub.from_pretrained(folder, device="cpu")
    made = hub.save_pretrained(model, tmp_path / "out", study=study)
    again = hub.from_pretrained(str(made), device="cpu")
    clip = sound(0.5)
    np.testing.assert_array_equal(again.encode(clip, whiten=True), model.encode(clip, whiten=True))
    card = (made / "README.md").read_text()
    assert card.startswith("---\nlibrary_name: mfcl")
    assert card.rstrip().endswith("| digit | 98.5 |")
    assert "`pre-trained, both` are of this model (seed 0), as means with models of seed 1" in card
    assert "`untrained" not in card
    assert "crops" not in card
    assert json.loads((made / "config.json").read_text())["recipe"]["name"] == "small"
    copied = hub.save_pretrained(made, tmp_path / "copy", study=study)  # a copy is the same model
    assert (copied / "README.md").read_text() == card


def test_a_card_has_no_figures_of_another_model(folder: Path, tmp_path: Path) -> None:
    other = saved({**SETTINGS, "preparation": {**SETTINGS["preparation"], "level_db": -20.0}}, tmp_path / "model")
    study = studied(tmp_path / "study", other.folder)
    asked: dict[str, Path] = {
        rf"study: its figures are of other models, not of {folder}; give .*runs/pre-trained-seed0-0123456789ab": study,
        "old: it does not say which models it measured; run the same `mfcl study` again": studied(
            tmp_path / "old", folder, models=None
        ),
        "wanted the tables of a study": tmp_path,
    }
    (tmp_path / "gone").mkdir()
    for name in ("about.json", "summaries.json", "results.md"):
        shutil.copy(study / name, tmp_path / "gone")
    asked["gone: its models are not there any more"] = tmp_path / "gone"
    unmeasured = studied(tmp_path / "unmeasured", folder)
    (unmeasured / "summaries.json").write_text("[]")
    asked["unmeasured: no row of its tables is of"] = unmeasured
    for said, given in asked.items():
        with pytest.raises(CheckpointError, match=said):
            hub.save_pretrained(folder, tmp_path / "out", study=given)
        assert not (tmp_path / "out").exists()


def test_an_id_is_downloaded_from_a_hub(folder: Path, tmp_path: Path) -> None:
    pytest.importorskip("huggingface_hub", reason="huggingface_hub is not installed (extra hub)")
    made = hub.save_pretrained(folder, tmp_path / "out")
    (made / "model.py").write_text("raise SystemExit('this code must not be here')")
    (made / "model.bin").write_bytes(b"more")
    with serving("someone/birds", made) as (address, asked):
        environment = {name: value for name, value in os.environ.items() if not name.startswith(("HF_", "HUGGING"))}
        environment |= {"HF_ENDPOINT": address, "HF_HOME": str(tmp_path / "home"), "NO_PROXY": "127.0.0.1"}
        environment |= {"HF_HUB_DISABLE_XET": "1", "HF_HUB_DISABLE_TELEMETRY": "1"}
        done = subprocess.run(
            [sys.executable, "-c", DOWNLOAD], env=environment, cwd=tmp_path, capture_output=True, text=True,
            timeout=300, check=False,
        )  # fmt: skip
    assert done.returncode == 0, done.stderr
    own, tagged, problem = done.stdout.splitlines()
    assert own == tagged == model_digest(load_checkpoint(folder))
    assert problem.startswith("CheckpointError: 'someone/fish': neither a folder nor a model on the hub (")
    taken = {path.rsplit("/", 1)[1] for path in asked if "/resolve/" in path}
    assert taken == {"README.md", "config.json", "model.safetensors", "whitening.safetensors"}
    kept = {path.name for path in (tmp_path / "home").rglob("*") if path.is_file() or path.is_symlink()}
    assert not kept & {"model.py", "model.bin"}


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
