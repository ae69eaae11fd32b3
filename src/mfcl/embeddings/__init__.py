"""Embeddings with ids and labels, and operations on them: whitening, search, graphs, 2D maps. Without torch."""

from mfcl.embeddings.blocks import load_embeddings
from mfcl.embeddings.parts import Part
from mfcl.embeddings.table import Embeddings

__all__ = ["Embeddings", "Part", "load_embeddings"]
