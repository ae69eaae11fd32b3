import errno
import json
import os
import stat
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from mfcl.core.files import check_file_place, check_folder_place, entries, read_json, replacing, write_json, write_text
from mfcl.errors import MfclError


def test_a_failed_write_leaves_the_old_file_and_no_other(tmp_path: Path) -> None:
    target = tmp_path / "weights"
    target.write_text("old")

    def interrupted() -> None:
        with replacing(target) as temporary:
            temporary.write_text("half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert target.read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["weights"]


def test_a_full_disk_is_one_line_that_names_the_file(tmp_path: Path) -> None:
    target = tmp_path / "weights"
    with pytest.raises(MfclError, match=r"weights: cannot be written \(No space left on device\)"), replacing(target):
        raise OSError(errno.ENOSPC, "No space left on device")
    assert list(tmp_path.iterdir()) == []


def test_json_refuses_what_json_cannot_hold_and_keeps_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "values.json"
    write_json(path, {"b": 1, "a": "é"})
    assert path.read_text(encoding="utf-8") == '{\n  "a": "é",\n  "b": 1\n}\n'
    with pytest.raises(ValueError, match="Out of range"):
        write_json(path, {"a": float("nan")})
    assert json.loads(path.read_text(encoding="utf-8")) == {"a": "é", "b": 1}


def refused(path: Path) -> str:
    """Write to a place where no file can be: return the one line."""
    with pytest.raises(MfclError) as caught:
        write_text(path, "text")
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_each_kind_of_wrong_place_is_one_line_with_the_right_advice(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    (tmp_path / "folder").mkdir()
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    assert "it is a folder; give a file" in refused(tmp_path / "folder")
    assert "it is a folder; give a file" in refused(Path())
    for inside in ("file/x", "file/x/y"):
        assert "a folder in the path is a file" in refused(tmp_path / inside)
    assert "link points to itself" in refused(tmp_path / "loop")
    assert "shorter name" in refused(tmp_path / ("n" * 300))
    assert "cannot be written as UTF-8" in refused_text(tmp_path / "text", "\udcff")
    assert (tmp_path / "file").read_text() == "mine"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "folder", "loop"]


def test_a_folder_that_may_not_be_written_is_said_before_any_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    locked, mine = tmp_path / "locked", tmp_path / "mine"
    locked.mkdir()
    mine.mkdir()
    (locked / "old").write_text("old")
    (mine / "link").symlink_to(locked / "old")
    locked.chmod(0o555)
    # root may write everywhere, so ask the bits alone
    monkeypatch.setattr(os, "access", lambda folder, _: bool(Path(folder).stat().st_mode & stat.S_IWUSR))
    for place in (locked / "new", locked / "a" / "new", locked / "old", mine / "link"):
        with pytest.raises(MfclError, match=r"cannot be written \(Permission denied\); check its permissions"):
            check_file_place(place)
    with pytest.raises(MfclError, match=r"cannot be written \(Permission denied\); check its permissions"):
        check_folder_place(locked / "new")
    check_folder_place(locked)  # what is read there may be complete
    check_file_place(mine / "new")


def refused_text(path: Path, text: str) -> str:
    """Write what is no text: return the one line."""
    with pytest.raises(MfclError) as caught:
        write_text(path, text)
    return str(caught.value)


def test_a_link_is_followed_and_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "far").mkdir()
    for name in ("old", "new"):  # one that is there, one that is not yet
        link = tmp_path / f"link to {name}"
        link.symlink_to(tmp_path / "far" / name)
    (tmp_path / "far" / "old").write_text("old")
    for name in ("old", "new"):
        write_text(tmp_path / f"link to {name}", "fresh")
        assert (tmp_path / f"link to {name}").is_symlink()
        assert (tmp_path / "far" / name).read_text() == "fresh"


def test_a_device_is_written_to_and_stays_one() -> None:
    # a terminal of the test's own: whoever may replace /dev/null would take it from the whole machine
    reader, device = os.openpty()
    path = Path(os.ttyname(device))
    write_text(path, "through")
    assert os.read(reader, 100) == b"through"
    assert stat.S_ISCHR(path.stat().st_mode)
    for number in (reader, device):
        os.close(number)


def test_a_pipe_is_written_to_and_stays_one(tmp_path: Path) -> None:
    pipe, found = tmp_path / "pipe", []
    os.mkfifo(pipe)
    reader = threading.Thread(target=lambda: found.append(pipe.read_text()))
    reader.start()
    write_text(pipe, "through")
    reader.join(timeout=10)
    assert found == ["through"]
    assert stat.S_ISFIFO(pipe.stat().st_mode)
    assert list(tmp_path.iterdir()) == [pipe]


def test_what_goes_to_standard_output_comes_after_what_was_printed(capfd: pytest.CaptureFixture[str]) -> None:
    print("first")
    sys.stdout.flush()
    write_text(Path("/dev/stdout"), "second")
    assert capfd.readouterr().out == "first\nsecond"


def test_every_file_has_the_rights_that_the_users_umask_gives(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        with replacing(tmp_path / "weights") as temporary:
            save_file({"a": np.zeros(2, dtype=np.float32)}, temporary)
        write_text(tmp_path / "text", "text")
    finally:
        os.umask(before)
    assert [stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("weights", "text")] == [0o640, 0o640]


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[1]", b"\xff", b"[" * 100_000, b'{"a": ' * 5000, b'{"a": ' + b"9" * 5000 + b"}"]
)
def test_json_that_is_damaged_is_one_short_line(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "a.json").write_bytes(content)
    with pytest.raises(MfclError, match=r"a\.json: wanted JSON.*; delete it") as caught:
        read_json(tmp_path / "a.json", do="delete it")
    assert len(str(caught.value)) < 400


def test_a_file_is_no_folder_and_what_a_kill_left_does_not_fill_one(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    for path in (tmp_path / "file", tmp_path / "file" / "x"):
        with pytest.raises(MfclError, match="is a file"):
            check_folder_place(path)
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / ".data.json.123.0123abcd.tmp").write_text("half")
    assert entries(tmp_path / "run") == entries(tmp_path / "absent") == []
