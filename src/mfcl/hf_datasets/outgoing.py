"""Make a data set of the package `datasets` of recordings, their labels and their embeddings."""

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float32

from mfcl.core.console import are, have, printable, worded
from mfcl.core.extras import need
from mfcl.core.files import check_file_place, replacing
from mfcl.core.progress import progress as progress_bar
from mfcl.data.layouts import open_manifest
from mfcl.data.manifest import Manifest, Recording, is_text
from mfcl.embeddings.blocks import load_embeddings
from mfcl.embeddings.part_files import holds_embeddings
from mfcl.embeddings.table import Embeddings
from mfcl.errors import ManifestError, MeasureError, shown
from mfcl.hf_datasets.contents import check_whole_files, read_contents
from mfcl.hf_datasets.sources import EXTRA

AUDIO, ID, SPLIT, VECTOR = "audio", "id", "split", "embedding"
SPLITS = {"train": "train", "valid": "validation", "test": "test"}
"""Split of a manifest -> its name on the hub."""
ROWS, BYTES = 256, 1 << 25
"""Most rows, and about how many bytes of sound, that are in memory at once."""

Data = str | Path | Manifest | Embeddings


@dataclass(frozen=True)
class Table:
    """Everything of a data set but the sound.

    Attributes:
        ids: Of the recordings.
        splits: Of the recordings; empty texts for none.
        labels: Name -> a text for each recording.
        vectors: A row for each recording; None: no embeddings.
        manifest: Where the sound is; None: embeddings alone.
    """

    ids: list[str]
    splits: list[str]
    labels: dict[str, list[str]]
    vectors: Float32[np.ndarray, "items dim"] | None
    manifest: Manifest | None


def to_dataset(
    source: Data,
    *,
    embeddings: str | Path | Embeddings | None = None,
    arrow: str | Path | None = None,
    data_root: str | Path | None = None,
    progress: bool = True,
) -> Any:
    """Make a `datasets.Dataset` (extra `datasets`) of recordings: `audio`, `id`, `split`, labels, `embedding`.

    The column `audio` is `Audio(decode=False)`: with paths of files or, with `arrow`, their bytes as they are.
    `save_to_disk` and `push_to_hub` of the package put the bytes in anyway. Rows that are parts of long files, lie in
    a pack or at URLs need `arrow`; a part is cut out and kept as FLAC. Labels are texts, unknown ones None.

    Args:
        source: The recordings: a manifest, its path, a folder, a corpus or a pack. Also embeddings or their file, of
            which there is no column `audio`.
        embeddings: Vectors of `mfcl embed`, given to the recordings by id: the column `embedding`, float32 of one size.
        arrow: File to write, in which rows are kept with the bytes of their sound; None: paths, all in memory.
        data_root: For a manifest: folder of the recordings, if they were moved.
        progress: Show a progress bar.

    Raises:
        ManifestError: recordings that paths cannot stand for, or a label called like another column.
        MeasureError: a recording has no vector, or several.
        AudioError: a recording cannot be read (`arrow`).
        MissingExtraError: `datasets` is not installed.
    """
    datasets, pyarrow = need("datasets", EXTRA), need("pyarrow", EXTRA)
    place = None if arrow is None else Path(arrow)
    if place is not None:
        check_file_place(place)
    table = _table(source, embeddings, data_root)
    schema = _features(table, datasets).arrow_schema
    if place is None:
        sink = pyarrow.BufferOutputStream()
        if table.manifest is not None:
            check_whole_files(table.manifest)
        _write(sink, schema, table, _paths(table), pyarrow)
        return datasets.Dataset.from_buffer(sink.getvalue())
    if table.manifest is None:
        raise ManifestError("arrow: embeddings alone have no sound to write; give the recordings too, or leave it out")
    with replacing(place) as temporary, pyarrow.OSFile(str(temporary), "wb") as file:
        _write(file, schema, table, _contents(table.manifest, place.absolute().parent, progress), pyarrow)
    return datasets.Dataset.from_file(str(place))


def to_dataset_dict(
    source: Data,
    *,
    embeddings: str | Path | Embeddings | None = None,
    arrow: str | Path | None = None,
    data_root: str | Path | None = None,
    progress: bool = True,
) -> Any:
    """Make a `datasets.DatasetDict` of recordings by their splits: `train`, `validation` (`valid`) and `test`.

    See `to_dataset` for the arguments and the columns, of which `split` is left out.

    Raises:
        ManifestError: a recording has no split; or as `to_dataset`.
    """
    datasets = need("datasets", EXTRA)
    whole = to_dataset(source, embeddings=embeddings, arrow=arrow, data_root=data_root, progress=progress)
    found = np.array(whole[SPLIT][:] if SPLIT in whole.column_names else [None] * len(whole), dtype=object)
    without = int((found == None).sum())  # noqa: E711  # of each element
    if without:
        raise ManifestError(
            f"{without} of {worded(len(whole), 'recording')} {have(without)} no split, and a DatasetDict has no "
            f"other rows; give each a "
            "split, or use to_dataset"
        )
    rows = whole.remove_columns([SPLIT])
    return datasets.DatasetDict(
        {name: rows.select(np.flatnonzero(found == split)) for split, name in SPLITS.items() if (found == split).any()}
    )


def _table(source: Data, embeddings: str | Path | Embeddings | None, data_root: str | Path | None) -> Table:
    vectors = embeddings if embeddings is None or isinstance(embeddings, Embeddings) else load_embeddings(embeddings)
    alone = source if isinstance(source, Embeddings) else _embeddings_of(source)
    if alone is not None:
        if vectors is not None:
            raise ManifestError("source: wanted recordings beside `embeddings`, got other embeddings; give one of them")
        labels = {name: column.tolist() for name, column in alone.labels.items()}
        return Table(alone.ids.tolist(), alone.splits.tolist(), labels, alone.vectors, None)
    root = None if data_root is None else Path(data_root)
    manifest = source if isinstance(source, Manifest) else open_manifest(source, data_root=root)  # type: ignore[arg-type]
    labels = {name: [one.label(name) for one in manifest] for name in manifest.label_names}
    found = None if vectors is None else _matched(vectors, manifest)
    return Table([one.id for one in manifest], manifest.splits.tolist(), labels, found, manifest)


def _embeddings_of(source: str | Path | Manifest) -> Embeddings | None:
    """Load a file or folder of embeddings; None if it is a list of recordings."""
    if isinstance(source, Manifest):
        return None
    return load_embeddings(source) if holds_embeddings(source) else None


def _matched(embeddings: Embeddings, manifest: Manifest) -> Float32[np.ndarray, "items dim"]:
    rows = {str(name): row for row, name in enumerate(embeddings.ids)}
    if len(rows) < len(embeddings):
        twice = next(str(name) for row, name in enumerate(embeddings.ids) if rows[str(name)] != row)
        raise MeasureError(f"embeddings: {shown(twice)} has several vectors; embed whole recordings, without windows")
    lacking = [one.id for one in manifest if one.id not in rows]
    if lacking:
        raise MeasureError(
            f"embeddings: {len(lacking)} of {worded(len(manifest), 'recording')} {have(len(lacking))} no vector, "
            f"the first {shown(lacking[0])}; "
            f"ids of the vectors are like {shown(str(embeddings.ids[0]))}: embed this list, or leave those out of it"
        )
    if len(rows) > len(manifest):
        count = len(rows) - len(manifest)
        told = f"{count} of {len(rows)} vectors {are(count)} of no recording in the list, and left out"
        print(f"note: {told}", file=sys.stderr)  # noqa: T201
    return embeddings.vectors[np.array([rows[one.id] for one in manifest], dtype=np.int64)]


def _features(table: Table, datasets: Any) -> Any:
    kinds = {} if table.manifest is None else {AUDIO: datasets.Audio(decode=False)}
    kinds |= {ID: datasets.Value("string")} | ({SPLIT: datasets.Value("string")} if any(table.splits) else {})
    for name in table.labels:
        if name in (AUDIO, ID, SPLIT, VECTOR):
            raise ManifestError(f"a label cannot be called {name!r}, which is a column of its own; rename it")
        kinds[name] = datasets.Value("string")
    if table.vectors is not None:
        kinds[VECTOR] = datasets.Sequence(datasets.Value("float32"), length=table.vectors.shape[1])
    return datasets.Features(kinds)


def _paths(table: Table) -> Iterator[tuple[range, list[Any] | None]]:
    """Yield numbers of rows and their sound as paths; None if there is no sound."""
    for first in range(0, len(table.ids), ROWS):
        rows = range(first, min(first + ROWS, len(table.ids)))
        if table.manifest is None:
            yield rows, None
            continue
        some = [table.manifest.recordings[row] for row in rows]
        bad = next((one for one in some if not is_text(one.path)), None)
        if bad is not None:
            raise ManifestError(f"{bad.id}: the path is not UTF-8; rename the file")
        yield rows, [{"bytes": None, "path": str(one.path.absolute())} for one in some]


def _contents(manifest: Manifest, folder: Path, progress: bool) -> Iterator[tuple[range, list[Any]]]:
    """Yield numbers of rows and their sound as bytes, in batches of bounded size."""
    folder.mkdir(parents=True, exist_ok=True)
    rounded, first, size = 0, 0, 0
    batch: list[Any] = []
    with progress_bar(total=len(manifest), what="reading", unit="clips", shown=progress) as bar:
        for begin in range(0, len(manifest), ROWS):
            some: list[Recording] = list(manifest.recordings[begin : begin + ROWS])
            for one in read_contents(some, folder, manifest.readers):
                if batch and (len(batch) == ROWS or size + len(one.bytes) > BYTES):
                    yield range(first, first + len(batch)), batch
                    first, batch, size = first + len(batch), [], 0
                batch.append({"bytes": one.bytes, "path": one.name})
                size += len(one.bytes)
                rounded += not one.exact
                bar.update()
    yield range(first, first + len(batch)), batch
    if rounded:
        parts = worded(rounded, "part of a file was", "parts of files were")
        text = f"note: {parts} rounded to 24 bits, as FLAC holds no more"
        print(printable(text), file=sys.stderr)  # noqa: T201


def _write(sink: Any, schema: Any, table: Table, batches: Iterator[tuple[range, list[Any] | None]], arrow: Any) -> None:
    """Write all rows as a stream of Arrow."""
    texts = {ID: table.ids, SPLIT: table.splits, **table.labels}
    with arrow.ipc.new_stream(sink, schema) as stream:
        for rows, sounds in batches:
            columns = []
            for field in schema:
                if field.name == AUDIO:
                    columns.append(arrow.array(sounds, field.type))
                elif field.name == VECTOR and table.vectors is not None:
                    flat = np.ascontiguousarray(table.vectors[rows.start : rows.stop], dtype=np.float32).ravel()
                    columns.append(arrow.FixedSizeListArray.from_arrays(arrow.array(flat), type=field.type))
                else:
                    some = [text or None for text in texts[field.name][rows.start : rows.stop]]
                    columns.append(arrow.array(some, field.type))
            stream.write_batch(arrow.RecordBatch.from_arrays(columns, schema=schema))
