"""What all exported files share: their metadata, and the comparison of their answers with the model's own."""

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float32

import mfcl
from mfcl.checkpoint import WEIGHTS, Checkpoint, load_checkpoint
from mfcl.core.random import generator
from mfcl.embedder import Embedder
from mfcl.embeddings.table import Embeddings
from mfcl.models.inference import Listed, embed_clips, part_bounds
from mfcl.models.weights_file import digest

Clip = Float32[np.ndarray, " _"]
Vectors = Float32[np.ndarray, "_ _"]
TOLERANCE = 1e-4
"""Largest difference from torch's embedding, as a share of its length, that an exported file may have."""
CHECKED_SECONDS = (0.05, 0.4, 1.7, 12.3)
"""Lengths of the clips that torch and the exported file both embed; the last one is split into windows."""


@dataclass(frozen=True)
class Exported:
    """A written file.

    Attributes:
        path: The file.
        size: Its size in bytes.
        difference: Largest difference from torch's vectors over the checked clips, as a share of their length.
        outputs: Name and number of values of each output.
    """

    path: Path
    size: int
    difference: float
    outputs: Mapping[str, int]


def checkpoint_of(model: Embedder | Checkpoint | str | Path) -> Checkpoint:
    """Return the checkpoint of a model, read from its folder if that is given."""
    if isinstance(model, Embedder):
        return model.checkpoint
    return model if isinstance(model, Checkpoint) else load_checkpoint(Path(model))


def part_sizes(loaded: Checkpoint) -> dict[str, int]:
    """Return the name and size of each part of an embedding, in its order."""
    return {name: stop - start for name, (start, stop) in part_bounds(loaded.model).items()}


def metadata(loaded: Checkpoint) -> dict[str, str]:
    """Return what a program needs beside the graph; values are text, lists and tables are JSON."""
    parts = part_sizes(loaded)
    weights = loaded.folder / WEIGHTS
    facts = {
        "format": "mfcl 1",
        "mfcl_version": mfcl.__version__,
        "torch_version": torch.__version__,
        "recipe": loaded.recipe.name,
        "model_sha256": digest(weights) if weights.is_file() else "",
        "sample_rate": str(loaded.recipe.preparation.sample_rate),
        "preparation": json.dumps(asdict(loaded.recipe.preparation)),
        "parts": json.dumps(parts),
    }
    if loaded.whitening:
        facts["whitened_parts"] = json.dumps({name: loaded.whitening[name].directions.shape[1] for name in parts})
    return facts


def clips_to_check(rate: int, most: float = math.inf) -> list[Clip]:
    """Return clips to compare by: a chirp, a pause and noise, so that frames differ and all bands are heard.

    Args:
        rate: Their sample rate in Hz.
        most: Longest clip in seconds.
    """
    made = []
    for place, seconds in enumerate(one for one in CHECKED_SECONDS if one <= most):
        time = np.arange(round(seconds * rate)) / rate
        tone = np.sin(2 * np.pi * (100 + 0.2 * rate * time / max(seconds, 1)) * time) * np.sin(9 * time) ** 2
        noise = 0.02 * generator(place, "export").standard_normal(len(time))
        made.append((0.3 * tone + noise).astype(np.float32))
    return made


def answers_of(loaded: Checkpoint, clips: list[Clip]) -> dict[str, Vectors]:
    """Return torch's vectors of the clips, by the name of their output."""
    vectors = embed_clips(loaded.model, Listed(clips), loaded.recipe.preparation.sample_rate)
    names = np.full(len(clips), "")
    plain = Embeddings(vectors, names, {}, part_bounds(loaded.model), names)
    return {"embedding": vectors, **({"whitened": plain.whiten(loaded.whitening).vectors} if loaded.whitening else {})}


def difference(found: Vectors, wanted: Vectors) -> float:
    """Return the largest distance of two vectors, as a share of the wanted one's length; inf if one is not finite."""
    size = np.maximum(np.linalg.norm(wanted, axis=1), 1e-12)
    apart = np.linalg.norm(found - wanted, axis=1) / size
    return float(apart.max()) if np.isfinite(apart).all() else float("inf")
