"""Encoders of log-mel spectrograms: a ResNet18, and a small CNN that keeps the frequency axis."""

import math

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from mfcl.models.encoders.base import (
    Frames,
    Grid,
    Lengths,
    MelEncoder,
    NewGrid,
    channels_last,
    initialise,
    pool,
    silence_,
    windows,
)
from mfcl.models.encoders.norm import NormName, make_norm, normed


class MelCnn(MelEncoder):
    """Three small convolutions; each band of each channel stays a feature of its own.

    A frame of 32 x bands / 4 values for every 4 frames of the spectrogram. Pooling over all frequencies would lose what
    distinguishes words and speakers. The first convolution has stride 2: at full resolution it took most of the time,
    and the untrained encoder's embeddings were no better.

    Attributes:
        features: Values in a frame: 640 for 80 bands.

    Source: Niizumi et al., "BYOL for Audio", arXiv:2204.07402, section IV-B (frequency x channel kept).
    """

    small = True

    def __init__(self, bands: int, *, width: float = 1.0, norm: NormName = "batch") -> None:
        super().__init__()
        channels = max(round(32 * width / 8), 1) * 8
        self.conv0 = nn.Conv2d(1, channels, 3, 2, padding=1, bias=False)
        self.norm0 = make_norm(norm, channels)
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.norm1 = make_norm(norm, channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.norm2 = make_norm(norm, channels)
        self.features = channels * math.ceil(math.ceil(bands / 2) / 2)
        initialise(self)

    def forward(self, mel: Float[Tensor, "batch bands frames"], lengths: Lengths = None) -> Frames:
        """Return the frames of each spectrogram.

        Args:
            mel: Normalised log-mels, zeros after each clip's end.
            lengths: Frames of each clip; None if there is no padding.
        """
        lengths = windows(lengths, 3, 2, padding=1)
        grid = normed(
            self.norm0, mel[:, None], lengths, lambda normalised: self.conv1(normalised.relu_()),
            made_by=lambda given: channels_last(self.conv0(given)),
        )  # fmt: skip
        grid = normed(self.norm1, grid, lengths, lambda normalised: pool(normalised.relu_(), None, 2, bands=2)[0])
        lengths = None if lengths is None else -(-lengths // 2)
        grid = (grid + self.norm2(self.conv2(grid), lengths)).relu_()
        return Frames(grid.permute(0, 3, 1, 2).flatten(2), lengths)  # (batch, frames, channels x bands)


class BasicBlock(nn.Module):
    """Two convolutions with a shortcut, with torchvision's keys.

    Source: He et al., "Deep residual learning", arXiv:1512.03385, section 3.3.
    """

    def __init__(self, channels_in: int, channels: int, stride: int, norm: NormName) -> None:
        super().__init__()
        self.stride = stride
        self.conv1 = nn.Conv2d(channels_in, channels, 3, stride, padding=1, bias=False)
        self.bn1 = make_norm(norm, channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.bn2 = make_norm(norm, channels)
        self.downsample: nn.ModuleList | None = None
        if stride > 1 or channels_in != channels:
            shortcut = nn.Conv2d(channels_in, channels, 1, stride, bias=False)
            self.downsample = nn.ModuleList([shortcut, make_norm(norm, channels)])

    def forward(self, grid: Grid, lengths: Lengths) -> tuple[NewGrid, Lengths]:
        """Return the block's output and the number of frames of each clip."""
        shortcut, lengths = grid, windows(lengths, 3, self.stride, padding=1)
        grid = self.bn1(self.conv1(grid), lengths).relu_()
        grid = self.bn2(self.conv2(grid), lengths)
        if self.downsample is not None:
            conv, norm = self.downsample
            shortcut = norm(conv(shortcut), lengths)
        return (grid + shortcut).relu_(), lengths


class ResNet18(MelEncoder):
    """ResNet18 with one input channel: 11.2 million parameters, torchvision's keys without `fc`.

    A frame of 512 values, the mean over frequency, for every 32 frames of the spectrogram.

    Attributes:
        features: Values in a frame.

    Source: He et al., "Deep residual learning", arXiv:1512.03385, table 1.
    """

    stride = 32

    def __init__(self, *, width: float = 1.0, norm: NormName = "batch") -> None:
        super().__init__()
        channels = [max(round(wide * width / 8), 1) * 8 for wide in (64, 64, 128, 256, 512)]
        self.conv1 = nn.Conv2d(1, channels[0], 7, 2, padding=3, bias=False)
        self.bn1 = make_norm(norm, channels[0])
        for number in range(1, 5):
            wide_in, wide = channels[number - 1 : number + 1]
            first = BasicBlock(wide_in, wide, 1 if number == 1 else 2, norm)
            self.add_module(f"layer{number}", nn.ModuleList([first, BasicBlock(wide, wide, 1, norm)]))
        self.features = channels[-1]
        initialise(self)

    def forward(self, mel: Float[Tensor, "batch bands frames"], lengths: Lengths = None) -> Frames:
        """Return the frames of each spectrogram; see `MelCnn.forward`."""
        grid = channels_last(mel[:, None])
        lengths = windows(lengths, 7, 2, padding=3)
        grid = self.bn1(self.conv1(grid), lengths).relu_()
        lengths = windows(lengths, 3, 2, padding=1)
        # after a ReLU nothing is negative, so zero padding does not change the maximum
        grid = functional.max_pool2d(grid, 3, 2, padding=1)
        grid = silence_(grid, lengths)
        for number in range(1, 5):
            for block in self.get_submodule(f"layer{number}").children():
                grid, lengths = block(grid, lengths)
        return Frames(grid.mean(dim=2).transpose(1, 2), lengths)
