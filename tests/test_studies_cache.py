import json

import pytest

from mfcl.studies.cache import Cache, digest, slug


def answer(number):
    return {"rows": [number], "pictures": {}, "notes": [], "seconds": 1.0}


def test_a_result_is_worked_out_once_and_read_from_its_file_after(tmp_path):
    calls = []

    def work():
        calls.append(1)
        return {"rows": [1.5, None, "ü"], "pictures": {}, "notes": [], "seconds": 1}, []

    first = Cache(tmp_path / "parts").once("labels, wave", {"seed": 0}, work)
    again = Cache(tmp_path / "parts").once("labels, wave", {"seed": 0}, work)  # another day, another process
    assert first == again == {"rows": [1.5, None, "ü"], "pictures": {}, "notes": [], "seconds": 1}
    assert calls == [1]
    assert [path.parent.name for path in tmp_path.rglob("*.json")] == ["parts"]


def test_whatever_a_result_depends_on_gives_it_a_file_of_its_own(tmp_path):
    cache = Cache(tmp_path)
    bases = [{"seed": 0}, {"seed": 1}, {"seed": 0, "recipe": {"epochs": 2}}, {"seed": 0, "recipe": {"epochs": 3}}]
    for number, basis in enumerate(bases):
        assert cache.once("a", basis, lambda number=number: (answer(number), [])) == answer(number)
    assert cache.once("b", bases[0], lambda: (answer(9), [])) == answer(9)
    assert len({cache.path(name, basis) for name in "ab" for basis in bases}) == 8
    assert len(list(tmp_path.glob("*.json"))) == len(list(tmp_path.glob("*.npz"))) == 5


def test_a_result_that_fails_leaves_nothing_behind(tmp_path):
    cache = Cache(tmp_path)

    def fails():
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        cache.once("a", {}, fails)
    assert not list(tmp_path.iterdir())
    assert cache.once("a", {}, lambda: ({"n": 1}, [])) == {"n": 1}


def test_what_is_returned_is_what_is_written_so_that_a_later_call_cannot_differ(tmp_path):
    found = Cache(tmp_path).once("a", {}, lambda: ({"pair": (1, 2), "text": "x"}, []))
    assert found == {"pair": [1, 2], "text": "x"}  # JSON knows no tuples
    assert json.loads(next(tmp_path.glob("*.json")).read_text()) == found


def test_a_digest_knows_values_and_not_their_order():
    basis = {"a": {"x": 1, "y": [1, 2]}, "b": None}
    assert digest(basis) == digest({"b": None, "a": {"y": [1, 2], "x": 1}})
    others = [{"a": {"x": 1, "y": [2, 1]}, "b": None}, {"a": {"x": 1, "y": [1, 2]}, "b": 0}, {}]
    assert len({digest(value) for value in (basis, *others)}) == 4


@pytest.mark.parametrize("name", ["a/b", "../up", "5 labels a class", "gain +6 dB", "x, y: z?"])
def test_a_slug_is_one_file_name_that_any_system_takes(name):
    assert slug(name)
    assert not set(slug(name)) & set('/\\:*?"<>| ,')
