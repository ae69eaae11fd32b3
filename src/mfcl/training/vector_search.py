"""The vectors by which recordings are compared in a search for neighbours, before and after encoders have learned."""

import functools

import numpy as np
from jaxtyping import Float32

from mfcl.core.distributed import rows_shared_out, shared_out
from mfcl.data.store import Store
from mfcl.embeddings.linalg import unit_rows
from mfcl.embeddings.parts import Part, Role
from mfcl.embeddings.whitening import fit_whitening
from mfcl.evaluation.baselines import average_spectrum
from mfcl.models.inference import embed_store
from mfcl.models.pair import FormatEncoder, MultiFormatModel, without
from mfcl.training.neighbour_search import pictures

Vectors = Float32[np.ndarray, "items _"]

in_turn = functools.partial(shared_out, threads=False)
"""Shares work out among the processes of a training, each of which does its items one after another."""


def part_of(model: MultiFormatModel, format: str, role: Role) -> Part:
    """Return a part of a format's embedding before the neck; an only part has no role."""
    encoder: FormatEncoder = getattr(model, format)
    return Part(format, role) if len(encoder.roles) > 1 else Part(format)


def content_vectors(model: MultiFormatModel, store: Store, formats: tuple[str, ...]) -> list[Vectors]:
    """Return a whitened log-mel picture and the whitened pooled content of untrained encoders."""
    with without(model, "neck", "landmarks"):
        embeddings = embed_store(model, store, mapped=in_turn)
    parts = [embeddings.part(part_of(model, format, "content")) for format in formats]
    return list(in_turn(_whitened, [pictures(store), *parts]))


def picture_vectors(store: Store) -> Vectors:
    """Return whitened log-mel pictures."""
    return _whitened(pictures(store))


def voice_vectors(model: MultiFormatModel, store: Store, formats: tuple[str, ...], *, learned: bool) -> Vectors:
    """Return vectors by which recordings of one voice are near: the average spectrum, later the speaker parts, too.

    Each is whitened and of unit length. Pooled values of untrained encoders tell voices less well than a spectrum.
    """
    places = np.arange(len(store))
    average = rows_shared_out(lambda rows: average_spectrum(store.select(places[rows]), store.sample_rate), len(store))
    found = [average]
    if learned:
        with without(model, "neck", "landmarks"):
            embeddings = embed_store(model, store, mapped=in_turn)
        found += [embeddings.part(part_of(model, format, "speaker")) for format in formats]
    return unit_rows(np.concatenate(list(in_turn(_whitened, found)), axis=1), np.float32)


def _whitened(vectors: Vectors) -> Vectors:
    """Return vectors whitened by themselves, each of unit length."""
    return fit_whitening(vectors)(vectors)
