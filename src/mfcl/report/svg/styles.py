"""How a representation looks in every chart: colour by how it was made, dashes by format, marks as a second sign."""

from dataclasses import dataclass

from mfcl.report.aggregate import kind, view

DASHES: dict[str | None, str | None] = {
    "both": None, "words": "14 4", "voices": "10 3 2 3", "mel": "8 4", "wave": "2 3.5", None: None,
}  # fmt: skip
"""View -> dashes of its line."""


@dataclass(frozen=True)
class Style:
    """How one series is drawn.

    Attributes:
        colour: A CSS variable of the page.
        shape: A key of `mfcl.report.svg.elements.SHAPES`.
        dash: An SVG dash array, none for an unbroken line.
    """

    colour: str
    shape: str
    dash: str | None


def style(representation: str) -> Style:
    """Return a representation's looks, the same in every chart."""
    made = kind(representation)
    format = view(representation)
    for words, colour, shape in (
        ("fine-tuned", "--sky", "diamond"),
        ("joint", "--grey", "circle"),
        ("scratch", "--vermilion", "square"),
        ("supervised", "--vermilion", "square"),
        ("untrained", "--orange", "triangle"),
        ("MFCC", "--purple", "down"),
        ("log-mel", "--green", "cross"),
        ("Hydra", "--yellow", "star"),
    ):
        if words in made:
            return Style(colour, shape, DASHES[format])
    return Style(
        "--blue",
        {"mel": "bar", "wave": "diamond", "words": "square", "voices": "triangle"}.get(format or "", "circle"),
        DASHES[format],
    )


def by_format(representation: str) -> Style:
    """Return the looks where all series are pre-trained and differ by format alone."""
    looks = {
        "both": ("--blue", "circle"), "mel": ("--green", "cross"), "wave": ("--orange", "triangle"),
        "words": ("--sky", "square"), "voices": ("--vermilion", "star"),
    }  # fmt: skip
    colour, shape = looks.get(view(representation) or "", ("--purple", "down"))
    return Style(colour, shape, "8 4" if "overlap" in representation else None)
