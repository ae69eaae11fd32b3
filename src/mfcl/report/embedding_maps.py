"""The maps of a study as the page draws them: clips, their labels, and where they lie on each map."""

import re
from collections.abc import Sequence
from typing import Any

from mfcl.report.load import Study
from mfcl.report.picture_text import foremost
from mfcl.report.svg.elements import SHAPES

MOST = 1500
"""Clips drawn; of more, as many are taken evenly."""

GRID = 1000
"""Places are whole numbers from 0 to this."""


def map_data(study: Study) -> dict[str, Any] | None:
    """Return the maps for the page's script; none where the study drew none.

    Of several seeds the lowest is shown: another seed's map is turned and folded differently, but says the same.
    """
    drawn = _first_seeds(study.pictured("maps"))
    if not drawn:
        return None
    clips = _spread(list(dict.fromkeys(str(name) for one in drawn for name in one["ids"])), MOST)
    number = {name: place for place, name in enumerate(clips)}
    return {
        "clips": clips,
        "labels": _labels(drawn, number, study),
        "maps": [_map(one, number) for one in drawn],
        "first": _first(drawn),
        "left_out": len({name for one in drawn for name in one["ids"]}) - len(clips),
        "shapes": list(SHAPES.values()),
        "sounds": {},
    }


def _first_seeds(pictures: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    for one in sorted(pictures, key=lambda one: int(one["seed"])):
        if one.get("ids"):
            found.setdefault(str(one["representation"]), one)
    order = list(dict.fromkeys(str(one["representation"]) for one in pictures))
    return [found[name] for name in order if name in found]


def _first(drawn: Sequence[dict[str, Any]]) -> int:
    wanted = foremost(list(drawn))
    return next((place for place, one in enumerate(drawn) if one["representation"] == wanted), 0)


def _spread(names: list[str], most: int) -> list[str]:
    """Return at most so many names, taken evenly, in their order."""
    if len(names) <= most:
        return names
    return [names[place * len(names) // most] for place in range(most)]


def _labels(drawn: Sequence[dict[str, Any]], number: dict[str, int], study: Study) -> list[dict[str, Any]]:
    """Return every label: what is measured first, then the voice, then the others."""
    names = list(dict.fromkeys(name for one in drawn for name in one.get("labels") or {}))
    order = [name for name in (study.label, study.speaker) if name in names]
    return [_label(name, drawn, number) for name in [*order, *(name for name in names if name not in order)]]


def _label(name: str, drawn: Sequence[dict[str, Any]], number: dict[str, int]) -> dict[str, Any]:
    found = [""] * len(number)
    for one in drawn:
        for clip, value in zip(one["ids"], (one.get("labels") or {}).get(name, ()), strict=False):
            if clip in number:
                found[number[clip]] = str(value)
    values = sorted(set(found), key=_natural)
    places = {value: place for place, value in enumerate(values)}
    return {
        "name": name,
        "values": [value or "not known" for value in values],
        "of": [places[value] for value in found],
    }


def _natural(text: str) -> list[tuple[int, int, str]]:
    """Return what sorts `2` before `10`."""
    return [(0, int(part), "") if part.isdecimal() else (1, 0, part) for part in re.split(r"(\d+)", text) if part]


def _map(one: dict[str, Any], number: dict[str, int]) -> dict[str, Any]:
    """Return one map's places, of equal scale in both directions and in the middle."""
    kept = [place for place, name in enumerate(one["ids"]) if name in number]
    x, y = ([float(one[axis][place]) for place in kept] for axis in ("x", "y"))
    width = max(max(x) - min(x), max(y) - min(y)) or 1.0
    across = [round(GRID * (0.5 + (value - (max(x) + min(x)) / 2) / width)) for value in x]
    up = [round(GRID * (0.5 - (value - (max(y) + min(y)) / 2) / width)) for value in y]
    clips = [number[str(one["ids"][place])] for place in kept]
    return {"name": str(one["representation"]), "seed": int(one["seed"]), "of": clips, "x": across, "y": up}
