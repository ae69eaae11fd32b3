"""Projection heads: from what is pooled to the space of the loss; and necks: what an embedding keeps of both."""

import itertools
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from mfcl.core.settings import bounded, check_settings
from mfcl.embeddings.parts import Stage
from mfcl.embeddings.whitening import Whitening
from mfcl.errors import RecipeError


@dataclass(frozen=True)
class HeadSettings:
    """The shape of a projection head."""

    layers: int = bounded(2, 0, 16)
    """Linear layers; 0 puts the loss on the embedding itself, as the reference study does."""
    width: int = bounded(1024, 1, 16384)
    """Values between the layers."""
    out: int = bounded(128, 1, 16384)
    """Values that the loss sees."""

    def __post_init__(self) -> None:
        check_settings(self, "head")


@dataclass(frozen=True)
class NeckSettings(HeadSettings):
    """The shape of a neck: of its projection, and how much of what is pooled is kept beside it."""

    directions: int = bounded(64, 1, 16384)
    """Main directions of what is pooled."""

    def __post_init__(self) -> None:
        if self.layers < 1 or self.directions < 1:
            raise RecipeError(
                f"neck.layers and neck.directions must be 1 or more, but are {self.layers} and {self.directions}; "
                "neck: null keeps what is pooled as it is"
            )
        check_settings(self, "neck")


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


class Neck(nn.Module):
    """A short embedding from a long one: what is pooled in its main directions, beside what the loss sees of it.

    The projection has forgotten what the loss does not ask for; with few labels that is an advantage. What it has lost,
    the main directions still have, and with many labels it counts.

    Attributes:
        project: The projection head; the loss sees what it returns.
        dims: Values of what comes out, by stage: the main directions, and the projection; cosines weigh them alike.

    Source: Bordes et al., "Guillotine regularization", arXiv:2206.13378, measure what each layer of a head forgets.
    """

    mean: Float[Tensor, " dim"]
    directions: Float[Tensor, "dim directions"]

    def __init__(self, dim: int, settings: NeckSettings) -> None:
        super().__init__()
        self.project = ProjectionHead(dim, settings)
        self.dims: dict[Stage, int] = {"": settings.directions, "projection": settings.out}
        self.register_buffer("mean", torch.zeros(dim))
        self.register_buffer("directions", torch.zeros(dim, settings.directions))  # until they are known

    @torch.no_grad()
    def turn(self, whitening: Whitening) -> None:
        """Set the main directions: the first ones of a whitening of what is pooled, each of variance 1 or less."""
        columns = torch.from_numpy(whitening.directions[:, : self.directions.shape[1]])
        self.mean.copy_(torch.from_numpy(whitening.mean))
        self.directions.zero_()[:, : columns.shape[1]] = columns

    def forward(self, pooled: Float[Tensor, "batch dim"]) -> Float[Tensor, "batch out"]:
        """Return the main directions and then the projection, whose length is what the directions' mostly is."""
        projected = functional.normalize(self.project(pooled), dim=1) * self.directions.shape[1] ** 0.5
        return torch.cat([(pooled - self.mean) @ self.directions, projected], dim=1)


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
