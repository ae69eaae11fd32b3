"""Refuse to test a run on what it was trained on: the recordings of its manifest, parts of them, and copies."""

import math
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from jaxtyping import Float64

from mfcl.core.spans import path_status
from mfcl.core.urls import UrlPath
from mfcl.data.manifest import Manifest, Recording
from mfcl.data.manifest_csv import read_manifest
from mfcl.data.split_notes import ROUNDED
from mfcl.data.unchanged import content_of
from mfcl.errors import AudioError, MeasureError

MANIFEST = "manifest.csv"
NOTHING = np.zeros((2, 0))
"""Begins and ends of no stretch of a file."""

Stretches = Mapping[Path, Float64[np.ndarray, "2 _"]]
"""File -> begins and ends, in seconds, of the stretches that a run was trained on."""


def manifest_of(run: Path) -> Path | None:
    """Return the manifest that a run was trained with, in its folder or beside its `model`; None if missing."""
    return next((place for place in (run / MANIFEST, run.parent / MANIFEST) if place.is_file()), None)


def refuse_known(manifest: Manifest, run: Path, name: str, *, data_root: Path | None = None) -> None:
    """Raise an error if a run was trained on recordings of the test split, on any part of one, or on copies of them.

    Copies are files of the same bytes at another path; those of which the original is not there any more are not known.

    Raises:
        MeasureError: it was.
    """
    listed = manifest_of(run)
    if listed is None:
        return
    spans: dict[Path, list[tuple[float, float]]] = {}
    for one in read_manifest(listed, data_root=data_root):
        if one.split == "train":
            spans.setdefault(one.path.resolve(), []).append(_span(one))
    tested = [one for one in manifest if one.split == "test"]
    known = _with_copies({path: np.array(own).T for path, own in spans.items()}, {one.path.resolve() for one in tested})
    trained_on = 0
    for one in tested:
        begins, ends = known.get(one.path.resolve(), NOTHING)
        start, end = _span(one)
        trained_on += bool(((start + ROUNDED < ends) & (begins + ROUNDED < end)).any())
    if trained_on:
        raise MeasureError(
            f"{name}: was trained on {trained_on} of the test recordings; leave out data to use the splits that it was "
            "trained with, or compare runs of one split"
        )


def _with_copies(known: Stretches, tested: set[Path]) -> Stretches:
    """Add tested files that are copies of known ones; files are read where another has the same size."""
    others = [path for path in tested if path not in known]
    by_size: dict[int, list[Path]] = {}
    for path in known if others else ():
        by_size.setdefault(_size(path), []).append(path)
    originals: dict[int, dict[str, Path]] = {}
    copies: dict[Path, Path] = {}
    for path in others:
        size = _size(path)
        if size <= 0 or size not in by_size:
            continue
        if size not in originals:
            originals[size] = {content_of(one): one for one in by_size[size]}
        content = content_of(path)
        if content and content in originals[size]:
            copies[path] = originals[size][content]
    return {**known, **{path: known[original] for path, original in copies.items()}}


def _size(path: Path) -> int:
    """Return the size of a file in bytes; -1 of one that is not there, or at a URL."""
    try:
        return -1 if isinstance(path, UrlPath) else path_status(path)[0]
    except (OSError, AudioError):
        return -1


def _span(one: Recording) -> tuple[float, float]:
    """Return the seconds of its file that a recording is."""
    return one.start or 0.0, math.inf if one.end is None else one.end
