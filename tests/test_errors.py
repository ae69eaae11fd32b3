"""What an error says, whatever names are in it."""

import copy
import pickle

import pytest

from mfcl.data.columns import read_columns
from mfcl.errors import AudioError, ManifestError, MfclError


@pytest.mark.parametrize("end", ["\n", "\r", "\r\n", "\v", "\f", "\x1c", "\x85", "\u2028", "\u2029"])
def test_a_message_is_one_line_whatever_name_is_in_it(end: str) -> None:
    text = str(AudioError(f"a{end}b.wav: cannot be opened"))
    assert len(text.splitlines()) == 1
    assert text.startswith("a\\")
    assert text.endswith("b.wav: cannot be opened")


def test_the_columns_of_a_list_are_told_on_one_line() -> None:
    with pytest.raises(ManifestError) as caught:
        read_columns(["x\ny", "id"], "list.csv")
    assert str(caught.value) == r"list.csv: wanted a column `path`, got the columns x\ny, id; add it"


def test_an_error_is_copied_and_sent_to_another_process_as_it_is() -> None:
    for again in (pickle.loads(pickle.dumps(AudioError("a\nb"))), copy.copy(AudioError("a\nb"))):
        assert type(again) is AudioError
        assert str(again) == r"a\nb"
    assert str(MfclError()) == ""
