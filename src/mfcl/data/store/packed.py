"""Recordings of a pack as a store that decodes them when they are asked for, and keeps the latest in memory."""

import contextlib
import os
import shutil
import threading
import zipfile
from collections import OrderedDict
from functools import partial
from pathlib import Path

import numpy as np
from jaxtyping import Float32, Int16, Int64

from mfcl.audio import LongSound, Preparation
from mfcl.core.console import worded
from mfcl.core.parallel import in_parallel
from mfcl.core.spans import span_of
from mfcl.data.manifest import Manifest, Recording
from mfcl.data.store.build import Clip, decoded
from mfcl.data.store.clips import Store
from mfcl.errors import AudioError, StoreError, shown

HELD_MEGABYTES = 256
"""Megabytes of decoded samples that a process keeps, if $MFCL_PACK_MEMORY does not say another number."""
MEMORY = "MFCL_PACK_MEMORY"
INDEX = "packed.npz"


def is_packed(manifest: Manifest) -> bool:
    """Return whether all recordings lie in a pack."""
    return all(span_of(recording.path) is not None for recording in manifest)


def held_bytes() -> int:
    """Return the bytes of decoded samples that a process may keep.

    Raises:
        StoreError: the environment variable is no number of megabytes.
    """
    given = os.environ.get(MEMORY, str(HELD_MEGABYTES))
    if not (given.isascii() and given.isdecimal() and 0 < int(given) < 1 << 20):
        raise StoreError(f"${MEMORY} is {shown(given)}; wanted megabytes, such as {HELD_MEGABYTES}")
    return int(given) << 20


class PackedSamples:
    """Samples of packed recordings, one after another, as a store has them; see `mfcl.data.store.clips.LazySamples`.

    What is read does not depend on what was read before, nor on how much is kept.

    Args:
        manifest: The recordings.
        preparation: How to prepare each.
        lengths: Their samples.
        scales: Their 16-bit steps.
        most: Bytes of samples to keep.
    """

    dtype = np.dtype(np.int16)
    itemsize = 2

    def __init__(
        self,
        manifest: Manifest,
        preparation: Preparation,
        lengths: Int64[np.ndarray, " items"],
        scales: Float32[np.ndarray, " items"],
        most: int,
    ) -> None:
        self._manifest, self._lengths, self._scales, self._most = manifest, lengths, scales, most
        self._decode = partial(decoded, preparation=preparation, dtype="int16")
        self._offsets = np.cumsum(lengths) - lengths
        self._readers = manifest.readers
        self._kept: OrderedDict[int, Int16[np.ndarray, " samples"]] = OrderedDict()
        self._bytes, self._lock = 0, threading.Lock()

    @property
    def kept_bytes(self) -> int:
        """Bytes of samples that are kept now."""
        return self._bytes

    def __getitem__(self, piece: slice) -> Int16[np.ndarray, " piece"]:
        """Return consecutive samples of one recording, or of several."""
        start, stop, _ = piece.indices(int(self._lengths.sum()))
        found = []
        while start < stop:
            item = self._item(start)
            first = int(self._offsets[item])
            last = min(stop, first + int(self._lengths[item]))
            found.append(self._sound(item)[start - first : last - first])
            start = last
        return found[0] if len(found) == 1 else np.concatenate([np.zeros(0, dtype=np.int16), *found])

    def ready(self, firsts: Int64[np.ndarray, " batch"]) -> None:
        """Decode in threads the recordings in which these samples lie, unless they are kept."""
        items = sorted({self._item(first) for first in firsts.tolist()})
        with self._lock:
            missing = [item for item in items if item not in self._kept]
        for _ in in_parallel(self._sound, missing, workers=self._readers, what="decoding", shown=False):
            pass

    def _item(self, place: int) -> int:
        """Return the recording in which a sample lies."""
        return int(np.searchsorted(self._offsets, place, side="right")) - 1

    def _sound(self, item: int) -> Int16[np.ndarray, " samples"]:
        with self._lock:
            if item in self._kept:
                self._kept.move_to_end(item)
                return self._kept[item]
        recording = self._manifest.recordings[item]
        clip = self._decode(recording)
        if isinstance(clip, AudioError):
            raise clip
        if clip.length != self._lengths[item] or clip.step != self._scales[item] or isinstance(clip.sound, LongSound):
            raise AudioError(f"{recording.path}: changed since it was first read; start again")
        samples = np.asarray(clip.sound, dtype=np.int16)
        with self._lock:
            if item not in self._kept:
                self._kept[item] = samples
                self._bytes += samples.nbytes
            while self._bytes > self._most and len(self._kept) > 1:
                self._bytes -= self._kept.popitem(last=False)[1].nbytes
        return samples


def measure(
    place: Path, manifest: Manifest, preparation: Preparation, *, workers: int | None, shown: bool, strict: bool
) -> bool:
    """Decode every recording once and keep what a store must know of it: its length and its step.

    Returns:
        Whether the recordings can be decoded when they are asked for; not if one is so long that this takes time.

    Raises:
        AudioError: nothing could be decoded; or, if strict, the first recording that could not.
        OSError: the disk is full.
    """
    lengths, scales, kept, failures = [], [], [], []
    function, count = partial(_measured, preparation=preparation), workers or manifest.readers
    results = in_parallel(function, manifest.recordings, workers=count, what="Reading", shown=shown)
    with contextlib.closing(results):
        for number, (recording, found) in enumerate(zip(manifest, results, strict=True)):
            if found is None:
                return False
            if isinstance(found, AudioError):
                if strict:
                    raise found
                failures.append((recording.id, str(found).removeprefix(f"{recording.path}: ")))
                continue
            lengths.append(found[0])
            scales.append(found[1])
            kept.append(number)
    if not kept:
        raise AudioError(
            f"{manifest.root}: none of {worded(len(manifest), 'recording')} can be used, the first: {failures[0][1]}"
        )
    temporary = place.with_name(f".{place.name}.tmp")
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir()
    try:
        np.savez(
            temporary / INDEX,
            lengths=np.array(lengths, dtype=np.int64),
            scales=np.array(scales, dtype=np.float32),
            kept=np.array(kept, dtype=np.int64),
            failures=np.array(failures, dtype=np.str_).reshape(-1, 2),
        )
        shutil.rmtree(place, ignore_errors=True)  # a damaged one
        temporary.rename(place)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return True


def load_packed(place: Path, manifest: Manifest, preparation: Preparation) -> Store | None:
    """Load what `measure` kept, as a store; None if it is absent or damaged."""
    try:
        with (place / INDEX).open("rb") as file, np.load(file, allow_pickle=False) as index:
            lengths, scales, kept, failures = (index[name] for name in ("lengths", "scales", "kept", "failures"))
        if not len(lengths) == len(scales) == len(kept) == len(manifest) - len(failures):
            return None
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        return None
    left_out = tuple((str(name), str(reason)) for name, reason in failures)
    usable = manifest.select(kept) if left_out else manifest
    samples = PackedSamples(usable, preparation, lengths, scales, held_bytes())
    return Store(
        usable, lengths, preparation.sample_rate, left_out, samples, scales, np.cumsum(lengths) - lengths
    )  # fmt: skip


def _measured(recording: Recording, preparation: Preparation) -> tuple[int, np.float32] | AudioError | None:
    """Return a recording's samples and step; None if it is too long to be decoded at once."""
    clip = decoded(recording, preparation, "int16")
    if not isinstance(clip, Clip):
        return clip
    return None if isinstance(clip.sound, LongSound) else (clip.length, clip.step)
