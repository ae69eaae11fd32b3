"""Embeddings made by other programs, as representations of a study beside its own."""

import contextlib
import functools
import hashlib
import inspect
import sys
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float32, Int64

from mfcl.core.console import are, have, printable, worded
from mfcl.data.manifest import Manifest
from mfcl.data.store import Store
from mfcl.embeddings.foreign import read_foreign
from mfcl.embeddings.foreign_columns import Foreign, quoted
from mfcl.errors import MeasureError, MfclError, check_type, shown
from mfcl.evaluation.baselines import ClipSource
from mfcl.evaluation.noisy_store import Disturbed
from mfcl.evaluation.result import ALIGNMENT, FROM_SCRATCH, PRETRAINED, SUPERVISED, UNTRAINED
from mfcl.studies.representations import BASELINES

Function = Callable[[Float32[np.ndarray, " samples"], int], Any]
"""From mono samples and their rate in Hz to a vector, or to frames (frames, dim), of which the mean is taken."""
Also = Mapping[str, "str | Path | Function"]
LONGEST_NAME = 40
ENCODERS = (UNTRAINED, PRETRAINED, SUPERVISED, FROM_SCRATCH)
"""Words between the commas of the names of a study's own encoders."""


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
    """Open all representations made elsewhere, and say what was read of each file.

    Args:
        also: Name -> file or function; or texts `NAME=FILE`, as the command takes them.
        manifest: The recordings of the study.

    Raises:
        MeasureError: a file cannot be read, or a recording has no vector in it.
        MfclError: a name is missing, too long, given twice, that of one of the study's own rows, or breaks a table.
    """
    found: dict[str, Elsewhere] = {}
    for name, given in _named(also):
        _check_name(name, found)
        if callable(given):
            found[name] = Elsewhere(name, _digest_of(given), function=given)
            continue
        foreign = read_foreign(Path(given), wanted={key for one in manifest for key in _keys(one, manifest.root)})
        known = {label.casefold() for label in manifest.label_names}
        labels = [column for column in foreign.columns if column.casefold() in known]
        if labels:
            raise MeasureError(
                f"{given}: its columns {quoted(labels)} are labels of the recordings, and would be read as values of "
                "the vectors; leave them out"
            )
        vectors = matched(foreign, manifest, str(given))
        found[name] = Elsewhere(name, hashlib.sha256(vectors.tobytes()).hexdigest(), vectors)
    return found


def matched(foreign: Foreign, manifest: Manifest, where: str) -> Float32[np.ndarray, "items dim"]:
    """Return a vector for each recording of a manifest, by id, by path, or by place where a file names none.

    What was read, by what it was matched and what was not used are said on standard error.

    Raises:
        MeasureError: a recording has no vector.
    """
    if foreign.named:
        by, places = _places(foreign.named, manifest, where)
        how, spare = f"by `{by}`", len(foreign.vectors) - len(set(places.tolist()))
    else:
        if len(foreign.vectors) != len(manifest):
            raise MeasureError(
                f"{where}: {worded(len(foreign.vectors), 'vector')} without ids, but "
                f"{worded(len(manifest), 'recording')}; give a row for "
                "each in the manifest's order, or a column `id` or `path`"
            )
        places, how, spare = np.arange(len(manifest)), "in the manifest's order, as it names no recordings", 0
    about = f" ({foreign.about})" if foreign.about else ""
    unread = f"; not read: {quoted(foreign.unread)}" if foreign.unread else ""
    read = f"{worded(len(foreign.vectors), 'vector')} of {worded(foreign.vectors.shape[1], 'value')}"
    _note(f"{where}: {read}{about}, {how}{unread}")
    if spare:
        total = len(foreign.vectors)
        _note(
            f"{where}: {spare} of {total} vectors {are(spare)} of no recording in the study, and {are(spare)} not used"
        )
    vectors: Float32[np.ndarray, "items dim"] = foreign.vectors[places]
    return vectors


def _places(named: Mapping[str, list[str]], manifest: Manifest, where: str) -> tuple[str, Int64[np.ndarray, " items"]]:
    """Return the column that names all recordings, and the row of each; columns that name only some do not count."""
    keys = [_keys(one, manifest.root) for one in manifest]
    found, problems = {}, {}
    for column, names in named.items():
        rows = {name: row for row, name in enumerate(names)}
        own = np.array([next((rows[key] for key in one if key in rows), -1) for one in keys], dtype=np.int64)
        missing = int((own < 0).sum())
        if missing:
            first = manifest.recordings[int(np.argmin(own))].id
            told = (
                f"{missing} of {worded(len(keys), 'recording')} {have(missing)} no vector, "
                f"the first {shown(first)}; its names in `{column}`"
            )
            act = "embed the others too, or leave them out of the manifest"
            problems[column] = missing, f"{told} are like {shown(names[0])}: {act}"
        elif len(rows) < len(names):
            twice = next(name for row, name in enumerate(names) if rows[name] != row)
            problems[column] = 0, f"{shown(twice)} has several vectors by `{column}`; give one for each recording"
        else:
            found[column] = own
    if not found:
        column = min(problems, key=lambda one: problems[one][0])
        rest = [
            f"; by `{other}` {count} {have(count)} none" for other, (count, _) in problems.items() if other != column
        ]
        raise MeasureError(f"{where}: {problems[column][1]}{''.join(rest)}")
    by = next(iter(found))
    other = next((column for column, own in found.items() if (own != found[by]).any()), None)
    if other is not None:
        raise MeasureError(
            f"{where}: its columns `{by}` and `{other}` name different recordings; leave the wrong one out"
        )
    return by, found[by]


def _check_name(name: str, others: Collection[str]) -> None:
    """Refuse a name that another row of the study's tables has, or that a table cannot hold."""
    taken = {" ".join(one.casefold().split()) for one in (*BASELINES, ALIGNMENT, *others)}
    words = [" ".join(word.split()) for word in name.casefold().split(",")]
    if not name or len(name) > LONGEST_NAME or not name.isprintable() or name != name.strip() or "|" in name:
        reason = f"of 1 to {LONGEST_NAME} characters that can be printed, without | and without blanks at its ends"
    elif ", ".join(words) in taken or any(word in ENCODERS for word in words):
        reason = "not one of another row of the study's tables"
    else:
        return
    raise MfclError(f"also {shown(name)}: wanted a name of its own, {reason}; choose another")


def _note(text: str) -> None:
    print(printable(f"note: {text}"), file=sys.stderr)  # noqa: T201


def _named(also: Also | Sequence[str]) -> list[tuple[str, Any]]:
    if isinstance(also, Mapping):
        return list(also.items())
    check_type("also", also, list | tuple, "a dict of files or functions by name, or a list of NAME=FILE")
    for one in also:
        check_type("also", one, str, "NAME=FILE, such as panns=panns.csv")
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
    """Return a hash of a function's name, source or code, and of the plain values it holds, as far as Python knows."""
    return hashlib.sha256(_told_of(function).encode()).hexdigest()


def _told_of(function: Any) -> str:
    if isinstance(function, functools.partial):
        return f"{_told_of(function.func)}{_plain([*function.args, *sorted(function.keywords.items())])}"
    text = f"{getattr(function, '__module__', '')}.{getattr(function, '__qualname__', type(function).__qualname__)}"
    with contextlib.suppress(OSError, TypeError):  # none if it was typed into a console
        text += inspect.getsource(function if inspect.isroutine(function) else type(function))
    code = getattr(function, "__code__", None)
    if code is not None:
        plain = [value for value in code.co_consts if isinstance(value, int | float | str | bytes)]
        text += f"{code.co_code.hex()}{plain}{code.co_names}"
    held = _held(function)
    return f"{text}{held}" if held else text


def _held(function: Any) -> list[Any]:
    """Return the plain values that a function was made with: defaults, those around it, and its object's."""
    values = [*(getattr(function, "__defaults__", None) or ())]
    values += sorted((getattr(function, "__kwdefaults__", None) or {}).items())
    for cell in getattr(function, "__closure__", None) or ():
        with contextlib.suppress(ValueError):  # not set yet
            values.append(cell.cell_contents)
    own = function if not inspect.isroutine(function) else getattr(function, "__self__", None)
    return _plain([*values, *sorted(getattr(own, "__dict__", {}).items())])


def _plain(values: Sequence[Any]) -> list[Any]:
    """Keep plain values, also in tuples and lists: what others are does not show in their text."""
    kept = [_plain(one) if isinstance(one, tuple | list) else one for one in values]
    return [one for one in kept if one is None or isinstance(one, int | float | str | bytes | Path | list)]
