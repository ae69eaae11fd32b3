"""Charts with a line of words on the left: marks with intervals, one row a choice."""

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from mfcl.report.phrases import distinct
from mfcl.report.svg.elements import label, mark, picture, tag
from mfcl.report.svg.lines import Axis
from mfcl.report.svg.scales import Scale, spaced
from mfcl.report.svg.styles import Style


@dataclass(frozen=True)
class Dot:
    """A figure in a row."""

    name: str
    value: float
    low: float | None
    high: float | None
    style: Style
    text: str


@dataclass(frozen=True)
class DotChart:
    """What a chart of rows shows.

    Attributes:
        name: What it is.
        text: What is to be seen, for those who do not see it.
        x: The horizontal axis.
        rows: (words, figures), the first on top.
    """

    name: str
    text: str
    x: Axis
    rows: tuple[tuple[str, tuple[Dot, ...]], ...]

    def draw(self, width: int, size: str) -> Markup:
        """Return the drawing for one size of screen; its height follows from the rows."""
        longest = max(len(words) for words, _ in self.rows)
        left = min(24 + 6.9 * longest, width * 0.46)
        letters = int((left - 20) / 7.4)  # a wide letter; the column is wide enough for usual ones
        most = max(len(dots) for _, dots in self.rows)
        row = max(26.0, 13.0 * most + 10)
        top, bottom = 14.0, 46.0
        height = top + row * len(self.rows) + bottom
        across = Scale(self.x.kind, self.x.low, self.x.high, left, width - 16.0)
        parts = self._grid(across, top, height - bottom)
        names = distinct([words for words, _ in self.rows], letters)
        for place, ((words, dots), short) in enumerate(zip(self.rows, names, strict=True)):
            middle = top + row * (place + 0.5)
            whole = tag("title", {}, words) if short != words else None
            parts.append(label(left - 14, middle + 4, short, anchor="end", style="row", title=whole))
            if place:
                parts.append(tag("path", {"class": "grid", "d": f"M0 {middle - row / 2:.1f}H{width:.1f}"}))
            for step, dot in enumerate(dots):
                parts.append(_dot(dot, across, middle + 13 * (step - (len(dots) - 1) / 2)))
        return picture(width, round(height), self.name, self.text, parts, size=size)

    def _grid(self, across: Scale, top: float, bottom: float) -> list[Markup]:
        parts = []
        columns = sorted((across(value), text) for value, text in self.x.places())
        for pixel, text in spaced(columns, 9.0):
            parts.append(tag("path", {"class": "grid", "d": f"M{pixel:.1f} {top:.1f}V{bottom:.1f}"}))
            inside = min(pixel, across.end + 12 - 3.5 * len(text))
            parts.append(label(inside, bottom + 18, text, anchor="middle"))
        parts.append(label((across.start + across.end) / 2, bottom + 38, self.x.title, anchor="middle", style="axis"))
        return parts


def _dot(dot: Dot, across: Scale, y: float) -> Markup:
    parts: Sequence[Markup] = ()
    if dot.low is not None and dot.high is not None:
        line = f"M{across(dot.low):.1f} {y:.1f}H{across(dot.high):.1f}"
        parts = [tag("path", {"class": "whisker", "d": line, "style": f"stroke:var({dot.style.colour})"})]
    point = mark(across(dot.value), y, dot.style.shape, dot.style.colour, dot.text)
    return tag("g", {"data-series": dot.name}, *parts, point)
