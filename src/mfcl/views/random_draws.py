"""Random numbers for a batch of clips, as tensors on the batch's device; each a pure function of its recording."""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Float64, Int64
from torch import Tensor

from mfcl.core.random import uniforms


@dataclass(frozen=True)
class Draws:
    """The random numbers of a batch.

    Each name has draws of its own, so switching one effect off moves no other; asked twice, a name answers the same.
    """

    seed: int
    stream: str
    """What all the draws are for."""
    epoch: int
    recordings: Int64[np.ndarray, " batch"]
    """The recordings' indices in the training data."""
    device: torch.device

    def share(self, name: str) -> Float64[np.ndarray, " batch"]:
        """Draw evenly between 0 and 1."""
        return uniforms(self.seed, f"{self.stream}: {name}", self.epoch, self.recordings, 1)[:, 0]

    def even(self, name: str, low: float, high: float) -> Float[Tensor, " batch"]:
        """Draw evenly between two values."""
        drawn = low + (high - low) * self.share(name)
        return torch.from_numpy(drawn.astype(np.float32)).to(self.device)

    def whole(self, name: str, highest: Int64[Tensor, " batch"]) -> Int64[Tensor, " batch"]:
        """Draw a whole number from 0 to each clip's `highest`."""
        return torch.minimum((self.even(name, 0.0, 1.0) * (highest + 1)).long(), highest)

    def piece(
        self, name: str, longest: float, lengths: Int64[Tensor, " batch"]
    ) -> tuple[Int64[Tensor, " batch"], Int64[Tensor, " batch"]]:
        """Draw the start and the count of a piece of each clip, up to `longest` cells and half of the clip."""
        counts = self.whole(name, torch.minimum(lengths // 2, cells(longest, lengths)))
        return self.whole(f"{name}, place", lengths - counts), counts

    def chosen(self, name: str, probability: float) -> Int64[Tensor, " some"]:
        """Return the rows of the clips that are chosen, each with the same probability."""
        return torch.from_numpy(np.flatnonzero(self.share(name) < probability)).to(self.device)

    def keys(self, name: str) -> Int64[Tensor, " batch"]:
        """Draw a whole number for each clip from which more can be made."""
        return torch.from_numpy((self.share(name) * 2.0**52).astype(np.int64)).to(self.device)


def cells(amount: float, like: Int64[Tensor, " batch"]) -> Int64[Tensor, " batch"]:
    """Return a number of samples, frames or bands, rounded, for each clip."""
    return torch.full_like(like, round(amount))


def known(clips: Float[Tensor, "batch ..."], lengths: Int64[Tensor, " batch"] | None) -> Int64[Tensor, " batch"]:
    """Return the lengths of clips; where they are None, the width that all of them fill."""
    return torch.full((clips.shape[0],), clips.shape[-1], device=clips.device) if lengths is None else lengths
