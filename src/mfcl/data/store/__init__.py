"""Decoded sound, ready to be cut: one memory-mapped file and an index, built once; a cache that may be deleted."""

import contextlib
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Literal

from mfcl.audio import Preparation
from mfcl.core.files import cache_folder
from mfcl.data.manifest import Manifest
from mfcl.data.store.build import build_store, decode, locked
from mfcl.data.store.clips import Store, load
from mfcl.errors import AudioError, StoreError

__all__ = ["Store", "decode", "open_store"]

VERSION = 2  # of the files' layout and of how sound is decoded; another number, another store


def open_store(
    manifest: Manifest,
    preparation: Preparation,
    *,
    cache: Path | None = None,
    dtype: Literal["int16", "float32"] = "int16",
    workers: int | None = None,
    progress: bool = True,
    strict: bool = False,
) -> Store:
    """Return all recordings decoded and prepared: from the cache, or decoded now on all cores and kept there.

    A store belongs to the files (their ids, sizes and times of change) and the settings; whatever changes, another is
    built. Two processes that want the same one build it once, and of a build that is killed nothing is used.

    Args:
        manifest: The recordings; one that cannot be decoded is left out and named in `failures`.
        preparation: What is done to each.
        cache: Folder for stores; by default $MFCL_CACHE, else ~/.cache/mfcl.
        dtype: How samples are kept; int16 takes half the space and scales every recording to its own peak.
        workers: Threads; none: all cores.
        progress: Whether to show a bar.
        strict: A recording that cannot be decoded is an error.

    Raises:
        AudioError: nothing could be decoded; or, if strict, the first recording that could not.
        StoreError: the cache cannot be written, such as on a full disk.
    """
    place = cache_folder(cache) / "store" / manifest.files_key((VERSION, preparation, dtype))
    reload = partial(load, place, manifest, preparation.sample_rate, dtype)
    store = reload()
    if store is None:
        with _writing(place), locked(place):
            if reload() is None:  # another process may have built it
                build_store(place, manifest, preparation, dtype, workers=workers, shown=progress, strict=strict)
        store = reload()
    if store is None:
        raise StoreError(f"{place}: was built and cannot be read; delete it and start again")
    if strict and store.failures:
        raise AudioError(f"{store.failures[0][0]}: {store.failures[0][1]}")
    return store


@contextlib.contextmanager
def _writing(place: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise StoreError(
            f"{place.parent}: the decoded sound cannot be kept here ({error.strerror or error}); "
            "free some space, or set MFCL_CACHE to another folder"
        ) from error
