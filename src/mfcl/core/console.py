"""What a person watches: progress with rate and time left, and tables."""

import sys
import unicodedata
from collections.abc import Iterable, Sequence
from typing import Any

from tabulate import tabulate
from tqdm import tqdm

LONGEST = 500
"""Characters of a text that are printed."""
RAW = ("Cc", "Cf", "Cs", "Zl", "Zp")
"""Unicode's categories of what moves a cursor, turns the direction of writing or is no character."""


def printable(text: str, most: int = LONGEST) -> str:
    r"""Return a text as one line that cannot do anything to a terminal: controls escaped, the middle of much left out.

    Args:
        text: Any text, such as a file's name or a label.
        most: Characters at the most.

    Example:
        >>> print(printable("bell\a, line\n, colour \x1b[31m"))
        bell\x07, line\n, colour \x1b[31m
        >>> printable("0123456789", 5)
        '0...9'
    """
    safe = "".join(repr(one)[1:-1] if unicodedata.category(one) in RAW else one for one in text)
    half = max(most - 3, 2) // 2
    return safe if len(safe) <= most else f"{safe[:half]}...{safe[-half:]}"


def progress(
    items: Iterable[Any] | None = None,
    *,
    total: int | None = None,
    what: str,
    unit: str,
    initial: int = 0,
    shown: bool = True,
) -> "tqdm[Any]":
    """Return a progress bar on standard error with rate and time left; every ten seconds where it is no terminal."""
    live = sys.stderr.isatty()
    return tqdm(
        items,
        total=total,
        desc=what,
        unit=unit,
        unit_scale=unit == "B",
        initial=initial,
        disable=not shown,
        dynamic_ncols=live,
        mininterval=0.2 if live else 10.0,
        maxinterval=1.0 if live else 10.0,
        leave=True,
    )


def table(rows: Iterable[Sequence[Any]], headers: Sequence[str], *, style: str = "simple") -> str:
    """Return rows as an aligned text table of printable lines; `style="github"` gives Markdown.

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
    lines = [[printable(cell) if isinstance(cell, str) else cell for cell in row] for row in rows]
    texts = [place for place in range(len(headers)) if all(isinstance(line[place], str) for line in lines)]
    return tabulate(lines, headers=[printable(header) for header in headers], tablefmt=style, disable_numparse=texts)
