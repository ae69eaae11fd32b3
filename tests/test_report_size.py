"""The page of a study of many classes and long names stays small, and says what it leaves out."""

import json
from pathlib import Path

import numpy as np
import pytest

from mfcl.evaluation.result import PRETRAINED, UNTRAINED, Representation
from mfcl.evaluation.result_file import view_row
from mfcl.report.load import Study, read_study
from mfcl.report.page import render
from mfcl.report.phrases import distinct
from mfcl.report.picture_charts import confusions
from mfcl.report.pictures import Confusion, Pictures
from tests.report_data import write_study
from tests.test_report import elements

LONG = 5000
"""Letters of the longest name."""


def many(folder: Path, classes: int, *, long: bool = False) -> Study:
    """Write a study whose label has so many values and whose confusions are everywhere; names may be very long."""
    write_study(folder, seeds=1, speakers=3, takes=1, label="x" * LONG if long else "species")
    pictures = json.loads((folder / "pictures.json").read_text("utf-8"))
    rng = np.random.default_rng(0)
    names = [f"species-{place:05d}" + ("y" * LONG if long else "") for place in range(classes)]
    counts = (rng.integers(1, 9, (classes, classes)) + 90 * np.eye(classes, dtype=int)).tolist()
    whose = [Representation(kind, "", "both") for kind in (PRETRAINED, UNTRAINED)]
    pictures["confusions"] = [{**view_row(one), "seed": 0, "classes": names, "counts": counts} for one in whose]
    pictures["groups"] = [
        {**view_row(one), "by": "species", "names": names, "accuracy": [50.0] * classes, "n": [9] * classes}
        for one in whose
    ]
    ids = [f"clip-{place}" + ("z" * LONG if long else "") for place in range(2 * classes)]
    spots = rng.normal(size=(2, len(ids))).tolist()
    pictures["maps"] = [
        {**view_row(one), "seed": 0, "ids": ids, "x": spots[0], "y": spots[1], "labels": {"species": names * 2}}
        for one in whose
    ]
    (folder / "pictures.json").write_text(json.dumps(pictures), encoding="utf-8")
    return read_study(folder)


@pytest.mark.parametrize(("classes", "long"), [(1000, False), (100, True)])
def test_many_classes_and_long_names_make_no_large_page(tmp_path: Path, classes: int, long: bool) -> None:
    page = render(many(tmp_path, classes, long=long))
    assert len(page.encode("utf-8")) < 4_000_000
    assert len(elements(page)) < 15_000
    assert f"30 most confused of {classes:,} classes" in page
    assert "y" * 300 not in page.partition('id="map-data"')[2]


def test_the_most_confused_classes_are_drawn_and_all_matrices_show_the_same() -> None:
    names = [f"{place:03d}" for place in range(300)]
    first, second = (9 * np.eye(300, dtype=np.int64) for _ in range(2))
    for row in range(100, 130):
        first[row, (row + 1) % 300] = row
    second[0, 1] = 5
    whose = [Representation(kind, "", "both") for kind in (PRETRAINED, UNTRAINED)]
    drawn = [Confusion(one, names, counts) for one, counts in zip(whose, (first, second), strict=True)]
    plots = confusions(Pictures(confusions=tuple(drawn)))
    assert [plot.title for plot in plots] == [
        "Confusions, pre-trained, both, the 30 most confused of 300 classes",
        "Confusions, untrained, both, the same 30 of 300 classes",
    ]
    cells = str(plots[0].drawings[0])
    assert cells.count('class="miss"') == 29  # the first of them is taken for the second, and so on
    assert "129 taken for 130" in cells
    assert "099" not in cells
    assert str(plots[1].drawings[0]).count('class="hit"') == 30


def test_names_that_begin_alike_are_told_apart_on_the_axes() -> None:
    names = [f"species-{place:03d}" for place in range(10)]
    for room in (4, 9):
        short = distinct(names, room)
        assert len(set(short)) == len(names)
        assert all(len(word) <= room for word in short)
    (plot,) = confusions(
        Pictures(confusions=(Confusion(Representation(PRETRAINED, "", "both"), names, np.eye(10, dtype=np.int64)),))
    )
    drawing = str(plot.drawings[0])
    assert all(drawing.count(f"species-{place:03d}</text>") == 2 for place in range(10))
    assert "<title>species-007</title>" in drawing
