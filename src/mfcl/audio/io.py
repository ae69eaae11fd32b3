"""Read and write sound files of any kind that soundfile knows."""

import contextlib
import io
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import soundfile
from jaxtyping import Float32

from mfcl.core.files import replacing
from mfcl.errors import AudioError

AUDIO_SUFFIXES = frozenset(
    [".aif", ".aifc", ".aiff", ".au", ".caf", ".flac", ".mp3", ".oga", ".ogg", ".opus", ".rf64", ".snd", ".w64", ".wav"]
)
"""Endings of files taken for sound in a folder; what a file really holds is read from its contents."""

BLOCK = 4096  # frames; where a damaged file stops decoding, less than this is lost
LARGEST = 1e10  # float files may hold any scale, but squares must stay finite in float32
STREAMED = 0x7FFFF000  # data sizes from here on are what programs write that could not know the length


class _Stream(soundfile.SoundFile):  # type: ignore[misc]  # soundfile is untyped
    """A file read from front to back.

    soundfile seeks to where it is after every read of a seekable file; in MP3 that forgets what the next frame needs,
    and sound is lost at every block.
    """

    def seekable(self) -> bool:
        return False


@contextlib.contextmanager
def open_audio(path: Path) -> Iterator[soundfile.SoundFile]:
    """Open a file of any kind that soundfile reads, by its contents whatever its name.

    Raises:
        AudioError: no such file, no right to read it, or no sound in it.
    """
    try:
        handle = path.open("rb")
    except OSError as error:
        raise AudioError(f"{path}: cannot be opened ({error.strerror}); check the path") from error
    with handle:
        try:
            # by its number, so that names of any spelling open; libsndfile gets no say in closing it
            file = _Stream(handle.fileno(), closefd=False)
        except (soundfile.LibsndfileError, TypeError, ValueError) as error:
            raise AudioError(
                f"{path}: not a readable sound file ({_reason(error)}); replace it or leave it out"
            ) from error
        with file:
            yield file


def audio_blocks(
    file: soundfile.SoundFile, start: float | None = None, end: float | None = None
) -> Iterator[Float32[np.ndarray, "frames channels"]]:
    """Yield what can be decoded of a file, a few thousand frames at a time; a damaged file ends where it breaks.

    Args:
        file: From `open_audio`.
        start: Seconds to leave out at the beginning.
        end: Seconds, from the file's beginning, after which nothing is read.
    """
    first = 0 if start is None else round(start * file.samplerate)
    left = (file.frames if end is None else min(round(end * file.samplerate), file.frames)) - first
    try:
        if first and left > 0:
            _skip(file, first)
        while left > 0:
            block = file.read(min(BLOCK, left), dtype="float32", always_2d=True)
            if len(block) == 0:
                return
            left -= len(block)
            yield block
    except soundfile.LibsndfileError:
        return


def _skip(file: soundfile.SoundFile, frames: int) -> None:
    """Go `frames` ahead; by decoding where seeking is not exact (MP3) or not possible."""
    if file.format != "MP3":
        with contextlib.suppress(soundfile.LibsndfileError):
            file.seek(frames)
            return
    while frames > 0 and (read := len(file.read(min(BLOCK, frames)))):
        frames -= read


def promised_frames(file: soundfile.SoundFile) -> int:
    """Return how many frames the header of an open file speaks of; a cut file holds fewer.

    libsndfile mends its count for PCM files and notes the header's own in its log, so that is where it is looked for.
    """
    frames = int(file.frames)
    note = re.search(r"^\s*(?:data|SSND)\s*:\s*(\d+) \(should be (\d+)\)", file.extra_info, re.MULTILINE)
    if note is None:
        return frames
    promised, there = int(note[1]), int(note[2])  # bytes
    return max(frames + 1, round(frames * promised / max(there, 1))) if there < promised < STREAMED else frames


def read_audio(
    path: Path, *, start: float | None = None, end: float | None = None
) -> tuple[Float32[np.ndarray, " samples"], int]:
    """Read a file, or the part from `start` to `end` in seconds, as the mean of its channels at its own rate.

    Full scale is 1. Of a file that was cut short, what is there is returned.

    Returns:
        The samples, at least one, and their rate in Hz.

    Raises:
        AudioError: unreadable, empty, or with values that are no numbers.
    """
    with open_audio(path) as file:
        rate = int(file.samplerate)
        decoded = bytearray()  # grows in place: an hour at 96 kHz is held once
        for block in audio_blocks(file, start, end):
            decoded += mono(block).tobytes()
        frames = int(file.frames)
    samples = np.frombuffer(decoded, dtype=np.float32)
    if samples.size == 0 and start is not None and frames > 0:
        raise AudioError(f"{path}: nothing at {start} s, the file has {frames / rate:.3f} s; correct `start` and `end`")
    if samples.size == 0:
        raise AudioError(f"{path}: empty, no sample could be decoded; replace it or leave it out")
    if not all_finite(samples):
        raise AudioError(f"{path}: NaN, infinite or absurdly large samples; write it again or leave it out")
    return samples, rate


def mono(block: Float32[np.ndarray, "frames channels"]) -> Float32[np.ndarray, " frames"]:
    """Return the mean of the channels."""
    return block[:, 0] if block.shape[1] == 1 else block.mean(axis=1, dtype=np.float32)


def all_finite(samples: Float32[np.ndarray, "*shape"]) -> bool:
    """Say whether all samples are numbers that can be calculated with."""
    return samples.size == 0 or bool(max(samples.max(), -samples.min()) < LARGEST)  # not true of NaN


def write_audio(path: Path, samples: Float32[np.ndarray, " samples"], sample_rate: int) -> None:
    """Write mono sound whole or not at all, clipped at full scale; the name's ending says as what.

    Raises:
        MfclError: an ending that soundfile cannot write, or a full disk.
    """
    encoded = io.BytesIO()
    kind = path.suffix.lstrip(".").upper()
    try:
        soundfile.write(
            encoded, np.clip(samples, -1, 1), sample_rate, format={"AIF": "AIFF", "OGA": "OGG"}.get(kind, kind)
        )
    except (soundfile.LibsndfileError, TypeError, ValueError) as error:
        raise AudioError(
            f"{path}: cannot be written as {kind or 'sound'} ({_reason(error)}); name it .wav or .flac"
        ) from error
    with replacing(path) as temporary:
        temporary.write_bytes(encoded.getbuffer())


def _reason(error: Exception) -> str:
    text = error.error_string if isinstance(error, soundfile.LibsndfileError) else str(error)
    return text.removeprefix("Error : ").strip().rstrip(".").replace("\n", " ") or type(error).__name__
