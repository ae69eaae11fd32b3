"""Projection heads: from an embedding to the space of the loss; the embedding itself is what is kept."""

import itertools
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn

from mfcl.errors import RecipeError


@dataclass(frozen=True)
class HeadSettings:
    """The shape of a projection head."""

    layers: int = 2
    """Linear layers; 0 puts the loss on the embedding itself, as the reference study does."""
    width: int = 1024
    """Values between the layers."""
    out: int = 128
    """Values that the loss sees."""

    def __post_init__(self) -> None:
        if self.layers < 0:
            raise RecipeError(f"head.layers must be 0 or more, but is {self.layers}; 0 is no head")
        if self.width < 1 or self.out < 1:
            raise RecipeError(f"head.width and head.out must be 1 or more, but are {self.width} and {self.out}")


class ProjectionHead(nn.Module):
    """Linear layers with LayerNorm and ReLU between them.

    No statistics over the batch: a projection depends on its embedding alone, and nothing leaks between items.

    Source: Chen et al., arXiv:2002.05709, section 4.2 (the loss on a non-linear head, the embedding before it).
    """

    def __init__(self, dim: int, settings: HeadSettings) -> None:
        super().__init__()
        self.out = settings.out if settings.layers else dim
        widths = [dim, *[settings.width] * (settings.layers - 1), settings.out]
        layers: list[nn.Module] = []
        for size_in, size_out in itertools.pairwise(widths[:-1]):
            # LayerNorm takes each row's own mean away, so all a bias here could add is given by its own bias
            layers += [nn.Linear(size_in, size_out, bias=False), nn.LayerNorm(size_out), nn.ReLU()]
        if settings.layers:
            layers.append(nn.Linear(widths[-2], widths[-1]))
        self.layers = nn.Sequential(*layers)

    def forward(self, embedding: Float[Tensor, "batch dim"]) -> Float[Tensor, "batch out"]:
        """Return the projections; not of length 1, the loss sees to that."""
        projected: Tensor = self.layers(embedding)
        return projected


def make_heads(dims: Mapping[str, int], settings: HeadSettings, *, seed: int) -> nn.ModuleDict:
    """Return a head for each format, initialised from `seed` without touching torch's global generator.

    Args:
        dims: The size of the embedding of each format.
        settings: The shape of the heads.
        seed: The run's seed.

    Raises:
        RecipeError: the formats' embeddings differ in size and there is no head to make them comparable.

    Example:
        >>> heads = make_heads({"wave": 512, "mel": 640}, HeadSettings(), seed=0)
        >>> heads["mel"](torch.zeros(3, 640)).shape
        torch.Size([3, 128])
    """
    if settings.layers == 0 and len(set(dims.values())) > 1:
        sizes = ", ".join(f"{name} {dim}" for name, dim in dims.items())
        raise RecipeError(f"head.layers is 0, but the embeddings differ in size ({sizes}); use head.layers 1 or more")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return nn.ModuleDict({name: ProjectionHead(dim, settings) for name, dim in dims.items()})
