"""SVG written by hand: escaped elements, and the paths of shapes that tell series apart without colour."""

from collections.abc import Mapping, Sequence

from markupsafe import Markup, escape

SHAPES: dict[str, str] = {
    "circle": "M0 -4.2A4.2 4.2 0 1 1 0 4.2A4.2 4.2 0 1 1 0 -4.2Z",
    "square": "M-3.7 -3.7H3.7V3.7H-3.7Z",
    "triangle": "M0 -4.9L4.6 3.6H-4.6Z",
    "diamond": "M0 -5.2L4.5 0L0 5.2L-4.5 0Z",
    "cross": "M-4.6 -1.5H-1.5V-4.6H1.5V-1.5H4.6V1.5H1.5V4.6H-1.5V1.5H-4.6Z",
    "down": "M0 4.9L4.6 -3.6H-4.6Z",
    "bar": "M-5 -2H5V2H-5Z",
    "star": "M0 -5.4L1.5 -1.8L5.3 -1.6L2.4 .9L3.3 4.6L0 2.5L-3.3 4.6L-2.4 .9L-5.3 -1.6L-1.5 -1.8Z",
}
"""Name -> a path around 0, 0, about ten units wide."""


def tag(name: str, attributes: Mapping[str, object], *children: object) -> Markup:
    """Return an element; attributes that are none are left out, texts are escaped.

    Example:
        >>> tag("text", {"x": 1.0, "class": None}, "a < b")
        Markup('<text x="1">a &lt; b</text>')
    """
    written = "".join(f' {key}="{escape(number(value))}"' for key, value in attributes.items() if value is not None)
    inside = "".join(escape(child) for child in children)
    return Markup(f"<{name}{written}>{inside}</{name}>")  # noqa: S704  # every part has been escaped


def number(value: object) -> object:
    """Return a coordinate with a tenth of a pixel, which is all that is seen."""
    return f"{value:.1f}".rstrip("0").rstrip(".") if isinstance(value, float) else value


def picture(width: int, height: int, name: str, text: str, children: Sequence[Markup], *, size: str) -> Markup:
    """Return a whole drawing with a text for those who do not see it.

    Args:
        width: In units of the drawing, which are pixels where there is room.
        height: Likewise.
        name: What it shows.
        text: What is to be seen in it.
        children: The drawing.
        size: `wide`, `narrow` or `any`: on which screens it is shown.
    """
    return tag(
        "svg",
        {"class": f"chart {size}", "viewBox": f"0 0 {width} {height}", "width": width, "height": height,
         "role": "img", "aria-label": f"{name}. {text}"},
        tag("title", {}, name),
        tag("desc", {}, text),
        *children,
    )  # fmt: skip


def polyline(points: Sequence[tuple[float, float]], **attributes: object) -> Markup:
    """Return an unfilled line through points."""
    path = "M" + "L".join(f"{number(float(x))} {number(float(y))}" for x, y in points)
    return tag(
        "path",
        {"d": path, "fill": "none", **{key.rstrip("_").replace("_", "-"): value for key, value in attributes.items()}},
    )


def label(
    x: float,
    y: float,
    text: str,
    *,
    anchor: str = "start",
    style: str = "tick",
    title: Markup | None = None,
    turn: float | None = None,
) -> Markup:
    """Return a text whose baseline is at `y`; a title is shown on hover, `turn` is in degrees, clockwise."""
    turned = None if turn is None else f"rotate({turn:g} {number(float(x))} {number(float(y))})"
    attributes = {"x": x, "y": y, "text-anchor": anchor, "class": style, "transform": turned}
    return tag("text", attributes, *([title] if title else []), text)


def mark(x: float, y: float, shape: str, colour: str, title: str = "", *, series: str | None = None) -> Markup:
    """Return a mark that says on hover what it is."""
    return tag(
        "path",
        {"class": "mark", "d": SHAPES[shape], "transform": f"translate({x:.1f} {y:.1f})",
         "style": f"fill:var({colour})", "data-series": series},
        *([tag("title", {}, title)] if title else []),
    )  # fmt: skip
