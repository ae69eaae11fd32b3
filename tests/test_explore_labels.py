"""Labels on disk: undo and redo, what a killed process leaves, a full disk."""

import os
import random
import shutil
import signal
import sqlite3
import stat
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mfcl.explore.cells import DROPPED, HELD, LABEL, NOTE, REJECTED, Cell, LabelsError
from mfcl.explore.labels import LabelBook
from tests.unwritable import nothing_written

IDS = [f"clip{number}.wav" for number in range(6)]


def opened(path: Path, ids=IDS) -> LabelBook:
    return LabelBook(path, ids, who="ada")


def state(book: LabelBook):
    return {
        column: (book.labels(column).tolist(), book.held(column).tolist(), book.rejected(column))
        for column in ("digit", "sex")
    } | {"notes": book.notes()}


def quick_folder(tmp_path_factory) -> Path:
    """A folder in memory where there is one: this test is of undo and redo, not of the disk."""
    if Path("/dev/shm").is_dir():
        return Path(tempfile.mkdtemp(dir="/dev/shm"))
    return tmp_path_factory.mktemp("labels")


CELLS = st.one_of(
    st.tuples(st.integers(0, 5), st.just(LABEL), st.sampled_from(["", "one", "two", "drei"])),
    st.tuples(st.integers(0, 5), st.just(NOTE), st.sampled_from(["", "odd\nnoise"])),
    st.tuples(st.integers(0, 5), st.just(REJECTED), st.sampled_from(["", '["one"]'])),
    st.tuples(st.integers(0, 5), st.just(HELD), st.sampled_from(["", "1"])),
).map(lambda given: Cell(*given))
ACTIONS = st.lists(
    st.one_of(
        st.tuples(st.sampled_from(["digit", "sex"]), st.lists(CELLS, min_size=1, max_size=4)),
        st.sampled_from(["undo", "redo"]),
    ),
    max_size=12,
)


@settings(max_examples=25, deadline=None)
@given(actions=ACTIONS)
def test_undo_and_redo_are_those_of_an_editor_and_the_file_tells_the_same(tmp_path_factory, actions):
    path = quick_folder(tmp_path_factory) / "labels.db"
    book = opened(path)
    states, at = [state(book)], 0  # what an editor with a list of states would do
    for action in actions:
        if action == "undo":
            assert (book.undo() is None) == (at == 0)
            at = max(0, at - 1)
        elif action == "redo":
            assert (book.redo() is None) == (at == len(states) - 1)
            at = min(len(states) - 1, at + 1)
        else:
            before = book.version
            if book.step(action[0], "picked", action[1]) > before:
                states = [*states[: at + 1], state(book)]
                at += 1
        assert state(book) == states[at]
    version, history = book.version, book.history()
    book.close()
    again = opened(path)
    assert (state(again), again.version, again.history()) == (states[at], version, history)
    assert (again.undo() is None) == (at == 0)
    assert state(again) == states[max(0, at - 1)]
    again.close()
    shutil.rmtree(path.parent)


def test_a_step_says_who_when_and_how(tmp_path):
    book = opened(tmp_path / "labels.db")
    book.step("digit", "lassoed", [Cell(0, LABEL, "one"), Cell(2, LABEL, "one")])
    book.step("digit", "accepted", [Cell(2, LABEL, "two")])
    one, two = book.history()[::-1]
    assert (one.who, one.how, one.clips, one.value, one.undone) == ("ada", "lassoed", 2, "one", False)
    assert {clip: how for clip, (_, _, how) in book.given("digit").items()} == {0: "lassoed", 2: "accepted"}
    book.undo()
    assert book.history()[0].undone
    assert {clip: how for clip, (_, _, how) in book.given("digit").items()} == {0: "lassoed", 2: "lassoed"}
    assert two.at >= one.at >= "2024"
    book.close()


def test_labels_keep_the_order_in_which_they_were_first_given(tmp_path):
    path = tmp_path / "labels.db"
    book = opened(path)
    book.step("digit", "picked", [Cell(0, LABEL, "two")])
    book.step("digit", "picked", [Cell(1, LABEL, "one")])
    book.step("digit", "picked", [Cell(0, LABEL, "")])
    book.step("digit", "picked", [Cell(2, LABEL, "two")])
    book.step("other", "imported", [Cell(0, LABEL, "b"), Cell(1, LABEL, "a")])
    book.undo()
    book.redo()
    for _ in range(2):
        assert list(book.since("digit").items()) == [("two", 1), ("one", 2)]
        assert book.since("other") == {"a": 5, "b": 5}
        assert book.since("none") == {}
        book.close()
        book = opened(path)
    book.close()


def test_a_label_that_no_clip_has_any_more_keeps_its_place_and_one_that_was_undone_does_not(tmp_path):
    path = tmp_path / "labels.db"
    book = opened(path)
    for clip, name in enumerate(["one", "two", "three"]):
        book.step("digit", "picked", [Cell(clip, LABEL, name)])
    book.step("digit", "picked", [Cell(1, LABEL, "three")])
    book.step("digit", "picked", [Cell(4, LABEL, "fuor")])
    book.undo()
    for _ in range(2):
        assert book.since("digit") == {"one": 1, "two": 2, "three": 3}
        book.close()
        book = opened(path)
    book.redo()
    assert list(book.since("digit")) == ["one", "two", "three", "fuor"]
    book.close()
    fewer = opened(path, IDS[2:])
    assert fewer.since("digit") == {"three": 3, "fuor": 5}  # the others are labels of clips that are gone
    fewer.close()


def test_a_label_that_no_clip_has_can_be_dropped_and_that_can_be_undone(tmp_path):
    path = tmp_path / "labels.db"
    book = opened(path)
    for clip, name in enumerate(["wern", "owl", "gull"]):
        book.step("bird", "picked", [Cell(clip, LABEL, name)])
    with pytest.raises(LabelsError, match="'wern' is the label of 1 clip; give another first"):
        book.step("bird", "dropped", [Cell(0, DROPPED, "wern")])
    book.step("bird", "picked", [Cell(0, LABEL, "owl")])
    book.step("bird", "dropped", [Cell(0, DROPPED, "wern")])

    def opened_anew():
        book.close()
        return opened(path)

    for _ in range(2):
        assert book.since("bird") == {"owl": 2, "gull": 3}
        assert (book.history()[0].how, book.history()[0].value) == ("dropped", "wern")
        book = opened_anew()
    book.undo()
    for _ in range(2):
        assert list(book.since("bird")) == ["wern", "owl", "gull"]
        book = opened_anew()
    book.redo()
    book.step("bird", "picked", [Cell(3, LABEL, "wern")])  # it is a bird after all, and the last one in the list
    for _ in range(2):
        assert list(book.since("bird")) == ["owl", "gull", "wern"]
        book = opened_anew()
    book.step("bird", "picked", [Cell(3, LABEL, "")])
    book.step("bird", "dropped", [Cell(0, DROPPED, "wern")])
    assert list(book.since("bird")) == ["owl", "gull"]
    for expected in (["owl", "gull", "wern"], ["owl", "gull", "wern"], ["owl", "gull"], ["wern", "owl", "gull"]):
        book.undo()
        assert list(book.since("bird")) == expected
    book.close()
    fewer = opened(path, IDS[2:])
    assert fewer.since("bird") == {"gull": 3}
    fewer.close()


def test_labels_find_their_clips_by_id_and_wait_for_those_that_are_gone(tmp_path):
    path = tmp_path / "labels.db"
    book = opened(path)
    book.step("digit", "picked", [Cell(0, LABEL, "one"), Cell(3, LABEL, "two")])
    book.close()
    fewer = opened(path, [IDS[3], "new.wav"])
    assert fewer.labels("digit").tolist() == ["two", ""]
    fewer.step("digit", "picked", [Cell(1, LABEL, "one")])
    fewer.close()
    whole = opened(path, [*IDS, "new.wav"])
    assert whole.labels("digit").tolist() == ["one", "", "", "two", "", "", "one"]
    whole.close()


@pytest.mark.parametrize(
    ("column", "how", "cell", "said"),
    [
        ("digit", "picked", Cell(6, LABEL, "one"), "clip from 0 to 5"),
        ("digit", "picked", Cell(-1, LABEL, "one"), "clip from 0 to 5"),
        ("digit", "picked", Cell(True, LABEL, "one"), "clip from 0 to 5"),
        ("digit", "picked", Cell(0, LABEL, "a\tb"), "one line"),
        ("digit", "picked", Cell(0, LABEL, " a"), "one line"),
        ("digit", "picked", Cell(0, LABEL, "x" * 101), "at most 100"),
        ("digit", "picked", Cell(0, LABEL, "\u202eevil"), "one line"),
        ("digit", "picked", Cell(0, LABEL, "a\u2066b"), "one line"),
        ("digit", "picked", Cell(0, LABEL, "=cmd|' /C calc'!A0"), "formula of a spreadsheet"),
        ("digit", "picked", Cell(0, LABEL, "@SUM(1)"), "formula of a spreadsheet"),
        ("digit", "picked", Cell(0, LABEL, "-2+3"), "formula of a spreadsheet"),
        ("digit", "picked", Cell(0, REJECTED, '["+1+1"]'), "formula of a spreadsheet"),
        ("=a", "picked", Cell(0, LABEL, "a"), "formula of a spreadsheet"),
        ("digit", "guessed", Cell(0, LABEL, "a"), "way to label"),
        ("a\nb", "picked", Cell(0, LABEL, "a"), "column"),
        ("digit", "picked", Cell(0, REJECTED, "{}"), "list of labels"),
        ("digit", "picked", Cell(0, "path", "a"), "kind of cell"),
        ("digit", "picked", Cell(0, HELD, "2"), "1 or nothing"),
    ],
)
def test_what_cannot_be_kept_changes_nothing(tmp_path, column, how, cell, said):
    book = opened(tmp_path / "labels.db")
    with pytest.raises(LabelsError, match=said):
        book.step(column, how, [Cell(0, LABEL, "good"), cell])
    assert book.version == 0
    assert book.labels("digit").tolist() == [""] * 6
    book.close()


def test_signs_and_numbers_with_a_sign_are_labels(tmp_path):
    book = opened(tmp_path / "labels.db")
    given = ["-5", "+3.5", "-", "+", "a-b", "0=1"]
    book.step("digit", "picked", [Cell(clip, LABEL, value) for clip, value in enumerate(given)])
    assert book.labels("digit").tolist() == given
    book.close()


def test_a_second_server_and_another_database_are_refused_in_one_line(tmp_path):
    path = tmp_path / "labels.db"
    book = opened(path)
    with pytest.raises(LabelsError, match="another `mfcl explore`"):
        opened(path)
    book.close()
    opened(path).close()
    (tmp_path / "text.db").write_text("not a database at all, but some text\n" * 50)
    with pytest.raises(LabelsError, match="not a database"):
        opened(tmp_path / "text.db")
    with sqlite3.connect(tmp_path / "other.db") as other:
        other.execute("CREATE TABLE things (name TEXT)")
    other.close()
    before = (tmp_path / "other.db").read_bytes()
    with pytest.raises(LabelsError, match="another database"):
        opened(tmp_path / "other.db")
    assert (tmp_path / "other.db").read_bytes() == before


def test_a_newer_and_a_cut_file_of_labels_are_one_line_each(tmp_path):
    path = tmp_path / "labels.db"
    book = opened(path)
    for clip in range(6):
        book.step("digit", "noted", [Cell(clip, NOTE, "x" * 2000)])
    book.close()
    with sqlite3.connect(path) as newer:
        newer.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    newer.close()
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(LabelsError, match="damaged or cut short; restore it from a copy") as caught:
        opened(path).history()
    assert len(str(caught.value).splitlines()) == 1
    path.write_bytes(whole)
    with sqlite3.connect(path) as newer:
        newer.execute("PRAGMA user_version = 9")
    newer.close()
    with pytest.raises(LabelsError, match="labels of version 1, got another database"):
        opened(path)


@pytest.mark.parametrize("root", [True, False])
def test_a_folder_that_may_not_be_written_says_that_labels_may_lie_elsewhere(tmp_path, monkeypatch, root):
    if not root:  # whom `access` answers by the bits
        monkeypatch.setattr(os, "access", lambda place, _: bool(Path(place).stat().st_mode & stat.S_IWUSR))
    opened(tmp_path / "old" / "labels.db").close()
    for folder in (tmp_path, tmp_path / "old"):
        with nothing_written(folder), pytest.raises(LabelsError) as caught:
            opened(folder / ("new" if folder == tmp_path else "") / "labels.db")
        assert "labels.db: " in str(caught.value)
        assert str(caught.value).endswith("; give a place that may be written (--labels)")
        assert "\n" not in str(caught.value)


def test_a_full_disk_loses_nothing_but_the_step(tmp_path):
    book = opened(tmp_path / "labels.db")
    book.step("digit", "picked", [Cell(0, LABEL, "one")])
    pages = book._file._database.rows("PRAGMA page_count")[0][0]
    book._file._database.rows(f"PRAGMA max_page_count = {pages}")  # SQLite then says what it says of a full disk
    with pytest.raises(LabelsError, match="disk is full; free some space"):
        book.step("digit", "noted", [Cell(clip, NOTE, "x" * 2000) for clip in range(6)])
    assert (book.version, book.notes(), book.labels("digit")[0]) == (1, {}, "one")
    book._file._database.rows("PRAGMA max_page_count = 100000")
    assert book.step("digit", "picked", [Cell(1, LABEL, "two")]) == 2
    book.close()


WRITER = """
import sys
import tempfile
from pathlib import Path
from mfcl.explore.cells import DROPPED, HELD, LABEL, NOTE, REJECTED, Cell, LabelsError
from mfcl.explore.labels import LabelBook
book = LabelBook(Path(sys.argv[1]), [f"clip{n}.wav" for n in range(6)], who="ada")
while True:
    number = book.version
    book.step("digit", "picked", [Cell(number % 6, LABEL, f"value {number}")])
    print(number, flush=True)
"""


def test_what_was_acknowledged_survives_being_killed(tmp_path):
    path, draws, said = tmp_path / "labels.db", random.Random(0), []
    for _ in range(4):
        with subprocess.Popen([sys.executable, "-c", WRITER, str(path)], stdout=subprocess.PIPE, text=True) as writer:
            assert writer.stdout is not None
            for _ in range(draws.randint(1, 40)):
                said.append(int(writer.stdout.readline()))
            os.kill(writer.pid, signal.SIGKILL)
            said += [int(line) for line in writer.stdout.read().splitlines()]
    assert said == sorted(set(said))
    book = opened(path)
    assert book.version >= said[-1] + 1
    values = {step.value for step in book.history(10**6)}
    assert {f"value {number}" for number in said} <= values
    book.close()
