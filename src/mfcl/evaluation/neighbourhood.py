"""Nearest recordings, by vectors or by alignment, as kNN and the spreading of labels need them."""

import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass, fields
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float32, Int64, Shaped
from scipy import sparse

from mfcl.core.files import replacing
from mfcl.embeddings.alignment.ties import EDGES, graph
from mfcl.embeddings.table import Embeddings
from mfcl.embeddings.vector_graph import nearest_by_angle
from mfcl.errors import MeasureError

READ_BY = 10
"""Nearest known recordings that a tested one is read by."""
DAMAGED = (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error)
"""Errors of reading a missing or damaged file."""
Indices = Int64[np.ndarray, " _"]
Search = Callable[[Indices, int], tuple[Int64[np.ndarray, "_ _"], Float32[np.ndarray, "_ _"]]]


@dataclass(frozen=True)
class Neighbourhood:
    """Nearest training and validation recordings of those recordings themselves and of the tested ones.

    Attributes:
        known: Indices of the training and validation recordings, in the order of the embeddings.
        tested: Indices of the test recordings.
        places: For each known recording its nearest known ones, as indices into `known`, nearest first.
        distances: Distances to them.
        tested_places: The same for each tested recording.
        tested_distances: Distances to them.
    """

    known: Indices
    tested: Indices
    places: Int64[np.ndarray, "known _"]
    distances: Float32[np.ndarray, "known _"]
    tested_places: Int64[np.ndarray, "tested _"]
    tested_distances: Float32[np.ndarray, "tested _"]

    @staticmethod
    def found_by(nearest: Search, known: Indices, tested: Indices) -> "Neighbourhood":
        """Search for the neighbours.

        Args:
            nearest: Given indices of recordings and k, returns the k nearest known recordings of each.
            known: Indices of the training and validation recordings.
            tested: Indices of the test recordings.
        """
        return Neighbourhood(known, tested, *nearest(known, EDGES + 1), *nearest(tested, READ_BY))

    @cached_property
    def graph(self) -> sparse.csr_matrix:
        """The nearest-neighbour graph of the known recordings; see `mfcl.embeddings.alignment.graph`."""
        return graph(self.places, self.distances)

    def save(self, path: Path) -> None:
        """Write the arrays to an `.npz` file."""
        with replacing(path) as temporary, temporary.open("wb") as file:
            arrays: dict[str, Any] = {name: getattr(self, name) for name in FIELDS}
            np.savez_compressed(file, **arrays)


FIELDS = tuple(one.name for one in fields(Neighbourhood))


def load_neighbourhood(path: Path) -> Neighbourhood:
    """Read a file of `Neighbourhood.save`; one of `DAMAGED` is raised if it is missing or damaged."""
    with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
        return Neighbourhood(*(archive[name] for name in FIELDS))


def vector_neighbourhood(embeddings: Embeddings) -> Neighbourhood:
    """Return the neighbours by the angle between whitened vectors.

    Raises:
        MeasureError: there are fewer than two training and validation recordings, or no test recording.
    """
    known, tested = known_and_tested(embeddings.splits)
    whitened = embeddings.whitened
    return Neighbourhood.found_by(
        lambda queries, k: nearest_by_angle(whitened[queries], whitened[known], k), known, tested
    )


def known_and_tested(splits: Shaped[np.ndarray, " items"]) -> tuple[Indices, Indices]:
    """Return the indices of training and validation recordings, and of test recordings.

    Raises:
        MeasureError: there are fewer than two of the first, or none of the second.
    """
    known, tested = np.flatnonzero(np.isin(splits, ("train", "valid"))), np.flatnonzero(splits == "test")
    if len(known) < 2 or not len(tested):
        raise MeasureError(
            f"neighbours: wanted 2 or more recordings to learn from and 1 or more to test, got {len(known)} and "
            f"{len(tested)}; choose another split"
        )
    return known, tested
