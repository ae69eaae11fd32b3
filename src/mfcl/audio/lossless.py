"""Write a recording's decoded samples as they are: all channels, at its own rate, in the fewest bits that hold them."""

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Literal

import numpy as np
import soundfile
from jaxtyping import Float32, Int16, Int32

from mfcl.audio.io import open_audio
from mfcl.audio.judging import Judgement
from mfcl.errors import AudioError, MfclError, advice

Encoding = Literal["flac", "wav"]
"""`flac`: 16 or 24 bits, without loss where the source has so many; `wav`: 16 bits."""
Stored = (
    Int16[np.ndarray, "frames channels"] | Int32[np.ndarray, "frames channels"] | Float32[np.ndarray, "frames channels"]
)
FLAC_CHANNELS, FLAC_RATE = 8, 65_535
"""Most channels and highest sample rate (Hz) that every FLAC decoder takes."""
LARGE = 1 << 31
"""Bytes from which a WAV file is written as RF64, as its own sizes have 32 bits."""


@dataclass(frozen=True)
class Written:
    """How a recording was written.

    Attributes:
        suffix: `.flac` or `.wav`.
        subtype: `PCM_16`, `PCM_24` or `FLOAT`.
        frames: Samples of each channel.
        sample_rate: In Hz.
        channels: Number of channels.
        exact: Whether every sample is read back as it was decoded; otherwise it was rounded to `subtype`.
    """

    suffix: str
    subtype: str
    frames: int
    sample_rate: int
    channels: int
    exact: bool


def write_lossless(
    out: BinaryIO, path: Path, start: float | None, end: float | None, judgement: Judgement, encoding: str
) -> Written:
    """Write a checked recording to an open file, in blocks.

    Samples that 16 bits hold are written in 16, others that 24 hold in 24. What neither holds (decoded MP3 or Ogg,
    floats, 32 bits) is rounded to 24 bits, 144 dB below full scale; above full scale it is kept in floats of 32 bits.
    With `wav` 16 takes the place of 24.

    Args:
        out: File to write to, from its beginning.
        path: The source.
        start: Seconds from the source's beginning.
        end: Seconds from the source's beginning.
        judgement: Result of `judge` for it.
        encoding: `flac` or `wav`.

    Raises:
        AudioError: the source changed since it was checked, or cannot be written.
        MfclError: the disk is full.
    """
    fits16, fits24, peak = True, True, 0.0  # of all samples so far
    for block in source_blocks(path, start, end, judgement):
        fits16, fits24 = fits16 and _fits(block, 15), fits24 and _fits(block, 23)
        peak = max(peak, float(np.abs(block).max(initial=0)))
    most = "PCM_24" if encoding == "flac" else "PCM_16"
    subtype = "FLOAT" if peak > 1 else "PCM_16" if fits16 else most
    exact = {"PCM_16": fits16, "PCM_24": fits24, "FLOAT": True}[subtype]
    flac = encoding == "flac" and subtype != "FLOAT"
    flac = flac and judgement.channels <= FLAC_CHANNELS and judgement.sample_rate <= FLAC_RATE
    size = judgement.frames * judgement.channels * {"PCM_16": 2, "PCM_24": 3, "FLOAT": 4}[subtype]
    form = "FLAC" if flac else "WAV" if size < LARGE else "RF64"
    frames, sunk = 0, _Sink(out)
    try:
        with soundfile.SoundFile(
            sunk, "w", judgement.sample_rate, judgement.channels, subtype=subtype, format=form
        ) as sink:
            for block in source_blocks(path, start, end, judgement):
                sink.write(_stored(block, subtype))
                frames += len(block)
    except (soundfile.LibsndfileError, TypeError, ValueError, AssertionError) as error:
        sunk.check(path)
        reason = str(error).replace("\n", " ")
        raise AudioError(f"{path}: cannot be written as {form} ({reason}); leave it out") from error
    sunk.check(path)
    if frames != judgement.frames:
        raise AudioError(f"{path}: changed while it was read; start again")
    return Written(
        ".flac" if flac else ".wav", subtype, frames, judgement.sample_rate, judgement.channels, exact
    )  # fmt: skip


class _Sink:
    """A file to write to, for an encoder in C, which cannot pass on what goes wrong: it would be the recording's fault.

    Args:
        out: The file.
    """

    def __init__(self, out: BinaryIO) -> None:
        self.out = out
        self.error: OSError | None = None

    def read(self, count: int) -> bytes:
        return self.out.read(count)

    def tell(self) -> int:
        return self.out.tell()

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        return self._kept(lambda: self.out.seek(offset, whence))  # writes what waits in a buffer

    def write(self, data: bytes) -> int:
        return self._kept(lambda: self.out.write(data))

    def check(self, path: Path) -> None:
        """Raise what went wrong while a recording was written.

        Raises:
            MfclError: the disk is full.
        """
        if self.error is not None:
            told = f"{path}: cannot be encoded on the disk ({self.error.strerror or self.error}); {advice(self.error)}"
            raise MfclError(told) from self.error

    def _kept(self, work: Callable[[], int]) -> int:
        try:
            return 0 if self.error is not None else work()
        except OSError as error:
            self.error = error
            return 0


def source_blocks(
    path: Path, start: float | None, end: float | None, judgement: Judgement
) -> Iterator[Float32[np.ndarray, "frames channels"]]:
    """Yield the decoded samples of all channels of a checked recording, from memory if they were kept.

    Raises:
        AudioError: the file can no longer be opened.
    """
    if judgement.blocks is not None:
        yield from judgement.blocks
        return
    with open_audio(path, ignore_length=judgement.ignore_length) as file:
        yield from file.blocks(start, end)


def _fits(block: Float32[np.ndarray, "frames channels"], bits: int) -> bool:
    """Return whether all samples are whole numbers of steps, 2**bits of which are full scale, and below it."""
    steps = block * np.float32(2**bits)  # exact: only the exponent changes
    return bool(np.all(steps == np.rint(steps)) and steps.max(initial=0) < 2**bits)


def _stored(block: Float32[np.ndarray, "frames channels"], subtype: str) -> Stored:
    """Return samples as libsndfile writes them unchanged; full scale itself becomes the last step below it."""
    if subtype == "FLOAT":
        return block
    bits = 15 if subtype == "PCM_16" else 23
    steps = np.clip(np.rint(block.astype(np.float64) * 2**bits), -(2**bits), 2**bits - 1)
    if subtype == "PCM_16":
        return np.asarray(steps, dtype=np.int16)
    return np.asarray(steps, dtype=np.int32) << np.int32(8)
