"""What a server, an archive or a note may not do to `fetch`: go on for ever, fill the memory, end in a traceback."""

import gzip
import io
import itertools
import json
import struct
import tarfile
import zipfile
import zlib

import pytest

from mfcl.data import fetch as fetching
from mfcl.data.fetch import archives, connection
from mfcl.errors import FetchError, MfclError
from tests.fetch_server import TINY, Answer, clip, contents, get, is_whole, left_in, serving, tarred, zipped

TOP = "AudioMNIST-630d7dab"
OK = b"HTTP/1.1 200 OK\r\n"


@pytest.fixture
def server(monkeypatch):
    with serving(monkeypatch) as server:
        yield server


def fails(server, tmp_path, match):
    """Fetch, expect one line, and then that a sound server fills the same folder."""
    with pytest.raises(FetchError, match=match) as caught:
        get(server, tmp_path / "corpus")
    assert len(str(caught.value).splitlines()) == 1
    assert str(caught.value).isprintable()
    assert not (tmp_path / "corpus").exists()
    server.answers, server.requests = [Answer(zipped(contents()))], []
    assert is_whole(get(server, tmp_path / "corpus"))
    assert left_in(tmp_path) == ["corpus"]


@pytest.mark.parametrize(
    "answer",
    [
        Answer(raw=OK + b"\r\n", endless=bytes(9999)),
        Answer(
            raw=OK + b'ETag: "one"\r\nTransfer-Encoding: chunked\r\n\r\n', endless=b"3e8\r\n" + bytes(1000) + b"\r\n"
        ),
        Answer(raw=OK + b"Transfer-Encoding: chunked\r\n\r\n", endless=b"1\r\nx\r\n" * 999),
        Answer(raw=OK + b"Transfer-Encoding: chunked\r\n\r\n0\r\n", endless=b"Trailer: x\r\n" * 999),
        Answer(raw=b"", endless=b"HTTP/1.1 100 Continue\r\n\r\n" * 99),
    ],
)
def test_an_answer_without_end_is_cut_at_twice_the_archive(server, tmp_path, answer):
    server.answers = [answer]
    fails(server, tmp_path, r"more than 80,000 bytes came")


def test_what_an_endless_answer_brought_does_not_stay(server, tmp_path):
    server.answers = [Answer(raw=OK + b'ETag: "one"\r\n\r\n', endless=bytes(9999))]
    with pytest.raises(FetchError):
        get(server, tmp_path / "corpus")
    assert left_in(tmp_path) == []
    assert len(server.requests) == 1


@pytest.mark.parametrize("length", ["80001", "9" * 18])
def test_a_length_beyond_twice_the_archive_is_refused_before_anything_comes(server, tmp_path, length):
    server.answers = [Answer(raw=OK + b"Content-Length: " + length.encode() + b"\r\n\r\n", endless=bytes(99))]
    fails(server, tmp_path, r"wanted an archive of about 40,000 bytes, the server announces")


def test_a_length_of_ten_thousand_digits_is_no_length(server, tmp_path):
    body = zipped(contents())
    server.answers = [Answer(raw=OK + b"Content-Length: " + b"9" * 10_000 + b"\r\n\r\n" + body)]
    assert is_whole(get(server, tmp_path / "corpus"))


@pytest.mark.parametrize("span", ["bytes {n}-9/{n}", "bytes 5000-{n}/*", "bytes 5000-9/{n}", "bytes 5000-"])
def test_a_content_range_of_endless_digits_is_started_over(server, tmp_path, span):
    body = zipped(contents())
    odd = span.format(n="9" * 10_000)
    server.answers = [Answer(body, send=5000), Answer(body[5000:], span=odd), Answer(body)]
    assert is_whole(get(server, tmp_path / "corpus"))
    assert server.asked("Range")[-1] is None


def test_a_server_that_falls_silent_is_given_up(server, tmp_path, monkeypatch):
    monkeypatch.setattr(connection, "IDLE_SECONDS", 0.05)
    server.answers = [Answer(raw=OK + b"Content-Length: 9999\r\n\r\nPK", hold=True)]
    fails(server, tmp_path, r"failed 5 times in a row, last because the connection failed \(timed out\)")


@pytest.mark.parametrize("begin", [b"", OK, OK + b"Content-Length: 9999\r\n\r\nPK"])
def test_a_server_that_sends_a_byte_now_and_then_is_given_up(server, tmp_path, monkeypatch, begin):
    with monkeypatch.context() as patched:
        seconds = itertools.count(step=100)
        patched.setattr(connection, "monotonic", lambda: next(seconds))  # every read has waited that long
        server.answers = [Answer(raw=begin, endless=b"x")]
        patched.setattr(connection, "LEAST_BYTES_A_SECOND", 10**6)
        with pytest.raises(FetchError, match=r"failed 5 times in a row.*fewer than 1,000,000 bytes a second for 120 s"):
            get(server, tmp_path / "corpus")
    server.answers = [Answer(zipped(contents()))]
    assert is_whole(get(server, tmp_path / "corpus"))


def test_a_connection_is_judged_by_its_average_not_by_its_slowest_moment(tmp_path, monkeypatch):
    seconds = iter([0, 119, 119, 120, 120, 120, 120, 240])
    monkeypatch.setattr(connection, "monotonic", lambda: next(seconds))
    (tmp_path / "body").write_bytes(bytes(300_000))
    with connection._Meter(io.FileIO(tmp_path / "body"), 10**6, "http://x") as meter:
        assert [meter.readinto(bytearray(size)) for size in (1, 119_999, 10_000)] == [1, 119_999, 10_000]
        with pytest.raises(TimeoutError, match="fewer than 1,000 bytes a second"):
            meter.readinto(bytearray(100))


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_followed(server, tmp_path, status):
    moved = f"HTTP/1.1 {status} Moved\r\nLocation: /there\r\n\r\n".encode()
    server.answers = [Answer(raw=moved, endless=b"x"), Answer(zipped(contents()))]
    assert is_whole(get(server, tmp_path / "corpus"))
    assert len(server.requests) == 2


def test_redirects_in_a_circle_end(server, tmp_path):
    server.answers = [Answer(raw=b"HTTP/1.1 302 Found\r\nLocation: /archive\r\n\r\n")]
    fails(server, tmp_path, r"archive: more than 10 redirects")


@pytest.mark.parametrize(
    "location",
    [
        "file:///etc/passwd",
        "ftp://127.0.0.1/x",
        "data:,x",
        "",
        "http://[::1",
        "http://x:y/",
        "http://a b/",
    ],
)
def test_a_redirect_to_elsewhere_than_the_web_is_refused(server, tmp_path, location):
    server.answers = [Answer(raw=f"HTTP/1.1 302 Found\r\nLocation: {location}\r\n\r\n".encode())]
    if location == "":
        fails(server, tmp_path, "redirects to nowhere")
    else:
        fails(server, tmp_path, "redirects to .* which is no web address")


def test_a_redirect_out_of_encryption_is_refused():
    assert connection.next_address("https://a/b", "//c/d") == "https://c/d"
    with pytest.raises(FetchError, match="not encrypted"):
        connection.next_address("https://a/b", "http://a/c")


@pytest.mark.parametrize(
    "url",
    [
        "http://",
        "https:///x",
        "http://[::1",
        "http://a:b/",
        "http://é/",
        "http://a/ b",
        "http://a/\n",
        "",
        "x",
    ],
)
def test_an_address_that_cannot_be_asked_is_said_at_once(tmp_path, monkeypatch, url):
    monkeypatch.setattr(fetching.transfer, "_try_once", None)
    with pytest.raises(FetchError, match="http://") as caught:
        fetching.download(url, tmp_path / "part", expected_bytes=1, shown=False)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("host", ["a" * 64, "a..b"])
def test_a_host_that_is_no_name_is_one_line(tmp_path, host):
    with pytest.raises(FetchError, match="not a valid web address"):
        fetching.download(f"http://{host}/x", tmp_path / "part", expected_bytes=1, shown=False)


@pytest.mark.parametrize("status", [b"404 \x1b[2Jgone\x07", b"418 " + b"long " * 9999, b"599"])
def test_what_a_server_says_is_repeated_printable_and_short(server, tmp_path, status):
    server.answers = [Answer(raw=b"HTTP/1.1 " + status + b"\r\n\r\n")]
    fails(server, tmp_path, r"the server answered \d+.{0,204}; check the address")


@pytest.mark.parametrize(
    "raw", [b"\r\n", b"SSH-2.0\r\n", b"HTTP/1.1 abc\r\n\r\n", b"HTTP/1.1 200" + b"x" * 99_999, OK + b"A: b\r\n" * 999]
)
def test_what_is_not_http_is_one_line(server, tmp_path, raw):
    server.answers = [Answer(raw=raw)]
    fails(server, tmp_path, "failed 5 times in a row")


@pytest.mark.parametrize("etag", ['"a\x01b"', '"' + "x" * 9999 + '"', '"one" more', "\r\n ", '"a\r\n b"'])
def test_an_odd_validator_is_none(server, tmp_path, etag):
    body = zipped(contents())
    head = f"ETag: {etag}\r\nContent-Length: {len(body)}\r\n\r\n".encode()
    server.answers = [Answer(raw=OK + head + body[:5000]), Answer(body)]
    assert is_whole(get(server, tmp_path / "corpus"))
    assert server.asked("If-Range") == [None, None]


NOTE = {"url": None, "validator": '"one"', "total": None}


@pytest.mark.parametrize(
    "note",
    [
        b"",
        b"\xff\xfe",
        b"[" * 100_000,
        b"9" * 100_000,
        b"[]",
        b"null",
        b'{"url": "x"}',
        {**NOTE, "total": "many"},
        {**NOTE, "total": -1},
        {**NOTE, "total": True},
        {**NOTE, "total": 1e400},
        {**NOTE, "total": 10**30},
        {**NOTE, "total": [5000]},
        {**NOTE, "validator": 5},
        {**NOTE, "validator": '"a\r\nHost: b"'},
        {**NOTE, "validator": "\u20ac"},
        {**NOTE, "validator": {"a": 1}},
        {**NOTE, "more": 1},
        {**NOTE, "url": ["x"]},
    ],
)
def test_an_odd_note_beside_a_part_is_no_note(server, tmp_path, note):
    (tmp_path / "corpus.part").write_bytes(b"x" * 5000)
    if isinstance(note, dict):
        note = json.dumps({**note, "url": note["url"] or server.url}).encode()
    (tmp_path / "corpus.part.json").write_bytes(note)
    server.answers = [Answer(zipped(contents()))]
    assert is_whole(get(server, tmp_path / "corpus"))
    assert server.asked("Range") == [None]
    assert left_in(tmp_path) == ["corpus"]


def test_a_note_of_any_size_is_read_only_in_part(server, tmp_path):
    with (tmp_path / "corpus.part.json").open("wb") as note:
        note.truncate(1 << 40)  # a hole, no disk is taken
    server.answers = [Answer(zipped(contents()))]
    assert is_whole(get(server, tmp_path / "corpus"))


@pytest.mark.parametrize("name", ["corpus.part", "corpus.part.json", ".corpus.unpacking"])
def test_what_lies_in_the_way_is_named_and_left(server, tmp_path, name):
    if name.endswith("unpacking"):
        (tmp_path / name).write_text("mine")
    else:
        (tmp_path / name).mkdir()
    server.answers = [Answer(zipped(contents()))]
    with pytest.raises(FetchError, match=rf"{name}: .*move it away"):
        get(server, tmp_path / "corpus")
    assert (tmp_path / name).exists()


@pytest.mark.parametrize(
    ("name", "said"),
    [("x\0y", r"folder: wanted a path without a null character, got .*x"), ("x" * 999, "choose another folder")],
)
def test_a_folder_that_cannot_be_is_one_line(tmp_path, name, said):
    with pytest.raises(MfclError, match=said):
        fetching.fetch("fsdd", tmp_path / name, progress=False)


def zip_link(content):
    info = zipfile.ZipInfo(f"{TOP}/data/link")
    info.external_attr = 0o120777 << 16
    info.compress_type = zipfile.ZIP_DEFLATED
    return info, content


def test_a_link_of_any_length_is_not_read_whole(server, tmp_path, monkeypatch):
    asked = []
    read = zipfile.ZipExtFile.read
    monkeypatch.setattr(zipfile.ZipExtFile, "read", lambda self, n=-1: asked.append(n) or read(self, n))
    server.answers = [Answer(zipped(contents(), [zip_link(bytes(5_000_000))]))]
    fails(server, tmp_path, "its link .* is too long; refused")
    assert all(0 <= size <= archives.BLOCK for size in asked)


def raw_tar(*blocks):
    """Return a tar.gz archive of headers as they are: (name, kind, size field, contents)."""
    packed = io.BytesIO()
    for name, kind, size, content in blocks:
        info = tarfile.TarInfo(name)
        info.type = kind
        header = bytearray(info.tobuf(tarfile.GNU_FORMAT))
        header[124:136] = tarfile.itn(size, 12, tarfile.GNU_FORMAT)
        header[148:156] = b"%06o\0 " % tarfile.calc_chksums(header)[0]
        packed.write(bytes(header) + content + bytes(-len(content) % 512))
    return gzip.compress(packed.getvalue() + bytes(1024))


PAX = b"%d size=%s\n" % (20_020, b"9" * 20_008)


@pytest.mark.parametrize(
    ("blocks", "match"),
    [
        ([("x", tarfile.XHDTYPE, 4 << 30, b"")], "a header is too long; refused"),
        ([("x", tarfile.GNUTYPE_LONGNAME, 4 << 30, b"")], "a header is too long; refused"),
        ([("x", tarfile.XHDTYPE, 200_000, bytes(200_000))] * 2, "refused|damaged"),
        (
            [("x", tarfile.XHDTYPE, len(PAX), PAX), (f"{TOP}/a", tarfile.REGTYPE, 1, b"x")],
            "damaged archive",
        ),
        ([("x", tarfile.XHDTYPE, 20_006, b"9" * 20_000 + b" a=b\n")], "damaged archive"),
        ([("x", tarfile.GNUTYPE_LONGNAME, 5, b"abcd\0")] * 400, "a header is too long|damaged archive"),
        ([(f"{TOP}/a", tarfile.REGTYPE, 1 << 60, b"x")], "damaged archive|unpacks to more"),
        ([(f"{TOP}/", tarfile.DIRTYPE, 0, b""), (f"{TOP}/a", tarfile.REGTYPE, -512, b"x")], "refused|damaged archive"),
    ],
)
def test_a_tar_header_that_lies_about_lengths_is_one_line(server, tmp_path, blocks, match):
    server.answers = [Answer(raw_tar(*blocks))]
    fails(server, tmp_path, match)


def test_a_spoilt_tar_header_is_not_taken_for_the_end(server, tmp_path):
    members = gzip.decompress(tarred(contents()))
    spoilt = members.replace(b"data/audioMNIST_meta.txt", b"data/audioMNIST_meta.TXT")
    assert spoilt != members
    server.answers = [Answer(gzip.compress(spoilt))]
    fails(server, tmp_path, "a damaged archive .a header is damaged")


def test_a_tar_file_with_holes_is_refused(server, tmp_path):
    sparse = [(f"{TOP}/", tarfile.DIRTYPE, 0, b""), (f"{TOP}/a", tarfile.GNUTYPE_SPARSE, 0, b"")]
    server.answers = [Answer(raw_tar(*sparse))]
    fails(server, tmp_path, "a file with holes; refused")


def test_zeros_behind_a_tar_archive_are_not_unzipped_for_ever(server, tmp_path):
    members = gzip.decompress(tarred(contents()))
    server.answers = [Answer(gzip.compress(members + bytes(20_000_000)))]
    fails(server, tmp_path, "unpacks to more than")


def test_a_sound_tar_archive_of_full_blocks_is_unpacked(server, tmp_path):
    server.answers = [Answer(tarred({path: clip(2026) for path in TINY.paths()} | {"data/audioMNIST_meta.txt": b""}))]
    assert len(clip(2026)) % 512 == 0
    assert is_whole(get(server, tmp_path / "corpus"))


@pytest.mark.parametrize("pack", [zipped, tarred])
def test_too_many_members_are_refused(server, tmp_path, pack, monkeypatch):
    with monkeypatch.context() as patched:
        patched.setattr(fetching, "BESIDE", 0)
        server.answers = [Answer(pack(contents(**{f"empty{place}": b"" for place in range(20)})))]
        with pytest.raises(FetchError, match="more than 16 members; refused"):
            get(server, tmp_path / "corpus")
    assert left_in(tmp_path) == []


def test_a_zip_list_of_members_of_any_length_is_not_read(server, tmp_path, monkeypatch):
    body = bytearray(zipped(contents()))
    place = body.rindex(b"PK\x05\x06")
    length, start = struct.unpack_from("<LL", body, place + 12)
    body[place + 12 : place + 20] = struct.pack("<LL", length + start - 4, 4)
    monkeypatch.setattr(archives, "BLOCK", 1 << 10)
    monkeypatch.setattr(archives, "DIRECTORY_BYTES", 1)
    monkeypatch.setattr(zipfile, "_EndRecData", sized_tail(zipfile._EndRecData))
    server.answers = [Answer(bytes(body))]
    with pytest.raises(FetchError, match="its list of members is too long; refused"):
        get(server, tmp_path / "corpus")


def sized_tail(read):
    """Let zipfile look for the end of the list in a file with no bound on reads."""
    return lambda file: read(io.BytesIO(file.readall()) if isinstance(file, io.FileIO) else file)


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_a_zip_member_that_is_not_deflated_is_refused(server, tmp_path, method):
    info = zipfile.ZipInfo(f"{TOP}/note")
    packed = io.BytesIO(zipped(contents()))
    with zipfile.ZipFile(packed, "a") as pack:
        pack.writestr(info, b"x" * 99, compress_type=method)
    server.answers = [Answer(packed.getvalue())]
    fails(server, tmp_path, "is not deflated; refused")


@pytest.mark.parametrize("name", ["x" * 300, "/".join("abcdefghijklmnopqrstuvwxyz"), "é" * 150])
@pytest.mark.parametrize("pack", [zipped, tarred])
def test_a_name_that_no_file_system_takes_is_refused(server, tmp_path, pack, name):
    server.answers = [Answer(pack(contents(**{name: b"x"})))]
    fails(server, tmp_path, "too long a name; refused")


def test_a_zip_name_that_is_not_utf8_is_a_damaged_archive(server, tmp_path):
    body = zipped(contents(é=b"x"))
    assert body.count("é".encode()) == 2
    server.answers = [Answer(body.replace("é".encode(), b"\xff\xff"))]
    fails(server, tmp_path, "damaged archive")


def test_a_clip_that_claims_hours_is_not_decoded(server, tmp_path, monkeypatch):
    monkeypatch.setattr(fetching, "LONGEST_CLIP", 2000)
    server.answers = [Answer(zipped(contents() | {"data/01/1_01_0.wav": clip(2001)}))]
    with pytest.raises(FetchError, match=r"1 of the 8 clips .* the first data/01/1_01_0\.wav"):
        get(server, tmp_path / "corpus")


def test_random_bytes_in_the_place_of_an_archive_are_one_line(tmp_path):
    noise = zlib.compress(bytes(range(256)) * 40)
    for place, begin in enumerate((b"PK\x03\x04", b"\x1f\x8b\x08\x00")):
        (tmp_path / "archive").write_bytes(begin + noise)
        with pytest.raises(FetchError):
            archives.unpack(tmp_path / "archive", tmp_path / str(place), most_bytes=9, most_members=9, shown=False)
