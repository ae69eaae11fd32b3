"""A damaged folder of a study gives its report or one line that names the file, never a traceback."""

import copy
import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mfcl.errors import MfclError
from mfcl.report.load import read_study
from mfcl.report.page import render
from tests.report_data import write_study

FILES = ("results.json", "pictures.json", "about.json", "summaries.json", "differences.json")
SAMPLE = 60
"""Mutations that are tried of each folder; a seed draws them from all."""
DEEP = "[" * 100_000
NOTHING = object()
"""Stands for a key that is taken away."""
VALUES: tuple[Any, ...] = (
    NOTHING, None, True, "", "x", "mel", "\ud800", 0, -1, 3, 2.5, 1e300, 10**400, float("nan"), float("inf"),
    [], {}, [[]], [None], ["a"], [1, "a"], [[1, 2], [3]], {"a": 1}, [{"a": []}],
)  # fmt: skip


def small(folder: Path, *, old: bool) -> dict[str, Any]:
    """Write a study of a few rows and pictures of each kind; return its files."""
    write_study(folder, seeds=1, speakers=3, takes=1, old=old)
    files = {name: json.loads((folder / name).read_text("utf-8")) for name in FILES if (folder / name).is_file()}
    for name, rows in files.items():
        if isinstance(rows, list):
            kept: dict[tuple[str, ...], Any] = {}
            for row in rows:
                kept.setdefault((row["table"], row["task"], row["metric"]), []).append(row)
            whose = ("pre-trained, both", "untrained, both", "MFCC statistics")
            files[name] = [
                row
                for own in list(kept.values())[::3]
                for row in own
                if row.get("representation", "pre-trained, both") in whose
            ]
    pictures = files["pictures.json"]
    for kind in ("maps", "confusions", "groups", "det", "training"):
        ours = [one for one in pictures[kind] if one.get("representation", "pre-trained, both") == "pre-trained, both"]
        pictures[kind] = ours[:1]
    for name, value in files.items():
        (folder / name).write_text(json.dumps(value), encoding="utf-8")
    return files


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield where every kind of value stands; of lists the first and the last entry."""
    yield path
    if isinstance(value, dict):
        for key, own in value.items():
            yield from places(own, (*path, key))
    elif isinstance(value, list) and value:
        for place in {0, len(value) - 1}:
            yield from places(value[place], (*path, place))


def changed(value: Any, path: tuple[Any, ...], new: Any) -> Any:
    """Return a copy with one value changed or taken away."""
    if not path:
        return None if new is NOTHING else new
    found = copy.deepcopy(value)
    holder = found
    for key in path[:-1]:
        holder = holder[key]
    if new is NOTHING:
        del holder[path[-1]]
    else:
        holder[path[-1]] = new
    return found


def report_or_line(folder: Path, name: str) -> bool:
    """Make the page; return whether there is one, and look at the line that says why there is none."""
    line = ""
    try:
        render(read_study(folder)).encode("utf-8")
    except MfclError as error:
        line = str(error)
    assert "\n" not in line
    assert not line or name in line
    assert len(line) < 600
    return not line


@pytest.mark.parametrize("old", [False, True])
def test_a_value_of_a_wrong_kind_anywhere_is_one_line_that_names_its_file(tmp_path: Path, old: bool) -> None:
    files = small(tmp_path, old=old)
    tries = [(name, path, new) for name, value in files.items() for path in places(value) for new in VALUES]
    assert len(tries) > 4000
    refused = 0
    for name, path, new in random.Random(3).sample(tries, SAMPLE):
        whole = (tmp_path / name).read_text("utf-8")
        (tmp_path / name).write_text(json.dumps(changed(files[name], path, new)), encoding="utf-8")
        refused += not report_or_line(tmp_path, name)
        (tmp_path / name).write_text(whole, encoding="utf-8")
    assert report_or_line(tmp_path, "")
    assert refused > SAMPLE / 3


def test_a_file_that_breaks_off_or_is_no_json_is_one_line(tmp_path: Path) -> None:
    files = small(tmp_path, old=False)
    for name in files:
        whole = (tmp_path / name).read_text("utf-8")
        half = whole[: len(whole) // 2]
        for text in ("", half, DEEP, "\0", "NaN", f'{{"a": {"9" * 5000}}}', "[" * 50 + "]" * 50):
            (tmp_path / name).write_text(text, encoding="utf-8")
            assert not report_or_line(tmp_path, name) or name == "about.json"
        (tmp_path / name).write_bytes(b"\xff\xfe")
        assert not report_or_line(tmp_path, name)
        (tmp_path / name).write_text(whole, encoding="utf-8")


def test_a_manifest_that_is_no_table_is_one_line(tmp_path: Path) -> None:
    small(tmp_path, old=False)
    for content in (b"\xff\xfe", b"", b"path\n" + b'"' + b"x" * 200_000, b"path,speaker,split\n1\n2,3,4,5\n"):
        (tmp_path / "manifest.csv").write_bytes(content)
        report_or_line(tmp_path, "manifest.csv")


def test_the_line_names_the_row_and_the_key(tmp_path: Path) -> None:
    files = small(tmp_path, old=False)
    for name, path, words in (
        ("results.json", (1, "value"), "row 2, 'value': wanted a finite number, got 'x'"),
        ("summaries.json", (0, "seeds"), "row 1, 'seeds': wanted a list of whole numbers, got 'x'"),
        ("differences.json", (0, "first"), "row 1, 'first': wanted key: value pairs, got 'x'"),
        ("pictures.json", ("confusions", 0, "counts"), "confusions, row 1, 'counts': wanted rows of 10 numbers, got"),
        ("pictures.json", ("training", 0, "epochs", 1, "loss"), "epochs, row 2, 'loss': wanted a finite number"),
        ("pictures.json", ("method", "mel"), "method, 'mel': wanted rows of equally many numbers, got 'x'"),
        ("about.json", ("parts", "test", "speakers"), "parts, 'test', 'speakers': wanted a finite number, got 'x'"),
    ):
        whole = (tmp_path / name).read_text("utf-8")
        (tmp_path / name).write_text(json.dumps(changed(files[name], path, "x")), encoding="utf-8")
        with pytest.raises(MfclError) as caught:
            read_study(tmp_path)
        assert words in str(caught.value)
        assert str(tmp_path / name) in str(caught.value)
        (tmp_path / name).write_text(whole, encoding="utf-8")
