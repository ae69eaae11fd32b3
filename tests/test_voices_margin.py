"""The margin to the next voice: where it counts, where it does not, and what is said of it."""

import pytest

from mfcl.cli.voices_text import expected
from mfcl.errors import GalleryError
from tests.small_voices import clips_of, people, small_gallery


def named(gallery, **options):
    """Who is named of ten enrolled voices, each by a clip of its own."""
    return [gallery.identify(clips_of(voice, 1, take=9), **options)[0].name for voice in range(10)]


@pytest.mark.parametrize("nearest", [0, 40])
def test_an_uncalibrated_gallery_names_enrolled_people_by_cosines_too(tmp_path, nearest):
    with small_gallery(tmp_path / "team.db", voices=range(10), nearest=nearest) as gallery:
        assert named(gallery) == [f"voice {voice}" for voice in range(10)]
        assert gallery.threshold().margin == (0.7 if nearest else 0)
        gallery.calibrate(people(100, 30), far=0.05)
        assert gallery.threshold().margin == 0.7


@pytest.mark.parametrize("margin", [float("nan"), -1.0, float("inf")])
def test_a_margin_that_is_no_number_is_refused(tmp_path, margin):
    with small_gallery(tmp_path / "team.db", voices=range(3)) as gallery, pytest.raises(GalleryError, match="margin"):
        gallery.identify(clips_of(1, 1, take=9), least_margin=margin)


def test_the_shares_that_are_told_leave_the_margin_out_and_it_is_said(tmp_path):
    with small_gallery(tmp_path / "team.db", voices=range(10)) as gallery:
        gallery.calibrate(people(100, 30), far=0.05)
        threshold = gallery.threshold()
    assert expected(threshold, 10, 0.7).endswith("; a margin below 0.7 leaves more without a name")
    assert expected(threshold, 10).endswith("(95 % over people)")
    assert expected(threshold, 1, 0.7).endswith("(95 % over people)")
