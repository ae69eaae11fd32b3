"""Find the recordings most similar to a clip, by whitened embeddings, and by alignment where that tells more."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float64, Int64

from mfcl.classification.sources import Data, check_same_model, is_embeddings, manifest_of, opened, vectors_of
from mfcl.core.random import generator
from mfcl.data.layouts import open_manifest
from mfcl.data.manifest import Manifest
from mfcl.data.store import open_store
from mfcl.embedder import Embedder, load
from mfcl.embeddings import alignment
from mfcl.embeddings.nearest import top_k
from mfcl.embeddings.table import Embeddings
from mfcl.errors import MeasureError, MfclError, check_number, one_of
from mfcl.labelling.features import fit_features, has_landmarks, ordered_kinds
from mfcl.models.inference import part_bounds
from mfcl.recipe import Recipe
from mfcl.training.neighbour_search import sound_frames

CANDIDATES = 60
"""Recordings nearest by embeddings that are aligned with the clip."""
USUAL = 40
"""Recordings drawn at random that are aligned with it, for the unit of distances."""
MOST_FOUND = 10_000


@dataclass(frozen=True)
class Similar:
    """A recording near to the clip.

    Attributes:
        id: Its id.
        distance: 1 minus the cosine of whitened embeddings, 0 to 2.
        aligned: Distance by alignment; None where the recordings were not aligned.
        labels: Its labels.
    """

    id: str
    distance: float
    aligned: float | None
    labels: dict[str, str]


def similar(
    source: Embedder | Embeddings | str | Path,
    clip: str | Path,
    *,
    data: Data | None = None,
    model: Embedder | str | Path | None = None,
    count: int = 10,
    part: str | None = None,
    align: bool | None = None,
    data_root: Path | None = None,
    device: str = "auto",
    progress: bool = False,
) -> list[Similar]:
    """Return the recordings nearest to a clip, nearest first.

    Embeddings are whitened by the recordings that are searched. Where the sound is at hand and the model has no
    landmarks, the nearest 60 are ordered by that distance and the one by alignment together, each in units of its
    median; landmarks have alignment in the embedding already.

    Args:
        source: Embeddings of the recordings (or their `.npz` file), or a model.
        clip: A file, or the id of one of the recordings, which is then left out.
        data: The recordings; default for a model: those that it was trained on.
        model: For embeddings: their model, to embed a file with.
        count: Recordings to return.
        part: `words`, `voices` or `all`; default: what is likely to tell recordings apart.
        align: Order by alignment, too; default: for a model without landmarks, where the sound is at hand.
        data_root: For a manifest: the folder of the recordings, if they were moved.
        device: `auto`, `cpu`, `cuda`, ...
        progress: Show a progress bar.

    Raises:
        MfclError: no such clip, part or model, or embeddings of another model.
    """
    check_number("count", count, 1, MOST_FOUND, whole=True, error=MeasureError)
    hearing = _model(source, model, device)
    recordings = _recordings(source, data, hearing, data_root)
    if isinstance(source, Embeddings) or (isinstance(source, str | Path) and is_embeddings(source)):
        table = opened(source)
    elif recordings is None:
        raise MfclError("similar: wanted recordings to search in; name them (--in)")
    else:
        table = vectors_of(recordings, hearing, progress=progress)
    kinds = fit_features(table)
    names = ordered_kinds(kinds, aligned=False)
    if part is not None and part not in names:
        raise MeasureError(f"similar: {one_of('part', part, names)}")
    chosen = next(one for one in kinds if one.name == (part or names[0]))
    own = np.flatnonzero(table.ids == str(clip))
    query = table.select(own[:1]) if len(own) else _embedded(clip, table, hearing)
    others = np.flatnonzero(table.ids != str(clip))
    if not len(others):
        raise MeasureError("similar: wanted other recordings to search in, got none")
    ranks, cosines = top_k(chosen(query), chosen(table.select(others)), len(others))
    near, far = others[ranks[0]], np.maximum(1 - cosines[0], 0)
    kept = min(max(count, CANDIDATES), len(near))
    places, distances, aligned = near[:kept], far[:kept], None
    aligns = recordings is not None and hearing is not None and not has_landmarks(kinds) if align is None else align
    if aligns:
        if recordings is None or hearing is None:
            raise MfclError("similar: wanted the recordings and the model to align with; give --in and --model")
        drawn = generator(0, "similar").permutation(near)[:USUAL]
        every = np.concatenate([places, drawn])
        found = _aligned(clip if not len(own) else None, table, own, every, recordings, hearing.recipe)
        units = (max(float(np.median(far)), 1e-9), max(float(np.median(found[kept:])), 1e-9))
        order = np.argsort(distances / units[0] + found[:kept] / units[1], kind="stable")
        places, distances, aligned = places[order], distances[order], found[:kept][order]
    return [
        Similar(
            str(table.ids[place]), float(distances[rank]), None if aligned is None else float(aligned[rank]),
            {name: str(column[place]) for name, column in table.labels.items() if column[place]},
        )
        for rank, place in enumerate(places[:count].tolist())
    ]  # fmt: skip


def _model(source: object, model: Embedder | str | Path | None, device: str) -> Embedder | None:
    place = model
    if isinstance(source, Embedder) or (isinstance(source, str | Path) and not is_embeddings(source)):
        place = source
    if place is None or isinstance(place, Embedder):
        return place
    return load(place, device=device)


def _recordings(source: object, data: Data | None, hearing: Embedder | None, data_root: Path | None) -> Manifest | None:
    """Return the recordings that are searched: given ones, or the model's own; None for embeddings alone."""
    if data is not None:
        if is_embeddings(data):
            raise MfclError("similar: wanted recordings to search in, got embeddings; give these in place of the model")
        return manifest_of(data, data_root)
    if isinstance(source, Embeddings) or (isinstance(source, str | Path) and is_embeddings(source)) or hearing is None:
        return None
    listed = hearing.folder.resolve().parent / "manifest.csv"
    if not listed.is_file():
        raise MfclError(f"{hearing.folder}: not in a run folder with its manifest.csv; name recordings (--in)")
    return manifest_of(listed, data_root)


def _embedded(clip: str | Path, table: Embeddings, hearing: Embedder | None) -> Embeddings:
    """Return the embedding of a file by the model of the embeddings."""
    if not Path(clip).is_file():
        raise MfclError(f"{clip}: neither a file nor the id of one of the {len(table)} recordings, such as "
                        f"{table.ids[0]}")  # fmt: skip
    if hearing is None:
        raise MfclError(f"{clip}: wanted the model of the embeddings to hear it with; give --model")
    check_same_model(table, hearing)
    vectors = hearing.encode([clip])
    names = np.array([str(clip)])
    return Embeddings(vectors, names, {}, part_bounds(hearing.model, "both"), np.array([""]), table.model)


def _aligned(
    clip: str | Path | None,
    table: Embeddings,
    own: Int64[np.ndarray, " _"],
    places: Int64[np.ndarray, " near"],
    recordings: Manifest,
    recipe: Recipe,
) -> Float64[np.ndarray, " near"]:
    """Return the distances of the clip to the recordings at `places` by alignment."""
    known = {name: place for place, name in enumerate(recordings.ids.tolist())}
    names = [str(name) for name in table.ids[places]]
    missing = next((name for name in names if name not in known), None)
    if missing is not None:
        raise MfclError(f"similar: {missing!r} has embeddings, but is not among the recordings (--in); give the same")
    different = list(dict.fromkeys(names))  # a recording may be both near and drawn
    chosen = open_store(recordings.select([known[name] for name in different]), recipe.preparation, progress=False)
    asked = recordings.select([known[str(table.ids[own[0]])]]) if clip is None else open_manifest(clip)
    query = open_store(asked, recipe.preparation, progress=False)
    found = alignment.distances(sound_frames(query), sound_frames(chosen))[0]
    column = {name: place for place, name in enumerate(chosen.manifest.ids.tolist())}
    return np.array([found[column[name]] for name in names], dtype=np.float64)
