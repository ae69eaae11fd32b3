"""Same-word discrimination: do clips of one word have frames that align better than clips of different words?"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, Int64

from mfcl.core.random import generator
from mfcl.embeddings import alignment
from mfcl.errors import MeasureError, check_number
from mfcl.evaluation.metrics import average_precision

MOST_CLIPS = 300
"""Clips that are drawn from more: 44,850 pairs."""
Frames = Float32[np.ndarray, "_ _"]


@dataclass(frozen=True)
class SameWord:
    """How well the distances of frames tell pairs of one word from pairs of two.

    Attributes:
        every: Average precision over all pairs of clips, 0 to 1.
        across: The same over the pairs of two speakers alone; None without speakers, or where such pairs are all of one
            word or none is.
        clips: Clips that were compared.
        pairs: Pairs of clips.
        chance: Share of the pairs that are of one word: the average precision of distances that tell nothing.
        across_chance: The same of the pairs of two speakers; None where `across` is.
    """

    every: float
    across: float | None
    clips: int
    pairs: int
    chance: float
    across_chance: float | None


def same_word(
    frames: Sequence[Frames],
    words: Sequence[str] | np.ndarray,
    speakers: Sequence[str] | np.ndarray | None = None,
    *,
    most: int = MOST_CLIPS,
    seed: int = 0,
    workers: int | None = None,
) -> SameWord:
    """Rank all pairs of clips by the DTW distance of their frames and return the average precision of same-word pairs.

    Nothing is trained. Frames of several encoders are compared fairly on the same clips with the same seed.

    Args:
        frames: Frames of each clip, of unit length: `mfcl.embeddings.alignment.frames` of the sound, or `unit_frames`
            of an encoder's frames.
        words: What each clip says.
        speakers: Who says it; without them `across` is None.
        most: Clips drawn, 2 or more, if there are more of them; see `drawn_clips`.
        seed: Of the draw.
        workers: Threads; default: one per core.

    Raises:
        MeasureError: the counts differ, a word is missing, or the pairs are all of one word or none is.

    Source: Carlin, Thomas, Jansen and Hermansky, "Rapid evaluation of speech representations for spoken term
        discovery", Interspeech 2011 (the same-different task).

    Example:
        >>> rise = np.array([[1, 0], [0, 1]], dtype=np.float32)
        >>> same_word([rise, rise[::-1], rise.repeat(2, axis=0)], ["up", "down", "up"]).every
        1.0
    """
    said = _told(words, len(frames), "words")
    voices = None if speakers is None else _told(speakers, len(frames), "speakers")
    drawn = drawn_clips(len(frames), most=most, seed=seed)
    table = alignment.distances([frames[item] for item in drawn.tolist()], workers=workers)
    first, second = np.triu_indices(len(drawn), k=1)
    nearness, same = -table[first, second], said[drawn[first]] == said[drawn[second]]
    across = across_chance = None
    if voices is not None:
        apart = voices[drawn[first]] != voices[drawn[second]]
        if 0 < same[apart].sum() < apart.sum():
            across = average_precision(nearness[apart], same[apart])
            across_chance = float(same[apart].mean())
    return SameWord(average_precision(nearness, same), across, len(drawn), len(same), float(same.mean()), across_chance)


def drawn_clips(count: int, *, most: int = MOST_CLIPS, seed: int = 0) -> Int64[np.ndarray, " drawn"]:
    """Return the indices of `most` clips drawn at random, in their order; of all clips if there are no more.

    Raises:
        MeasureError: fewer than two clips, or `most` is below 2.
    """
    check_number("most", most, 2, 1_000_000, whole=True, error=MeasureError)
    if count < 2:
        raise MeasureError(f"same word: wanted two clips or more, got {count}; give more recordings")
    return np.sort(generator(seed, "same word").permutation(count)[:most]).astype(np.int64)


def _told(values: Sequence[str] | np.ndarray, count: int, what: str) -> np.ndarray:
    """Check that each clip has a value."""
    told = np.asarray(values)
    if told.shape != (count,):
        raise MeasureError(f"same word: wanted {what} for {count} clips, got shape {told.shape}; give one per clip")
    if told.dtype.kind in "UO" and (told == "").any():
        raise MeasureError(f"same word: some of {count} clips have no entry in {what}; leave them out")
    return told
