"""Alignment as a baseline, nothing trained: clips by how near they are to landmarks, and their nearest by DTW."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float32, Int64

from mfcl.core.parallel import in_parallel
from mfcl.data.store.interfaces import IndexedClips
from mfcl.embeddings import alignment
from mfcl.embeddings.nearest import top_k
from mfcl.errors import MeasureError
from mfcl.evaluation.baselines import ClipReader, ClipSource, each
from mfcl.evaluation.long_clips import LongClip
from mfcl.evaluation.neighbourhood import Neighbourhood, known_and_tested

LANDMARKS, PIECES = 128, 128
"""Clips that are landmarks, and pieces of clips."""
POOL = 2
"""Training clips drawn per landmark, to choose from; all of them are compared with one another."""
CLIPS_AT_ONCE = 1024
"""Clips whose alignment frames are held at once."""
ALIGNED_SECONDS = 30.0
"""Longest beginning of a clip that is aligned: the time grows with its square."""
CANDIDATES = 60
"""Clips that each clip is aligned with to find its nearest: those nearest by their landmark vectors."""

Frames = Float32[np.ndarray, "_ _"]


@dataclass(frozen=True)
class Landmarks:
    """Landmarks, chosen without labels, that describe any clip by how near it is to each of them.

    Attributes:
        marks: Frames of the clips that are landmarks.
        pieces: Frames of pieces of clips, which are found anywhere in a clip.
        sample_rate: In Hz.
        workers: Threads; None: one per core.
    """

    marks: Sequence[Frames]
    pieces: Sequence[Frames]
    sample_rate: int
    workers: int | None = None

    def __call__(self, clips: ClipSource) -> Float32[np.ndarray, "items _"]:
        """Return how near each clip is to each landmark by DTW; see `mfcl.embeddings.alignment.nearness`.

        A clip's vector depends on that clip and the landmarks alone. Only its first `ALIGNED_SECONDS` are aligned.

        Raises:
            MeasureError: there is no clip, or one is empty.
        """
        held = _held(clips)
        if not len(held):
            raise MeasureError("baselines: wanted at least one clip, but there is none; give recordings")
        parts = np.array_split(np.arange(len(held)), -(-len(held) // CLIPS_AT_ONCE))
        return np.concatenate([self._near(_frames(held, some, self.sample_rate, self.workers)) for some in parts])

    def _near(self, clips: list[Frames]) -> Float32[np.ndarray, "items _"]:
        found = [alignment.nearness(alignment.distances(clips, self.marks, workers=self.workers))]
        if self.pieces:
            found.append(alignment.nearness(alignment.spotted(clips, self.pieces, workers=self.workers)))
        return np.concatenate(found, axis=1)


def fit_landmarks(
    clips: ClipSource,
    sample_rate: int,
    *,
    known: Bool[np.ndarray, " _"],
    seed: int,
    count: int = LANDMARKS,
    pieces: int = PIECES,
    workers: int | None = None,
) -> Landmarks:
    """Choose landmarks among the training clips, without labels: those that cover a random draw of them best.

    Args:
        clips: Mono clips.
        sample_rate: In Hz.
        known: True for training clips; landmarks come from these alone.
        seed: Seed of the draw.
        count: Clips that are landmarks; all training clips if there are fewer.
        pieces: Pieces of clips that are landmarks, too; fewer if clips hold no more.
        workers: Threads; default: one per core.

    Raises:
        MeasureError: there is no training clip, `known` has the wrong shape, or a clip is empty.
    """
    held = _held(clips)
    if known.shape != (len(held),):
        raise MeasureError(f"landmarks: wanted `known` with one entry a clip ({len(held)}), got {known.shape}")
    places = np.flatnonzero(known)
    if not len(places):
        raise MeasureError("landmarks: wanted at least one training clip, but `known` marks none; mark some")
    drawn = places[alignment.landmark_pool(len(places), count, seed=seed, pool=POOL)]
    pooled = _frames(held, drawn, sample_rate, workers)
    chosen = alignment.covering_landmarks(alignment.distances(pooled, workers=workers), count)
    found = alignment.choose_pieces(pooled, pieces, seed=seed, workers=workers)
    return Landmarks([pooled[place] for place in chosen], found, sample_rate, workers)


def aligned_neighbourhood(
    clips: ClipReader,
    sample_rate: int,
    vectors: Float32[np.ndarray, "items _"],
    splits: Sequence[str] | np.ndarray,
    *,
    workers: int | None = None,
) -> Neighbourhood:
    """Return each clip's nearest training and validation clips by DTW distance, found among candidates.

    Args:
        clips: Mono clips.
        sample_rate: In Hz.
        vectors: A vector of each clip, such as its similarities to landmarks; `CANDIDATES` clips nearest by it are
            aligned.
        splits: Split of each clip.
        workers: Threads; default: one per core.

    Raises:
        MeasureError: there are fewer than two training and validation clips, or no test clip.
    """
    known, tested = known_and_tested(np.asarray(splits))
    gallery = _frames(clips, known, sample_rate, workers)
    centred = vectors - vectors[known].mean(axis=0)

    def nearest(queries: Int64[np.ndarray, " _"], k: int) -> tuple[np.ndarray, np.ndarray]:
        candidates, _ = top_k(centred[queries], centred[known], min(CANDIDATES, len(known)))
        asked = gallery if queries is known else _frames(clips, queries, sample_rate, workers)
        return alignment.nearest(asked, gallery, min(k, len(known)), candidates=candidates, workers=workers)

    return Neighbourhood.found_by(nearest, known, tested)


def _held(clips: ClipSource) -> ClipReader | list[Float32[np.ndarray, " _"] | LongClip]:
    return clips if isinstance(clips, ClipReader) else list(each(clips))


def _frames(
    held: ClipReader | Sequence[Float32[np.ndarray, " _"] | LongClip],
    some: Int64[np.ndarray, " some"],
    sample_rate: int,
    workers: int | None,
) -> list[Frames]:
    """Return the alignment frames of some clips."""
    most = round(ALIGNED_SECONDS * sample_rate)

    def described(place: int) -> Frames:
        if isinstance(held, IndexedClips):
            return alignment.frames(held.piece(place, 0, min(most, int(held.lengths[place]))), sample_rate)
        clip = held.clip(place) if isinstance(held, ClipReader) else held[place]
        return alignment.frames(clip.read(0, most) if isinstance(clip, LongClip) else clip[:most], sample_rate)

    return list(in_parallel(described, some.tolist(), workers=workers, what="Aligning", shown=False))
