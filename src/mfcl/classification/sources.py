"""Where vectors come from: recordings with a model, or a file of embeddings."""

from collections.abc import Sequence
from pathlib import Path
from typing import TypeAlias

from mfcl.checkpoint import model_digest
from mfcl.core.urls import UrlPath, as_path
from mfcl.data.layouts import open_manifest
from mfcl.data.manifest import Manifest
from mfcl.embedder import Embedder, load
from mfcl.embedding_lists import embed
from mfcl.embeddings.blocks import Blocks, load_embeddings, open_blocks
from mfcl.embeddings.part_files import holds_embeddings
from mfcl.embeddings.table import Embeddings
from mfcl.errors import MeasureError, MfclError
from mfcl.labelling import LabelClassifier
from mfcl.labelling.classifier import short

Data: TypeAlias = str | Path | Manifest | Embeddings | Sequence[str | Path]


def is_embeddings(data: Data) -> bool:
    """Return whether data are embeddings, a file of them, or a folder of parts."""
    if not isinstance(data, str | Path):
        return isinstance(data, Embeddings)
    path = as_path(data)
    return path.suffix == ".npz" if isinstance(path, UrlPath) else holds_embeddings(path)


def opened(data: Data) -> Embeddings:
    """Return embeddings, or read their file."""
    if isinstance(data, Embeddings):
        return data
    if isinstance(data, str | Path):
        return load_embeddings(data)
    raise MeasureError(f"wanted embeddings or their file, got {type(data).__name__}")


def opened_in_blocks(data: Data) -> Blocks:
    """Return embeddings to be read block by block: the parts of a folder, or a table or file as one block."""
    if isinstance(data, Embeddings | str | Path):
        return open_blocks(data)
    raise MeasureError(f"wanted embeddings or their file, got {type(data).__name__}")


def manifest_of(data: Data, data_root: Path | None = None) -> Manifest:
    """Return the recordings of a path, or of a manifest."""
    if isinstance(data, Manifest):
        return data
    if isinstance(data, str | Path):
        return open_manifest(data, data_root=data_root)
    raise MfclError(f"wanted a file, a folder or a manifest, got {type(data).__name__}")


def model_of(classifier: LabelClassifier, model: Embedder | str | Path | None, device: str = "auto") -> Embedder:
    """Return the model of a classifier, after checking that it is that model.

    Args:
        classifier: Names the model's folder and digest.
        model: The model or its folder; default: where it was when the classifier was fitted.
        device: `auto`, `cpu`, `cuda`, ...

    Raises:
        MfclError: it is another model, or it is not known where it is.
    """
    place = model if model is not None else classifier.about.get("model_folder")
    if place is None:
        raise MfclError("classifier: wanted its model to hear recordings with, but it does not name one; give --model")
    found = place if isinstance(place, Embedder) else load(place, device=device)
    digest = model_digest(found.checkpoint)
    if classifier.model and digest != classifier.model:
        raise MfclError(
            f"{found.folder}: the classifier is bound to the model {short(classifier.model)}, this is {short(digest)}; "
            "embeddings of two models cannot be compared: give its own model"
        )
    return found


def check_same_model(embeddings: Embeddings, model: Embedder) -> None:
    """Check that embeddings are a model's own, as they came out of it.

    Raises:
        MeasureError: they are another model's, were whitened, or do not name their model.
    """
    digest = model_digest(model.checkpoint)
    if embeddings.model == digest:
        return
    came = f"these are of {short(embeddings.model)}" if embeddings.model else "these do not name their model"
    raise MeasureError(
        f"embeddings: wanted ones of the model {short(digest)} ({model.folder}), {came}; embed the recordings with it, "
        "without --whiten"
    )


def vectors_of(data: Data, model: Embedder | None, *, data_root: Path | None = None, progress: bool) -> Embeddings:
    """Return embeddings of recordings, or those that are given."""
    if is_embeddings(data):
        return opened(data)
    if model is None:
        raise MfclError("wanted a model to embed recordings with, got none; give one, or embeddings (.npz, .parquet)")
    return embed(model, manifest_of(data, data_root), progress=progress)
