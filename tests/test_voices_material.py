"""What recordings a gallery takes from files and lists, and which bytes it keeps of them."""

import os
from dataclasses import replace
from pathlib import Path

import pytest

from mfcl.data.decoding import LeftOut
from mfcl.data.manifest import Manifest, Recording
from mfcl.errors import GalleryError, ManifestError
from mfcl.voices import Gallery
from mfcl.voices.material import held_out_people, manifest_of
from tests.small_voices import SmallListener, clips_of, cohort, small_gallery


def lists(folder, content=("one.wav",)):
    """Two folders, each with a list of files of the same names and other bytes."""
    made = []
    for name in ("a", "b"):
        (folder / name).mkdir()
        for file in content:
            (folder / name / file).write_bytes(f"{name} {file}".encode())
        rows = "".join(f"{file},{ord(name)}\n" for file in content)
        (folder / name / "list.csv").write_text("path,speaker\n" + rows)
        made.append(folder / name / "list.csv")
    return made


def test_two_lists_with_the_same_paths_are_both_taken(tmp_path, monkeypatch):
    first, second = lists(tmp_path, ("one.wav", "two.wav"))
    found = manifest_of([first, second])
    assert [one.path.read_bytes() for one in found] == [b"a one.wav", b"a two.wav", b"b one.wav", b"b two.wav"]
    assert found.ids.tolist() == ["one.wav", "two.wav", str(tmp_path / "b/one.wav"), str(tmp_path / "b/two.wav")]
    assert len(manifest_of([first, first])) == 2
    monkeypatch.chdir(tmp_path / "a")
    assert len(manifest_of(["list.csv", "one.wav"])) == 2


def test_what_is_to_be_said_of_a_folder_is_said(tmp_path, capsys):
    for name in ("one.wav", "two.m4a"):
        (tmp_path / name).write_bytes(b"sound")
    assert len(manifest_of(manifest_of(tmp_path))) == 1
    said = capsys.readouterr().err
    assert said == "note: files whose formats cannot be read are passed over: 1 .m4a; convert them to FLAC or WAV\n"


class ByFolder(SmallListener):
    """Hears a recording by its label."""

    def hear(self, manifest, left_out):
        rows = tuple(replace(one, labels={"speaker": one.label("label")}) for one in manifest)
        return super().hear(Manifest(rows, manifest.root), left_out)


def test_whom_the_only_label_is_taken_for_is_said_unless_it_is_named(capsys):
    rows = tuple(Recording(f"{place}", Path(f"{place}.wav"), labels={"label": str(place % 3)}) for place in range(6))
    folder = Manifest(rows, Path())
    assert held_out_people(folder, ByFolder(), LeftOut()).people.tolist() == ["0", "1", "2"] * 2
    said = "note: the values of 'label', the only label, are taken for people, such as '0' (--speaker)\n"
    assert capsys.readouterr().err == said
    held_out_people(folder, ByFolder(), LeftOut(), speaker="label")
    assert capsys.readouterr().err == ""
    with pytest.raises(ManifestError, match=r"wanted the split 'valid', but no recording has a split; take them all$"):
        held_out_people(folder, ByFolder(), LeftOut(), speaker="label", split="valid")


def test_a_list_with_one_row_keeps_the_recordings_bytes_and_name(tmp_path):
    first, second = lists(tmp_path)
    with Gallery.create(tmp_path / "team.db", SmallListener(), cohort=cohort()) as gallery:
        gallery.enrol("Ada", first, keep_audio=True)
        gallery.enrol("Bea", [second], keep_audio=True)
        (ada,), (bea,) = gallery.storage.clips("Ada"), gallery.storage.clips("Bea")
    assert (ada.source, ada.audio) == ("one.wav", b"a one.wav")
    assert (bea.source, bea.audio) == ("one.wav", b"b one.wav")


def test_a_name_that_is_not_utf_8_is_enrolled_as_a_readable_one(tmp_path):
    folder = tmp_path / os.fsdecode(b"caf\xe9")
    folder.mkdir()
    (folder / "one.wav").write_bytes(b"")
    wanted = str(tmp_path / "caf\\xe9" / "one.wav")
    assert manifest_of([folder / "one.wav"]).ids.tolist() == manifest_of(folder).ids.tolist() == [wanted]
    heard = replace(clips_of(1, 1), sources=(wanted,))
    with small_gallery(tmp_path / "team.db") as gallery:
        gallery.enrol("Ada", heard)
        assert gallery.storage.clips("Ada")[0].source == wanted
        with pytest.raises(GalleryError, match="not UTF-8"):
            gallery.enrol("Bea", clips_of(2, 1), note=os.fsdecode(b"caf\xe9"))
        assert [voice.name for voice in gallery.voices] == ["Ada"]
