"""Confusion matrices: rows are the truth, shades are shares of a row."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Shaped
from markupsafe import Markup

from mfcl.core.console import counted
from mfcl.report.phrases import WHOLE, apart, distinct, shortened
from mfcl.report.svg.elements import label, picture, tag

NUMBERED = 12
"""Classes up to which every cell has its number."""
LETTERS, LETTER = 12, 7.6
"""Most letters of a class's name on the axes, and the width of one."""


def matrix(
    name: str, classes: Sequence[str], counts: Shaped[np.ndarray, "classes classes"], shown: Sequence[str]
) -> Markup:
    """Return a matrix for any screen; the shade and the number of a cell are the percent of its row.

    Args:
        name: Whose confusions.
        classes: Of the counts.
        counts: Recordings of the class of a row that were taken for the class of a column.
        shown: The classes to draw, in order; those that are not among `classes` are left out.
    """
    places = {one: place for place, one in enumerate(classes)}
    drawn = [one for one in shown if one in places]
    totals = np.maximum(counts.sum(axis=1), 1)
    size, top = 340, 12.0
    words, told = distinct(drawn, LETTERS), apart(drawn)
    longest = max([len(word) for word in words], default=0)
    left = 18.0 + LETTER * longest
    cell = (size - left - 6) / max(len(drawn), 1)
    every = -(-len(drawn) // NUMBERED)  # classes a name
    upright = LETTER * longest + 4 <= cell * every  # else names of columns would overlap and are turned
    below = top + cell * len(drawn) + (16 if upright else 8)
    # one shape behind all cells; only what happened has an element of its own
    parts = [tag("path", {"class": "empty", "d": _squares(len(drawn), left, top, cell)})]
    for row, truth in enumerate(drawn):
        middle = cell * (row + 0.5)
        whole = tag("title", {}, shortened(truth, WHOLE))
        if row % every == 0:
            parts.append(label(left - 8, top + middle + 4, words[row], anchor="end", title=whole))
            turn = None if upright else -90.0
            x = left + middle + (0 if upright else 4)
            parts.append(label(x, below, words[row], anchor="middle" if upright else "end", title=whole, turn=turn))
        for column, taken in enumerate(drawn):
            count = int(counts[places[truth], places[taken]])
            if not count:
                continue
            share = 100 * count / int(totals[places[truth]])
            title = f"{told[row]} taken for {told[column]}: {counted(count, 'clip')}, {share:.1f} %"
            parts.append(_cell(left + cell * column, top + cell * row, cell, share, title, row == column))
            if len(drawn) <= NUMBERED and share >= 0.5:
                looks = "cell strong" if share > 55 else "cell"
                x, y = left + cell * (column + 0.5), top + middle + 4
                parts.append(label(x, y, f"{share:.0f}", anchor="middle", style=looks))
    right, total = int(np.trace(counts)), int(counts.sum())
    text = f"{right:,} of {total:,} clips right. Rows are the truth, columns what was said."
    height = below + (28 if upright else LETTER * longest + 32)
    middle = left + cell * len(drawn) / 2
    parts.append(label(middle, height - 8, "taken for, % of the row", anchor="middle", style="axis"))
    return picture(size, round(height), f"Confusions of {name}", text, parts, size="any")


def _squares(count: int, left: float, top: float, cell: float) -> str:
    """Return the path of every cell."""
    side = cell - 1.5
    return "".join(
        f"M{left + cell * column + 0.75:.1f} {top + cell * row + 0.75:.1f}h{side:.1f}v{side:.1f}h{-side:.1f}z"
        for row in range(count)
        for column in range(count)
    )


def _cell(x: float, y: float, size: float, share: float, title: str, right: bool) -> Markup:
    shade = 0.06 + 0.94 * (share / 100) ** 0.7
    return tag(
        "rect",
        {"class": "hit" if right else "miss", "x": x + 0.75, "y": y + 0.75, "width": size - 1.5, "height": size - 1.5,
         "rx": min(3.0, size / 6), "style": f"--shade:{shade:.3f}"},
        tag("title", {}, title),
    )  # fmt: skip
