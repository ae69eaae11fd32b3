"""Names on the axes of a matrix: short, different where the classes are, whole on hover."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from mfcl.evaluation.result import LINEAR, SUPERVISED, Question, Representation
from mfcl.evaluation.summary import Summary
from mfcl.report.charts import standing
from mfcl.report.phrases import distinct
from mfcl.report.svg.matrices import LETTERS, matrix

SOUNDS = [
    "001 - Dog bark",
    "002 - Rain",
    "003 - Sea waves",
    "004 - Baby cry",
    "005 - Clock tick",
    "006 - Person sneeze",
]
LONG = [f"a long name that many begin with, {kind} {end}" for kind in ("sung", "spoken") for end in ("high", "low")]


def test_numbers_before_the_names_of_classes_give_way_to_the_names() -> None:
    assert distinct(SOUNDS, 12) == ["Dog bark", "Rain", "Sea waves", "Baby cry", "Clock tick", "Person snee…"]
    assert distinct(["1 - Rain", "2 - Rain"], 5) == ["1 -…", "2 -…"]  # here the numbers are the difference
    assert distinct(["2024-01-05", "2024-01-06"], 6) == ["…05", "…06"]


def test_what_long_names_share_is_left_out() -> None:
    assert distinct(LONG, 12) == ["…sung high", "…sung low", "…spoken high", "…spoken low"]
    short = distinct([*LONG, "a dog"], 12)  # one of another kind must not cost the others their difference
    assert len(set(short)) == 5


WORDS = st.text("ab1 -", max_size=30)


NAMES = st.one_of(WORDS, WORDS.map(lambda text: "the same long head " + text))


@settings(deadline=None)
@given(st.lists(NAMES, max_size=60), st.integers(3, 15))
def test_whatever_the_names_they_are_short_and_differ_where_the_names_do(names: list[str], room: int) -> None:
    short = distinct(names, room)
    assert all(len(word) <= room for word in short)
    assert len(set(zip(names, short, strict=True))) == len(set(names)) == len(set(short))


def test_both_axes_of_a_matrix_have_names_that_differ_and_are_whole_on_hover() -> None:
    for classes in (SOUNDS, LONG):
        drawing = str(matrix("x", classes, np.eye(len(classes), dtype=np.int64), classes))
        for whole, short in zip(classes, distinct(classes, LETTERS), strict=True):
            assert drawing.count(f"<title>{whole}</title>{short}</text>") == 2
        assert drawing.count("rotate(-90 ") == len(classes)
    digits = [str(digit) for digit in range(10)]
    assert "rotate" not in str(matrix("x", digits, np.eye(10, dtype=np.int64), digits))


def test_rows_of_a_chart_that_begin_alike_are_told_apart() -> None:
    asked = Question("labels", "accuracy", "digit", LINEAR)
    found = [
        Summary(asked, Representation(SUPERVISED, "", view), 90.0, None, None, 9, None, (0,), 1.0, "")
        for view in ("wave", "mel", "both")
    ]
    (plot,) = standing(found)
    drawing = str(plot.drawings[0])
    for view in ("wave", "mel", "both"):
        assert f"<title>supervised, {view} (all labels)</title>…{view} (all labels)</text>" in drawing
