"""Normalisation layers that leave padding out of their statistics and set it to zero."""

import math
from collections.abc import Callable
from typing import Any, Literal

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional

from mfcl.core.distributed import all_reduce_sum, processes
from mfcl.models.encoders.base import Grid, Lengths, NewGrid, silence_, within
from mfcl.models.encoders.recomputing import recomputed

NormName = Literal["batch", "group", "instance"]
GROUPS = 32
"""Most groups of a GroupNorm, as in the reference study."""
LEAST_CHANNELS = 8
"""Least channels in a group: with one, a short clip's variance is that of one or two values, close to zero."""
MOMENTUM = 0.1
"""Weight of a batch in the running statistics, torch's default."""


def make_norm(name: NormName, channels: int) -> "BatchNorm | GroupNorm":
    """Return a norm over the batch, over groups of a clip's channels, or over each channel of a clip."""
    if name == "batch":
        return BatchNorm(channels)
    return (
        InstanceNorm(channels)
        if name == "instance"
        else GroupNorm(math.gcd(GROUPS, max(channels // LEAST_CHANNELS, 1), channels), channels)
    )


def normed(
    norm: "BatchNorm | GroupNorm",
    given: Grid,
    lengths: Lengths,
    then: Callable[[Tensor], Tensor],
    *,
    made_by: Callable[[Tensor], Tensor] | None = None,
) -> NewGrid:
    """Return `then(norm(grid, lengths))`; for the backward pass the normalised grid is not kept, but made again.

    Args:
        norm: The norm.
        given: The grid to normalise, the output of a convolution; its padding is set to zero in place.
        lengths: Frames of each clip.
        then: Applied to the normalised grid, which it may change in place.
        made_by: A quick convolution that makes the grid from `given`, to be done again, too; None: it is `given`.
    """
    if isinstance(norm, BatchNorm) and norm.training:
        return norm.learning(given, lengths, then, made_by)
    made: NewGrid = then(norm(given if made_by is None else made_by(given), lengths))
    return made


class BatchNorm(nn.BatchNorm2d):
    """`nn.BatchNorm2d`, with the same keys, whose statistics leave out padding and include all processes.

    Two processes with half a batch each give the result of one process with the whole batch.
    """

    def forward(self, grid: Grid, lengths: Lengths = None) -> Grid:
        """Return the normalised grid; padding is zero."""
        if not (self.training and (lengths is not None or processes() > 1)):
            return silence_(super().forward(grid), lengths)
        own = grid if lengths is None else grid * _mask(grid, lengths)
        normalised: Tensor = self._given_statistics(own.detach(), lengths)(grid, own)
        return normalised

    def learning(
        self,
        given: Grid,
        lengths: Lengths,
        then: Callable[[Tensor], Tensor],
        made_by: Callable[[Tensor], Tensor] | None,
    ) -> NewGrid:
        """Return what `normed` does, in training."""
        known: list[Callable[[Tensor, Tensor], Tensor]] = []  # statistics count once, not again in the backward pass

        def silenced(grid: Tensor) -> Tensor:
            with torch.no_grad():  # the norm's own gradient leaves the padding out
                return silence_(grid, lengths)

        def normalised(grid: Tensor) -> Tensor:
            if lengths is not None or processes() > 1:
                if not known:
                    known.append(self._given_statistics(grid.detach(), lengths))
                return known[0](grid, grid)
            mean, variance = self.get_buffer("running_mean"), self.get_buffer("running_var")
            if known:
                mean, variance = mean.clone(), variance.clone()
            else:
                known.append(torch.add)
                self.get_buffer("num_batches_tracked").add_(1)
            return functional.batch_norm(grid, mean, variance, self.weight, self.bias, True, MOMENTUM, self.eps)

        if made_by is None:
            silenced(given)
            again: NewGrid = recomputed(lambda grid: then(normalised(grid)), given)
        else:
            again = recomputed(lambda kept: then(normalised(silenced(made_by(kept)))), given)
        return again

    @torch.no_grad()
    def _given_statistics(self, own: Grid, lengths: Lengths) -> Callable[[Tensor, Tensor], Tensor]:
        """Count a grid, whose padding is zero, in the running statistics; return the norm by its statistics."""
        mean, variance, count = _statistics(own, lengths)
        unbiased = variance * (count / (count - 1).clamp(min=1))
        for name, value in (("running_mean", mean), ("running_var", unbiased)):
            # `.data`, as autograd refuses in-place changes to a buffer that torch's own norm used in this step
            running = self.get_buffer(name).data
            running.lerp_(value.to(running.dtype), MOMENTUM)
        self.get_buffer("num_batches_tracked").add_(1)
        mask = None if lengths is None else _mask(own, lengths)
        known = (mean.to(self.weight), variance.to(self.weight), count)

        def normalise(grid: Tensor, own: Tensor) -> Tensor:
            made: Tensor = _Normalise.apply(  # type: ignore[no-untyped-call]
                grid, own, mask, self.weight, self.bias, *known, self.eps
            )
            return made

        return normalise


class GroupNorm(nn.GroupNorm):
    """`nn.GroupNorm`, with the same keys, whose statistics leave out padding."""

    def forward(self, grid: Grid, lengths: Lengths = None) -> Grid:
        """Return the normalised grid; padding is zero."""
        size = grid[0].numel() // grid.shape[3] // self.num_groups  # values in one frame of a group
        if lengths is None:
            epsilon = float(self.least_variance(torch.tensor(size * grid.shape[3])))
            return torch.group_norm(grid, self.num_groups, self.weight, self.bias, epsilon)
        own = within(lengths, grid.shape[3])[:, None, None, None]
        count = lengths[:, None, None, None, None] * size
        grouped = grid.float().reshape(
            grid.shape[0], self.num_groups, -1, *grid.shape[2:]
        )  # (batch, groups, channels, ...)
        axes = (2, 3, 4)
        centred = (grouped - (grouped * own).sum(axes, keepdim=True) / count) * own
        variance = centred.square().sum(axes, keepdim=True) / count
        normalised = (centred * (variance + self.least_variance(count)).rsqrt()).flatten(1, 2)
        scaled = normalised * self.weight[:, None, None] + self.bias[:, None, None]
        kept: Tensor = scaled * own[:, 0]
        return kept.to(grid.dtype)

    def least_variance(self, count: Int64[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
        """Return the constant added to the variance of `count` values."""
        return torch.full(count.shape, self.eps, device=count.device)


class InstanceNorm(GroupNorm):
    """Instance norm that leaves out padding and adds 1 / count to the variance of `count` values.

    The variance of two or three values may be close to zero, and dividing by it magnifies rounding: a clip of 50 ms
    would then depend on its batch. For long clips 1 / count is negligible.
    """

    def __init__(self, channels: int) -> None:
        super().__init__(channels, channels)

    def least_variance(self, count: Int64[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
        """Return the constant added to the variance of `count` values."""
        return 1 / count


def _statistics(
    grid: Grid, lengths: Lengths
) -> tuple[Float[Tensor, " channels"], Float[Tensor, " channels"], Float[Tensor, ""]]:
    """Return mean, variance and count without padding, over all processes; padding in `grid` must be zero.

    Torch's one-pass kernel includes the padding. Zeros do not change the sums, so only the count is corrected.
    """
    mean, variance = torch.ops.aten.batch_norm_update_stats(grid, None, None, 0.0)
    mean, variance = mean.double(), variance.double()  # a difference of squares needs double precision
    everything = grid.numel() // grid.shape[1]
    own = torch.full_like(mean[0], everything) if lengths is None else lengths.sum().double() * grid.shape[2]
    sums = torch.stack([mean * everything, (variance + mean.square()) * everything, own.expand_as(mean)])
    total, squares, count = all_reduce_sum(sums)
    mean = total / count
    return mean, (squares / count - mean.square()).clamp(min=0), count[0]


class _Normalise(torch.autograd.Function):
    """Batch norm with given statistics; the backward pass includes their gradient.

    Source: Ioffe and Szegedy, arXiv:1502.03167, section 3, with sums that leave out padding.
    """

    @staticmethod
    def forward(
        context: Any, _: Tensor, own: Tensor, mask: Tensor | None, weight: Tensor, bias: Tensor, mean: Tensor,
        variance: Tensor, count: Tensor, epsilon: float,
    ) -> Tensor:  # fmt: skip
        """Normalise `own`, the grid of the first argument with padding set to zero."""
        context.save_for_backward(own, mask, weight, mean, variance, count)
        context.epsilon = epsilon
        normalised = functional.batch_norm(own, mean, variance, weight, bias, training=False, eps=epsilon)
        return normalised if mask is None else normalised.mul_(mask)

    @staticmethod
    @once_differentiable
    def backward(context: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        own, mask, weight, mean, variance, count = context.saved_tensors
        gradient = gradients[0] if mask is None else gradients[0] * mask
        inverse = (variance + context.epsilon).rsqrt()
        # mean and inverse stand twice: on a processor torch reads the first two, on a GPU the others
        direct, of_weight, of_bias = torch.ops.aten.native_batch_norm_backward(
            gradient, own, weight, mean, variance, mean, inverse, False, context.epsilon, (True, True, True)
        )
        # the gradient through mean and variance: for each channel, linear in the input (constant + slope x input)
        means = all_reduce_sum(torch.stack([of_bias, of_weight])) / count.float()
        slope = weight * inverse.square() * means[1]
        constant = weight * inverse * means[0] - slope * mean
        # in place: reading and writing grids takes most of a norm's time
        through = direct.sub_(_column(constant, own)).addcmul_(own, _column(slope, own), value=-1)
        return through if mask is None else through.mul_(mask), None, None, of_weight, of_bias, None, None, None, None


def _mask(grid: Grid, lengths: Int64[Tensor, " batch"]) -> Float[Tensor, "batch 1 1 frames"]:
    return within(lengths, grid.shape[3]).to(grid.dtype)[:, None, None]


def _column(values: Float[Tensor, " channels"], grid: Grid) -> Float[Tensor, "channels 1 1"]:
    return values.to(grid.dtype)[:, None, None]
