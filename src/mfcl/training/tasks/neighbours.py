"""The searches of contrastive training for the recordings that are alike, by content or by voice.

Every process of a training calls them: the work is shared out, item by item, so that the result is one process's.
"""

from collections.abc import Callable, Mapping
from typing import TypeAlias

import numpy as np
from jaxtyping import Float32

from mfcl.core.distributed import shared_out
from mfcl.core.memory import give_back
from mfcl.data.store import Store
from mfcl.embeddings.diffusion import powered_cosine_graph
from mfcl.embeddings.linalg import unit_rows
from mfcl.embeddings.table import Embeddings
from mfcl.models.inference import embed_store
from mfcl.models.pair import MultiFormatModel, without
from mfcl.training.neighbour_search import Compared, compare
from mfcl.training.positives import Neighbourhood
from mfcl.training.vector_search import content_vectors, in_turn, picture_vectors, voice_vectors

Projected: TypeAlias = Mapping[str, Float32[np.ndarray, "items _"]]
Project: TypeAlias = Callable[[Embeddings], Projected]
"""Returns the projections of the content part of embeddings, by format."""


def due(stage: int, stages: int, *, searches: int) -> bool:
    """Return whether a search is due at the beginning of a stage: so many are spread evenly over the stages.

    Example:
        >>> [due(stage, 7, searches=3) for stage in range(7)]
        [True, False, True, False, True, False, False]
    """
    searches = min(searches, stages)
    return stage in {search * stages // searches for search in range(searches)}


def search_content(
    hood: Neighbourhood, model: MultiFormatModel, store: Store, formats: tuple[str, ...], *, project: Project | None
) -> None:
    """Renew a neighbourhood by vectors of what is said.

    Args:
        hood: The neighbourhood.
        model: The encoders with their present weights.
        store: The training recordings.
        formats: The formats that are trained.
        project: The projections, by which recordings are compared beside their log-mel pictures; None before they have
            learned anything: then by what untrained encoders pool.
    """
    store = store.select(hood.members)
    if project is None:
        features = content_vectors(model, store, formats)
    else:
        projected = _projections_of(store, model, project)
        own = [unit_rows(projected[format] - projected[format].mean(axis=0)) for format in formats]
        features = [picture_vectors(store), *own]
    hood.renew(powered_cosine_graph(np.concatenate(features, axis=1, dtype=np.float32), mapped=shared_out))


def search_aligned(
    hood: Neighbourhood,
    model: MultiFormatModel,
    store: Store,
    formats: tuple[str, ...],
    *,
    compared: Compared | None,
    project: Project | None,
    seed: int,
) -> tuple[Compared, list[str]]:
    """Renew a neighbourhood by alignment of log-mels, where this tells recordings apart.

    Args:
        hood: The neighbourhood.
        model: See `search_content`.
        store: The training recordings.
        formats: The formats that are trained.
        compared: The comparison of an earlier search of this run; None: it is made.
        project: The projections, which then count beside alignment; None before they have learned anything.
        seed: The run's seed.

    Returns:
        The comparison for later searches, and what to log: at the first search, that alignment tells nothing here.
    """
    store, first = store.select(hood.members), compared is None
    if compared is None:
        compared = compare(store, seed=seed)
    if not compared.tells:
        return compared, [compared.silence] if first else []
    vectors = None
    if project is not None:
        projected = _projections_of(store, model, project)
        vectors = np.concatenate([unit_rows(projected[format], np.float32) for format in formats], axis=1)
    hood.renew(compared.graph(vectors))
    give_back()
    return compared, []


def search_voices(
    hood: Neighbourhood, model: MultiFormatModel, store: Store, formats: tuple[str, ...], *, learned: bool
) -> None:
    """Renew a neighbourhood by vectors of who speaks; see `mfcl.training.vector_search.voice_vectors`."""
    vectors = voice_vectors(model, store.select(hood.members), formats, learned=learned)
    hood.renew(powered_cosine_graph(vectors, mapped=shared_out))


def _projections_of(store: Store, model: MultiFormatModel, project: Project) -> Projected:
    """Return the content projections of recordings with the present weights."""
    with without(model, "landmarks"):
        return project(embed_store(model, store, mapped=in_turn))
