"""A study's embeddings name the model that made them, so that its folder serves wherever a model and clips do."""

import dataclasses
import io
import shutil
import zipfile
from pathlib import Path

import numpy as np
import pytest

from mfcl.checkpoint import load_checkpoint, model_digest
from mfcl.classification import classify, clips_to_label, fit_on
from mfcl.core.files import write_json
from mfcl.core.plain_values import to_dict
from mfcl.data.dataset import open_data
from mfcl.data.manifest_csv import write_manifest
from mfcl.embedding_lists import embed
from mfcl.embeddings.blocks import load_embeddings
from mfcl.embeddings.study_files import main_embeddings, run_of
from mfcl.errors import MfclError
from mfcl.explore.cells import LABEL, Cell
from mfcl.explore.collection import open_collection
from mfcl.explore.exports import classifier_zip
from mfcl.explore.session import Session
from mfcl.labelling import load_classifier
from mfcl.labelling.fitting import id_digests
from mfcl.recipe import load_recipe
from mfcl.studies.representations import Source
from mfcl.studies.workspace import Workspace
from mfcl.voices import Gallery
from tests.recipes import tiny_recipe
from tests.small_study import write_listed

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A study's folder with its pre-trained model, one with other crops, and an untrained one."""
    folder = tmp_path_factory.mktemp("study")
    recipe = load_recipe(tiny_recipe(folder))
    data = open_data(write_listed(folder / "data", takes=2), recipe.preparation, cache=folder / "cache", progress=False)
    workspace = Workspace(data, folder / "out", device="cpu", progress=False)
    for number in range(3):  # whatever the names, one of them sorts before the study's own
        crops = dataclasses.replace(recipe.crops, length=0.5 + 0.1 * number)
        workspace.make(Source("pre-trained", f"crops {number}", 0, dataclasses.replace(recipe, crops=crops)))
    workspace.make(Source("pre-trained", "", 0, recipe))
    workspace.make(Source("untrained", "", 0, recipe))
    write_json(folder / "out" / "study.json", {"recipe": to_dict(recipe)})
    write_manifest(data.manifest, folder / "out" / "manifest.csv", relative=True)
    return folder / "out"


def test_a_studys_embeddings_are_those_of_its_own_recipe_and_name_their_model(study: Path) -> None:
    main = main_embeddings(study)
    own = load_embeddings(main)
    loaded = load_checkpoint(study)
    assert loaded.folder == run_of(main) / "model"
    assert to_dict(loaded.recipe) == to_dict(load_recipe(study.parent / "tiny.yaml"))
    assert own.model == model_digest(loaded)
    again = embed(study, study / "manifest.csv", progress=False)
    assert np.array_equal(again.ids, own.ids)
    assert np.allclose(again.vectors, own.vectors, atol=1e-4)
    untrained = next(study.glob("embeddings/untrained-*.npz"))
    assert load_embeddings(untrained).model == ""
    assert run_of(untrained) is None


@pytest.mark.parametrize("whole", [True, False], ids=["folder", "file"])
def test_a_classifier_from_the_explorer_hears_recordings_with_the_studys_model(
    study: Path, whole: bool, tmp_path: Path
) -> None:
    place = study if whole else main_embeddings(study)
    clips = open_collection(place, folder=tmp_path / "kept")
    assert clips.model == run_of(main_embeddings(study))
    assert len(clips.recordings) == len(clips)
    gallery = Gallery.create(tmp_path / "team.db", clips.model, cohort=None, nearest=0)
    gallery.close()
    session = Session(clips, who="ada", gallery=str(tmp_path / "team.db"))
    digits = clips.columns["digit"]
    session.step("heard", "picked", [Cell(clip, LABEL, str(digits[clip])) for clip in range(24)])
    archive = classifier_zip(clips, "heard", session.assistant.fitted("heard").classifier)
    zipfile.ZipFile(io.BytesIO(archive)).extractall(tmp_path)
    made = load_classifier(tmp_path / "classifier")
    assert made.about["label"] == "heard"
    assert made.about["labelled"] == id_digests(clips.embeddings.ids[:24].tolist())  # so a check knows its own clips
    answers = classify(made, study / "manifest.csv")
    kept = made.predict(load_embeddings(main_embeddings(study)))
    assert np.mean(answers.predictions.likeliest == kept.likeliest) > 0.95
    session.close()


def test_labels_are_suggested_and_fitted_from_a_studys_folder_and_file(study: Path) -> None:
    file = main_embeddings(study)
    assert len(clips_to_label(study, file, 5, progress=False)) == 5
    fitted = fit_on(study, file, label="digit", progress=False)
    assert fitted.fitted.classifier.model == load_embeddings(file).model


def test_an_older_studys_embeddings_open_and_say_what_they_lack(study: Path, tmp_path: Path) -> None:
    old = shutil.copytree(study, tmp_path / "old")
    file = main_embeddings(old)
    dataclasses.replace(load_embeddings(file), model="").save(file)
    assert open_collection(old).model == run_of(file)
    with pytest.raises(MfclError, match="do not name their model; embed the recordings with it"):
        clips_to_label(old, file, 5, progress=False)
    (old / "study.json").unlink()  # nothing tells which of the models is the study's own
    assert open_collection(old).model is not None
