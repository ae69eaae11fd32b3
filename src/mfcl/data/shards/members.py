"""Encode recordings on their way into a tar, and add them to it with their facts."""

import io
import json
import tarfile
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, BinaryIO

from mfcl.audio.judging import judge
from mfcl.audio.lossless import Written, write_lossless
from mfcl.core.spans import HEAD
from mfcl.data.manifest import Recording
from mfcl.data.shards.receipt import AGAIN, key_of
from mfcl.errors import AudioError

HELD = 1 << 22
"""Bytes of an encoded recording up to which it stays in memory until it is in its tar."""
LARGEST = 8**11
"""Bytes of a file that a tar's plain header can hold, and one more."""
RATE_HELD = 48_000  # Hz; decoded samples of what is short at this rate are kept between check and encoding


@dataclass
class Outcome:
    """A recording on its way into a tar: encoded, or with the reason why it is left out."""

    number: int
    recording: Recording
    written: Written | None = None
    content: BinaryIO | None = None
    error: AudioError | None = None
    notices: tuple[str, ...] = ()

    @property
    def size(self) -> int:
        """Bytes of the encoded recording."""
        return 0 if self.content is None else self.content.seek(0, io.SEEK_END)


def encoded(numbered: tuple[int, Recording], *, folder: Path, encoding: str, contents: set[Any]) -> Outcome:
    """Check and encode a recording; a long one into a file without a name in the pack's folder.

    Args:
        numbered: Number of the recording in the list, and the recording.
        folder: The pack.
        encoding: `flac` or `wav`.
        contents: Encoded recordings that are in no tar yet; this one is added.
    """
    number, recording = numbered
    path, start, end = recording.path, recording.start, recording.end
    judgement = judge(path, start, end, keep_for_rate=RATE_HELD)
    if judgement.failures:
        reason = "; ".join(problem.removeprefix("unreadable: ") for problem in judgement.failures)
        return Outcome(number, recording, error=AudioError(f"{path}: {reason}; replace it or leave it out"))
    content: Any = tempfile.SpooledTemporaryFile(HELD, dir=str(folder))  # noqa: SIM115  # closed when it is in its tar
    contents.add(content)
    try:
        written = write_lossless(content, path, start, end, judgement, encoding)
        outcome = Outcome(number, recording, written, content, None, judgement.notices)
        if outcome.size >= LARGEST:
            raise AudioError(f"{path}: more than 8 GB in a pack; split it (`mfcl scan --segment`) or leave it out")
    except AudioError as error:
        content.close()
        contents.discard(content)
        return Outcome(number, recording, error=error)
    return outcome


def add(tar: tarfile.TarFile, outcome: Outcome, written: Written) -> list[Any]:
    """Add a recording and its facts to a tar; return its row in the shard's receipt."""
    recording, key, size = outcome.recording, key_of(outcome.number, outcome.recording.id), outcome.size
    about = {
        **recording.labels,
        "id": recording.id,
        "split": recording.split,
        "mfcl": {**asdict(written), "start": recording.start, "end": recording.end},
    }
    text = json.dumps(about, ensure_ascii=True, sort_keys=True).encode()
    content = outcome.content
    if content is None:
        raise AudioError(f"{recording.path}: not encoded; {AGAIN}")
    with content:
        content.seek(0)
        name, offset = f"{key}{written.suffix}", tar.offset + HEAD
        tar.addfile(_plain(name, size), content)
    tar.addfile(_plain(f"{key}.json", len(text)), io.BytesIO(text))
    return [
        outcome.number, offset, size, name, written.frames, written.sample_rate, written.channels, not written.exact,
    ]  # fmt: skip


def _plain(name: str, size: int) -> tarfile.TarInfo:
    """Return a file's facts without time, user or machine: equal recordings give equal tars."""
    info = tarfile.TarInfo(name)
    info.size = size
    return info
