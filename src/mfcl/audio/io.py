"""Read and write audio files of any format that soundfile supports."""

import contextlib
import hashlib
import io
import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import soundfile
from jaxtyping import Float32

from mfcl.audio.containers import Container, Stream, Window, look_at, special_file
from mfcl.audio.quiet import quiet_decoder
from mfcl.audio.riff import STREAMED
from mfcl.audio.windows import check_part
from mfcl.core.console import worded
from mfcl.core.files import replacing
from mfcl.core.remote import Opened, RemoteFile
from mfcl.core.spans import open_path, span_of
from mfcl.errors import AudioError

AUDIO_SUFFIXES = frozenset(
    [".aif", ".aifc", ".aiff", ".au", ".caf", ".flac", ".mp3", ".oga", ".ogg", ".opus", ".rf64", ".snd", ".w64", ".wav"]
)
"""Suffixes of audio files in a folder; the format is then read from the contents, not from the suffix."""
OTHER_SUFFIXES = frozenset(
    [".3gp", ".aac", ".ac3", ".amr", ".ape", ".dsf", ".m4a", ".m4b", ".mka", ".mp4", ".wac", ".webm", ".wma", ".wv"]
)
"""Suffixes of files of sound that cannot be read."""

BLOCK = 4096  # frames per read; a damaged file loses at most this many before the damage
WRITTEN = 1 << 16  # samples written at a time
LARGEST = 1e10  # float files may have any scale, but squares must stay finite in float32
RATES = (1000, 1_000_000)  # Hz; a rate beyond is a wrong header, and resampling could exhaust the memory
UNKNOWN = 1 << 62  # frames; for a header without a length libsndfile gives its largest integer


class _Decoder(soundfile.SoundFile):  # type: ignore[misc]  # soundfile is untyped
    """A file that is read sequentially.

    After every read of a seekable file soundfile seeks to the current position. In MP3 this drops decoder state, and
    samples are lost at every block.
    """

    def seekable(self) -> bool:
        return False


class AudioFile:
    """An open audio file, whose streams are read as one; made by `open_audio`.

    Attributes:
        sample_rate: In Hz.
        channels: Number of channels.
        frames: Number of frames in the header; None if only decoding gives the exact number.
        notices: Problems found so far; complete when all blocks have been read.
        seekable: Whether a segment is read without decoding what is before it.
    """

    def __init__(self, handle: Opened, container: Container) -> None:
        self._handle = handle
        self._container = container
        self._streams = container.streams or (None,)
        self._mpeg = container.kind == "mpeg"
        self._window: Window | None = None
        first = self._opened(self._streams[0])
        self._first: _Decoder | None = first
        self.sample_rate, self.channels = int(first.samplerate), int(first.channels)
        self.frames = _promised_frames(first) if len(self._streams) == 1 else None
        self.notices = list(container.notices)
        self.seekable = len(self._streams) == 1 and not self._mpeg  # seeking in MP3 is not exact
        self._width = {"PCM_S8": 1, "PCM_16": 2, "PCM_24": 3}.get(first.subtype, 0)

    def close(self) -> None:
        """Close the first stream if it has not been read."""
        if self._first is not None:
            self._first.close()

    def blocks(
        self, start: float | None = None, end: float | None = None
    ) -> Iterator[Float32[np.ndarray, "frames channels"]]:
        """Yield the decoded frames in blocks, up to the first damage; can be called only once.

        Args:
            start: Where to begin, in seconds from the file's beginning.
            end: Where to stop, in seconds from the file's beginning.
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
                        f"second stream: {decoder.samplerate} Hz, {worded(decoder.channels, 'channel')}, "
                        f"behind {self.sample_rate} Hz, {worded(self.channels, 'channel')}"
                    )
                    continue
                if skipped and self.seekable:
                    place = min(skipped, sys.maxsize if self._container.sought is None else self._container.sought)
                    with contextlib.suppress(soundfile.LibsndfileError):
                        decoder.seek(place)
                        skipped -= place
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
            if stream is None and isinstance(self._handle, io.FileIO):
                # by file descriptor, so that file names in any encoding open; libsndfile must not close it
                return _Decoder(self._handle.fileno(), closefd=False)
            self._window = Window(self._handle, stream or Stream(0, self._handle.seek(0, os.SEEK_END)))
            try:
                return _Decoder(self._window)
            finally:
                self._raise_read_error()

    def _raise_read_error(self) -> None:
        """Raise what went wrong in the file's reads, which the decoder took for the end of the file."""
        error = None if self._window is None else self._window.error
        if isinstance(error, OSError):
            where = self._handle.path if isinstance(self._handle, RemoteFile) else self._handle.name
            raise AudioError(f"{where}: cannot be read ({error.strerror or error}); replace it or leave it out")
        if error is not None:
            raise error

    def _read(
        self, decoder: _Decoder, most: int, digest: "hashlib._Hash | None"
    ) -> Float32[np.ndarray, "frames channels"]:
        """Return the next block; an empty one where the stream ends or breaks."""
        count = min(BLOCK, most)
        try:
            with quiet_decoder(self._mpeg):
                read = decoder.read(count, dtype="float32" if digest is None else "int32", always_2d=True)
        except soundfile.LibsndfileError:
            self._raise_read_error()
            if self.frames is None:  # otherwise the missing frames are noticed
                self.notices.append("cut short: it cannot be decoded to its end")
            return np.zeros((0, self.channels), dtype=np.float32)
        self._raise_read_error()
        if digest is None:
            return np.asarray(read)
        # FLAC's MD5 is over little-endian samples of their own width; here they are the high bytes of 32 bits
        digest.update(read.astype("<i4").view(np.uint8).reshape(-1, 4)[:, 4 - self._width :].tobytes())
        return np.asarray(read * np.float32(2**-31), dtype=np.float32)  # bit-identical to libsndfile's float32


@contextlib.contextmanager
def open_audio(path: Path, *, ignore_length: bool = False) -> Iterator[AudioFile]:
    """Open an audio file; its contents, not its name, decide the format.

    Args:
        path: The file; in a pack it names a span of a tar (`mfcl.core.spans`).
        ignore_length: Decode a FLAC file to its end and ignore the number of samples in its header.

    Raises:
        AudioError: the file does not exist, may not be read, is a pipe or a device, or holds no audio.
        TransferError: the storage of a URL does not answer, or gives other bytes than it announced.
    """
    try:
        kind = "" if span_of(path) else special_file(path.stat().st_mode)
        # opening a named pipe would wait for a writer
        handle = None if kind else open_path(path)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise AudioError(f"{path}: cannot be opened ({reason}); check the path") from error
    if handle is None:
        raise AudioError(f"{path}: {kind}, not an audio file; leave it out")
    with handle:
        try:
            file = AudioFile(handle, look_at(handle, ignore_length=ignore_length))
        except (soundfile.LibsndfileError, TypeError, ValueError, OSError) as error:
            none = isinstance(error, soundfile.LibsndfileError) and not handle.seek(0, os.SEEK_END)
            why = "it has 0 bytes" if none else _reason(error)
            raise AudioError(f"{path}: not a readable audio file ({why}); replace it or leave it out") from error
        try:
            if not RATES[0] <= file.sample_rate <= RATES[1]:
                raise AudioError(
                    f"{path}: wanted a sample rate of {RATES[0]} to {RATES[1]} Hz, got {file.sample_rate} Hz; "
                    "correct its header or leave it out"
                )
            yield file
        finally:
            file.close()


def _promised_frames(decoder: _Decoder) -> int | None:
    """Return the number of frames in the header; None if it is only an estimate.

    For PCM files libsndfile corrects the number and writes the header's own to its log, so it is read from the log.
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
    """Read a file, or a segment of it, as mono at its own sample rate.

    The channels are averaged. Full scale is 1. A file that was cut short is read as far as it goes.

    Args:
        path: The file.
        start: Seconds from the file's beginning.
        end: Seconds from the file's beginning.

    Returns:
        The samples, at least one, and the sample rate in Hz.

    Raises:
        AudioError: unreadable, empty, or with samples that are NaN, infinite or absurdly large; a time that is none.
    """
    check_part(path, start, end)
    with open_audio(path) as file:
        rate, frames = file.sample_rate, file.frames
        decoded = bytearray()  # grows in place, so that an hour at 96 kHz is not held twice
        for block in file.blocks(start, end):
            decoded += mono(block).tobytes()
    samples = np.frombuffer(decoded, dtype=np.float32)
    if samples.size == 0 and start is not None and frames != 0:
        there = "" if frames is None else f", the file has {frames / rate:.3f} s"
        raise AudioError(f"{path}: nothing at {start} s{there}; correct `start` and `end`")
    if samples.size == 0:
        raise AudioError(f"{path}: empty, no sample could be decoded; replace it or leave it out")
    if not all_finite(samples):
        raise AudioError(f"{path}: NaN, infinite or absurdly large samples; correct it or leave it out")
    return samples, rate


def mono(block: Float32[np.ndarray, "frames channels"]) -> Float32[np.ndarray, " frames"]:
    """Return the mean of the channels."""
    with np.errstate(invalid="ignore", over="ignore"):  # infinities of both signs; whoever asks looks at the result
        return block[:, 0] if block.shape[1] == 1 else block.mean(axis=1, dtype=np.float32)


def all_finite(samples: Float32[np.ndarray, "*shape"]) -> bool:
    """Return whether no sample is NaN, infinite or above `LARGEST`."""
    return samples.size == 0 or bool(max(samples.max(), -samples.min()) < LARGEST)  # false for NaN


def write_audio(path: Path, samples: Float32[np.ndarray, " samples"], sample_rate: int) -> None:
    """Write mono audio atomically, clipped at full scale; the suffix decides the format.

    Raises:
        MfclError: a suffix that soundfile cannot write, or a full disk.
    """
    encoded = io.BytesIO()
    kind = path.suffix.lstrip(".").upper()
    form = {"AIF": "AIFF", "OGA": "OGG"}.get(kind, kind)
    try:
        with soundfile.SoundFile(encoded, "w", sample_rate, 1, format=form) as sink:
            for first in range(0, samples.size, WRITTEN):  # all at once would overflow the stack in Vorbis
                sink.write(np.clip(samples[first : first + WRITTEN], -1, 1))
    except (soundfile.LibsndfileError, TypeError, ValueError) as error:
        raise AudioError(
            f"{path}: cannot be written as {kind or 'audio'} ({_reason(error)}); name it .wav or .flac"
        ) from error
    with replacing(path) as temporary:
        temporary.write_bytes(encoded.getbuffer())


def _reason(error: Exception) -> str:
    text = error.error_string if isinstance(error, soundfile.LibsndfileError) else str(error)
    return text.removeprefix("Error : ").strip().rstrip(".").replace("\n", " ") or type(error).__name__
