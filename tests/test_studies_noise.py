import dataclasses
import gc
import weakref
from pathlib import Path

import numpy as np
import pytest

from mfcl.audio import Preparation
from mfcl.data.dataset import open_data
from mfcl.evaluation.result import BABBLE, GAIN, NOISE, PINK
from mfcl.evaluation.result_file import from_rows, to_row
from mfcl.recipe import load_recipe
from mfcl.studies import workspace as making
from mfcl.studies.evaluators import HEARD, costs, robustness
from mfcl.studies.representations import Source
from mfcl.studies.workspace import Workspace
from tests.recipes import tiny_recipe
from tests.sounds import write_corpus


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    folder = tmp_path_factory.mktemp("noise")
    corpus = write_corpus(folder / "corpus", speakers=8, digits=3, takes=2)
    data = open_data(corpus, Preparation(), cache=folder / "cache", progress=False)
    return Workspace(data, folder / "study", device="cpu", progress=False)


def test_noise_of_other_kinds_is_measured_at_one_level_and_told_once_where_it_cannot_be(workspace: Workspace) -> None:
    source = Source("baseline", "MFCC statistics", 0, load_recipe("quick"), ())
    workspace.make(source)
    answer = robustness(workspace, source)
    asked = [(row.question.condition, row.question.condition_value) for row in answer.results]
    assert not [text for text in answer.notes if "babble" in text]
    assert set(asked) == {("clean", None), *HEARD}
    assert {one for one in HEARD if one[0] in (PINK, BABBLE)} == {(PINK, 10.0), (BABBLE, 10.0)}
    assert {row.question.condition for row in answer.results if row.x is not None} == {NOISE}
    assert from_rows([to_row(row) for row in answer.results], "rows") == answer.results

    data = workspace.data
    known = data.manifest.column("speaker")
    one = known[data.manifest.splits == "train"][0]
    kept = np.flatnonzero((data.manifest.splits != "train") | (known == one))
    store = data.store.select(kept)
    alone = tuple(
        dataclasses.replace(each, labels={**each.labels, "speaker": one}) for each in store.manifest.recordings
    )
    manifest = dataclasses.replace(store.manifest, recordings=alone)
    single = dataclasses.replace(data, manifest=manifest, store=dataclasses.replace(store, manifest=manifest))
    fewer = Workspace(single, Path(workspace.folder) / "alone", device="cpu", progress=False)
    fewer.make(source)
    answer = robustness(fewer, source)
    (note,) = [text for text in answer.notes if "babble" in text]
    assert note.startswith(
        "babble at 10 dB: not measured: babble: wanted 4 or more other recordings of another speaker"
    )
    assert {row.question.condition for row in answer.results} == {"clean", NOISE, PINK, GAIN}


def test_what_was_held_of_a_source_is_gone_when_another_is_made(workspace: Workspace) -> None:
    first, second = (
        Source("baseline", name, 3, load_recipe("quick"), ()) for name in ("MFCC statistics", "log-mel picture")
    )
    workspace.make(first)
    held = weakref.ref(workspace.embeddings(first))
    assert held() is not None
    assert workspace.embeddings(first) is held()
    workspace.make(second)
    gc.collect()
    assert held() is None


def test_untrained_encoders_are_made_once_for_all_that_is_asked_of_them(
    workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made, begin = [], making.untrained

    def counted(*given: object, **more: object) -> object:
        made.append(given)
        return begin(*given, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(making, "untrained", counted)
    source = Source("untrained", "", 0, load_recipe(tiny_recipe(tmp_path)))
    workspace.make(source)
    robustness(workspace, source)
    costs(workspace, source)
    assert len(made) == 1
    held = weakref.ref(workspace.ready(source))
    workspace.make(Source("baseline", "MFCC statistics", 5, load_recipe("quick"), ()))
    gc.collect()
    assert held() is None
