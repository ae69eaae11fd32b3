"""From a study's figures to its charts."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from markupsafe import Markup

from mfcl.report.aggregate import Mean, kind, means, number_in, shown, view
from mfcl.report.load import Figure
from mfcl.report.svg.dots import Dot, DotChart
from mfcl.report.svg.lines import Axis, LineChart, Point, Series
from mfcl.report.svg.scales import span, tick_text
from mfcl.report.svg.styles import Style, by_format, style
from mfcl.report.units import PERCENT, head, with_unit, write


@dataclass(frozen=True)
class Plot:
    """A chart and what stands around it.

    Attributes:
        title: Above it, empty where the section's own is enough.
        drawings: The same for wide and narrow screens, or one for any.
        legend: (name, looks) of its series.
        chart: What is drawn, for other ways to draw it; none for a matrix.
    """

    title: str
    drawings: tuple[Markup, ...]
    legend: tuple[tuple[str, Style], ...] = ()
    chart: LineChart | DotChart | None = None


def plot_lines(chart: LineChart, title: str = "", *, small: bool = False, square: bool = False) -> Plot:
    """Return a chart of lines drawn for the screens that it is for; a small one has one drawing for all."""
    if small:
        drawings: tuple[Markup, ...] = (chart.draw(348, 348 if square else 260, "any"),)
    else:
        drawings = (chart.draw(1040, 440, "wide"), chart.draw(348, 330, "narrow"))
    return Plot(title, drawings, tuple((one.name, one.style) for one in chart.series), chart)


def said(one: Mean, place: str = "") -> str:
    """Return what is shown on hover over a figure."""
    interval = (
        f" [{write(one.metric, one.low)}, {write(one.metric, one.high)}]"
        if one.low is not None and one.high is not None
        else ""
    )
    return f"{one.representation}{place}: {with_unit(one.metric, one.value)}{interval}"


def percent_axis(found: Sequence[Mean]) -> Axis:
    """Return the axis that holds all figures and their intervals."""
    ends = [end for one in found for end in (one.value, one.low, one.high) if end is not None]
    metric = found[0].metric
    top = 100.0 if metric in PERCENT else float("inf")
    low, high = span(ends, floor=0.0, top=top, least=4.0 if metric in PERCENT else 0.05)
    return Axis(head(metric), low, high)


def _series(name: str, found: Iterable[Mean], looks: Style, unit: str | None) -> Series:
    """Return a line; on hover a point says where it lies in `unit`, or where there is none in its task's last words."""
    points = []
    for one in sorted((one for one in found if one.x is not None), key=lambda one: one.x or 0.0):
        where = f" at {tick_text(one.x or 0.0)} {unit}" if unit else f", {one.task.rpartition(', ')[2]}"
        points.append(Point(one.x or 0.0, one.value, one.low, one.high, said(one, where)))
    return Series(name, tuple(points), looks)


def efficiency(figures: Sequence[Figure]) -> list[Plot]:
    """Return accuracy against labels a class, a chart for every label."""
    plots = []
    found = [one for one in means(figures) if one.x is not None and one.x > 0]
    for label in dict.fromkeys(one.task.split(", ")[0] for one in found):
        own = [one for one in found if one.task.split(", ")[0] == label]
        counts = sorted({one.x for one in own if one.x is not None})
        if len(counts) < 2:
            continue
        names = shown(one.representation for one in own)
        series = tuple(
            _series(name, [one for one in own if one.representation == name], style(name), "labels a class")
            for name in names
        )
        x = Axis("labels a class", counts[0], counts[-1], "log", tuple((count, f"{count:.0f}") for count in counts))
        text = f"{len(series)} curves from {counts[0]:.0f} to {counts[-1]:.0f} labels a class."
        plots.append(plot_lines(LineChart(f"{label}: accuracy by labels a class", text, x, percent_axis(own), series)))
    return plots


def crops(figures: Sequence[Figure]) -> list[Plot]:
    """Return each task's figure against the length of the crops."""
    plots = []
    found = [one for one in means(figures) if one.x is not None]
    for task, own in _by_task(found).items():
        places = sorted({one.x for one in own if one.x is not None})
        if len(places) < 2:
            continue
        groups: dict[str, list[Mean]] = {}
        for one in own:
            groups.setdefault(_without_number(one.representation), []).append(one)
        series = tuple(_series(name, group, by_format(name), "%") for name, group in groups.items())
        x = Axis(
            "length of a crop, % of the clip",
            places[0],
            places[-1],
            ticks=tuple((place, f"{place:g}") for place in places),
        )
        plots.append(
            plot_lines(LineChart(task, f"{len(series)} curves.", x, percent_axis(own), series), task, small=True)
        )
    return plots


def _without_number(representation: str) -> str:
    """Return a crop's words without the length and what all have in common.

    Example:
        >>> _without_number("pre-trained, crops 45 % disjoint, both")
        'disjoint, both'
    """
    words = re.sub(r"\d+(\.\d+)? ?% ?", "", representation).removeprefix("pre-trained, ")
    return words.removeprefix("crops ").strip(" ,") or representation


def choices(figures: Sequence[Figure]) -> list[Plot]:
    """Return a chart a task with a row a choice (of augmentation, of formats) and a mark a format."""
    plots = []
    for task, own in _by_task(means(figures)).items():
        rows: dict[str, list[Mean]] = {}
        for one in own:
            rows.setdefault(kind(one.representation).removeprefix("pre-trained, "), []).append(one)
        lines = tuple(
            (name, tuple(_dot(one, by_format(one.representation)) for one in group)) for name, group in rows.items()
        )
        if len(lines) < 2:
            continue
        names = dict.fromkeys(dot.name for _, dots in lines for dot in dots)
        chart = DotChart(task, f"{len(lines)} rows; the figures are in the table below.", percent_axis(own), lines)
        plots.append(Plot(task, (chart.draw(348, "any"),), tuple((name, by_format(name)) for name in names), chart))
    return plots


def _dot(one: Mean, looks: Style) -> Dot:
    return Dot(view(one.representation) or one.representation, one.value, one.low, one.high, looks, said(one))


def robustness(figures: Sequence[Figure]) -> list[Plot]:
    """Return a chart a task of figures against noise, and one against gain where it was measured."""
    groups: dict[tuple[str, str], list[Mean]] = {}
    for one in means(figures):
        groups.setdefault((one.task.rpartition(", ")[0], one.metric), []).append(one)
    return [
        plot
        for (task, _), found in groups.items()
        for unit, title in (("noise", "signal to noise, dB"), ("gain", "gain, dB"))
        for plot in _disturbed(task, found, unit, title)
    ]


def _disturbed(task: str, found: Sequence[Mean], unit: str, title: str) -> list[Plot]:
    own = [placed for one in found if unit in one.task for placed in [_placed(one)] if placed.x is not None]
    levels = sorted({one.x for one in own if one.x is not None})
    if len(levels) < 2:
        return []
    clean = [one for one in found if one.task.endswith("clean")]
    # what was not disturbed stands one step beyond the quietest noise, and in the middle of the gains
    beyond = levels[-1] + (levels[-1] - levels[-2]) if unit == "noise" else 0.0
    own += [replace(one, x=beyond) for one in clean]
    ticks = {level: tick_text(level) for level in levels}
    ticks.update({beyond: "clean" if unit == "noise" else "0"} if clean else {})
    places = sorted(ticks)
    series = tuple(
        _series(name, [one for one in own if one.representation == name], style(name), None)
        for name in shown(one.representation for one in own)
    )
    x = Axis(title, places[0], places[-1], ticks=tuple((place, ticks[place]) for place in places))
    chart = LineChart(f"{task} under {unit}", f"{len(series)} curves.", x, percent_axis(own), series)
    return [plot_lines(chart, f"{task}, {unit}")]


def _placed(one: Mean) -> Mean:
    return one if one.x is not None else replace(one, x=number_in(one.task, "dB"))


def standing(figures: Sequence[Figure]) -> list[Plot]:
    """Return a chart a task with every representation in a row of its own."""
    plots = []
    for task, own in _by_task(means(figures)).items():
        rows = tuple((one.representation, (_dot(one, style(one.representation)),)) for one in own)
        if len(rows) > 1:
            chart = DotChart(task, "; ".join(said(one) for one in own), percent_axis(own), rows)
            plots.append(Plot(task, (chart.draw(348, "any"),), (), chart))
    return plots


def _by_task(found: Iterable[Mean]) -> dict[str, list[Mean]]:
    """Return task -> its figures; a task of two metrics is two tasks."""
    groups: dict[tuple[str, str], list[Mean]] = {}
    for one in found:
        groups.setdefault((one.task, one.metric), []).append(one)
    several = [task for task, _ in groups]
    return {
        task if several.count(task) == 1 else f"{task}, {head(metric)}": own for (task, metric), own in groups.items()
    }
