"""Charts with two axes: lines with interval bands, marks, and lines of reference."""

from dataclasses import dataclass, field

from markupsafe import Markup

from mfcl.report.svg.elements import label, mark, number, picture, polyline, tag
from mfcl.report.svg.scales import Scale, spaced, tick_text, ticks
from mfcl.report.svg.styles import Style


@dataclass(frozen=True)
class Point:
    """A point of a line; `low` and `high` are the ends of its interval, where it has one."""

    x: float
    y: float
    low: float | None = None
    high: float | None = None
    text: str = ""


@dataclass(frozen=True)
class Series:
    """One line of a chart.

    Attributes:
        name: For the legend and for those who hover.
        points: In rising order of x.
        style: How it looks.
        marked: Whether every point has a mark.
        spot: A place with a mark of its own.
    """

    name: str
    points: tuple[Point, ...]
    style: Style
    marked: bool = True
    spot: Point | None = None


@dataclass(frozen=True)
class Axis:
    """An axis.

    Attributes:
        title: What is along it, with its unit.
        low: Value at its beginning.
        high: Value at its end.
        kind: `linear`, `log` or `probit`.
        ticks: (value, text); round values if left out.
    """

    title: str
    low: float
    high: float
    kind: str = "linear"
    ticks: tuple[tuple[float, str], ...] = ()

    def places(self) -> list[tuple[float, str]]:
        """Return the ticks that lie on the axis."""
        wanted = self.ticks or tuple((value, tick_text(value)) for value in ticks(self.low, self.high))
        slack = 1e-9 * abs(self.high - self.low)
        return [(value, text) for value, text in wanted if self.low - slack <= value <= self.high + slack]


@dataclass(frozen=True)
class LineChart:
    """What a chart of lines shows.

    Attributes:
        name: What it is.
        text: What is to be seen, for those who do not see it.
        x: The horizontal axis.
        y: The vertical axis.
        series: The lines.
        references: (height, text) of horizontal lines, such as chance.
        diagonal: Whether a line of equal values is drawn.
    """

    name: str
    text: str
    x: Axis
    y: Axis
    series: tuple[Series, ...]
    references: tuple[tuple[float, str], ...] = field(default=())
    diagonal: bool = False

    def draw(self, width: int, height: int, size: str) -> Markup:
        """Return the drawing for one size of screen."""
        left, right, top, bottom = 46.0, 14.0, 30.0, 46.0
        across = Scale(self.x.kind, self.x.low, self.x.high, left, width - right)
        up = Scale(self.y.kind, self.y.low, self.y.high, height - bottom, top)
        parts = [*self._grid(across, up), *self._references(across, up)]
        for one in self.series:
            parts.append(_band(one, across, up))
        for one in self.series:
            parts.append(_line(one, across, up))
        return picture(width, height, self.name, self.text, parts, size=size)

    def _grid(self, across: Scale, up: Scale) -> list[Markup]:
        parts = [label(8.0, 15.0, self.y.title, style="axis")]
        rows = sorted((-up(value), text) for value, text in self.y.places())
        for pixel, text in spaced(rows, 10.0, character=4.0):
            parts.append(tag("path", {"class": "grid", "d": f"M{across.start:.1f} {-pixel:.1f}H{across.end:.1f}"}))
            parts.append(label(across.start - 8, 4 - pixel, text, anchor="end"))
        columns = sorted((across(value), text) for value, text in self.x.places())
        for pixel, text in spaced(columns, 9.0):
            tick = f"M{pixel:.1f} {up.start:.1f}v5"
            parts.append(tag("path", {"class": "rule", "d": tick}))
            inside = min(pixel, across.end + 10 - 3.5 * len(text))  # the last text stays inside the drawing
            parts.append(label(inside, up.start + 19, text, anchor="middle"))
        parts.append(tag("path", {"class": "rule", "d": f"M{across.start:.1f} {up.start:.1f}H{across.end:.1f}"}))
        parts.append(label((across.start + across.end) / 2, up.start + 39, self.x.title, anchor="middle", style="axis"))
        return parts

    def _references(self, across: Scale, up: Scale) -> list[Markup]:
        parts = []
        for height, text in self.references:
            line = f"M{across.start:.1f} {up(height):.1f}H{across.end:.1f}"
            parts.append(tag("path", {"class": "reference", "d": line}))
            parts.append(label(across.end, up(height) - 6, text, anchor="end", style="note"))
        if self.diagonal:
            low, high = max(self.x.low, self.y.low), min(self.x.high, self.y.high)
            steps = [low + (high - low) * place / 40 for place in range(41)]
            parts.append(polyline([(across(value), up(value)) for value in steps], class_="reference"))
        return parts


def _band(series: Series, across: Scale, up: Scale) -> Markup:
    known = [
        (point.x, point.low, point.high) for point in series.points if point.low is not None and point.high is not None
    ]
    if len(known) < 2:
        return Markup("")
    edge = [(across(x), up(high)) for x, _, high in known] + [(across(x), up(low)) for x, low, _ in reversed(known)]
    path = "M" + "L".join(f"{number(x)} {number(y)}" for x, y in edge) + "Z"
    looks = f"fill:var({series.style.colour})"
    return tag("path", {"class": "band", "d": path, "style": looks, "data-series": series.name})


def _line(series: Series, across: Scale, up: Scale) -> Markup:
    points = [(across(point.x), up(point.y)) for point in series.points]
    looks = f"stroke:var({series.style.colour})"
    drawn = polyline(points, class_="line", style=looks, stroke_dasharray=series.style.dash)
    marks = [
        mark(x, y, series.style.shape, series.style.colour, point.text)
        for (x, y), point in zip(points, series.points, strict=True)
        if series.marked
    ]
    if series.spot is not None:
        place = across(series.spot.x), up(series.spot.y)
        marks.append(mark(*place, series.style.shape, series.style.colour, series.spot.text))
    return tag("g", {"data-series": series.name}, drawn, *marks)
