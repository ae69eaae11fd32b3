"""Embeddings with their ids and labels, and what is done to them: whitening, search, graphs, maps. No torch."""

from mfcl.embeddings.parts import Part
from mfcl.embeddings.table import Embeddings, load_embeddings

__all__ = ["Embeddings", "Part", "load_embeddings"]
