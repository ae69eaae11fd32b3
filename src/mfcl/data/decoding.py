"""The sound of a manifest's recordings, whole or in windows, some at a time; what is wrong with files is named."""

import contextlib
import csv
import sys
from collections.abc import Generator, Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from mfcl.audio import LongSound, Preparation, Sound, heard, read_prepared
from mfcl.audio.windows import MOST_SAMPLES, bounded, window_samples, window_starts
from mfcl.core.console import printable
from mfcl.core.files import replacing
from mfcl.core.parallel import in_parallel
from mfcl.data.manifest import Manifest, Recording
from mfcl.errors import MfclError

FEW_LONG = 8
"""Long recordings at a time: each is an open file."""


@dataclass(frozen=True)
class Piece:
    """The sound of a recording or of a window of it, prepared."""

    recording: int
    """Its place in the manifest."""
    start: float
    """Seconds from the file's beginning."""
    samples: Sound


@dataclass
class LeftOut:
    """The recordings that cannot be read, and those that can although something is wrong with them.

    Attributes:
        strict: Make the first that cannot be read an error.
        reasons: Id and reason of each that cannot be read.
        notices: Id and what is wrong, of each that can.
    """

    strict: bool = False
    reasons: list[tuple[str, str]] = field(default_factory=list)
    notices: list[tuple[str, str]] = field(default_factory=list)

    def add(self, recording: Recording, error: MfclError) -> None:
        """Remember one that cannot be read, or raise its error."""
        if self.strict:
            raise error
        self.reasons.append((recording.id, str(error)))

    def write(self, path: Path | None) -> None:
        """Say how many there are and write them as CSV (`id,reason,kind`); a list of an earlier call never stays.

        The kind is `failure` or `notice`.
        """
        if not self.reasons and not self.notices:
            if path is not None:
                path.unlink(missing_ok=True)
            return
        where = "" if path is None else f"; all of them in {printable(str(path))}"
        if self.reasons:
            _say(f"{len(self.reasons)} recordings left out, the first: {printable(self.reasons[0][1])}{where}")
        if self.notices:
            count, first = len({name for name, _ in self.notices}), printable(": ".join(self.notices[0]))
            _say(f"{count} recordings used although something is wrong, the first: {first}{where}")
        if path is not None:
            kinds = (("failure", self.reasons), ("notice", self.notices))
            rows = [(*one, kind) for kind, some in kinds for one in some]
            with replacing(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as out:
                csv.writer(out).writerows([("id", "reason", "kind"), *rows])


def whole_recordings(manifest: Manifest, preparation: Preparation, left_out: LeftOut) -> Iterator[list[Piece]]:
    """Yield whole recordings in order, some at a time: what is held is bounded by samples, not by files."""
    pieces = _decoded(manifest, preparation, left_out)
    with contextlib.closing(pieces):
        yield from bounded(pieces, lambda piece: held_samples(piece.samples))


def recording_windows(
    manifest: Manifest, preparation: Preparation, left_out: LeftOut, *, window: int | float, hop: int | float
) -> Iterator[list[Piece]]:
    """Yield the windows of all recordings in order, some at a time: memory does not grow with a recording.

    Nothing is trimmed: a place in time is one of the recording.

    Args:
        manifest: The recordings; where one is a part of a file, so are its windows.
        preparation: What is done to each recording.
        left_out: Grows by what cannot be read.
        window: Length in seconds.
        hop: From window to window in seconds.
    """
    size, step = window_samples(window, hop, preparation.sample_rate)
    whole = _decoded(manifest, replace(preparation, trim_db=None), left_out)
    with contextlib.closing(whole):
        cut = (
            Piece(one.recording, one.start + first / preparation.sample_rate, one.samples[first : first + size])
            for one in whole
            for first in window_starts(len(one.samples), size, step).tolist()
        )
        yield from bounded(cut, lambda piece: len(piece.samples))


def held_samples(sound: Sound) -> int:
    """Return how many samples of memory a sound stands for; of a long one, its share of the open files."""
    return MOST_SAMPLES // FEW_LONG if isinstance(sound, LongSound) else len(sound)


def _decoded(manifest: Manifest, preparation: Preparation, left_out: LeftOut) -> Generator[Piece, None, None]:
    """Yield the recordings that can be read in order, decoded in threads."""
    decoded = in_parallel(partial(_decode, preparation=preparation), manifest.recordings, what="decoding", shown=False)
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
    except MfclError as error:
        return error
    return heard(sound), notices


def _say(line: str) -> None:
    print(line, file=sys.stderr)  # noqa: T201
