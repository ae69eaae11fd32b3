"""Progress of long work: bars on a terminal, plain lines in a log file."""

import os
import sys
import time
from collections.abc import Iterable
from typing import Any, ClassVar, Literal, TextIO, cast

from tqdm import tqdm
from tqdm.utils import disp_trim

Shown = bool | Literal["bar"]
"""How much progress to show: everything, nothing, or only the bar."""
LOG_SECONDS = 30.0
"""Seconds between two progress lines in a log file."""
LOG_LINES = 40
"""Most lines of a job with several steps in a log file."""
PLAIN = "{desc}: {n_fmt} of {total_fmt} {unit}, {rate_fmt}, {remaining} left"
WITHIN = "{desc}: {n_fmt} of {total_fmt} {unit}, {remaining} left{postfix}"
"""Format of a bar in a log file, and of one in the line of the steps around it."""


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

    On a terminal the bar disappears at the end; within a `StepsBar` it is the end of that one's line. Elsewhere, such
    as in a log file, it prints a plain line every `LOG_SECONDS`, and less often the longer it takes.
    """
    live = terminal()
    within = live and shown and StepsBar.open is not None
    kind: type[tqdm[Any]] = _Within if within else tqdm if live else _Logged
    return kind(
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
        miniters=None if live else 1,  # a number that adapts to fast items makes the lines of slow ones late
        leave=False,
        file=None if live else cast(TextIO, _PlainLines()),
        bar_format=WITHIN if within else None if live else PLAIN,
    )


class StepsBar:
    """Progress of a job with several steps: the current step, the number of finished steps, and the rate.

    On a terminal it is one line that is redrawn, with the bar of a single step at its end. Elsewhere steps print plain
    lines: each one if they are few, else one in several, at most about `LOG_LINES` in all.
    """

    open: ClassVar["StepsBar | None"] = None
    """The one whose line is on the terminal now."""

    def __init__(self, steps: int, *, shown: bool) -> None:
        self.steps, self.shown, self.done, self.live = steps, shown, 0, terminal()
        self._said: set[str] = set()
        self._text, self._told = "", -1
        self._bar = _OneLine(
            total=steps, unit="step", disable=not (shown and self.live), dynamic_ncols=True, leave=False,
            bar_format="[{n_fmt} of {total_fmt}, {rate_fmt}] {desc}",
        )  # fmt: skip

    def __enter__(self) -> "StepsBar":
        if self.shown and self.live:
            StepsBar.open = self
        return self

    def __exit__(self, *_: object) -> None:
        StepsBar.open = None
        self._bar.close()

    def tell(self, text: str) -> None:
        """Show a description of the step that begins now."""
        self._text = text
        self._bar.set_description_str(text)
        part = self.done * LOG_LINES // max(self.steps, LOG_LINES)
        if self.shown and not self.live and part != self._told:
            self._told = part
            print(f"[{self.done + 1} of {self.steps}] {text}", file=sys.stderr)  # noqa: T201

    def within(self, text: str) -> None:
        """Show how far the step is, behind its description."""
        self._bar.set_description_str(f"{self._text} | {text}" if text else self._text)

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
        """Count one finished step."""
        self.done += 1
        self._bar.update()


def terminal() -> bool:
    """Return whether standard error is a terminal, where lines can be redrawn."""
    return sys.stderr is not None and not sys.stderr.closed and sys.stderr.isatty()


class _OneLine(tqdm):  # type: ignore[type-arg]
    """A bar whose text is cut to the terminal's width: a longer one would begin a new line at each update."""

    def display(self, msg: str | None = None, pos: int | None = None) -> bool:  # type: ignore[override]
        """Draw the text, or `msg`, in the line `pos` below; return whether it was drawn."""
        text = disp_trim(str(self) if msg is None else msg, _columns() - 1)
        return bool(super().display(text, pos))


class _Within(tqdm):  # type: ignore[type-arg]
    """A bar that is the end of the line of the steps around it, so that no second line is moved to and fro."""

    def display(self, msg: str | None = None, pos: int | None = None) -> bool:  # type: ignore[override]
        """Hand the text, or `msg`, to the line of the steps; return whether a line of its own was drawn: never."""
        if StepsBar.open is not None:
            StepsBar.open.within(str(self) if msg is None else msg)
        return False

    def clear(self, nolock: bool = False) -> None:
        """Do nothing: it has no line of its own."""


class _Logged(tqdm):  # type: ignore[type-arg]
    """A bar of a log file: its rate is that since the update before, whether or not that one was printed.

    `tqdm` shows a mean over updates in which one slow item counts for little after many fast ones.
    """

    _mark: tuple[float, float] | None = None
    _rate: float | None = None

    def display(self, msg: str | None = None, pos: int | None = None) -> bool:  # type: ignore[override]
        """Print the text, or `msg`, with the rate since the last update that was `LOG_SECONDS` ago."""
        done, now = float(self.n), time.monotonic()
        if self._mark is None:
            self._mark = (done, now)
        passed = now - self._mark[1]
        if passed > 0 and passed >= LOG_SECONDS:
            self._rate, self._mark = (done - self._mark[0]) / passed, (done, now)
        return bool(super().display(msg, pos))

    @property
    def format_dict(self) -> Any:
        """What the text is made of."""
        return {**super().format_dict, "rate": self._rate}


class _PlainLines:
    """Output of a progress bar where standard error is not a terminal: each update is a line of its own.

    Later updates are rarer: a tenth of the time that has passed lies between two, so that hours make no long log.
    """

    def __init__(self) -> None:
        self.begun = self.said = time.monotonic()

    def write(self, text: str) -> None:
        line = text.strip("\r\n ")
        now = time.monotonic()
        if not line or (now - self.begun > 10 * LOG_SECONDS > 0 and now - self.said < (now - self.begun) / 10):
            return
        self.said = now
        sys.stderr.write(f"{line}\n")

    def flush(self) -> None:
        sys.stderr.flush()


def _columns() -> int:
    """Return the width of the terminal on standard error, 80 where it does not tell."""
    try:
        return os.get_terminal_size(sys.stderr.fileno()).columns or 80
    except (AttributeError, OSError, ValueError):
        return 80
