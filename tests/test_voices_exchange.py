"""Voices that go from one gallery to another: whole or not at all, each once, and nothing newer is overwritten."""

import pytest

from mfcl import cli
from mfcl.voices.exchange import export, take_in, write_audio
from mfcl.voices.storage import Storage
from tests.small_voices import clips_of, small_gallery


@pytest.fixture
def gallery(tmp_path):
    with small_gallery(tmp_path / "team.db", voices=(1, 2, 3)) as made:
        yield made


def test_merged_voices_keep_the_consent_and_the_note_that_only_one_of_them_has(gallery):
    gallery.enrol("voice 1", clips_of(1, 1, take=8), note="of the choir")
    gallery.enrol("voice 2", clips_of(2, 1, take=8), consent="2026-01-02", note="of the band")
    gallery.enrol("voice 3", clips_of(3, 1, take=8), consent="2026-03-04")
    gallery.merge("voice 1", "voice 2")
    gallery.merge("voice 1", "voice 3")
    (voice,) = gallery.voices
    assert (voice.consent, voice.note, voice.clips) == ("2026-01-02", "of the choir", 15)


def test_nothing_is_exported_where_the_audio_cannot_be(gallery, tmp_path, capsys):
    (tmp_path / "audio").write_text("a file")
    words = ("voices", "export", str(tmp_path / "team.db"), str(tmp_path / "some.db"), "--audio")
    assert cli.main([*words, str(tmp_path / "audio")]) == 2
    assert "wanted a folder, it is a file" in capsys.readouterr().err
    assert cli.main([*words, str(tmp_path / "sound")]) == 0


def counts(place):
    storage = Storage.open(place)
    found = {voice.name: voice.clips for voice in storage.voices()}
    storage.close()
    return found


def test_an_export_that_is_interrupted_leaves_nothing(gallery, tmp_path, monkeypatch):
    read, asked = Storage.clips, []

    def interrupted(storage, name):
        asked.append(name)
        if len(asked) == 2:
            raise KeyboardInterrupt
        return read(storage, name)

    monkeypatch.setattr(Storage, "clips", interrupted)
    with pytest.raises(KeyboardInterrupt):
        export(gallery.storage, tmp_path / "out" / "some.db")
    assert list((tmp_path / "out").iterdir()) == []
    export(gallery.storage, tmp_path / "out" / "some.db")
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["some.db"]
    assert counts(tmp_path / "out" / "some.db") == {"voice 1": 4, "voice 2": 4, "voice 3": 4}


def test_the_log_of_a_gallery_that_was_there_once_is_not_read_into_an_export(gallery, tmp_path):
    (tmp_path / "out.db-wal").write_bytes((tmp_path / "team.db-wal").read_bytes())
    export(gallery.storage, tmp_path / "out.db", ["voice 2"])
    assert counts(tmp_path / "out.db") == {"voice 2": 4}


def test_a_voice_that_is_named_twice_is_written_once(gallery, tmp_path):
    export(gallery.storage, tmp_path / "out.db", ["voice 2", "voice 1", "voice 2"])
    assert counts(tmp_path / "out.db") == {"voice 1": 4, "voice 2": 4}
    assert write_audio(gallery.storage, tmp_path / "audio", ["voice 1", "voice 1"]) == 0


def test_an_import_keeps_the_consent_and_the_note_that_are_here(gallery, tmp_path):
    gallery.enrol("Ada", clips_of(7, 2), consent="2020-01-01", note="old")
    export(gallery.storage, tmp_path / "old.db", ["Ada"])
    gallery.enrol("Ada", clips_of(7, 2, take=5), consent="2026-01-01", note="renewed")
    old = Storage.open(tmp_path / "old.db")
    assert take_in(gallery.storage, old).skipped == 2
    ada = gallery.storage.find("Ada")
    assert (ada.consent, ada.note, ada.clips) == ("2026-01-01", "renewed", 4)
    gallery.storage.database.rows("UPDATE mfcl_voices SET consent = '' WHERE name = 'Ada'")
    take_in(gallery.storage, old)
    assert (gallery.storage.find("Ada").consent, gallery.storage.find("Ada").note) == ("2020-01-01", "renewed")
    old.close()
