"""Vectors, maps and clusters of a collection, each worked out when first asked for and maps kept on disk."""

import hashlib
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float32, Float64, Int64

from mfcl.core.files import replacing
from mfcl.embeddings.nearest import top_k
from mfcl.embeddings.projection import drawn, principal
from mfcl.embeddings.table import Embeddings
from mfcl.explore.collection import Collection
from mfcl.explore.nearby import Prepared
from mfcl.labelling.features import ALL

PLACED = 20_000
"""Most clips that t-SNE places; of more, as many are drawn and the others put among their nearest drawn ones."""
AMONG = 3
"""Drawn neighbours between which such a clip is put."""
MOST_CLUSTERS = 24
CLUSTERED = 10_000
"""Most clips from which the clusters' centres are found."""


class Spaces:
    """What can be worked out from the vectors alone.

    Args:
        collection: The clips.
    """

    def __init__(self, collection: Collection) -> None:
        self._collection = collection
        self._made: dict[tuple[str, str], Any] = {}
        self._locks: dict[tuple[str, str], threading.Lock] = {}
        self._lock = threading.Lock()

    @property
    def count(self) -> int:
        """Number of clips."""
        return len(self._collection)

    @property
    def prepared(self) -> Prepared:
        """The collection with its features and graphs, as the engine of labelling sees it."""
        found: Prepared = self._once("prepared", "", lambda _: Prepared(self._collection.embeddings, self.table_file))
        return found

    def vectors(self, part: str) -> Float32[np.ndarray, "items _"]:
        """Return the features of a part: its columns whitened, for comparison by the cosine."""
        return self.prepared.matrix(self.kind(part))

    def kind(self, part: str) -> str:
        """Return the kind of features that a part's map shows: all of them where the part tells nothing."""
        kinds = [one.name for one in self.prepared.features]
        return part if part in kinds else ALL

    def neighbours(self, part: str, clip: int, k: int) -> tuple[list[int], list[float]]:
        """Return the nearest other clips and their distances, one minus the cosine, nearest first."""
        table = self.prepared.made(self.kind(part))
        if table is not None and k < table[0].shape[1]:
            others = np.flatnonzero(table[0][clip] != clip)[:k]
            distances = 1 - np.cos(table[1][clip, others].astype(np.float64))
            return table[0][clip, others].tolist(), distances.tolist()
        return self.nearest(part, self.vectors(part)[clip : clip + 1], k, without=clip)

    def nearest(
        self, part: str, vector: Float32[np.ndarray, "1 _"], k: int, *, without: int | None = None
    ) -> tuple[list[int], list[float]]:
        """Return the clips nearest to a whitened vector and their distances, nearest first."""
        gallery = self.vectors(part)
        places, cosines = top_k(vector, gallery, min(k + (without is not None), len(gallery)))
        pairs = [
            (int(place), float(max(0.0, 1 - cosine)))
            for place, cosine in zip(places[0], cosines[0], strict=True)
            if place != without
        ][:k]
        return [place for place, _ in pairs], [distance for _, distance in pairs]

    def features(self, part: str, embeddings: Embeddings) -> Float32[np.ndarray, "items _"]:
        """Return the features of other clips, such as a dropped file, as this part's clips have them."""
        return self.prepared.kind(self.kind(part))(embeddings)

    def principal(self, part: str) -> Float32[np.ndarray, "items 2"]:
        """Return the first two principal components, within a square from -1 to 1."""
        found: Float32[np.ndarray, "items 2"] = self._once(
            "pca", part, lambda name: framed(principal(self.vectors(name).astype(np.float64), 2)[:, :2])
        )
        return found

    def map(self, part: str) -> Float32[np.ndarray, "items 2"] | None:
        """Return the t-SNE map if it is there, in memory or on disk, within a square from -1 to 1."""
        key = ("map", part)
        if key not in self._made:
            path = self.map_file(part)
            try:
                found = np.load(path, allow_pickle=False)
            except (OSError, ValueError, EOFError):
                return None
            if found.shape != (len(self._collection), 2) or not np.isfinite(found).all():
                return None
            self._made[key] = framed(found)
        made: Float32[np.ndarray, "items 2"] = self._made[key]
        return made

    def map_file(self, part: str) -> Path:
        """Return where a part's t-SNE map is kept; other vectors have another file."""
        return self._collection.folder / f"map-{part}-{self._digest(part)}.npy"

    def table_file(self, kind: str) -> Path:
        """Return where each clip's nearest ones are kept; other vectors have another file."""
        return self._collection.folder / f"nearest-{kind}-{self._digest('')}.npz"

    def ways_file(self, labels: Path) -> Path:
        """Return where the ways are kept by which a file's labels are spread, beside it; other vectors have another."""
        return labels.with_name(f"{labels.stem}-ways-{self._digest('')}.json")

    def keep_map(self, part: str, sample: Int64[np.ndarray, " drawn"], placed: Float32[np.ndarray, "drawn 2"]) -> None:
        """Keep a map; clips that were not drawn are put between the drawn ones that are nearest to them."""
        vectors = self.vectors(part)
        whole = np.empty((len(vectors), 2), dtype=np.float32)
        whole[sample] = placed
        rest = np.setdiff1d(np.arange(len(vectors)), sample)
        if len(rest):
            places, cosines = top_k(vectors[rest], vectors[sample], min(AMONG, len(sample)))
            weights = 1 / (1 - cosines + 1e-3) ** 2
            whole[rest] = (placed[places] * (weights / weights.sum(axis=1, keepdims=True))[..., None]).sum(axis=1)
        path = self.map_file(part)
        with replacing(path) as temporary, temporary.open("wb") as file:
            np.save(file, whole)

    def clusters(self, part: str) -> Int64[np.ndarray, " items"]:
        """Return the cluster of each clip by k-means, the largest first."""
        found: Int64[np.ndarray, " items"] = self._once("clusters", part, self._clusters)
        return found

    def sample(self) -> Int64[np.ndarray, " drawn"]:
        """Return the clips that t-SNE places."""
        return drawn(len(self._collection), PLACED)

    def _clusters(self, part: str) -> Int64[np.ndarray, " items"]:
        from sklearn.cluster import KMeans  # slow to import

        vectors = self.vectors(part)
        count = int(np.clip(round(len(vectors) ** 0.5 / 4), 2, min(MOST_CLUSTERS, len(vectors))))
        points = principal(vectors.astype(np.float64), 32).astype(np.float32)
        fitted = KMeans(count, n_init=1, random_state=0).fit(points[drawn(len(points), CLUSTERED)])
        codes = fitted.predict(points)
        order = np.argsort(-np.bincount(codes, minlength=count), kind="stable")
        rank = np.empty(count, dtype=np.int64)
        rank[order] = np.arange(count)
        found: Int64[np.ndarray, " items"] = rank[codes]
        return found

    def _digest(self, part: str) -> str:
        def work(name: str) -> str:
            chosen = self._collection.part(name) if name else self._collection.embeddings
            digest = hashlib.sha256(np.ascontiguousarray(chosen.vectors).tobytes())
            digest.update("\n".join(self._collection.embeddings.ids.tolist()).encode("utf-8", "backslashreplace"))
            return digest.hexdigest()[:16]

        return str(self._once("digest", part, work))

    def _once(self, what: str, part: str, work: Callable[[str], Any]) -> Any:
        """Work something out once, whatever the number of threads that ask."""
        key = (what, part)
        with self._lock:
            own = self._locks.setdefault(key, threading.Lock())
        with own:
            if key not in self._made:
                self._made[key] = work(part)
            return self._made[key]


def framed(points: Float64[np.ndarray, "items 2"] | Float32[np.ndarray, "items 2"]) -> Float32[np.ndarray, "items 2"]:
    """Shift and scale points, by the same factor both ways, into a square from -1 to 1.

    Example:
        >>> framed(np.array([[0.0, 0.0], [4.0, 2.0]])).tolist()
        [[-1.0, -0.5], [1.0, 0.5]]
    """
    low, high = points.min(axis=0), points.max(axis=0)
    size = float((high - low).max()) or 1.0
    made: Float32[np.ndarray, "items 2"] = ((points - (low + high) / 2) * (2 / size)).astype(np.float32)
    return made
