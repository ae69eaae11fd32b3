"""A gallery in a folder, or on a medium, that may not be written."""

import pytest

from mfcl.errors import GalleryError
from mfcl.voices import Gallery
from tests.small_voices import SmallListener, clips_of, small_gallery
from tests.unwritable import nothing_written


def test_it_answers_refuses_changes_and_sees_what_others_enrol(tmp_path):
    folder = tmp_path
    small_gallery(folder / "team.db", voices=range(3)).close()
    with nothing_written(folder):
        reader = Gallery.open(folder / "team.db", model=SmallListener())
        assert [voice.name for voice in reader.voices] == ["voice 0", "voice 1", "voice 2"]
        assert reader.identify(clips_of(1, 2, take=3))[0].best == "voice 1"
        assert len(reader.verify("voice 2", clips_of(2, 1, take=3))) == 1
        with pytest.raises(GalleryError, match="check the permissions of the file and its folder"):
            reader.enrol("voice 3", clips_of(3, 4))
    with Gallery.open(folder / "team.db", model=SmallListener()) as writer:
        writer.enrol("voice 3", clips_of(3, 4))
    with nothing_written(folder):
        assert reader.identify(clips_of(3, 1, take=3))[0].best == "voice 3"
    reader.close()
