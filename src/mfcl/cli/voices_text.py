"""What `mfcl voices` says: rows of tables, sentences about thresholds, the DET picture."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from mfcl.core.console import counted, printable

if TYPE_CHECKING:
    from mfcl.voices import Calibration, Enrolment, Evaluation, Identification, Turn, Verification
    from mfcl.voices.snapshot import Threshold


def percent(share: float) -> str:
    """Format a share as percent without its sign; a rate that is not zero is not written as zero.

    Example:
        >>> percent(0.0123), percent(0.5), percent(0.0), percent(0.0002)
        ('1.2', '50.0', '0.0', '0.02')
    """
    return f"{100 * share:.2g}" if 0 < share < 0.0005 else f"{100 * share:.1f}"


def plain(text: str) -> str:
    """Return a text as one printable line."""
    return printable(text)


def _ratio(value: float) -> str:
    return f"{value:.3f}"


FIGURES: dict[str, tuple[str, Callable[[float], str]]] = {
    "accuracy": ("closed set, right, %", percent),
    "eer": ("EER, %", percent),
    "min_dcf": ("minDCF (0.01)", _ratio),
    "cllr": ("Cllr, bits", _ratio),
    "min_cllr": ("least Cllr, bits", _ratio),
    "misses": ("open set, missed, %", percent),
    "false_alarms_reached": ("calibrated: strangers named, %", percent),
    "misses_reached": ("calibrated: missed, %", percent),
}
"""Kind of figure -> its name and its form."""


def enrolment_rows(found: "Enrolment") -> list[tuple[str, int, int, str, str, str]]:
    """Return the row of an enrolment."""
    agrees = "-" if found.agreement is None else f"{found.agreement:.2f}"
    level = f"{found.level:.0f}" if found.added else "-"
    return [(found.name, found.added, found.clips, f"{found.seconds:.1f}", level, agrees)]


def identification_rows(found: "Sequence[Identification]") -> list[tuple[str, ...]]:
    """Return a row for each clip: who, why not, score, margin, nearest clips."""
    rows: list[tuple[str, ...]] = []
    for one in found:
        why = one.reason
        if one.reason and one.best:
            others = f"{one.best}, {one.second}" if one.reason not in ("below threshold",) and one.second else one.best
            why = f"{one.reason} ({others})"
        margin = "-" if one.margin is None else f"{one.margin:z.1f}"
        near = ", ".join(f"{near.voice} {near.cosine:.2f}" for near in one.near)
        rows.append((one.source, one.name, why, f"{one.score:z.1f}", margin, near))
    return rows


def verification_rows(found: "Sequence[Verification]") -> list[tuple[str, ...]]:
    """Return a row for each clip."""
    return [
        (
            one.source, one.claimed, "accepted" if one.accepted else "rejected", f"{one.score:z.1f}",
            f"{one.threshold:z.1f}", one.nearer or "-",
        )
        for one in found
    ]  # fmt: skip


def turn_rows(found: "Sequence[Turn]") -> list[tuple[str, str, str, str, str]]:
    """Return a row for each turn."""
    return [(one.source, f"{one.start:.2f}", f"{one.end:.2f}", one.name, f"{one.score:z.1f}") for one in found]


def calibration_text(made: "Calibration") -> str:
    """Say what a gallery was calibrated on."""
    rate = f"{percent(made.far)} %" + ("" if made.far == made.asked else f" ({percent(made.asked)} % was asked)")
    return (
        f"calibrated for {rate} false alarms on {made.clips} clips of {made.people} people, "
        f"{counted(made.enrolled, 'clip')} enrolled, with {counted(made.voices, 'voice')} of the gallery"
    )


def expected(threshold: "Threshold", voices: int, margin: int | float = 0) -> str:
    """Say what to expect of a threshold, and that its shares leave out a margin that is asked for besides."""
    level = threshold.level
    if level is None:
        return f"threshold {threshold.value:.2f}, not calibrated: its errors are not known"
    alarms, misses = (
        f"{percent(value)} %" + ("" if low is None or high is None else f" [{percent(low)}, {percent(high)}]")
        for value, low, high in (
            (level.false_alarms, level.false_alarms_low, level.false_alarms_high),
            (level.misses, level.misses_low, level.misses_high),
        )
    )
    more = f"; a margin below {margin:g} leaves more without a name" if margin and voices > 1 else ""
    named = "voice" if voices == 1 else "voices"
    return (
        f"threshold {threshold.value:.2f} for {voices} {named}: {alarms} of strangers' clips get a name, "
        f"{misses} of enrolled people's do not get theirs (95 % over people){more}"
    )


RATES = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8)
"""Error rates that a DET picture may begin and end with."""
LOOKS = (("#0072b2", None), ("#d55e00", "8 4"), ("#009e73", "2 3.5"), ("#cc79a7", "10 3 2 3"))
"""Colour and dashes of each curve."""
SHEET = (
    "svg{background:#fff;font:12px sans-serif}.grid{stroke:#ddd}.rule,.reference{stroke:#888;fill:none}"
    ".line{stroke-width:2}.axis{font-weight:bold}"
)


def det_curves(found: "Evaluation") -> str:
    """Draw the DET curve of each number of enrolled clips as SVG, on axes of normal deviates."""
    from mfcl.report.svg.elements import label, tag
    from mfcl.report.svg.lines import Axis, LineChart, Point, Series
    from mfcl.report.svg.styles import Style

    pairs = {
        clips: [
            (float(x), float(y))
            for x, y in zip(curve.false_accept, curve.false_reject, strict=True)
            if RATES[0] <= x <= RATES[-1] and RATES[0] <= y <= RATES[-1]
        ]
        for clips, curve in found.curves.items()
    }
    rates = [rate for points in pairs.values() for point in points for rate in point] or [RATES[0], RATES[-1]]
    low = max(rate for rate in RATES if rate <= min(rates))
    high = min(rate for rate in RATES if rate >= max(rates))
    marks = tuple((rate, f"{100 * rate:g}") for rate in RATES)
    x, y = (Axis(text, low, high, "probit", marks) for text in ("strangers accepted, %", "own voice rejected, %"))
    series, legend = [], []
    for place, (clips, points) in enumerate(pairs.items()):
        colour, dash = LOOKS[place % len(LOOKS)]
        name = f"{clips} clip{'' if clips == 1 else 's'} enrolled"
        if points:
            series.append(
                Series(name, tuple(Point(*point) for point in points), Style(f"--c{place}", "circle", dash), False)
            )
            line = {"d": f"M380 {50 + 20 * place}h34", "stroke": colour, "stroke-width": 2, "stroke-dasharray": dash}
            legend += [tag("path", line), label(422.0, 54.0 + 20 * place, name)]
    text = f"Both errors at every threshold, {found.people} people, {found.clips} clips."
    drawn = str(LineChart("Verification of voices", text, x, y, tuple(series), diagonal=True).draw(560, 520, "any"))
    colours = "".join(f"--c{place}:{colour};" for place, (colour, _) in enumerate(LOOKS))
    styles = f"<style>svg{{{colours}}}{SHEET}</style>"
    opened = drawn.replace("<svg ", '<svg xmlns="http://www.w3.org/2000/svg" ', 1).replace(
        "<title>", f"{styles}<title>", 1
    )
    return opened.replace("</svg>", "".join(map(str, legend)) + "</svg>") + "\n"


def interval(low: float | None, high: float | None, form: str = "") -> str:
    """Return the ends of an interval, as percent or in a form; a dash where there is none."""
    if low is None or high is None:
        return "-"
    return f"[{form.format(low)}, {form.format(high)}]" if form else f"[{percent(low)}, {percent(high)}]"
