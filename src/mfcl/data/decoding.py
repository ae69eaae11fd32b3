"""Decode the recordings of a manifest in batches, whole or in windows; collect the files that fail."""

import contextlib
import csv
import sys
from collections.abc import Generator, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from mfcl.audio import SILENCE_DB, LongSound, Preparation, Sound, heard, read_prepared
from mfcl.audio.preparation import swing_db
from mfcl.audio.windows import MOST_SAMPLES, bounded, window_samples, window_starts
from mfcl.core.console import counted, printable
from mfcl.core.files import replacing
from mfcl.core.parallel import in_parallel
from mfcl.data.manifest import Manifest, Recording
from mfcl.errors import AudioError, MfclError, MissingExtraError, TransferError

FEW_LONG = 8
"""Most long recordings in a batch: each keeps a file open."""


@dataclass(frozen=True)
class Piece:
    """The prepared samples of a recording or of a window of it."""

    recording: int
    """Index of the recording in the manifest."""
    start: float
    """Seconds from the file's beginning."""
    samples: Sound

    @property
    def silent(self) -> bool:
        """Whether it is silent, as a window may be and no whole recording is: its vector may be near to any other."""
        if isinstance(self.samples, LongSound):  # a whole recording
            return False
        return swing_db(self.samples) < SILENCE_DB


@dataclass
class LeftOut:
    """Recordings that cannot be read, and problems of recordings that are used.

    Attributes:
        strict: Raise an error at the first recording that cannot be read.
        reasons: Id and reason of each recording that cannot be read.
        notices: Id and problem of recordings that are used.
    """

    strict: bool = False
    reasons: list[tuple[str, str]] = field(default_factory=list)
    notices: list[tuple[str, str]] = field(default_factory=list)

    def add(self, recording: Recording, error: MfclError) -> None:
        """Record a recording that cannot be read, or raise its error if strict."""
        if self.strict:
            raise error
        self.reasons.append((recording.id, str(error)))

    def none_read(self, root: Path) -> AudioError:
        """Return the error to raise when no recording could be read, in place of what `write` would print.

        Args:
            root: The manifest's folder.
        """
        if len(self.reasons) == 1:
            return AudioError(self.reasons[0][1])
        first = f"; the first: {self.reasons[0][1]}" if self.reasons else ""
        return AudioError(f"{root}: none of {len(self.reasons)} recordings could be read{first}")

    def write(self, path: Path | None, *, said: bool = True) -> None:
        """Print how many there are and write them as CSV with columns `id`, `reason` and `kind`.

        The kind is `failure` or `notice`. If there are none, a file of an earlier call is removed.

        Args:
            path: The CSV file; None writes none.
            said: Print them.
        """
        if not self.reasons and not self.notices:
            if path is not None:
                path.unlink(missing_ok=True)
            return
        where = "" if path is None else f"; all of them in {printable(str(path))}"
        if self.reasons and said:
            _say(
                f"{counted(len(self.reasons), 'recording')} left out, the first: {printable(self.reasons[0][1])}{where}"
            )
        if self.notices and said:
            count, first = len({name for name, _ in self.notices}), printable(": ".join(self.notices[0]))
            they = "it has" if count == 1 else "they have"
            _say(f"{counted(count, 'recording')} used although {they} problems, the first: {first}{where}")
        if path is not None:
            kinds = (("failure", self.reasons), ("notice", self.notices))
            rows = [(*one, kind) for kind, some in kinds for one in some]
            with replacing(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as out:
                csv.writer(out).writerows([("id", "reason", "kind"), *rows])


def whole_recordings(manifest: Manifest, preparation: Preparation, left_out: LeftOut) -> Iterator[list[Piece]]:
    """Yield whole recordings in order, in batches of a bounded number of samples."""
    pieces = _decoded(manifest, preparation, left_out)
    with contextlib.closing(pieces):
        yield from bounded(pieces, lambda piece: held_samples(piece.samples))


def recording_windows(
    manifest: Manifest, preparation: Preparation, left_out: LeftOut, *, window: int | float, hop: int | float
) -> Iterator[list[Piece]]:
    """Yield the windows of all recordings in order, in batches; memory does not grow with a recording's length.

    Silence at the ends is kept, so that times of windows are times in the file.

    Args:
        manifest: The recordings; if one is a segment of a file, its windows lie in the segment.
        preparation: How to prepare each recording.
        left_out: Collects recordings that cannot be read.
        window: Length of a window in seconds.
        hop: Hop between windows in seconds.
    """
    size, step = window_samples(window, hop, preparation.sample_rate)
    whole = _decoded(manifest, preparation.uncut, left_out)
    with contextlib.closing(whole):
        cut = (
            Piece(one.recording, one.start + first / preparation.sample_rate, one.samples[first : first + size])
            for one in whole
            for first in window_starts(len(one.samples), size, step).tolist()
        )
        yield from bounded(cut, lambda piece: len(piece.samples))


def held_samples(sound: Sound) -> int:
    """Return how many samples a recording counts for in a batch; a long one counts as 1 of `FEW_LONG` in a batch."""
    return MOST_SAMPLES // FEW_LONG if isinstance(sound, LongSound) else len(sound)


def _decoded(manifest: Manifest, preparation: Preparation, left_out: LeftOut) -> Generator[Piece, None, None]:
    """Yield the readable recordings in order, decoded in threads."""
    function, count = partial(_decode, preparation=preparation), manifest.readers
    decoded = in_parallel(function, manifest.recordings, workers=count, what="decoding", shown=False)
    with contextlib.closing(decoded):
        for place, outcome in enumerate(decoded):
            recording = manifest.recordings[place]
            if isinstance(outcome, MfclError):
                left_out.add(recording, outcome)
                continue
            sound, notices = outcome
            left_out.notices += [(recording.id, notice) for notice in notices]
            yield Piece(place, recording.start or 0.0, sound)


def _decode(recording: Recording, preparation: Preparation) -> tuple[Sound, tuple[str, ...]] | MfclError:
    try:
        sound, notices = read_prepared(recording.path, preparation, start=recording.start, end=recording.end)
    except (TransferError, MissingExtraError):  # no fault of the recording: the storage is away
        raise
    except MfclError as error:
        return error
    return heard(sound), notices


def _say(line: str) -> None:
    print(line, file=sys.stderr)  # noqa: T201
