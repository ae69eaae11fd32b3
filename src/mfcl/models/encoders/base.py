"""Base classes of encoders, and layers that keep padding at zero.

Inside an encoder all tensors are grids `(batch, channels, bands, frames)`; a waveform has one band. Each layer takes
and returns a grid and the number of frames of each clip. **Padding is zero between layers**, as in a convolution's own
padding, so a clip gives the same frames alone and in a padded batch. Norms set padding to zero again
(`mfcl.models.encoders.norm`); ReLU, GELU, sums and `pool` keep it zero.
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
    """The output of an encoder: a vector for each frame of each clip."""

    values: Float[Tensor, "batch frames features"]
    lengths: Int64[Tensor, " batch"] | None
    """Number of frames of each clip; padding is zero. None: no padding."""


class WaveEncoder(nn.Module, abc.ABC):
    """Base class of encoders of waveforms.

    Attributes:
        features: Values in a frame; set when it is made.
        small: Whether its operations are over too soon to be shared between cores. In training it is then computed
            beside the encoder of the other format, if that is small, too, in a thread of its own: it must draw nothing
            at random in `forward`, and share no weight and nothing that it changes with another module.
    """

    features: int
    small: bool = False

    @abc.abstractmethod
    def forward(self, wave: Float[Tensor, "batch samples"], lengths: Lengths = None) -> Frames:
        """Return the frames of each waveform, at least one.

        A clip's frames must depend on that clip alone, not on the amount of padding; a training refuses encoders of
        which this is not so.

        Args:
            wave: Waveforms, zeros after each clip's end.
            lengths: Samples of each clip; None if there is no padding.

        Returns:
            Values (batch, frames, features), zero after each clip's last frame, and the number of frames of each clip
            (None if `lengths` is None).
        """

    @property
    def aligned(self) -> int:
        """Values in a frame of `spectrum`."""
        return self.features

    @property
    def aligned_samples(self) -> int:
        """Samples from frame to frame of `spectrum`; 0 if not known: frames are then aligned as they are."""
        return 0

    def spectrum(self, wave: Float[Tensor, "batch samples"], lengths: Lengths = None) -> Frames:
        """Return what is aligned: log powers if the encoder has them, else its frames."""
        frames: Frames = self(wave, lengths)
        return frames


class MelEncoder(nn.Module, abc.ABC):
    """Base class of encoders of log-mel spectrograms.

    Attributes:
        features: Values in a frame; set when it is made.
        small: As of `WaveEncoder`.
        stride: Frames of the spectrogram from frame to frame, for export; need not be told up to 16.
    """

    features: int
    small: bool = False
    stride: int = 1

    @abc.abstractmethod
    def forward(self, mel: Float[Tensor, "batch bands frames"], lengths: Lengths = None) -> Frames:
        """Return the frames of each spectrogram; see `WaveEncoder.forward`.

        Args:
            mel: Normalised log-mels, zeros after each clip's end.
            lengths: Frames of each clip; None if there is no padding.
        """


def lengths_of(frames: Frames) -> Int64[Tensor, " batch"]:
    """Return the number of frames of each clip, also if there is no padding."""
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


def merged(frames: Frames, hop: int) -> Frames:
    """Average every `hop` frames of each clip; its last group may be smaller, and padding of any value is left out.

    Example:
        >>> merged(Frames(torch.tensor([[[1.0], [3.0], [5.0]]]), None), 2).values.flatten().tolist()
        [2.0, 5.0]
    """
    lengths = lengths_of(frames)
    batch, width, features = frames.values.shape
    steps = -(-width // hop)
    own = frames.values if frames.lengths is None else frames.values * within(lengths, width)[:, :, None]
    padded = functional.pad(own, (0, 0, 0, steps * hop - width))
    sums = padded.reshape(batch, steps, hop, features).sum(dim=2)
    counts = (lengths[:, None] - hop * torch.arange(steps, device=lengths.device)).clamp(1, hop)
    groups = -(-lengths // hop)
    return Frames(sums / counts[:, :, None], None if frames.lengths is None else groups)


def silence_(grid: Grid, lengths: Lengths) -> Grid:
    """Set the padding of a grid to zero in place (without lengths, do nothing), and return the grid.

    In place, because reading and writing grids takes most of a step's time outside matrix products.
    """
    return grid if lengths is None else grid.mul_(within(lengths, grid.shape[3]).to(grid.dtype)[:, None, None])


def at_least(grid: Grid, lengths: Lengths, frames: int) -> tuple[NewGrid, Lengths]:
    """Pad clips with zeros to at least `frames` frames; these zeros count as part of the clip."""
    missing = frames - grid.shape[3]
    if missing > 0:
        grid = functional.pad(grid, (0, missing))
    return grid, None if lengths is None else lengths.clamp(min=frames)


def whole_windows(grid: Grid, lengths: Lengths, size: int) -> tuple[NewGrid, Lengths]:
    """Pad clips with zeros to a multiple of `size` frames; these zeros count as part of the clip."""
    missing = -grid.shape[3] % size
    if missing > 0:
        grid = functional.pad(grid, (0, missing))
    return grid, None if lengths is None else -(-lengths // size) * size


def windows(lengths: Lengths, kernel: int, stride: int, padding: int = 0, dilation: int = 1) -> Lengths:
    """Return the number of output frames of a convolution or pooling for each clip.

    Example:
        >>> windows(torch.tensor([8, 9]), 3, 2, padding=1).tolist()
        [4, 5]
    """
    return None if lengths is None else (lengths + 2 * padding - dilation * (kernel - 1) - 1) // stride + 1


class Conv1d(nn.Conv1d):
    """`nn.Conv1d`, with the same weights and keys, on a grid of one band.

    It runs as a 2D convolution with channels last, which is up to twice as fast on CPUs.
    """

    def forward(self, grid: Grid) -> NewGrid:
        """Return the convolved grid; padding is not zero until a norm or `silence_` sets it to zero."""
        stride, padding, dilation = self.stride[0], int(self.padding[0]), self.dilation[0]
        return functional.conv2d(
            grid, self.weight[:, :, None], self.bias, (1, stride), (0, padding), (1, dilation), self.groups
        )

    def windows(self, lengths: Lengths) -> Lengths:
        """Return the number of output frames of each clip."""
        return windows(lengths, self.kernel_size[0], self.stride[0], int(self.padding[0]), self.dilation[0])


def pool(grid: Grid, lengths: Lengths, size: int, *, bands: int = 1) -> tuple[NewGrid, Lengths]:
    """Return the maximum of every `size` frames (and of every `bands` bands), and the new lengths.

    For grids without negative values, such as after a ReLU. A clip's last window may include padding, so no frame is
    lost and the shortest clip keeps one.
    """
    pooled = functional.max_pool2d(grid, (bands, size), ceil_mode=True)
    return pooled, None if lengths is None else -(-lengths // size)


def channels_last(grid: Grid) -> Grid:
    """Return the same grid in channels-last memory format, in which convolutions are faster."""
    return grid.contiguous(memory_format=torch.channels_last)


def initialise(module: nn.Module) -> None:
    """Draw the weights of all convolutions from a normal distribution that keeps the variance across layers.

    Source: He et al., "Delving deep into rectifiers", arXiv:1502.01852, equation 10.
    """
    for layer in module.modules():
        # an outline has no values; torch would load its compiler (80 MB) to draw them
        if isinstance(layer, nn.Conv1d | nn.Conv2d) and not layer.weight.is_meta:
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
