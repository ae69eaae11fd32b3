"""Alignment as a baseline of a study: its rows, its landmarks under noise, and its neighbours kept on disk."""

import dataclasses
import threading
from types import SimpleNamespace
from unittest.mock import Mock

import numpy as np
import pytest

from mfcl.data.dataset import open_data
from mfcl.evaluation.aligned import fit_landmarks
from mfcl.evaluation.noisy_store import Disturbed
from mfcl.evaluation.result import ALIGNMENT, KNN, LANDMARKS, LINEAR, SPREAD, Representation
from mfcl.recipe import load_recipe
from mfcl.studies import evaluators
from mfcl.studies.representations import Source
from mfcl.studies.workspace import Workspace
from tests.small_study import write_listed

VECTORS, DISTANCES = Representation("baseline", LANDMARKS), Representation("baseline", ALIGNMENT)


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    folder = tmp_path_factory.mktemp("aligned")
    data = open_data(
        write_listed(folder / "data", digits=2),
        load_recipe("quick").preparation,
        cache=folder / "cache",
        progress=False,
    )
    return Workspace(data, folder / "out", device="cpu", progress=False)


@pytest.fixture(scope="module")
def source() -> Source:
    return Source("baseline", LANDMARKS, 0, load_recipe("quick"), ())


def test_labels_have_a_row_of_the_vectors_and_one_of_the_distances(workspace: Workspace, source: Source) -> None:
    workspace.make(source)
    found = evaluators.labels(workspace, source).results
    probes = {
        whose: {one.question.probe for one in found if one.representation == whose} for whose in (VECTORS, DISTANCES)
    }
    assert probes == {VECTORS: {LINEAR, KNN}, DISTANCES: {KNN}}
    assert next(one.value for one in found if one.representation == DISTANCES) > 60


def test_representations_are_measured_two_at_once_in_order_unless_their_tables_are_large(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    views = [Representation("untrained", "", format) for format in ("wave", "mel", "both")]
    both, seen = threading.Barrier(2, timeout=20), []
    workspace, source = Mock(spec=Workspace), Mock(spec=Source)
    workspace.embeddings = lambda _: SimpleNamespace(vectors=np.zeros((5, 2), np.float32))
    source.representations = views[:2]

    def meet(one: Representation) -> str:
        both.wait()
        return one.format

    monkeypatch.setattr(evaluators, "core_count", lambda: 4)
    assert list(evaluators.each_asked(workspace, source, meet)) == [(views[0], "wave"), (views[1], "mel")]
    monkeypatch.setattr(evaluators, "TWO", 9)
    source.representations = views

    def alone(one: Representation) -> int:
        seen.append(one)
        return threading.active_count()

    before = threading.active_count()
    assert list(evaluators.each_asked(workspace, source, alone)) == [(one, before + 1) for one in views]
    assert seen == views


def test_few_labels_are_spread_over_both_graphs(workspace: Workspace, source: Source) -> None:
    found = evaluators.efficiency(workspace, source).results
    asked = {whose: {one.question for one in found if one.representation == whose} for whose in (VECTORS, DISTANCES)}
    assert {one for one in asked[VECTORS] if one.probe == SPREAD} == asked[DISTANCES]
    assert {one.labels_in_all for one in asked[DISTANCES]} == {10, 20, None}  # 48 recordings to learn from
    assert {one.labels_in_all for one in asked[VECTORS] if one.probe == LINEAR} == {10, 20, None}


def test_neighbours_are_found_once_and_again_where_the_file_is_damaged(
    workspace: Workspace, source: Source, capsys: pytest.CaptureFixture[str]
) -> None:
    first = workspace.neighbourhood(source, DISTANCES)
    (path,) = (workspace.folder / "embeddings").glob("*.neighbours.npz")
    stamp = path.stat().st_mtime_ns
    assert np.array_equal(workspace.neighbourhood(source, DISTANCES).distances, first.distances)
    assert path.stat().st_mtime_ns == stamp
    path.write_bytes(path.read_bytes()[:100])
    assert np.array_equal(workspace.neighbourhood(source, DISTANCES).distances, first.distances)
    assert "damaged" in capsys.readouterr().err


def test_only_labelled_recordings_are_neighbours_that_vote(
    workspace: Workspace, source: Source, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, label = workspace.neighbourhood(source, DISTANCES), workspace.data.label or ""
    known = workspace.embeddings(source)
    blank = whole.known[::3]
    labels = {**known.labels, label: np.where(np.isin(np.arange(len(known)), blank), "", known.label(label))}
    partly = dataclasses.replace(known, labels=labels)
    monkeypatch.setattr(workspace, "embeddings", lambda source: partly)
    for _ in range(2):  # made, and read again
        found = workspace.neighbourhood(source, DISTANCES, of=label)
        assert found.known.tolist() == np.setdiff1d(whole.known, blank).tolist()
        assert found.tested.tolist() == whole.tested.tolist()
    assert np.array_equal(workspace.neighbourhood(source, DISTANCES).known, whole.known)


def test_noisy_test_clips_are_compared_with_the_landmarks_of_clean_training_clips(
    workspace: Workspace, source: Source
) -> None:
    test = Disturbed(workspace.data.subset("test"), 10.0, seed=0)
    store, splits = workspace.data.store, workspace.data.manifest.splits
    wanted = fit_landmarks(store, store.sample_rate, known=splits == "train", seed=0)(test)
    fresh = Workspace(workspace.data, workspace.folder, device="cpu", progress=False)  # a study that goes on
    for own in (workspace, fresh):
        found = own.disturbed(source, test)
        assert np.array_equal(found.vectors, wanted)
        assert set(found.splits) == {"test"}
    clean = workspace.embeddings(source).vectors[splits == "test"]
    assert not np.array_equal(found.vectors, clean)
