"""Make a gallery: bound to a model, with a cohort of other voices."""

from pathlib import Path

import numpy as np

from mfcl.data.decoding import LeftOut
from mfcl.data.manifest import Manifest
from mfcl.embeddings.linalg import unit_rows
from mfcl.errors import GalleryError, check_choice, check_number
from mfcl.voices.material import cohort_of, training_list
from mfcl.voices.scoring import WAYS, Way
from mfcl.voices.sound import Heard, Listener
from mfcl.voices.storage import Storage


def check_settings(*, cohort_size: int, score: Way, nearest: int) -> None:
    """Check the settings of a new gallery before any work is done for it.

    Raises:
        GalleryError: one cannot be used.
    """
    check_number("cohort size", cohort_size, 0, 100_000, whole=True, error=GalleryError)
    check_number("nearest", nearest, 0, 100_000, whole=True, error=GalleryError)
    check_choice("way to score", score, WAYS, error=GalleryError)


def create(
    place: str | Path,
    listener: Listener,
    *,
    cohort: str | Path | Manifest | Heard | None,
    cohort_size: int,
    score: Way,
    nearest: int,
) -> Storage:
    """Make an empty gallery for one model; see `Gallery.create`."""
    left_out = LeftOut()
    vectors = np.zeros((0, listener.dim), dtype=np.float32)
    if cohort_size:
        source = cohort if cohort is not None else training_list(listener.folder)
        heard = source if isinstance(source, Heard) else cohort_of(source, listener, left_out, size=cohort_size)
        vectors = unit_rows(heard.vectors, np.float32)
    about = {
        "model": listener.folder, "digest": listener.digest, "part": listener.part, "dim": str(listener.dim),
        "score": score, "nearest": str(nearest),
    }  # fmt: skip
    left_out.write(None)
    return Storage.create(place, about, vectors)
