"""Training recordings kept in the memory of a GPU, so that crops need not be sent to it step by step."""

import math

import numpy as np
import torch
from jaxtyping import Float32, Int64
from torch import Tensor

from mfcl.data.store import Store
from mfcl.views.batches import ClipStore

SHARE = 0.5
"""Most of a GPU's free memory that samples may take."""
WIDTHS = 4
"""Different widths of batches: each is a quarter of the longest recording, two quarters, and so on."""
WIDEST_SECONDS = 5.0
"""Longest recording whose quarters are taken: of a longer one crops of a few seconds are heard, and the rest of a wider
row would be padding that the encoders go through."""


def resident(store: Store, device: torch.device) -> ClipStore:
    """Return a copy of a store on a GPU with room for it, or on any other device the store itself."""
    if device.type != "cuda":
        return store
    free, _ = torch.cuda.mem_get_info(device)
    needed = int(store.lengths.sum()) * store.samples.itemsize
    return Resident(store, device) if needed <= SHARE * free else store


class Resident:
    """The samples of a store on a device, as they are stored (16 or 32 bits); see `mfcl.views.batches.ClipStore`.

    Crops are as wide as a multiple of a quarter of the longest recording, or of `WIDEST_SECONDS` if that is less, so
    that batches come in few widths.
    """

    def __init__(self, store: Store, device: torch.device) -> None:
        self.sample_rate, self.lengths, self.device = store.sample_rate, store.lengths, device
        longest = min(int(store.lengths.max(initial=1)), round(WIDEST_SECONDS * store.sample_rate))
        self.width = max(math.ceil(longest / WIDTHS), 1)
        self.starts = np.cumsum(store.lengths) - store.lengths  # a store may be a selection of a larger one
        kind = torch.float32 if store.samples.dtype == np.float32 else torch.int16
        self.samples = torch.empty(int(store.lengths.sum()), dtype=kind, device=device)
        spans = zip(self.starts.tolist(), store.offsets.tolist(), store.lengths.tolist(), strict=True)
        for start, first, length in spans:
            self.samples[start : start + length] = torch.from_numpy(store.samples[first : first + length].copy())
        self.scales = torch.from_numpy(np.ascontiguousarray(store.scales)).to(device)

    def gather(
        self,
        indices: Int64[np.ndarray, " batch"],
        starts: Int64[np.ndarray, " batch"],
        counts: Int64[np.ndarray, " batch"],
    ) -> Float32[Tensor, "batch samples"]:
        """Return `counts` samples from `starts` on of each recording, and zeros after them.

        Raises:
            IndexError: a segment reaches beyond its recording.
        """
        if np.any((starts < 0) | (counts < 0) | (starts + counts > self.lengths[indices])):
            raise IndexError("a segment reaches beyond its recording")
        width = max(math.ceil(int(counts.max(initial=0)) / self.width), 1) * self.width
        wanted = np.stack([self.starts[indices] + starts, counts, indices])
        first, count, item = torch.from_numpy(wanted).to(self.device, non_blocking=True)
        place = torch.arange(width, device=self.device)
        inside = place < count[:, None]
        rows = self.samples[torch.where(inside, first[:, None] + place, 0)] * inside
        scaled: Tensor = rows * self.scales[item][:, None]
        return scaled
