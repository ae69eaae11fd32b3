"""Names that look the same are one voice, and what cannot be a voice is not enrolled."""

import datetime
import unicodedata

import numpy as np
import pytest

from mfcl.errors import GalleryError
from mfcl.voices import Heard
from mfcl.voices.exchange import take_in
from mfcl.voices.naming import check_consent, check_name
from mfcl.voices.storage import Storage
from tests.small_voices import clips_of, small_gallery

ONE, TWO = (unicodedata.normalize(form, "José") for form in ("NFC", "NFD"))


@pytest.fixture
def gallery(tmp_path):
    with small_gallery(tmp_path / "team.db", voices=(1, 2)) as made:
        yield made


def test_nothing_is_noted_of_a_voice_without_clips(gallery):
    nothing = clips_of(9, 1).select(np.zeros(1, dtype=bool))
    with pytest.raises(GalleryError, match="give others"):
        gallery.enrol("new", nothing, consent="2026-01-02")
    assert names(gallery) == ["voice 1", "voice 2"]


def names(gallery):
    return [voice.name for voice in gallery.voices]


def test_two_spellings_that_look_the_same_are_one_voice(gallery, tmp_path):
    assert gallery.enrol(TWO, clips_of(3, 4)).name == ONE
    assert gallery.enrol(ONE, clips_of(3, 2, take=1)).clips == 6
    assert names(gallery) == [ONE, "voice 1", "voice 2"]
    assert gallery.verify(TWO, clips_of(3, 1, take=2))[0].claimed == ONE
    with pytest.raises(GalleryError, match="already"):
        gallery.rename("voice 1", TWO)
    with small_gallery(tmp_path / "other.db") as other:
        other.enrol("x", clips_of(3, 1, take=7))
        other.storage.database.rows("UPDATE mfcl_voices SET name = ?", (TWO,))
        take_in(gallery.storage, other.storage)
    assert gallery.storage.find(TWO).clips == 7
    gallery.remove(TWO)
    assert names(gallery) == ["voice 1", "voice 2"]


def test_a_voice_of_an_older_gallery_is_found_by_both_spellings(gallery):
    gallery.storage.database.rows("UPDATE mfcl_voices SET name = ? WHERE name = 'voice 1'", (TWO,))
    assert gallery.storage.find(ONE).name == TWO
    assert gallery.enrol(ONE, clips_of(1, 2, take=3)).clips == 6
    gallery.rename(ONE, ONE)
    assert names(gallery) == [ONE, "voice 2"]


def test_reading_the_clips_of_a_voice_does_not_count_those_of_all(gallery, monkeypatch):
    monkeypatch.setattr(Storage, "voices", lambda _: pytest.fail("all voices are read"))
    assert len(gallery.storage.clips("voice 1")) == 4


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_vectors_that_are_not_finite_or_of_another_size_are_not_enrolled(gallery, value):
    heard = clips_of(9, 3)
    vectors = heard.vectors.copy()
    vectors[1, 2] = value
    for wrong in (
        Heard(vectors, heard.seconds, heard.levels, heard.sources),
        Heard(heard.vectors, np.array([1.0, value, 1.0]), heard.levels, heard.sources),
        clips_of(9, 3, dim=30),
    ):
        for use in (lambda one: gallery.enrol("Ada", one), gallery.identify):
            with pytest.raises(GalleryError, match="wanted") as caught:
                use(wrong)
            assert len(str(caught.value).splitlines()) == 1
    assert names(gallery) == ["voice 1", "voice 2"]


def test_a_name_or_a_date_that_is_no_text_is_refused_in_one_line():
    for name in (5, None, np.int64(3)):
        with pytest.raises(GalleryError, match="voice: wanted a name of 1 to 200 printable characters"):
            check_name(name)
    with pytest.raises(GalleryError, match="consent: wanted a date such as 2026-11-02"):
        check_consent(datetime.date(2026, 11, 2))


def test_a_day_of_consent_that_is_yet_to_come_is_refused_and_today_is_not_in_any_time_zone():
    now = datetime.datetime.now(datetime.UTC)
    with pytest.raises(GalleryError, match=r"wanted the day on which the person agreed, got .*, which is yet to come"):
        check_consent(str((now + datetime.timedelta(hours=15, days=1)).date()))
    check_consent(str(now.date()))
    check_consent(str((now + datetime.timedelta(hours=13)).date()))  # of a person who is ahead of the machine
