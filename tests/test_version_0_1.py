"""The paths that the documentation of version 0.1 printed still lead to the same names."""

import importlib
import subprocess
import sys

import pytest

from mfcl.evaluation.result import Question, Result

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
