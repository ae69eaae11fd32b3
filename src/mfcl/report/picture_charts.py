"""From a study's pictures to charts: confusions, the lowest groups, verification curves and training."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from mfcl.core.console import counted
from mfcl.evaluation.result import BASELINE, PRETRAINED, SUPERVISED, UNTRAINED, Representation
from mfcl.report.charts import Plot, plot_lines
from mfcl.report.names import called
from mfcl.report.phrases import apart, shortened
from mfcl.report.picture_text import by_group, summed
from mfcl.report.pictures import Det, Epoch, Pictures, Training
from mfcl.report.selection import pictured, shown
from mfcl.report.svg.dots import Dot, DotChart
from mfcl.report.svg.lines import Axis, LineChart, Point, Series
from mfcl.report.svg.matrices import matrix
from mfcl.report.svg.scales import RATES, span
from mfcl.report.svg.styles import Style, style

MOST_CLASSES = 30
"""Classes of a drawn matrix; of more, those that take part in the most mistakes."""
LOWEST = 8
"""Groups drawn: those with the lowest accuracy."""
CURVES: tuple[tuple[str, str, str], ...] = (
    ("loss", "loss", "chance_loss"), ("valid_knn", "validation kNN, %", "chance_knn"),
    ("valid_pairing", "validation pairing, %", ""),
)  # fmt: skip
"""Of a training: what is drawn by epoch, its words, and the field that holds the figure of guessing."""


def confusions(pictures: Pictures) -> list[Plot]:
    """Return the matrices of the pre-trained, supervised and untrained encoders and of one baseline, seeds added.

    All of them show the same classes: the most confused ones of the first matrix.
    """
    whose = [picture.representation for picture in pictures.confusions]
    wanted = [pictured(whose, kind) for kind in (PRETRAINED, SUPERVISED, UNTRAINED, BASELINE)]
    plots = []
    kept: list[str] = []
    for one in [one for one in wanted if one is not None]:
        classes, counts = summed(pictures, one)
        if counts is None or not counts.size:
            continue
        if not set(kept) & set(classes):
            wrong = counts - np.diag(np.diag(counts))
            order = np.argsort(-(wrong.sum(axis=0) + wrong.sum(axis=1)), kind="stable")[:MOST_CLASSES]
            kept = [classes[place] for place in sorted(order)]
            which = f"the {len(kept)} most confused"
        some = f", {which} of {len(classes):,} classes" if len(kept) < len(classes) else ""
        which = f"the same {len(kept)}"
        plots.append(Plot(f"Confusions, {called(one)}{some}", (matrix(called(one) + some, classes, counts, kept),)))
    return plots


def groups(pictures: Pictures) -> list[Plot]:
    """Return the groups that fare worst with the pre-trained encoders, and how they fare with others."""
    whose = [picture.representation for picture in pictures.groups]
    first = pictured(whose)
    if first is None:
        return []
    rivals = [one for kind in (SUPERVISED, UNTRAINED, BASELINE) if (one := pictured(whose, kind)) is not None]
    columns = {one: by_group(pictures, one) for one in [first, *rivals[:2]]}
    by = shortened(pictures.groups[0].by)
    rows = []
    lowest = list(columns[first])[:LOWEST]
    for group, words in zip(lowest, apart(lowest), strict=True):
        dots = tuple(_group_dot(one, words, *found[group]) for one, found in columns.items() if group in found)
        rows.append((words, dots))
    values = [dot.value for _, dots in rows for dot in dots]
    if not values:
        return []
    low, high = span(values, floor=0.0, top=100.0)
    (_, (least, _)), *rest = columns[first].items()
    text = f"The {len(rows)} lowest of {len(columns[first])}"
    if not rest or least < rest[0][1][0]:
        text += f"; {rows[0][0]} is the lowest"
    chart = DotChart(f"Lowest accuracy by {by}", f"{text}.", Axis("accuracy, %", low, high), tuple(rows))
    legend = tuple((called(one), style(one)) for one in columns)
    return [Plot(f"Lowest accuracy by {by}", (chart.draw(348, "any"),), legend, chart)]


def _group_dot(one: Representation, group: str, accuracy: float, count: int) -> Dot:
    text = f"{group}, {called(one)}: {accuracy:.1f} % of {counted(count, 'clip')}"
    return Dot(called(one), accuracy, None, None, style(one), text)


def det(pictures: Pictures) -> list[Plot]:
    """Return false rejections against false acceptances on normal-deviate axes, a chart a number of clips enrolled."""
    plots = []
    seed = min((one.seed for one in pictures.det), default=0)
    for clips in sorted({one.clips for one in pictures.det}):
        own = [one for one in pictures.det if one.clips == clips and one.seed == seed]
        kept = shown(one.representation for one in own)
        series = tuple(_det_series(one) for one in own if one.representation in kept)
        series = tuple(one for one in series if one.points)
        if not series:
            continue
        rates = [rate for one in series for point in one.points for rate in (point.x, point.y)]
        low, high = max(min(rates), 0.001), min(max(rates), 0.9)
        low = max((rate for rate in RATES if rate <= low), default=RATES[0])
        high = min((rate for rate in RATES if rate >= high), default=RATES[-1])
        series = tuple(_within(one, low, high) for one in series)
        marks = tuple((rate, f"{100 * rate:g}") for rate in RATES)
        x, y = (Axis(words, low, high, "probit", marks) for words in ("false acceptances, %", "false rejections, %"))
        title = f"{counted(clips, 'clip')} enrolled, seed {seed}"
        chart = LineChart(
            f"Detection error trade-off, {title}", "; ".join(one.name for one in series), x, y, series, diagonal=True
        )
        plots.append(plot_lines(chart, title, small=True, square=True))
    return plots


def _det_series(one: Det) -> Series:
    """Return a representation's curve with a mark where its two errors are equal."""
    name = called(one.representation)
    spot = Point(one.eer / 100, one.eer / 100, text=f"{name}: equal error rate {one.eer:.1f} %")
    pairs = sorted(zip(one.false_accept, one.false_reject, strict=True))
    # the ends are infinitely far on these axes
    points = tuple(Point(float(x), float(y)) for x, y in pairs if 0 < x < 1 and 0 < y < 1)
    return Series(f"{name} (EER {one.eer:.1f} %)", points, style(one.representation), marked=False, spot=spot)


def _within(one: Series, low: float, high: float) -> Series:
    """Return a line without the points that lie outside the axes, which would be drawn along their edge."""
    kept = tuple(point for point in one.points if low <= point.x <= high and low <= point.y <= high)
    return replace(one, points=kept or one.points[:1])


def training(pictures: Pictures) -> list[Plot]:
    """Return loss and validation figures by epoch, each beside chance; a thin line a seed."""
    plots = []
    runs = [one for one in pictures.training if one.epochs]
    for run in dict.fromkeys(one.run for one in runs):
        own = [one for one in runs if one.run == run]
        for field, words, chance in CURVES:
            title = f"{shortened(run)}: {words}"
            chart = _training_chart(title, own, field, words, getattr(own[0], chance) if chance else None)
            if chart is not None:
                plots.append(plot_lines(chart, title, small=True))
    return plots


def _training_chart(
    name: str, runs: Sequence[Training], field: str, words: str, chance: float | None
) -> LineChart | None:
    series = []
    dashes = (None, "8 4", "2 3.5")
    for place, run in enumerate(runs):
        points = tuple(Point(float(one.epoch), value) for one in run.epochs if (value := _at(one, field)) is not None)
        looks = Style("--blue", "circle", dashes[place % 3])
        series.append(Series(f"seed {run.seed}", points, looks, marked=len(points) == 1))
    values = [point.y for one in series for point in one.points]
    if not values:
        return None
    ends = [*values, *([chance] if chance is not None else [])]
    low, high = span(ends, least=0.5, floor=0.0, top=100.0 if field != "loss" else float("inf"))
    last = max(point.x for one in series for point in one.points)
    x = Axis("epoch", min(1.0, last - 1), last)
    references = ((chance, "chance"),) if chance is not None else ()
    return LineChart(
        name, f"From {values[0]:.2f} to {values[-1]:.2f}.", x, Axis(words, low, high), tuple(series), references
    )


def _at(one: Epoch, field: str) -> float | None:
    found: float | None = getattr(one, field)
    return found
