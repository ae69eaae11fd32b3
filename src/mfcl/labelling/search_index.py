"""An index beside embeddings for approximate search, bound to these very vectors and to the metric of exact search."""

import itertools
import logging
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import filelock
import numpy as np
from jaxtyping import Float32, Int64

import mfcl
from mfcl.core.extras import need
from mfcl.core.files import check_folder_place, read_json, write_json
from mfcl.core.fingerprints import Fingerprint, fingerprint, same_as
from mfcl.core.parallel import core_count
from mfcl.core.progress import progress as progress_bar
from mfcl.embeddings.blocks import Blocks, open_blocks
from mfcl.embeddings.npz_file import FAULTS, read_npz, write_npz
from mfcl.embeddings.part_files import RECEIPT, is_part_folder, open_part_files
from mfcl.embeddings.table import Embeddings
from mfcl.embeddings.vector_index import EXTRA, FILES, VectorIndex, read_vector_index, write_graph, write_rows
from mfcl.embeddings.whitening import Whitening
from mfcl.errors import MeasureError, MfclError, one_of
from mfcl.labelling.features import (
    ALL,
    ROWS_AT_ONCE,
    VOICES,
    WORDS,
    Features,
    fit_features_of_blocks,
    hashed_ids,
    ordered_kinds,
)

log = logging.getLogger(__name__)

ABOUT = "index.json"
METRIC = "metric.npz"
IDS = "ids.npy"
FORMAT = 1


@dataclass(frozen=True, eq=False)
class SearchIndex:
    """An index that was checked to be of its embeddings.

    Attributes:
        folder: Where it is.
        features: The metric: which parts are compared, and their whitening.
        vectors: The features of all items, and the graph over them.
        blocks: The embeddings, of which only those parts are read that are asked for.
        ids: 8 bytes of a digest of each item's id.
        recall: Share of the nearest 10 that it found for 100 of its own items when it was made.
    """

    folder: Path
    features: Features
    vectors: VectorIndex
    blocks: Blocks
    ids: Int64[np.ndarray, " items"]
    recall: float

    def places_of(self, name: str) -> Int64[np.ndarray, " places"]:
        """Return the places of the items with an id."""
        places = np.flatnonzero(self.ids == hashed_ids([name])[0])
        return places[self.blocks.select(places).ids == name] if len(places) else places


def open_search_index(
    source: str | Path, part: str | None = None, *, threads: int | None = None, progress: bool = False
) -> SearchIndex:
    """Open the index beside embeddings; one that is missing, damaged, or of other vectors or another metric, is made.

    It is the folder `index-words` (or `all`, `voices`) in a folder of parts, or FILE.index-words beside a file, and
    holds the features of exact search once more: 8 bytes a value in all, about 200 a recording, and as much memory
    while it is made. It is written whole: a killed call leaves none.

    Args:
        source: A folder of parts, or a file of embeddings.
        part: `words`, `voices` or `all`; default: what exact search compares by.
        threads: Processor threads to make it with; all cores if left out.
        progress: Show a progress bar.

    Raises:
        MissingExtraError: usearch is not installed.
        MfclError: no such part, embeddings that cannot be read, or no index can be written beside them.
    """
    need("usearch.index", EXTRA)
    source = Path(source)
    for name in (WORDS, ALL, VOICES) if part is None else (part,):
        found = _opened(source, name, default=part is None)
        if isinstance(found, SearchIndex):
            return found
    blocks = open_blocks(source)
    kinds = fit_features_of_blocks(blocks)
    names = ordered_kinds(kinds, aligned=False)
    if part is not None and part not in names:
        raise MeasureError(f"similar: {one_of('part', part, names)}")
    chosen = next(one for one in kinds if one.name == (part or names[0]))
    folder = _place(source, chosen.name)
    check_folder_place(folder)
    try:
        with filelock.FileLock(folder.with_name(f".{folder.name}.lock")):
            found = _opened(source, chosen.name)  # another process may have made it meanwhile
            if isinstance(found, SearchIndex):
                return found
            if found:
                log.warning("%s: %s; it is made anew", folder, found)
            _make(folder, source, blocks, chosen, names, threads or core_count(), shown=progress)
            found = _opened(source, chosen.name)
    except OSError as error:
        raise MfclError(
            f"{folder}: the index cannot be written ({error.strerror or error}); search without --approximate"
        ) from None
    if not isinstance(found, SearchIndex):
        raise MeasureError(f"{folder}: {found} while the index was made; run the same command again")
    return found


def _place(source: Path, name: str) -> Path:
    return source / f"index-{name}" if is_part_folder(source) else source.with_name(f"{source.name}.index-{name}")


def _sources(source: Path) -> list[Path]:
    """Return the files of embeddings, in order."""
    if not is_part_folder(source):
        return [source]
    files = open_part_files(source)
    return [source / RECEIPT, *(files.path(part) for part in range(files.receipt.parts))]


def _opened(source: Path, name: str, *, default: bool = False) -> SearchIndex | str:
    """Return an index that is whole and of these embeddings, or why there is none; "" if nothing is there.

    Args:
        source: The embeddings.
        name: The features' name.
        default: Only if exact search compares by these features where no part is named.
    """
    folder = _place(source, name)
    if not (folder / ABOUT).is_file():
        return ""
    try:
        about = read_json(folder / ABOUT, do="delete it", error=MeasureError)
        if (about["format"], about["mfcl"], about["features"]) != (FORMAT, mfcl.__version__, name):
            return "made by another version"
        if default and about["kinds"][0] != name:
            return "not what is searched by default"
        for what, files in (("source", _sources(source)), ("files", [folder / one for one in (*FILES, METRIC, IDS)])):
            if not same_as(Fingerprint(*about[what]), files):
                return "made of other vectors" if what == "source" else "its files were changed"
        sizes, dim, arrays = tuple(about["sizes"]), about["dim"], read_npz(folder / METRIC, ("mean_", "directions_"))
        whitenings = {
            part: Whitening(arrays[f"mean_{place}"], arrays[f"directions_{place}"])
            for place, part in enumerate(about["parts"])
        }
        vectors = read_vector_index(folder, sum(sizes), dim)
        ids = np.load(folder / IDS, mmap_mode="r", allow_pickle=False)
    except (MfclError, *FAULTS) as error:
        if isinstance(error, MfclError) and not isinstance(error, MeasureError):
            raise  # usearch is not installed
        return f"damaged ({error})"
    features = Features(name, whitenings)
    return SearchIndex(folder, features, vectors, open_blocks(source, sizes=sizes), ids, float(about["recall"]))


def _make(
    folder: Path, source: Path, blocks: Blocks, features: Features, kinds: list[str], threads: int, *, shown: bool
) -> None:
    """Write an index beside, then put it in the place of the old one; the caller holds the lock."""
    made = folder.with_name(f".{folder.name}.tmp")
    shutil.rmtree(made, ignore_errors=True)  # of a killed call
    made.mkdir(parents=True)
    try:
        before = fingerprint(_sources(source))
        items, dim, ids = len(blocks), features.dim, []
        with progress_bar(total=2 * items, what="index", unit="vectors", shown=shown) as bar:
            with write_rows(made, items, dim) as file:
                for some in _pieces(blocks):
                    rows: Float32[np.ndarray, "items dim"] = features(some)
                    file.write(np.ascontiguousarray(rows, dtype="<f4"))
                    ids.append(hashed_ids(some.ids.tolist()))
                    bar.update(len(some))
            write_graph(made, threads=threads, bar=bar)
        np.save(made / IDS, np.concatenate(ids))
        arrays = {f"mean_{place}": one.mean for place, one in enumerate(features.whitenings.values())}
        arrays |= {f"directions_{place}": one.directions for place, one in enumerate(features.whitenings.values())}
        write_npz(made / METRIC, arrays)
        if not same_as(before, _sources(source)):
            raise MeasureError(f"{source}: it changed while its index was made; run the same command again")
        own = fingerprint(made / one for one in (*FILES, METRIC, IDS))
        about: dict[str, Any] = {
            "format": FORMAT, "mfcl": mfcl.__version__, "features": features.name, "kinds": kinds,
            "parts": list(features.whitenings), "sizes": blocks.sizes, "dim": dim,
            "source": [before.stamp, before.content], "files": [own.stamp, own.content],
            "recall": read_vector_index(made, items, dim).recall(),
        }  # fmt: skip
        write_json(made / ABOUT, about)
        shutil.rmtree(folder, ignore_errors=True)
        made.rename(folder)
    finally:
        shutil.rmtree(made, ignore_errors=True)


def _pieces(blocks: Blocks) -> Iterator[Embeddings]:
    """Yield all items, some thousands at a time, at the edges at which exact search cuts them: the same last bits."""
    for block in blocks:
        for start, stop in itertools.pairwise([*range(0, len(block), ROWS_AT_ONCE), len(block)]):
            yield block if stop - start == len(block) else block.select(np.arange(start, stop))
