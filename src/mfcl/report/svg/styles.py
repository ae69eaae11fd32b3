"""How a representation looks in every chart: colour by how it was made, dashes by format, marks as a second sign."""

from dataclasses import dataclass

from mfcl.evaluation.result import (
    BASELINE,
    CONTENT,
    ELSEWHERE,
    FINE_TUNED,
    FROM_SCRATCH,
    JOINT,
    PRETRAINED,
    SPEAKER,
    SUPERVISED,
    UNTRAINED,
    Representation,
)

DASHES: dict[tuple[str, str], str] = {
    ("both", CONTENT): "14 4", ("both", SPEAKER): "10 3 2 3", ("mel", ""): "8 4", ("wave", ""): "2 3.5",
}  # fmt: skip
"""Format and part -> dashes of its line; the others are unbroken."""
KINDS: dict[str, tuple[str, str]] = {
    FINE_TUNED: ("--sky", "diamond"), JOINT: ("--grey", "circle"), FROM_SCRATCH: ("--vermilion", "square"),
    SUPERVISED: ("--vermilion", "square"), UNTRAINED: ("--orange", "triangle"), BASELINE: ("--grey", "bar"),
    ELSEWHERE: ("--purple", "star"),
}  # fmt: skip
"""Kind of representation -> colour and mark."""
BASELINES: dict[str, tuple[str, str]] = {
    "MFCC statistics": ("--purple", "down"), "log-mel picture": ("--green", "cross"),
    "Hydra-like features": ("--yellow", "star"),
}  # fmt: skip
"""Name of a baseline -> colour and mark."""
VIEWS: dict[tuple[str, str], tuple[str, str, str]] = {
    ("both", ""): ("circle", "--blue", "circle"), ("mel", ""): ("bar", "--green", "cross"),
    ("wave", ""): ("diamond", "--orange", "triangle"), ("both", CONTENT): ("square", "--sky", "square"),
    ("both", SPEAKER): ("triangle", "--vermilion", "star"),
}  # fmt: skip
"""Format and part -> mark of the pre-trained encoders; colour and mark where all series are pre-trained."""


@dataclass(frozen=True)
class Style:
    """How one series is drawn.

    Attributes:
        colour: A CSS variable of the page.
        shape: A key of `mfcl.report.svg.elements.SHAPES`.
        dash: An SVG dash array, None for an unbroken line.
    """

    colour: str
    shape: str
    dash: str | None


def style(one: Representation) -> Style:
    """Return a representation's looks, the same in every chart."""
    view = (one.format, one.part)
    if one.kind == PRETRAINED:
        return Style("--blue", VIEWS.get(view, VIEWS["both", ""])[0], DASHES.get(view))
    colour, shape = KINDS.get(one.kind, KINDS[BASELINE])
    if one.kind == BASELINE:
        colour, shape = BASELINES.get(one.variant, (colour, shape))
    return Style(colour, shape, DASHES.get(view))


def by_view(one: Representation) -> Style:
    """Return the looks where series differ by format and part alone."""
    _, colour, shape = VIEWS.get((one.format, one.part), ("", "--purple", "down"))
    return Style(colour, shape, None)
