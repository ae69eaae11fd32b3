"""Map the columns of a table of recordings to their meanings; misspelt reserved names are errors."""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from mfcl.data.manifest import RESERVED
from mfcl.errors import ManifestError

NAMES = {
    "path": ("path", "filename", "file", "file_path", "filepath", "file_name", "audio_path"),
    "id": ("id",),
    "start": ("start", "start_time", "begin_time", "begin", "onset"),
    "end": ("end", "stop", "end_time"),
    "split": ("split",),
}
"""Meaning -> names of its column; the first one found is used."""

NEAR = {**NAMES, "duration": ("duration",), "offset": ("offset",)}
"""Meaning -> column names that `nearly` compares with."""

TIMES = ("start", "end", "duration", "offset")
UNITS = ("sec", "secs", "second", "seconds", "ms", "msec", "milliseconds", "sample", "samples", "frame", "frames")
"""What names of columns of times end with; those of other units than seconds must not be taken for labels either."""

RAVEN = {
    "path": ("Begin File",),
    "full_path": ("Begin Path",),
    "start": ("Begin Time (s)",),
    "end": ("End Time (s)",),
    "offset": ("File Offset (s)",),
}
"""Meaning -> names of its column in a Raven selection table."""

RAVEN_MEASURES = re.compile(
    r"Selection|View|Channel|Score|.*\((s|Hz|dB|dB FS|U|kU)\)|Begin Sample.*|End Sample.*|File Offset.*"
)
"""Raven columns that are numbers and measurements, not labels."""


@dataclass(frozen=True)
class Columns:
    """Column indices of a table.

    Attributes:
        places: Meaning -> column index. Meanings are `path`, `id`, `start`, `end`, `split`, `duration` (seconds from
            the start), and for Raven `full_path` and `offset` (seconds from the beginning of the file).
        labels: Label name -> column index.
    """

    places: dict[str, int]
    labels: dict[str, int]


def read_columns(header: Sequence[str], where: object) -> Columns:
    """Find the meaning of each column of a table.

    Args:
        header: Column names, without leading or trailing spaces.
        where: Beginning of error messages, such as the file's path.

    Raises:
        ManifestError: no column holds paths, two have the same name, or a name is nearly a reserved one.

    Example:
        >>> read_columns(["file", "offset", "duration", "species"], "list.csv").places
        {'path': 0, 'start': 1, 'duration': 2}
    """
    twice = [name for name, count in Counter(header).items() if count > 1 and name]
    if twice:
        raise ManifestError(f"{where}: two columns are called {twice[0]!r}; rename one")
    if is_raven(header):
        return _raven(header, where)
    places = {meaning: _first(header, names) for meaning, names in NAMES.items()}
    if places["start"] is not None and header[places["start"]] == "onset" and places["end"] is None:
        places["end"] = _first(header, ("offset",))  # tables of sound events call the end "offset"
    if places["start"] is None and "offset" in header:
        if "duration" not in header or places["end"] is not None:
            raise ManifestError(
                f"{where}: a column 'offset' alone may mean a start or an end; give 'start' and 'end', "
                "or 'offset' and 'duration' (all in seconds)"
            )
        places["start"] = header.index("offset")
    if places["start"] is not None and places["end"] is None:
        places["duration"] = _first(header, ("duration",))
    found = {meaning: place for meaning, place in places.items() if place is not None}
    lacking = [meaning for meaning in NAMES if meaning not in found]
    lacking += ["offset"] if "start" not in found else ["duration"] if not {"end", "duration"} & set(found) else []
    for name in header:
        if header.index(name) not in found.values():
            wanted = nearly(name, lacking)
            if wanted:
                seconds = ", in seconds," if any(wanted in NEAR[time] for time in TIMES) else ""
                raise ManifestError(
                    f"{where}: the column {name!r} is nearly {wanted!r}; "
                    f"name it {wanted!r}{seconds} if that is what it means, else rename it"
                )
    if "path" not in found:
        raise ManifestError(f"{where}: wanted a column `path`, got the columns {', '.join(header) or 'none'}; add it")
    used = set(found.values())
    labels = {name: place for place, name in enumerate(header) if name and place not in used}
    return Columns(found, labels)


def nearly(name: str, meanings: Sequence[str] = RESERVED) -> str | None:
    """Return the reserved name that a column name nearly is: other case or spaces, a plural, a unit, one letter wrong.

    Example:
        >>> [nearly(name) for name in ("Split", "START TIME", "end_ms", "paths", "spilt", "species", "identity")]
        ['split', 'start_time', 'end', 'path', 'split', None, None]
    """
    plain = _plain(name)
    for meaning in meanings:
        for known in NEAR[meaning]:
            ends = ("", "s", *UNITS) if meaning in TIMES else ("", "s")
            if plain in [_plain(known) + end for end in ends]:
                return known
        # too many words are one letter away from a shorter name
        if len(meaning) > 3 and _one_letter_apart(plain, meaning):
            return meaning
    return None


def is_raven(header: Sequence[str]) -> bool:
    """Return whether a table is a Raven selection table."""
    return all(_first(header, RAVEN[meaning]) is not None for meaning in ("start", "end"))


def names_no_file(header: Sequence[str]) -> bool:
    """Return whether a table is a Raven selection table whose columns do not name its recording, as by default."""
    return is_raven(header) and all(_first(header, RAVEN[meaning]) is None for meaning in ("path", "full_path"))


def _raven(header: Sequence[str], where: object) -> Columns:
    places = {meaning: _first(header, names) for meaning, names in RAVEN.items()}
    if names_no_file(header):
        raise ManifestError(
            f"{where}: a Raven selection table without 'Begin File' or 'Begin Path' does not name its audio file; "
            "add one of these columns in Raven and save it again, or put it beside NAME.wav as NAME.selections.txt"
        )
    places |= {meaning: _first(header, NAMES[meaning]) for meaning in ("id", "split")}
    found = {meaning: place for meaning, place in places.items() if place is not None}
    labels = {
        name: place
        for place, name in enumerate(header)
        if name and place not in found.values() and not RAVEN_MEASURES.fullmatch(name)
    }
    for name in labels:
        wanted = nearly(name, [meaning for meaning in ("split",) if meaning not in found])
        if wanted:
            raise ManifestError(f"{where}: the column {name!r} is nearly {wanted!r}; name it so, or rename it")
    return Columns(found, labels)


def _first(header: Sequence[str], names: Sequence[str]) -> int | None:
    return next((header.index(name) for name in names if name in header), None)


def _plain(name: str) -> str:
    return re.sub(r"[\W_]+", "", name).casefold()


def _one_letter_apart(name: str, other: str) -> bool:
    """Return whether two names differ by one letter missing, added or changed, or by two neighbours swapped."""
    if abs(len(name) - len(other)) > 1 or name == other:
        return False
    start = next((place for place, pair in enumerate(zip(name, other, strict=False)) if pair[0] != pair[1]), None)
    if start is None:
        return True  # one is a prefix of the other
    rest, wanted = name[start:], other[start:]
    swapped = rest[1::-1] + rest[2:] == wanted
    return swapped or rest[1:] == wanted[1:] or rest[1:] == wanted or rest == wanted[1:]
