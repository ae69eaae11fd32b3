"""Embeddings made by other programs, as representations of a study beside its own."""

import contextlib
import hashlib
import inspect
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float32

from mfcl.core.console import printable
from mfcl.data.manifest import Manifest
from mfcl.data.store import Store
from mfcl.embeddings.foreign import read_foreign
from mfcl.embeddings.foreign_columns import Foreign
from mfcl.errors import MeasureError, MfclError, shown
from mfcl.evaluation.baselines import ClipSource
from mfcl.evaluation.noisy_store import Disturbed

Function = Callable[[Float32[np.ndarray, " samples"], int], Any]
"""From mono samples and their rate in Hz to a vector, or to frames (frames, dim), of which the mean is taken."""
Also = Mapping[str, "str | Path | Function"]
LONGEST_NAME = 40


@dataclass(frozen=True)
class Elsewhere:
    """One representation made elsewhere.

    Attributes:
        name: Its name in tables.
        digest: What its vectors follow from: a hash of the file's vectors, or of the function's source.
        vectors: The vectors of all recordings, in the manifest's order; None if `function` makes them.
        function: Makes the vector of any clip; None if they came in a file.
    """

    name: str
    digest: str
    vectors: Float32[np.ndarray, "items dim"] | None = None
    function: Function | None = None

    def describe(self, clips: ClipSource) -> Float32[np.ndarray, "items dim"]:
        """Return the vectors of all clips of a store, or of altered ones if a function makes them.

        Raises:
            MeasureError: the clips are altered and the vectors came in a file; or the function returns no vectors.
        """
        assert isinstance(clips, Store | Disturbed)
        if self.function is None:
            if self.vectors is None or isinstance(clips, Disturbed):
                raise MeasureError(f"{self.name}: its vectors came in a file; give a function to measure altered sound")
            return self.vectors
        made = [
            _vector(self.function(clips.clip(place), clips.sample_rate), self.name, str(clips.manifest.ids[place]))
            for place in range(len(clips.manifest))
        ]
        sizes = {len(one) for one in made}
        if len(sizes) != 1:
            raise MeasureError(f"{self.name}: wanted vectors of one size, got {shown(sorted(sizes))}; return one size")
        return np.stack(made)


def open_elsewhere(also: Also | Sequence[str], manifest: Manifest) -> dict[str, Elsewhere]:
    """Open all representations made elsewhere, and say which of their vectors are of no recording.

    Args:
        also: Name -> file or function; or texts `NAME=FILE`, as the command takes them.
        manifest: The recordings of the study.

    Raises:
        MeasureError: a file cannot be read, or a recording has no vector in it.
        MfclError: a name is missing, too long or given twice.
    """
    found: dict[str, Elsewhere] = {}
    for name, given in _named(also):
        if not name or len(name) > LONGEST_NAME or name in found:
            raise MfclError(f"also {shown(name)}: wanted a name of its own, of 1 to {LONGEST_NAME} characters")
        if callable(given):
            found[name] = Elsewhere(name, _digest_of(given), function=given)
            continue
        foreign = read_foreign(Path(given), wanted={key for one in manifest for key in _keys(one, manifest.root)})
        vectors = matched(foreign, manifest, str(given))
        found[name] = Elsewhere(name, hashlib.sha256(vectors.tobytes()).hexdigest(), vectors)
    return found


def matched(foreign: Foreign, manifest: Manifest, where: str) -> Float32[np.ndarray, "items dim"]:
    """Return a vector for each recording of a manifest, by id, by path, or by place where a file names none.

    Raises:
        MeasureError: a recording has no vector.
    """
    if foreign.names is None:
        if len(foreign.vectors) != len(manifest):
            raise MeasureError(
                f"{where}: {len(foreign.vectors)} vectors without ids, but {len(manifest)} recordings; give a row for "
                "each in the manifest's order, or a column `id` or `path`"
            )
        return foreign.vectors
    rows = {name: row for row, name in enumerate(foreign.names)}
    if len(rows) < len(foreign.names):
        twice = next(name for row, name in enumerate(foreign.names) if rows[name] != row)
        raise MeasureError(f"{where}: {shown(twice)} has several vectors; give one for each recording")
    places = [next((rows[key] for key in _keys(one, manifest.root) if key in rows), None) for one in manifest]
    missing = [one.id for one, place in zip(manifest, places, strict=True) if place is None]
    if missing:
        raise MeasureError(
            f"{where}: {len(missing)} of {len(manifest)} recordings have no vector, the first {shown(missing[0])}; its "
            f"names are like {shown(foreign.names[0])}: embed the others too, or leave them out of the manifest"
        )
    spare = len(rows) - len(set(places))
    if spare:
        text = f"note: {where}: {spare} of {len(rows)} vectors are of no recording in the study, and are not used"
        print(printable(text), file=sys.stderr)  # noqa: T201
    return foreign.vectors[np.array(places, dtype=np.int64)]


def _named(also: Also | Sequence[str]) -> list[tuple[str, Any]]:
    if isinstance(also, Mapping):
        return list(also.items())
    pairs = [text.partition("=") for text in also]
    for text, (name, sign, file) in zip(also, pairs, strict=True):
        if not (name and sign and file):
            raise MfclError(f"also {shown(text)}: wanted NAME=FILE, such as panns=panns.csv")
    return [(name, file) for name, _, file in pairs]


def _keys(recording: Any, root: Path) -> list[str]:
    """Return what a recording may be called in a file made elsewhere: its id, its path, its path in the folder."""
    path: Path = recording.path
    keys = [recording.id]
    if recording.start is None and recording.end is None:  # several recordings may lie in one file
        keys += [str(path), path.as_posix(), str(path.resolve())]
        if path.is_relative_to(root):
            keys.append(path.relative_to(root).as_posix())
    return keys


def _vector(value: Any, name: str, recording: str) -> Float32[np.ndarray, " dim"]:
    if hasattr(value, "detach"):
        value = value.detach().cpu()
    try:
        found = np.asarray(value, dtype=np.float32)
    except (TypeError, ValueError) as error:
        raise MeasureError(f"{name}: {recording}: wanted a vector or frames, got {type(value).__name__}") from error
    if found.ndim == 2 and len(found):
        found = found.mean(axis=0)
    if found.ndim != 1 or not found.size or not np.isfinite(found).all():
        raise MeasureError(
            f"{name}: {recording}: wanted a finite vector, or frames (frames, dim), got the shape {np.shape(value)}"
        )
    return found


def _digest_of(function: Function) -> str:
    """Return a hash of a function's name and of its source or code, as far as Python knows them."""
    text = f"{getattr(function, '__module__', '')}.{getattr(function, '__qualname__', type(function).__qualname__)}"
    with contextlib.suppress(OSError, TypeError):  # none if it was typed into a console
        text += inspect.getsource(function if inspect.isroutine(function) else type(function))
    code = getattr(function, "__code__", None)
    if code is not None:
        plain = [value for value in code.co_consts if isinstance(value, int | float | str | bytes)]
        text += f"{code.co_code.hex()}{plain}{code.co_names}"
    return hashlib.sha256(text.encode()).hexdigest()
