"""The encoded bytes of recordings: those of their files, and of a part of a file a FLAC of that part."""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from mfcl.core.console import are, worded
from mfcl.core.parallel import in_parallel
from mfcl.core.spans import open_path, span_of
from mfcl.core.urls import UrlPath
from mfcl.data.manifest import Manifest, Recording
from mfcl.data.shards.members import encoded
from mfcl.errors import AudioError, ManifestError, TransferError, shown

LARGEST = 2**31 - 2**20
"""Bytes of a recording up to which a column of Arrow's `binary` holds it."""
BLOCK = 1 << 22


@dataclass(frozen=True)
class Content:
    """A recording as a file in memory.

    Attributes:
        name: A file name, of which only the suffix matters.
        bytes: The encoded sound.
        exact: Whether the samples are those of the recording; otherwise they were rounded to 24 bits.
    """

    name: str
    bytes: bytes
    exact: bool = True


def is_cut(recording: Recording) -> bool:
    """Return whether a recording is a part of its file."""
    return recording.start is not None or recording.end is not None


def check_whole_files(manifest: Manifest) -> None:
    """Check that paths alone can stand for the recordings: each is a whole local file.

    Raises:
        ManifestError: some are not.
    """
    kinds = (
        ("parts of files, for which a path would give the whole file", is_cut),
        ("inside tars of a pack", lambda one: span_of(one.path) is not None),
        ("at URLs", lambda one: isinstance(one.path, UrlPath)),
    )
    for words, test in kinds:
        found = [recording.id for recording in manifest if test(recording)]
        if found:
            raise ManifestError(
                f"{manifest.root}: {len(found)} of {worded(len(manifest), 'recording')} "
                f"{are(len(found))} {words}, the first "
                f"{shown(found[0])}; name a file for their bytes (arrow=)"
            )
    absent = [recording for recording in manifest if not recording.path.is_file()]
    if absent:
        raise ManifestError(
            f"{manifest.root}: {len(absent)} of {worded(len(manifest), 'file')} "
            f"{'does' if len(absent) == 1 else 'do'} not exist, the first {absent[0].path}; leave "
            "them out of the list, or name the folder that holds them now (data_root=)"
        )


def read_contents(recordings: list[Recording], folder: Path, workers: int | None) -> Iterator[Content]:
    """Yield the content of each recording, in order, read in threads.

    Args:
        recordings: Some recordings.
        folder: For temporary files of long parts.
        workers: Number of threads; None: one per core.

    Raises:
        AudioError: a recording cannot be read, or has 2 GB or more.
    """
    found = in_parallel(partial(_content, folder=folder), recordings, workers=workers, what="reading", shown=False)
    with contextlib.closing(found):
        yield from found


def _content(recording: Recording, folder: Path) -> Content:
    if is_cut(recording):
        return _cut(recording, folder)
    path, blocks, size = recording.path, [], 0
    try:
        with open_path(path) as file:
            while block := file.read(BLOCK):
                size += len(block)
                if size >= LARGEST:
                    raise _too_large(recording)
                blocks.append(block)
    except TransferError:
        raise
    except OSError as error:
        raise AudioError(f"{path}: cannot be read ({error.strerror or error}); leave it out of the list") from error
    if not size:
        raise AudioError(f"{path}: it is empty; leave it out of the list")
    return Content(path.name, b"".join(blocks))


def _cut(recording: Recording, folder: Path) -> Content:
    outcome = encoded((0, recording), folder=folder, encoding="flac", contents=set())
    if outcome.error is not None:
        raise outcome.error
    if outcome.content is None or outcome.written is None:
        raise AudioError(f"{recording.path}: cannot be cut; leave it out of the list")
    with outcome.content as content:
        if outcome.size >= LARGEST:
            raise _too_large(recording)
        content.seek(0)
        return Content(f"{recording.path.stem}{outcome.written.suffix}", content.read(), outcome.written.exact)


def _too_large(recording: Recording) -> AudioError:
    return AudioError(f"{recording.path}: 2 GB or more, which a row of a data set does not hold; split it first")
