"""The sound of a manifest's recordings, whole or in windows, some at a time; what cannot be read is named."""

import csv
import sys
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from jaxtyping import Float32

from mfcl.audio import Preparation, prepare, read_audio
from mfcl.audio.windows import bounded, file_windows
from mfcl.core.files import replacing
from mfcl.data.manifest import Manifest, Recording
from mfcl.errors import MfclError

CHUNK = 512
"""Recordings decoded at a time."""
Samples = Float32[np.ndarray, " _"]


@dataclass(frozen=True)
class Piece:
    """The sound of a recording or of a window of it, prepared."""

    recording: int
    """Its place in the manifest."""
    start: float
    """Seconds from the file's beginning."""
    samples: Samples


@dataclass
class LeftOut:
    """The recordings that cannot be read.

    Attributes:
        strict: Make the first one an error.
        reasons: Id and reason of each.
    """

    strict: bool = False
    reasons: list[tuple[str, str]] = field(default_factory=list)

    def add(self, recording: Recording, error: MfclError) -> None:
        """Remember one, or raise its error."""
        if self.strict:
            raise error
        self.reasons.append((recording.id, str(error)))

    def write(self, path: Path | None) -> None:
        """Say how many there are and write them as CSV (`id,reason`); a list of an earlier call never stays."""
        if not self.reasons:
            if path is not None:
                path.unlink(missing_ok=True)
            return
        where = "" if path is None else f"; all of them in {path}"
        count, (_, first) = len(self.reasons), self.reasons[0]
        print(f"{count} recordings left out, the first: {first}{where}", file=sys.stderr)  # noqa: T201
        if path is not None:
            with replacing(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as out:
                csv.writer(out).writerows([("id", "reason"), *self.reasons])


def whole_recordings(manifest: Manifest, preparation: Preparation, left_out: LeftOut) -> Iterator[list[Piece]]:
    """Yield whole recordings in order, at most `CHUNK` at a time."""
    for first in range(0, len(manifest), CHUNK):
        chunk = manifest.recordings[first : first + CHUNK]
        pieces = []
        for place, outcome in enumerate(_decode(chunk, preparation), start=first):
            if isinstance(outcome, MfclError):
                left_out.add(manifest.recordings[place], outcome)
            else:
                pieces.append(Piece(place, manifest.recordings[place].start or 0.0, outcome))
        if pieces:
            yield pieces


def recording_windows(
    manifest: Manifest, preparation: Preparation, left_out: LeftOut, *, window: int | float, hop: int | float
) -> Iterator[list[Piece]]:
    """Yield the windows of all recordings in order, some at a time: memory does not grow with a recording.

    Args:
        manifest: The recordings; where one is a part of a file, so are its windows.
        preparation: What is done to each recording.
        left_out: Grows by what cannot be read.
        window: Length in seconds.
        hop: From window to window in seconds.
    """
    windows = _windows(manifest, preparation, left_out, window=window, hop=hop)
    yield from bounded(windows, lambda piece: len(piece.samples))


def _windows(
    manifest: Manifest, preparation: Preparation, left_out: LeftOut, *, window: int | float, hop: int | float
) -> Iterator[Piece]:
    for place, recording in enumerate(manifest):
        begin = recording.start or 0.0
        try:
            for first, samples in file_windows(
                recording.path, preparation, window=window, hop=hop, start=recording.start, end=recording.end
            ):
                yield Piece(place, begin + first / preparation.sample_rate, samples)
        except MfclError as error:
            left_out.add(recording, error)


def _decode(recordings: Sequence[Recording], preparation: Preparation) -> Iterable[Samples | MfclError]:
    def decode(recording: Recording) -> Samples | MfclError:
        try:
            samples, rate = read_audio(recording.path, start=recording.start, end=recording.end)
            return prepare(samples, rate, preparation)
        except MfclError as error:
            return error

    with ThreadPoolExecutor() as pool:  # libsndfile and soxr release the interpreter's lock
        return list(pool.map(decode, recordings))
