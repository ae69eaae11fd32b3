"""From a study's figures to its charts."""

import dataclasses
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from mfcl.core.console import counted
from mfcl.evaluation import wording
from mfcl.evaluation.result import CLEAN, GAIN, NOISE, OTHER_NOISE, PRETRAINED, Question, Representation
from mfcl.evaluation.summary import Summary
from mfcl.report.names import called
from mfcl.report.phrases import mean_count, shortened
from mfcl.report.selection import by_question, shown, view
from mfcl.report.svg.dots import Dot, DotChart
from mfcl.report.svg.lines import Axis, LineChart, Point, Series
from mfcl.report.svg.scales import span, tick_text
from mfcl.report.svg.styles import Style, by_view, style

NEAR = 0.08
"""Share of a logarithmic axis below which two marks would lie on one another."""


@dataclass(frozen=True)
class Plot:
    """A chart and what stands around it.

    Attributes:
        title: Above it, empty where the section's own is enough.
        drawings: The same for wide and narrow screens, or one for any.
        legend: (name, looks) of its series.
        chart: What is drawn, for other ways to draw it; None for a matrix.
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


def said(one: Summary, place: str = "") -> str:
    """Return what is shown on hover over a figure."""
    metric = one.question.metric
    interval = (
        f" [{wording.figure(metric, one.low)}, {wording.figure(metric, one.high)}]"
        if one.low is not None and one.high is not None
        else ""
    )
    name = called(one.representation, one.question.section)
    return f"{name}{place}: {wording.figure_with_unit(metric, one.value)}{interval}"


def figure_axis(found: Sequence[Summary]) -> Axis:
    """Return the axis that holds all figures and their intervals."""
    ends = [end for one in found for end in (one.value, one.low, one.high) if end is not None]
    about = wording.metric(found[0].question.metric)
    percent = about.unit == "%"
    low, high = span(ends, floor=0.0, top=100.0 if percent else float("inf"), least=4.0 if percent else 0.05)
    return Axis(about.head, low, high)


def efficiency(figures: Iterable[Summary]) -> list[Plot]:
    """Return accuracy against labels a class, a chart for every label."""
    plots = []
    found = [one for one in figures if one.x is not None and one.x > 0]
    for label in dict.fromkeys(one.question.label for one in found):
        own = [one for one in found if one.question.label == label]
        counts = sorted({one.x for one in own if one.x is not None})
        if len(counts) < 2:
            continue
        series = _lines(own, style, lambda one: one.x, lambda one: f", {wording.amount(one.question)}")
        marks = tuple((count, mean_count(count)) for count in _marked(counts))
        x = Axis("labels a class", counts[0], counts[-1], "log", marks)
        text = f"{counted(len(series), 'curve')} from {marks[0][1]} to {marks[-1][1]} labels a class."
        name = f"{shortened(label)}: accuracy by labels a class"
        plots.append(plot_lines(LineChart(name, text, x, figure_axis(own), series), name))
    return plots if len(plots) > 1 else [dataclasses.replace(plot, title="") for plot in plots]


def _marked(counts: Sequence[float]) -> list[float]:
    """Return the counts that have a mark on a logarithmic axis: of two that are near, the larger.

    All labels are more for a probe, which is fitted on those of the validation split too, than for a network.

    Example:
        >>> _marked([1.0, 5.0, 100.0, 110.0])
        [1.0, 5.0, 110.0]
    """
    kept = [counts[-1]]
    least = NEAR * math.log(counts[-1] / counts[0])
    for count in reversed(counts[:-1]):
        if math.log(kept[-1] / count) >= least:
            kept.append(count)
    return kept[::-1]


def crops(figures: Sequence[Summary]) -> list[Plot]:
    """Return each question's figure against the length of the crops.

    Where crops of one length lie in several ways, no line can join them: each choice has a row instead.
    """
    plots = []
    found = [one for one in figures if one.x is not None]
    for title, own in titled(found):
        places = sorted({one.x for one in own if one.x is not None})
        if len({(one.x, view(one.representation)) for one in own}) < len(own):
            plots += choices(own)
        elif len(places) > 1:
            variants = [dataclasses.replace(one.representation, variant="") for one in own]
            series = tuple(
                _line([one for one in own if view(one.representation) == view(whose)], wording.name(
                    dataclasses.replace(whose, kind="")), by_view(whose), lambda one: one.x, lambda one: "")
                for whose in dict.fromkeys(variants)
            )  # fmt: skip
            x = Axis("length of a crop, % of the recording", places[0], places[-1],
                     ticks=tuple((place, f"{place:g}") for place in places))  # fmt: skip
            chart = LineChart(title, f"{counted(len(series), 'curve')}.", x, figure_axis(own), series)
            plots.append(plot_lines(chart, title, small=True))
    return plots


def choices(figures: Sequence[Summary]) -> list[Plot]:
    """Return a chart a question with a row a choice (of augmentation, of formats) and a mark a format."""
    plots = []
    for title, own in titled(figures):
        rows: dict[str, list[Dot]] = {}
        legend: dict[str, Style] = {}
        for one in sorted(own, key=lambda one: one.x or 0.0):
            mark = called(dataclasses.replace(one.representation, kind="", variant="")) or "baseline"
            legend[mark] = by_view(one.representation)
            rows.setdefault(choice(one.representation), []).append(_dot(one, legend[mark], mark))
        if len(rows) < 2:
            continue
        lines = tuple((name, tuple(dots)) for name, dots in rows.items())
        text = f"{counted(len(lines), 'row')}; the figures are in the table below."
        chart = DotChart(title, text, figure_axis(own), lines)
        plots.append(Plot(title, (chart.draw(348, "any"),), tuple(legend.items()), chart))
    return plots


def choice(one: Representation) -> str:
    """Return the choice that a representation of a sweep is made with.

    Example:
        >>> choice(Representation("pre-trained", "augmented none", "mel")), choice(Representation("untrained", "a=1"))
        ('augmented none', 'untrained, a=1')
    """
    changed = dataclasses.replace(one, format="", part="")
    return one.variant if one.variant and one.kind == PRETRAINED else called(changed)


def robustness(figures: Iterable[Summary]) -> list[Plot]:
    """Return a chart a question of figures against white noise and against gain, and one with rows for other noise."""
    figures = list(figures)
    groups: dict[Question, list[Summary]] = {}
    for one in figures:
        groups.setdefault(dataclasses.replace(one.question, condition="", condition_value=None), []).append(one)
    lines = [
        plot
        for question, found in groups.items()
        for kind, axis in ((NOISE, "signal to noise, dB"), (GAIN, "gain, dB"))
        for plot in _disturbed(shortened(wording.task(question)), found, kind, axis)
    ]
    return [*lines, *standing([one for one in figures if one.question.condition in OTHER_NOISE])]


def _disturbed(task: str, found: Sequence[Summary], kind: str, axis: str) -> list[Plot]:
    own = [one for one in found if one.question.condition == kind]
    levels = sorted({one.question.condition_value for one in own if one.question.condition_value is not None})
    if len(levels) < 2:
        return []
    clean = [one for one in found if one.question.condition == CLEAN]
    # what was not disturbed stands one step beyond the quietest noise, and in the middle of the gains
    beyond = levels[-1] + (levels[-1] - levels[-2]) if kind == NOISE else 0.0
    ticks = {level: tick_text(level) for level in levels}
    ticks.update({beyond: "clean" if kind == NOISE else "0"} if clean else {})
    places = sorted(ticks)
    series = _lines(
        [*own, *clean], style,
        lambda one: beyond if one.question.condition == CLEAN else one.question.condition_value,
        lambda one: f", {wording.condition(one.question)}",
    )  # fmt: skip
    x = Axis(axis, places[0], places[-1], ticks=tuple((place, ticks[place]) for place in places))
    text = f"{counted(len(series), 'curve')}."
    words = "white noise" if kind == NOISE else kind
    chart = LineChart(f"{task} under {words}", text, x, figure_axis([*own, *clean]), series)
    return [plot_lines(chart, f"{task}, {words}")]


def standing(figures: Sequence[Summary]) -> list[Plot]:
    """Return a chart a question with every representation in a row of its own."""
    plots = []
    for title, own in titled(figures):
        rows = tuple((called(one.representation), (_dot(one, style(one.representation)),)) for one in own)
        if len(rows) > 1:
            chart = DotChart(title, "; ".join(said(one) for one in own), figure_axis(own), rows)
            plots.append(Plot(title, (chart.draw(348, "any"),), (), chart))
    return plots


def titled(figures: Iterable[Summary]) -> list[tuple[str, list[Summary]]]:
    """Return (title, figures) of every question; the metric is named where one task has several."""
    groups = by_question(figures)
    tasks = [wording.task(question) for question in groups]
    return [
        (
            shortened(task, 80)
            if tasks.count(task) == 1
            else f"{shortened(task, 80)}, {wording.metric(question.metric).head}",
            own,
        )
        for task, (question, own) in zip(tasks, groups.items(), strict=True)
    ]


def _lines(
    found: Sequence[Summary],
    looks: Callable[[Representation], Style],
    place: Callable[[Summary], float | None],
    words: Callable[[Summary], str],
) -> tuple[Series, ...]:
    """Return a line for every representation that a chart has room for."""
    section = found[0].question.section
    return tuple(
        _line([one for one in found if one.representation == whose], called(whose, section), looks(whose), place, words)
        for whose in shown(one.representation for one in found)
    )


def _line(
    own: Iterable[Summary],
    name: str,
    looks: Style,
    place: Callable[[Summary], float | None],
    words: Callable[[Summary], str],
) -> Series:
    """Return a line whose points say on hover what they are."""
    placed = [(x, one) for one in own if (x := place(one)) is not None]
    placed.sort(key=lambda entry: entry[0])
    points = tuple(Point(x, one.value, one.low, one.high, said(one, words(one))) for x, one in placed)
    return Series(name, points, looks)


def _dot(one: Summary, looks: Style, name: str = "") -> Dot:
    return Dot(name or called(one.representation), one.value, one.low, one.high, looks, said(one))
