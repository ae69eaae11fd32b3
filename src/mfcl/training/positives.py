"""Nearest recordings as extra positives, found without labels and updated during training."""

import numpy as np
import torch
from jaxtyping import Bool, Int64
from scipy import sparse
from torch import Tensor, nn

from mfcl.core.distributed import shared_out
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
    _members: Int64[Tensor, " members"]

    def __init__(self, recordings: int, *, positives: int, ambiguous: int, seed: int) -> None:
        super().__init__()
        self.seed = seed
        self.members = np.sort(generator(seed, "neighbourhood").permutation(recordings)[:MOST])
        self.positives = min(positives, len(self.members) // SAME_SHARE)
        kept = min(ambiguous, len(self.members) // AMBIGUOUS_SHARE)
        own = torch.arange(len(self.members))[:, None]
        self.register_buffer("near", own.repeat(1, kept))  # before `renew`, each is its own neighbour
        self.register_buffer("_members", torch.from_numpy(self.members), persistent=False)
        self._read: tuple[int, Int64[np.ndarray, "members kept"]] | None = None

    @property
    def found(self) -> bool:
        """Whether neighbours were found: those of a model that is not trained, or of scenes, never are."""
        return bool((self.near[:, 0].cpu() != torch.arange(len(self.members))).any())

    def renew(self, graph: sparse.csr_matrix) -> None:
        """Find the nearest neighbours of all members again, from a graph of them; see `alike`.

        The processes of a training share the work; each calls this with the same graph, and gets the same.
        """
        self.near.copy_(torch.from_numpy(alike(graph, self.near.shape[1], mapped=shared_out)))

    def partners(self, recordings: Int64[np.ndarray, " items"], epoch: int) -> Int64[np.ndarray, " items"]:
        """Draw one positive for each recording; the recording itself if it has none."""
        if not self.positives:
            return recordings
        place, known = self._places(recordings)
        draw = uniforms(self.seed, "partner", epoch, recordings, 1)[:, 0]
        choice = np.minimum((draw * self.positives).astype(np.int64), self.positives - 1)
        drawn = self.members[self._near_here()[place, choice]]
        return np.where(known, drawn, recordings)

    def relations(self, recordings: Int64[Tensor, " items"], *, own: Int64[Tensor, " rows"] | None = None) -> Related:
        """Return the positive pairs among recordings, and the pairs never used as negatives; duplicates are allowed.

        All of it is done where `recordings` and this module are, without waiting for a GPU.

        Args:
            recordings: The recordings of a batch.
            own: Return only the rows of the recordings at these places; default: of all.
        """
        rows = recordings if own is None else recordings[own]
        itself = rows[:, None] == recordings
        related = []
        for depth in (self.positives, self.near.shape[1]):
            there, back = self._listed(rows, recordings, depth), self._listed(recordings, rows, depth)
            related.append(there | back.T | itself)
        return Related(*related)

    def _listed(
        self, recordings: Int64[Tensor, " rows"], others: Int64[Tensor, " columns"], depth: int
    ) -> Bool[Tensor, "rows columns"]:
        """Return which of the others are among the `depth` nearest neighbours of each recording."""
        (row, row_known), (column, column_known) = self._found(recordings), self._found(others)
        # each member's column, one of them if it is there twice; the last is for members that are not there
        last = len(others)
        columns = torch.full((len(self._members) + 1,), last, device=row.device)
        places = torch.where(column_known, column, len(self._members))
        columns.scatter_(0, places, torch.arange(last, device=row.device))
        columns[-1:].fill_(last)
        listed = torch.zeros((len(row), last + 1), dtype=torch.bool, device=row.device)
        listed.scatter_(1, columns[self.near[row, :depth]], True)
        return listed[:, columns[column]] & row_known[:, None] & column_known

    def _found(self, recordings: Int64[Tensor, " items"]) -> tuple[Int64[Tensor, " items"], Bool[Tensor, " items"]]:
        """Return what `_places` does, on a device."""
        place = torch.searchsorted(self._members, recordings).clamp(max=len(self._members) - 1)
        return place, self._members[place] == recordings

    def _near_here(self) -> Int64[np.ndarray, "members kept"]:
        """Return `near` on the processor; from a GPU it is read once after each change."""
        if self.near.device.type == "cpu":
            return self.near.numpy()
        if self._read is None or self._read[0] != self.near._version:
            self._read = (self.near._version, self.near.cpu().numpy())
        return self._read[1]

    def _places(
        self, recordings: Int64[np.ndarray, " items"]
    ) -> tuple[Int64[np.ndarray, " items"], np.ndarray[tuple[int], np.dtype[np.bool_]]]:
        """Return the positions of recordings in `members`, and whether they are members at all."""
        place = np.minimum(np.searchsorted(self.members, recordings), len(self.members) - 1)
        return place, self.members[place] == recordings
