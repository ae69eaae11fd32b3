"""Pieces of clips, a sound or two long, and how well each is found anywhere in another clip."""

from collections.abc import Sequence
from itertools import groupby

import numpy as np
from jaxtyping import Float32, Int64

from mfcl.core.blas import one_blas_thread
from mfcl.core.parallel import in_parallel
from mfcl.core.random import generator
from mfcl.embeddings.alignment.affinity import POOL, covering_landmarks
from mfcl.embeddings.alignment.paths import CELLS_AT_ONCE, other_sides, query_sides, spotting_costs
from mfcl.embeddings.alignment.search import Frames, check_sizes, distances, stacked

PIECE_FRAMES = (8, 16)
"""Frames of a piece: of 20 ms each, so 160 and 320 ms."""


def choose_pieces(clips: Sequence[Frames], count: int, *, seed: int, workers: int | None = None) -> list[Frames]:
    """Choose pieces of clips, as many of each length of `PIECE_FRAMES`, that cover a random draw of pieces best.

    Pieces have no silent frame, and begin at different places. There are fewer than `count` where clips hold no more.

    Args:
        clips: Frames of each clip; see `frames`.
        count: Pieces to choose.
        seed: Seed of the draw of four candidates per piece.
        workers: Threads; default: all cores.

    Returns:
        The pieces, the shortest first.
    """
    random = generator(seed, "pieces")
    shares = [len(share) for share in np.array_split(np.arange(count), len(PIECE_FRAMES))]
    found: list[Frames] = []
    for length, share in zip(PIECE_FRAMES, shares, strict=True):
        drawn = _drawn(clips, length, POOL * share, random)
        if len(drawn) > 1:
            drawn = [drawn[place] for place in covering_landmarks(distances(drawn, workers=workers), share)]
        found += drawn
    return found


def _drawn(clips: Sequence[Frames], length: int, count: int, random: np.random.Generator) -> list[Frames]:
    """Draw pieces of one length, about as many of each clip, but more of long ones where the others hold too few."""
    starts = [_sounding(clip, length) for clip in clips]
    order = [place for place in random.permutation(len(clips)) if len(starts[place])]
    if not order or not count:
        return []
    held = np.array([len(starts[place]) for place in order])
    most = int(held.max())
    each = next((each for each in range(1, most) if np.minimum(held, each).sum() >= count), most)
    some = [(place, random.permutation(starts[place])[:each]) for place in order[:count]]
    return [clips[place][start : start + length] for place, own in some for start in own][:count]


def _sounding(clip: Frames, length: int) -> Int64[np.ndarray, " starts"]:
    """Return where a piece without a silent frame may begin.

    All values of a silent frame are zero, but the last one, which marks it, may be 1.
    """
    silent = np.cumsum(np.concatenate([[0], ~clip[:, :-1].any(axis=1)]))
    return np.flatnonzero(silent[length:] == silent[:-length]) if len(clip) >= length else np.empty(0, dtype=np.int64)


def spotted(
    clips: Sequence[Frames], pieces: Sequence[Frames], *, workers: int | None = None, cells: int = CELLS_AT_ONCE
) -> Float32[np.ndarray, "clips pieces"]:
    """Return the distance of every piece to the stretch of every clip where it is found best.

    The cost of the cheapest path that takes the whole piece and any stretch of the clip, over the frames of the piece;
    two frames cost one minus their cosine. A clip may be shorter than the piece.

    Args:
        clips: Frames of each clip, of unit length; see `frames`.
        pieces: Frames of each piece; those of one length side by side.
        workers: Threads; default: all cores.
        cells: Frame-pair costs held at once by each thread.

    Raises:
        MeasureError: there is no clip or no piece, or frames are not finite or not of one size.

    Source: Müller, "Information Retrieval for Music and Motion", 2007, section 4.4 (subsequence DTW); Zhang and Glass,
        "Unsupervised spoken keyword spotting via segmental DTW on Gaussian posteriorgrams", 2009.

    Example:
        >>> rise = np.array([[1, 0], [0, 1]], dtype=np.float32)
        >>> spotted([rise[[1, 0, 0, 1, 0]], rise[[1, 1]]], [rise]).tolist()
        [[0.0], [0.5]]
    """
    check_sizes(stacked(clips, "clips"), stacked(pieces, "pieces"))
    blocks = [
        other_sides(np.stack(list(same), axis=1).astype(np.float32, copy=False)) for _, same in groupby(pieces, len)
    ]

    def costs(clip: Frames) -> Float32[np.ndarray, " pieces"]:
        asked = query_sides(clip.astype(np.float32, copy=False))
        return np.concatenate([spotting_costs(asked, block, cells=cells) / len(block) for block in blocks])

    with one_blas_thread():  # `in_parallel` already uses all cores
        found = list(in_parallel(costs, clips, workers=workers, what="Aligning", shown=False))
    return np.asarray(np.maximum(np.stack(found), 0), dtype=np.float32)
