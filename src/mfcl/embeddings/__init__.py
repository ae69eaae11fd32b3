"""Embeddings with ids and labels, and operations on them: whitening, search, graphs, 2D maps. Without torch."""

from mfcl.embeddings.parts import Part
from mfcl.embeddings.table import Embeddings, load_embeddings

__all__ = ["Embeddings", "Part", "load_embeddings"]
