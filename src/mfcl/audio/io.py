"""Read and write sound files of any kind that soundfile knows."""

import contextlib
import hashlib
import io
import re
import stat
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import numpy as np
import soundfile
from jaxtyping import Float32

from mfcl.audio.containers import Container, Stream, Window, look_at
from mfcl.audio.quiet import quiet_decoder
from mfcl.core.files import replacing
from mfcl.errors import AudioError

AUDIO_SUFFIXES = frozenset(
    [".aif", ".aifc", ".aiff", ".au", ".caf", ".flac", ".mp3", ".oga", ".ogg", ".opus", ".rf64", ".snd", ".w64", ".wav"]
)
"""Endings of files taken for sound in a folder; what a file really holds is read from its contents."""

BLOCK = 4096  # frames; where a damaged file stops decoding, less than this is lost
LARGEST = 1e10  # float files may hold any scale, but squares must stay finite in float32
RATES = (1000, 1_000_000)  # Hz; beyond, a header is wrong, and resampling would take any amount of memory
UNKNOWN = 1 << 62  # frames; libsndfile's word for a header without a number is the largest it has
STREAMED = 0x7FFFF000  # data sizes from here on are what programs write that could not know the length


class _Decoder(soundfile.SoundFile):  # type: ignore[misc]  # soundfile is untyped
    """A file read from front to back.

    soundfile seeks to where it is after every read of a seekable file; in MP3 that forgets what the next frame needs,
    and sound is lost at every block.
    """

    def seekable(self) -> bool:
        return False


class AudioFile:
    """An open file of one or several streams, which are read as one; made by `open_audio`.

    Attributes:
        sample_rate: In Hz.
        channels: How many.
        frames: What the header says; None where there is no exact number before all is decoded.
        notices: What is wrong with the file, as far as it is known; complete when all has been read.
    """

    def __init__(self, handle: BinaryIO, container: Container) -> None:
        self._handle = handle
        self._container = container
        self._streams = container.streams or (None,)
        self._mpeg = container.kind == "mpeg"
        first = self._opened(self._streams[0])
        self._first: _Decoder | None = first
        self.sample_rate, self.channels = int(first.samplerate), int(first.channels)
        self.frames = _promised_frames(first) if len(self._streams) == 1 else None
        self.notices = list(container.notices)
        self._seekable = len(self._streams) == 1 and not self._mpeg  # in MP3 it is not exact
        self._width = {"PCM_S8": 1, "PCM_16": 2, "PCM_24": 3}.get(first.subtype, 0)

    def close(self) -> None:
        """Close what has not been read."""
        if self._first is not None:
            self._first.close()

    def blocks(
        self, start: float | None = None, end: float | None = None
    ) -> Iterator[Float32[np.ndarray, "frames channels"]]:
        """Yield what can be decoded, a few thousand frames at a time, once; a damaged file ends where it breaks.

        Args:
            start: Seconds to leave out at the beginning.
            end: Seconds, from the file's beginning, after which nothing is read.
        """
        skipped = 0 if start is None else round(start * self.sample_rate)
        left = sys.maxsize if end is None else round(end * self.sample_rate) - skipped
        read, whole = 0, start is None and end is None
        digest = hashlib.md5(usedforsecurity=False) if whole and self._container.digest and self._width else None
        for number, stream in enumerate(self._streams):
            if left <= 0:
                return
            try:
                decoder = self._first if number == 0 and self._first is not None else self._opened(stream)
            except (soundfile.LibsndfileError, TypeError):
                self.notices.append("second stream: it cannot be decoded")
                continue
            self._first = None
            with decoder:
                if (decoder.samplerate, decoder.channels) != (self.sample_rate, self.channels):
                    self.notices.append(
                        f"second stream: {decoder.samplerate} Hz, {decoder.channels} channels, "
                        f"behind {self.sample_rate} Hz, {self.channels} channels"
                    )
                    continue
                if skipped and self._seekable:
                    with contextlib.suppress(soundfile.LibsndfileError):
                        decoder.seek(skipped)
                        skipped = 0
                while left > 0 and len(block := self._read(decoder, skipped or left, digest)):
                    read += len(block)
                    if skipped:
                        skipped -= len(block)
                        continue
                    left -= len(block)
                    yield block
        if digest is not None and self.frames in (None, read) and digest.digest() != self._container.digest:
            self.notices.append("checksum: the header's MD5 is not that of the samples")

    def _opened(self, stream: Stream | None) -> _Decoder:
        self._handle.seek(0)
        with quiet_decoder(self._mpeg):
            if stream is None:
                # by its number, so that names of any spelling open; libsndfile gets no say in closing it
                return _Decoder(self._handle.fileno(), closefd=False)
            return _Decoder(Window(self._handle, stream))

    def _read(
        self, decoder: _Decoder, most: int, digest: "hashlib._Hash | None"
    ) -> Float32[np.ndarray, "frames channels"]:
        """Return the next block; an empty one where the stream ends or breaks."""
        count = min(BLOCK, most)
        try:
            with quiet_decoder(self._mpeg):
                if digest is None:
                    return np.asarray(decoder.read(count, dtype="float32", always_2d=True))
                whole = decoder.read(count, dtype="int32", always_2d=True)
        except soundfile.LibsndfileError:
            if self.frames is None:  # of others the number of frames tells it
                self.notices.append("cut short: it cannot be decoded to its end")
            return np.zeros((0, self.channels), dtype=np.float32)
        # FLAC hashes the samples' own bytes, the low ones first; here they are the high ones of 32 bits
        digest.update(whole.astype("<i4").view(np.uint8).reshape(-1, 4)[:, 4 - self._width :].tobytes())
        return np.asarray(whole * np.float32(2**-31), dtype=np.float32)  # what libsndfile makes of them, to the bit


@contextlib.contextmanager
def open_audio(path: Path, *, ignore_length: bool = False) -> Iterator[AudioFile]:
    """Open a file of any kind that soundfile reads, by its contents whatever its name.

    Args:
        path: The file.
        ignore_length: Decode a FLAC file to its end, whatever number of samples its header has.

    Raises:
        AudioError: no such file, no right to read it, no file but a pipe or a device, or no sound in it.
    """
    try:
        kind = _special(path.stat().st_mode)
        # to open a named pipe would wait for someone who writes
        handle = None if kind else path.open("rb", buffering=0)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise AudioError(f"{path}: cannot be opened ({reason}); check the path") from error
    if handle is None:
        raise AudioError(f"{path}: {kind}, not a file of sound; leave it out")
    with handle:
        try:
            file = AudioFile(handle, look_at(handle, ignore_length=ignore_length))
        except (soundfile.LibsndfileError, TypeError, ValueError, OSError) as error:
            raise AudioError(
                f"{path}: not a readable sound file ({_reason(error)}); replace it or leave it out"
            ) from error
        try:
            if not RATES[0] <= file.sample_rate <= RATES[1]:
                raise AudioError(
                    f"{path}: a rate of {file.sample_rate} Hz, wanted {RATES[0]} to {RATES[1]} Hz; "
                    "correct its header or leave it out"
                )
            yield file
        finally:
            file.close()


def _special(mode: int) -> str:
    """Return what lies in a file's place; an empty text for a file."""
    names = {
        stat.S_IFIFO: "a named pipe", stat.S_IFSOCK: "a socket", stat.S_IFCHR: "a device", stat.S_IFBLK: "a device",
        stat.S_IFDIR: "a folder",
    }  # fmt: skip
    return names.get(stat.S_IFMT(mode), "" if stat.S_ISREG(mode) else "no file")


def _promised_frames(decoder: _Decoder) -> int | None:
    """Return how many frames the header speaks of; None where it only estimates.

    libsndfile mends its count for PCM files and notes the header's own in its log, so that is where it is looked for.
    """
    frames = int(decoder.frames)
    if decoder.format == "OGG" or decoder.subtype.startswith("MPEG") or frames >= UNKNOWN:
        return None
    note = re.search(r"^\s*(?:data|SSND)\s*:\s*(\d+) \(should be (\d+)\)", decoder.extra_info, re.MULTILINE)
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
        rate, frames = file.sample_rate, file.frames
        decoded = bytearray()  # grows in place: an hour at 96 kHz is held once
        for block in file.blocks(start, end):
            decoded += mono(block).tobytes()
    samples = np.frombuffer(decoded, dtype=np.float32)
    if samples.size == 0 and start is not None and frames != 0:
        there = "" if frames is None else f", the file has {frames / rate:.3f} s"
        raise AudioError(f"{path}: nothing at {start} s{there}; correct `start` and `end`")
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
