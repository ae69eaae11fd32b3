"""The nearest clips of every clip, kept on disk, and the graph that labels spread over."""

import threading

import numpy as np
from jaxtyping import Float32, Int64
from scipy import sparse

from mfcl.core.files import replacing
from mfcl.embeddings.alignment.ties import EDGES, graph
from mfcl.embeddings.vector_graph import nearest_by_angle
from mfcl.explore.spaces import Spaces


class Nearby:
    """Tables of nearest clips, one a part.

    Args:
        spaces: The vectors.
    """

    def __init__(self, spaces: Spaces) -> None:
        self._spaces = spaces
        self._tables: dict[str, tuple[Int64[np.ndarray, "items _"], Float32[np.ndarray, "items _"]]] = {}
        self._graphs: dict[str, sparse.csr_matrix] = {}
        self._lock = threading.Lock()

    def ready(self, part: str) -> bool:
        """Return whether a part's table is in memory."""
        return part in self._tables

    def table(self, part: str) -> tuple[Int64[np.ndarray, "items _"], Float32[np.ndarray, "items _"]]:
        """Return each clip's nearest clips and the angles to them in radians, nearest first; itself is among them."""
        with self._lock:
            if part not in self._tables:
                self._tables[part] = self._read(part) or self._made(part)
            return self._tables[part]

    def graph(self, part: str) -> sparse.csr_matrix:
        """Return the graph of nearest clips; see `mfcl.embeddings.alignment.graph`."""
        places, angles = self.table(part)
        with self._lock:
            if part not in self._graphs:
                self._graphs[part] = graph(places, angles)
            return self._graphs[part]

    def _made(self, part: str) -> tuple[Int64[np.ndarray, "items _"], Float32[np.ndarray, "items _"]]:
        vectors = self._spaces.vectors(part)
        places, angles = nearest_by_angle(vectors, vectors, EDGES + 1)
        path = self._spaces.map_file(part).with_suffix(".near.npz")
        with replacing(path) as temporary, temporary.open("wb") as file:
            np.savez(file, places=places.astype(np.int32), angles=angles)
        return places, angles

    def _read(self, part: str) -> tuple[Int64[np.ndarray, "items _"], Float32[np.ndarray, "items _"]] | None:
        path = self._spaces.map_file(part).with_suffix(".near.npz")
        try:
            with np.load(path, allow_pickle=False) as kept:
                places, angles = kept["places"].astype(np.int64), kept["angles"].astype(np.float32)
        except (OSError, ValueError, KeyError, EOFError):
            return None
        items = self._spaces.count
        whole = places.shape == angles.shape == (items, min(EDGES + 1, items))
        return (places, angles) if whole and places.size and 0 <= places.min() <= places.max() < items else None
