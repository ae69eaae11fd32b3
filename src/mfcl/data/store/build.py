"""Build a store of decoded recordings atomically."""

import contextlib
import io
import logging
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

import filelock
import numpy as np

from mfcl.audio import LongSound, Preparation, Sound, read_prepared, step_16_bit, to_16_bit
from mfcl.core.console import worded
from mfcl.core.parallel import in_parallel
from mfcl.data.manifest import Manifest, Recording
from mfcl.data.store.clips import Samples
from mfcl.errors import AudioError

log = logging.getLogger(__name__)


def decode(recording: Recording, preparation: Preparation) -> Sound:
    """Decode and prepare a recording as model input.

    Raises:
        AudioError: it cannot be used.
    """
    return read_prepared(recording.path, preparation, start=recording.start, end=recording.end)[0]


def decoded(recording: Recording, preparation: Preparation, dtype: str) -> "Clip | AudioError":
    """Return a recording as it is stored, or the reason why it cannot be used."""
    try:
        sound = decode(recording, preparation)
    except AudioError as error:
        return error
    if isinstance(sound, LongSound):
        return Clip(len(sound), step_16_bit(sound.peak), sound)
    if dtype == "float32":
        return Clip(len(sound), np.float32(1), sound)
    step = step_16_bit(float(np.abs(sound).max()))
    return Clip(len(sound), step, to_16_bit(sound, step))


@dataclass(frozen=True, eq=False)
class Clip:
    """A recording to write: its samples as stored, or a `LongSound` that is still to be decoded."""

    length: int
    step: np.float32
    sound: Samples | LongSound

    def write(self, file: BinaryIO, dtype: str) -> None:
        """Append the samples to a file; nothing is appended if the recording fails.

        Raises:
            AudioError: the recording's file has changed since it was checked.
        """
        if not isinstance(self.sound, LongSound):
            file.write(self.sound.tobytes())
            return
        begun = file.tell()
        try:
            for block in self.sound.blocks():
                file.write((block if dtype == "float32" else to_16_bit(block, self.step)).tobytes())
        except AudioError:
            file.seek(begun)
            file.truncate()
            raise


def build_store(
    place: Path,
    manifest: Manifest,
    preparation: Preparation,
    dtype: str,
    *,
    workers: int | None,
    shown: bool,
    strict: bool,
) -> None:
    """Write a store to a temporary folder and rename it when it is complete; the caller must hold the lock.

    Raises:
        AudioError: nothing could be decoded; or, if strict, the first recording that could not.
        OSError: the disk is full.
    """
    _sweep(place)
    temporary = place.with_name(f".{place.name}.tmp")
    temporary.mkdir()
    function = partial(decoded, preparation=preparation, dtype=dtype)
    count = workers or manifest.readers
    results = in_parallel(function, manifest.recordings, workers=count, what="Decoding", shown=shown)
    try:
        with contextlib.closing(results):
            index = _write_clips(temporary / "clips", manifest, results, dtype, strict)
        packed = io.BytesIO()
        np.savez(packed, **index)
        with (temporary / "index.npz").open("wb") as file:
            file.write(packed.getbuffer())
            _flush(file)
        shutil.rmtree(place, ignore_errors=True)  # a damaged store
        temporary.rename(place)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _write_clips(
    path: Path, manifest: Manifest, results: Iterator[Clip | AudioError], dtype: str, strict: bool
) -> dict[str, Any]:
    """Write the samples of all recordings one after another; return the arrays of the index."""
    lengths, scales, kept, failures = [], [], [], []
    with path.open("wb") as clips:
        for number, (recording, result) in enumerate(zip(manifest, results, strict=True)):
            try:
                if isinstance(result, AudioError):
                    raise result
                result.write(clips, dtype)
            except AudioError as error:
                if strict:
                    raise
                failures.append((recording.id, str(error).removeprefix(f"{recording.path}: ")))
                continue
            lengths.append(result.length)
            scales.append(1.0 if dtype == "float32" else float(result.step))
            kept.append(number)
        _flush(clips)
    if not kept:
        raise AudioError(
            f"{manifest.root}: none of {worded(len(manifest), 'recording')} can be used, the first: {failures[0][1]}"
        )
    return {
        "lengths": np.array(lengths, dtype=np.int64),
        "scales": np.array(scales, dtype=np.float32),
        "kept": np.array(kept, dtype=np.int64),
        "failures": np.array(failures, dtype=np.str_).reshape(-1, 2),
    }


@contextlib.contextmanager
def locked(place: Path) -> Iterator[None]:
    """Hold the lock for building a store; the system releases it when a process dies."""
    place.parent.mkdir(parents=True, exist_ok=True)
    lock = filelock.FileLock(place.with_name(f"{place.name}.lock"))
    try:
        lock.acquire(timeout=0)
    except filelock.Timeout:
        log.warning("another process is decoding the same recordings; waiting for it")
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


def _sweep(place: Path) -> None:
    """Remove the temporary folders of killed builds; a running build holds its lock."""
    shutil.rmtree(place.with_name(f".{place.name}.tmp"), ignore_errors=True)  # its lock is held by the caller
    for leftover in place.parent.glob(".*.tmp"):
        lock = filelock.FileLock(place.with_name(f"{leftover.name.split('.')[1]}.lock"))
        with contextlib.suppress(filelock.Timeout), lock.acquire(timeout=0):
            shutil.rmtree(leftover, ignore_errors=True)


def _flush(file: Any) -> None:
    file.flush()
    os.fsync(file.fileno())
