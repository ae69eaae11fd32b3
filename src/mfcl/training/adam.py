"""Adam and AdamW by torch's fused kernels, without `torch.optim`, which loads torch's compiler."""

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

BETAS = (0.9, 0.999)
"""Decay of the averages of gradients and of their squares."""
EPSILON = 1e-8
"""Added to the root of the average square."""


class Adam:
    """Adam, with decoupled weight decay or without any decay; weights end equal to those of `torch.optim` to the bit.

    `torch.optim` would load torch's compiler at its first call: 70 MB, and two seconds, in every process that trains.

    Args:
        groups: Of parameters: each with `params`, and with its own `weight_decay` and whatever else the caller keeps.
        lr: Learning rate of every group; a group's `lr` may be changed, also to a tensor on its parameters' device.

    Attributes:
        param_groups: The groups; each has `params`, `lr` and `weight_decay`.
        state: Weight -> its `step`, `exp_avg` and `exp_avg_sq`, from its first step on.

    Source: Kingma and Ba, "Adam: A method for stochastic optimization", arXiv:1412.6980, algorithm 1; Loshchilov and
        Hutter, "Decoupled weight decay regularization", arXiv:1711.05101, algorithm 2.
    """

    def __init__(self, groups: Sequence[dict[str, Any]], lr: float) -> None:
        self.param_groups = [{"lr": lr, "weight_decay": 0.0, **group} for group in groups]
        self.state: dict[Tensor, dict[str, Tensor]] = defaultdict(dict)

    def zero_grad(self) -> None:
        """Drop the gradients."""
        for group in self.param_groups:
            for weight in group["params"]:
                weight.grad = None

    @torch.no_grad()
    def step(self) -> None:
        """Change the weights that have a gradient."""
        for group in self.param_groups:
            weights = [weight for weight in group["params"] if weight.grad is not None]
            if not weights:
                continue
            moments = [self._moments(weight) for weight in weights]
            averages, squares, steps = ([own[name] for own in moments] for name in ("exp_avg", "exp_avg_sq", "step"))
            torch._foreach_add_(steps, 1)
            # one pass over the weights instead of one for each of the update's operations
            torch._fused_adamw_(
                weights, [weight.grad for weight in weights], averages, squares, [], steps, lr=group["lr"],
                beta1=BETAS[0], beta2=BETAS[1], weight_decay=group["weight_decay"], eps=EPSILON,
                amsgrad=False, maximize=False,
            )  # fmt: skip

    def _moments(self, weight: Tensor) -> dict[str, Tensor]:
        """Return the moments of a weight, zero before its first step, in its layout of memory."""
        own = self.state[weight]
        if not own:
            own["step"] = torch.zeros((), dtype=torch.float32, device=weight.device)
            own["exp_avg"], own["exp_avg_sq"] = torch.zeros_like(weight), torch.zeros_like(weight)
        return own
