"""An encoder of waveforms with a learned filterbank, initialised with Gabor filters spaced as mel bands."""

import math

import numpy as np
import torch
from jaxtyping import Float, Float64
from torch import Tensor, nn
from torch.nn import functional

from mfcl.audio.mel import mel_edges
from mfcl.embeddings.alignment import aligned_range
from mfcl.models.encoders.base import (
    Frames,
    Lengths,
    NewGrid,
    WaveEncoder,
    channels_last,
    initialise,
    whole_windows,
)
from mfcl.models.encoders.norm import GroupNorm, NormName, make_norm
from mfcl.models.encoders.recomputing import recomputed
from mfcl.models.encoders.wave import Block, scaled

FILTERS = 80
KERNEL = 400
"""Samples: 25 ms at 16 kHz."""
HOP = 80
"""Samples between frames."""
RATE = 16000.0
"""Mel needs hertz; at any sample rate the filters are those of 16 kHz, in samples."""
STAGES = ((128, 2), (192, 2), (384, 2))
"""Channels and pooling (frames) of each block."""
LOWEST, HIGHEST = 1 / 320, 0.4875
"""Frequency range as shares of the sample rate: 50 Hz and 7.8 kHz at 16 kHz."""
FLOOR = 1e-5
"""Added to a filter's power before the logarithm: -50 dB, for sound of root mean square 1."""


class Filterbank1d(WaveEncoder):
    """A residual net on the log power of learned filters, each initialised as a cosine and a sine of one frequency.

    In a net on samples most multiply-adds are in the first layers. Here one matrix product gives 200 frames a second
    (at 16 kHz), and all other layers work on these. At width 1: 1.1 million parameters, a frame of 384 values every
    40 ms.

    Attributes:
        features: Values in a frame.

    Source: Zeghidour et al., "LEAF: a learnable frontend for audio classification", arXiv:2101.08596, section 3.1
        (Gabor filters spaced as mel bands, squared modulus; here every sample of a kernel is a weight).
    """

    small = True
    first_filters: Float[Tensor, "doubled_filters kernel"]

    def __init__(self, *, width: float = 1.0, norm: NormName = "batch") -> None:
        super().__init__()
        self.filters = nn.Parameter(gabor_filters(FILTERS, KERNEL))
        self.register_buffer("first_filters", self.filters.detach().clone(), persistent=False)
        self.norm = make_norm(norm, FILTERS)
        self.blocks = nn.ModuleList()
        channels = FILTERS
        for wide, size in STAGES:
            self.blocks.append(Block(channels, scaled(wide, width), size, norm))
            channels = scaled(wide, width)
        self.features = channels
        self.samples = HOP * math.prod(size for _, size in STAGES)
        initialise(self)

    def forward(self, wave: Float[Tensor, "batch samples"], lengths: Lengths = None) -> Frames:
        """Return the frames of each waveform.

        Args:
            wave: Waveforms, zeros after each clip's end.
            lengths: Samples of each clip; None if there is no padding.
        """
        sound, lengths = whole_windows(wave[:, None, None], lengths, self.samples)
        # a norm over each clip takes out a constant anyway, and of quiet sound it would be left with rounding
        above = isinstance(self.norm, GroupNorm)
        grid, lengths = self.log_power(sound[:, 0, 0], lengths, self.filters, above=above)
        grid = self.norm(grid, lengths)
        for block in self.blocks:
            grid, lengths = block(grid, lengths)
        return Frames(grid[:, :, 0].transpose(1, 2), lengths)

    @property
    def aligned(self) -> int:
        """Values in a frame of `spectrum`."""
        return len(range(FILTERS)[ALIGNED])

    @property
    def aligned_samples(self) -> int:
        """Samples from frame to frame of `spectrum`."""
        return HOP

    def spectrum(self, wave: Float[Tensor, "batch samples"], lengths: Lengths = None) -> Frames:
        """Return the log powers of the filters as they were before training, a frame for every `HOP` samples.

        Trained filters tell words apart by what follows them, and compare worse frame by frame.
        """
        sound, lengths = whole_windows(wave[:, None, None], lengths, self.samples)
        grid, lengths = self.log_power(sound[:, 0, 0], lengths, self.first_filters)
        return Frames(grid[:, ALIGNED, 0].transpose(1, 2), lengths)

    def log_power(
        self,
        wave: Float[Tensor, "batch samples"],
        lengths: Lengths,
        filters: Float[Tensor, "doubled_filters kernel"],
        *,
        above: bool = False,
    ) -> tuple[NewGrid, Lengths]:
        """Return the log power of each filter's output, a frame for every `HOP` samples, centred on them.

        Args:
            wave: Waveforms, zeros after each clip's end.
            lengths: Samples of each clip, whole frames; None if there is no padding.
            filters: The filters: cosines, then sines.
            above: Count from the log of `FLOOR`, so that silence is 0, and quiet sound exact.
        """
        before = (KERNEL - HOP) // 2
        padded = functional.pad(wave, (before, KERNEL - HOP - before))
        pieces = padded.unfold(1, KERNEL, HOP)  # (batch, frames, KERNEL)
        power = recomputed(_log_above if above else _log_power, recomputed(torch.matmul, pieces, filters.T))
        return channels_last(power.transpose(1, 2)[:, :, None]), None if lengths is None else lengths // HOP


def _log_power(answers: Float[Tensor, "batch frames doubled_filters"]) -> Float[Tensor, "batch frames filters"]:
    cosines, sines = answers.float().chunk(2, dim=-1)
    return torch.log(cosines.square() + sines.square() + FLOOR)


def _log_above(answers: Float[Tensor, "batch frames doubled_filters"]) -> Float[Tensor, "batch frames filters"]:
    cosines, sines = answers.float().chunk(2, dim=-1)
    return torch.log1p((cosines.square() + sines.square()) / FLOOR)


def filter_edges(filters: int) -> Float64[np.ndarray, " {filters}+2"]:
    """Return the edges of the filters' bands in Hz at 16 kHz."""
    return mel_edges(LOWEST * RATE, HIGHEST * RATE, filters, "htk")


ALIGNED = slice(*(int(place) for place in np.searchsorted(filter_edges(FILTERS)[1:-1], aligned_range(int(RATE)))))
"""The filters that are aligned: those in `aligned_range`."""


def gabor_filters(filters: int, kernel: int) -> Float[Tensor, "{2*filters} {kernel}"]:
    """Return the cosines, then the sines, of Gabor filters: centres evenly spaced in mel, bandwidths of mel bands.

    A filter's power at its centre frequency is a quarter of the squared amplitude. They are made on the processor, even
    in an outline of a model: on the meta device torch would load its compiler for them (80 MB).
    """
    with torch.device("cpu"):
        return _gabor_filters(filters, kernel)


def _gabor_filters(filters: int, kernel: int) -> Float[Tensor, "{2*filters} {kernel}"]:
    edges = torch.tensor(filter_edges(filters)) / RATE  # cycles a sample
    centres, widths = edges[1:-1, None], (edges[2:] - edges[:-2])[:, None] / 2
    time = torch.arange(kernel, dtype=torch.float64) - (kernel - 1) / 2
    deviation = (math.sqrt(2 * math.log(2)) / (math.pi * widths)).clamp(max=kernel / 5)
    bell = torch.exp(-0.5 * (time / deviation).square())
    bell = bell / bell.sum(dim=1, keepdim=True)
    turns = 2 * math.pi * centres * time
    return torch.cat([bell * torch.cos(turns), bell * torch.sin(turns)]).float()
