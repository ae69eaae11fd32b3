import csv
import errno
import os
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from mfcl.audio import Preparation
from mfcl.core.spans import open_path
from mfcl.data.dataset import open_data, scan_data
from mfcl.data.layouts import open_manifest
from mfcl.data.manifest import SPLITS, Manifest, Recording
from mfcl.data.scanning import scan
from mfcl.data.split_notes import split_notes
from tests.sounds import word, write_corpus


def listed(folder, rows, header=("path", "word", "speaker", "split")):
    """Write a sound for each row and a list of them."""
    for number, (path, *_) in enumerate(rows):
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        if not (folder / path).exists():
            soundfile.write(folder / path, word(number % 7, number % 10, number), 16000)
    with (folder / "list.csv").open("w", newline="") as file:
        csv.writer(file).writerows([header, *rows])
    return folder / "list.csv"


def opened(path, folder, **options):
    return open_data(path, Preparation(), cache=folder / "cache", progress=False, **options)


SIDES = {"s0": "train", "s1": "train", "s2": "valid", "s3": "test", "s4": "test"}


def clips(words="abc", sides=SIDES):
    return [(f"{who}/{said}.wav", said, who, side) for who, side in sides.items() for said in words]


def test_a_clean_list_has_no_notes(tmp_path, capsys):
    assert opened(listed(tmp_path, clips()), tmp_path).notes == ()
    assert "note" not in capsys.readouterr().err


def test_speakers_on_two_sides_are_named_once(tmp_path, capsys):
    rows = [
        (path, said, who, ("train", "valid", "test")[number % 3]) for number, (path, said, who, _) in enumerate(clips())
    ]
    data = opened(listed(tmp_path, rows), tmp_path)
    (note,) = [note for note in data.notes if "unseen speakers" in note]
    assert note.startswith("5 of 5 values of 'speaker' are in the test split and in another (s0, s1, s2, ...)")
    assert capsys.readouterr().err.count(note) == 1


def test_speakers_to_train_and_choose_with_are_named(tmp_path):
    rows = [
        (path, said, who, "train" if path == "s2/d.wav" else side)
        for path, said, who, side in [*clips(), ("s2/d.wav", "a", "s2", "")]
    ]
    notes = opened(listed(tmp_path, rows), tmp_path).notes
    assert notes == (
        "1 of 5 values of 'speaker' is in the train and the valid split (s2): "
        "settings are chosen on speakers seen in training",
    )


def test_a_drawn_split_that_knows_no_speakers_says_so_unless_it_was_asked_for(tmp_path, capsys):
    rows = [(path, said, who) for path, said, who, _ in clips("ab")]
    path = listed(tmp_path, rows, ("path", "word", "person"))
    (note,) = opened(path, tmp_path).notes
    assert note.startswith("split by recording, as no column is known to name speakers")
    assert f"note: {note}" in capsys.readouterr().err
    assert not opened(path, tmp_path, split_by="none").notes
    assert not opened(listed(tmp_path, [row[:1] for row in rows], ("path",)), tmp_path).notes  # no figure of a label


@pytest.mark.parametrize("options", [{"split_by": "speaker"}, {"protocol": "recording"}])
def test_a_split_column_that_is_overridden_is_said(tmp_path, options):
    notes = opened(listed(tmp_path, clips()), tmp_path, **options).notes
    assert any(note.startswith("the column `split` is not used") for note in notes)


def test_classes_that_a_side_lacks_are_said(tmp_path):
    rows = [*clips(), ("s3/x.wav", "rare", "s3", "test")]
    notes = opened(listed(tmp_path, rows), tmp_path).notes
    assert notes == ("of 4 values of 'word', train lacks 1 (rare); valid lacks 1 (rare)",)


def test_recordings_on_no_side_are_counted(tmp_path):
    rows = [*clips(), ("s3/x.wav", "a", "s3", "")]
    assert opened(listed(tmp_path, rows), tmp_path).notes == (
        "1 of 16 recordings is in no split: used neither for training nor for evaluation",
    )


def test_recordings_of_nobody_known_are_on_no_side_and_the_reason_is_said(tmp_path):
    rows = [(path, said, who if said != "a" else "", "") for path, said, who, _ in clips()]
    notes = opened(listed(tmp_path, rows), tmp_path).notes
    assert notes[0] == (
        "5 of 15 recordings are in no split, as their 'speaker' is not known: used neither for training nor for "
        "evaluation"
    )


def test_copies_stay_on_one_side_of_a_drawn_split_and_are_said_of_a_given_one(tmp_path):
    sound = word(0, 0)
    for name in ("s0/a.wav", "s3/a.wav", "s4/b.wav"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        soundfile.write(tmp_path / name, sound, 16000)
    path = listed(tmp_path, clips())
    (note,) = opened(path, tmp_path).notes
    assert note.startswith("3 recordings have a copy in another split (s0/a.wav, s3/a.wav, s4/b.wav)")
    for seed in range(6):
        data = opened(path, tmp_path, split_by="none", seed=seed)
        where = dict(zip(data.manifest.ids.tolist(), data.manifest.splits.tolist(), strict=True))
        assert len({where[name] for name in ("s0/a.wav", "s3/a.wav", "s4/b.wav")}) == 1
        assert not any("copy" in note for note in data.notes)


def overlap_notes(rows):
    made = Manifest(tuple(Recording(*place, split=split) for *place, split in rows), Path("/x"))
    notes = split_notes(made, made, "manifest", speaker=None, label=None)
    return [note for note in notes if "overlap" in note]


def test_recordings_of_two_splits_that_share_a_stretch_of_a_file_are_said():
    day, night = Path("/x/day.wav"), Path("/x/night.wav")
    rows = [("a", day, None, 2.0, "train"), ("b", day, 1.5, 3.0, "test"), ("c", day, 3.0, None, "train")]
    rows += [("d", night, 1.5, 3.0, "test"), ("e", day, 0.0, 1.5, None)]
    (note,) = overlap_notes(rows)
    assert note.startswith("2 recordings overlap in their file with one of another split (a, b): these splits share")
    assert not overlap_notes([(*row[:-1], "train") for row in rows])
    assert not overlap_notes([rows[1], rows[2], rows[4]])
    (note,) = overlap_notes([("whole", day, None, None, "train"), rows[1]])
    assert "(whole, b)" in note


@given(st.lists(st.tuples(st.integers(0, 20), st.integers(1, 8), st.sampled_from(SPLITS)), min_size=1, max_size=12))
@settings(max_examples=100, deadline=None)
def test_all_recordings_that_overlap_with_another_split_are_counted(some):
    spans = [(start, start + length, split) for start, length, split in some]
    rows = [(str(n), Path("/x/a.wav"), float(a), float(b), split) for n, (a, b, split) in enumerate(spans)]
    count = sum(any(a < d and c < b and one != other for c, d, other in spans) for a, b, one in spans)
    notes = overlap_notes(rows)
    assert bool(notes) == bool(count)
    assert not count or notes[0].startswith(f"{count} recordings overlap")


def test_a_speaker_with_a_space_behind_is_the_same(tmp_path):
    rows = [(path, said, who + " " * (number % 2)) for number, (path, said, who, _) in enumerate(clips())]
    data = opened(listed(tmp_path, rows, ("path", "word", "speaker")), tmp_path)
    voices, splits = data.manifest.column("speaker"), data.manifest.splits
    assert all(len(np.unique(splits[voices == voice])) == 1 for voice in voices)
    assert data.notes[0].startswith("leading or trailing spaces of 7 cells")


def test_names_that_are_alike_are_said_and_stay_apart(tmp_path):
    twice = dict(zip(["Ada L", "ada l", "Bea", "zo\xe9", "Zo\xe9", "Dan"], [*SIDES.values(), "train"], strict=True))
    path = listed(tmp_path, clips(sides=twice))
    (note,) = opened(path, tmp_path).notes
    assert note == (
        "values of 'speaker' that differ in capitals, spaces or the form of letters alone are different ones here: "
        "'Ada L' and 'ada l', and 1 more such; write one as the other if they are not"
    )
    scanned = scan(open_manifest(path), progress=False).table()
    assert scanned.count(f"\nnote: {note}") == 1
    assert "label speaker  6 values" in scanned


def test_sound_of_another_kind_and_equal_length_is_other_data(tmp_path):
    path = listed(tmp_path, clips())
    before = opened(path, tmp_path).manifest
    again = opened(path, tmp_path).manifest
    soundfile.write(tmp_path / "s0/a.wav", word(9, 9)[: len(word(0, 0))], 16000)
    size = (tmp_path / "s0/a.wav").stat().st_size
    soundfile.write(tmp_path / "s0/a.wav", word(8, 8)[: len(word(0, 0))], 16000)
    assert size == (tmp_path / "s0/a.wav").stat().st_size
    after = opened(path, tmp_path).manifest
    assert before.fingerprint() == again.fingerprint() != after.fingerprint()
    assert before.fingerprint_of_sizes() == after.fingerprint_of_sizes()


def test_moved_recordings_are_the_same_data(tmp_path):
    path = listed(tmp_path / "old", clips())
    before = opened(path, tmp_path)
    (tmp_path / "old/s0").parent.rename(tmp_path / "new")
    (tmp_path / "new/list.csv").rename(tmp_path / "list.csv")
    after = opened(tmp_path / "list.csv", tmp_path, data_root=tmp_path / "new")
    assert after.manifest.recordings[0].path == tmp_path / "new/s0/a.wav"
    assert after.manifest.fingerprint() == before.manifest.fingerprint()


def test_a_corpus_is_opened_without_notes(tmp_path):
    assert opened(write_corpus(tmp_path / "corpus", speakers=6), tmp_path).notes == ()


def test_what_decoding_leaves_out_is_said(tmp_path, capsys, monkeypatch):
    root, cache = write_corpus(tmp_path / "corpus", speakers=3, digits=2, takes=2), tmp_path / "cache"
    report = scan_data(root, cache=cache, progress=False)

    def gone(path):
        if path.name == "0_01_1.wav":
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return open_path(path)

    monkeypatch.setattr("mfcl.audio.io.open_path", gone)
    data = open_data(report, Preparation(), cache=cache, progress=False)
    assert len(data.store) == 11
    assert "1 of 12 recordings cannot be decoded and is left out:\n" in capsys.readouterr().err
