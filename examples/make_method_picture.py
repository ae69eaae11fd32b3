"""Draw the method: one recording's crops in two formats, and which pairs of a batch attract.

python examples/make_method_picture.py docs/pictures/method.svg
"""

import sys
from pathlib import Path

import numpy as np

from mfcl.audio.log_mel import log_mel

RATE = 16000
BLUE, ORANGE, GREEN, GREY = "#0072b2", "#d55e00", "#009e73", "#888"
STYLE = "svg{background:#fff;font:13px sans-serif}.small{font-size:12px;fill:#555}.box{fill:#fff;stroke:#888}"
VIEWS = ("1 w", "1 m", "2 w", "2 m")
"""Views of a recording: crop and format."""
WORDS = ("seven", "three", "seven*", "nine")
"""Recordings of the batch that is drawn; the first and the third say the same, by two voices."""


def main(path: str) -> None:
    """Write the picture."""
    Path(path).write_text(picture(), encoding="utf-8")


def picture() -> str:
    """Return the whole picture as SVG."""
    title = "The method: two crops of a recording, each as a waveform and as a log-mel, and the pairs that attract"
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 560 790" width="560" height="790" role="img" '
        f'aria-label="{title}"><style>{STYLE}</style><title>{title}</title>'
        '<defs><marker id="head" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
        f'<path d="M0 0L8 4L0 8Z" fill="{GREY}"/></marker></defs>{flow()}{batch()}</svg>\n'
    )


def flow() -> str:
    """Return the upper part: from a recording to four projections."""
    sound = word()
    parts = [
        text(10, 20, "a recording", weight="bold"),
        wave(sound, 10, 30, 540, 56, GREY),
        bracket(24, 92, 330, "crop 1"),
        bracket(206, 92, 330, "crop 2 (with neighbours: of one of them)"),
    ]
    for number, (left, first) in enumerate(((10, 0.03), (290, 0.37))):
        crop = sound[round(first * len(sound)) : round((first + 0.6) * len(sound))]
        parts += [
            arrow(left + 130, 133, left + 130, 149),
            text(left, 162, f"crop {number + 1}, augmented, in two formats", name="small"),
            wave(crop, left, 170, 120, 60, BLUE),
            picture_of(crop, left + 140, 170, 120, 60),
            *column(left, "1D encoder", BLUE),
            *column(left + 140, "2D encoder", ORANGE),
        ]
    return "".join(parts)


def column(left: float, name: str, colour: str) -> list[str]:
    """Return the boxes below one format."""
    boxes = ((252, name), (302, "pooling, neck"), (352, "projection"))
    drawn = [arrow(left + 60, 232, left + 60, 250)]
    for top, label in boxes:
        drawn += [
            f'<rect class="box" x="{left}" y="{top}" width="120" height="30" rx="4" style="stroke:{colour}"/>',
            text(left + 60, top + 20, label, anchor="middle"),
            arrow(left + 60, top + 31, left + 60, top + 49),
        ]
    return [*drawn, f'<circle cx="{left + 60}" cy="408" r="7" fill="{colour}"/>']


def batch() -> str:
    """Return the lower part: all pairs of views of four recordings, and what becomes of each."""
    left, top, cell = 92, 466, 17
    parts = [text(10, 446, "a batch: every view meets every other, by the cosine of their projections", weight="bold")]
    kinds = {"own": BLUE, "near": GREEN, "out": "#fff", "far": "#e4e4e4"}
    for row in range(16):
        for place in range(16):
            kind = relation(row, place)
            fill = kinds.get(kind, "#fff")
            edge = "#bbb" if kind == "out" else "#fff"
            parts.append(
                f'<rect x="{left + cell * place}" y="{top + cell * row}" width="{cell - 1}" height="{cell - 1}" '
                f'fill="{fill}" stroke="{edge}"/>'
            )
            if kind == "itself":
                parts.append(text(left + cell * place + 8, top + cell * row + 12, "\u00b7", anchor="middle"))
    for number, name in enumerate(WORDS):
        parts.append(text(left - 8, top + cell * (4 * number + 2) + 4, name.strip("*"), anchor="end"))
    legend = (
        (kinds["own"], BLUE, "own crops and formats: attract"),
        (kinds["near"], GREEN, "aligned neighbours: attract"),
        (kinds["out"], "#bbb", "perhaps the same: left out"),
        (kinds["far"], "#e4e4e4", "all others: repel"),
    )
    for number, (fill, edge, label) in enumerate(legend):
        y = top + 26 * number
        parts += [
            f'<rect x="378" y="{y}" width="14" height="14" fill="{fill}" stroke="{edge}"/>',
            text(398, y + 12, label, name="small"),
        ]
    notes = (
        "each recording: crops 1 and 2,",
        "each as waveform and log-mel;",
        "the two sevens are of two voices",
    )
    parts += [text(378, top + 134 + 17 * number, line, name="small") for number, line in enumerate(notes)]
    return "".join([*parts, text(left, top + 16 * cell + 22, "16 views of 4 recordings", name="small")])


def relation(one: int, other: int) -> str:
    """Return what a pair of views is to the loss: the same view, own, near, left out or far."""
    a, b = one // len(VIEWS), other // len(VIEWS)
    if one == other:
        return "itself"
    if a == b:
        return "own"
    return {(0, 2): "near", (1, 3): "out"}.get((min(a, b), max(a, b)), "far")


def word() -> np.ndarray:
    """Return a made-up word: three syllables of a gliding voice, and noise."""
    times = np.arange(round(0.9 * RATE)) / RATE
    glide = 130 + 40 * np.sin(2 * np.pi * 1.3 * times)
    phase = 2 * np.pi * np.cumsum(glide) / RATE
    voice = sum(np.sin(k * phase) / k for k in (1, 2, 3, 5, 8, 13))
    syllables = sum(np.exp(-(((times - at) / 0.09) ** 2)) for at in (0.2, 0.45, 0.7))
    hiss = np.random.default_rng(0).standard_normal(len(times)) * np.exp(-(((times - 0.08) / 0.05) ** 2))
    return (0.2 * voice * syllables + 0.08 * hiss).astype(np.float32)


def wave(sound: np.ndarray, x: float, y: float, wide: float, high: float, colour: str) -> str:
    """Return a waveform as an outline of its maxima and minima."""
    pieces = np.array_split(sound, 110)
    scale = high / 2 / np.abs(sound).max()
    steps = wide / len(pieces)
    upper = [(x + steps * k, y + high / 2 - scale * piece.max()) for k, piece in enumerate(pieces)]
    lower = [(x + steps * k, y + high / 2 - scale * piece.min()) for k, piece in enumerate(pieces)]
    points = "L".join(f"{a:.1f} {b:.1f}" for a, b in [*upper, *reversed(lower)])
    return f'<path d="M{points}Z" fill="{colour}" fill-opacity="0.75"/>'


def picture_of(sound: np.ndarray, x: float, y: float, wide: float, high: float) -> str:
    """Return a log-mel as a grid of rectangles."""
    levels = log_mel(sound, RATE, bands=15, hop_seconds=len(sound) / RATE / 29)[:, :30]
    shade = np.clip((levels - levels.max() + 45) / 45, 0, 1)
    a, b = wide / shade.shape[1], high / shade.shape[0]
    cells = [
        f'<path d="M{x + a * t:.1f} {y + high - b * (k + 1):.1f}h{a + 0.3:.1f}v{b + 0.3:.1f}h-{a + 0.3:.1f}z" '
        f'fill-opacity="{shade[k, t]:.2f}"/>'
        for k, t in np.ndindex(*shade.shape)
        if shade[k, t] > 0.02
    ]
    return (
        f'<g fill="{ORANGE}"><rect x="{x}" y="{y}" width="{wide}" height="{high}" fill="#faf3ee"/>{"".join(cells)}</g>'
    )


def bracket(x: float, y: float, wide: float, label: str) -> str:
    """Return a bracket below the recording."""
    shift = 0 if label == "crop 1" else 14
    line = f'<path d="M{x} {y + shift}v8h{wide}v-8" fill="none" stroke="{GREY}"/>'
    place, anchor = (x + wide - 6, "end") if shift else (x + 6, "start")
    return line + text(place, y + shift + 22, label, name="small", anchor=anchor)


def arrow(x: float, y: float, to_x: float, to_y: float) -> str:
    """Return an arrow."""
    return f'<path d="M{x} {y}L{to_x} {to_y}" stroke="{GREY}" marker-end="url(#head)"/>'


def text(x: float, y: float, words: str, *, name: str = "", anchor: str = "start", weight: str = "normal") -> str:
    """Return a line of text."""
    return f'<text x="{x}" y="{y}" class="{name}" text-anchor="{anchor}" font-weight="{weight}">{words}</text>'


if __name__ == "__main__":
    main(sys.argv[1])
