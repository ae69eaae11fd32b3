"""Encoders of waveforms: residual nets over time."""

import math
from typing import ClassVar

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from mfcl.models.encoders.base import (
    Conv1d,
    Frames,
    Grid,
    Lengths,
    NewGrid,
    WaveEncoder,
    at_least,
    channels_last,
    initialise,
    silence_,
    whole_windows,
    windows,
)
from mfcl.models.encoders.norm import NormName, make_norm
from mfcl.models.encoders.recomputing import recomputed


class Block(nn.Module):
    """Max-pooling over `size` frames, then two convolutions, the second dilated, with a shortcut.

    Source: Kong et al., "PANNs", arXiv:1912.10211, section III-C; without dropout, and with weights of 1, not 0, in
        the last norm, so that an untrained block is more than its shortcut.
    """

    def __init__(self, channels_in: int, channels: int, size: int, norm: NormName) -> None:
        super().__init__()
        self.size = size
        self.conv1 = Conv1d(channels_in, channels, 3, padding=1, bias=False)
        self.bn1 = make_norm(norm, channels)
        self.conv2 = Conv1d(channels, channels, 3, padding=2, dilation=2, bias=False)
        self.bn2 = make_norm(norm, channels)
        self.downsample: nn.ModuleList | None = None
        if size > 1 or channels_in != channels:
            pool = [nn.AvgPool2d((1, size))] if size > 1 else []
            self.downsample = nn.ModuleList(
                [*pool, Conv1d(channels_in, channels, 1, bias=False), make_norm(norm, channels)]
            )

    def forward(self, grid: Grid, lengths: Lengths) -> tuple[NewGrid, Lengths]:
        """Return the block's output; an incomplete last pooling window is left out."""
        inner, inner_lengths = grid, lengths
        if self.size > 1:
            inner_lengths = windows(lengths, self.size, self.size)
            inner = silence_(recomputed(self._highest, grid), inner_lengths)
        inner = self.bn1(self.conv1(inner), inner_lengths).relu_()
        inner = self.bn2(self.conv2(inner), inner_lengths)
        shortcut = grid
        if self.downsample is not None:
            *layers, norm = self.downsample
            for layer in layers:
                shortcut = layer(shortcut)
            shortcut = norm(shortcut, inner_lengths)
        return (inner + shortcut).relu_(), inner_lengths

    def _highest(self, grid: Grid) -> NewGrid:
        """Return the maximum of every `size` frames; its indices take more memory than the grid."""
        return functional.max_pool2d(grid, (1, self.size))


class Res1dNet(WaveEncoder):
    """A residual net over time after PANNs' Res1dNet31, with most parameters in the late layers of few frames.

    At width 1 and 16 kHz: 10 million parameters, a frame of 512 values every 32 ms.

    Attributes:
        features: Values in a frame.
    """

    STEM: ClassVar[tuple[int, int, int]] = (64, 64, 4)
    """Channels, kernel and stride (samples) of the first convolution."""
    STAGES: ClassVar[tuple[tuple[int, int, int], ...]] = ((64, 1, 4), (128, 2, 4), (256, 2, 2), (512, 6, 4))
    """Channels, blocks and pooling (frames) of each stage."""
    WHOLE: ClassVar[bool] = True
    """Whether a clip is zero-padded to a whole number of frames; if not, an incomplete last frame is left out."""

    def __init__(self, *, width: float = 1.0, norm: NormName = "batch") -> None:
        super().__init__()
        channels, kernel, stride = self.STEM
        channels = scaled(channels, width)
        self.conv0 = Conv1d(1, channels, kernel, stride, padding=(kernel - 1) // 2, bias=False)
        self.bn0 = make_norm(norm, channels)
        self.resnet = nn.ModuleDict()
        for number, (wide, blocks, size) in enumerate(self.STAGES, start=1):
            stage = nn.ModuleList()
            for index in range(blocks):
                stage.append(Block(channels, scaled(wide, width), size if index == 0 else 1, norm))
                channels = scaled(wide, width)
            self.resnet[f"layer{number}"] = stage
        self.features = channels
        self.samples = stride * math.prod(size for _, _, size in self.STAGES)
        initialise(self)

    def forward(self, wave: Float[Tensor, "batch samples"], lengths: Lengths = None) -> Frames:
        """Return the frames of each waveform.

        Args:
            wave: Waveforms, zeros after each clip's end.
            lengths: Samples of each clip; None if there is no padding.
        """
        grid, lengths = (whole_windows if self.WHOLE else at_least)(wave[:, None, None], lengths, self.samples)
        grid = channels_last(self.conv0(grid))
        lengths = self.conv0.windows(lengths)
        grid = self.bn0(grid, lengths)
        for stage in self.resnet.children():
            for block in stage.children():
                grid, lengths = block(grid, lengths)
        return Frames(grid[:, :, 0].transpose(1, 2), lengths)


class Res1dNet31(Res1dNet):
    """PANNs' Res1dNet31, with the same keys, up to its frames (2,048 values every 0.64 s at its 32 kHz).

    Its published checkpoint loads with `mfcl.models.published.load_panns`. `Pooling("panns", 2048)` does the rest of
    its 2,048-value embedding. A clip shorter than one frame is zero-padded.

    Source: Kong et al., arXiv:1912.10211, section III-C; qiuqiangkong/audioset_tagging_cnn for names and numbers.
    """

    STEM = (64, 11, 5)
    STAGES = ((64, 2, 1), (128, 2, 4), (256, 2, 4), (512, 2, 4), (1024, 2, 4), (1024, 2, 4), (2048, 2, 4))
    WHOLE = False


class Reference1d(WaveEncoder):
    """The reference study's 1D encoder: 4.7 million parameters, a frame of 512 values every 40 samples.

    Three residual blocks of two convolutions with GELU, each followed by max-pooling over two frames.

    Attributes:
        features: Values in a frame.
    """

    def __init__(self, *, width: float = 1.0, norm: NormName = "group") -> None:
        super().__init__()
        self.features = channels = scaled(512, width)
        self.conv0 = Conv1d(1, channels, 11, 5, padding=5)
        self.norm0 = make_norm(norm, channels)
        self.blocks = nn.ModuleList(ReferenceBlock(channels, norm) for _ in range(3))
        initialise(self)

    def forward(self, wave: Float[Tensor, "batch samples"], lengths: Lengths = None) -> Frames:
        """Return the frames of each waveform; see `Res1dNet.forward`."""
        grid, lengths = at_least(wave[:, None, None], lengths, 5 * 2 ** len(self.blocks))
        grid = channels_last(self.conv0(grid))
        lengths = self.conv0.windows(lengths)
        grid = functional.gelu(self.norm0(grid, lengths))
        for block in self.blocks:
            grid = block(grid, lengths)
            lengths = windows(lengths, 2, 2)
            grid = silence_(functional.max_pool2d(grid, (1, 2)), lengths)
        return Frames(grid[:, :, 0].transpose(1, 2), lengths)


class ReferenceBlock(nn.Module):
    """Two convolutions of kernel 3, the second of dilation 2, each with a norm, and the input added."""

    def __init__(self, channels: int, norm: NormName) -> None:
        super().__init__()
        self.conv1 = Conv1d(channels, channels, 3, padding=1)
        self.norm1 = make_norm(norm, channels)
        self.conv2 = Conv1d(channels, channels, 3, padding=2, dilation=2)
        self.norm2 = make_norm(norm, channels)

    def forward(self, grid: Grid, lengths: Lengths) -> Grid:
        """Return as many frames as come in."""
        inner = functional.gelu(self.norm1(self.conv1(grid), lengths))
        return functional.gelu(grid + self.norm2(self.conv2(inner), lengths))


def scaled(channels: int, width: float) -> int:
    """Scale a number of channels by `width` and round it to a multiple of 8."""
    return max(round(channels * width / 8), 1) * 8
