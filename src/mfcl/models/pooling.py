"""Pool frames to one embedding for each clip; padding never counts.

Words depend on the order of sounds, so a pooling for content should keep it. A speaker's voice does not.
"""

from collections.abc import Callable
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

from mfcl.errors import RecipeError, one_of
from mfcl.models.encoders.base import Frames, lengths_of, within
from mfcl.models.encoders.recomputing import recomputed

Embedding = Float[Tensor, "batch dim"]
Side = Literal["first", "second"]
"""Half of a clip."""
LEAST_VARIANCE = 0.01
"""Added to a feature's variance over a clip before `course` standardises it, so that one that hardly moves stays so."""


def _mean(frames: Frames) -> Embedding:
    if frames.lengths is None:
        return frames.values.mean(dim=1)
    return frames.values.sum(dim=1) / frames.lengths[:, None]  # padding is zero


def _highest(frames: Frames) -> Embedding:
    if frames.lengths is None:
        return frames.values.amax(dim=1)
    padding = within(frames.lengths, frames.values.shape[1])[:, :, None] == 0
    return frames.values.masked_fill(padding, -torch.inf).amax(dim=1)


def _mean_max(frames: Frames) -> Embedding:
    return torch.cat([_mean(frames), _highest(frames)], dim=1)


def _thirds_max(frames: Frames) -> Embedding:
    thirds = segment_weights(frames, 3) @ frames.values  # (batch, 3, features)
    return torch.cat([thirds.flatten(1), _highest(frames)], dim=1)


def _course(frames: Frames) -> Embedding:
    count = lengths_of(frames)[:, None, None]
    values = _own(frames, frames.values - frames.values.sum(dim=1, keepdim=True) / count)
    values = values / ((values.square().sum(dim=1, keepdim=True) / count) + LEAST_VARIANCE).sqrt()
    fifths = segment_weights(frames, 5) @ values  # (batch, 5, features)
    return torch.cat([fifths.flatten(1), _highest(frames)], dim=1)


def _statistics(frames: Frames) -> Embedding:
    mean = _mean(frames)
    squares = _mean(Frames(_own(frames, (frames.values - mean[:, None]).square()), frames.lengths))
    return torch.cat([mean, (squares + 1e-6).sqrt()], dim=1)  # the root has no finite gradient at 0


def _max_plus_mean(frames: Frames) -> Embedding:
    return _highest(frames) + _mean(frames)


POOLINGS: dict[str, tuple[Callable[[Frames], Embedding], int]] = {
    "mean": (_mean, 1),
    "mean_max": (_mean_max, 2),
    "thirds_max": (_thirds_max, 4),
    "course": (_course, 6),
    "statistics": (_statistics, 2),
    "panns": (_max_plus_mean, 1),
}
"""Name -> function, and the number of values for each feature."""


class Pooling(nn.Module):
    """One embedding for each clip, by name.

    - `mean` over time; `mean_max`: mean and maximum; `statistics`: mean and standard deviation. They ignore order.
    - `thirds_max`: the mean of each third of the clip, and the maximum. It keeps a coarse order.
    - `course`: the mean of each fifth of the clip, after each feature is standardised over the clip, and the maximum.
    - `panns`: maximum plus mean, then a learned layer and ReLU, as in PANNs' 2,048-value embedding.

    Attributes:
        dim: Values in an embedding.

    Raises:
        RecipeError: there is no such pooling.

    Source: Kong et al., arXiv:1912.10211, section III (maximum plus mean); Snyder et al., "X-vectors", ICASSP 2018
        (mean and standard deviation).

    Example:
        >>> Pooling("thirds_max", 640).dim
        2560
    """

    def __init__(self, name: str, features: int) -> None:
        super().__init__()
        if name not in POOLINGS:
            raise RecipeError(one_of("pooling", name, POOLINGS))
        self.name = name
        self.dim = features * POOLINGS[name][1]
        if name == "panns":
            self.fc1 = nn.Linear(features, features)

    def forward(self, frames: Frames, side: Side | None = None) -> Embedding:
        """Return the embeddings, in float32 even if the frames are bf16.

        Args:
            frames: Frames of each clip, of which alone memory is kept for the backward pass.
            side: Pool this half of each clip; None: all of it.
        """
        pool = POOLINGS[self.name][0]

        def pooled_values(values: Tensor) -> Tensor:
            given = Frames(values.float(), frames.lengths)
            return pool(given if side is None else half(given, side))

        with torch.autocast(frames.values.device.type, enabled=False):
            pooled = recomputed(pooled_values, frames.values)
            return self.fc1(pooled).relu() if self.name == "panns" else pooled


def segment_weights(frames: Frames, segments: int) -> Float[Tensor, "batch segments frames"]:
    """Return the weight of each frame in the mean of each equal segment of its clip; a segment's weights sum to 1.

    A frame across a border counts in both segments in proportion, so that even a clip of one frame has them all:

        frame    |  0  |  1  |  2  |  3  |
        third    |   0   |   1   |   2   |     frame 1 counts 1/3 in third 0 and 2/3 in third 1
    """
    width, device, lengths = frames.values.shape[1], frames.values.device, lengths_of(frames)
    size = lengths[:, None, None] / segments  # in frames
    start = size * torch.arange(segments, device=device)[:, None]  # (batch, segments, 1)
    end = torch.minimum(start + size, lengths[:, None, None])  # the last one may round to beyond the clip
    frame = torch.arange(width, device=device)  # frame j lasts from j to j + 1
    overlap = torch.minimum(end, frame + 1) - torch.maximum(start, frame)
    return overlap.clamp(min=0) / size


def halves(frames: Frames) -> tuple[Frames, Frames]:
    """Split the frames of each clip into a first and a second half; see `half`."""
    return half(frames, "first"), half(frames, "second")


def half(frames: Frames, side: Side) -> Frames:
    """Return the first or the second half of the frames of each clip; a single frame is both.

    clip     | a  b  c  d  e | .  .     first  | a  b | .  .  .  .  .
                                        second | c  d  e | .  .  .  .
    """
    width, lengths = frames.values.shape[1], lengths_of(frames)
    before = (lengths // 2).clamp(min=1)
    if side == "first":
        return Frames(frames.values * within(before, width)[:, :, None], before)
    after = (lengths - before).clamp(min=1)
    moved = torch.arange(width, device=before.device) + (lengths - after)[:, None]  # (batch, width)
    late = frames.values.gather(1, moved.clamp(max=width - 1)[:, :, None].expand_as(frames.values))
    return Frames(late * within(after, width)[:, :, None], after)


def _own(frames: Frames, values: Float[Tensor, "batch frames features"]) -> Float[Tensor, "batch frames features"]:
    return values if frames.lengths is None else values * within(frames.lengths, values.shape[1])[:, :, None]
