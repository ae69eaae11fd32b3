"""A gallery on disk: nothing lost but what was not finished, one line for what cannot be read, nothing left behind."""

import os
import random
import resource
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from mfcl.errors import GalleryError
from mfcl.voices import Gallery, schema
from mfcl.voices.calibration import Calibration
from mfcl.voices.exchange import export, take_in, write_audio
from mfcl.voices.storage import Clip, Storage
from tests.small_voices import DIM, SmallListener, clips_of, people, small_gallery

ROOT = Path(__file__).parents[1]
KILLS = 20 if os.environ.get("MFCL_ALL_KILLS") else 8
"""Twenty with MFCL_ALL_KILLS set."""
ENROLMENTS = 200
"""Of each of two processes, at each kill."""


def one_line(text):
    assert len(str(text).splitlines()) == 1
    return str(text)


def refused(place, **options):
    with pytest.raises(GalleryError) as caught:
        Gallery.open(place, **options).voices  # noqa: B018
    return one_line(caught.value)


@pytest.fixture
def gallery(tmp_path):
    with small_gallery(tmp_path / "team.db", voices=(1, 2, 3)) as made:
        yield made


def test_a_gallery_that_was_not_made_to_the_end_is_made_anew(tmp_path, monkeypatch):
    def interrupted(database):
        raise KeyboardInterrupt

    with monkeypatch.context() as once:
        once.setattr(schema, "make", interrupted)
        with pytest.raises(KeyboardInterrupt):
            small_gallery(tmp_path / "team.db")
    assert (tmp_path / "team.db").stat().st_size
    with small_gallery(tmp_path / "team.db", voices=(1,)) as made:
        assert len(made.voices) == 1
    (tmp_path / "text.db").write_text("not a gallery" * 10)
    for name in ("team.db", "text.db"):
        with pytest.raises(GalleryError, match="already"):
            small_gallery(tmp_path / name)
    assert (tmp_path / "text.db").read_text() == "not a gallery" * 10


def test_a_change_that_cannot_begin_leaves_no_lock(gallery):
    gallery.storage.database.rows(
        "CREATE TRIGGER no_change BEFORE UPDATE ON mfcl_about BEGIN SELECT RAISE(ABORT, 'no change'); END"
    )
    with pytest.raises(GalleryError, match="no change") as caught:
        gallery.rename("voice 1", "Ada")
    with gallery.storage.database.transaction():  # while the error is still at hand
        pass
    one_line(caught.value)


def test_what_is_enrolled_comes_back_to_the_bit_after_reopening(tmp_path):
    with small_gallery(tmp_path / "team.db") as made:
        made.enrol("Ada", clips_of(1, 4), consent="2026-01-02", note="of the choir")
        made.enrol("Ada", clips_of(1, 2, take=1))
    with Storage.open(tmp_path / "team.db").database.transaction(write=False):
        pass
    found = Storage.open(tmp_path / "team.db")
    (voice,) = found.voices()
    assert (voice.name, voice.consent, voice.note, voice.clips) == ("Ada", "2026-01-02", "of the choir", 6)
    clips = found.clips("Ada")
    whole = np.concatenate([clips_of(1, 4).vectors, clips_of(1, 2, take=1).vectors])
    np.testing.assert_array_equal(np.stack([clip.vector for clip in clips]), whole)
    assert [clip.source for clip in clips[:2]] == ["1-0-0.wav", "1-0-1.wav"]
    assert all(clip.audio is None for clip in clips)
    assert voice.seconds == pytest.approx(sum(clip.seconds for clip in clips))
    found.close()


def start(place, prefix):
    return subprocess.Popen(
        [sys.executable, "-m", "tests.small_voices", str(place), prefix, str(ENROLMENTS)],
        cwd=ROOT, env={**os.environ, "OMP_NUM_THREADS": "1"}, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip


def test_kills_in_the_midst_of_enrolments_by_two_processes_lose_nothing_that_was_reported(tmp_path):
    place = tmp_path / "team.db"
    small_gallery(place).close()
    numbers, reported, killed = random.Random(0), [], 0
    for kill in range(KILLS):
        two = [start(place, f"{side}{kill}") for side in "ab"]
        first = two[kill % 2].stdout.readline()  # it is enrolling now
        time.sleep(numbers.uniform(0, 0.03))
        victim = two[kill % 2]
        victim.send_signal(signal.SIGKILL)
        ends = [process.communicate(timeout=120)[0] for process in two]
        ends[kill % 2] = first + ends[kill % 2]
        for process, text in zip(two, ends, strict=True):
            assert process.returncode == 0 or process is victim
            killed += process.returncode == -signal.SIGKILL
            reported += [line for line in text.splitlines(keepends=True) if line.endswith("\n")]
    assert killed > KILLS / 2  # on a fast machine some were done before
    connection = sqlite3.connect(place)
    assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
    connection.close()
    with Gallery.open(place, model=SmallListener()) as found:
        clips = {voice.name: voice.clips for voice in found.voices}
    assert len(reported) >= KILLS * ENROLMENTS  # the process that was not killed did all of its own
    assert {name.strip() for name in reported} <= clips.keys()
    print(f"{len(reported)} enrolments reported, {killed} kills in their midst, {len(clips)} voices kept")
    assert set(clips.values()) == {3}  # all clips of an enrolment or none


def test_a_removed_voice_is_in_no_file_any_more(gallery, tmp_path):
    secret = gallery.storage.clips("voice 2")[0].vector.tobytes()
    files = [tmp_path / "team.db", tmp_path / "team.db-wal"]
    assert any(secret in file.read_bytes() for file in files if file.exists())
    assert gallery.remove("voice 2") == ""
    assert not any(secret in file.read_bytes() for file in files if file.exists())
    assert [voice.name for voice in gallery.voices] == ["voice 1", "voice 3"]
    assert len(gallery.storage.profiles()[1]) == 8
    with pytest.raises(GalleryError, match="voice 2"):
        gallery.remove("voice 2")


def test_rename_and_merge_keep_all_clips(gallery):
    gallery.rename("voice 1", "Ada")
    with pytest.raises(GalleryError, match="merge"):
        gallery.rename("Ada", "voice 2")
    gallery.merge("Ada", "voice 2")
    assert {voice.name: voice.clips for voice in gallery.voices} == {"Ada": 8, "voice 3": 4}
    with pytest.raises(GalleryError, match="one voice"):
        gallery.merge("Ada", "Ada")
    with pytest.raises(GalleryError, match="did you mean 'Ada'"):
        gallery.merge("Adda", "voice 3")


@pytest.mark.parametrize("name", ["", " Ada", "a\nb", "x" * 201, "unknown"])
def test_names_that_would_mislead_are_refused(gallery, name):
    with pytest.raises(GalleryError) as caught:
        gallery.enrol(name, clips_of(9, 2))
    one_line(caught.value)
    with pytest.raises(GalleryError, match="voice: "):  # before anything is heard
        gallery.enrol(name, "nowhere.wav")
    assert len(gallery.voices) == 3


@pytest.mark.parametrize("day", ["2026-13-45", "yes", "2026-02-29", " "])
def test_a_day_of_consent_that_does_not_exist_is_refused_before_anything_is_heard(gallery, day):
    with pytest.raises(GalleryError, match="consent: wanted a date such as 2026-11-02, got ") as caught:
        gallery.enrol("Ada", "nowhere.wav", consent=day)
    one_line(caught.value)


def test_a_second_gallery_at_a_place_is_refused_and_the_first_stays(gallery, tmp_path):
    with pytest.raises(GalleryError, match="already"):
        small_gallery(tmp_path / "team.db")
    assert len(gallery.voices) == 3


def test_a_gallery_of_another_model_says_whose_it_is(gallery):
    other = Gallery(gallery.storage, model=SmallListener("b" * 64))
    with pytest.raises(GalleryError, match=r"bound to the model aaaaaaaaaaaa.*bbbbbbbbbbbb") as caught:
        other.listener  # noqa: B018
    one_line(caught.value)


def test_a_newer_schema_is_refused_and_left_as_it_is(gallery, tmp_path):
    gallery.storage.database.rows("UPDATE mfcl_about SET value = '99' WHERE name = 'schema'")
    gallery.storage.database.rows("UPDATE mfcl_about SET value = '7.5.0' WHERE name = 'written_by'")
    gallery.close()
    before = (tmp_path / "team.db").read_bytes()
    assert "version 99" in refused(tmp_path / "team.db")
    assert "7.5.0" in refused(tmp_path / "team.db")
    assert (tmp_path / "team.db").read_bytes() == before


def test_an_older_schema_is_brought_to_this_one_with_all_voices(tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(schema, "MIGRATIONS", schema.MIGRATIONS[:1])
        patch.setattr(schema, "VERSION", 1)
        about = {"model": "m", "digest": "a" * 64, "part": "", "dim": str(DIM), "score": "mean", "nearest": "0"}
        old = Storage.create(tmp_path / "old.db", about, np.zeros((2, DIM), np.float32))
        old.enrol("Ada", [Clip("a.wav", 1.0, -20.0, clips_of(1, 1).vectors[0])])
        assert "mfcl_calibrations" not in old.database.tables()
        old.close()
    found = Storage.open(tmp_path / "old.db")
    assert found.about()["schema"] == str(schema.VERSION)
    assert found.calibration() is None
    assert [voice.name for voice in found.voices()] == ["Ada"]
    found.close()


def test_a_file_cut_in_half_a_file_of_noise_an_empty_one_and_none_are_one_line_each(gallery, tmp_path):
    gallery.storage.database.forget()
    whole = (tmp_path / "team.db").read_bytes()
    cut, noise, empty = tmp_path / "cut.db", tmp_path / "noise.db", tmp_path / "empty.db"
    cut.write_bytes(whole[: len(whole) // 2])
    noise.write_bytes(np.random.default_rng(0).bytes(5000))
    empty.touch()
    assert "cut short" in refused(cut)
    assert "not a database" in refused(noise)
    assert "empty" in refused(empty)
    assert "no gallery" in refused(tmp_path / "none.db")
    assert not (tmp_path / "none.db").exists()
    assert "not a file" in refused(tmp_path)
    other = sqlite3.connect(tmp_path / "other.db")
    other.execute("CREATE TABLE songs (name TEXT)")
    other.commit()
    other.close()
    assert "songs" in refused(tmp_path / "other.db")


def test_a_changed_byte_of_an_embedding_is_found(gallery, tmp_path):
    vector = gallery.storage.clips("voice 1")[0].vector.tobytes()
    gallery.close()
    place = tmp_path / "team.db"
    content = place.read_bytes()
    at = content.index(vector)
    place.write_bytes(content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :])
    with Gallery.open(place, model=SmallListener()) as found, pytest.raises(GalleryError, match="damaged") as caught:
        found.identify(clips_of(1, 1))
    one_line(caught.value)


@pytest.mark.parametrize("content", ['{"x": 1}', "5", "[1]", "{"])
def test_a_calibration_that_cannot_be_read_is_one_line_and_can_be_made_again(gallery, content):
    gallery.calibrate(people(1000, 10), far=0.1)
    gallery.storage.database.rows("UPDATE mfcl_calibrations SET content = ?", (content,))
    with Gallery(gallery.storage, model=SmallListener()) as again:
        with pytest.raises(GalleryError, match="calibrate again") as caught:
            again.identify(clips_of(1, 1))
        one_line(caught.value)
        made, _ = again.calibrate(people(1000, 10), far=0.1)
        assert again.calibration == made
        assert again.identify(clips_of(1, 1, take=3))[0].best == "voice 1"


def test_a_full_disk_loses_only_the_enrolment_that_met_it(gallery):
    rows = gallery.storage.database.rows
    pages = rows("PRAGMA page_count")[0][0]
    rows(f"PRAGMA max_page_count = {pages + 2}")
    with pytest.raises(GalleryError, match="free some space") as caught:
        gallery.enrol("big", clips_of(4, 400))
    one_line(caught.value)
    assert len(gallery.voices) == 3
    rows("PRAGMA max_page_count = 100000")
    assert gallery.enrol("big", clips_of(4, 400)).added == 400
    assert rows("PRAGMA integrity_check") == [("ok",)]


def test_a_file_that_may_grow_no_further_is_one_line(tmp_path):
    small_gallery(tmp_path / "team.db").close()
    code = (
        "import resource, signal, sys\nfrom mfcl.errors import GalleryError\nfrom tests.small_voices import *\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))\n"
        "gallery = Gallery.open(sys.argv[1], model=SmallListener())\n"
        "try:\n    gallery.enrol('big', clips_of(1, 4000))\n"
        "except GalleryError as error:\n    print(error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "team.db")], cwd=ROOT, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    assert "check the disk" in one_line(done.stdout.strip()) or "free some space" in done.stdout
    with Gallery.open(tmp_path / "team.db") as found:
        assert found.voices == []
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[0] != 200_000


def test_two_open_galleries_see_each_others_voices(gallery, tmp_path):
    with Gallery.open(tmp_path / "team.db", model=SmallListener()) as other:
        assert other.identify(clips_of(5, 1))[0].name == "unknown"
        gallery.enrol("voice 5", clips_of(5, 4))
        assert other.identify(clips_of(5, 1, take=3))[0].best == "voice 5"
        gallery.remove("voice 5")
        assert other.identify(clips_of(5, 1, take=3))[0].best != "voice 5"


def test_an_exported_gallery_can_be_used_and_imported(gallery, tmp_path):
    made, _ = gallery.calibrate(people(1000, 10), far=0.1)
    assert [one.name for one in export(gallery.storage, tmp_path / "out.db", ["voice 2"])] == ["voice 2"]
    with pytest.raises(GalleryError, match="already"):
        export(gallery.storage, tmp_path / "out.db")
    copy = Storage.open(tmp_path / "out.db")
    assert Calibration.from_json(copy.calibration(), where="") == made
    np.testing.assert_array_equal(copy.cohort(), gallery.storage.cohort())
    with small_gallery(tmp_path / "new.db", voices=(2, 7)) as new:
        found = take_in(new.storage, copy)
        assert (found.voices, found.clips, found.skipped) == (1, 0, 4)
        gallery.enrol("voice 2", clips_of(2, 2, take=6))
        found = take_in(new.storage, gallery.storage)
        assert (found.voices, found.clips, found.skipped) == (3, 10, 4)
        assert {voice.name: voice.clips for voice in new.voices}["voice 2"] == 6
    copy.close()


def test_a_gallery_of_another_model_is_not_imported(gallery, tmp_path):
    other = small_gallery(tmp_path / "b.db", voices=(4,), listener=SmallListener("b" * 64))
    with other, pytest.raises(GalleryError, match="two models"):
        take_in(gallery.storage, other.storage)
    assert len(gallery.voices) == 3


def test_an_npz_of_voices_is_an_embeddings_file_and_nothing_else_is_exported_without_voices(gallery, tmp_path):
    from mfcl.embeddings.blocks import load_embeddings

    export(gallery.storage, tmp_path / "out.npz")
    found = load_embeddings(tmp_path / "out.npz")
    assert sorted(set(found.label("voice"))) == ["voice 1", "voice 2", "voice 3"]
    assert found.vectors.shape == (12, DIM)
    with small_gallery(tmp_path / "b.db") as empty, pytest.raises(GalleryError, match="nothing to export"):
        export(empty.storage, tmp_path / "none.npz")


def test_audio_is_kept_only_if_asked_and_comes_back(gallery, tmp_path):
    file = tmp_path / "a.wav"
    file.write_bytes(b"some sound")
    heard = clips_of(8, 1)
    named = type(heard)(heard.vectors, heard.seconds, heard.levels, (str(file),))
    gallery.enrol("Ada", named, keep_audio=True)
    assert write_audio(gallery.storage, tmp_path / "audio") == 1
    (written,) = (tmp_path / "audio").rglob("*-a.wav")
    assert written.read_bytes() == b"some sound"
    shutil.rmtree(tmp_path / "audio")
    assert write_audio(gallery.storage, tmp_path / "audio", ["voice 1"]) == 0
