"""Which columns of a data set become which columns of a manifest, and their values as texts."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mfcl.core.extras import need
from mfcl.data.manifest_csv import check_labels
from mfcl.data.manifest_parquet import is_scalar, texts_of
from mfcl.errors import ManifestError, one_of, shown
from mfcl.hf_datasets.sources import EXTRA, NAMES, Part

ROWS = 1 << 14
"""Rows of a column of texts that are read at once."""
NAMED = 5
"""Most columns that a note names."""
PREFIX = "dataset_"
"""Beginning of a label's name where its column's name means something else in a manifest."""


@dataclass(frozen=True)
class Columns:
    """What is taken of a data set.

    Attributes:
        audio: The column of sound.
        id: The column of ids; None: rows are numbered.
        split: The column of splits; None if there is none.
        labels: Column -> name of its label.
        notes: What a person should know, one sentence each.
    """

    audio: str
    id: str | None
    split: str | None
    labels: dict[str, str]
    notes: tuple[str, ...]

    def used(self, rows: Any) -> list[str]:
        """Return the columns of some rows that are read."""
        wanted = [self.audio, self.id, self.split, *self.labels]
        return [name for name in dict.fromkeys(wanted) if name is not None and name in rows.column_names]


def choose_columns(parts: Sequence[Part], audio: str | None, manifest: Path) -> Columns:
    """Choose the columns of sound, ids and splits, and name the labels.

    Args:
        parts: The data set.
        audio: The column of sound; None: the only one with `datasets.Audio`.
        manifest: The manifest to be, for messages.

    Raises:
        ManifestError: there is no such column, or several.
    """
    chosen = _audio_column(parts, audio)
    arrow, notes = need("pyarrow", EXTRA), []
    kinds = {field.name: field.type for part in parts for field in part.rows.features.arrow_schema}
    scalar = [name for name, kind in kinds.items() if name != chosen and is_scalar(arrow, kind)]
    others = [name for name in kinds if name != chosen and name not in scalar]
    if others:
        some = ", ".join(map(shown, others[:NAMED])) + (", ..." if len(others) > NAMED else "")
        notes.append(f"columns of lists, pictures or bytes are left out: {some}")
    if len(parts) == 1 and parts[0].name and not parts[0].split:
        notes.append(f"the only split, {shown(parts[0].name)}, is not written: splits are then drawn from all of it")
    by_id = "id" in scalar and _are_ids(parts)
    by_split = "split" in scalar and not parts[0].name and _are_splits(parts[0].rows)
    labels: dict[str, str] = {}
    for name in scalar:
        if (name == "id" and by_id) or (name == "split" and by_split):
            continue
        labels[name] = _label(name, {*scalar, *labels.values()} - {name}, manifest)
        if labels[name] != name:
            notes.append(f"the column {shown(name)} is the label {shown(labels[name])}{_reason(name)}")
    check_labels(["path", "id", "split", *labels.values()], [*labels.values()], manifest)
    return Columns(chosen, "id" if by_id else None, "split" if by_split else None, labels, tuple(notes))


def _reason(name: str) -> str:
    reasons = {
        "id": ": its values are not ids, of which each recording has one of its own",
        "split": ": the data set's own splits count, or its values are no names of splits",
    }
    return reasons.get(name, ", as that name has a meaning of its own in a manifest")


def _audio_column(parts: Sequence[Part], asked: str | None) -> str:
    datasets = need("datasets", EXTRA)
    known: dict[str, None] = {}
    for part in parts:
        known |= dict.fromkeys(name for name, one in part.rows.features.items() if isinstance(one, datasets.Audio))
    if asked is None:
        if len(known) != 1:
            found = f"several ({', '.join(map(shown, known))})" if known else "none"
            raise ManifestError(f"wanted one column of audio, the data set has {found}; name one (audio)")
        asked = next(iter(known))
    for part in parts:
        kind = part.rows.features.get(asked)
        if kind is None:
            where = f"in the split {shown(part.name)}, " if part.name else ""
            raise ManifestError(where + one_of("column", asked, part.rows.column_names))
        if not isinstance(kind, datasets.Audio) and kind != datasets.Value("string"):
            raise ManifestError(
                f"the column {shown(asked)} holds {shown(kind)}, wanted datasets.Audio or paths as text; cast it "
                "(cast_column) or name another column"
            )
    return asked


def _label(name: str, taken: set[str], manifest: Path) -> str:
    label = name.strip() or "column"
    while label in taken or not _is_free(label, manifest):
        label = f"{PREFIX}{label}"
    return label


def _is_free(label: str, manifest: Path) -> bool:
    """Return whether a manifest with this label is read back with it as a label."""
    try:
        check_labels(["path", label], [label], manifest)
    except ManifestError:
        return False
    return True


def _are_ids(parts: Sequence[Part]) -> bool:
    """Return whether every row has an id that no other has."""
    seen: set[str] = set()
    count = 0
    for part in parts:
        if "id" not in part.rows.column_names:
            return False
        for text in _values(part.rows, "id"):
            count += 1
            seen.add(text)
            if not text.strip() or len(seen) < count:
                return False
    return True


def _are_splits(rows: Any) -> bool:
    return {text.strip() for text in _values(rows, "split")} <= {"", *NAMES}


def _values(rows: Any, name: str) -> Iterator[str]:
    alone = rows.select_columns([name]).with_format("arrow")
    for first in range(0, len(rows), ROWS):
        yield from texts(alone[first : first + ROWS], name, rows.features[name])


def texts(table: Any, name: str, feature: Any) -> list[str]:
    """Return the values of a column as texts; the numbers of a `ClassLabel` as its names, -1 as an empty text.

    Raises:
        ManifestError: a number has no name, or the values have no text.
    """
    arrow = need("pyarrow", EXTRA)
    names: Sequence[str] | None = getattr(feature, "names", None)
    try:
        column = table.column(name).combine_chunks()
        if names is None:
            return texts_of(column, arrow)
        numbers = [-1 if number is None else int(number) for number in column.to_pylist()]
    except arrow.ArrowException as error:
        told = " ".join(str(error).split())[:200]
        raise ManifestError(
            f"the column {shown(name)} cannot be written as text ({told}); remove or cast it"
        ) from error
    strange = [number for number in numbers if not -1 <= number < len(names)]
    if strange:
        raise ManifestError(f"the column {shown(name)} has the class {strange[0]}, but {len(names)} names of classes")
    return ["" if number == -1 else names[number] for number in numbers]
