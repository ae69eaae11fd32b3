"""What version 0.1 left is gone on with: its studies, and the paths that its documentation printed."""

import importlib
import json
import subprocess
import sys
from pathlib import Path

import pytest

from mfcl.evaluation.result import NETWORK, OTHER_NOISE, SPREAD, Question, Representation, Result
from mfcl.studies.representations import BASELINES
from mfcl.studies.workspace import Workspace
from tests.small_study import section, small_study, write_listed

COLUMNS = (
    "table", "task", "representation", "metric", "value", "low", "high", "n", "x", "seed", "seconds", "command",
)  # fmt: skip
FIELDS_OF_A_PICTURE = ("kind", "variant", "format", "part")
SECTIONS = ["labels", "voices", "traits", "efficiency", "robustness"]


def grow_old(out: Path) -> None:
    """Leave of a study's folder what version 0.1 would have written."""
    for path in (out / "parts").glob("*.json"):
        answer = json.loads(path.read_text())
        answer["rows"] = [{key: row[key] for key in COLUMNS if key != "command"} for row in _old(answer["rows"])]
        for entries in answer["pictures"].values():
            for entry in entries:
                for key in FIELDS_OF_A_PICTURE:
                    del entry[key]
        path.write_text(json.dumps(answer))
    for path in (out / "parts").glob("*.npz"):
        path.unlink()
    for name in BASELINES:
        for path in (out / "embeddings").glob(f"{name.replace(' ', '-')}-seed*"):
            path.rename(path.with_name(f"control-seed{path.name.rpartition('-seed')[2]}"))
    rows = json.loads((out / "results.json").read_text())
    (out / "results.json").write_text(json.dumps([{key: row[key] for key in COLUMNS} for row in _old(rows)]))
    for name in ("summaries.json", "differences.json", "report.html"):
        (out / name).unlink()


def _old(rows: list[dict[str, object]]) -> list[dict[str, object]]:
    """Leave out what version 0.1 did not ask: labels spread or in all, a network's own answers, pink noise, babble."""
    return [
        row
        for row in rows
        if row["probe"] != SPREAD
        and row["labels_in_all"] is None
        and row["condition"] not in OTHER_NOISE
        and not (row["table"] == "labels" and row["probe"] == NETWORK)
    ]


def stamps(out: Path) -> dict[str, int]:
    return {
        str(path.relative_to(out)): path.stat().st_mtime_ns
        for name in ("parts", "embeddings", "runs")
        for path in (out / name).rglob("*")
        if path.is_file()
    }


@pytest.fixture(scope="module")
def old(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a study of version 0.1, with the parts of an embedding and one more choice of the recipe."""
    folder = tmp_path_factory.mktemp("old")
    data = write_listed(folder / "data")
    small_study(data, folder, only=SECTIONS, ablate=[["model.voices=statistics", "loss.terms=mel-mel"]])
    grow_old(folder / "out")
    return folder


def test_a_study_of_version_0_1_goes_on_and_nothing_is_worked_out_again(old: Path) -> None:
    before, rows = stamps(old / "out"), json.loads((old / "out" / "results.json").read_text())
    assert len([name for name in before if "control-seed" in name]) == 2 * len(BASELINES) + 1  # neighbours
    assert not [name for name in before if name.startswith("parts/") and name.endswith(".npz")]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Workspace, "make", lambda *_: pytest.fail("a source was made again"))
        found = small_study(old / "data", old, only=SECTIONS)
    assert stamps(old / "out") == before
    written = json.loads((old / "out" / "results.json").read_text())
    assert [{key: row[key] for key in COLUMNS} for row in written] == rows
    assert {section(one) for one in found} == {*SECTIONS, "ablation"}
    assert all(one.evidence is None for one in found)
    single = [one.representation for one in found if section(one) == "ablation" and one.representation.part]
    assert {one.format for one in single} == {"mel"}  # what the source knows, and its old name does not tell
    assert any(one.representation == Representation("fine-tuned", "", "mel") for one in found)


def test_another_section_takes_the_embeddings_of_version_0_1(old: Path) -> None:
    small_study(old / "data", old, only=SECTIONS)
    before = {name: stamp for name, stamp in stamps(old / "out").items() if not name.startswith("parts/")}
    for path in (old / "out" / "parts").glob("labels-MFCC*"):  # as if the section had not been asked for
        path.unlink()
    rows = small_study(old / "data", old, only=["labels"])
    known = [one for one in rows if section(one) == "labels" and one.representation.variant == "MFCC statistics"]
    assert known
    assert all(one.evidence is not None for one in known)
    assert {name: stamp for name, stamp in stamps(old / "out").items() if not name.startswith("parts/")} == before


# Paths

NAMES = {
    "demo": ("make_demo",),
    "results": ("tables",),
    "encoders": ("make_encoder",),
    "losses": ("nt_xent", "TERMS"),
    "splits": ("split", "BECKER_FOLDS"),
    "run": ("train", "pretrain", "train_supervised"),
    "checkpoint": ("Checkpoint", "load_checkpoint", "save_checkpoint"),
    "embeddings": ("Embeddings", "load_embeddings"),
    "data": ("open_data", "Data"),
    "recipe": ("Recipe", "load_recipe"),
    "embedder": ("Embedder", "embed", "load"),
    "errors": ("MfclError",),
    "report": ("make_report",),
    "verification": ("verify", "verify_enrolled"),
}
WITHOUT_TORCH = ("demo", "results", "splits", "embeddings", "data", "errors", "report", "verification")


@pytest.mark.parametrize("path", NAMES)
def test_the_paths_of_version_0_1_lead_to_the_same_names(path: str) -> None:
    module = importlib.import_module(f"mfcl.{path}")
    for name in NAMES[path]:
        assert hasattr(module, name), name


def test_the_public_names_are_those_of_version_0_1() -> None:
    import mfcl

    for name in (
        *("Checkpoint", "Embedder", "Embeddings", "Manifest", "MfclError", "Recipe", "Recording", "compare", "embed"),
        *("load", "load_checkpoint", "load_embeddings", "load_recipe", "make_report", "open_manifest", "scan"),
        *("study", "train"),
    ):
        assert name in mfcl.__all__
        assert callable(getattr(mfcl, name))


@pytest.mark.parametrize("path", WITHOUT_TORCH)
def test_a_path_that_loaded_no_torch_still_loads_none(path: str) -> None:
    code = f"import sys, mfcl.{path}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_result_has_its_table_by_the_name_of_version_0_1():
    assert Result(Question("labels", "accuracy"), 1.0, None, None, 1).table == "labels"
