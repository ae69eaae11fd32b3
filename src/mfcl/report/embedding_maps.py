"""The maps of a study as the page draws them: clips, their labels, and where they lie on each map."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from mfcl.evaluation import wording
from mfcl.evaluation.result import Representation
from mfcl.report.load import Study
from mfcl.report.phrases import shortened
from mfcl.report.pictures import MapPicture
from mfcl.report.selection import pictured
from mfcl.report.svg.elements import SHAPES

MOST = 1500
"""Test clips drawn; of more, as many are taken evenly."""

OTHERS = 1500
"""Clips of the other parts of the split, which are drawn on demand; they have no sound."""

GRID = 1000
"""Places are whole numbers from 0 to this."""

ROOM = 200
"""Letters of a clip's name or of a label's value that the page keeps."""

TEST = "test"


def map_data(study: Study) -> dict[str, Any] | None:
    """Return the maps for the page's script; None where the study drew none.

    Of several seeds the lowest is shown: another seed's map is turned and folded differently, but says the same.
    `ids` are the whole names of the test clips, which come first, for what looks their sound up; the page does not need
    them. `parts` are the parts of the split, `part` says for each clip which is its own.
    """
    drawn = _first_seeds(study.pictures.maps)
    if not drawn:
        return None
    part = {name: split for one in drawn for name, split in zip(one.ids, one.splits, strict=False)}
    every = list(dict.fromkeys(name for one in drawn for name in one.ids))
    tested = [name for name in every if part.get(name, TEST) == TEST]
    parts = list(dict.fromkeys([TEST, *(part.get(name, TEST) for name in every)]))
    others = [name for side in parts[1:] for name in every if part.get(name, TEST) == side]
    shown = _spread(tested, MOST)
    clips = [*shown, *_spread(others, OTHERS)]
    number = {name: place for place, name in enumerate(clips)}
    drawn = [one for one in drawn if any(name in number for name in one.ids)]
    sides = [parts.index(part.get(name, TEST)) for name in clips]
    return {
        "ids": shown,
        "clips": [shortened(name, ROOM) for name in clips],
        "labels": _labels(drawn, number, sides, study),
        "maps": [_map(one, number) for one in drawn],
        "first": _first(drawn),
        "parts": [shortened(name, 30) for name in parts],
        "part": sides,
        "left_out": _left_out(study, (TEST,), len(tested), len(shown)),
        "others_left_out": _left_out(study, parts[1:], len(others), len(clips) - len(shown)),
        "shapes": list(SHAPES.values()),
        "sounds": {},
    }


def _left_out(study: Study, parts: Sequence[str], drawn: int, shown: int) -> int:
    """Return how many clips of some parts the page leaves out: those that the study's map lacks are counted too."""
    known = sum(side.recordings for name, side in study.about.sides.items() if name in parts)
    return max(known, drawn) - shown if parts else 0


def _first_seeds(pictures: Sequence[MapPicture]) -> list[MapPicture]:
    """Return each representation's map of its lowest seed, in the order of the pictures."""
    found: dict[Representation, MapPicture] = {}
    for one in pictures:
        before = found.get(one.representation)
        if one.ids and (before is None or one.seed < before.seed):
            found[one.representation] = one
    return list(found.values())


def _first(drawn: Sequence[MapPicture]) -> int:
    wanted = pictured(one.representation for one in drawn)
    return next((place for place, one in enumerate(drawn) if one.representation == wanted), 0)


def _spread(names: list[str], most: int) -> list[str]:
    """Return at most so many names, taken evenly, in their order."""
    if len(names) <= most:
        return names
    return [names[place * len(names) // most] for place in range(most)]


def _labels(
    drawn: Sequence[MapPicture], number: Mapping[str, int], part: Sequence[int], study: Study
) -> list[dict[str, Any]]:
    """Return every label: what is measured first, then the speaker, then the others; one colour where there is none."""
    names = list(dict.fromkeys(name for one in drawn for name in one.labels))
    order = [name for name in (study.about.label, study.about.speaker) if name in names]
    return [_label(name, drawn, number, part) for name in dict.fromkeys([*order, *names])] or one_colour(len(number))


def one_colour(clips: int) -> list[dict[str, Any]]:
    """Return the label of clips that have none."""
    return [{"name": "no label", "values": ["clip"], "of": [0] * clips}]


def _label(name: str, drawn: Sequence[MapPicture], number: Mapping[str, int], part: Sequence[int]) -> dict[str, Any]:
    found = [""] * len(number)
    for one in drawn:
        for clip, value in zip(one.ids, one.labels.get(name, ()), strict=False):
            if clip in number:
                found[number[clip]] = value
    tested = {value for value, side in zip(found, part, strict=True) if side == 0}
    # the test part's values first: what the page shows of it looks the same with and without the other clips
    values = sorted(set(found), key=lambda value: (value not in tested, natural(value)))
    places = {value: place for place, value in enumerate(values)}
    return {
        "name": shortened(name),
        "values": [shortened(value, ROOM) or "not known" for value in values],
        "of": [places[value] for value in found],
    }


def natural(text: str) -> list[tuple[int, int, str]]:
    """Return what sorts `2` before `10`."""
    parts = re.findall(r"[0-9]{1,18}|[^0-9]+", text)
    return [(0, int(part), "") if part.isdecimal() else (1, 0, part) for part in parts]


def _map(one: MapPicture, number: Mapping[str, int]) -> dict[str, Any]:
    """Return one map's places."""
    kept = [place for place, name in enumerate(one.ids) if name in number]
    across, up = on_grid(*([float(axis[place]) for place in kept] for axis in (one.x, one.y)))
    name = shortened(wording.name(one.representation))
    return {"name": name, "seed": one.seed, "of": [number[one.ids[place]] for place in kept], "x": across, "y": up}


def on_grid(x: Sequence[float], y: Sequence[float]) -> tuple[list[int], list[int]]:
    """Return places on the grid, of equal scale in both directions and in the middle.

    Example:
        >>> on_grid([0.0, 2.0], [0.0, 1.0])
        ([0, 1000], [750, 250])
    """
    width = max(max(x) - min(x), max(y) - min(y)) or 1.0
    middle_x, middle_y = (max(x) + min(x)) / 2, (max(y) + min(y)) / 2
    across = [round(GRID * (0.5 + (value - middle_x) / width)) for value in x]
    return across, [round(GRID * (0.5 - (value - middle_y) / width)) for value in y]
