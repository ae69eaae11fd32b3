"""Projection heads: which parts of an embedding have one, and what they make of embeddings."""

from collections.abc import Iterable, Mapping

import numpy as np
import torch
from jaxtyping import Float32
from torch import nn

from mfcl.embeddings.parts import FIXED, Part
from mfcl.embeddings.table import Embeddings
from mfcl.models.heads import NeckSettings
from mfcl.models.pair import ModelSettings


def head_sizes(settings: ModelSettings, parts: Mapping[Part, int]) -> dict[str, int]:
    """Return name and size of the parts of embeddings that need a projection head; a neck has its own.

    Landmarks and spectra have none, and do not count among the parts of a format: one part has no role in its name.
    """
    own = {part: dim for part, dim in parts.items() if part.stage not in FIXED}
    return {str(_named(part, own)): dim for part, dim in own.items() if settings.neck is None or part.role == "speaker"}


def _named(part: Part, parts: Iterable[Part]) -> Part:
    """Return a part as it is named without landmarks."""
    return part if sum(other.format == part.format for other in parts) > 1 else Part(part.format)


@torch.no_grad()
def projections(
    embeddings: Embeddings, heads: nn.ModuleDict, neck: NeckSettings | None
) -> dict[str, Float32[np.ndarray, "items _"]]:
    """Return the projections of the content part of embeddings, by format; with a neck, its projection.

    Args:
        embeddings: Embeddings of a model.
        heads: The projection heads that the model was trained with.
        neck: Settings of the model's neck.
    """
    device = next((weight.device for weight in heads.parameters()), torch.device("cpu"))
    found = {}
    sizes = [part for part in embeddings.sizes if part.stage not in FIXED]
    for part in sizes:
        if part.role == "speaker":
            continue
        own = embeddings.part(part)
        if neck is None:
            found[part.format] = heads[str(_named(part, sizes))](torch.from_numpy(own.copy()).to(device)).cpu().numpy()
        elif part.stage == "projection":
            found[part.format] = own
    return found
