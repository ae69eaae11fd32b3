"""The parts of an embedding and their names in files and tables."""

import itertools

import numpy as np
import pytest

from mfcl.embeddings.parts import FORMATS, WORDS, Part, formats_of
from mfcl.embeddings.table import Embeddings
from mfcl.errors import MeasureError, MfclError

SIX = ["wave words", "wave words projection", "wave voices", "mel words", "mel words projection", "mel voices"]


def six() -> Embeddings:
    parts = {name: (place, place + 1) for place, name in enumerate(SIX)}
    names = np.array(["a.wav"])
    return Embeddings(np.arange(6, dtype=np.float32)[None], names, {}, parts, names)


def test_a_part_is_read_back_from_its_name() -> None:
    for format, role, stage in itertools.product(FORMATS, ("", *WORDS), ("", "projection", "pooled")):
        part = Part(format, role, stage)
        assert Part.parse(str(part)) == part
    assert [str(Part.parse(name)) for name in SIX] == SIX
    assert Part.parse("mel words projection") == Part("mel", "content", "projection")


@pytest.mark.parametrize("name", ["MFCC statistics", "", "mel  words", "mel words words", "mel projection words", "x"])
def test_a_name_of_no_models_part_is_kept_as_it_is(name: str) -> None:
    assert Part.parse(name) == Part(name)
    assert str(Part.parse(name)) == name


def test_columns_are_chosen_by_a_name_that_may_leave_something_out() -> None:
    def chosen(name: str) -> list[str]:
        return list(six().only(name).parts)

    assert chosen("mel") == SIX[3:]
    assert chosen("words") == chosen("content") == [SIX[0], SIX[1], SIX[3], SIX[4]]
    assert chosen("voices") == chosen("speaker") == [SIX[2], SIX[5]]
    assert chosen("speaker mel") == ["mel voices"]
    assert chosen("projection") == [SIX[1], SIX[4]]
    with pytest.raises(MeasureError, match=r"no part is called 'mel voice'.*did you mean 'mel voices'"):
        chosen("mel voice")


def test_a_part_is_a_key_and_its_size_is_told() -> None:
    part = Part("mel", "speaker")
    assert six().part(part).tolist() == six().part("mel voices").tolist() == [[5.0]]
    assert six().sizes[part] == 1


def test_a_part_in_place_of_a_format_is_said() -> None:
    assert formats_of("both") == ("wave", "mel")
    assert formats_of("mel") == ("mel",)
    with pytest.raises(
        MfclError, match=r"no format is called 'words'; use one of both, mel, wave; give 'words' as part"
    ):
        formats_of("words")
