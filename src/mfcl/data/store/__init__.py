"""Store of decoded audio: one memory-mapped file and an index, built once; a cache that may be deleted."""

import contextlib
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Literal

from mfcl.audio import Preparation, kind_of
from mfcl.core.files import cache_folder
from mfcl.core.parallel import in_parallel
from mfcl.data.manifest import Manifest
from mfcl.data.store.build import build_store, decode, decoded, locked
from mfcl.data.store.clips import Store, load
from mfcl.data.store.packed import is_packed, load_packed, measure
from mfcl.errors import AudioError, StoreError

__all__ = ["Store", "decode", "open_store"]

HEARD = ("NaN", "silent")
"""Kinds of problems of sound that was read; others may have been those of a disk that was away."""
VERSION = 3  # of the file layout and the decoding; a new number makes stores be built again


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
    """Return a store of all recordings, decoded and prepared, from the cache or built now.

    A store is identified by its files (ids, sizes and times of change) and settings; if one changes, a new store is
    built, and also if a file can be read now that could not be read then, as when its disk was away. Two processes that
    need the same store build it once. A killed build leaves nothing that is used.

    Recordings of a pack are not copied: they are decoded when they are asked for, with the same result, and the latest
    are kept in memory (`mfcl.data.store.packed`), unless one is longer than some minutes.

    Args:
        manifest: The recordings; those that cannot be decoded are left out and listed in `failures`.
        preparation: How to prepare each recording.
        cache: Cache folder; by default $MFCL_CACHE, else ~/.cache/mfcl.
        dtype: Type of the stored samples; int16 takes half the space and scales each recording to its own peak.
        workers: Number of threads; None: one per core.
        progress: Whether to show a bar.
        strict: Raise an error at the first recording that cannot be decoded.

    Raises:
        AudioError: nothing could be decoded; or, if strict, the first recording that could not.
        StoreError: the cache cannot be written, such as on a full disk.
    """
    folder = cache_folder(cache) / "store"
    if dtype == "int16" and is_packed(manifest):
        place = folder / manifest.files_key((VERSION, preparation, dtype, "packed"), progress=progress)
        packed = _open_packed(place, manifest, preparation, workers=workers, progress=progress, strict=strict)
        if packed is not None:
            return packed
    place = folder / manifest.files_key((VERSION, preparation, dtype), progress=progress)
    reload = partial(load, place, manifest, preparation.sample_rate, dtype)
    store = _complete(reload(), manifest, preparation)
    if store is None:
        with _writing(place), locked(place):
            if _complete(reload(), manifest, preparation) is None:  # another process may have built it
                build_store(place, manifest, preparation, dtype, workers=workers, shown=progress, strict=strict)
        store = reload()
    if store is None:
        raise StoreError(f"{place}: the new store cannot be read; delete it and start again")
    if strict and store.failures:
        raise AudioError(f"{store.failures[0][0]}: {store.failures[0][1]}")
    return store


def _open_packed(
    place: Path, manifest: Manifest, preparation: Preparation, *, workers: int | None, progress: bool, strict: bool
) -> Store | None:
    """Return a store that decodes a pack's recordings when they are asked for; None if one is too long for that."""
    store = _complete(load_packed(place, manifest, preparation), manifest, preparation)
    if store is None:
        with _writing(place), locked(place):
            store = _complete(load_packed(place, manifest, preparation), manifest, preparation)
            if store is None:  # no other process has read them meanwhile
                if not measure(place, manifest, preparation, workers=workers, shown=progress, strict=strict):
                    return None
                store = load_packed(place, manifest, preparation)
    if store is not None and strict and store.failures:
        raise AudioError(f"{store.failures[0][0]}: {store.failures[0][1]}")
    return store


def _complete(store: Store | None, manifest: Manifest, preparation: Preparation) -> Store | None:
    """Return a store; None if one of the recordings that it lacks can be read now."""
    lacking = {name for name, reason in store.failures if kind_of(reason) not in HEARD} if store else set()
    recordings = [recording for recording in manifest if recording.id in lacking]
    found = in_parallel(
        partial(decoded, preparation=preparation, dtype="float32"), recordings, workers=manifest.readers,
        what="Decoding", shown=False,
    )  # fmt: skip
    with contextlib.closing(found):
        return store if all(isinstance(one, AudioError) for one in found) else None


@contextlib.contextmanager
def _writing(place: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise StoreError(
            f"{place.parent}: decoded audio cannot be written here ({error.strerror or error}); "
            "free some space, or set MFCL_CACHE to another folder"
        ) from error
