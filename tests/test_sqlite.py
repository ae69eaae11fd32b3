"""The one way to a SQLite file: whole transactions, and one line for what goes wrong."""

import os
import shutil
import sqlite3
import threading
from pathlib import Path

import pytest

from mfcl.core.sqlite import SqliteFile, advice_of
from mfcl.errors import GalleryError, MfclError
from tests.unwritable import nothing_written


def opened(path: Path, **options) -> SqliteFile:
    return SqliteFile(path, **{"error": GalleryError, "advice": advice_of("step"), "wait_seconds": 0.1} | options)


def refused(work) -> str:
    with pytest.raises(GalleryError) as caught:
        work()
    assert len(str(caught.value).splitlines()) == 1
    return str(caught.value)


def filled(path: Path) -> SqliteFile:
    made = opened(path)
    made.use_log()
    made.rows("CREATE TABLE things (name TEXT NOT NULL UNIQUE, size INTEGER)")
    with made.transaction():
        made.many("INSERT INTO things VALUES (?, ?)", [(f"thing {number}" * 50, number) for number in range(200)])
    return made


def test_a_block_is_written_whole_or_not_at_all(tmp_path):
    made = filled(tmp_path / "a.db")
    with pytest.raises(KeyError):
        _broken_off(made)
    assert "UNIQUE" in refused(lambda: _twice(made))
    assert made.rows("SELECT count(*), sum(size) FROM things") == [(200, 19900)]
    made.close()
    again = opened(tmp_path / "a.db")
    assert again.tables() == {"things"}
    assert again.rows("SELECT count(*) FROM things") == [(200,)]
    again.close()


def _broken_off(made: SqliteFile) -> None:
    with made.transaction():
        made.rows("DELETE FROM things")
        raise KeyError


def _twice(made: SqliteFile) -> None:
    with made.transaction():
        made.rows("INSERT INTO things VALUES ('one', 1)")
        made.rows("INSERT INTO things VALUES ('one', 2)")


def test_a_cut_file_noise_text_and_a_folder_are_one_line_with_advice(tmp_path):
    made = filled(tmp_path / "a.db")
    made.rows("PRAGMA wal_checkpoint(TRUNCATE)")
    made.close()
    whole = (tmp_path / "a.db").read_bytes()
    (tmp_path / "cut.db").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "short.db").write_bytes(whole[:60])
    (tmp_path / "text.db").write_text("some text, and no database")
    (tmp_path / "noise.db").write_bytes(os.urandom(5000))
    assert "damaged" in refused(lambda: opened(tmp_path / "cut.db").rows("SELECT sum(size) FROM things"))
    for name in ("short.db", "text.db", "noise.db"):
        before = (tmp_path / name).read_bytes()
        said = refused(lambda name=name: opened(tmp_path / name))
        assert ("not a database; it is damaged" in said) == (name != "short.db")
        assert "restore it from a copy" in said
        assert (tmp_path / name).read_bytes() == before
    assert str(tmp_path) in refused(lambda: opened(tmp_path))
    assert "unable to open" in refused(lambda: opened(tmp_path / "no" / "folder.db"))


def test_a_full_disk_leaves_what_was_there_and_the_file_usable(tmp_path):
    made = filled(tmp_path / "a.db")
    pages = made.rows("PRAGMA page_count")[0][0]
    made.rows(f"PRAGMA max_page_count = {pages}")
    said = refused(lambda: _grow(made))
    assert "disk is full; free some space; nothing but this step is lost" in said
    made.rows("PRAGMA max_page_count = 100000")
    _grow(made)
    assert made.rows("SELECT count(*) FROM things") == [(1200,)]
    assert made.rows("PRAGMA integrity_check") == [("ok",)]
    made.close()


def _grow(made: SqliteFile) -> None:
    with made.transaction():
        made.many("INSERT INTO things VALUES (?, ?)", [(f"more {number}" * 50, number) for number in range(1000)])


def test_another_writer_is_waited_for_and_then_named(tmp_path):
    made, other = filled(tmp_path / "a.db"), sqlite3.connect(tmp_path / "a.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    assert "another program has it open" in refused(lambda: _grow(made))
    with made.transaction(write=False):  # readers do not wait
        assert made.rows("SELECT count(*) FROM things") == [(200,)]
    other.execute("ROLLBACK")
    other.close()
    _grow(made)
    made.close()


def test_a_shared_file_is_used_by_threads_and_an_own_one_by_its_own(tmp_path):
    for shared, well in ((True, True), (False, False)):
        made, found = opened(tmp_path / f"{shared}.db", shared=shared), []
        thread = threading.Thread(target=_counted, args=(made, found))
        thread.start()
        thread.join()
        assert (found == [0]) == well
        made.close()


def _counted(made: SqliteFile, found: list[int]) -> None:
    try:
        found.append(len(made.tables()))
    except MfclError:
        found.append(-1)


def test_a_file_in_a_folder_that_may_not_be_written_is_read_and_says_so_when_it_is_to_be_changed(tmp_path):
    folder = tmp_path
    path = folder / "a #1?.db"  # signs that mean something in the address of a file
    filled(path).close()
    with nothing_written(folder):
        made = opened(path)
        with made.transaction(write=False):
            assert made.rows("SELECT count(*) FROM things") == [(200,)]
        assert "readonly database; check the permissions of the file and its folder" in refused(lambda: _grow(made))
        made.close()
    assert [one.name for one in folder.iterdir()] == [path.name]


def test_changes_by_others_of_a_file_that_may_not_be_written_are_seen(tmp_path):
    folder = tmp_path
    filled(folder / "a.db").close()
    with nothing_written(folder):
        made = opened(folder / "a.db")
        assert made.rows("SELECT count(*) FROM things") == [(200,)]
    writer = opened(folder / "a.db")
    writer.rows("INSERT INTO things VALUES ('open', 1)")  # in the log, and the writer goes on
    with nothing_written(folder):
        assert made.rows("SELECT count(*) FROM things") == [(201,)]
    made.close()
    writer.close()
    with nothing_written(folder):
        made = opened(folder / "a.db")
    with pytest.raises(GalleryError, match=r"a\.db: was changed while it was read; try again"):
        _read_while_it_is_changed(made, folder)
    with nothing_written(folder):
        assert made.rows("SELECT count(*) FROM things") == [(202,)]
    made.close()


def _read_while_it_is_changed(made: SqliteFile, folder: Path) -> None:
    with made.transaction(write=False):
        made.rows("SELECT count(*) FROM things")
        writer = sqlite3.connect(folder / "a.db", isolation_level=None)
        writer.execute("INSERT INTO things VALUES ('meanwhile', 1)")
        writer.close()


@pytest.mark.parametrize("beside", [("-wal", "-shm"), ("-wal",), ()])
def test_a_log_that_was_left_behind_is_read_or_named_and_never_passed_over(beside, tmp_path):
    folder, copy = tmp_path / "made", tmp_path / "copied"
    folder.mkdir()
    copy.mkdir()
    filled(folder / "a.db").close()
    writer = opened(folder / "a.db")
    writer.rows("INSERT INTO things VALUES ('in the log', 1)")
    for end in ("", *beside):
        shutil.copy(folder / f"a.db{end}", copy)
    writer.close()
    with nothing_written(copy):
        if beside == ("-wal",):
            said = refused(lambda: opened(copy / "a.db"))
            assert f"{copy / 'a.db'}-wal holds changes that are not in the file" in said
            assert "copy both to a folder that may be written" in said
        else:
            made = opened(copy / "a.db")
            assert made.rows("SELECT count(*) FROM things") == [(201 if beside else 200,)]
            made.close()
