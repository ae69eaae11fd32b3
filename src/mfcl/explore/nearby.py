"""Features and graphs of a collection, made once; the nearest clips of every clip are kept on disk."""

import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
from jaxtyping import Float32, Int64
from scipy import sparse

from mfcl.core.files import replacing
from mfcl.embeddings.alignment.ties import EDGES, graph
from mfcl.embeddings.table import Embeddings
from mfcl.embeddings.vector_graph import nearest_by_angle
from mfcl.labelling import Collection as Labelled

Table = tuple[Int64[np.ndarray, "items _"], Float32[np.ndarray, "items _"]]


class Prepared(Labelled):
    """A collection to label, whose graphs come from tables of nearest clips on disk.

    Args:
        embeddings: Embeddings of all clips.
        file: Kind of features -> the file of its table.
    """

    def __init__(self, embeddings: Embeddings, file: Callable[[str], Path]) -> None:
        super().__init__(embeddings)
        self._file = file
        self._tables: dict[str, Table] = {}
        self._own: dict[str, sparse.csr_matrix] = {}
        self._locks = {one.name: threading.RLock() for one in self.features}

    @property
    def kinds(self) -> list[str]:
        """Kinds of features, the one first from which guesses come while little is known."""
        return [way.features for way in self.ways if way.graph]

    def matrix(self, kind: str) -> Float32[np.ndarray, "items features"]:
        """Return the features of all clips; made once, whatever the number of threads that ask."""
        with self._locks[kind]:
            return super().matrix(kind)

    def ready(self, kind: str) -> bool:
        """Return whether a kind's graph is in memory."""
        return kind in self._own

    def table(self, kind: str) -> Table:
        """Return each clip's nearest clips and the angles to them in radians, nearest first; itself is among them."""
        with self._locks[kind]:
            if kind not in self._tables:
                self._tables[kind] = self._read(kind) or self._made(kind)
            return self._tables[kind]

    def made(self, kind: str) -> Table | None:
        """Return a kind's table if it is in memory."""
        return self._tables.get(kind)

    def graph(self, name: str) -> sparse.csr_matrix:
        """Return the graph of nearest clips by one kind of features."""
        with self._locks[name]:
            if name not in self._own:
                self._own[name] = graph(*self.table(name))
            return self._own[name]

    def _made(self, kind: str) -> Table:
        features = self.matrix(kind)
        places, angles = nearest_by_angle(features, features, EDGES + 1)
        path = self._file(kind)
        with replacing(path) as temporary, temporary.open("wb") as file:
            np.savez(file, places=places.astype(np.int32), angles=angles)
        return places, angles

    def _read(self, kind: str) -> Table | None:
        try:
            with np.load(self._file(kind), allow_pickle=False) as kept:
                places, angles = kept["places"].astype(np.int64), kept["angles"].astype(np.float32)
        except (OSError, ValueError, KeyError, EOFError):
            return None
        whole = places.shape == angles.shape == (len(self), min(EDGES + 1, len(self)))
        return (places, angles) if whole and 0 <= places.min() <= places.max() < len(self) else None
