"""Find the recordings that are alike by alignment, without labels, and tell whether alignment says anything here."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, Int64
from scipy import sparse

from mfcl.core.distributed import rows_shared_out, shared_out
from mfcl.core.random import generator
from mfcl.data.store import Store
from mfcl.embeddings import alignment
from mfcl.embeddings.alignment.search import Frames, smallest
from mfcl.embeddings.alignment.ties import EDGES
from mfcl.embeddings.linalg import unit_rows
from mfcl.embeddings.nearest import top_k
from mfcl.embeddings.whitening import fit_whitening
from mfcl.evaluation.baselines import log_mel_picture

LONGEST_SECONDS = 4.0
"""Beginning of a clip that is aligned: the time grows with its square, and a word or a call is shorter."""
FRAMES_HELD = 500_000
"""Most frames at the finest hop (160 MB); of more sound, frames are further apart."""
ALL_PAIRS = 4_000
"""Most recordings that are all compared with each other; of more, each is compared with `CANDIDATES`."""
CANDIDATES = 200
"""Recordings that each is compared with: the nearest by log-mel picture."""
NEAR_SHARE = 40
"""A recording's neighbours are the nearest one in 40."""
JUDGED = 500
"""Recordings drawn to judge the distances."""
APART = 0.8
"""Highest distance to the farthest of the neighbours, over the distance of two recordings drawn at random.

Words of three corpora have 0.44 to 0.59 (120 to 500 recordings), environmental scenes 0.58 to 0.68 (120 to 240), and
noise and textures without any course in time 0.98.
"""
LEARNED = 0.2
"""Weight of the projections' distances beside those of alignment, each in units of its median over all pairs."""
ROWS_AT_ONCE = 512


@dataclass(frozen=True)
class Compared:
    """Recordings compared by alignment.

    Attributes:
        choices: For each recording the ones that it was compared with; None: all.
        distances: Alignment distances to them.
        near: Median distance of a recording to the farthest of its nearest one in 40.
        typical: Median distance of two recordings.
    """

    choices: Int64[np.ndarray, "items choices"] | None
    distances: Float32[np.ndarray, "items choices"]
    near: float
    typical: float

    @property
    def tells(self) -> bool:
        """Whether neighbours by alignment are clearly nearer than others; if not, alignment says nothing here."""
        return tells(self.near, self.typical)

    @property
    def silence(self) -> str:
        """Say that alignment tells nothing, and what follows."""
        return (
            f"no neighbours: by alignment the nearest recordings are at {self.near / self.typical:.2f} of the distance "
            f"of any two (wanted {APART} or less), as for scenes and textures; only a recording's own crops are "
            "positives"
        )

    def graph(self, vectors: Float32[np.ndarray, "items _"] | None = None) -> sparse.csr_matrix:
        """Return the graph of nearest recordings, see `mfcl.embeddings.alignment.graph`.

        Args:
            vectors: Learned vectors; their cosines then count, too.
        """
        units = None if vectors is None else unit_rows(vectors, np.float32)
        weight = 0.0
        if units is not None:
            spaced = units[np.linspace(0, len(units) - 1, min(len(units), JUDGED)).astype(np.int64)]
            weight = LEARNED * self.typical / max(float(np.median(1 - spaced @ spaced.T)), 1e-6)
        places, values = [], []
        for start in range(0, len(self.distances), ROWS_AT_ONCE):
            rows = np.arange(start, min(start + ROWS_AT_ONCE, len(self.distances)))
            total = self.distances[rows]
            if units is not None:
                total = total + np.float32(weight) * self._cosine_distances(units, rows)
            ranks, nearest = smallest(total, min(EDGES + 1, total.shape[1]))
            places.append(ranks if self.choices is None else np.take_along_axis(self.choices[rows], ranks, axis=1))
            values.append(nearest)
        return alignment.graph(np.concatenate(places), np.maximum(np.concatenate(values), 0))

    def _cosine_distances(
        self, units: Float32[np.ndarray, "items dim"], rows: Int64[np.ndarray, " rows"]
    ) -> Float32[np.ndarray, "rows choices"]:
        if self.choices is None:
            return np.asarray(1 - units[rows] @ units.T, dtype=np.float32)
        return np.asarray(1 - np.einsum("rd,rcd->rc", units[rows], units[self.choices[rows]]), dtype=np.float32)


def sound_frames(store: Store, items: Sequence[int] | None = None) -> list[Frames]:
    """Return the log-mel frames of each recording, or of some; see `mfcl.embeddings.alignment.frames`."""
    most = round(LONGEST_SECONDS * store.sample_rate)
    total = np.minimum(store.lengths, most).sum() / store.sample_rate / alignment.HOP_SECONDS
    hop = alignment.HOP_SECONDS * max(1, int(np.ceil(total / FRAMES_HELD)))

    def made(item: int) -> Float32[np.ndarray, "frames dim"]:
        return alignment.frames(store.piece(item, 0, min(most, int(store.lengths[item]))), store.sample_rate,
                                hop_seconds=hop)  # fmt: skip

    return list(shared_out(made, range(len(store)) if items is None else items))


def pictures(store: Store) -> Float32[np.ndarray, "items _"]:
    """Return the log-mel picture of each recording; see `mfcl.evaluation.baselines.log_mel_picture`."""
    places = np.arange(len(store))
    return rows_shared_out(lambda rows: log_mel_picture(store.select(places[rows]), store.sample_rate), len(store))


def compare(store: Store, *, seed: int) -> Compared:
    """Compare recordings by alignment of their log-mels; the processes of a training share the work.

    Args:
        store: The recordings; two or more.
        seed: Seed of the draw of recordings that judge the distances.
    """
    frames = sound_frames(store)
    near, typical = judged(frames, seed=seed)
    if len(frames) <= ALL_PAIRS:
        return Compared(None, alignment.distances(frames, mapped=shared_out), near, typical)
    picture = pictures(store)
    vectors = unit_rows(fit_whitening(picture)(picture), np.float32)
    choices, _ = top_k(vectors, vectors, CANDIDATES, mapped=shared_out)
    ranks, values = alignment.nearest(frames, frames, CANDIDATES, candidates=choices, mapped=shared_out)
    return Compared(ranks, values, near, typical)


def tells(near: float, typical: float) -> bool:
    """Return whether recordings so near are clearly nearer than others; see `judged`."""
    return near <= APART * typical


def judged(frames: Sequence[Frames], *, seed: int) -> tuple[float, float]:
    """Return the median distance to the farthest of the nearest one in 40, and that of two recordings.

    They are equal for fewer than 40 recordings, of which nothing can be said.
    """
    return _judged([frames[item] for item in _drawn(len(frames), seed)])


def can_align(store: Store, *, seed: int) -> bool:
    """Return what `compare(store, seed=seed).tells` is, by the frames of those recordings alone that judge it."""
    return tells(*_judged(sound_frames(store, _drawn(len(store), seed))))


def _drawn(count: int, seed: int) -> list[int]:
    drawn: list[int] = generator(seed, "likeness").permutation(count)[:JUDGED].tolist()
    return drawn


def _judged(frames: Sequence[Frames]) -> tuple[float, float]:
    rank = len(frames) // NEAR_SHARE
    if not rank:
        return 1.0, 1.0
    table = alignment.distances(list(frames), mapped=shared_out)
    others = table[~np.eye(len(frames), dtype=np.bool_)].reshape(len(frames), -1)
    farthest = np.partition(others, rank - 1, axis=1)[:, rank - 1]
    return float(np.median(farthest)), max(float(np.median(others)), 1e-9)
