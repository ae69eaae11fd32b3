"""What all exported files share: their metadata, and the comparison of their answers with the model's own."""

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float32

import mfcl
from mfcl.checkpoint import Checkpoint, file_digest
from mfcl.checkpoint_files import WEIGHTS
from mfcl.core.random import generator
from mfcl.embeddings.table import Embeddings
from mfcl.errors import ExportError
from mfcl.models.inference import Listed, embed_clips, part_bounds

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


def part_sizes(loaded: Checkpoint) -> dict[str, int]:
    """Return the name and size of each part of an embedding, in its order."""
    return {name: stop - start for name, (start, stop) in part_bounds(loaded.model).items()}


def metadata(loaded: Checkpoint) -> dict[str, str]:
    """Return what a program needs beside the graph; values are text, lists and tables are JSON."""
    parts = part_sizes(loaded)
    facts = {
        "format": "mfcl 1",
        "mfcl_version": mfcl.__version__,
        "torch_version": torch.__version__,
        "recipe": loaded.recipe.name,
        "model_sha256": file_digest(loaded, WEIGHTS),
        "sample_rate": str(loaded.recipe.preparation.sample_rate),
        "preparation": json.dumps(asdict(loaded.recipe.preparation)),
        "parts": json.dumps(parts),
    }
    if loaded.whitening:
        facts["whitened_parts"] = json.dumps({name: loaded.whitening[name].directions.shape[1] for name in parts})
    return facts


@dataclass(frozen=True)
class Reference:
    """What an exported file is compared with: the model's own vectors of some clips.

    Attributes:
        clips: At the model's sample rate.
        answers: The vectors, by the name of their output.
    """

    clips: list[Clip]
    answers: Mapping[str, Vectors]

    @classmethod
    def of(cls, loaded: Checkpoint, most: float = math.inf) -> "Reference":
        """Embed clips of at most `most` seconds with a model."""
        rate = loaded.recipe.preparation.sample_rate
        clips = _clips(rate, most)
        vectors = embed_clips(loaded.model, Listed(clips), rate)
        names = np.full(len(clips), "")
        plain = Embeddings(vectors, names, {}, part_bounds(loaded.model), names)
        white = {"whitened": plain.whiten(loaded.whitening).vectors} if loaded.whitening else {}
        return cls(clips, {"embedding": vectors, **white})

    def farthest(self, run: Callable[[Sequence[Clip]], Mapping[str, Vectors]], together: int) -> float:
        """Return the largest difference of a file's vectors from the model's, as a share of their length.

        Args:
            run: Returns the file's vectors of clips by the name of their output; clips are padded to one length.
            together: How many clips, the first ones, are embedded in one batch, too, after each alone.
        """
        alone, batch = [run([clip]) for clip in self.clips], run(self.clips[:together])
        apart = 0.0
        for name, wanted in self.answers.items():
            each = np.concatenate([one[name] for one in alone])
            apart = max(apart, _difference(each, wanted), _difference(batch[name], wanted[:together]))
        return apart


def refuse_far(path: str | Path, apart: float, *, of: str) -> None:
    """Refuse a file whose vectors are too far from the model's.

    Args:
        path: Where the file was to be.
        apart: See `Reference.farthest`.
        of: Whose vectors were wanted, for the message.

    Raises:
        ExportError: they are farther than `TOLERANCE`.
    """
    if apart > TOLERANCE:
        raise ExportError(
            f"{path}: its vectors differ from {of} by {apart:.1e} of their length, wanted at most {TOLERANCE:.0e}; "
            "nothing was written"
        )


def _clips(rate: int, most: float) -> list[Clip]:
    """Return clips to compare by: a chirp, a pause and noise, so that frames differ and all bands are heard."""
    made = []
    for place, seconds in enumerate(one for one in CHECKED_SECONDS if one <= most):
        time = np.arange(round(seconds * rate)) / rate
        tone = np.sin(2 * np.pi * (100 + 0.2 * rate * time / max(seconds, 1)) * time) * np.sin(9 * time) ** 2
        noise = 0.02 * generator(place, "export").standard_normal(len(time))
        made.append((0.3 * tone + noise).astype(np.float32))
    return made


def _difference(found: Vectors, wanted: Vectors) -> float:
    """Return the largest distance of two vectors, as a share of the wanted one's length; inf if one is not finite."""
    size = np.maximum(np.linalg.norm(wanted, axis=1), 1e-12)
    apart = np.linalg.norm(found - wanted, axis=1) / size
    return float(apart.max()) if np.isfinite(apart).all() else float("inf")
