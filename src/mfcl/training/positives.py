"""Nearest recordings as extra positives, found without labels and updated during training."""

import numpy as np
import torch
from jaxtyping import Int64
from scipy import sparse
from torch import Tensor, nn

from mfcl.core.random import generator, uniforms
from mfcl.embeddings.diffusion import alike
from mfcl.models.losses import Related

MOST = 10_000
"""Most recordings compared; of a larger set a random subset, and the others keep only their own crops."""
SAME_SHARE, AMBIGUOUS_SHARE = 40, 10
"""At most one recording in 40 is a positive and one in 10 ambiguous: a small set has few true positives."""


class Neighbourhood(nn.Module):
    """The nearest neighbours of each recording; saved with the state of a run.

    Args:
        recordings: Number of training recordings.
        positives: Nearest neighbours used as positives; fewer in a small set (`SAME_SHARE`).
        ambiguous: Nearest neighbours never used as negatives; fewer in a small set (`AMBIGUOUS_SHARE`).
        seed: The run's seed.

    Attributes:
        members: Indices of the recordings compared, ascending.
        near: For each member its nearest neighbours, nearest first, as positions in `members`.
    """

    near: Int64[Tensor, "members kept"]

    def __init__(self, recordings: int, *, positives: int, ambiguous: int, seed: int) -> None:
        super().__init__()
        self.seed = seed
        self.members = np.sort(generator(seed, "neighbourhood").permutation(recordings)[:MOST])
        self.positives = min(positives, len(self.members) // SAME_SHARE)
        kept = min(ambiguous, len(self.members) // AMBIGUOUS_SHARE)
        own = torch.arange(len(self.members))[:, None]
        self.register_buffer("near", own.repeat(1, kept))  # before `renew`, each is its own neighbour

    def renew(self, graph: sparse.csr_matrix) -> None:
        """Find the nearest neighbours of all members again, from a graph of them; see `alike`."""
        self.near.copy_(torch.from_numpy(alike(graph, self.near.shape[1])))

    def partners(self, recordings: Int64[np.ndarray, " items"], epoch: int) -> Int64[np.ndarray, " items"]:
        """Draw one positive for each recording; the recording itself if it has none."""
        if not self.positives:
            return recordings
        place, known = self._places(recordings)
        draw = uniforms(self.seed, "partner", epoch, recordings, 1)[:, 0]
        choice = np.minimum((draw * self.positives).astype(np.int64), self.positives - 1)
        drawn = self.members[self.near.cpu().numpy()[place, choice]]
        return np.where(known, drawn, recordings)

    def relations(
        self, recordings: Int64[np.ndarray, " items"], *, own: Int64[np.ndarray, " rows"] | None = None
    ) -> Related:
        """Return the positive pairs among recordings, and the pairs never used as negatives; duplicates are allowed.

        Args:
            recordings: The recordings of a batch.
            own: Return only the rows of the recordings at these places; default: of all.
        """
        rows = recordings if own is None else recordings[own]
        there, back = self._listed(rows, recordings), self._listed(recordings, rows)
        found = np.maximum(there.toarray(), back.T.toarray())
        itself = rows[:, None] == recordings
        same = (found > self.near.shape[1] - self.positives) | itself
        return Related(torch.from_numpy(same), torch.from_numpy((found > 0) | itself))

    def _listed(
        self, recordings: Int64[np.ndarray, " rows"], others: Int64[np.ndarray, " columns"]
    ) -> sparse.csr_matrix:
        """Return a matrix (recordings, others) of who is in whose list: the nearest has the highest value."""
        place, known = self._places(recordings)
        other, other_known = self._places(others)
        nobody, no_place = len(self.members), len(self.members) + 1  # columns beyond those of the members
        near = np.where(known[:, None], self.near.cpu().numpy()[place], nobody)
        rows, kept = near.shape
        order = np.broadcast_to(np.arange(kept, 0, -1, dtype=np.int32), near.shape)
        edges = np.arange(0, rows * kept + 1, kept) if kept else np.zeros(rows + 1, dtype=np.int64)
        listed = sparse.csr_matrix((order.ravel(), near.ravel(), edges), shape=(rows, no_place + 1))
        return listed[:, np.where(other_known, other, no_place)]

    def _places(
        self, recordings: Int64[np.ndarray, " items"]
    ) -> tuple[Int64[np.ndarray, " items"], np.ndarray[tuple[int], np.dtype[np.bool_]]]:
        """Return the positions of recordings in `members`, and whether they are members at all."""
        place = np.minimum(np.searchsorted(self.members, recordings), len(self.members) - 1)
        return place, self.members[place] == recordings
