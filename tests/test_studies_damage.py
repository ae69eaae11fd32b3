"""A study whose folder was damaged goes on: what can be made again is made again, and said in one line."""

import json

import numpy as np
import pytest

from mfcl.evaluation.result import Evidence
from mfcl.studies.cache import Cache, load_evidence, read_object, save_evidence

BASIS = {"a": 1}
ANSWER = {"rows": [], "pictures": {}, "notes": [], "seconds": 1.0}


def work():
    return ANSWER, []


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "3", '{"rows": 3}', '{"rows": [], "pictures": []}', "[" * 5000, "\ud800"]
)
def test_a_damaged_answer_is_worked_out_again_and_said(text, tmp_path, capsys):
    cache = Cache(tmp_path)
    path = cache.path("labels", BASIS)
    path.write_bytes(text.encode("utf-8", errors="surrogatepass"))
    assert not cache.known("labels", BASIS)
    assert cache.once("labels", BASIS, work) == ANSWER
    assert capsys.readouterr().err == f"{path}: damaged; it is worked out again\n"
    assert cache.known("labels", BASIS)


def test_an_answer_is_worked_out_once(tmp_path):
    cache, calls = Cache(tmp_path), []

    def counted():
        calls.append(1)
        return work()

    assert cache.once("labels", BASIS, counted) == cache.once("labels", BASIS, counted) == ANSWER
    assert len(calls) == 1


def test_evidence_is_kept_beside_its_answer_and_shared_by_results_of_the_same_items(tmp_path):
    ids, groups = np.array(["a", "b", "c"]), np.array(["x", "x", "y"])
    right, draws = np.array([1.0, 0.0, 0.5]), np.array([1.0, np.nan])
    kept = [Evidence(ids, groups, right), None, Evidence(ids, groups, resampled=draws), Evidence(ids[:1], groups[:1])]
    save_evidence(tmp_path / "e.npz", kept)
    with np.load(tmp_path / "e.npz") as archive:
        assert sum(name.startswith("ids_") for name in archive.files) == 1
    first, none, second, bare = load_evidence(tmp_path / "e.npz", 4)
    assert none is None
    assert bare is None  # neither items nor draws: nothing to pair
    np.testing.assert_array_equal(first.correct, right)
    np.testing.assert_array_equal(second.resampled, draws)
    assert (first.ids.tolist(), second.groups.tolist()) == (ids.tolist(), groups.tolist())


def test_damaged_evidence_costs_the_intervals_and_names_the_file_to_delete(tmp_path, capsys):
    cache = Cache(tmp_path)
    cache.once("labels", BASIS, lambda: (ANSWER, [Evidence(np.array(["a"]), np.array(["x"]), np.ones(1))]))
    path = cache.path("labels", BASIS)
    path.with_suffix(".npz").write_bytes(path.with_suffix(".npz").read_bytes()[:50])
    assert cache.evidence("labels", BASIS, 1) == [None]
    assert f"damaged, so its differences have no interval; delete {path}" in capsys.readouterr().err
    path.with_suffix(".npz").unlink()
    assert cache.evidence("labels", BASIS, 1) == [None]
    assert f"gone, so its differences have no interval; delete {path}" in capsys.readouterr().err


def test_an_answer_without_evidence_misses_none(tmp_path, capsys):
    cache = Cache(tmp_path)
    cache.once("maps", BASIS, lambda: (ANSWER, []))
    path = cache.path("maps", BASIS)
    path.with_suffix(".npz").unlink()
    assert cache.evidence("maps", BASIS, 0) == []
    assert cache.evidence("labels of version 0.1", BASIS, 2) == [None, None]
    assert capsys.readouterr().err == ""


def test_what_is_no_json_object_is_none(tmp_path):
    path = tmp_path / "x.json"
    assert read_object(path) is None
    path.write_text(json.dumps([1]))
    assert read_object(path) is None
