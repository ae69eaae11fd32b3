"""Distances between clips of different tempo by dynamic time warping (DTW), without training.

`frames` computes a clip's features and `unit_frames` makes them of an encoder's frames; `distances` and `nearest`
compare clips, `spotted` finds pieces of clips in others, `landmarks`, `choose_pieces` and `nearness` turn the distances
into vectors, and `graph` connects each clip to its nearest ones; `matched` tells which frames of two clips say the
same.
"""

from mfcl.embeddings.alignment.affinity import (
    FALL,
    LEAST_SPREAD,
    NEAREST,
    covering_landmarks,
    landmark_pool,
    landmarks,
    nearness,
)
from mfcl.embeddings.alignment.features import (
    HOP_SECONDS,
    LEAST_DEVIATION,
    RANGE,
    SLOPE_WEIGHT,
    aligned_range,
    frames,
    unit_frames,
)
from mfcl.embeddings.alignment.matching import matched
from mfcl.embeddings.alignment.pieces import PIECE_FRAMES, choose_pieces, spotted
from mfcl.embeddings.alignment.search import distances, nearest
from mfcl.embeddings.alignment.ties import graph, nearest_graph

__all__ = [
    "FALL",
    "HOP_SECONDS",
    "LEAST_DEVIATION",
    "LEAST_SPREAD",
    "NEAREST",
    "PIECE_FRAMES",
    "RANGE",
    "SLOPE_WEIGHT",
    "aligned_range",
    "choose_pieces",
    "covering_landmarks",
    "distances",
    "frames",
    "graph",
    "landmark_pool",
    "landmarks",
    "matched",
    "nearest",
    "nearest_graph",
    "nearness",
    "spotted",
    "unit_frames",
]
