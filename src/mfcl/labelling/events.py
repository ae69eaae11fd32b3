"""Events of windows' probabilities: hysteresis, shortest and longest length, for each class."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise

import numpy as np
from jaxtyping import Bool, Float64

from mfcl.data.annotations import Event
from mfcl.errors import MeasureError, check_number

MOST_SECONDS = 1e7
"""Largest length that can be asked for: 115 days."""

ROUNDED = 2e-6
"""Seconds by which lengths may differ: times of embedded windows are written in microseconds."""


@dataclass(frozen=True)
class EventSettings:
    """When windows are an event of a class.

    Attributes:
        begin: Probability from which a window begins an event.
        go_on: Probability down to which the windows beside it belong to the event; default: 0.6 of `begin`.
        shortest: Seconds that an event must last.
        longest: Seconds after which an event is cut, into equal pieces; 0: never. Where these would be shorter than
            `shortest`, the pieces are this long, and the rest, at the end with the lower score, is left out.
        gap: Seconds of lower probability that an event bridges.

    Raises:
        MeasureError: a value is out of range, or `go_on` is above `begin`.
    """

    begin: int | float = 0.5
    go_on: int | float | None = None
    shortest: int | float = 0.0
    longest: int | float = 0.0
    gap: int | float = 0.0

    def __post_init__(self) -> None:
        check_number("begin", self.begin, 0, 1, error=MeasureError)
        if self.go_on is not None:
            check_number("go on", self.go_on, 0, self.begin, error=MeasureError)
        for name in ("shortest", "longest", "gap"):
            check_number(name, getattr(self, name), 0, MOST_SECONDS, error=MeasureError)
        if 0 < self.longest < self.shortest:
            raise MeasureError(f"events: longest {self.longest:g} s is below shortest {self.shortest:g} s; raise it")

    @property
    def low(self) -> int | float:
        """Probability down to which an event goes on."""
        return 0.6 * self.begin if self.go_on is None else self.go_on


def find_events(
    source: str,
    edges: Float64[np.ndarray, " edges"],
    probabilities: Float64[np.ndarray, "windows classes"],
    classes: Sequence[str],
    settings: EventSettings | Mapping[str, EventSettings],
) -> list[Event]:
    """Merge the windows of one recording to events, in the order of time.

    An event is a run of windows of at least `go_on`, one of which reaches `begin`; its score is the highest probability
    in it. Events of several classes may overlap.

    Args:
        source: Name of the recording.
        edges: Times between which each window's answer holds; see `mfcl.audio.windows.window_edges`.
        probabilities: Of each window and class; 0 where the window is `unknown`.
        classes: Names of the columns.
        settings: For all classes, or by class; classes that are not named have no events.

    Raises:
        MeasureError: the numbers of edges, windows and classes do not fit.

    Example:
        >>> chances = np.array([[0.1], [0.4], [0.9], [0.4], [0.1]])
        >>> found = find_events("a.wav", np.arange(6.0), chances, ["wren"], EventSettings())
        >>> [(one.start, one.end, one.name, one.score) for one in found]
        [(1.0, 4.0, 'wren', 0.9)]
    """
    if len(edges) != len(probabilities) + 1 or probabilities.shape[1] != len(classes):
        raise MeasureError(
            f"events: wanted an edge more than windows and a column a class, got {len(edges)} edges, "
            f"{probabilities.shape} probabilities and {len(classes)} classes"
        )
    found: list[Event] = []
    for column, name in enumerate(classes):
        own = settings if isinstance(settings, EventSettings) else settings.get(name)
        if own is not None:
            found += _of_class(source, edges, probabilities[:, column], name, own)
    return sorted(found, key=lambda one: (one.start, one.end, one.name))


def _of_class(
    source: str,
    edges: Float64[np.ndarray, " edges"],
    chances: Float64[np.ndarray, " windows"],
    name: str,
    settings: EventSettings,
) -> list[Event]:
    runs = [
        (first, last)
        for first, last in _runs(chances >= max(settings.low, 1e-12))
        if chances[first:last].max() >= settings.begin
    ]
    joined: list[tuple[int, int]] = []
    for first, last in runs:
        if joined and edges[first] - edges[joined[-1][1]] <= settings.gap + ROUNDED:
            joined[-1] = (joined[-1][0], last)
        else:
            joined.append((first, last))
    found = []
    for first, last in joined:
        start, end = float(edges[first]), float(edges[last])
        if end - start < settings.shortest - ROUNDED:
            continue
        best = partial(_highest, edges[first : last + 1], chances[first:last])
        found += [
            Event(source, left, right, name, best(left, right)) for left, right in _cut(start, end, settings, best)
        ]
    return found


def _highest(
    edges: Float64[np.ndarray, " edges"], chances: Float64[np.ndarray, " windows"], left: float, right: float
) -> float:
    """Return the highest probability of the windows that lie in a stretch of time, at least in part."""
    return float(chances[(edges[1:] > left + 1e-9) & (edges[:-1] < right - 1e-9)].max(initial=0.0))


def _cut(
    start: float, end: float, settings: EventSettings, best: Callable[[float, float], float]
) -> list[tuple[float, float]]:
    """Return the pieces of a stretch of time, none shorter than `shortest` or longer than `longest`."""
    length = end - start
    if not settings.longest or length <= settings.longest + ROUNDED:
        return [(start, end)]
    pieces = int(np.ceil((length - ROUNDED) / settings.longest))
    if length / pieces < settings.shortest - ROUNDED:  # as no other number of pieces fits either, some must be left out
        pieces -= 1
        rest = length - pieces * settings.longest
        start, end = (start + rest, end) if best(start, start + rest) < best(end - rest, end) else (start, end - rest)
    return list(pairwise(np.linspace(start, end, pieces + 1).tolist()))


def _runs(high: Bool[np.ndarray, " windows"]) -> list[tuple[int, int]]:
    """Return the first and the one after the last window of each run."""
    steps = np.diff(np.concatenate([[0], high.astype(np.int8), [0]]))
    return list(zip(np.flatnonzero(steps == 1).tolist(), np.flatnonzero(steps == -1).tolist(), strict=True))
