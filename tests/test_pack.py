"""Packs: what is packed comes back sample for sample, whatever is killed between; other readers take the tars."""

import csv
import errno
import importlib.util
import json
import os
import shutil
import signal
import subprocess
import sys
import tarfile
import tempfile
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile

import mfcl
from mfcl.audio import Preparation, read_audio
from mfcl.core.remote import forget
from mfcl.core.spans import Span, open_path, span_of
from mfcl.data.manifest import Manifest, Recording
from mfcl.data.manifest_blocks import list_parts
from mfcl.data.manifest_csv import read_manifest, write_manifest
from mfcl.data.shards import members as members_module
from mfcl.data.shards import tars as tars_module
from mfcl.data.shards.receipt import key_of
from mfcl.data.shards.writing import pack
from mfcl.data.store import open_store
from mfcl.data.store import packed as packed_store
from mfcl.data.unchanged import marks_of
from mfcl.errors import AudioError, ManifestError, MfclError, StoreError
from tests.sounds import tone, write_corpus


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    return write_corpus(tmp_path_factory.mktemp("packs") / "corpus", speakers=3, digits=3, takes=2)


@pytest.fixture(scope="module")
def packed(corpus):
    pack(corpus, corpus.parent / "pack", progress=False)
    return corpus.parent / "pack"


def written(folder: Path, name: str, samples, rate: int, subtype: str) -> None:
    folder.mkdir(exist_ok=True)
    soundfile.write(folder / name, samples, rate, subtype=subtype)


def stored(pack_folder: Path) -> dict[str, Recording]:
    return {one.id: one for one in mfcl.open_manifest(pack_folder)}


def native(path: Path):
    """All channels of a recording as 32-bit numbers, at its own rate."""
    with open_path(path) as file:
        return soundfile.read(file, dtype="int32", always_2d=True)


def shrunk(monkeypatch: pytest.MonkeyPatch, members: int) -> None:
    monkeypatch.setattr(tars_module, "MOST_MEMBERS", members)


def tars(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.glob("shard-*"))}


@pytest.mark.parametrize("subtype", ["PCM_U8", "PCM_16", "PCM_24", "ULAW", "ALAW"])
@pytest.mark.parametrize("channels", [1, 2, 9])
def test_integer_samples_come_back_as_they_are(tmp_path: Path, subtype: str, channels: int) -> None:
    draw = np.random.default_rng(3)
    wave = draw.uniform(-1, 1, (5000, channels)).astype(np.float32)
    wave[:2] = [[-1.0], [0.9999999]]
    written(tmp_path / "in", "a.wav", wave, 22050, subtype)
    made = pack(tmp_path / "in", tmp_path / "pack", progress=False)
    found, rate = native(stored(tmp_path / "pack")["a.wav"].path)
    source, _ = native(tmp_path / "in" / "a.wav")
    assert rate == 22050
    assert found.shape == (5000, channels)
    assert np.array_equal(found, source)
    assert made.rounded == 0


@pytest.mark.parametrize(("name", "subtype", "steps"), [("a.wav", "FLOAT", 2**-24), ("b.wav", "PCM_32", 2**-24)])
def test_what_24_bits_do_not_hold_is_rounded_by_half_a_step_and_counted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, subtype: str, steps: float
) -> None:
    from mfcl.cli import main

    wave = np.random.default_rng(4).uniform(-0.9, 0.9, 4000)
    written(tmp_path / "in", name, wave, 16000, subtype)
    assert main(["pack", str(tmp_path / "in"), str(tmp_path / "pack"), "--quiet"]) == 0
    assert "1 was rounded to 24 bits" in capsys.readouterr().out
    found, source = read_audio(stored(tmp_path / "pack")[name].path)[0], read_audio(tmp_path / "in" / name)[0]
    assert 0 < np.abs(found.astype(np.float64) - source).max() <= steps
    member = json.loads(members(tmp_path / "pack")[0]["json"])
    assert member["mfcl"] | {"exact": False, "subtype": "PCM_24", "frames": 4000} == member["mfcl"]


def test_floats_above_full_scale_stay_floats(tmp_path: Path) -> None:
    wave = tone(0.2, level=1.5)
    written(tmp_path / "in", "loud.wav", wave, 16000, "FLOAT")
    assert pack(tmp_path / "in", tmp_path / "pack", progress=False).rounded == 0
    place = stored(tmp_path / "pack")["loud.wav"].path
    assert place.suffix == ".wav"
    assert np.array_equal(read_audio(place)[0], wave)


def test_wav_holds_16_bits_and_counts_what_had_more(tmp_path: Path) -> None:
    written(tmp_path / "in", "a.wav", tone(0.2), 16000, "PCM_16")
    written(tmp_path / "in", "b.wav", tone(0.2, 333.0), 16000, "PCM_24")
    made = pack(tmp_path / "in", tmp_path / "pack", encoding="wav", progress=False)
    assert made.rounded == 1
    found = stored(tmp_path / "pack")
    assert {one.path.suffix for one in found.values()} == {".wav"}
    assert np.array_equal(native(found["a.wav"].path)[0], native(tmp_path / "in" / "a.wav")[0])
    assert soundfile.info(open_path(found["b.wav"].path)).subtype == "PCM_16"


def test_a_pack_has_the_lists_ids_labels_splits_and_order(corpus: Path, tmp_path: Path) -> None:
    listed = mfcl.open_manifest(corpus)
    listed = listed.with_splits(["train", "valid", "test"] * 6).select(np.random.default_rng(0).permutation(18))
    pack(listed, tmp_path / "pack", progress=False)
    found = mfcl.open_manifest(tmp_path / "pack")
    assert [(one.id, dict(one.labels), one.split) for one in found] == [
        (one.id, dict(one.labels), one.split) for one in listed
    ]
    assert list_parts(tmp_path / "pack").digest == list_parts(listed).digest
    assert [one.digest for one in mfcl.scan(found, progress=False).usable] == [
        one.digest for one in mfcl.scan(listed, progress=False).usable
    ]


def members(folder: Path) -> list[dict[str, bytes]]:
    """The files of all tars, grouped by key as WebDataset does: consecutive files with one name up to the first dot."""
    found: list[dict[str, bytes]] = []
    for path in sorted(folder.glob("shard-*.tar")):
        with tarfile.open(path) as tar:
            for info in tar:
                key, _, suffix = info.name.partition(".")
                if not found or found[-1]["__key__"] != key.encode():
                    found.append({"__key__": key.encode()})
                assert suffix not in found[-1]
                found[-1][suffix] = tar.extractfile(info).read()
    return found


def test_tars_hold_a_recording_and_its_facts_under_one_key_without_dots(corpus: Path, packed: Path) -> None:
    found = members(packed)
    assert len(found) == len({sample["__key__"] for sample in found}) == 18
    for sample, recording in zip(found, mfcl.open_manifest(corpus), strict=True):
        assert set(sample) == {"__key__", "flac", "json"}
        facts = json.loads(sample["json"])
        assert {name: facts[name] for name in ("id", "split", *recording.labels)} == {
            "id": recording.id, "split": None, **recording.labels,
        }  # fmt: skip
        assert facts["mfcl"]["sample_rate"] == 16000


@pytest.mark.skipif(importlib.util.find_spec("webdataset") is None, reason="the package webdataset is not installed")
@pytest.mark.filterwarnings("ignore")
def test_webdataset_reads_a_pack(corpus: Path, packed: Path) -> None:
    import io

    import webdataset

    read = list(webdataset.WebDataset(str(packed / "shard-000000.tar"), shardshuffle=False).decode())
    recordings = list(mfcl.open_manifest(corpus))
    assert [sample["json"]["id"] for sample in read] == [one.id for one in recordings]
    assert [sample["json"]["speaker"] for sample in read] == [one.label("speaker") for one in recordings]
    wave, rate = soundfile.read(io.BytesIO(read[4]["flac"]), dtype="int16")
    assert rate == 16000
    assert np.array_equal(wave, soundfile.read(recordings[4].path, dtype="int16")[0])


def test_keys_are_plain_and_unique_whatever_the_ids() -> None:
    names = ["a.b/c", "a_b_c", "…é.wav", "", "x" * 500]
    keys = [key_of(number, name) for number, name in enumerate(names)]
    assert len(set(keys)) == len(names)
    assert all("." not in key and key.isascii() and len(key) < 95 for key in keys)


def test_shards_do_not_exceed_their_size_but_for_a_single_recording(tmp_path: Path) -> None:
    draw = np.random.default_rng(0)
    for number in range(6):
        written(tmp_path / "in", f"{number}.wav", draw.uniform(-0.5, 0.5, 150_000), 16000, "PCM_16")
    written(tmp_path / "in", "long.wav", draw.uniform(-0.5, 0.5, 800_000), 16000, "PCM_16")
    made = pack(tmp_path / "in", tmp_path / "pack", shard_megabytes=1, progress=False)
    sizes = [path.stat().st_size for path in sorted((tmp_path / "pack").glob("*.tar"))]
    assert made.shards == len(sizes) == 3
    assert max(sizes[:2]) <= 10**6 < sizes[2]
    assert made.bytes == sum(sizes)


def test_a_long_recording_is_packed_and_read_without_being_held(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mfcl.core.spans.WHOLE", 1000)
    monkeypatch.setattr("mfcl.audio.judging.HELD", 1000)
    monkeypatch.setattr(members_module, "HELD", 1000)
    wave = np.random.default_rng(1).uniform(-0.5, 0.5, 60_000)
    written(tmp_path / "in", "a.wav", wave, 16000, "PCM_16")
    pack(tmp_path / "in", tmp_path / "pack", progress=False)
    place = stored(tmp_path / "pack")["a.wav"].path
    assert np.array_equal(read_audio(place)[0], read_audio(tmp_path / "in" / "a.wav")[0])
    part = read_audio(place, start=2.0, end=2.5)[0]
    assert np.array_equal(part, read_audio(tmp_path / "in" / "a.wav", start=2.0, end=2.5)[0])
    assert not [path for path in (tmp_path / "pack").iterdir() if path.name.startswith("tmp")]


def test_what_cannot_be_read_is_left_out_and_named(tmp_path: Path, corpus: Path) -> None:
    shutil.copytree(corpus, tmp_path / "in")
    bad = tmp_path / "in" / "data" / "02" / "0_02_0.wav"
    bad.write_bytes(b"no sound")
    made = pack(tmp_path / "in", tmp_path / "pack", progress=False)
    assert (made.items, made.packed) == (18, 17)
    rows = list(csv.DictReader((tmp_path / "pack" / "failures.csv").read_text(encoding="utf-8").splitlines()))
    assert [(row["id"], row["kind"]) for row in rows] == [("data/02/0_02_0.wav", "failure")]
    assert "data/02/0_02_0.wav" not in stored(tmp_path / "pack")
    with pytest.raises(AudioError, match="0_02_0"):
        pack(tmp_path / "in", tmp_path / "strict", strict=True, progress=False)


def test_storage_that_goes_away_within_a_shard_stops_the_pack_and_it_goes_on_later(
    corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tars_module, "MOST_GONE", 4)
    monkeypatch.setattr(tars_module, "AT_ONCE", 2)
    shutil.copytree(corpus, tmp_path / "in")
    write_manifest(mfcl.open_manifest(tmp_path / "in"), tmp_path / "list.csv")
    encoded = tars_module.encoded

    def away(numbered, **settings):
        if numbered[0] == 8 and (tmp_path / "in").exists():
            (tmp_path / "in").rename(tmp_path / "away")
        return encoded(numbered, **settings)

    monkeypatch.setattr(tars_module, "encoded", away)
    with pytest.raises(AudioError, match=r"none of the last 4 files exists.*is the storage there"):
        pack(tmp_path / "list.csv", tmp_path / "pack", progress=False)
    assert not tars(tmp_path / "pack")
    (tmp_path / "away").rename(tmp_path / "in")
    monkeypatch.setattr(tars_module, "encoded", encoded)
    assert pack(tmp_path / "list.csv", tmp_path / "pack", progress=False).packed == 18


def test_a_disk_that_is_full_for_a_while_leaves_no_recording_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    for number in range(3):
        written(tmp_path / "in", f"{number}.wav", tone(2.0, 300.0 + number), 16000, "PCM_16")

    rooms = iter([10**6, 4000, 10**6])  # bytes on the disk for each

    class Held(tempfile.SpooledTemporaryFile):
        def __init__(self, *_, **__):
            super().__init__()
            self.room = next(rooms)

        def write(self, data):
            if self.tell() > self.room:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            return super().write(data)

    with monkeypatch.context() as patched:
        patched.setattr(members_module.tempfile, "SpooledTemporaryFile", Held)
        with pytest.raises(MfclError, match=r"cannot be encoded on the disk \(No space left on device\); free some"):
            pack(tmp_path / "in", tmp_path / "pack", progress=False)
    assert capfd.readouterr().err == ""
    assert pack(tmp_path / "in", tmp_path / "pack", progress=False).packed == 3


def test_a_shard_ends_after_so_many_recordings_packed_or_not(
    corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shrunk(monkeypatch, 4)
    shutil.copytree(corpus, tmp_path / "in")
    for path in sorted((tmp_path / "in").rglob("*.wav"))[3:13]:
        path.write_bytes(b"no sound")
    made = pack(tmp_path / "in", tmp_path / "pack", progress=False)
    receipts = [json.loads(path.read_text()) for path in sorted((tmp_path / "pack").glob("shard-*.json"))]
    assert [one["end"] - one["first"] for one in receipts] == [4, 4, 4, 4, 2]
    assert [one["bytes"] > 0 for one in receipts] == [True, False, False, True, True]
    assert (made.packed, made.shards, len(stored(tmp_path / "pack"))) == (8, 3, 8)
    assert pack(tmp_path / "in", tmp_path / "pack", progress=False).made == 0


def test_nothing_usable_is_one_line_and_no_pack(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.wav").write_bytes(b"no sound")
    with pytest.raises(AudioError, match="none of 1 recording can"):
        pack(tmp_path / "in", tmp_path / "pack", progress=False)
    with pytest.raises(ManifestError, match="not complete"):
        mfcl.open_manifest(tmp_path / "pack")


def test_segments_are_packed_alone_and_need_splits(tmp_path: Path) -> None:
    wave = np.random.default_rng(1).uniform(-0.5, 0.5, 32_000)
    written(tmp_path / "in", "day.wav", wave, 16000, "PCM_16")
    rows = [Recording(f"s{n}", tmp_path / "in" / "day.wav", n / 4, n / 4 + 0.25, {}, "train") for n in range(4)]
    pack(Manifest(tuple(rows), tmp_path), tmp_path / "pack", progress=False)
    for row, found in zip(rows, mfcl.open_manifest(tmp_path / "pack"), strict=True):
        assert (found.start, found.end) == (None, None)
        assert np.array_equal(read_audio(found.path)[0], read_audio(row.path, start=row.start, end=row.end)[0])
    loose = Manifest((Recording("s", tmp_path / "in" / "day.wav", 0.0, 1.0),), tmp_path)
    with pytest.raises(ManifestError, match="give a column `split`"):
        pack(loose, tmp_path / "loose", progress=False)


def test_a_pack_that_was_stopped_goes_on_and_ends_with_the_same_bytes(
    corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shrunk(monkeypatch, 5)
    pack(corpus, tmp_path / "whole", progress=False)
    add, calls = tars_module.add, []

    def killed(*args: object) -> object:
        calls.append(args)
        if len(calls) == 8:
            raise KeyboardInterrupt
        return add(*args)

    monkeypatch.setattr(tars_module, "add", killed)
    with pytest.raises(KeyboardInterrupt):
        pack(corpus, tmp_path / "stopped", progress=False)
    assert [path.name for path in (tmp_path / "stopped").glob("*.tar")] == ["shard-000000.tar"]
    with pytest.raises(ManifestError, match="not complete"):
        mfcl.open_manifest(tmp_path / "stopped")
    first = (tmp_path / "stopped" / "shard-000000.tar").stat().st_mtime_ns
    (tmp_path / "stopped" / "shard-000001.tar").write_bytes(b"killed before its receipt")
    made = pack(corpus, tmp_path / "stopped", progress=False)
    assert (made.shards, made.made) == (4, 3)
    assert (tmp_path / "stopped" / "shard-000000.tar").stat().st_mtime_ns == first
    assert tars(tmp_path / "stopped") == tars(tmp_path / "whole")
    assert (tmp_path / "stopped" / "index.csv").read_bytes() == (tmp_path / "whole" / "index.csv").read_bytes()
    assert pack(corpus, tmp_path / "stopped", progress=False).made == 0


def test_a_pack_killed_at_any_moment_goes_on(corpus: Path, tmp_path: Path) -> None:
    command = [
        sys.executable, "-c",
        "import sys; from mfcl.data.shards import tars, writing; tars.MOST_MEMBERS = 2; "
        "writing.pack(sys.argv[1], sys.argv[2], progress=False)",
        str(corpus), str(tmp_path / "pack"),
    ]  # fmt: skip
    process = subprocess.Popen(command, env=os.environ | {"OMP_NUM_THREADS": "1"})
    while not (tmp_path / "pack" / "shard-000001.json").exists():
        assert process.poll() in (None, 0)
        time.sleep(0.002)
    process.send_signal(signal.SIGKILL)
    process.wait(60)
    subprocess.run(command, env=os.environ | {"OMP_NUM_THREADS": "1"}, check=True, timeout=120)
    wanted = {one.id: read_audio(one.path)[0] for one in mfcl.open_manifest(corpus)}
    found = {one.id: read_audio(one.path)[0] for one in mfcl.open_manifest(tmp_path / "pack")}
    assert found.keys() == wanted.keys()
    assert all(np.array_equal(found[name], wanted[name]) for name in wanted)
    assert not list((tmp_path / "pack").glob(".*.tmp"))


def test_another_list_or_setting_is_refused_and_so_are_changed_recordings(corpus: Path, tmp_path: Path) -> None:
    shutil.copytree(corpus, tmp_path / "in")
    out = tmp_path / "pack"
    pack(tmp_path / "in", out, progress=False)
    with pytest.raises(ManifestError, match="another encoding"):
        pack(tmp_path / "in", out, encoding="wav", progress=False)
    with pytest.raises(ManifestError, match="another list"):
        pack(mfcl.open_manifest(corpus).with_splits(["train"] * 18), out, progress=False)
    with pytest.raises(ManifestError, match="choose an empty folder"):
        pack(corpus, tmp_path / "in", progress=False)
    soundfile.write(tmp_path / "in" / "data" / "01" / "0_01_0.wav", tone(0.5), 16000)
    with pytest.raises(
        ManifestError, match=r"some of its recordings changed since .*; delete it, shard-000000\.json and all later"
    ):
        pack(tmp_path / "in", out, progress=False)


@pytest.mark.parametrize("change", ["order", "label"])
def test_a_list_that_changes_while_it_is_packed_gives_no_index(
    corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: str
) -> None:
    listed = tmp_path / "list.csv"
    write_manifest(mfcl.open_manifest(corpus).with_splits(["train"] * 18), listed)
    lines = listed.read_text().splitlines(keepends=True)
    other = [lines[0], *lines[:0:-1]] if change == "order" else [*lines[:-1], lines[-1].replace("train", "test")]
    finish = tars_module.ShardWriter._finish

    def changed(writer: tars_module.ShardWriter) -> None:
        listed.write_text("".join(other))
        finish(writer)

    monkeypatch.setattr(tars_module.ShardWriter, "_finish", changed)
    with pytest.raises(ManifestError, match=r"the list changed while it was .* another folder"):
        pack(listed, tmp_path / "pack", progress=False)
    assert not (tmp_path / "pack" / "index.csv").exists()


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda folder: os.truncate(folder / "shard-000000.tar", 30_000), "it has 30000 bytes"),
        (lambda folder: (folder / "shard-000000.tar").unlink(), "it is missing"),
        (lambda folder: os.truncate(folder / "index.csv", 100), "it has 100 bytes"),
        (lambda folder: (folder / "index.csv").unlink(), "it is missing"),
        (lambda folder: (folder / "pack.json").write_text("{"), "cannot read it"),
        (lambda folder: (folder / "pack.json").write_text("{}"), "wanted the receipt of a pack"),
    ],
)
def test_a_damaged_pack_is_one_line(packed: Path, tmp_path: Path, damage: object, message: str) -> None:
    shutil.copytree(packed, tmp_path / "pack")
    damage(tmp_path / "pack")
    with pytest.raises(ManifestError, match=message) as error:
        mfcl.open_manifest(tmp_path / "pack")
    assert "\n" not in str(error.value)
    assert "mfcl pack" in str(error.value)


@pytest.mark.parametrize("receipt", ["{", "{}", '{"pack": 3}', "[]"])
def test_a_damaged_shards_receipt_is_one_line(corpus: Path, packed: Path, tmp_path: Path, receipt: str) -> None:
    shutil.copytree(packed, tmp_path / "pack")
    (tmp_path / "pack" / "shard-000000.json").write_text(receipt)
    with pytest.raises(ManifestError, match=r"shard-000000\.json.*mfcl pack"):
        pack(corpus, tmp_path / "pack", progress=False)


def test_a_recording_whose_tar_was_cut_or_exchanged_is_one_line(packed: Path, tmp_path: Path) -> None:
    shutil.copytree(packed, tmp_path / "pack")
    recordings = list(mfcl.open_manifest(tmp_path / "pack"))
    tar = tmp_path / "pack" / "shard-000000.tar"
    content = bytearray(tar.read_bytes())
    tar.write_bytes(bytes(512) + bytes(content))  # another tar: everything lies elsewhere
    with pytest.raises(AudioError, match="another file or other bytes there"):
        read_audio(recordings[3].path)
    tar.write_bytes(content[:30_000])
    assert len(read_audio(recordings[0].path)[0]) > 0
    with pytest.raises(AudioError, match=r"was cut: it has 30000 bytes"):
        read_audio(recordings[-1].path)
    tar.unlink()
    with pytest.raises(AudioError, match="cannot be opened"):
        read_audio(recordings[0].path)


def test_changed_samples_are_noticed(packed: Path, tmp_path: Path) -> None:
    shutil.copytree(packed, tmp_path / "pack")
    recording = mfcl.open_manifest(tmp_path / "pack").recordings[0]
    span = span_of(recording.path)
    with span.tar.open("r+b") as file:
        file.seek(span.offset + span.size // 2)
        file.write(b"\xff\x00\xff")
    report = mfcl.scan(mfcl.open_manifest(tmp_path / "pack"), progress=False)
    assert report.entries[0].problems
    assert not any(entry.problems for entry in report.entries[1:])


def test_a_path_names_a_span_or_not() -> None:
    span = Span(Path("a/b.tar"), 512, 9, "c.flac")
    assert span_of(span.path) == span
    assert span_of(Path("a/b.tar/c.flac")) is None
    assert span_of(Path("a/b/512+9/c.flac")) is None
    assert span_of(Path("c.flac")) is None


def test_the_store_of_a_pack_is_that_of_its_files_to_the_bit(corpus: Path, packed: Path, tmp_path: Path) -> None:
    preparation = Preparation(sample_rate=8000, trim_db=30.0, level_db=-25.0)
    files = open_store(mfcl.open_manifest(corpus), preparation, cache=tmp_path, progress=False)
    spans = open_store(mfcl.open_manifest(packed), preparation, cache=tmp_path, progress=False)
    assert isinstance(spans.samples, packed_store.PackedSamples)
    assert np.array_equal(spans.lengths, files.lengths)
    draw = np.random.default_rng(0)
    indices = draw.integers(0, 18, 50)
    counts = draw.integers(0, files.lengths[indices])
    starts = draw.integers(0, files.lengths[indices] - counts + 1)
    assert np.array_equal(spans.gather(indices, starts, counts), files.gather(indices, starts, counts))
    some = np.array([7, 2, 11])
    for number in range(3):
        assert np.array_equal(spans.select(some).clip(number), files.select(some).clip(number))
    assert np.array_equal(spans.samples[100:9000], files.samples[100:9000])
    assert not list((tmp_path / "store").glob("*/clips"))[1:]  # of the files alone


def test_a_pack_keeps_no_more_samples_than_asked_and_gives_the_same(
    packed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    manifest, preparation = mfcl.open_manifest(packed), Preparation()
    much = open_store(manifest, preparation, cache=tmp_path, progress=False)
    monkeypatch.setattr(packed_store, "held_bytes", lambda: 30_000)
    little = open_store(manifest, preparation, cache=tmp_path, progress=False)
    indices = np.arange(18)
    starts, counts = np.zeros(18, dtype=np.int64), much.lengths
    for _ in range(2):
        assert np.array_equal(little.gather(indices, starts, counts), much.gather(indices, starts, counts))
    assert 0 < little.samples.kept_bytes <= 30_000 < much.samples.kept_bytes


def test_a_pack_at_urls_is_read_by_as_many_threads_as_other_files(
    packed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    counts, own = [], packed_store.in_parallel
    monkeypatch.setattr(Manifest, "readers", property(lambda self: 5))  # as if at URLs
    monkeypatch.setattr(
        packed_store, "in_parallel", lambda *given, **more: counts.append(more["workers"]) or own(*given, **more)
    )
    store = open_store(mfcl.open_manifest(packed), Preparation(), cache=tmp_path, progress=False)
    store.gather(np.arange(4), np.zeros(4, dtype=np.int64), np.full(4, 100))
    assert counts == [5, 5]


def test_the_memory_of_a_pack_is_a_number_of_megabytes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(packed_store.MEMORY, "7")
    assert packed_store.held_bytes() == 7 << 20
    monkeypatch.setenv(packed_store.MEMORY, "many")
    with pytest.raises(StoreError, match="wanted megabytes"):
        packed_store.held_bytes()


def test_recordings_that_change_after_the_first_look_are_one_line(packed: Path, tmp_path: Path) -> None:
    shutil.copytree(packed, tmp_path / "pack")
    manifest = mfcl.open_manifest(tmp_path / "pack")
    store = open_store(manifest, Preparation(), cache=tmp_path / "cache", progress=False)
    span = span_of(manifest.recordings[0].path)
    with span.tar.open("r+b") as file:
        file.seek(span.offset + span.size // 2)
        file.write(bytes(40))
    with pytest.raises(MfclError, match=r"changed since|no sample could"):
        store.clip(0)


def test_long_recordings_of_a_pack_are_decoded_into_the_cache(
    packed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mfcl.audio.judging.HELD", 1000)
    store = open_store(mfcl.open_manifest(packed), Preparation(), cache=tmp_path, progress=False)
    assert isinstance(store.samples, np.ndarray)


def test_a_runs_list_of_a_pack_is_read_back(packed: Path, tmp_path: Path) -> None:
    manifest = mfcl.open_manifest(packed)
    write_manifest(manifest, tmp_path / "list.csv", relative=True)
    assert [one.path for one in read_manifest(tmp_path / "list.csv")] == [one.path for one in manifest]
    shutil.copytree(packed, tmp_path / "moved")
    moved = read_manifest(tmp_path / "list.csv", data_root=tmp_path / "moved")
    assert all(span_of(one.path).tar.parent == tmp_path / "moved" for one in moved)
    assert np.array_equal(read_audio(moved.recordings[5].path)[0], read_audio(manifest.recordings[5].path)[0])


def test_a_pack_on_an_object_store_gives_the_store_of_its_files_to_the_bit(corpus: Path, packed: Path, tmp_path: Path):
    fsspec = pytest.importorskip("fsspec", reason="the package fsspec is not installed (extra remote)")
    system = fsspec.filesystem("memory")
    for file in packed.iterdir():
        system.pipe_file(f"/packs/birds/{file.name}", file.read_bytes())
    far = mfcl.open_manifest("memory://packs/birds/index.csv")
    assert all(span_of(recording.path) is not None for recording in far)
    here = mfcl.open_manifest(packed)
    digests = [marks_of(one).sizes for one in (here, far)]
    assert digests[0] != digests[1]  # of files at URLs the version counts too
    one, other = (
        open_store(listed, Preparation(sample_rate=8000), cache=tmp_path / str(place), progress=False)
        for place, listed in enumerate((here, far))
    )
    assert np.array_equal(one.lengths, other.lengths)
    for item in range(len(one)):
        assert np.array_equal(one.clip(item), other.clip(item))
    tar = next(file.name for file in packed.glob("*.tar"))
    whole = system.cat_file(f"/packs/birds/{tar}")
    system.pipe_file(f"/packs/birds/{tar}", whole[: len(whole) // 2])
    forget()
    last = [one for one in far if span_of(one.path).tar.name == tar][-1]
    with pytest.raises(AudioError, match=r"was cut: it has \d+ bytes, this recording ends at \d+"):
        native(last.path)
