"""Confusion matrices: rows are the truth, shades are shares of a row."""

from collections.abc import Sequence

from markupsafe import Markup

from mfcl.report.svg.elements import label, picture, tag

NUMBERED = 12
"""Classes up to which every cell has its number."""


def matrix(name: str, classes: Sequence[str], counts: Sequence[Sequence[int]]) -> Markup:
    """Return a matrix for any screen; the shade and the number of a cell are the percent of its row."""
    size, left, top = 340, 46.0, 12.0
    cell = (size - left - 6) / max(len(classes), 1)
    parts = []
    for row, truth in enumerate(classes):
        total = max(sum(counts[row]), 1)
        if _worded(row, len(classes)):
            parts.append(label(left - 8, top + cell * (row + 0.5) + 4, _short(truth), anchor="end"))
            parts.append(
                label(left + cell * (row + 0.5), top + cell * len(classes) + 16, _short(truth), anchor="middle")
            )
        for column, taken in enumerate(classes):
            share = 100 * counts[row][column] / total
            title = f"{truth} taken for {taken}: {counts[row][column]} clips, {share:.1f} %"
            parts.append(_cell(left + cell * column, top + cell * row, cell, share, title, row == column))
            if len(classes) <= NUMBERED and share >= 0.5:
                looks = "cell strong" if share > 55 else "cell"
                parts.append(
                    label(
                        left + cell * (column + 0.5),
                        top + cell * (row + 0.5) + 4,
                        f"{share:.0f}",
                        anchor="middle",
                        style=looks,
                    )
                )
    right = sum(counts[place][place] for place in range(len(classes)))
    text = f"{right} of {sum(map(sum, counts))} clips right. Rows are the truth, columns what was said."
    height = top + cell * len(classes) + 44
    parts.append(
        label(left + cell * len(classes) / 2, height - 8, "taken for, % of the row", anchor="middle", style="axis")
    )
    return picture(size, round(height), f"Confusions of {name}", text, parts, size="any")


def _cell(x: float, y: float, size: float, share: float, title: str, right: bool) -> Markup:
    shade = 0 if share == 0 else 0.06 + 0.94 * (share / 100) ** 0.7
    return tag(
        "rect",
        {"class": "hit" if right else "miss", "x": x + 0.75, "y": y + 0.75, "width": size - 1.5, "height": size - 1.5,
         "rx": min(3.0, size / 6), "style": f"--shade:{shade:.3f}"},
        tag("title", {}, title),
    )  # fmt: skip


def _worded(place: int, count: int) -> bool:
    return count <= NUMBERED or place % -(-count // NUMBERED) == 0


def _short(text: str) -> str:
    return text if len(text) <= 4 else text[:3] + "…"
