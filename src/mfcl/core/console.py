"""What a person watches: progress with rate and time left, and tables."""

import sys
from collections.abc import Iterable, Sequence
from typing import Any

from tabulate import tabulate
from tqdm import tqdm


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
    """Return rows as an aligned text table; `style="github"` gives Markdown.

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
    lines = [list(row) for row in rows]
    texts = [place for place in range(len(headers)) if all(isinstance(line[place], str) for line in lines)]
    return tabulate(lines, headers=list(headers), tablefmt=style, disable_numparse=texts)
