"""Write labelled stretches of recordings: CSV, JSON, Raven selection tables, Audacity label tracks, RTTM."""

import csv
import io
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import takewhile
from pathlib import PurePath
from typing import Protocol, runtime_checkable

from mfcl.core.console import printable
from mfcl.data.ids import number_text
from mfcl.errors import MfclError, check_choice, shown

RAVEN_COLUMNS = (
    *("Selection", "View", "Channel", "Begin Time (s)", "End Time (s)"),
    *("Begin Path", "Begin File", "Annotation", "Score"),
)


@dataclass(frozen=True)
class Event:
    """A stretch of a recording with a label."""

    source: str
    """The recording, such as the path of its file."""
    start: float
    """Seconds from the recording's beginning."""
    end: float
    """Seconds from the recording's beginning."""
    name: str
    """Its label."""
    score: float
    """How sure the label is."""


@runtime_checkable
class Timed(Protocol):
    """What the writers need of an event; `Event` and `mfcl.voices.Turn` have it."""

    @property
    def source(self) -> str:
        """The recording."""
        ...

    @property
    def start(self) -> float:
        """Seconds."""
        ...

    @property
    def end(self) -> float:
        """Seconds."""
        ...

    @property
    def name(self) -> str:
        """The label."""
        ...

    @property
    def score(self) -> float:
        """How sure it is."""
        ...


def rttm(found: Sequence[Timed], sources: Iterable[str] = ()) -> str:
    """Return events in NIST's Rich Transcription Time Marked format.

    A recording is named by its file without suffix; where two files share that, by their paths from the folder of all.

    Args:
        found: The events.
        sources: All recordings that were searched, also those without events.

    Raises:
        MfclError: two recordings have one name, for it may have no spaces.

    Example:
        >>> print(rttm([Event("talk one.wav", 0.5, 2.0, "Ada L", 4.0)]), end="")
        SPEAKER talk_one 1 0.500 1.500 <NA> <NA> Ada_L <NA> <NA>
    """
    names = _file_names([*sources, *(one.source for one in found)])
    return "".join(
        f"SPEAKER {names[one.source]} 1 {one.start:.3f} {one.end - one.start:.3f} "
        f"<NA> <NA> {_word(one.name)} <NA> <NA>\n"
        for one in found
    )


def audacity(found: Sequence[Timed]) -> str:
    r"""Return the events of one recording as a label track of Audacity: start, end and name with tabs.

    Example:
        >>> audacity([Event("a.wav", 0.5, 2.0, "Ada", 4.0)])
        '0.500000\t2.000000\tAda\n'

    Raises:
        MfclError: the events are of several recordings.
    """
    check_sources("audacity", [one.source for one in found])
    return "".join(f"{one.start:.6f}\t{one.end:.6f}\t{printable(one.name)}\n" for one in found)


def raven(found: Sequence[Timed]) -> str:
    r"""Return the events of one recording as a selection table of Raven, which `mfcl scan` reads, too.

    Raises:
        MfclError: the events are of several recordings.

    Example:
        >>> print(raven([Event("day/a.wav", 0.5, 2.0, "wren", 0.9)]).splitlines()[1].replace("\t", " "))
        1 Spectrogram 1 1 0.500000 2.000000 day/a.wav a.wav wren 0.9000
    """
    check_sources("raven", [one.source for one in found])
    lines = ["\t".join(RAVEN_COLUMNS)]
    lines += [
        "\t".join(
            (
                str(place), "Spectrogram 1", "1", f"{one.start:.6f}", f"{one.end:.6f}", printable(one.source),
                printable(PurePath(one.source).name), printable(one.name), f"{one.score:.4f}",
            )
        )
        for place, one in enumerate(found, 1)
    ]  # fmt: skip
    return "\n".join(lines) + "\n"


def events_csv(found: Sequence[Timed]) -> str:
    r"""Return events as a CSV that is a manifest: id, path, start, end, label, score.

    Example:
        >>> events_csv([Event("a.wav", 0.5, 2.0, "wren", 0.9)])
        'id,path,start,end,label,score\na.wav#0.5-2.0 wren,a.wav,0.5,2.0,wren,0.9000\n'
    """
    lines = io.StringIO()
    writer = csv.writer(lines, lineterminator="\n")
    writer.writerow(("id", "path", "start", "end", "label", "score"))
    for one in found:
        start, end = (number_text(round(time, 6)) for time in (one.start, one.end))
        # events of two classes may begin and end together, and a manifest's ids differ
        name = f"{one.source}#{start}-{end} {one.name}"
        writer.writerow((name, one.source, start, end, one.name, f"{one.score:.4f}"))
    return lines.getvalue()


def events_json(found: Sequence[Timed]) -> str:
    """Return events as a JSON list of objects with source, start, end, name and score."""
    rows = [
        {
            "source": one.source, "start": round(one.start, 6), "end": round(one.end, 6), "name": one.name,
            "score": round(one.score, 6),
        }
        for one in found
    ]  # fmt: skip
    return json.dumps(rows, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


WRITERS: Mapping[str, Callable[[Sequence[Timed]], str]] = {
    "csv": events_csv,
    "json": events_json,
    "raven": raven,
    "audacity": audacity,
    "rttm": rttm,
}
"""Format -> what writes it."""
OF_ONE = {"raven": "a selection table", "audacity": "a label track"}
"""Formats of one recording, and what they are."""


def written(found: Sequence[Timed], format: str, sources: Iterable[str] = ()) -> str:
    """Return events in a format of `WRITERS`.

    Args:
        found: The events.
        format: The format.
        sources: All recordings that were searched, also those without events.

    Raises:
        MfclError: there is no such format, or it cannot hold these recordings; see `check_sources`.
    """
    check_choice("format of events", format, WRITERS)
    return rttm(found, sources) if format == "rttm" else WRITERS[format](found)


def check_sources(format: str, sources: Iterable[str]) -> None:
    """Check that a format can hold events of these recordings, before they are searched.

    Raises:
        MfclError: there is no such format, it is for one recording and there are several, or two have one name in it.
    """
    check_choice("format of events", format, WRITERS)
    different = set(sources)
    if format in OF_ONE and len(different) > 1:
        what = f"{format}: {OF_ONE[format]}"
        raise MfclError(f"{what} is for one recording, got {len(different)}; give one file, or write csv")
    if format == "rttm":
        _file_names(different)


def _file_names(sources: Iterable[str]) -> dict[str, str]:
    """Return a name without spaces for each source, the shortest kind by which they differ."""
    paths = {source: PurePath(source).parts or (source,) for source in sorted(set(sources))}
    folders = zip(*(parts[:-1] for parts in paths.values()), strict=False)
    shared = sum(1 for _ in takewhile(lambda same: len(set(same)) == 1, folders))
    named: dict[str, str] = {}
    for first, whole in ((-1, False), (shared, False), (shared, True)):
        named = {}
        for source, parts in paths.items():
            named[source] = _word("/".join((*parts[first:-1], parts[-1] if whole else PurePath(parts[-1]).stem)))
        if len(set(named.values())) == len(named):
            return named
    taken: dict[str, str] = {}
    for source, name in named.items():
        if name in taken:
            raise MfclError(f"rttm: {shown(taken[name])} and {shown(source)} have one name without spaces; rename one")
        taken[name] = source
    return named


def _word(text: str) -> str:
    """Return a text without spaces, as RTTM wants its fields."""
    return "_".join(printable(text).split()) or "_"
