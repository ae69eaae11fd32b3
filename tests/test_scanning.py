import errno
import os
from pathlib import Path

import numpy as np
import pytest
import soundfile

from mfcl.core.spans import open_path
from mfcl.data.layouts import open_manifest
from mfcl.data.manifest import Manifest, Recording
from mfcl.data.manifest_csv import read_manifest, write_manifest
from mfcl.data.scanning import _inspect as inspect
from mfcl.data.scanning import scan, scan_once
from mfcl.errors import ManifestError
from tests.sounds import tone, write_corpus


def write(folder, name, wave, sample_rate=16000, **options):
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(folder / name, wave, sample_rate, **options)
    return folder / name


def noise(seconds=0.5, *, seed=0, level=0.1):
    return (level * np.random.default_rng(seed).standard_normal(round(16000 * seconds))).astype(np.float32)


def problems(path, **options):
    report = scan(Manifest((Recording("it", path, **options),), path.parent), progress=False)
    return report.entries[0].problems


def test_good_sound_of_any_kind_has_no_problem(tmp_path):
    for name, rate, options in [
        ("a.wav", 8000, {"subtype": "PCM_U8"}),
        ("b.wav", 192000, {"subtype": "FLOAT"}),
        ("c.flac", 48000, {}),
        ("d.ogg", 44100, {}),
        ("e.mp3", 16000, {}),
    ]:
        assert problems(write(tmp_path, name, tone(0.5, 300, rate), rate, **options)) == ()
    assert problems(write(tmp_path, "f.wav", tone(0.02))) == ()
    loud = tone(1.0, 300, 48000, level=0.7071)  # a clean sine up to full scale
    assert problems(write(tmp_path, "g.wav", loud, 48000)) == ()
    assert problems(write(tmp_path, "h.wav", np.stack([tone(), noise(0.3)], axis=1))) == ()


def make_unreadable(folder):
    (folder / "it.wav").write_text("a text " * 99)


def make_absent(folder):
    del folder


def make_empty(folder):
    write(folder, "it.wav", np.zeros(0, dtype=np.float32))


def make_silent(folder):
    write(folder, "it.wav", np.zeros(9000, dtype=np.float32))


def make_constant(folder):
    write(folder, "it.wav", np.full(9000, 0.25, dtype=np.float32))


def make_nan(folder):
    wave = noise()
    wave[5000:5003] = np.nan
    write(folder, "it.wav", wave, subtype="FLOAT")


def make_cut(folder):
    path = write(folder, "it.wav", noise())
    path.write_bytes(path.read_bytes()[:4044])


def make_cut_flac(folder):
    path = write(folder, "it.flac", noise(2.0))
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    path.rename(folder / "it.wav")


def make_file_of_no_bytes(folder):
    (folder / "it.wav").write_bytes(b"")


def make_cut_to_nothing(folder):
    path = write(folder, "it.wav", noise())
    path.write_bytes(path.read_bytes()[:44])


def make_clipped(folder):
    write(folder, "it.wav", np.clip(9 * tone(0.25, 100), -0.999, 0.999))


def make_clipped_in_one_channel(folder):
    wave = tone(0.25, 100)
    write(folder, "it.wav", np.stack([wave, np.clip(20 * wave, -1, 1)], axis=1))


def make_offset(folder):
    write(folder, "it.wav", noise() + np.float32(0.05))


@pytest.mark.parametrize(
    ("make", "said", "usable"),
    [
        (make_unreadable, ["unreadable: not a readable audio file"], False),
        (make_file_of_no_bytes, ["unreadable: not a readable audio file (it has 0 bytes)"], False),
        (make_absent, ["unreadable: cannot be opened"], False),
        (make_empty, ["empty"], False),
        (make_silent, ["silent: -120 dB"], False),
        (make_constant, ["silent", "DC offset: +0.2500"], False),
        (make_nan, ["NaN: 3 samples"], False),
        (make_cut, ["cut short: 0.125 of 0.500 s"], True),
        (make_cut_flac, ["cut short"], True),
        (make_cut_to_nothing, ["cut short", "empty"], False),
        (make_clipped, ["clipped: at 50 places"], True),
        (make_clipped_in_one_channel, ["clipped: at 50 places"], True),
        (make_offset, ["DC offset: +0.0"], True),
    ],
)
def test_every_problem_is_found_and_named_and_nothing_else(tmp_path, make, said, usable):
    make(tmp_path)
    report = scan(Manifest((Recording("it", tmp_path / "it.wav"),), tmp_path), progress=False)
    found = report.entries[0].problems
    assert len(found) == len(said), found
    assert all(problem.startswith(start) for problem, start in zip(found, said, strict=True)), found
    assert report.entries[0].usable == usable
    assert ("kept" in report.problems_table()) == usable


def test_duplicates_are_found_in_any_format_and_the_first_stays_clean(tmp_path):
    write(tmp_path, "a.wav", noise(seed=1))
    write(tmp_path, "b.wav", noise(seed=2))
    write(tmp_path, "c.flac", soundfile.read(tmp_path / "a.wav", dtype="int16")[0])
    for name in ["d.wav", "e.wav"]:
        write(tmp_path, name, np.zeros(1000, dtype=np.float32))
    report = scan(open_manifest(tmp_path), progress=False)
    assert [entry.problems for entry in report.entries[:3]] == [(), (), ("duplicate: of a.wav",)]
    assert [entry.kinds for entry in report.entries[3:]] == [("silent",), ("silent",)]


def test_equal_samples_at_another_rate_are_no_duplicates_and_copies_are_counted(tmp_path):
    for name, rate in [("a.wav", 16000), ("b.wav", 44100), ("c.wav", 16000)]:
        write(tmp_path, name, noise(seed=1), rate)
    report = scan(open_manifest(tmp_path), progress=False)
    assert [entry.problems for entry in report.entries] == [(), (), ("duplicate: of a.wav",)]
    first, other, copy = (recording.digest for recording in report.usable)
    assert first == copy != other
    assert "copies        1 recording is a copy of another: kept in one split" in report.table()


def test_a_file_whose_name_is_not_utf_8_is_left_out_and_named(tmp_path):
    write(tmp_path, "a.wav", noise(seed=1))
    write(tmp_path, "b.wav", noise(seed=1)).rename(tmp_path / os.fsdecode(b"caf\xe9.wav"))
    report = scan(open_manifest(tmp_path), progress=False)
    assert report.failures == (("caf\\xe9.wav", "name not UTF-8: rename the file or its folder"),)
    assert report.usable.ids.tolist() == ["a.wav"]
    assert report.problems_table().splitlines()[2].startswith("caf\\xe9.wav")


def test_the_table_says_how_a_folder_was_read_and_whether_a_split_is_given(tmp_path):
    write(tmp_path, "owl/a.wav", noise(seed=1))
    write(tmp_path, "owl/deep/b.wav", noise(seed=2))
    write(tmp_path, "owl/c.wav", noise(seed=3))
    text = scan(open_manifest(tmp_path), progress=False).table()
    assert "split         none given" in text
    assert "layout        sub-folders are labels" in text
    assert "\nnote: 1 of 3 files lies deeper than 1 folder;" in text
    given = open_manifest(tmp_path).with_splits(["train", "test", ""])
    assert "split         test: 1, train: 1; none given: 1" in scan(given, progress=False).table()


def test_the_fingerprint_follows_the_sound_of_equal_length(tmp_path):
    wave = noise(seed=1)
    write(tmp_path / "in", "a.wav", wave)
    write(tmp_path / "same", "a.wav", wave)
    write(tmp_path / "other", "a.wav", noise(seed=2))
    made = [open_manifest(tmp_path / name) for name in ("in", "same", "other")]
    assert len({one.fingerprint_of_sizes() for one in made}) == 1
    for prints in [
        [one.fingerprint() for one in made],
        [scan(one, progress=False).usable.fingerprint() for one in made],
    ]:
        assert prints[0] == prints[1] != prints[2]


def test_parts_of_a_file_are_judged_for_themselves(tmp_path):
    path = write(tmp_path, "long.wav", np.concatenate([noise(seed=1), np.zeros(8000, dtype=np.float32), noise(seed=1)]))
    assert problems(path, start=0.0, end=0.5) == ()
    assert problems(path, start=0.5, end=1.0) == ("silent: -120 dB",)
    assert problems(path, start=1.0, end=1.75) == ("cut short: 0.500 of 0.750 s",)
    assert problems(path, start=1.0, end=24001 / 16000) == ()  # an end that was rounded up
    behind = "empty: it begins at 2500 s, but the file has 1.500 s: correct its times"
    assert problems(path, start=2500.0) == problems(path, start=2500.0, end=3000.0) == (behind,)
    halves = tuple(Recording(str(start), path, start, start + 0.5) for start in (0.0, 1.0))
    assert scan(Manifest(halves, tmp_path), progress=False).entries[1].problems == ("duplicate: of 0.0",)


@pytest.mark.parametrize("workers", [1, 4])
def test_a_bad_file_never_stops_a_scan_and_the_rest_makes_a_manifest(tmp_path, workers):
    root = write_corpus(tmp_path, speakers=3, digits=2, takes=2)
    (root / "data/02/0_02_1.wav").write_text("damaged")
    write(root, "stray.wav", noise())
    report = scan(open_manifest(root), workers=workers, progress=False)
    assert len(report.entries) == 13
    assert report.failures[0][0] == "data/02/0_02_1.wav"
    assert "label missing: label, label_2" in report.entries[-1].problems
    assert len(report.usable) == 12
    write_manifest(report.usable, root / "scanned.csv")
    assert read_manifest(root / "scanned.csv") == report.usable


def test_the_tables_say_what_there_is(tmp_path):
    root = write_corpus(tmp_path, speakers=13, digits=2, takes=1, seconds=0.5)
    write(root, "data/13/1_13_0.wav", np.full((24000, 2), np.nan, dtype=np.float32), 48000, subtype="FLOAT")
    report = scan(open_manifest(root), progress=False)
    text = report.table()
    for line in [
        "recordings     26 (25 usable)",
        "hours          0.00",
        "seconds each   0.50 to 0.50, median 0.50",
        "rates          16000 Hz: 25",
        "channels       1: 25",
        "label speaker  13 values; 1 to 2 each",
        "label digit    2 values; 0: 13, 1: 12",
        "problems       NaN: 1",
    ]:
        assert line in text, text
    assert report.problems_table().splitlines()[2].split()[:3] == ["data/13/1_13_0.wav", "left", "out"]
    clean = scan(open_manifest(root).select([0, 1]), progress=False)
    assert clean.problems_table() == ""
    assert "problems       none" in clean.table()


def test_labels_and_splits_are_counted_of_the_recordings_that_can_be_used(tmp_path):
    for name in ("jay/a", "owl/b", "owl/c", "wren/d"):
        write(tmp_path, f"{name}.wav", noise(seed=ord(name[-1])))
    for name in ("jay/a", "owl/c"):
        (tmp_path / f"{name}.wav").write_text("no sound")
    text = scan(open_manifest(tmp_path).with_splits(["test", "train", "", ""]), progress=False).table()
    assert "recordings    4 (2 usable)" in text
    assert "label label   3 values; jay: 0, owl: 1, wren: 1" in text
    assert "split         train: 1; none given: 1" in text


def test_nothing_usable_is_an_error_only_when_it_is_asked_for(tmp_path):
    (tmp_path / "a.wav").write_text("x")
    report = scan(Manifest((Recording("a", Path(tmp_path / "a.wav")),), tmp_path), progress=False)
    assert "1 (0 usable)" in report.table()
    with pytest.raises(ManifestError, match=r"a, the only recording, cannot be used \(unreadable: .*repair"):
        _ = report.usable
    (tmp_path / "b.wav").write_text("x")
    write(tmp_path, "c.wav", 0 * noise())
    report = scan(open_manifest(tmp_path), progress=False)
    with pytest.raises(ManifestError, match=r"none of 3 recordings can be used \(unreadable: 2, silent: 1; the first"):
        _ = report.usable


def test_files_that_have_not_changed_are_not_listened_to_again(tmp_path, monkeypatch):
    write(tmp_path / "in", "good.wav", noise())
    write(tmp_path / "in", "again.wav", noise())
    write(tmp_path / "in", "silent.wav", 0 * noise())
    (tmp_path / "in" / "text.wav").write_text("no sound")
    manifest, cache = open_manifest(tmp_path / "in"), tmp_path / "cache"
    first = scan_once(manifest, cache=cache, progress=False)
    assert first == scan(manifest, progress=False)
    assert {entry.kinds for entry in first.entries} == {(), ("duplicate",), ("silent",), ("unreadable",)}

    listened = []
    monkeypatch.setattr("mfcl.data.scanning._inspect", lambda one: listened.append(one.id) or inspect(one))
    assert scan_once(manifest, cache=cache, progress=False) == first
    assert listened == ["text.wav"]  # what could not be read is tried again
    write(tmp_path / "in", "silent.wav", noise(seed=1))
    scan_once(manifest, cache=cache, progress=False)
    assert len(listened) == 5


def test_a_file_that_was_away_for_a_while_is_not_left_out_for_ever(tmp_path, monkeypatch):
    write(tmp_path / "in", "a.wav", noise())
    write(tmp_path / "in", "b.wav", noise(seed=1))
    manifest, cache = open_manifest(tmp_path / "in"), tmp_path / "cache"

    def away(path):
        if path.name == "b.wav":
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return open_path(path)

    with monkeypatch.context() as gone:
        gone.setattr("mfcl.audio.io.open_path", away)
        assert scan_once(manifest, cache=cache, progress=False).failures == (
            ("b.wav", "unreadable: cannot be opened (Input/output error)"),
        )
    assert scan_once(manifest, cache=cache, progress=False) == scan(manifest, progress=False)
    monkeypatch.setattr("mfcl.data.scanning._inspect", None)  # and what was read then is kept
    assert scan_once(manifest, cache=cache, progress=False).failures == ()


@pytest.mark.parametrize("damage", ["", "[]", "[[1, 2, 3]]", '{"a": 1}', '[[null, 16000, 1, [], ""]]'])
def test_a_damaged_memory_of_a_scan_is_made_again(tmp_path, damage):
    write(tmp_path / "in", "good.wav", noise())
    manifest, cache = open_manifest(tmp_path / "in"), tmp_path / "cache"
    wanted = scan_once(manifest, cache=cache, progress=False)
    (kept,) = (cache / "scan").iterdir()
    kept.write_text(damage)
    assert scan_once(manifest, cache=cache, progress=False) == wanted
    assert scan_once(manifest, cache=cache, progress=False) == wanted


def test_a_scan_that_cannot_be_kept_is_still_a_scan(tmp_path):
    write(tmp_path / "in", "good.wav", noise())
    (tmp_path / "cache").write_text("a file, not a folder")
    assert scan_once(open_manifest(tmp_path / "in"), cache=tmp_path / "cache", progress=False).entries[0].usable


def test_kinds_of_problems_are_counted_the_worst_first_with_two_examples_and_what_is_done(tmp_path):
    for number in range(5):
        write(tmp_path, f"loud{number}.wav", np.clip(9 * tone(0.25, 100 + number), -0.999, 0.999))
        write(tmp_path, f"offset{number}.wav", noise(seed=number) + np.float32(0.05))
    write(tmp_path, "silent.wav", 0 * noise())
    (tmp_path / "text.wav").write_text("no sound")
    report = scan(open_manifest(tmp_path), progress=False)
    lines = report.kinds_table().splitlines()[2:]
    assert [line.split("  ")[0] for line in lines] == ["unreadable", "silent", "clipped", "DC offset"]
    assert "  5             used as it is" in lines[2]
    assert "loud0.wav (at 50 places); loud1.wav (at " in lines[2]
    assert "loud2.wav" not in lines[2]
    assert "left out" in lines[0]
    assert "problems      unreadable: 1, silent: 1, clipped: 5, DC offset: 5" in report.table()
    every = report.problems_table().splitlines()[2:]
    assert len(every) == 12
    assert every[0].startswith("text.wav")
    assert scan(open_manifest(tmp_path).select([0]), progress=False).kinds_table().count("loud") == 1


def test_rates_are_counted_the_most_frequent_first(tmp_path):
    for number in range(16):
        write(tmp_path, f"{number}.wav", tone(0.1, 300, 8000 + number), 8000 + number)
    for number in range(3):
        write(tmp_path, f"more{number}.wav", tone(0.1, 300, 44100), 44100)
    text = scan(open_manifest(tmp_path), progress=False).table()
    (line,) = (line for line in text.splitlines() if line.startswith("rates"))
    assert line.split(None, 1)[1].startswith("44100 Hz: 3, ")
    assert line.endswith(", 5 more rates")
