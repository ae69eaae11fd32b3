"""An encoder of log-mels made for keyword spotting: BC-ResNet, as a supervised control from the literature."""

import math

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from mfcl.models.encoders.base import Frames, Grid, Lengths, MelEncoder, NewGrid, initialise
from mfcl.models.encoders.norm import NormName, make_norm

STAGES = ((8, 2, 1, 1), (12, 2, 2, 2), (16, 4, 2, 4), (20, 4, 1, 8))
"""Channels, blocks, stride over bands and dilation over frames of each stage, at width 1."""
STEM, TOP = 16, 32
"""Channels of the first and of the last convolution at width 1."""
SUB_BANDS = 5
"""Pieces of the frequency axis that a norm treats apart."""
LAST_BANDS = 5
"""Bands that the last depthwise convolution spans; fewer are padded with zeros."""


class BcResNet(MelEncoder):
    """A residual net whose blocks add a one-dimensional function of time to all bands of a two-dimensional grid.

    Width 1 to 8 are the paper's BC-ResNet-1 to -8; with 12 classes and the paper's 40 bands they have 9.2, 54 (width 3)
    and 321 (width 8) thousand weights. A frame of 32 x width values for every frame of the spectrogram. It differs from
    the paper in two things: there is no dropout, since a resumed run must repeat every step, and if more than 5 bands
    are left at the end (with more than 40 at the start), the frames are their mean.

    Attributes:
        features: Values in a frame.

    Source: Kim et al., "Broadcasted residual learning for efficient keyword spotting", arXiv:2106.04140, table 1.
    """

    def __init__(self, bands: int, *, width: float = 1.0, norm: NormName = "batch") -> None:
        super().__init__()
        wide = _scaled(STEM, width)
        bands = math.ceil(bands / 2)
        self.conv0 = nn.Conv2d(1, wide, 5, (2, 1), padding=2, bias=False)
        self.norm0 = make_norm(norm, wide)
        self.blocks = nn.ModuleList()
        for base, blocks, stride, dilation in STAGES:
            for place in range(blocks):
                channels = _scaled(base, width)
                bands = math.ceil(bands / stride) if place == 0 else bands
                first = (wide, stride) if place == 0 else None
                self.blocks.append(BroadcastBlock(channels, bands, dilation, norm, first=first))
                wide = channels
        self.conv1 = nn.Conv2d(wide, wide, 5, padding=(0, 2), groups=wide, bias=False)
        self.features = _scaled(TOP, width)
        self.conv2 = nn.Conv2d(wide, self.features, 1, bias=False)
        self.norm2 = make_norm(norm, self.features)
        initialise(self)

    def forward(self, mel: Float[Tensor, "batch bands frames"], lengths: Lengths = None) -> Frames:
        """Return the frames of each spectrogram.

        Args:
            mel: Normalised log-mels, zeros after each clip's end.
            lengths: Frames of each clip; None if there is no padding.
        """
        grid = self.norm0(self.conv0(mel[:, None]), lengths).relu_()
        for block in self.blocks:
            grid = block(grid, lengths)
        missing = LAST_BANDS - grid.shape[2]
        if missing > 0:
            grid = functional.pad(grid, (0, 0, 0, missing))
        grid = self.norm2(self.conv2(self.conv1(grid)), lengths).relu_()
        return Frames(grid.mean(dim=2).transpose(1, 2), lengths)


class BroadcastBlock(nn.Module):
    """A depthwise convolution over bands, then one over frames of the mean over bands, added to all bands.

    x + f(x) + g(mean of f(x) over bands); the first block of a stage changes the channels and has no shortcut:

        bands   | | |      f: 3 bands x 1 frame         g: 1 band x 3 frames
        frames  - - - -    norm by sub-band             norm, swish, 1 x 1 convolution

    Args:
        channels: Channels of the output.
        bands: Bands of the output.
        dilation: Of the convolution over frames.
        norm: The norm.
        first: Channels of the input and stride over bands; None: a block that keeps both and adds its input.
    """

    def __init__(
        self, channels: int, bands: int, dilation: int, norm: NormName, *, first: tuple[int, int] | None
    ) -> None:
        super().__init__()
        self.shortcut = first is None
        wide, stride = first or (channels, 1)
        self.change = nn.ModuleList()
        if first is not None:
            self.change.extend([nn.Conv2d(wide, channels, 1, bias=False), make_norm(norm, channels)])
        self.over_bands = nn.Conv2d(channels, channels, (3, 1), (stride, 1), (1, 0), groups=channels, bias=False)
        self.by_band = SubSpectralNorm(channels, bands, norm)
        self.over_frames = nn.Conv2d(
            channels, channels, (1, 3), padding=(0, dilation), dilation=(1, dilation), groups=channels, bias=False
        )
        self.norm = make_norm(norm, channels)
        self.mixing = nn.Conv2d(channels, channels, 1, bias=False)

    def forward(self, grid: Grid, lengths: Lengths) -> NewGrid:
        """Return as many frames as come in."""
        given = grid
        if len(self.change):
            conv, norm = self.change
            grid = norm(conv(grid), lengths).relu_()
        grid = self.by_band(self.over_bands(grid), lengths)
        line = self.norm(self.over_frames(grid.mean(dim=2, keepdim=True)), lengths)
        line = self.mixing(functional.silu(line))  # (batch, channels, 1, frames); padding stays zero: silu(0) is 0
        whole: Tensor = grid + line + given if self.shortcut else grid + line
        return whole.relu_()


class SubSpectralNorm(nn.Module):
    """A norm whose statistics and scale are those of each channel in each of 5 pieces of the bands.

    If the bands cannot be shared equally there is one piece.

    Source: Chang et al., "Subspectral normalization for neural audio data processing", arXiv:2103.13620, section 2.
    """

    def __init__(self, channels: int, bands: int, norm: NormName) -> None:
        super().__init__()
        self.pieces = math.gcd(SUB_BANDS, bands)
        self.norm = make_norm(norm, channels * self.pieces)

    def forward(self, grid: Grid, lengths: Lengths = None) -> Grid:
        """Return the normalised grid; padding is zero."""
        batch, channels, bands, frames = grid.shape
        cut = grid.reshape(batch, channels * self.pieces, bands // self.pieces, frames)
        normalised: Tensor = self.norm(cut, lengths).reshape(batch, channels, bands, frames)
        return normalised


def _scaled(channels: int, width: float) -> int:
    return max(round(channels * width), 1)
