"""Random numbers for augmentation, as tensors on the batch's device; each depends on its recording only."""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Float64, Int64
from torch import Tensor

from mfcl.core.random import uniforms


@dataclass(frozen=True)
class Draws:
    """The random numbers of a batch.

    Each name has its own random stream: turning one augmentation off does not change the others. Drawing a name twice
    gives the same numbers.
    """

    seed: int
    stream: str
    """Prefix of the names of the random streams."""
    epoch: int
    recordings: Int64[np.ndarray, " batch"]
    """The recordings' indices in the training data."""
    device: torch.device

    def share(self, name: str) -> Float64[np.ndarray, " batch"]:
        """Draw uniformly from 0 to 1."""
        return uniforms(self.seed, f"{self.stream}: {name}", self.epoch, self.recordings, 1)[:, 0]

    def even(self, name: str, low: float, high: float) -> Float[Tensor, " batch"]:
        """Draw uniformly from `low` to `high`."""
        drawn = low + (high - low) * self.share(name)
        return torch.from_numpy(drawn.astype(np.float32)).to(self.device)

    def whole(self, name: str, highest: Int64[Tensor, " batch"]) -> Int64[Tensor, " batch"]:
        """Draw a uniform whole number from 0 to each clip's `highest`."""
        return torch.minimum((self.even(name, 0.0, 1.0) * (highest + 1)).long(), highest)

    def piece(
        self, name: str, longest: float, lengths: Int64[Tensor, " batch"]
    ) -> tuple[Int64[Tensor, " batch"], Int64[Tensor, " batch"]]:
        """Draw a piece of each clip, at most `longest` and half of the clip; return starts and lengths.

        `longest` and `lengths` are in samples, frames or bands.
        """
        counts = self.whole(name, torch.minimum(lengths // 2, cells(longest, lengths)))
        return self.whole(f"{name}, place", lengths - counts), counts

    def chosen(self, name: str, probability: float) -> Int64[Tensor, " some"]:
        """Choose each clip with `probability` and return the rows of the chosen ones."""
        return torch.from_numpy(np.flatnonzero(self.share(name) < probability)).to(self.device)

    def keys(self, name: str) -> Int64[Tensor, " batch"]:
        """Draw a whole number for each clip, as the key of its noise (see `transforms.white_noise`)."""
        return torch.from_numpy((self.share(name) * 2.0**52).astype(np.int64)).to(self.device)


def cells(amount: float, like: Int64[Tensor, " batch"]) -> Int64[Tensor, " batch"]:
    """Round a number of samples, frames or bands and repeat it for each clip."""
    return torch.full_like(like, round(amount))


def known(clips: Float[Tensor, "batch ..."], lengths: Int64[Tensor, " batch"] | None) -> Int64[Tensor, " batch"]:
    """Return the clips' lengths, or the full width for each if `lengths` is None."""
    return torch.full((clips.shape[0],), clips.shape[-1], device=clips.device) if lengths is None else lengths
