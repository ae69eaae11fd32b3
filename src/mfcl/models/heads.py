"""Projection heads, on whose output the loss is computed, and necks, which shorten an embedding."""

import itertools
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from mfcl.core.machine import seeded
from mfcl.core.settings import bounded, check_settings
from mfcl.embeddings.parts import Stage
from mfcl.embeddings.whitening import Whitening
from mfcl.errors import RecipeError


@dataclass(frozen=True)
class HeadSettings:
    """Size of a projection head."""

    layers: int = bounded(2, 0, 16)
    """Linear layers; 0 computes the loss on the embedding itself, as the reference study does."""
    width: int = bounded(1024, 1, 16384)
    """Size of the hidden layers."""
    out: int = bounded(128, 1, 16384)
    """Size of the projection, on which the loss is computed."""

    def __post_init__(self) -> None:
        check_settings(self, "head")


@dataclass(frozen=True)
class NeckSettings(HeadSettings):
    """Size of a neck: its projection head, and the PCA coordinates kept beside the projection."""

    directions: int = bounded(64, 0, 16384)
    """Number of PCA coordinates of the pooled values; 0: the projection alone."""

    def __post_init__(self) -> None:
        if self.layers < 1:
            raise RecipeError(
                f"neck.layers must be 1 or more, but is {self.layers}; neck: null keeps what is pooled as it is"
            )
        check_settings(self, "neck")


class ProjectionHead(nn.Module):
    """Linear layers with LayerNorm and ReLU between them.

    It has no batch statistics: a projection depends on its own embedding alone.

    Source: Chen et al., arXiv:2002.05709, section 4.2 (loss on a non-linear head, embedding taken before it).
    """

    def __init__(self, dim: int, settings: HeadSettings) -> None:
        super().__init__()
        self.out = settings.out if settings.layers else dim
        widths = [dim, *[settings.width] * (settings.layers - 1), settings.out]
        layers: list[nn.Module] = []
        for size_in, size_out in itertools.pairwise(widths[:-1]):
            # no bias: LayerNorm has its own
            layers += [nn.Linear(size_in, size_out, bias=False), nn.LayerNorm(size_out), nn.ReLU()]
        if settings.layers:
            layers.append(nn.Linear(widths[-2], widths[-1]))
        self.layers = nn.Sequential(*layers)

    def forward(self, embedding: Float[Tensor, "batch dim"]) -> Float[Tensor, "batch out"]:
        """Return the projections, not scaled to unit length: the loss does that."""
        projected: Tensor = self.layers(embedding)
        return projected


class Neck(nn.Module):
    """Shorten the pooled values to an embedding: their whitened PCA coordinates, then their projection.

    The projection drops what the loss does not need, which helps with few labels. The PCA coordinates keep it, which
    helps with many labels.

    Attributes:
        project: The projection head, on whose output the loss is computed.
        dims: Values in each stage of the embedding: "" for the PCA coordinates, and "projection".

    Source: Bordes et al., "Guillotine regularization", arXiv:2206.13378 (information lost in each layer of a head).
    """

    mean: Float[Tensor, " dim"]
    directions: Float[Tensor, "dim directions"]

    def __init__(self, dim: int, settings: NeckSettings) -> None:
        super().__init__()
        self.project = ProjectionHead(dim, settings)
        turned: dict[Stage, int] = {"": settings.directions} if settings.directions else {}
        self.dims: dict[Stage, int] = {**turned, "projection": settings.out}
        self.register_buffer("mean", torch.zeros(dim))
        self.register_buffer("directions", torch.zeros(dim, settings.directions))  # until `turn`

    @torch.no_grad()
    def turn(self, whitening: Whitening) -> None:
        """Set the PCA to the leading directions of a whitening fitted on the pooled values."""
        columns = torch.from_numpy(whitening.directions[:, : self.directions.shape[1]])
        self.mean.copy_(torch.from_numpy(whitening.mean))
        self.directions.zero_()[:, : columns.shape[1]] = columns

    def forward(self, pooled: Float[Tensor, "batch dim"]) -> Float[Tensor, "batch out"]:
        """Return PCA coordinates, then the projection scaled to a similar norm, so that both weigh alike in cosines."""
        size = self.directions.shape[1] or self.project.out
        projected = functional.normalize(self.project(pooled), dim=1) * size**0.5
        return torch.cat([(pooled - self.mean) @ self.directions, projected], dim=1)


def make_heads(dims: Mapping[str, int], settings: HeadSettings, *, seed: int) -> nn.ModuleDict:
    """Return a head for each part of the embeddings, initialised from `seed`; torch's global generator is unchanged.

    Args:
        dims: Name and size of each part, such as "wave" or "mel voices".
        settings: Size of the heads.
        seed: The run's seed.

    Raises:
        RecipeError: there is no layer to bring embeddings of different sizes to one size.

    Example:
        >>> heads = make_heads({"wave": 512, "mel": 640}, HeadSettings(), seed=0)
        >>> heads["mel"](torch.zeros(3, 640)).shape
        torch.Size([3, 128])
    """
    if settings.layers == 0 and len(set(dims.values())) > 1:
        sizes = ", ".join(f"{name} {dim}" for name, dim in dims.items())
        raise RecipeError(f"head.layers is 0, but the embeddings differ in size ({sizes}); use head.layers 1 or more")
    with seeded(seed):
        return nn.ModuleDict({name: ProjectionHead(dim, settings) for name, dim in dims.items()})
