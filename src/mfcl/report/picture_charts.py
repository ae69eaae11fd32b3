"""From a study's pictures to charts: confusions, the lowest groups, verification curves and training."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from mfcl.report.aggregate import CONTROLS, shown
from mfcl.report.charts import Plot, plot_lines
from mfcl.report.load import Study
from mfcl.report.picture_text import by_group, foremost, summed
from mfcl.report.svg.dots import Dot, DotChart
from mfcl.report.svg.lines import Axis, LineChart, Point, Series
from mfcl.report.svg.matrices import matrix
from mfcl.report.svg.scales import RATES, span
from mfcl.report.svg.styles import Style, style


def confusions(study: Study) -> list[Plot]:
    """Return the matrices of the pre-trained, supervised and untrained encoders and of one control, seeds added."""
    pictures = study.pictured("confusions")
    names = [foremost(pictures, made) for made in ("pre-trained", "supervised", "untrained", *CONTROLS)]
    plots = []
    for name in [name for name in names if name][:4]:
        classes, counts = summed(study, name)
        plots.append(Plot(f"Confusions, {name}", (matrix(name, classes, counts),)))
    return plots


def groups(study: Study, lowest: int = 8) -> list[Plot]:
    """Return the groups that fare worst with the pre-trained encoders, and how they fare with others."""
    pictures = study.pictured("groups")
    first = foremost(pictures)
    if first is None:
        return []
    rivals = [foremost(pictures, made) for made in ("supervised", "untrained", *CONTROLS)]
    columns = {name: by_group(study, name) for name in [first, *[rival for rival in rivals if rival][:2]]}
    by = str(pictures[0].get("by", "group"))
    rows = []
    for group in list(columns[first])[:lowest]:
        dots = [(name, *found[group]) for name, found in columns.items() if group in found]
        rows.append(
            (group, tuple(Dot(name, value, None, None, style(name), f"{group}, {name}: {value:.1f} % of {count} clips")
                          for name, value, count in dots))
        )  # fmt: skip
    values = [dot.value for _, dots in rows for dot in dots]
    low, high = span(values, floor=0.0, top=100.0)
    text = f"The {len(rows)} lowest of {len(columns[first])}; {rows[0][0]} is the lowest."
    chart = DotChart(f"Lowest accuracy by {by}", text, Axis("accuracy, %", low, high), tuple(rows))
    legend = tuple((name, style(name)) for name in columns)
    return [Plot(f"Lowest {by}s", (chart.draw(348, "any"),), legend, chart)]


def det(study: Study) -> list[Plot]:
    """Return false rejections against false acceptances on normal-deviate axes, a chart a number of clips enrolled."""
    plots = []
    seed = min((one["seed"] for one in study.pictured("det")), default=0)
    for clips in sorted({int(one["clips"]) for one in study.pictured("det")}):
        own = [one for one in study.pictured("det") if int(one["clips"]) == clips and one["seed"] == seed]
        names = shown(str(one["representation"]) for one in own)
        series = tuple(_det_series(one) for one in own if one["representation"] in names)
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
        title = f"{clips} clip{'s' if clips != 1 else ''} enrolled, seed {seed}"
        chart = LineChart(
            f"Detection error trade-off, {title}", "; ".join(one.name for one in series), x, y, series, diagonal=True
        )
        plots.append(plot_lines(chart, title, small=True, square=True))
    return plots


def _det_series(one: dict[str, Any]) -> Series:
    """Return a representation's curve with a mark where its two errors are equal."""
    name, eer = str(one["representation"]), float(one["eer"])
    spot = Point(eer / 100, eer / 100, text=f"{name}: equal error rate {eer:.1f} %")
    return Series(f"{name} (EER {eer:.1f} %)", _det_points(one), style(name), marked=False, spot=spot)


def _within(one: Series, low: float, high: float) -> Series:
    """Return a line without the points that lie outside the axes, which would be drawn along their edge."""
    kept = tuple(point for point in one.points if low <= point.x <= high and low <= point.y <= high)
    return replace(one, points=kept or one.points[:1])


def _det_points(one: dict[str, Any]) -> tuple[Point, ...]:
    accepts, rejects = one["false_accept"], one["false_reject"]
    if not isinstance(accepts, list) or not isinstance(rejects, list):
        return ()
    pairs = sorted((float(x), float(y)) for x, y in zip(accepts, rejects, strict=False))
    inside = [Point(x, y) for x, y in pairs if 0 < x < 1 and 0 < y < 1]  # the ends are infinitely far on these axes
    return tuple(inside)


def training(study: Study) -> list[Plot]:
    """Return loss and validation figures by epoch, each beside chance; a thin line a seed."""
    plots = []
    runs = [one for one in study.pictured("training") if one.get("epochs")]
    for run in dict.fromkeys(str(one["run"]) for one in runs):
        own = [one for one in runs if one["run"] == run]
        for field, words, chance in (
            ("loss", "loss", "chance_loss"),
            ("valid_knn", "validation kNN, %", "chance_knn"),
            ("valid_pairing", "validation pairing, %", None),
        ):
            chart = _training_chart(f"{run}: {words}", own, field, words, own[0].get(chance) if chance else None)
            if chart is not None:
                plots.append(plot_lines(chart, f"{run}: {words}", small=True))
    return plots


def _training_chart(
    name: str, runs: Sequence[dict[str, Any]], field: str, words: str, chance: float | None
) -> LineChart | None:
    series = []
    dashes = (None, "8 4", "2 3.5")
    for place, run in enumerate(runs):
        epochs = run["epochs"] if isinstance(run["epochs"], list) else []
        points = tuple(Point(float(one["epoch"]), float(one[field])) for one in epochs if one.get(field) is not None)
        looks = Style(style(str(run["run"])).colour, "circle", dashes[place % 3])
        series.append(Series(f"seed {run['seed']}", points, looks, marked=len(points) == 1))
    values = [point.y for one in series for point in one.points]
    if not values:
        return None
    ends = [*values, *([float(chance)] if chance is not None else [])]
    low, high = span(ends, least=0.5, floor=0.0, top=100.0 if "%" in words else float("inf"))
    last = max(point.x for one in series for point in one.points)
    x = Axis("epoch", min(1.0, last - 1), last)
    references = ((float(chance), "chance"),) if chance is not None else ()
    return LineChart(
        name, f"From {values[0]:.2f} to {values[-1]:.2f}.", x, Axis(words, low, high), tuple(series), references
    )
