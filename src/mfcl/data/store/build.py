"""Decode recordings into a store, once, whole or not at all."""

import contextlib
import io
import logging
import os
import shutil
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import filelock
import numpy as np
from jaxtyping import Float32

from mfcl.audio import SILENCE_DB, Preparation, level_db, prepare, read_audio
from mfcl.core.parallel import in_parallel
from mfcl.data.manifest import Manifest, Recording
from mfcl.data.store.clips import Samples
from mfcl.errors import AudioError

log = logging.getLogger(__name__)


def decode(recording: Recording, preparation: Preparation) -> Float32[np.ndarray, " samples"]:
    """Return a recording as every model hears it.

    Raises:
        AudioError: it cannot be read, or it is silent.
    """
    samples, rate = read_audio(recording.path, start=recording.start, end=recording.end)
    if level_db(samples, mean=float(np.mean(samples, dtype=np.float64))) < SILENCE_DB:
        raise AudioError(f"{recording.path}: silent; leave it out")
    try:
        return prepare(samples, rate, preparation)
    except AudioError as error:
        raise AudioError(f"{recording.path}: {error}") from error


def _decoded(recording: Recording, preparation: Preparation, dtype: str) -> tuple[Samples, float] | AudioError:
    try:
        samples = decode(recording, preparation)
    except AudioError as error:
        return error
    if dtype == "float32":
        return samples, 1.0
    scale = np.float32(max(float(np.abs(samples).max()), 1e-9) / 32767)
    return np.rint(samples / scale).astype(np.int16), float(scale)


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
    """Write a store beside its place and move it there when it is whole; the caller holds the lock.

    Raises:
        AudioError: nothing could be decoded; or, if strict, the first recording that could not.
        OSError: the disk is full.
    """
    _sweep(place)
    temporary = place.with_name(f".{place.name}.tmp")
    temporary.mkdir()
    function = partial(_decoded, preparation=preparation, dtype=dtype)
    results = in_parallel(function, manifest.recordings, workers=workers, what="Decoding", shown=shown)
    try:
        with contextlib.closing(results):
            index = _write_clips(temporary / "clips", manifest, results, strict)
        packed = io.BytesIO()
        np.savez(packed, **index)
        with (temporary / "index.npz").open("wb") as file:
            file.write(packed.getbuffer())
            _flush(file)
        shutil.rmtree(place, ignore_errors=True)  # one that could not be read
        temporary.rename(place)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _write_clips(
    path: Path, manifest: Manifest, results: Iterator[tuple[Samples, float] | AudioError], strict: bool
) -> dict[str, Any]:
    """Write all samples one after another; return the arrays of the index."""
    lengths, scales, kept, failures = [], [], [], []
    with path.open("wb") as clips:
        for number, (recording, result) in enumerate(zip(manifest, results, strict=True)):
            if isinstance(result, AudioError):
                if strict:
                    raise result
                failures.append((recording.id, str(result).removeprefix(f"{recording.path}: ")))
            else:
                samples, scale = result
                clips.write(samples.tobytes())
                lengths.append(samples.size)
                scales.append(scale)
                kept.append(number)
        _flush(clips)
    if not kept:
        raise AudioError(
            f"{manifest.root}: none of {len(manifest)} recordings can be used, the first: {failures[0][1]}"
        )
    return {
        "lengths": np.array(lengths, dtype=np.int64),
        "scales": np.array(scales, dtype=np.float32),
        "kept": np.array(kept, dtype=np.int64),
        "failures": np.array(failures, dtype=np.str_).reshape(-1, 2),
    }


@contextlib.contextmanager
def locked(place: Path) -> Iterator[None]:
    """Hold the right to build a store; the system gives it back when a process dies."""
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
    """Remove what killed builds left behind; a build that still runs holds its lock."""
    shutil.rmtree(place.with_name(f".{place.name}.tmp"), ignore_errors=True)  # its lock is held by the caller
    for leftover in place.parent.glob(".*.tmp"):
        lock = filelock.FileLock(place.with_name(f"{leftover.name.split('.')[1]}.lock"))
        with contextlib.suppress(filelock.Timeout), lock.acquire(timeout=0):
            shutil.rmtree(leftover, ignore_errors=True)


def _flush(file: Any) -> None:
    file.flush()
    os.fsync(file.fileno())
