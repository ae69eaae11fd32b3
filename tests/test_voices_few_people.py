"""Evaluation where people or words are few: what cannot be measured is left out and said, the rest is measured."""

from dataclasses import replace
from pathlib import Path

import pytest

from mfcl.data.manifest import Manifest
from mfcl.errors import GalleryError, MeasureError
from tests.small_voices import SmallListener, people, small_gallery


@pytest.fixture
def gallery(tmp_path):
    with small_gallery(tmp_path / "team.db", voices=range(5)) as made:
        yield made


def with_property(manifest, name, value):
    """The same recordings with a column that is a property of the person in place of the digit."""
    rows = [
        replace(one, labels={"speaker": one.label("speaker"), name: value(int(one.label("speaker")))})
        for one in manifest
    ]
    return Manifest(tuple(rows), Path())


def test_a_column_that_is_a_property_of_the_person_gives_no_words_apart(gallery):
    held = with_property(people(1000, 8), "gender", lambda person: "fm"[person % 2])
    found = gallery.evaluate(held, clips=(1, 3))
    assert {one.clips for one in found.figures if one.what == "accuracy"} == {1, 3}
    assert not any(one.apart for one in found.figures)
    assert "1 clip with words apart: nobody who is enrolled is tested" in found.notes


@pytest.mark.parametrize("count", [2, 3])
def test_an_open_set_of_too_few_people_is_left_out_and_the_rest_is_measured(gallery, count):
    found = gallery.evaluate(people(1000, count), clips=(1, 3))
    whats = {one.what for one in found.figures}
    assert {"accuracy", "eer"} <= whats
    if count == 2:
        assert "misses" not in whats
        assert sum("in an open set" in note for note in found.notes) == 2


def test_people_who_cannot_be_enrolled_make_no_interval_of_a_few_others(tmp_path):
    """Own voices are tested of two people alone, whoever else is drawn."""
    many, few = people(1000, 2, clips=20), people(2000, 9, clips=4)
    with small_gallery(tmp_path / "team.db", voices=range(5), listener=SmallListener(noise=3.0)) as gallery:
        found = gallery.evaluate(Manifest(many.recordings + few.recordings, Path()), clips=(1, 10))
    rates = {one.clips: one for one in found.figures if one.what == "eer" and one.seconds is None}
    assert rates[1].low is not None
    assert rates[10].low is None


@pytest.mark.parametrize("clips", [(), (0,), (3, -1)])
def test_numbers_of_clips_that_are_none_are_refused(gallery, clips):
    with pytest.raises(MeasureError, match="wanted"):
        gallery.evaluate(people(1000, 8), clips=clips)
    with pytest.raises(MeasureError, match="clips: wanted a whole number from 1 to 1000000, got 0"):
        gallery.calibrate(people(1000, 8), clips=0)
    with pytest.raises(GalleryError, match="size: wanted a whole number"):
        gallery.threshold(-1)


def test_only_the_number_of_clips_that_few_people_have_has_no_open_set(gallery):
    many, few = people(1000, 2, clips=12), people(2000, 9, clips=4)
    found = gallery.evaluate(Manifest(many.recordings + few.recordings, Path()), clips=(1, 10))
    assert {one.clips for one in found.figures if one.what == "misses"} == {1}
    assert any(note.startswith("10 clips in an open set: ") for note in found.notes)
    with pytest.raises(MeasureError, match="two or more people"):
        gallery.evaluate(people(1000, 1))
