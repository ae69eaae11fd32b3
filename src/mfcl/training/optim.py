"""The optimiser, the learning-rate schedule, and a moving average of the weights."""

import contextlib
import math
from collections.abc import Callable, Iterator

import torch
from torch import Tensor, nn

from mfcl.recipe import TrainSettings
from mfcl.training.adam import Adam


def make_optimiser(
    module: nn.Module, settings: TrainSettings, share: Callable[[str], float] = lambda name: 1.0
) -> Adam:
    """Return the optimiser of a module's parameters; norms, biases and scalars have no weight decay.

    Args:
        module: Its parameters that require a gradient are trained.
        settings: The kind of optimiser, and its weight decay.
        share: Learning rate of the parameter of that name, as a share of the rate of each step.

    Example:
        >>> groups = make_optimiser(nn.Linear(2, 3), TrainSettings(weight_decay=0.1)).param_groups
        >>> [(group["weight_decay"], len(group["params"])) for group in groups]
        [(0.1, 1), (0.0, 1)]
    """
    weights = {name: parameter for name, parameter in module.named_parameters() if parameter.requires_grad}
    decay = settings.weight_decay if settings.optimiser == "adamw" else 0.0
    groups = [
        {
            "params": [weight for name, weight in weights.items() if share(name) == own and (weight.ndim > 1) == large],
            "weight_decay": decay if large else 0.0, "share": own,
        }
        for own in dict.fromkeys(share(name) for name in weights)
        for large in (True, False)
    ]  # fmt: skip
    return Adam([group for group in groups if group["params"]], lr=settings.learning_rate)


def learning_rate(step: int, steps: int, settings: TrainSettings) -> float:
    """Return the learning rate of a step: linear warm-up, then cosine decay to zero.

    Args:
        step: Steps done so far, from 0.
        steps: Steps of the whole run.
        settings: Gives the peak rate and the share of warm-up steps.

    Example:
        >>> settings = TrainSettings(learning_rate=1.0, warmup=0.2)
        >>> [round(learning_rate(step, 10, settings), 2) for step in (0, 1, 2, 6, 9)]
        [0.5, 1.0, 1.0, 0.5, 0.04]
    """
    rising = round(settings.warmup * steps)
    if step < rising:
        return settings.learning_rate * (step + 1) / rising
    return settings.learning_rate * 0.5 * (1 + math.cos(math.pi * (step - rising) / max(steps - rising, 1)))


def set_rate(optimiser: Adam, rate: float) -> None:
    """Set the learning rate of a step, in each group its share of it."""
    for group in optimiser.param_groups:
        own = rate * group.get("share", 1.0)
        if isinstance(group["lr"], Tensor):
            group["lr"].fill_(own)
        else:
            group["lr"] = own


class Ema:
    """Exponential moving average of a module's weights and buffers.

    The decay is smaller in the first steps, so that the average of a short run is not its random start.
    """

    def __init__(self, module: nn.Module, decay: float) -> None:
        self.module, self.decay = module, decay
        self.average: dict[str, Tensor] = {}
        self.restart()

    def restart(self) -> None:
        """Reset the average to the module's present weights."""
        self.average = {name: value.detach().clone() for name, value in self.module.state_dict().items()}

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Update the average with the module's present weights; `step` counts from 0."""
        decay = min(self.decay, (1 + step) / (10 + step))
        for name, value in self.module.state_dict().items():
            if value.is_floating_point():
                self.average[name].lerp_(value, 1 - decay)
            else:
                self.average[name].copy_(value)  # a count has no average

    def keep(self) -> None:
        """Load the average into the module."""
        self.module.load_state_dict(self.average)

    @contextlib.contextmanager
    def shown(self) -> Iterator[None]:
        """Load the average into the module inside a `with` block, for validation."""
        own: dict[str, Tensor] = {name: value.clone() for name, value in self.module.state_dict().items()}
        self.keep()
        try:
            yield
        finally:
            self.module.load_state_dict(own)
