import dataclasses
import re
import tarfile
import zipfile
from pathlib import Path

import pytest

from mfcl.data import fetch as fetching
from mfcl.data.fetch import archives, transfer
from mfcl.errors import FetchError
from tests.fetch_server import TINY, Answer, clip, contents, get, is_whole, left_in, serving, tarred, zipped


@pytest.fixture
def server(monkeypatch):
    with serving(monkeypatch) as server:
        yield server


@pytest.mark.parametrize("pack", [zipped, tarred])
def test_a_corpus_is_downloaded_unpacked_and_checked(server, tmp_path, pack):
    server.answers = [Answer(pack(contents()))]
    assert get(server, tmp_path / "corpus") == tmp_path / "corpus"
    assert is_whole(tmp_path / "corpus")
    assert left_in(tmp_path) == ["corpus"]


def test_a_whole_corpus_is_not_fetched_again(server, tmp_path):
    server.answers = [Answer(zipped(contents()))]
    get(server, tmp_path / "corpus")
    get(server, tmp_path / "corpus")
    assert len(server.requests) == 1


def test_an_empty_folder_is_filled(server, tmp_path):
    (tmp_path / "corpus").mkdir()
    server.answers = [Answer(zipped(contents()))]
    assert is_whole(get(server, tmp_path / "corpus"))


def test_a_folder_with_something_else_is_refused(server, tmp_path):
    (tmp_path / "note.txt").write_text("mine")
    with pytest.raises(FetchError, match="not empty, and not tiny"):
        get(server, tmp_path)
    assert left_in(tmp_path) == ["note.txt"]
    assert server.requests == []
    with pytest.raises(FetchError, match="this is a file"):
        get(server, tmp_path / "note.txt")


def test_a_corpus_that_lost_clips_is_refused_by_number_and_name(server, tmp_path):
    server.answers = [Answer(zipped(contents()))]
    folder = get(server, tmp_path / "corpus")
    (folder / "data/02/0_02_1.wav").unlink()
    (folder / "data/02/1_02_0.wav").unlink()
    with pytest.raises(FetchError, match=r"2 of the 8 clips of tiny are missing, the first data/02/0_02_1\.wav"):
        get(server, folder)


def test_an_unknown_corpus_is_named_with_the_nearest_one(tmp_path):
    with pytest.raises(FetchError, match="did you mean 'fsdd'"):
        fetching.fetch("fsd", tmp_path / "corpus")


def test_a_cut_connection_is_continued_where_it_ended(server, tmp_path):
    body = zipped(contents())
    server.answers = [Answer(body, send=5000), Answer(body, send=3000), Answer(body)]
    assert is_whole(get(server, tmp_path / "corpus"))
    assert server.asked("Range") == [None, "bytes=5000-", "bytes=8000-"]
    assert server.asked("If-Range") == [None, '"one"', '"one"']


def test_a_later_call_continues_what_an_earlier_one_kept(server, tmp_path):
    body = zipped(contents())
    server.answers = [Answer(body, send=1000)]
    with pytest.raises(FetchError, match=r"failed 5 times in a row.*5,000 bytes are kept in .*corpus\.part"):
        get(server, tmp_path / "corpus")
    assert left_in(tmp_path) == ["corpus.part", "corpus.part.json"]
    server.answers, server.requests = [Answer(body)], []
    assert is_whole(get(server, tmp_path / "corpus"))
    assert server.asked("Range") == ["bytes=5000-"]
    assert left_in(tmp_path) == ["corpus"]


def test_another_address_does_not_continue_the_part_of_the_first(server, tmp_path):
    body = zipped(contents())
    server.answers = [Answer(body, send=1000)]
    with pytest.raises(FetchError):
        get(server, tmp_path / "corpus")
    server.answers, server.requests = [Answer(body)], []
    fetching.fetch("tiny", tmp_path / "corpus", url=server.url + "?mirror", progress=False)
    assert server.asked("Range") == [None]


def test_a_server_that_ignores_ranges_is_asked_from_the_beginning(server, tmp_path):
    body = zipped(contents())
    server.answers = [Answer(body, ranges=False, send=5000), Answer(body, ranges=False)]
    assert is_whole(get(server, tmp_path / "corpus"))


@pytest.mark.parametrize("etag", [None, 'W/"weak"'])
def test_nothing_is_continued_without_a_strong_etag(server, tmp_path, etag):
    body = zipped(contents())
    server.answers = [Answer(body, etag=etag, send=5000), Answer(body, etag=etag)]
    assert is_whole(get(server, tmp_path / "corpus"))
    assert server.asked("Range") == [None, None]


def test_a_file_that_changed_between_tries_is_never_joined_with_the_old_one(server, tmp_path):
    old, new = zipped(contents(note=b"a" * 500)), zipped(contents(note=b"b" * 700))
    server.answers = [Answer(old, send=5000), Answer(new, etag='"two"')]
    folder = get(server, tmp_path / "corpus")
    assert (folder / "note").read_bytes() == b"b" * 700


def test_a_server_that_continues_another_file_than_asked_is_started_over(server, tmp_path):
    body = zipped(contents())
    wrong = Answer(body[5000:], etag='"two"', span=f"bytes 5000-{len(body) - 1}/{len(body)}")
    server.answers = [Answer(body, send=5000), wrong, Answer(body)]
    assert is_whole(get(server, tmp_path / "corpus"))
    assert server.asked("Range") == [None, "bytes=5000-", None]


@pytest.mark.parametrize("span", ["bytes 7-9/{total}", "bytes 5000-9/7", "nonsense"])
def test_a_wrong_content_range_is_started_over(server, tmp_path, span):
    body = zipped(contents())
    server.answers = [Answer(body, send=5000), Answer(body[5000:], span=span.format(total=len(body))), Answer(body)]
    assert is_whole(get(server, tmp_path / "corpus"))
    assert server.asked("Range")[-1] is None


def test_an_archive_without_a_length_is_fetched(server, tmp_path):
    server.answers = [Answer(zipped(contents()), length=-1, etag=None)]
    assert is_whole(get(server, tmp_path / "corpus"))


def test_an_archive_in_chunks_is_fetched_and_continued(server, tmp_path):
    body = zipped(contents())
    server.answers = [Answer(body, chunked=True, length=7, send=5000), Answer(body, chunked=True, length=-1)]
    assert is_whole(get(server, tmp_path / "corpus"))
    assert server.asked("Range") == [None, "bytes=5000-"]


@pytest.mark.parametrize("pack", [zipped, tarred])
def test_a_cut_without_a_length_is_seen_by_the_archive_and_fetched_again(server, tmp_path, pack):
    body = pack(contents())
    server.answers = [Answer(body, length=-1, etag=None, send=5000), Answer(body, length=-1, etag=None)]
    assert is_whole(get(server, tmp_path / "corpus"))


def test_a_length_that_is_too_long_is_an_error_that_keeps_the_part(server, tmp_path):
    body = zipped(contents())
    server.answers = [Answer(body, length=len(body) + 10, ranges=False)]
    with pytest.raises(FetchError, match=rf"ended after {len(body):,} of {len(body) + 10:,} bytes"):
        get(server, tmp_path / "corpus")
    assert not (tmp_path / "corpus").exists()


@pytest.mark.parametrize("pack", [zipped, tarred])
def test_a_length_that_is_too_short_is_a_damaged_archive(server, tmp_path, pack):
    body = pack(contents())
    server.answers = [Answer(body, length=len(body) - 100)]
    with pytest.raises(FetchError, match="a damaged archive"):
        get(server, tmp_path / "corpus")
    assert left_in(tmp_path) == []
    assert server.asked("Range") == [None, None]


def test_a_damaged_archive_is_found_by_its_check_sums(server, tmp_path):
    for body in (zipped(contents()), tarred(contents())):
        server.answers = [Answer(body[:4000] + bytes(200) + body[4200:])]
        with pytest.raises(FetchError, match="a damaged archive"):
            get(server, tmp_path / "corpus")
        assert left_in(tmp_path) == []


def test_an_answer_of_not_found_is_final(server, tmp_path):
    server.answers = [Answer(b"no such thing", status=404)]
    with pytest.raises(FetchError, match="answered 404"):
        get(server, tmp_path / "corpus")
    assert len(server.requests) == 1
    assert left_in(tmp_path) == []


def test_a_server_that_is_busy_is_asked_again(server, tmp_path):
    body = zipped(contents())
    server.answers = [Answer(status=503), Answer(status=429), Answer(body)]
    assert is_whole(get(server, tmp_path / "corpus"))


def test_a_range_beyond_the_end_is_started_over(server, tmp_path):
    body = zipped(contents())
    server.answers = [Answer(body, send=5000), Answer(status=416), Answer(body)]
    assert is_whole(get(server, tmp_path / "corpus"))
    assert server.asked("Range") == [None, "bytes=5000-", None]


def test_a_server_that_is_not_there_is_an_error_after_some_tries(monkeypatch, tmp_path):
    monkeypatch.setattr(transfer, "PAUSE_SECONDS", 0.0)
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with pytest.raises(FetchError, match="failed 5 times in a row"):
        fetching.fetch("fsdd", tmp_path / "corpus", url="http://127.0.0.1:9/archive", progress=False)


def test_only_web_addresses_are_opened(tmp_path):
    with pytest.raises(FetchError, match="https://"):
        fetching.fetch("fsdd", tmp_path / "corpus", url=(tmp_path / "x.zip").as_uri(), progress=False)


def test_a_web_page_is_not_an_archive(server, tmp_path):
    server.answers = [Answer(b"<html>log in first</html>")]
    with pytest.raises(FetchError, match=r"wanted a zip or tar\.gz archive, got a file that begins with b'<htm'"):
        get(server, tmp_path / "corpus")
    assert left_in(tmp_path) == []


TOP = "AudioMNIST-630d7dab"


def zip_link(name, target):
    info = zipfile.ZipInfo(name)
    info.external_attr = 0o120777 << 16
    return info, target


def tar_member(name, kind, target=""):
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info


@pytest.mark.parametrize(
    "extra",
    [
        (zipfile.ZipInfo(f"{TOP}/../../outside.txt"), "x"),
        (zipfile.ZipInfo("../outside.txt"), "x"),
        (zipfile.ZipInfo("/tmp/outside.txt"), "x"),
        (zipfile.ZipInfo(f"{TOP}/..\\outside.txt"), "x"),
        (zipfile.ZipInfo(f"{TOP}/C:/outside.txt"), "x"),
        (zipfile.ZipInfo("another-top/inside.txt"), "x"),
        zip_link(f"{TOP}/data/link", "../../../outside.txt"),
        zip_link(f"{TOP}/link", "/etc/passwd"),
        zip_link(f"{TOP}/link", ""),
    ],
)
def test_a_zip_archive_that_would_leave_the_folder_is_refused(server, tmp_path, extra):
    server.answers = [Answer(zipped(contents(), [extra]))]
    (tmp_path / "deep").mkdir()
    with pytest.raises(FetchError, match=r"refused, not unpacked|outside one top folder"):
        get(server, tmp_path / "deep" / "corpus")
    assert left_in(tmp_path) == ["deep"]
    assert left_in(tmp_path / "deep") == []


@pytest.mark.parametrize(
    "extra",
    [
        tar_member(f"{TOP}/../../outside.txt", tarfile.REGTYPE),
        tar_member("/tmp/outside.txt", tarfile.REGTYPE),
        tar_member(f"{TOP}/link", tarfile.SYMTYPE, "../../outside"),
        tar_member(f"{TOP}/link", tarfile.SYMTYPE, "/etc"),
        tar_member(f"{TOP}/link", tarfile.LNKTYPE, "../outside"),
        tar_member(f"{TOP}/link", tarfile.LNKTYPE, "/etc/passwd"),
        tar_member(f"{TOP}/pipe", tarfile.FIFOTYPE),
        tar_member(f"{TOP}/disk", tarfile.BLKTYPE),
    ],
)
def test_a_tar_archive_that_would_leave_the_folder_is_refused(server, tmp_path, extra):
    server.answers = [Answer(tarred(contents(), [extra]))]
    (tmp_path / "deep").mkdir()
    with pytest.raises(FetchError, match="refused, not unpacked"):
        get(server, tmp_path / "deep" / "corpus")
    assert left_in(tmp_path) == ["deep"]
    assert left_in(tmp_path / "deep") == []


def test_a_link_that_stays_inside_is_left_out(server, tmp_path):
    link = tar_member(f"{TOP}/data/link", tarfile.SYMTYPE, "../data/01/0_01_0.wav")
    server.answers = [Answer(tarred(contents(), [link, tar_member(f"{TOP}/hard", tarfile.LNKTYPE, f"{TOP}/data/x")]))]
    folder = get(server, tmp_path / "corpus")
    assert is_whole(folder)
    assert not (folder / "data/link").exists()


def test_two_members_of_one_name_are_refused(server, tmp_path):
    again = zipfile.ZipInfo(f"{TOP}/data/./01/0_01_0.wav")
    server.answers = [Answer(zipped(contents(), [(again, b"other")]))]
    with pytest.raises(FetchError, match="the same name"):
        get(server, tmp_path / "corpus")


def test_an_archive_that_swells_is_refused(server, tmp_path):
    server.answers = [Answer(zipped(contents(bomb=bytes(10_000_000))))]
    with pytest.raises(FetchError, match="unpacks to more than 400,000 bytes"):
        get(server, tmp_path / "corpus")
    assert left_in(tmp_path) == []


@pytest.mark.parametrize("spoilt", [b"", b"not a sound", clip(0), clip()[:30]])
def test_unreadable_clips_are_counted_and_the_first_is_named(server, tmp_path, spoilt):
    members = contents() | {"data/01/1_01_0.wav": spoilt, "data/02/0_02_0.wav": spoilt}
    server.answers = [Answer(zipped(members))]
    with pytest.raises(FetchError, match=r"2 of the 8 clips .* the first data/01/1_01_0\.wav"):
        get(server, tmp_path / "corpus")
    assert left_in(tmp_path) == []


def test_a_missing_clip_is_counted(server, tmp_path):
    members = contents()
    del members["data/02/1_02_1.wav"]
    server.answers = [Answer(zipped(members))]
    with pytest.raises(FetchError, match=r"1 of the 8 clips .* the first data/02/1_02_1\.wav"):
        get(server, tmp_path / "corpus")


def test_an_interrupt_while_unpacking_keeps_the_archive_and_nothing_else(server, tmp_path, monkeypatch):
    def interrupt(*_args, **_options):
        raise KeyboardInterrupt

    server.answers = [Answer(zipped(contents()))]
    with monkeypatch.context() as patched:
        patched.setattr(fetching.audio, "read_audio", interrupt)
        with pytest.raises(KeyboardInterrupt):
            get(server, tmp_path / "corpus")
    assert left_in(tmp_path) == ["corpus.part", "corpus.part.json"]
    assert is_whole(get(server, tmp_path / "corpus"))
    assert len(server.requests) == 1  # the archive was whole already


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full on this system")
def test_a_full_disk_while_downloading_is_one_line(server, tmp_path):
    (tmp_path / "corpus.part").symlink_to("/dev/full")
    server.answers = [Answer(zipped(contents()))]
    with pytest.raises(FetchError, match=r"cannot be written \(No space left on device\); free some space"):
        get(server, tmp_path / "corpus")
    assert not (tmp_path / "corpus").exists()


def test_a_full_disk_while_unpacking_keeps_the_archive(server, tmp_path, monkeypatch):
    def full(*_args):
        raise OSError(28, "No space left on device")

    server.answers = [Answer(zipped(contents()))]
    with monkeypatch.context() as patched:
        patched.setattr(archives, "_write", full)
        with pytest.raises(FetchError, match="No space left on device"):
            get(server, tmp_path / "corpus")
    assert left_in(tmp_path) == ["corpus.part", "corpus.part.json"]
    assert is_whole(get(server, tmp_path / "corpus"))
    assert len(server.requests) == 1


def test_too_little_space_is_said_before_anything_is_fetched(server, tmp_path, monkeypatch):
    monkeypatch.setitem(fetching.CORPORA, "tiny", dataclasses.replace(TINY, unpacked_bytes=10**18))
    with pytest.raises(FetchError, match="free some space"):
        get(server, tmp_path / "corpus")
    assert server.requests == []


def test_a_second_fetch_into_the_same_folder_waits_outside(server, tmp_path):
    server.answers = [Answer(zipped(contents()))]
    with fetching._alone(tmp_path / "corpus"), pytest.raises(FetchError, match="another fetch"):
        get(server, tmp_path / "corpus")


def test_the_pinned_corpora_name_every_clip():
    audiomnist, fsdd = fetching.CORPORA["audiomnist"], fetching.CORPORA["fsdd"]
    assert (audiomnist.clips, fsdd.clips) == (30_000, 3_000)
    assert len(set(audiomnist.paths())) == 30_000
    assert list(audiomnist.paths())[-1] == "data/60/9_60_49.wav"
    assert list(fsdd.paths())[-1] == "recordings/9_yweweler_49.wav"
    for corpus in (audiomnist, fsdd):
        assert re.fullmatch(r"[0-9a-f]{40}", corpus.commit)
        assert corpus.url == f"https://codeload.github.com/{corpus.repository}/zip/{corpus.commit}"
