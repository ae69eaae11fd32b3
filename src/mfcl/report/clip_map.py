"""A page with a map of all clips of an embeddings file, with labels or without."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float32, Int64, Shaped

import mfcl
from mfcl.core.console import are, counted
from mfcl.core.files import write_text
from mfcl.data.manifest import WINDOW_TIMES
from mfcl.embeddings.nearest import top_k
from mfcl.embeddings.projection import drawn, project_2d
from mfcl.embeddings.table import Embeddings
from mfcl.errors import MeasureError, one_of
from mfcl.labelling.features import fit_features, ordered_kinds
from mfcl.report.embedding_maps import ROOM, natural, on_grid, one_colour
from mfcl.report.page import in_script, source, template
from mfcl.report.phrases import shortened
from mfcl.report.svg.elements import SHAPES

LAID_OUT = 3000
"""Most clips that t-SNE lays out; of more, the others are put between their nearest."""
BETWEEN = 3
"""Laid-out clips that another is put between."""
DRAWN = 20_000
"""Most clips on a page; of more, as many are drawn evenly."""
NAMES = {"words": "words", "voices": "voices", "all": "all parts"}


def write_map(
    embeddings: Embeddings, path: str | Path, *, title: str | None = None, part: str | None = None, seed: int = 0
) -> int:
    """Write a page with a map of clips; return how many it shows.

    The page needs no network and no other file.

    Args:
        embeddings: Of the clips; their labels colour the map.
        path: The page.
        title: Its title; default: the file's name.
        part: `words`, `voices` or `all`; default: a map of each that the embeddings have.
        seed: Seed of t-SNE.

    Raises:
        MfclError: there is no such part, the embeddings cannot be used, or the page cannot be written.
    """
    target = Path(path)
    chosen = drawn(len(embeddings), DRAWN, seed=seed)
    shown = embeddings.select(chosen) if len(chosen) < len(embeddings) else embeddings
    features = {one.name: one for one in fit_features(shown)}
    kinds = ordered_kinds(list(features.values()), aligned=False)
    if part is not None and part not in kinds:
        raise MeasureError(f"map: {one_of('part', part, kinds)}")
    every = list(range(len(shown)))
    drawn_maps = []
    for kind in kinds if part is None else [part]:
        places = laid_out(features[kind](shown), seed=seed)
        x, y = on_grid(places[:, 0].tolist(), places[:, 1].tolist())
        drawn_maps.append({"name": NAMES[kind], "seed": seed, "of": every, "x": x, "y": y})
    maps = {
        "clips": [shortened(str(name), ROOM) for name in shown.ids], "labels": _labels(shown), "maps": drawn_maps,
        "first": 0, "parts": ["test"], "part": [0] * len(shown), "shapes": list(SHAPES.values()), "sounds": {},
    }  # fmt: skip
    facts = [("clips", f"{len(embeddings):,}"), ("values", f"{embeddings.dim:,}")]
    page = template("map.html").render(
        maps=maps, map_json=in_script(maps), title=shortened(title or target.stem), facts=facts, seed=seed, audio=False,
        version=mfcl.__version__, source=source, placed=_placed(len(embeddings), len(shown)),
    )  # fmt: skip
    write_text(target, page)
    return len(shown)


def laid_out(features: Float32[np.ndarray, "items features"], *, seed: int) -> Float32[np.ndarray, "items 2"]:
    """Return a place for each clip: by t-SNE, or of many clips, between the nearest that t-SNE laid out."""
    if len(features) <= LAID_OUT:
        return project_2d(features, seed=seed)
    some: Int64[np.ndarray, " some"] = drawn(len(features), LAID_OUT, seed=seed)
    fixed = project_2d(features[some], seed=seed)
    others = np.setdiff1d(np.arange(len(features)), some)
    near, cosines = top_k(features[others], features[some], BETWEEN)
    weights = 1 / (1 - cosines + 1e-3) ** 2
    found = np.empty((len(features), 2), dtype=np.float32)
    found[some] = fixed
    found[others] = np.einsum("ob,obd->od", weights / weights.sum(axis=1, keepdims=True), fixed[near])
    return found


def _placed(count: int, shown: int) -> str:
    left_out = (
        f"{counted(count - shown, 'clip')} {are(count - shown)} left out for room, drawn evenly. "
        if shown < count
        else ""
    )
    if shown > LAID_OUT:
        return f"{left_out}t-SNE laid out {LAID_OUT:,} clips; the others lie between their nearest."
    return left_out.strip()


def _labels(embeddings: Embeddings) -> list[dict[str, Any]]:
    """Return every label with at least one value and its split; one colour for all where there is none.

    The times of windows, nearly all different, are no colours; which recording a window is of is one.
    """
    columns: dict[str, Shaped[np.ndarray, " items"]] = {
        name: column for name, column in embeddings.labels.items() if name not in WINDOW_TIMES and (column != "").any()
    }
    if set(WINDOW_TIMES) <= set(embeddings.labels):
        recordings = np.array([str(name).rpartition("@")[0] for name in embeddings.ids])
        if len(set(recordings.tolist())) > 1:
            columns.setdefault("recording", recordings)
    if embeddings.silent is not None and embeddings.silent.any():
        columns.setdefault("sound", np.where(embeddings.silent, "silent", "heard"))
    if (embeddings.splits != "").any():
        columns.setdefault("split", embeddings.splits)
    found = [_label(name, column.astype(np.str_).tolist()) for name, column in columns.items()]
    # labels with few values tell most by colour
    found.sort(key=lambda one: len(one["values"]) > len(embeddings) / 2)
    return found or one_colour(len(embeddings))


def _label(name: str, column: Sequence[str]) -> dict[str, Any]:
    values = sorted(set(column), key=natural)
    places = {value: place for place, value in enumerate(values)}
    return {
        "name": shortened(name),
        "values": [shortened(value, ROOM) or "not known" for value in values],
        "of": [places[value] for value in column],
    }
