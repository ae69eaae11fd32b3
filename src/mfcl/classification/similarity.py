"""Find the recordings most similar to a clip, by whitened embeddings, and by alignment where that tells more."""

import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float64, Int64

from mfcl.classification.sources import (
    Data,
    check_same_model,
    is_embeddings,
    manifest_of,
    opened_in_blocks,
    vectors_of,
)
from mfcl.core.console import printable
from mfcl.core.files import check_there, is_there
from mfcl.core.random import generator
from mfcl.core.urls import UrlPath, as_path
from mfcl.data.layouts import open_manifest
from mfcl.data.manifest import Manifest
from mfcl.data.store import open_store
from mfcl.embedder import Embedder, load
from mfcl.embeddings import alignment
from mfcl.embeddings.blocks import Blocks
from mfcl.embeddings.nearest import top_k
from mfcl.embeddings.table import Embeddings
from mfcl.embeddings.vector_index import TRIED, TRIED_FOR
from mfcl.errors import MeasureError, MfclError, check_choice, check_number, check_type
from mfcl.labelling.features import Features, fit_features_of_blocks, has_landmarks, ordered_kinds
from mfcl.labelling.search_index import open_search_index
from mfcl.models.inference import part_bounds
from mfcl.recipe import Recipe
from mfcl.training.neighbour_search import sound_frames

CANDIDATES = 60
"""Recordings nearest by embeddings that are aligned with the clip."""
USUAL = 40
"""Recordings drawn at random that are aligned with it, for the unit of distances."""
SAME = 0.999
"""Cosine from which a recording of a file's name is the file: it may have been embedded in another batch."""
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
    approximate: bool = False,
    data_root: Path | None = None,
    device: str = "auto",
    progress: bool = False,
) -> list[Similar]:
    """Return the recordings nearest to a clip, nearest first.

    Embeddings are whitened by the recordings that are searched, so distances differ a little from those of
    `encode(whiten=True)`, which whitens by the recordings that the model was trained on. Where the sound is at hand and
    the model has no landmarks, the nearest 60 are ordered by that distance and the one by alignment together, each in
    units of its median; landmarks have alignment in the embedding already.

    Args:
        source: Embeddings of the recordings (or their `.npz` file or folder of parts), or a model.
        clip: A file, or the id of one of the recordings; if it is one of those that are searched, it is left out. In
            embeddings alone that is a recording whose id the file's path ends with, if its vector is the file's.
        data: The recordings; default for a model: those that it was trained on. For embeddings: theirs, to align with.
        model: For embeddings: their model, to embed a file with.
        count: Recordings to return.
        part: `words`, `voices` or `all`; default: what is likely to tell recordings apart.
        align: Order by alignment, too; default: for a model without landmarks, where the sound is at hand.
        approximate: Search by an index beside the embeddings, which is made if it is not there or not of them: for a
            million recordings and more (extra `ann`). A near recording may be missed; distances are exact. Nothing is
            aligned. See `mfcl.labelling.search_index.open_search_index`.
        data_root: For a manifest: the folder of the recordings, if they were moved.
        device: `auto`, `cpu`, `cuda`, ...
        progress: Show a progress bar.

    Raises:
        MfclError: no such clip, part or model, or embeddings of another model.
    """
    check_number("count", count, 1, MOST_FOUND, whole=True, error=MeasureError)
    check_type("clip", clip, str | Path, "a file or the id of a recording", error=MeasureError)
    if approximate:
        return _by_index(source, clip, data, model, count, part, align, device, progress=progress)
    hearing = _model(source, model, device)
    recordings = _recordings(source, data, hearing, data_root)
    if isinstance(source, Embeddings) or (isinstance(source, str | Path) and is_embeddings(source)):
        blocks = opened_in_blocks(source)
        if recordings is not None:
            _check_among(recordings, (name for block in blocks for name in block.ids.tolist()))
    elif recordings is None:
        raise MfclError("similar: wanted recordings to search in; name them (--in)")
    else:
        blocks = opened_in_blocks(vectors_of(recordings, hearing, progress=progress))
    kinds = fit_features_of_blocks(blocks)
    names = ordered_kinds(kinds, aligned=False)
    if part is not None:
        check_choice("part", part, names, error=MeasureError, where="similar: ")
    chosen = next(one for one in kinds if one.name == (part or names[0]))
    own = _places_of(str(clip), blocks)
    if len(own) and model is not None and is_there(Path(clip)):
        told = f"{printable(str(clip))} is taken as the id of one of the recordings"
        print(f"note: {told}; for the file of that name give ./{printable(str(clip))}", file=sys.stderr)  # noqa: T201
    if not len(own) and recordings is not None:
        own = _places_of(_id_of(clip, recordings), blocks)
    query = blocks.select(own[:1]) if len(own) else _embedded(clip, blocks, hearing)
    _check_heard(query, clip)
    near, far = _ranked(chosen, query, blocks, own, [] if len(own) else _ends(clip))
    if not len(near):
        raise MeasureError("similar: wanted other recordings to search in, got none")
    kept = min(max(count, CANDIDATES), len(near))
    places, distances, aligned = near[:kept], far[:kept], None
    aligns = recordings is not None and hearing is not None and not has_landmarks(kinds) if align is None else align
    if aligns:
        if recordings is None or hearing is None:
            raise MfclError("similar: wanted the recordings and the model to align with; give --in and --model")
        drawn = generator(0, "similar").permutation(near)[:USUAL]
        every = blocks.select(np.concatenate([places, drawn])).ids.tolist()
        found = _aligned(clip, str(query.ids[0]) if len(own) else None, every, recordings, hearing.recipe)
        units = (max(float(np.median(far)), 1e-9), max(float(np.median(found[kept:])), 1e-9))
        order = np.argsort(distances / units[0] + found[:kept] / units[1], kind="stable")
        places, distances, aligned = places[order], distances[order], found[:kept][order]
    return _found(blocks.select(places[:count]), distances, aligned)


def _found(table: Embeddings, distances: Float64[np.ndarray, " _"], aligned: np.ndarray | None) -> list[Similar]:
    """Return the recordings of a table with their distances, which may be more than it has rows."""
    return [
        Similar(
            str(table.ids[rank]), float(distances[rank]), None if aligned is None else float(aligned[rank]),
            {name: str(column[rank]) for name, column in table.labels.items() if column[rank]},
        )
        for rank in range(len(table))
    ]  # fmt: skip


def _by_index(
    source: object, clip: str | Path, data: Data | None, model: Embedder | str | Path | None, count: int,
    part: str | None, align: bool | None, device: str, *, progress: bool,
) -> list[Similar]:  # fmt: skip
    """Return what `similar` finds by the index beside embeddings."""
    if not (isinstance(source, str | Path) and is_embeddings(source)) or data is not None:
        raise MfclError("similar: wanted a folder of parts or a file of embeddings for an approximate search, whose "
                        "index lies beside it; run mfcl embed on the recordings, and name its output")  # fmt: skip
    if align:
        raise MfclError("similar: an approximate search orders by embeddings alone; leave out --align or --approximate")
    index = open_search_index(source, part, threads=torch.get_num_threads(), progress=progress)
    if progress:
        tried = f"tried when it was made on {min(TRIED, len(index.ids))} of its own recordings"
        print(f"approximate: of the nearest {TRIED_FOR} the index finds {index.recall:.1%}, {tried}", file=sys.stderr)  # noqa: T201
    own = index.places_of(str(clip))
    hearing = _model(source, model, device) if not len(own) else None
    query = index.blocks.select(own[:1]) if len(own) else _embedded(clip, index.blocks, hearing)
    _check_heard(query, clip)
    named = own if len(own) else np.concatenate([index.places_of(name) for name in _ends(clip)])
    if len(own) == len(index.ids):
        raise MeasureError("similar: wanted other recordings to search in, got none")
    places, cosines = index.vectors.nearest(index.features(query), min(count + len(named), len(index.ids)))
    same = np.isin(places[0], named) & (cosines[0] >= SAME)
    others = ~(np.isin(places[0], own) | same)
    found = index.blocks.select(places[0][others])
    heard = found.audible[:count]
    return _found(found.select(heard), np.maximum(1 - cosines[0][others][heard], 0), None)


def _check_heard(query: Embeddings, clip: str | Path) -> None:
    """Refuse a silent window: those that are nearest to it would be other silent ones."""
    if query.silent is not None and query.silent[0]:
        raise MeasureError(f"similar: {clip} is silent, so nothing is similar to it; give another clip")


def _model(source: object, model: Embedder | str | Path | None, device: str) -> Embedder | None:
    place = model
    if isinstance(source, Embedder) or (isinstance(source, str | Path) and not is_embeddings(source)):
        place = source
        if not isinstance(place, Embedder):
            check_there(as_path(place), "a model or embeddings", "give a run folder, or what `mfcl embed` wrote")
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


def _check_among(recordings: Manifest, names: Iterable[str]) -> None:
    """Refuse embeddings of other recordings than given ones: all of them are searched, so these would be found too."""
    known = frozenset(recordings.ids.tolist())
    missing = next((name for name in names if name not in known), None)
    if missing is not None:
        raise MfclError(f"similar: {missing!r} has embeddings, but is not among the recordings (--in); give the same")


def _places_of(name: str, blocks: Blocks) -> Int64[np.ndarray, " places"]:
    """Return the places of the items with an id."""
    found, start = [], 0
    for block in blocks:
        found.append(np.flatnonzero(block.ids == name) + start)
        start += len(block)
    return np.concatenate(found)


def _ends(clip: str | Path) -> list[str]:
    """Return the ids that a recording may have whose file this is: the ends of its path."""
    file = as_path(clip)
    parts = file.parts if isinstance(file, UrlPath) else file.resolve().parts
    return [*dict.fromkeys((str(file), file.as_posix(), *("/".join(parts[first:]) for first in range(1, len(parts)))))]


def _id_of(clip: str | Path, recordings: Manifest) -> str:
    """Return the id of the recording that is all of a file; "" if there is none."""
    file = as_path(clip)
    if isinstance(file, UrlPath) or not file.is_file():
        return ""
    whole = (one for one in recordings if one.path.name == file.name and not one.start and one.end is None)
    here = (one for one in whole if not isinstance(one.path, UrlPath) and one.path.resolve() == file.resolve())
    return next((one.id for one in here), "")


def _ranked(
    features: Features,
    query: Embeddings,
    blocks: Blocks,
    own: Int64[np.ndarray, " _"],
    names: Sequence[str],
) -> tuple[Int64[np.ndarray, " others"], Float64[np.ndarray, " others"]]:
    """Return the places of all other items, nearest first, and their distances; 16 bytes for each are kept.

    Left out are `own`, those with an id of `names` that have the vector of the query, and silent ones.
    """
    asked, near, named = features(query), [], []
    silent: list[int] = []
    start = 0
    for block in blocks:
        ranks, cosines = top_k(asked, features(block), len(block))
        near.append(np.empty(len(block), dtype=np.float64))
        near[-1][ranks[0]] = cosines[0]
        named.append(np.isin(block.ids, names))
        silent += [] if block.silent is None else (np.flatnonzero(block.silent) + start).tolist()
        start += len(block)
    cosine = np.concatenate(near)
    itself = np.union1d(own, np.flatnonzero(np.concatenate(named) & (cosine >= SAME)))
    others = np.setdiff1d(np.arange(len(cosine)), np.union1d(itself, silent))
    order = others[np.argsort(-cosine[others], kind="stable")]
    return order, np.maximum(1 - cosine[order], 0)


def _embedded(clip: str | Path, blocks: Blocks, hearing: Embedder | None) -> Embeddings:
    """Return the embedding of a file by the model of the embeddings."""
    table = next(iter(blocks))
    if not as_path(clip).is_file():
        raise MfclError(f"{clip}: neither a file nor the id of one of the {len(blocks)} recordings, such as "
                        f"{table.ids[0]}")  # fmt: skip
    if hearing is None:
        raise MfclError(f"{clip}: wanted the model of the embeddings to hear it with; give --model")
    check_same_model(table, hearing)
    vectors = hearing.encode([clip], format="both")  # the parts of the embeddings are among these
    names = np.array([str(as_path(clip))])
    return Embeddings(vectors, names, {}, part_bounds(hearing.model, "both"), np.array([""]), table.model)


def _aligned(
    clip: str | Path, own: str | None, names: list[str], recordings: Manifest, recipe: Recipe
) -> Float64[np.ndarray, " near"]:
    """Return the distances of a clip to recordings by alignment.

    Args:
        clip: The file of the clip, unless it is one of the recordings.
        own: Its id, if it is one of the recordings.
        names: Ids of the recordings to compare with.
        recordings: All recordings.
        recipe: How to prepare them.
    """
    known = {name: place for place, name in enumerate(recordings.ids.tolist())}
    different = list(dict.fromkeys(names))  # a recording may be both near and drawn
    chosen = open_store(
        recordings.select([known[name] for name in different]), recipe.preparation, progress=False, strict=True
    )
    asked = open_manifest(clip) if own is None else recordings.select([known[own]])
    query = open_store(asked, recipe.preparation, progress=False)
    found = alignment.distances(sound_frames(query), sound_frames(chosen))[0]
    column = {name: place for place, name in enumerate(chosen.manifest.ids.tolist())}
    return np.array([found[column[name]] for name in names], dtype=np.float64)
