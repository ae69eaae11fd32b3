"""What a label book holds cell by cell, and the checks of what enters it."""

import json
import re
import unicodedata
from collections.abc import Sequence
from typing import NamedTuple

from mfcl.errors import MfclError, one_of, shown

LABEL, NOTE, REJECTED, HELD, DROPPED = KINDS = ("label", "note", "rejected", "held", "dropped")
"""What a cell holds: a label, a note, the labels it is not (a JSON list), "1" for a place in the held-out set, or, of
any clip, a label that the column shall not list any more."""
HOW = ("picked", "lassoed", "accepted", "rejected", "spread", "noted", "drawn", "imported", "dropped")
LONGEST = {LABEL: 100, NOTE: 2000, REJECTED: 5000, HELD: 1, DROPPED: 100}
"""Most characters of a cell."""
FORMULA = ("=", "+", "-", "@")
"""What a spreadsheet takes for the beginning of a formula."""
NUMBER = re.compile(r"[+-](\d+([.,]\d+)?)?")
TURNING = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
"""Marks, embeddings, overrides and isolates of the direction of writing (Unicode, UAX 9)."""
MOST_CELLS = 200_000
"""Most cells of one step."""


class LabelsError(MfclError):
    """Labels that cannot be kept or read."""


class Cell(NamedTuple):
    """A change of one clip."""

    clip: int
    kind: str
    value: str


def home(column: str, kind: str) -> str:
    """Return the column that a cell belongs to: notes belong to none."""
    return "" if kind == NOTE else column


def check_step(column: str, how: str, cells: Sequence[Cell], clips: int) -> None:
    """Check a step before anything is written.

    Raises:
        LabelsError: a name is too long or no single line, a clip is not there, or a value cannot be kept.
    """
    if how not in HOW:
        raise LabelsError(f"labels: {one_of('way to label', str(how), HOW)}")
    if column or any(kind != NOTE for _, kind, _ in cells):  # notes belong to no column
        check_line("column", column)
    if len(cells) > MOST_CELLS:
        raise LabelsError(f"labels: wanted at most {MOST_CELLS} changes in one step, got {len(cells)}")
    for clip, kind, value in cells:
        if kind not in KINDS:
            raise LabelsError(f"labels: {one_of('kind of cell', str(kind), KINDS)}")
        if not isinstance(clip, int) or isinstance(clip, bool) or not 0 <= clip < clips:
            raise LabelsError(f"labels: wanted a clip from 0 to {clips - 1}, got {shown(clip)}")
        if not isinstance(value, str) or len(value) > LONGEST[kind]:
            raise LabelsError(f"{kind}: wanted at most {LONGEST[kind]} characters, got {shown(value)}")
        if (kind == LABEL and value) or kind == DROPPED:
            check_line(LABEL, value)
        if kind == HELD and value not in ("", "1"):
            raise LabelsError(f"held: wanted 1 or nothing, got {shown(value)}")
        if kind == REJECTED and value:
            _check_rejected(value)


def check_line(what: str, text: object) -> None:
    """Check the name of a column or a label: one line of up to 100 letters, without outer spaces.

    Invisible characters that turn the direction of writing are refused, for they show one label as another, and so is
    the beginning of a formula: a spreadsheet would run it, and any sign put before it would make it another label for
    every other program. A number with a sign, or a sign alone, is harmless.

    Raises:
        LabelsError: it is not.
    """
    plain = isinstance(text, str) and 0 < len(text) <= LONGEST[LABEL] and text == text.strip()
    if plain and str(text).startswith(FORMULA) and not NUMBER.fullmatch(str(text)):
        raise LabelsError(f"{what}: {shown(text)} begins as a formula of a spreadsheet does; begin with a letter")
    if not plain or any(_hidden(one) for one in str(text)):
        raise LabelsError(f"{what}: wanted one line of 1 to {LONGEST[LABEL]} letters, got {shown(text)}")


def _hidden(one: str) -> bool:
    """Return whether a character breaks a line or turns the direction of writing."""
    return unicodedata.category(one) in ("Cc", "Cs", "Zl", "Zp") or one in TURNING


def _check_rejected(value: str) -> None:
    try:
        names = json.loads(value)
    except (ValueError, RecursionError):
        names = None
    if not isinstance(names, list) or not names:
        raise LabelsError(f"rejected: wanted a list of labels, got {shown(value)}")
    for name in names:
        check_line("label", name)
