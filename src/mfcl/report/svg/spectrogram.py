"""The method in one picture: a clip as log-mel spectrogram and as waveform, and the two crops of it."""

import base64
import struct
import zlib

import numpy as np
from jaxtyping import Shaped
from markupsafe import Markup

from mfcl.report.phrases import shortened
from mfcl.report.pictures import Method
from mfcl.report.svg.elements import label, number, picture, tag
from mfcl.report.svg.scales import Scale, spaced, tick_text, ticks

ANCHORS = (
    (13, 17, 33), (29, 40, 82), (52, 64, 126), (84, 83, 148), (130, 98, 148), (181, 114, 134), (224, 139, 112),
    (247, 183, 107), (252, 236, 180),
)  # fmt: skip
"""Colours from quiet to loud, rising in lightness so that they are told apart without hue."""


def method_picture(method: Method, width: int, size: str) -> Markup:
    """Return the clip with its crops for one size of screen."""
    left, right = 14.0, 14.0
    across = Scale("linear", 0.0, method.seconds, left, width - right)
    top, tall, low = 34.0, 150.0, 84.0  # the spectrogram, and the waveform below it
    below = top + tall + 16
    name = f"{shortened(method.id)} as log-mel spectrogram and as waveform"
    crops = [(float(start), float(end)) for start, end in method.crops]
    text = " ".join(f"Crop {letter}: {a:.2f} to {b:.2f} s." for letter, (a, b) in zip("ABCDEF", crops, strict=False))
    parts = [
        tag("image", {"href": png(method.mel), "x": left, "y": top, "width": across.end - left, "height": tall,
                      "preserveAspectRatio": "none"}),
        _wave(method.wave, across, below, low),
        *_ticks(across, below + low),
    ]  # fmt: skip
    for place, (start, end) in enumerate(crops):
        parts.append(_crop(place, across(start), across(end), (top, tall), (below, low)))
    return picture(width, round(below + low) + 46, name, text, parts, size=size)


def _wave(columns: Shaped[np.ndarray, "columns 2"], across: Scale, top: float, height: float) -> Markup:
    middle, half = top + height / 2, height / 2 - 3
    loudest = float(np.abs(columns).max(initial=0.0)) or 1.0
    step = (across.end - across.start) / max(len(columns), 1)
    upper = [
        (across.start + step * (place + 0.5), middle - half * float(high) / loudest)
        for place, (_, high) in enumerate(columns)
    ]
    lower = [
        (across.start + step * (place + 0.5), middle - half * float(low) / loudest)
        for place, (low, _) in enumerate(columns)
    ]
    path = "L".join(f"{number(x)} {number(y)}" for x, y in (*upper, *reversed(lower)))
    return tag("path", {"class": "sound", "d": f"M{path}Z" if path else ""})


def _ticks(across: Scale, base: float) -> list[Markup]:
    places = [(across(value), tick_text(value)) for value in ticks(across.low, across.high, 6)]
    parts = [
        label(min(max(pixel, across.start + 4), across.end - 8), base + 18, text, anchor="middle")
        for pixel, text in spaced(places, 12.0)
    ]
    return [*parts, label((across.start + across.end) / 2, base + 38, "seconds", anchor="middle", style="axis")]


def _crop(place: int, start: float, end: float, upper: tuple[float, float], lower: tuple[float, float]) -> Markup:
    colour = "--blue" if place % 2 == 0 else "--vermilion"
    boxes = [
        tag("rect", {"class": "crop", "x": start, "y": top + 1, "width": end - start, "height": height - 2, "rx": 3,
                     "style": f"stroke:var({colour})", "stroke-dasharray": None if place % 2 == 0 else "7 4"})
        for top, height in (upper, lower)
    ]  # fmt: skip
    # the first crop's name stands at its beginning and the second's at its end: they stay apart however crops overlap
    words = label(start if place % 2 == 0 else end, 22.0, f"crop {'ABCDEF'[place % 6]}",
                  anchor="start" if place % 2 == 0 else "end", style="note strong")  # fmt: skip
    return tag("g", {"class": "cropped"}, *boxes, words)


def png(rows: Shaped[np.ndarray, "bands frames"]) -> str:
    """Return a spectrogram, the low band first, as the data address of a picture with the low band at the bottom.

    Args:
        rows: 0 to 255.
    """
    height, width = rows.shape
    shades = np.clip(rows[::-1], 0, 255).astype(np.uint8)
    lines = np.insert(shades, 0, 0, axis=1).tobytes()  # each line begins with the sign of "not filtered"
    header = struct.pack(">IIBBBBB", width, height, 8, 3, 0, 0, 0)
    parts = (
        _chunk(b"IHDR", header),
        _chunk(b"PLTE", _palette()),
        _chunk(b"IDAT", zlib.compress(lines, 9)),
        _chunk(b"IEND", b""),
    )
    return "data:image/png;base64," + base64.b64encode(b"\x89PNG\r\n\x1a\n" + b"".join(parts)).decode("ascii")


def _chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def _palette() -> bytes:
    colours = bytearray()
    for value in range(256):
        place = value / 255 * (len(ANCHORS) - 1)
        first = min(int(place), len(ANCHORS) - 2)
        share = place - first
        colours += bytes(round(a + (b - a) * share) for a, b in zip(ANCHORS[first], ANCHORS[first + 1], strict=True))
    return bytes(colours)
