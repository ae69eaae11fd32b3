"""That the fuzz suite sees what it is there to see, and that a seed is the same input every time."""

import json
import random

import numpy as np
import pytest

from mfcl.errors import MfclError
from tests.fuzz import run
from tests.fuzz.kinds import Kind
from tests.fuzz.mutations import nested, spoil_bytes, spoil_json, spoil_table


def spoil(folder, chance):
    (folder / "a").write_bytes(spoil_bytes(chance, (folder / "a").read_bytes()))


def outcome(tmp_path, monkeypatch, use, seed=0):
    """Return what is said of one input that is used like this."""
    monkeypatch.chdir(tmp_path)  # and back after the test
    monkeypatch.setattr(run, "_used", lambda: 0)
    kind = Kind(lambda folder: folder.joinpath("a").write_bytes(bytes(99)) and None, spoil, use)
    room = tmp_path / "room"
    run._prepare(kind, room)
    return run.attempt(kind, "made up", room, seed)


def fails(error):
    raise error


def test_a_right_result_and_one_line_are_right(tmp_path, monkeypatch):
    assert outcome(tmp_path, monkeypatch, lambda _: [np.ones(3), {"a": [1.5, None]}]) == ""
    assert outcome(tmp_path, monkeypatch, lambda _: fails(MfclError("one line"))) == ""


def test_a_traceback_is_named_by_its_kind(tmp_path, monkeypatch):
    assert outcome(tmp_path, monkeypatch, lambda _: fails(KeyError("a"))).startswith("KeyError, outside of mfcl")
    assert outcome(tmp_path, monkeypatch, lambda _: fails(SystemExit(1))).startswith("SystemExit")


class TwoLinesError(MfclError):
    """Its own text, past what keeps others to a line."""

    def __str__(self):
        return "a\nb"


def test_an_error_of_two_lines_is_named(tmp_path, monkeypatch):
    assert "an error of 2 lines" in outcome(tmp_path, monkeypatch, lambda _: fails(TwoLinesError()))


def test_a_sound_input_may_not_fail_at_all(tmp_path, monkeypatch):
    said = outcome(tmp_path, monkeypatch, lambda _: fails(MfclError("one line")), seed=run.SOUND)
    assert said == "the sound input fails: one line"


@pytest.mark.parametrize("value", [np.array([np.inf]), {"a": (1, [float("nan")])}, float("-inf")])
def test_numbers_that_are_none_are_no_success(tmp_path, monkeypatch, value):
    assert "result 2 has numbers that are none" in outcome(tmp_path, monkeypatch, lambda _: [0.5, value])


@pytest.mark.parametrize("place", ["../outside", "../../outside", "../sound/a", "../empty/b"])
def test_what_is_written_elsewhere_is_seen(tmp_path, monkeypatch, place):
    def use(folder):
        (folder / place).write_text("x")
        return []

    assert outcome(tmp_path, monkeypatch, use).startswith("written outside of its folder")


def test_too_much_memory_and_too_much_time_are_seen(tmp_path, monkeypatch):
    assert outcome(tmp_path, monkeypatch, lambda _: fails(run.TooSlowError())).startswith("longer than 10 s")
    monkeypatch.setattr(run, "_used", lambda: run.MOST_BYTES + 1)
    kind = Kind(lambda _: None, spoil, lambda _: [])
    assert run.attempt(kind, "made up", tmp_path / "room", 1).startswith("more than 1,073,741,824 bytes of memory")


def test_a_seed_is_one_input_and_another_seed_another():
    text = json.dumps({"a": [1, 2, {"b": "c"}], "d": None})
    rows = [["path", "id"], ["x.wav", "1"], ["y.wav", "2"]]
    ways = (
        lambda chance: spoil_bytes(chance, bytes(range(200))),
        lambda chance: spoil_json(chance, text),
        lambda chance: spoil_table(chance, rows),
        nested,
    )
    for spoilt in ways:
        made = [spoilt(random.Random(seed)) for seed in range(40)]
        assert made == [spoilt(random.Random(seed)) for seed in range(40)]
        assert len({str(one) for one in made}) > 3


def test_a_spoilt_thing_is_mostly_another_than_before():
    data, rows = bytes(range(200)), [["path", "id"], ["x.wav", "1"]]
    assert sum(spoil_bytes(random.Random(seed), data) != data for seed in range(100)) > 90
    assert sum(spoil_table(random.Random(seed), rows) != rows for seed in range(100)) > 80
    assert rows == [["path", "id"], ["x.wav", "1"]]
