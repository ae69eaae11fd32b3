"""Distances between clips of different tempo by dynamic time warping (DTW), without training.

`frames` computes a clip's features and `unit_frames` makes them of an encoder's frames; `distances` and `nearest`
compare clips, `landmarks` and `affinities` turn the distances into vectors, and `graph` connects each clip to its
nearest ones.
"""

from mfcl.embeddings.alignment.affinity import (
    WIDTH,
    affinities,
    affinity_scale,
    covering_landmarks,
    landmark_pool,
    landmarks,
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
from mfcl.embeddings.alignment.search import distances, nearest
from mfcl.embeddings.alignment.ties import graph, nearest_graph

__all__ = [
    "HOP_SECONDS",
    "LEAST_DEVIATION",
    "RANGE",
    "SLOPE_WEIGHT",
    "WIDTH",
    "affinities",
    "affinity_scale",
    "aligned_range",
    "covering_landmarks",
    "distances",
    "frames",
    "graph",
    "landmark_pool",
    "landmarks",
    "nearest",
    "nearest_graph",
    "unit_frames",
]
