"""Ids of recordings, segments and windows: how they are made from paths and times, and read again."""

import os
import re
from pathlib import Path

NUMBER = r"(?:\d+\.\d+(?:e[+-]?\d+)?|\d+e[+-]?\d+)"
SEGMENT = re.compile(rf"#(?:{NUMBER}-(?:{NUMBER})?|-{NUMBER})$")
"""How the default id of a segment ends, see `default_id`."""
WINDOW = re.compile(rf"@{NUMBER}$")
"""How the id of a window ends: with its start in seconds."""


def default_id(path: Path, root: Path, start: float | None = None, end: float | None = None) -> str:
    """Return the default id of a recording: its path below `root`, and its segment of the file.

    Example:
        >>> default_id(Path("/sounds/a/b.wav"), Path("/sounds"), 1.5)
        'a/b.wav#1.5-'
    """
    name = readable((path.relative_to(root) if path.is_relative_to(root) else path).as_posix())
    return name if start is None and end is None else f"{name}#{number_text(start)}-{number_text(end)}"


def whole_id(name: str, *, window: bool = False) -> str:
    """Return the id of the file that a segment is of, from the segment's default id; any other id stays as it is.

    Args:
        name: The id.
        window: Whether it is of a window of a recording (`mfcl embed --window`), or of a window of a segment.

    Example:
        >>> [whole_id(name) for name in ("a/b.wav#1.5-", "a/b.wav#0.0-1e-05", "a/b.wav", "take #3-4")]
        ['a/b.wav', 'a/b.wav', 'a/b.wav', 'take #3-4']
        >>> whole_id("a/b.wav#1.5-@2.0", window=True)
        'a/b.wav'
    """
    return SEGMENT.sub("", WINDOW.sub("", name) if window else name)


def window_id(recording: str, start: int | float) -> str:
    """Return the id of a window: that of its recording, and where it starts in seconds, in microseconds.

    Example:
        >>> window_id("day.wav", 12.4)
        'day.wav@12.4'
    """
    return f"{recording}@{round(float(start), 6)!r}"


def is_window(name: str, start: float | None, end: float | None) -> bool:
    """Return whether a part of a file is a window of a recording, by its id, which `window_id` made.

    Example:
        >>> [is_window(name, 1.5, 2.5) for name in ("a.wav@1.5", "a.wav@2.0", "a.wav")]
        [True, False, False]
    """
    if start is None or end is None or WINDOW.search(name) is None:
        return False
    return float(name.rpartition("@")[2]) == round(start, 6)


def readable(name: str) -> str:
    """Return a file name as valid Unicode; bytes that are not UTF-8 are escaped."""
    return os.fsencode(name).decode("utf-8", "backslashreplace")


def number_text(value: float | None) -> str:
    """Format seconds for a manifest so that they are read back exactly; None is an empty string."""
    return "" if value is None else repr(float(value))
