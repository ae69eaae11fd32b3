"""Labels of recordings from a CSV: which recording a row names."""

import unicodedata
from pathlib import Path
from typing import Literal, TypeAlias

import pytest

from mfcl.data.ids import default_id
from mfcl.data.label_table import read_labels
from mfcl.data.manifest import Recording
from mfcl.errors import ManifestError

Form: TypeAlias = Literal["NFC", "NFD"]


def windows(folder: Path, count: int = 6, name: str = "day.wav") -> list[Recording]:
    """Windows of half a second of one file, as `mfcl scan --segment 0.5` lists them."""
    spans = [(place / 2, place / 2 + 0.5) for place in range(count)]
    return [Recording(default_id(folder / name, folder, *one), folder / name, *one) for one in spans]


def labels(folder: Path, text: str, recordings: list[Recording], *, heard: bool = True) -> list[str]:
    (folder / "lab.csv").write_text(text, encoding="utf-8")
    ids = [one.id for one in recordings]
    return read_labels(folder / "lab.csv", ids, recordings=recordings if heard else ()).values.tolist()


@pytest.mark.parametrize("heard", [True, False])
def test_a_row_labels_the_segment_of_its_start_and_end(tmp_path: Path, heard: bool) -> None:
    text = "path,start,end,label\nday.wav,0.0,0.5,wren\nday.wav,2,2.5,owl\n"
    assert labels(tmp_path, text, windows(tmp_path), heard=heard) == ["wren", "", "", "", "owl", ""]


@pytest.mark.parametrize("names", ["start_time,end_time", "begin,stop"])
def test_times_have_the_names_that_they_may_have_in_a_manifest(tmp_path: Path, names: str) -> None:
    text = f"path,{names},label\nday.wav,0.0,0.5,wren\nday.wav,2,2.5,owl\n"
    assert labels(tmp_path, text, windows(tmp_path)) == ["wren", "", "", "", "owl", ""]


def test_times_are_equal_within_a_microsecond_and_no_start_is_the_beginning(tmp_path: Path) -> None:
    text = "path,start,end,label\nday.wav,,0.5000004,wren\nday.wav,0.4999996,1,owl\nday.wav,0.6,1,none\n"
    assert labels(tmp_path, text, windows(tmp_path)) == ["wren", "owl", "", "", "", ""]
    whole = Recording("day.wav", tmp_path / "day.wav")
    assert labels(tmp_path, "path,start,end,label\nday.wav,0,,wren\n", [whole]) == ["wren"]


def test_a_path_of_several_recordings_is_refused_and_of_one_is_enough(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match=r"lab.csv, line 2: 'day.wav' names 6 recordings; give the columns `start`"):
        labels(tmp_path, "path,label\nday.wav,wren\n", windows(tmp_path))
    assert labels(tmp_path, "path,label\nday.wav,wren\n", windows(tmp_path, 1)) == ["wren"]
    with pytest.raises(ManifestError, match="line 2: start is 'x'; give seconds"):
        labels(tmp_path, "path,start,label\nday.wav,x,wren\n", windows(tmp_path))


def test_a_label_is_not_cut_at_a_comma(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match=r"lab.csv, line 3: 3 cells under 2 columns; put quotes around"):
        labels(tmp_path, "path,label\nday.wav,wren,\nday.wav,wren, male\n", windows(tmp_path, 1))
    assert labels(tmp_path, 'path,label\nday.wav,"wren, male",\n', windows(tmp_path, 1)) == ["wren, male"]


@pytest.mark.parametrize("key", ["id", "path"])
@pytest.mark.parametrize("heard", [True, False])
@pytest.mark.parametrize("forms", [("NFC", "NFD"), ("NFD", "NFC")])
def test_an_accent_apart_from_its_letter_is_the_same_name_and_the_same_label(
    tmp_path: Path, key: str, heard: bool, forms: tuple[Form, Form]
) -> None:
    of_disk, of_table = forms
    names = [unicodedata.normalize(of_disk, f"B\u00e4r/{number}.wav") for number in range(3)]
    recordings = [Recording(name, tmp_path / name) for name in names]
    rows = [f"{unicodedata.normalize(of_table, names[0])},\u00e9t\u00e9", f"{names[1]},e\u0301te\u0301"]
    found = labels(tmp_path, f"{key},label\n" + "\n".join(rows) + "\n", recordings, heard=heard)
    assert found == ["\u00e9t\u00e9", "\u00e9t\u00e9", ""]


def test_two_recordings_whose_names_differ_in_the_form_of_an_accent_are_told_apart(tmp_path: Path) -> None:
    names = ["B\u00e4r.wav", "Ba\u0308r.wav"]
    recordings = [Recording(name, tmp_path / name) for name in names]
    text = f"path,label\n{names[0]},one\n{names[1]},two\n"
    assert labels(tmp_path, text, recordings) == ["one", "two"]
