"""A classifier on disk: a folder of JSON and safetensors. Loading runs no code from it."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from mfcl.core.files import is_there, read_json, replacing
from mfcl.core.urls import local_path
from mfcl.embeddings.whitening import Whitening
from mfcl.errors import MeasureError, check_type, shown
from mfcl.labelling.classifier import LabelClassifier
from mfcl.labelling.features import Features

FORMAT = 1
"""Version of the folder's format; any other is refused."""
SETTINGS, WEIGHTS = "classifier.json", "classifier.safetensors"
KEYS: Mapping[str, type | tuple[type, ...]] = {
    "format": int, "classes": list, "features": str, "parts": list, "sharpness": (int, float),
    "farthest": (int, float), "model": str, "digest": str, "about": dict,
}  # fmt: skip
DAMAGED = "copy the classifier again, or fit it again"
LARGEST = 1e15


def is_classifier(folder: Path) -> bool:
    """Return whether a folder holds a classifier."""
    return is_there(folder / SETTINGS)


def save_classifier(classifier: LabelClassifier, folder: str | Path) -> None:
    """Write a classifier; an earlier one in the folder is replaced after all files are written.

    Raises:
        MfclError: the folder cannot be written.
    """
    check_type("classifier", classifier, LabelClassifier, "a classifier of `mfcl.fit_classifier`", error=MeasureError)
    place = local_path(folder, "classifier")
    arrays = {
        "weights": classifier.weights.astype(np.float32),
        "bias": classifier.bias.astype(np.float32),
        "centres": classifier.centres,
    }
    for number, whitening in enumerate(classifier.features.whitenings.values()):
        arrays |= {f"{number}.mean": whitening.mean, f"{number}.directions": whitening.directions}
    with replacing(place / SETTINGS) as settings, replacing(place / WEIGHTS) as weights:
        try:
            save_file({name: np.ascontiguousarray(array) for name, array in arrays.items()}, weights)
        except SafetensorError as error:  # wraps system errors, such as a full disk
            raise OSError(str(error)) from error
        content = {
            "format": FORMAT,
            "classes": [str(name) for name in classifier.classes],
            "features": classifier.features.name,
            "parts": list(classifier.features.whitenings),
            "sharpness": classifier.sharpness,
            "farthest": classifier.farthest,
            "model": classifier.model,
            "digest": _digest(weights),
            "about": dict(classifier.about),
        }
        settings.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def load_classifier(folder: str | Path) -> LabelClassifier:
    """Read a classifier that `save_classifier` or `mfcl classify --fit` wrote.

    Raises:
        MeasureError: a file is missing, damaged or of another version.
    """
    place = local_path(folder, "classifier")
    if not is_classifier(place):
        raise MeasureError(f"{place}: wanted a classifier, found no {SETTINGS}; write one with `mfcl classify --fit`")
    content = _settings(place / SETTINGS)
    arrays = _arrays(place / WEIGHTS, content["digest"])
    whitenings = _whitenings(place / WEIGHTS, content["parts"], arrays)
    features = Features(content["features"], whitenings)
    _check_shapes(place / WEIGHTS, arrays, features.dim, len(content["classes"]))
    return LabelClassifier(
        np.array(content["classes"], dtype=np.str_), features, arrays["weights"].astype(np.float64),
        arrays["bias"].astype(np.float64), float(content["sharpness"]), arrays["centres"], float(content["farthest"]),
        content["model"], content["about"],
    )  # fmt: skip


def _settings(path: Path) -> dict[str, Any]:
    content: dict[str, Any] = read_json(path, do=DAMAGED, error=MeasureError)
    if content.get("format") != FORMAT:
        raise MeasureError(
            f"{path}: wanted a classifier of format {FORMAT}, got {shown(content.get('format'))}; fit it again"
        )
    for key, kind in KEYS.items():
        if not isinstance(content.get(key), kind) or isinstance(content[key], bool):
            raise MeasureError(f"{path}: wanted the entry {key!r}, got {shown(content.get(key))}; {DAMAGED}")
    for key in ("classes", "parts"):
        names = content[key]
        if not names or not all(isinstance(one, str) for one in names) or len(set(names)) < len(names):
            raise MeasureError(f"{path}: wanted different names as {key!r}, got {shown(names)}; {DAMAGED}")
    if not (0 < content["sharpness"] < LARGEST and 0 <= content["farthest"] <= 2):
        raise MeasureError(f"{path}: wanted a sharpness above 0 and a distance up to 2; {DAMAGED}")
    return content


def _arrays(path: Path, digest: str) -> dict[str, np.ndarray]:
    try:
        if _digest(path) != digest:
            raise MeasureError(f"{path}: its bytes are not those that were written with {SETTINGS}; {DAMAGED}")
        with safe_open(path, framework="np") as file:
            found = {name: np.asarray(file.get_tensor(name)) for name in file.keys()}  # noqa: SIM118
    except (OSError, SafetensorError, ValueError, TypeError, KeyError) as error:
        reason = " ".join(str(error).split())[:200]
        raise MeasureError(f"{path}: wanted safetensors, cannot read it ({reason}); {DAMAGED}") from error
    for name, array in found.items():
        if array.dtype != np.float32 or not (np.abs(array) <= LARGEST).all():
            raise MeasureError(f"{path}: wanted {shown(name)} of finite float32 values; {DAMAGED}")
    return found


def _whitenings(path: Path, parts: list[str], arrays: Mapping[str, np.ndarray]) -> dict[str, Whitening]:
    made = {}
    for number, part in enumerate(parts):
        mean, directions = (arrays.get(f"{number}.{name}", np.zeros(0)) for name in ("mean", "directions"))
        if mean.ndim != 1 or directions.ndim != 2 or len(mean) != len(directions):
            raise MeasureError(
                f"{path}: wanted mean and directions of the part {part!r}, of shapes (dim,) and (dim, kept), got "
                f"{mean.shape} and {directions.shape}; {DAMAGED}"
            )
        made[part] = Whitening(mean, directions)
    return made


def _check_shapes(path: Path, arrays: Mapping[str, np.ndarray], dim: int, count: int) -> None:
    """Refuse arrays that are missing or do not fit the features and the classes."""
    wanted = {"weights": (dim, count), "bias": (count,), "centres": (count, dim)}
    for name, shape in wanted.items():
        found = arrays[name].shape if name in arrays else "nothing"
        if found != shape:
            raise MeasureError(f"{path}: wanted {name} of shape {shape}, got {found}; {DAMAGED}")


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
