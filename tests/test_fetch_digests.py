"""Whether what was fetched is what was published, told by one digest a speaker."""

import csv
import dataclasses
import gzip
import hashlib
import os
from collections import defaultdict
from pathlib import Path

import pytest

from mfcl.data import fetch as fetching
from mfcl.data.fetch.digests import Digest, differences, digest, digest_files, read_digests
from tests.fetch_server import TINY, Answer, clip, contents, get, is_whole, serving, zipped

BESIDE = Path(__file__).parents[2] / "shared" / "data" / "audiomnist_digests"
LIST = Path(os.environ.get("MFCL_DIGESTS", BESIDE)) / "files.csv.gz"
LISTED = pytest.mark.skipif(
    not LIST.is_file(), reason=f"no list of AudioMNIST's files at {LIST}; MFCL_DIGESTS names its folder"
)


@pytest.fixture
def server(monkeypatch):
    with serving(monkeypatch) as server:
        monkeypatch.setitem(fetching.CORPORA, "tiny", dataclasses.replace(TINY, digested=True))
        known = {
            speaker: digest(
                {
                    Path(path).name: (len(clip()), hashlib.sha256(clip()).hexdigest())
                    for path in TINY.paths()
                    if path.startswith(f"data/{speaker}/")
                }
            )
            for speaker in TINY.speakers
        }
        monkeypatch.setattr(fetching, "read_digests", {"tiny": known}.__getitem__)
        yield server


def test_the_published_clips_are_fetched_without_a_word(server, tmp_path, capsys):
    server.answers = [Answer(zipped(contents()))]
    assert is_whole(get(server, tmp_path / "corpus"))
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"data/02/0_02_0.wav": clip(1000)}, f"02 (other sizes, {len(clip()) * 4 - 2000:,} bytes instead of"),
        ({"data/02/2_02_0.wav": clip()}, "02 (1 clip too many)"),
        ({"data/02/2_02_0.wav": clip(), "data/02/3_02_0.wav": b""}, "02 (2 clips too many)"),
        ({"data/02/0_02_0.wav": clip()[:-1] + b"\0"}, "02 (the same total size, other contents)"),
    ],
)
def test_other_clips_are_kept_and_their_speaker_is_named_in_one_line(server, tmp_path, capsys, changed, said):
    server.answers = [Answer(zipped(contents() | changed))]
    folder = get(server, tmp_path / "corpus")
    assert (folder / "data/02/0_02_0.wav").is_file()
    line = capsys.readouterr().err
    assert line.startswith("tiny: the clips of 1 of 2 speakers differ from the known digests: " + said)
    assert line.count("\n") == 1


def test_many_speakers_that_differ_are_counted_and_the_first_are_named(server, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(fetching, "DIFFERENT", 1)
    server.answers = [Answer(zipped({path: clip(1999) for path in contents()}))]
    get(server, tmp_path / "corpus")
    assert "of 2 of 2 speakers" in (line := capsys.readouterr().err)
    assert line.endswith("; and 1 more\n")


def test_missing_clips_are_counted_for_their_speaker(tmp_path):
    known = {"01": Digest(3, 10, "a")}
    assert differences(tmp_path, TINY.clip, known) == {"01": "3 clips missing"}


def test_a_digest_is_that_of_the_sorted_list(tmp_path):
    (tmp_path / "data" / "07").mkdir(parents=True)
    lines = b""
    for name in ("0_07_0.wav", "0_07_1.wav", "0_07_10.wav"):
        (tmp_path / "data" / "07" / name).write_bytes(name.encode())
        lines += f"{name} {len(name)} {hashlib.sha256(name.encode()).hexdigest()}\n".encode()
    (tmp_path / "data" / "07" / "other.txt").write_bytes(b"no clip")
    assert digest_files(tmp_path, TINY.clip, "07") == Digest(3, 31, hashlib.sha256(lines).hexdigest())


def test_every_speaker_of_audiomnist_has_a_digest():
    known = fetching.CORPORA["audiomnist"].digests
    assert tuple(known) == fetching.CORPORA["audiomnist"].speakers
    assert {one.clips for one in known.values()} == {500}
    assert len({one.sha256 for one in known.values()}) == 60
    assert fetching.CORPORA["fsdd"].digests == {}


@LISTED
def test_the_packaged_digests_are_those_of_the_published_list():
    clips = defaultdict(dict)
    with gzip.open(LIST, "rt", encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            _, speaker, name = row["path"].split("/")
            clips[speaker][name] = (int(row["bytes"]), row["sha256"])
    assert {speaker: digest(listed) for speaker, listed in clips.items()} == read_digests("audiomnist")
