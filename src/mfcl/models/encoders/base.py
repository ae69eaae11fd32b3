"""What all encoders share: frames, and layers that keep padding at zero.

Inside an encoder sound is a grid, `(batch, channels, bands, frames)`; a waveform has one band. Each layer takes a grid
and the frames of each clip and returns both. **Padding is zero between layers**: a convolution then sees beyond a
clip's end in a batch what it sees there when the clip is alone, and so a clip alone equals itself in a padded batch.
Norms put the zeros back (`mfcl.models.encoders.norm`); ReLU, GELU, sums and `pool` keep them.
"""

import abc
from typing import NamedTuple

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn
from torch.nn import functional

Grid = Float[Tensor, "batch channels bands frames"]
NewGrid = Float[Tensor, "batch new_channels new_bands new_frames"]
"""A grid of another size than the one that came in."""
Lengths = Int64[Tensor, " batch"] | None


class Frames(NamedTuple):
    """What an encoder says about each moment of a clip."""

    values: Float[Tensor, "batch frames features"]
    lengths: Int64[Tensor, " batch"] | None
    """Frames of each clip; zeros follow. None: no padding."""


class WaveEncoder(nn.Module, abc.ABC):
    """What an encoder of waveforms is.

    Attributes:
        features: Values in a frame; set when it is made.
    """

    features: int

    @abc.abstractmethod
    def forward(self, wave: Float[Tensor, "batch samples"], lengths: Lengths = None) -> Frames:
        """Return the frames of each waveform, at least one.

        A clip's frames must depend on that clip alone, not on what it is padded with.

        Args:
            wave: Waveforms, zeros after each clip's end.
            lengths: Samples of each clip; None if there is no padding.

        Returns:
            Values (batch, frames, features), zero after each clip's last frame, and the frames of each clip; None in
            place of these if `lengths` is None.
        """


class MelEncoder(nn.Module, abc.ABC):
    """What an encoder of log-mel spectrograms is.

    Attributes:
        features: Values in a frame; set when it is made.
    """

    features: int

    @abc.abstractmethod
    def forward(self, mel: Float[Tensor, "batch bands frames"], lengths: Lengths = None) -> Frames:
        """Return the frames of each spectrogram; see `WaveEncoder.forward`.

        Args:
            mel: Normalised log-mels, zeros after each clip's end.
            lengths: Frames of each clip; None if there is no padding.
        """


def lengths_of(frames: Frames) -> Int64[Tensor, " batch"]:
    """Return the frames of each clip, also where all fill the width."""
    if frames.lengths is not None:
        return frames.lengths
    return torch.full(frames.values.shape[:1], frames.values.shape[1], device=frames.values.device)


def within(lengths: Int64[Tensor, " batch"], frames: int) -> Float[Tensor, "batch frames"]:
    """Return 1 for a clip's own frames and 0 for padding.

    Example:
        >>> within(torch.tensor([1, 3]), 3).tolist()
        [[1.0, 0.0, 0.0], [1.0, 1.0, 1.0]]
    """
    return (torch.arange(frames, device=lengths.device) < lengths[:, None]).float()


def silence_(grid: Grid, lengths: Lengths) -> Grid:
    """Return the grid itself, padding set to zero in its place; without lengths, as it is.

    Most of a step's time that is not products goes into reading and writing grids: this writes to no new memory.
    """
    return grid if lengths is None else grid.mul_(within(lengths, grid.shape[3]).to(grid.dtype)[:, None, None])


def at_least(grid: Grid, lengths: Lengths, frames: int) -> tuple[NewGrid, Lengths]:
    """Return clips of at least so many frames: shorter ones go on as zeros, which count as sound from then on."""
    missing = frames - grid.shape[3]
    if missing > 0:
        grid = functional.pad(grid, (0, missing))
    return grid, None if lengths is None else lengths.clamp(min=frames)


def whole_windows(grid: Grid, lengths: Lengths, size: int) -> tuple[NewGrid, Lengths]:
    """Return clips of a whole number of windows of `size` frames: the last one is filled with zeros, which count."""
    missing = -grid.shape[3] % size
    if missing > 0:
        grid = functional.pad(grid, (0, missing))
    return grid, None if lengths is None else -(-lengths // size) * size


def windows(lengths: Lengths, kernel: int, stride: int, padding: int = 0, dilation: int = 1) -> Lengths:
    """Return how many places a sliding window has in each clip.

    Example:
        >>> windows(torch.tensor([8, 9]), 3, 2, padding=1).tolist()
        [4, 5]
    """
    return None if lengths is None else (lengths + 2 * padding - dilation * (kernel - 1) - 1) // stride + 1


class Conv1d(nn.Conv1d):
    """Torch's convolution over time, weights and keys included, on a grid of one band.

    The grid is calculated as a picture one pixel high with the channels last, which processors do up to twice as fast.
    """

    def forward(self, grid: Grid) -> NewGrid:
        """Return the convolved grid; its padding is not zero until a norm or `silence_` makes it so."""
        stride, padding, dilation = self.stride[0], int(self.padding[0]), self.dilation[0]
        return functional.conv2d(
            grid, self.weight[:, :, None], self.bias, (1, stride), (0, padding), (1, dilation), self.groups
        )

    def windows(self, lengths: Lengths) -> Lengths:
        """Return how many frames of each clip come out."""
        return windows(lengths, self.kernel_size[0], self.stride[0], int(self.padding[0]), self.dilation[0])


def pool(grid: Grid, lengths: Lengths, size: int, *, bands: int = 1) -> tuple[NewGrid, Lengths]:
    """Return the maximum of every `size` frames (and of every `bands` bands) and the lengths that are left.

    For grids without negative values, such as after a ReLU: the last window of a clip may reach into the zeros after
    it, so that no frame is lost and something is left of the shortest clip.
    """
    pooled = functional.max_pool2d(grid, (bands, size), ceil_mode=True)
    return pooled, None if lengths is None else -(-lengths // size)


def channels_last(grid: Grid) -> Grid:
    """Return the same grid, laid out in memory for the convolutions."""
    return grid.contiguous(memory_format=torch.channels_last)


def initialise(module: nn.Module) -> None:
    """Draw the weights of all convolutions from a normal distribution that keeps the level from layer to layer.

    Source: He et al., "Delving deep into rectifiers", arXiv:1502.01852, equation 10.
    """
    for layer in module.modules():
        if isinstance(layer, nn.Conv1d | nn.Conv2d):
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
