"""Which recordings are most alike, as the encoders themselves hear it: found without labels, and anew as they learn."""

import numpy as np
import torch
from jaxtyping import Float32, Int64
from scipy import sparse
from torch import Tensor, nn

from mfcl.core.random import generator, uniforms
from mfcl.embeddings.diffusion import alike
from mfcl.models.losses import Related

MOST = 10_000
"""Recordings that are compared; of more, as many are drawn, and the others have none alike but themselves."""
SAME_SHARE, AMBIGUOUS_SHARE = 40, 10
"""At most one recording in so many is taken for the same, or for ambiguous: of few recordings, few can be."""


class Neighbourhood(nn.Module):
    """The recordings most alike to each, most alike first; a part of a run's state.

    Of few recordings fewer are taken for the same than asked.

    Args:
        recordings: How many there are.
        positives: How many of those most alike are taken for the same.
        ambiguous: How many may be.
        seed: The run's seed.

    Attributes:
        members: The recordings that are compared, rising.
        near: The places among them of those most alike to each.
    """

    near: Int64[Tensor, "members kept"]

    def __init__(self, recordings: int, *, positives: int, ambiguous: int, seed: int) -> None:
        super().__init__()
        self.seed = seed
        self.members = np.sort(generator(seed, "neighbourhood").permutation(recordings)[:MOST])
        self.positives = min(positives, len(self.members) // SAME_SHARE)
        kept = min(ambiguous, len(self.members) // AMBIGUOUS_SHARE)
        own = torch.arange(len(self.members))[:, None]
        self.register_buffer("near", own.repeat(1, kept))  # until they are looked for, each is alone

    def renew(self, vectors: Float32[np.ndarray, "members _"]) -> None:
        """Look for the members most alike anew, by the cosines of their vectors."""
        found = torch.from_numpy(alike(vectors, self.near.shape[1]))
        self.near.copy_(found)

    def partners(self, recordings: Int64[np.ndarray, " items"], epoch: int) -> Int64[np.ndarray, " items"]:
        """Draw one of those that attract each recording; the recording itself where there is none."""
        if not self.positives:
            return recordings
        place, known = self._places(recordings)
        draw = uniforms(self.seed, "partner", epoch, recordings, 1)[:, 0]
        choice = np.minimum((draw * self.positives).astype(np.int64), self.positives - 1)
        drawn = self.members[self.near.cpu().numpy()[place, choice]]
        return np.where(known, drawn, recordings)

    def relations(self, recordings: Int64[np.ndarray, " items"]) -> Related:
        """Return which of these recordings, of which some may be there twice, belong together."""
        place, known = self._places(recordings)
        near = self.near.cpu().numpy()[place[known]]
        items, kept = near.shape
        order = np.broadcast_to(np.arange(kept, 0, -1, dtype=np.int32), near.shape)  # the most alike has the highest
        edges = np.arange(0, items * kept + 1, kept)
        listed = sparse.csr_matrix((order.ravel(), near.ravel(), edges), shape=(items, len(self.members)))
        found = np.zeros((len(recordings), len(recordings)), dtype=np.int32)
        found[np.ix_(known, known)] = listed[:, place[known]].toarray()
        found = np.maximum(found, found.T)
        itself = recordings[:, None] == recordings
        same = (found > kept - self.positives) | itself
        return Related(torch.from_numpy(same), torch.from_numpy((found > 0) | itself))

    def _places(
        self, recordings: Int64[np.ndarray, " items"]
    ) -> tuple[Int64[np.ndarray, " items"], np.ndarray[tuple[int], np.dtype[np.bool_]]]:
        """Return where recordings are among the members, and whether they are."""
        place = np.minimum(np.searchsorted(self.members, recordings), len(self.members) - 1)
        return place, self.members[place] == recordings
