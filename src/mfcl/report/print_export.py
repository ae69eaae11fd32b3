"""The same charts for print: SVG and PNG by matplotlib, which only this module knows and only when it is asked."""

import io
import warnings
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

from mfcl.core.files import replacing
from mfcl.errors import MfclError
from mfcl.report import picture_charts
from mfcl.report.embedding_maps import map_data
from mfcl.report.load import Study
from mfcl.report.phrases import shortened
from mfcl.report.sections import sections
from mfcl.report.svg.dots import DotChart
from mfcl.report.svg.lines import Axis, LineChart

COLOURS: dict[str, str] = {
    "--blue": "#0072b2", "--vermilion": "#d55e00", "--green": "#009e73", "--orange": "#e69f00", "--purple": "#cc79a7",
    "--sky": "#56b4e9", "--yellow": "#b3a100", "--grey": "#6f7782",
}  # fmt: skip
MARKS: dict[str, str] = {
    "circle": "o", "square": "s", "triangle": "^", "diamond": "D", "cross": "P", "down": "v", "bar": "_", "star": "*",
}  # fmt: skip
FILES: dict[str, str] = {"voices": "det"}
"""Section -> what its files are called, where that is not its name."""
LOOKS, KEYS = 64, 30
"""Pairs of colour and mark there are; values in a map's legend where it has more values than that."""
SETTINGS: dict[str, Any] = {
    "font.size": 9, "axes.spines.top": False, "axes.spines.right": False, "axes.grid": True, "grid.alpha": 0.3,
    "svg.hashsalt": "mfcl", "svg.fonttype": "none", "legend.frameon": False, "legend.fontsize": 7.5,
}  # fmt: skip


def write_figures(study: Study, folder: Path) -> list[Path]:
    """Write every map and chart of a study, but confusions, as SVG and as PNG; equal studies give equal files.

    Returns:
        The files.

    Raises:
        MfclError: matplotlib is not installed, or a full disk.
    """
    try:
        import matplotlib
    except ImportError as error:
        raise MfclError('figures need matplotlib, which is not installed; run `pip install "mfcl[figures]"`') from error
    written: list[Path] = []
    taken: Counter[str] = Counter()
    with matplotlib.rc_context(cast(Any, SETTINGS)):
        for name, figure in _drawn(study):
            taken[name] += 1  # names that differ in signs alone are equal as names of files
            name = name if taken[name] == 1 else f"{name}-{taken[name]}"
            written += [_save(figure, folder / f"{name}.{kind}", kind) for kind in ("svg", "png")]
    return written


def _drawn(study: Study) -> Iterator[tuple[str, Any]]:
    """Yield (file name, matplotlib figure)."""
    maps = map_data(study)
    for one in maps["maps"] if maps else []:
        yield f"map-{_file_name(one['name'])}", _map(one, maps or {})
    groups = [(_file_name(FILES.get(one.table.name, one.table.name)), one.plots) for one in sections(study)]
    for name, plots in (*groups, ("training", tuple(picture_charts.training(study.pictures)))):
        for place, chart in enumerate((plot.chart for plot in plots if plot.chart is not None), start=1):
            yield f"{name}-{place}", _lines(chart) if isinstance(chart, LineChart) else _dots(chart)


def _figure(width: float, height: float) -> tuple[Any, Any]:
    """Return a figure and its axes, apart from pyplot and its list of open figures."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure, figure.add_subplot()


def _save(figure: Any, path: Path, kind: str) -> Path:
    drawn = io.BytesIO()
    with warnings.catch_warnings():  # a name in a script that the font has not is drawn as boxes, which is seen anyway
        warnings.filterwarnings("ignore", message="Glyph .* missing", category=UserWarning)
        figure.savefig(drawn, format=kind, dpi=160, metadata={"Date": None} if kind == "svg" else {"Software": None})
    with replacing(path) as temporary:
        temporary.write_bytes(drawn.getbuffer())
    return path


def _map(one: dict[str, Any], maps: dict[str, Any]) -> Any:
    """Draw a map twice: by what is measured and by the voice."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    labels = maps["labels"][:2]
    figure = Figure(figsize=(4.4 * len(labels), 4.9), layout="constrained")
    FigureCanvasAgg(figure)
    for axes, label in zip(figure.subplots(1, len(labels), squeeze=False)[0], labels, strict=True):
        for value, text in enumerate(label["values"]):
            places = [
                place for place, clip in enumerate(one["of"])
                if label["of"][clip] == value and not maps["part"][clip]  # test clips alone
            ]  # fmt: skip
            if not places:
                continue
            colours, shapes = list(COLOURS.values()), ["o", "s", "^", "D", "P", "v", "X", "*"]
            axes.scatter(
                [one["x"][place] for place in places], [-one["y"][place] for place in places], s=9, linewidths=0,
                c=colours[value % 8], marker=shapes[(value + value // 8) % 8],
                label=_plain(shortened(text, 30)) if value < KEYS or len(label["values"]) <= LOOKS else None,
            )  # fmt: skip
        axes.set(xticks=[], yticks=[], aspect="equal", title=_plain(f"{one['name']}, by {label['name']}"))
        axes.spines[:].set_visible(False)
        axes.legend(
            loc="upper center",
            bbox_to_anchor=(0.5, 0),
            ncols=10,
            markerscale=1.4,
            handletextpad=0,
            columnspacing=0.5,
            fontsize=6,
        )
    return figure


def _lines(chart: LineChart) -> Any:
    figure, axes = _figure(5.2, 3.9)
    for one in chart.series:
        colour = COLOURS[one.style.colour]
        dash: Any = (0, tuple(float(part) / 2 for part in one.style.dash.split())) if one.style.dash else "-"
        x = [point.x for point in one.points]
        axes.plot(
            x, [point.y for point in one.points], color=colour, linestyle=dash, markersize=5, linewidth=1.5,
            clip_on=False,
            marker=MARKS[one.style.shape] if one.marked else "none", label=_plain(one.name),
        )  # fmt: skip
        if one.spot is not None:
            axes.plot(one.spot.x, one.spot.y, MARKS[one.style.shape], color=colour, markersize=6)
        banded = [point for point in one.points if point.low is not None and point.high is not None]
        low, high = [point.low for point in banded], [point.high for point in banded]
        axes.fill_between([point.x for point in banded], low, high, color=colour, alpha=0.13, linewidth=0)
    for height, text in chart.references:
        axes.axhline(height, color=COLOURS["--grey"], linestyle=":", linewidth=1)
        axes.annotate(text, (1, height), xycoords=("axes fraction", "data"), ha="right", va="bottom", fontsize=7.5)
    _axis(axes, chart.x, "x")
    _axis(axes, chart.y, "y")
    axes.set_title(_plain(chart.name), fontsize=9.5)
    if len(chart.series) > 1:
        axes.legend()
    return figure


def _dots(chart: DotChart) -> Any:
    figure, axes = _figure(5.2, 0.9 + 0.55 * len(chart.rows))
    named: set[str] = set()
    for row, (_, dots) in enumerate(chart.rows):
        for step, dot in enumerate(dots):
            y = row + 0.2 * (step - (len(dots) - 1) / 2)
            colour = COLOURS[dot.style.colour]
            if dot.low is not None and dot.high is not None:
                axes.plot([dot.low, dot.high], [y, y], color=colour, alpha=0.6, linewidth=1.5)
            label = _plain(dot.name) if dot.name not in named else None
            axes.plot(dot.value, y, MARKS[dot.style.shape], color=colour, markersize=5, label=label)
            named.add(dot.name)
    axes.set_yticks(range(len(chart.rows)), [_plain(words) for words, _ in chart.rows])
    axes.invert_yaxis()
    _axis(axes, chart.x, "x")
    axes.set_title(_plain(chart.name), fontsize=9.5)
    if len(named) > 1 and named != {words for words, _ in chart.rows}:  # else the rows are named by the axis
        axes.legend()
    return figure


def _axis(axes: Any, axis: Axis, which: str) -> None:
    """Set an axis's scale, ends, ticks and words."""
    from matplotlib.ticker import NullLocator
    from scipy.special import ndtr, ndtri

    if axis.kind == "probit":
        getattr(axes, f"set_{which}scale")("function", functions=(ndtri, ndtr))
    elif axis.kind == "log":
        getattr(axes, f"set_{which}scale")("log")
    getattr(axes, f"set_{which}lim")(axis.low, axis.high)
    places = axis.places()
    getattr(axes, f"set_{which}ticks")([value for value, _ in places], [text for _, text in places])
    getattr(axes, f"{which}axis").set_minor_locator(NullLocator())
    getattr(axes, f"set_{which}label")(axis.title)


def _plain(text: str) -> str:
    """Return a text in which matplotlib sees no formula, and that it does not hide from a legend."""
    shown = text.replace("$", r"\$")
    return f" {shown}" if shown.startswith("_") else shown


def _file_name(text: str) -> str:
    return "-".join("".join(sign if sign.isalnum() else " " for sign in text).split()).lower()
