"""What a person watches: progress with rate and time left, and tables."""

import shutil
import sys
import unicodedata
from collections.abc import Iterable, Sequence
from typing import Any, Literal, TextIO, cast

from tabulate import tabulate
from tqdm import tqdm

Shown = bool | Literal["bar"]
"""How much of a long work is shown: all, nothing, or its bar alone."""
LOG_SECONDS = 30.0
"""Between two lines of progress in a log file."""
NARROWEST = 6
"""Columns of a table are not folded to fewer characters."""
HEAD_PADDING = 2
"""Characters by which `tabulate` makes a column wider than its head."""
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
    """Return a progress bar on standard error with rate and time left.

    On a terminal it is gone when its work is done. Elsewhere, such as in a log file, it is a plain line every
    `LOG_SECONDS`.
    """
    live = terminal()
    return tqdm(
        items,
        total=total,
        desc=what,
        unit=unit,
        unit_scale=unit == "B",
        initial=initial,
        disable=not shown,
        dynamic_ncols=live,
        mininterval=0.2 if live else LOG_SECONDS,
        maxinterval=1.0 if live else LOG_SECONDS,
        leave=False,
        file=None if live else cast(TextIO, _PlainLines()),
        bar_format=None if live else "{desc}: {n_fmt} of {total_fmt} {unit}, {rate_fmt}, {remaining} left",
    )


class StepsBar:
    """One line for a long work of many steps: which one, how many are done, and the rate.

    On a terminal it is drawn over, below it may stand the bar of a single step. Elsewhere each step is a plain line.
    """

    def __init__(self, steps: int, *, shown: bool) -> None:
        self.steps, self.shown, self.done, self.live = steps, shown, 0, terminal()
        self._said: set[str] = set()
        self._bar = tqdm(
            total=steps, unit="step", disable=not (shown and self.live), dynamic_ncols=True, leave=False,
            bar_format="[{n_fmt} of {total_fmt}, {rate_fmt}] {desc}",
        )  # fmt: skip

    def __enter__(self) -> "StepsBar":
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.close()

    def tell(self, text: str) -> None:
        """Say what the step is that begins now, and about how long all take."""
        self._bar.set_description_str(text)
        if self.shown and not self.live:
            print(f"[{self.done + 1} of {self.steps}] {text}", file=sys.stderr)  # noqa: T201

    def note(self, text: str) -> None:
        """Print a line that stays, unless an earlier step has said the same."""
        if text in self._said:
            return
        self._said.add(text)
        if self.live:
            tqdm.write(text, file=sys.stderr)
        else:
            print(text, file=sys.stderr)  # noqa: T201

    def step(self) -> None:
        """Count a step that is done."""
        self.done += 1
        self._bar.update()


def terminal() -> bool:
    """Say whether standard error is a terminal: a person watches, and lines can be drawn over."""
    return sys.stderr is not None and not sys.stderr.closed and sys.stderr.isatty()


class _PlainLines:
    """Standard error for a progress bar that is no terminal: each state is a line, and none is drawn over."""

    def write(self, text: str) -> None:
        line = text.strip("\r\n ")
        if line:
            sys.stderr.write(f"{line}\n")

    def flush(self) -> None:
        sys.stderr.flush()


def width() -> int | None:
    """Return the columns of the terminal that standard output is; None where it is a file or a pipe."""
    if sys.stdout is None or sys.stdout.closed or not sys.stdout.isatty():
        return None
    return shutil.get_terminal_size().columns


def table(rows: Iterable[Sequence[Any]], headers: Sequence[str | tuple[str, ...]], *, style: str = "simple") -> str:
    """Return rows as an aligned text table of printable lines; `style="github"` gives Markdown.

    On a terminal no line is wider than it: the widest columns of text are folded.

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
    """Return how wide each column may be so that a table is at most `most` wide; the widest give way first.

    A column is no narrower than its head, which is not folded.

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
