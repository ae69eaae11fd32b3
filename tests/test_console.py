"""What a person reads on a terminal: tables folded to its width, and durations."""

import io
import re
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mfcl.core import console
from mfcl.core.console import NARROWEST, duration, table

TWO = ["one", "a longer head"]
ROWS = [
    ("digit, linear probe, 10 labels a class", "93.0 [85.0, 95.0]", 450),
    ("digit, 5-NN", ("90.1", "[80.0, 95.5]"), 1),
]
HEADS = ["task", "accuracy, %", "n"]


@pytest.mark.parametrize("columns", [40, 48, 60, 66, 80, 120])
def test_no_line_of_a_table_is_wider_than_the_terminal(columns, monkeypatch):
    whole = table(ROWS, HEADS)
    monkeypatch.setattr(console, "width", lambda: columns)
    folded = table(ROWS, HEADS)
    assert max(map(len, folded.splitlines())) <= columns
    assert sorted(re.sub("-+", "", folded).split()) == sorted(re.sub("-+", "", whole).split())  # nothing is lost
    assert (folded == whole) == (columns >= max(map(len, whole.splitlines())))


def test_lines_of_a_cell_stand_below_one_another_and_a_line_end_in_a_text_does_not():
    lines = table([(("90.1", "[80.0, 95.5]"), "a\nb")], ["figure", "name"]).splitlines()
    assert [line.split() for line in lines[2:]] == [["90.1", r"a\nb"], ["[80.0,", "95.5]"]]
    assert "\x1b" not in table([(("\x1b[2J", "x"),)], [("\x1b[1m", "figure")])


def test_a_terminal_too_narrow_for_words_keeps_a_few_characters_a_column(monkeypatch):
    monkeypatch.setattr(console, "width", lambda: 10)
    assert max(map(len, table([("a" * 40, "b" * 40)], ["x", "y"]).splitlines())) == 2 * NARROWEST + 2


def test_a_table_for_a_file_is_not_folded(monkeypatch):
    monkeypatch.setattr(console, "width", lambda: 30)
    assert max(map(len, table(ROWS, HEADS, style="github").splitlines())) > 30
    monkeypatch.undo()
    monkeypatch.setattr(sys, "stdout", io.StringIO())
    assert console.width() is None
    assert max(map(len, table(ROWS, HEADS).splitlines())) > 60


CELLS = st.text("ab ", max_size=60)


@given(st.lists(st.tuples(CELLS, CELLS), min_size=1), st.integers(23, 130))
def test_the_widest_columns_give_way_first_and_heads_are_never_folded(rows, most):
    widths = console._column_widths(rows, TWO, most)
    heads = [len(head) + 2 for head in TWO]  # as `tabulate` sets them
    wanted = [max(head, *map(len, column)) for head, column in zip(heads, zip(*rows, strict=True), strict=True)]
    assert sum(widths) + 2 <= most
    assert all(head <= width <= asked for head, width, asked in zip(heads, widths, wanted, strict=True))
    if widths != wanted:
        assert sum(widths) + 2 == most
        for place in (0, 1):
            if widths[place] < wanted[place]:  # gave way: the other one is no wider, or is its head
                other = 1 - place
                assert widths[other] <= widths[place] + 1 or widths[other] == heads[other]


@given(st.lists(st.tuples(st.text("ab-", max_size=60), st.text("ab-", max_size=60)), min_size=1), st.integers(23, 90))
def test_whatever_the_cells_no_line_is_wider_than_the_terminal(rows, most):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(console, "width", lambda: most)
        assert max(map(len, table(rows, TWO).splitlines())) <= most


def test_times_are_said_as_a_person_says_them():
    assert [duration(value) for value in (0.2, 1.0, 89.0, 91.0, 5300.0, 5400.0, 90000.0)] == [
        *("0 s", "1 s", "89 s", "2 min", "88 min", "1.5 h", "25 h"),
    ]
