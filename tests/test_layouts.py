import json
import os
import random
from pathlib import Path

import pytest
import soundfile

from mfcl.data.layouts import open_manifest, open_manifests
from mfcl.data.manifest_csv import read_manifest, write_manifest
from mfcl.errors import ManifestError
from tests.sounds import tone, write_corpus


def touch(root, *names):
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()


@pytest.mark.parametrize("suffix", [".wav", ".flac"])
@pytest.mark.parametrize("inside", ["", "data"])
def test_audiomnist_gives_speaker_digit_and_take_from_its_root_or_its_data(tmp_path, suffix, inside):
    root = write_corpus(tmp_path, speakers=3, digits=2, takes=2, suffix=suffix) / inside
    manifest = open_manifest(root)
    assert len(manifest) == 12
    assert manifest.label_names == ("speaker", "digit", "take")
    first = manifest.recordings[1]
    assert first.id == ("" if inside else "data/") + f"01/0_01_1{suffix}"
    assert dict(first.labels) == {"speaker": "01", "digit": "0", "take": "1"}
    assert first.path == tmp_path / f"data/01/0_01_1{suffix}"


def test_a_folder_and_a_row_whose_names_differ_in_the_form_of_an_accent_are_of_one_class(tmp_path):
    touch(tmp_path, "B\u00e4r/a.wav", "Ba\u0308r/b.wav")
    assert set(open_manifest(tmp_path).column("label")) == {"B\u00e4r"}
    rows = ["path,speaker", "B\u00e4r/a.wav,Jos\u00e9", "Ba\u0308r/b.wav,Jose\u0301"]
    (tmp_path / "list.csv").write_text("\n".join(rows), encoding="utf-8")
    listed = open_manifest(tmp_path / "list.csv")
    assert set(listed.column("speaker")) == {"Jos\u00e9"}
    assert [one.path.exists() for one in listed] == [True, True]


@pytest.mark.parametrize("place", ["audioMNIST_meta.txt", "data/audioMNIST_meta.txt"])
def test_the_facts_of_speakers_become_labels_and_their_quirks_are_mended(tmp_path, place):
    write_corpus(tmp_path, speakers=4, digits=1, takes=1)
    facts = {
        "01": {"accent": "german", "age": 30, "gender": "male", "native speaker": "no", "recordingroom": "VR-Room"},
        "02": {"accent": "German", "age": "1234", "gender": " Female", "origin": "Europe, Germany,  Berlin"},
        "3": {"accent": "", "age": "31"},
        "99": {"age": "20"},
    }
    (tmp_path / place).write_text(json.dumps(facts, indent=1).replace('"VR-Room"', '"VR-Room",'))
    manifest = open_manifest(tmp_path)
    labels = [dict(list(recording.labels.items())[3:]) for recording in manifest]
    assert labels == [
        {"accent": "German", "age": "30", "gender": "male", "native_speaker": "no", "recordingroom": "vr-room"},
        {"accent": "German", "gender": "female", "origin": "Europe, Germany, Berlin"},
        {"age": "31"},
        {},
    ]


@pytest.mark.parametrize("text", ["{", "[1]", ""])
def test_facts_that_cannot_be_read_are_an_error(tmp_path, text):
    write_corpus(tmp_path, speakers=1, digits=1, takes=1)
    (tmp_path / "data/audioMNIST_meta.txt").write_text(text)
    with pytest.raises(ManifestError, match=r"meta\.txt.*correct or remove"):
        open_manifest(tmp_path)


@pytest.mark.parametrize("stray", ["data/01/noise.wav", "models/example.wav", "data/02/deep/1_02_0.wav", "x_1.wav"])
def test_a_corpus_with_a_file_that_does_not_fit_is_a_folder_and_that_is_said(tmp_path, stray):
    write_corpus(tmp_path, speakers=2, digits=2, takes=1)
    touch(tmp_path, stray)
    manifest = open_manifest(tmp_path)
    assert len(manifest) == 5
    assert manifest.layout == "sub-folders are labels"
    assert manifest.column("label_2").tolist().count("01") >= 2
    said = [note for note in manifest.notes if "in the layout of AudioMNIST" in note]
    assert len(said) == 1
    assert (
        f"4 of 5 files are in the layout of AudioMNIST (<speaker>/<digit>_<speaker>_<take>), 1 is not, such as {stray}"
        in said[0]
    )


@pytest.mark.parametrize("name", ["{0}/XC1{1:02d}_{0}_{1:02d}.wav", "{0}/1{1:02d}_{0}_7.wav", "{0}/{1}_{0}_7.wav"])
def test_species_named_in_files_are_no_speakers(tmp_path, name):
    touch(tmp_path, *(name.format(kind, number) for kind in ("finch", "wren") for number in range(3)))
    manifest = open_manifest(tmp_path)
    assert manifest.label_names == ("label",)
    assert manifest.column("label").tolist() == ["finch"] * 3 + ["wren"] * 3


def test_folders_beside_a_corpus_are_seen(tmp_path):
    write_corpus(tmp_path, speakers=2, digits=3, takes=1)
    touch(tmp_path, "extra/1.wav", "extra/2.wav")
    manifest = open_manifest(tmp_path)
    assert len(manifest) == 8
    assert manifest.column("label").tolist() == ["data"] * 6 + ["extra"] * 2


@pytest.mark.parametrize("inside", ["", "recordings"])
def test_fsdd_gives_digit_speaker_and_take(tmp_path, inside):
    touch(tmp_path, "recordings/7_jackson_32.wav", "recordings/0_theo_1.wav")
    manifest = open_manifest(tmp_path / inside)
    assert [dict(recording.labels) for recording in manifest] == [
        {"digit": "0", "speaker": "theo", "take": "1"},
        {"digit": "7", "speaker": "jackson", "take": "32"},
    ]


def test_sub_folders_of_any_other_folder_are_labels(tmp_path):
    touch(
        tmp_path,
        "top.wav",
        "owl/a.mp3",
        "owl/barn/b.OGG",
        "owl/notes.txt",
        ".hidden/c.wav",
        "owl/._d.wav",
        "__MACOSX/e.wav",
    )
    manifest = open_manifest(tmp_path)
    assert manifest.ids.tolist() == ["owl/a.mp3", "owl/barn/b.OGG", "top.wav"]
    assert [dict(recording.labels) for recording in manifest] == [
        {"label": "owl"},
        {"label": "owl"},
        {},
    ]
    assert manifest.notes == (
        "1 of 3 files lies deeper than 1 folder; these folders are no labels, as most files have none",
    )


def test_a_few_files_in_sub_folders_get_no_labels_and_that_is_said(tmp_path):
    touch(tmp_path, "a.wav", "b.wav", "c.wav", "owl/d.wav")
    manifest = open_manifest(tmp_path)
    assert manifest.label_names == ()
    assert manifest.notes == ("1 of 4 files lies in sub-folders; these folders are no labels, as most files have none",)


def test_one_file_that_lies_deeper_makes_no_label_for_all(tmp_path):
    touch(tmp_path, *(f"{kind}/{site}/{n}.wav" for kind in "ab" for site in "cd" for n in range(3)), "a/c/x/y/z/9.wav")
    manifest = open_manifest(tmp_path)
    assert manifest.label_names == ("label", "label_2")
    assert dict(manifest.recordings[3].labels) == {"label": "a", "label_2": "c"}


def test_a_list_inside_a_folder_says_what_it_does_not_name(tmp_path):
    touch(tmp_path, "one.wav", "two.wav", "more/three.wav")
    (tmp_path / "manifest.csv").write_text("path\none.wav\n")
    manifest = open_manifest(tmp_path)
    assert manifest.ids.tolist() == ["one.wav"]
    assert len(manifest.notes) == 1
    assert manifest.notes[0].endswith("manifest.csv is used; 2 of the 3 audio files in this folder are not in it")
    (tmp_path / "manifest.csv").write_text("path\none.wav\ntwo.wav\nmore/../more/three.wav\n")
    assert open_manifest(tmp_path).notes == ()


def test_a_folder_whose_name_ends_in_a_space_is_the_same_label(tmp_path):
    touch(tmp_path, "owl/1.wav", "owl /2.wav")
    assert open_manifest(tmp_path).column("label").tolist() == ["owl", "owl"]


def test_names_that_are_not_utf_8_are_escaped_in_ids_and_labels(tmp_path):
    (tmp_path / os.fsdecode(b"f\xe9")).mkdir()
    touch(tmp_path, os.fsdecode(b"f\xe9/caf\xe9.wav"))
    (recording,) = open_manifest(tmp_path)
    assert (recording.id, dict(recording.labels)) == ("f\\xe9/caf\\xe9.wav", {"label": "f\\xe9"})
    assert recording.path.exists()


def test_the_order_does_not_depend_on_the_file_systems(tmp_path, monkeypatch):
    names = ["b/2.wav", "b/10.wav", "B/1.wav", "a/1.wav", "a-1/1.wav", "é/1.wav", "e\u0301/2.wav", "z.wav"]
    touch(tmp_path, *names)
    walk = os.walk

    def shuffled(*given, **options):
        found = list(walk(*given, **options))
        random.Random(4).shuffle(found)
        return [(folder, folders, random.Random(5).sample(files, len(files))) for folder, folders, files in found]

    ordered = open_manifest(tmp_path).ids.tolist()
    monkeypatch.setattr(os, "walk", shuffled)
    assert open_manifest(tmp_path).ids.tolist() == ordered
    assert ordered == ["B/1.wav", "a-1/1.wav", "a/1.wav", "b/10.wav", "b/2.wav", "z.wav", "é/1.wav", "e\u0301/2.wav"]


def test_links_are_followed_and_circles_end(tmp_path):
    touch(tmp_path, "far/a.wav", "here/b.wav")
    (tmp_path / "here/far").symlink_to(tmp_path / "far")
    (tmp_path / "here/circle").symlink_to(tmp_path / "here")
    assert open_manifest(tmp_path / "here").ids.tolist() == ["b.wav", "far/a.wav"]


def test_files_of_formats_that_are_not_read_are_counted_and_never_passed_over_in_silence(tmp_path):
    folder = tmp_path / "birds"
    (folder / "wren").mkdir(parents=True)
    for name in ("a.m4a", "wren/b.M4A", "wren/c.wma", "notes.txt", ".hidden.m4a"):
        (folder / name).write_bytes(b"sound")
    with pytest.raises(ManifestError, match=r"only 2 \.m4a, 1 \.wma; convert them to FLAC or WAV$"):
        open_manifest(folder)
    with pytest.raises(ManifestError, match=r"that can be read \(.*\); convert it to FLAC or WAV$"):
        open_manifest(folder / "a.m4a")
    soundfile.write(folder / "wren" / "d.wav", tone(), 16000)
    found = open_manifest(folder)
    assert found.ids.tolist() == ["wren/d.wav"]
    assert found.notes == (
        "files whose formats cannot be read are passed over: 2 .m4a, 1 .wma; convert them to FLAC or WAV",
    )


def test_one_file_and_lists_are_opened(tmp_path):
    soundfile.write(tmp_path / "one.flac", tone(), 16000)
    assert open_manifest(tmp_path / "one.flac").ids.tolist() == ["one.flac"]
    (tmp_path / "manifest.csv").write_text("path,word\none.flac,yes\n")
    for path in [tmp_path, tmp_path / "manifest.csv", str(tmp_path)]:
        assert open_manifest(path).column("word").tolist() == ["yes"]


def test_a_selection_table_beside_its_sound_is_opened(tmp_path):
    touch(tmp_path, "a.wav")
    (tmp_path / "a.selections.txt").write_text("Begin File\tBegin Time (s)\tEnd Time (s)\tSpecies\na.wav\t1\t2\towl\n")
    assert open_manifest(tmp_path / "a.selections.txt").ids.tolist() == ["a.wav#1.0-2.0"]


@pytest.mark.parametrize(
    ("name", "message"),
    [("absent", "does not exist"), ("empty", "no audio file"), ("notes.txt", "neither a CSV nor an audio")],
)
def test_what_holds_no_sound_is_an_error_of_one_line(tmp_path, name, message):
    (tmp_path / "empty").mkdir()
    touch(tmp_path, "empty/notes.txt", "notes.txt")
    with pytest.raises(ManifestError, match=message) as caught:
        open_manifest(tmp_path / name)
    assert "\n" not in str(caught.value)


def test_a_corpus_written_as_a_list_is_read_as_the_same_recordings(tmp_path):
    manifest = open_manifest(write_corpus(tmp_path, speakers=2, digits=2, takes=1))
    write_manifest(manifest, tmp_path / "list.csv")
    assert read_manifest(tmp_path / "list.csv") == manifest


def test_relative_paths_are_kept_apart_from_the_working_folder(tmp_path, monkeypatch):
    write_corpus(tmp_path / "corpus", speakers=1, digits=1, takes=1)
    monkeypatch.chdir(tmp_path)
    assert open_manifest(Path("corpus")).recordings[0].path.is_absolute()
    assert open_manifest("corpus").ids.tolist() == ["data/01/0_01_0.wav"]


def selections(path, *times):
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = [f"{number}\t{start}\t{start + 1}\towl" for number, start in enumerate(times, start=1)]
    path.write_text("\n".join(["Selection\tBegin Time (s)\tEnd Time (s)\tAnnotation", *rows]) + "\n")
    path.with_suffix("").with_suffix(".wav").touch()


def test_a_table_for_each_recording_is_one_list(tmp_path):
    selections(tmp_path / "dawn.selections.txt", 0, 4)
    selections(tmp_path / "dusk.selections.txt", 0)
    tables = sorted(tmp_path.glob("*.txt"))
    found = open_manifests(tables)
    assert [one.id for one in found] == ["dawn.wav#0.0-1.0", "dawn.wav#4.0-5.0", "dusk.wav#0.0-1.0"]
    assert set(found.column("Annotation")) == {"owl"}
    assert [note.partition(":")[0] for note in found.notes] == [str(path) for path in tables]
    write_manifest(found, tmp_path / "all.csv")
    assert read_manifest(tmp_path / "all.csv").recordings == found.recordings
    assert open_manifests(tables[:1]) == open_manifest(tables[0])
    with pytest.raises(ManifestError, match=r"2 recordings have the id 'dusk.wav#0.0-1.0'"):
        open_manifests([*tables, tables[1]])


def test_lists_of_several_folders_are_told_apart_by_their_folders_and_given_ids_stay(tmp_path):
    for number in range(7):
        selections(tmp_path / f"site {number}" / "day.selections.txt", 2)
    (tmp_path / "own.csv").write_text("path,id,Annotation\nsite 0/day.wav,whole day,\nsite 1/day.wav,,wind\n")
    found = open_manifests([*sorted(tmp_path.glob("*/*.txt")), tmp_path / "own.csv"])
    assert [one.id for one in found] == [
        *(f"site {number}/day.wav#2.0-3.0" for number in range(7)), "whole day", "site 1/day.wav",
    ]  # fmt: skip
    assert found.root == tmp_path
    assert len(found.notes) == 6
    assert found.notes[-1] == "2 more such notes"
