"""Text on the terminal: tables, safe lines, durations; and what libraries log there."""

import contextlib
import logging
import shutil
import sys
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from tabulate import tabulate

NARROWEST = 6
"""Smallest width of a wrapped table column, in characters."""
HEAD_PADDING = 2
"""Characters that `tabulate` adds to the width of a header."""
LONGEST = 500
"""Most characters of a text that are printed."""
RAW = ("Cc", "Cf", "Cs", "Zl", "Zp")
"""Unicode categories that are escaped: control, format, surrogate, and line or paragraph separator."""


@contextlib.contextmanager
def quiet_log(name: str) -> Iterator[None]:
    """Hide what a library logs below errors inside a `with` block.

    Args:
        name: Name of its logger; "" for the root.
    """
    logger = logging.getLogger(name)
    before = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(before)


def print_notes(notes: Iterable[str]) -> None:
    """Print notes about what is read to standard error, each on a line."""
    for note in notes:
        print(f"note: {printable(note)}", file=sys.stderr)  # noqa: T201


def counted(number: int | float, word: str) -> str:
    """Return how many there are of something.

    Example:
        >>> counted(1, "label"), counted(1500, "clip"), counted(108.0, "label")
        ('1 label', '1,500 clips', '108 labels')
    """
    return f"{number:,.0f} {word if round(number) == 1 else plural(word)}"


def worded(number: int, one: str, several: str = "") -> str:
    """Return how many there are of something, with the words that go with one and with several.

    Args:
        number: How many.
        one: Words of one, such as `recording is`.
        several: Those of several; default: the plural of `one`.

    Example:
        >>> worded(1, "copy is", "copies are"), worded(3, "copy is", "copies are"), worded(1500, "clip")
        ('1 copy is', '3 copies are', '1500 clips')
    """
    return f"{number} {one if number == 1 else several or plural(one)}"


def are(number: int) -> str:
    """Return `is` for one and `are` for several.

    Example:
        >>> are(1), are(2)
        ('is', 'are')
    """
    return "is" if number == 1 else "are"


def have(number: int) -> str:
    """Return `has` for one and `have` for several.

    Example:
        >>> have(1), have(2)
        ('has', 'have')
    """
    return "has" if number == 1 else "have"


def plural(word: str) -> str:
    """Return a word, such as the name of a column, as of several; one that ends in a single s stays as it is.

    Example:
        >>> plural("speaker"), plural("class"), plural("species"), plural("words")
        ('speakers', 'classes', 'species', 'words')
    """
    if word.endswith("ss"):
        return f"{word}es"
    return word if word.endswith("s") else f"{word}s"


def printable(text: str, most: int = LONGEST) -> str:
    r"""Return a text as one line that is safe to print: control characters escaped, a long text cut in the middle.

    Args:
        text: Any text, such as a file name or a label.
        most: Most characters to keep.

    Example:
        >>> print(printable("bell\a, line\n, colour \x1b[31m"))
        bell\x07, line\n, colour \x1b[31m
        >>> printable("0123456789", 5)
        '0...9'
    """
    safe = "".join(repr(one)[1:-1] if unicodedata.category(one) in RAW else one for one in text)
    half = max(most - 3, 2) // 2
    return safe if len(safe) <= most else f"{safe[:half]}...{safe[-half:]}"


def duration(seconds: float) -> str:
    """Format a duration in rounded units.

    Example:
        >>> duration(42.0), duration(600.0), duration(7200.0), duration(90000.0)
        ('42 s', '10 min', '2.0 h', '25 h')
    """
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 5400:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.{1 if seconds < 36000 else 0}f} h"


def width() -> int | None:
    """Return the width of standard output in characters; None if it is a file or a pipe."""
    if sys.stdout is None or sys.stdout.closed or not sys.stdout.isatty():
        return None
    return shutil.get_terminal_size().columns


def table(rows: Iterable[Sequence[Any]], headers: Sequence[str | tuple[str, ...]], *, style: str = "simple") -> str:
    """Format rows as an aligned text table; `style="github"` gives Markdown.

    Text cells are made printable. On a terminal the widest columns are wrapped until the table fits its width.

    Args:
        rows: Numbers, texts of one line, or tuples of texts that stand below one another.
        headers: The columns' names, of one line or a tuple of lines.
        style: A format of `tabulate`.

    Example:
        >>> print(table([("a", 1)], ["name", "n"]))
        name      n
        ------  ---
        a         1
        >>> print(table([("4.0", "a"), ("0.25", "b")], ["written numbers", "stay"]))
        written numbers    stay
        -----------------  ------
        4.0                a
        0.25               b
    """
    lines = [[_cell(cell) for cell in row] for row in rows]
    texts = [place for place in range(len(headers)) if all(isinstance(line[place], str) for line in lines)]
    most = width() if style == "simple" else None
    heads = [_cell(header) for header in headers]
    folded = None if most is None else _column_widths(lines, heads, most)
    return tabulate(lines, headers=heads, tablefmt=style, disable_numparse=texts, maxcolwidths=folded)


def _cell(cell: Any) -> Any:
    if isinstance(cell, tuple):
        return "\n".join(printable(line) for line in cell)
    return printable(cell) if isinstance(cell, str) else cell


def _column_widths(lines: Sequence[Sequence[Any]], headers: Sequence[str], most: int) -> list[int]:
    """Return the width of each column for a table of at most `most` characters; the widest columns shrink first.

    A column is no narrower than its header, which is not wrapped.

    Example:
        >>> _column_widths([("a long text", "x")], ["name", "n"], 12)
        [7, 3]
    """
    heads = [_longest_line(head) + HEAD_PADDING for head in headers]
    least = [max(head, NARROWEST) for head in heads]
    widths = [
        max([head, *(_longest_line(line[place]) for line in lines)]) for place, head in enumerate(heads)
    ]  # fmt: skip
    while sum(widths) + 2 * (len(widths) - 1) > most:
        foldable = [place for place, width in enumerate(widths) if width > least[place]]
        if not foldable:
            break
        widths[max(foldable, key=lambda place: widths[place])] -= 1
    return widths


def _longest_line(cell: Any) -> int:
    return max(len(line) for line in str(cell).split("\n"))
