"""A small encoder of single frames, which learns to make frames of one sound alike: what alignment compares."""

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn
from torch.nn import functional

from mfcl.models.encoders.base import within

WIDTH = 128
KERNELS = (5, 5, 3)
"""Frames that each layer hears: 11 in all, of 20 ms each."""
SHORTEST = 1e-6
"""Length below which a frame of the spectrum counts as silent; what is learned of it is zero, too."""


class FrameEncoder(nn.Module):
    """Frames of a spectrum and their neighbours in time to learned frames, one for each.

    Three convolutions over time with GELU, the second and the third with a shortcut, and a linear layer. What lies
    after a clip's end is zero before each of them, so that a clip alone gives what it gives in a batch.

    Args:
        size: Values of a frame.
        out: Values of a learned one.
    """

    def __init__(self, size: int, out: int) -> None:
        super().__init__()
        first, *others = KERNELS
        self.first = nn.Conv1d(size, WIDTH, first, padding=first // 2)
        self.others = nn.ModuleList(nn.Conv1d(WIDTH, WIDTH, kernel, padding=kernel // 2) for kernel in others)
        self.last = nn.Conv1d(WIDTH, out, 1)

    def forward(
        self, frames: Float[Tensor, "batch width size"], lengths: Int64[Tensor, " batch"]
    ) -> Float[Tensor, "batch width out"]:
        """Return the learned frames, of unit length; zero after each clip's end and where a frame is zero."""
        own = within(lengths, frames.shape[1])[:, None]
        values = functional.gelu(self.first(frames.transpose(1, 2))) * own
        for layer in self.others:
            values = functional.gelu(layer(values) + values) * own
        heard = (frames.square().sum(dim=2, keepdim=True) > SHORTEST).to(frames.dtype)
        learned: Tensor = functional.normalize(self.last(values).transpose(1, 2), dim=2) * heard
        return learned

    def start(self, seed: int) -> None:
        """Draw the weights anew; torch's global generator is unchanged."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            for layer in (self.first, *self.others, self.last):
                layer.reset_parameters()
