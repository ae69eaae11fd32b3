"""Random numbers for augmentation, as tensors on the batch's device; each depends on its recording only."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Float64, Int64
from torch import Tensor

from mfcl.core.random import uniforms
from mfcl.errors import TrainingError


@dataclass(frozen=True)
class Numbers:
    """Uniform random numbers of the recordings of a batch; see `mfcl.core.random.uniforms`."""

    seed: int
    epoch: int
    recordings: Int64[np.ndarray, " batch"]
    """The recordings' indices in the training data."""
    heard: list[str] | None = None
    """If given, the names of the streams that are asked for are added to it."""

    def uniform(self, stream: str) -> Float64[Tensor, " batch"]:
        """Return a number between 0 and 1 for each recording."""
        if self.heard is not None and stream not in self.heard:
            self.heard.append(stream)
        return torch.from_numpy(uniforms(self.seed, stream, self.epoch, self.recordings, 1)[:, 0])

    def rows(self, some: slice) -> "Numbers":
        """Return the numbers of some recordings."""
        return dataclasses.replace(self, recordings=self.recordings[some])

    def table(self, streams: Sequence[str], device: torch.device) -> "Table":
        """Return the numbers of known streams, on a device."""
        drawn = [uniforms(self.seed, stream, self.epoch, self.recordings, 1)[:, 0] for stream in streams]
        values = np.stack(drawn) if drawn else np.zeros((0, len(self.recordings)))
        return Table("\n".join(streams), torch.from_numpy(values).to(device, non_blocking=True))


@dataclass(frozen=True)
class Table:
    """Numbers that were drawn before, for known streams: no work is left for the processor."""

    streams: str
    """Names of the streams, a line each."""
    values: Float64[Tensor, "streams batch"]

    def uniform(self, stream: str) -> Float64[Tensor, " batch"]:
        """Return what `Numbers.uniform` does.

        Raises:
            TrainingError: the stream is not in the table.
        """
        names = self.streams.split("\n")
        if stream not in names:
            raise TrainingError(f"no numbers were drawn for {stream!r}; the augmentation changed after its first batch")
        return self.values[names.index(stream)]

    def rows(self, some: slice) -> "Table":
        """Return the numbers of some recordings."""
        return Table(self.streams, self.values[:, some])


@dataclass(frozen=True)
class Draws:
    """The random numbers of a batch for one purpose.

    Each name has its own random stream: turning one augmentation off does not change the others. Drawing a name twice
    gives the same numbers.
    """

    numbers: Numbers | Table
    stream: str
    """Prefix of the names of the random streams."""
    device: torch.device

    def share(self, name: str) -> Float64[Tensor, " batch"]:
        """Draw uniformly from 0 to 1; on the processor, unless the numbers were drawn before."""
        return self.numbers.uniform(f"{self.stream}: {name}")

    def even(self, name: str, low: float, high: float) -> Float[Tensor, " batch"]:
        """Draw uniformly from `low` to `high`."""
        return (low + (high - low) * self.share(name)).float().to(self.device)

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

    def keys(self, name: str) -> Int64[Tensor, " batch"]:
        """Draw a whole number for each clip, as the key of its noise (see `transforms.white_noise`)."""
        return (self.share(name) * 2.0**52).long().to(self.device)


def cells(amount: float, like: Int64[Tensor, " batch"]) -> Int64[Tensor, " batch"]:
    """Round a number of samples, frames or bands and repeat it for each clip."""
    return torch.full_like(like, round(amount))


def known(clips: Float[Tensor, "batch ..."], lengths: Int64[Tensor, " batch"] | None) -> Int64[Tensor, " batch"]:
    """Return the clips' lengths, or the full width for each if `lengths` is None."""
    return torch.full((clips.shape[0],), clips.shape[-1], device=clips.device) if lengths is None else lengths
