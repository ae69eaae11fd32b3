"""From values to pixels: straight, logarithmic and normal-deviate axes, and where their ticks are."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

RATES = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8)
"""Error rates that a DET axis can have ticks at."""


@dataclass(frozen=True)
class Scale:
    """An axis.

    Attributes:
        kind: `linear`, `log` or `probit`.
        low: Value at `start`.
        high: Value at `end`.
        start: Pixel.
        end: Pixel.
    """

    kind: str
    low: float
    high: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        """Return a value's pixel; what is outside the axis lies on its end."""
        bounded = min(max(value, self.low), self.high)
        first, here, last = (_bend(self.kind, one) for one in (self.low, bounded, self.high))
        if first == last:  # an axis without width, such as one of figures beyond its end
            return self.start
        return self.start + (self.end - self.start) * (here - first) / (last - first)


def _bend(kind: str, value: float) -> float:
    if kind == "log":
        return math.log(value)
    return NormalDist().inv_cdf(value) if kind == "probit" else value


def span(
    values: Sequence[float], *, least: float = 4.0, floor: float = -math.inf, top: float = math.inf
) -> tuple[float, float]:
    """Return round ends around values, not beyond `floor` and `top`, at least `least` apart.

    Example:
        >>> span([52.0, 97.5], top=100.0)
        (50.0, 100.0)
    """
    low, high = min(values), max(values)
    least = max(least, 1e-6 * max(abs(low), abs(high)))  # less than that cannot be told apart on an axis
    if high - low < least:
        low, high = (low + high - least) / 2, (low + high + least) / 2
        low, high = (low - max(high - top, 0), min(high, top)) if high > top else (low, high)
    step = _step(high - low, 5)
    return max(math.floor(low / step) * step, floor), min(math.ceil(high / step) * step, top)


def ticks(low: float, high: float, count: int = 5) -> list[float]:
    """Return about `count` round values of a straight axis.

    Example:
        >>> ticks(50.0, 100.0)
        [50.0, 60.0, 70.0, 80.0, 90.0, 100.0]
    """
    if high <= low:
        return [low]
    step = _step(high - low, count)
    first = math.ceil(low / step - 1e-9)
    return [place * step for place in range(first, math.floor(high / step + 1e-9) + 1)]


def _step(width: float, count: int) -> float:
    rough = width / count
    size = 10.0 ** math.floor(math.log10(rough))
    return size * min((1.0, 2.0, 5.0, 10.0), key=lambda step: abs(math.log(step * size / rough)))


def tick_text(value: float) -> str:
    """Return a tick's text, as short as it is exact.

    Example:
        >>> tick_text(0.30000000000000004), tick_text(20.0)
        ('0.3', '20')
    """
    return f"{value:.6g}".replace("-", "\N{MINUS SIGN}")


def spaced(places: Sequence[tuple[float, str]], gap: float, *, character: float = 7.0) -> list[tuple[float, str]]:
    """Return those (pixel, text) whose texts leave a gap between each other, first and last kept where they can be.

    Args:
        places: In rising order of pixel.
        gap: Pixels between two texts.
        character: Width of one character.
    """
    kept: list[tuple[float, str]] = []
    for pixel, text in places:
        if not kept or pixel - kept[-1][0] >= gap + character * (len(text) + len(kept[-1][1])) / 2:
            kept.append((pixel, text))
    return kept
