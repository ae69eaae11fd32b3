"""Check recordings for problems; scanning, training and embedding all use this one check."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from jaxtyping import Float32, Float64

from mfcl.audio.endpoints import FrameSums
from mfcl.audio.io import AudioFile, all_finite, mono, open_audio
from mfcl.audio.preparation import SILENCE_DB, decibels
from mfcl.audio.windows import check_part
from mfcl.core.console import worded
from mfcl.errors import AudioError

FAILURES = {
    "unreadable": "left out",
    "empty": "left out",
    "NaN": "left out",
    "silent": "left out",
}
"""Kinds of problems with which a recording cannot be used, and what is done; the worst first."""

NOTICES = {
    "channels cancel": "the loudest channel is used instead of their mean",
    "above full scale": "used as it is; divide it by its peak if other files are not like it",
    "second stream": "left out",
    "cut short": "what is there is used",
    "checksum": "used as it is decoded",
    "unfinished": "used to its end",
    "clipped": "used as it is",
    "DC offset": "removed, unless the recipe keeps it",
}
"""Kinds of problems with which a recording is still used, and what is done; the worst first."""

HELD = 1 << 22  # samples kept in memory; a longer recording is decoded again for each use
CANCELLED = 0.01  # power of the mono mix / mean power of the channels; 1/n for n uncorrelated channels
NEAR_FULL_SCALE = 0.99  # the highest 8-bit value is 0.992
FAR_ABOVE_FULL_SCALE = 2.0  # lossy formats decode to peaks of up to about 1.3
CLIPPED_RUN = 3  # equal samples in a row; the top of a sine may have two
LARGE_OFFSET = 0.02  # of full scale; a smaller offset is removed without a notice


@dataclass(frozen=True, eq=False)
class Judgement:
    """Properties and problems of a decoded recording.

    Attributes:
        frames: Number of samples per channel.
        sample_rate: In Hz; 0 if the file could not be opened.
        channels: Number of channels; 0 if the file could not be opened.
        problems: Problems, each beginning with its kind, such as `clipped: at 3 places`.
        digest: Hash of the mono samples and the sample rate; empty without samples.
        channel: Index of the channel to use; None: the mean of all.
        mean: Mean of the samples that are used (the DC offset).
        sound: Seconds of sound and runs of sound (`mfcl.audio.endpoints.sound_span`); None if it is longer than 30 s,
            cannot be used, or its channels cancel.
        ignore_length: Whether the file holds more samples than its header says; see `open_audio`.
        blocks: The decoded samples, if they were to be kept and were not too long.
    """

    frames: int
    sample_rate: int
    channels: int
    problems: tuple[str, ...]
    digest: str = ""
    channel: int | None = None
    mean: float = 0.0
    sound: tuple[float, int] | None = None
    ignore_length: bool = False
    blocks: tuple[Float32[np.ndarray, "_ channels"], ...] | None = None

    @property
    def failures(self) -> tuple[str, ...]:
        """Problems with which it cannot be used."""
        return tuple(problem for problem in self.problems if kind_of(problem) in FAILURES)

    @property
    def notices(self) -> tuple[str, ...]:
        """Problems with which it is still used."""
        return tuple(problem for problem in self.problems if kind_of(problem) not in FAILURES)


def kind_of(problem: str) -> str:
    """Return the kind of a problem, which is the beginning of its text.

    Example:
        >>> kind_of("clipped: at 3 places")
        'clipped'
    """
    return problem.split(":")[0]


def judge(
    path: Path, start: float | None = None, end: float | None = None, *, keep_for_rate: int | None = None
) -> Judgement:
    """Decode a file, or a segment of it, and report its problems; a bad file, or a time that is none, raises no error.

    Memory does not grow with the recording's length.

    Args:
        path: The file.
        start: Seconds from the file's beginning.
        end: Seconds from the file's beginning.
        keep_for_rate: Keep the decoded samples, unless the recording is too long at this sample rate in Hz.

    Raises:
        TransferError: the storage of a URL does not answer, which is no fault of the recording.
    """
    try:
        found = _judge(path, start, end, keep_for_rate)
        if any(kind_of(problem) == "checksum" for problem in found.problems):
            # the header's number of samples may be wrong instead of the samples: decode to the end of the file
            whole = _judge(path, start, end, keep_for_rate, ignore_length=True)
            if whole.frames > found.frames:
                told = f"unfinished: header says {found.frames} of {whole.frames} samples"
                others = [problem for problem in whole.problems if kind_of(problem) != "checksum"]
                return replace(whole, problems=(told, *others))
        return found
    except AudioError as error:
        reason = str(error).removeprefix(f"{path}: ").split(";")[0]
        return Judgement(0, 0, 0, (f"unreadable: {reason}",))
    except MemoryError:
        return Judgement(0, 0, 0, ("unreadable: it does not fit into memory",))


def _judge(
    path: Path, start: float | None, end: float | None, keep_for_rate: int | None, *, ignore_length: bool = False
) -> Judgement:
    check_part(path, start, end)
    with open_audio(path, ignore_length=ignore_length) as file:
        sums = _Sums.of(file.channels, file.sample_rate)
        kept: list[Float32[np.ndarray, "frames channels"]] | None = [] if keep_for_rate else None
        most = HELD / max(file.channels, (keep_for_rate or 0) / file.sample_rate)
        for block in file.blocks(start, end):
            sums.add(block)
            if kept is not None:
                kept.append(block)
            if sums.frames > most:
                kept = None
        channel, problems = sums.outcome()
        cut = _cut_short(file, start, end, sums.frames)
        if not sums.frames and start and file.frames and start * file.sample_rate >= file.frames:
            # the file may be whole: its times are not, such as those of another file or in another unit
            has = file.frames / file.sample_rate
            cut, problems = [], [f"empty: it begins at {start:g} s, but the file has {has:.3f} s: correct its times"]
        digest = sums.digest.copy()
        digest.update(str(file.sample_rate).encode())
        if channel is not None:  # the mean of channels that cancel hardly identifies a recording
            digest.update(sums.others_digest.digest())
        mean = float(sums.mono_total if channel is None else sums.totals[channel]) / max(sums.frames, 1)
        return Judgement(
            frames=sums.frames,
            sample_rate=file.sample_rate,
            channels=file.channels,
            problems=(*file.notices, *cut, *problems),
            digest=digest.hexdigest() if sums.frames else "",
            channel=channel,
            mean=mean,
            sound=None if channel is not None or sums.bad else sums.levels.sound(mean),
            ignore_length=ignore_length,
            blocks=None if kept is None else tuple(kept),
        )


def cancelled_by(power: float, powers: Float64[np.ndarray, " channels"]) -> tuple[int, str] | None:
    """Return the channel to use in place of the mean of all, and the problem; None if the channels do not cancel.

    Args:
        power: Mean square of the mean of the channels, without its mean.
        powers: Of each channel.
    """
    loudest = int(np.argmax(powers))
    level = decibels(float(powers[loudest]))
    if power >= CANCELLED * powers.mean() or level < SILENCE_DB:
        return None
    return (
        loudest,
        f"channels cancel: their mean has {decibels(power):.0f} dB, channel {loudest + 1} has {level:.0f} dB",
    )


def sound_of(block: Float32[np.ndarray, "frames channels"], judgement: Judgement) -> Float32[np.ndarray, " frames"]:
    """Return the mono samples of a block: the mean of the channels, or the loudest channel if they cancel."""
    return mono(block) if judgement.channel is None else np.ascontiguousarray(block[:, judgement.channel])


def decoded_blocks(
    path: Path, start: float | None, end: float | None, judgement: Judgement
) -> Iterator[Float32[np.ndarray, " frames"]]:
    """Yield the mono samples of a checked recording, from memory if they were kept, else from the file.

    Raises:
        AudioError: the file can no longer be opened.
    """
    if judgement.blocks is not None:
        yield from (sound_of(block, judgement) for block in judgement.blocks)
        return
    with open_audio(path, ignore_length=judgement.ignore_length) as file:
        for block in file.blocks(start, end):
            yield sound_of(block, judgement)


def _cut_short(file: AudioFile, start: float | None, end: float | None, frames: int) -> list[str]:
    rate = file.sample_rate
    last = file.frames if end is None else round(end * rate)
    if last is None:
        return []
    wanted = last - round((start or 0.0) * rate)
    tolerated = 0 if end is None else 1  # a rounded `end` may be one frame too late
    return [f"cut short: {frames / rate:.3f} of {wanted / rate:.3f} s"] if frames < wanted - tolerated else []


@dataclass
class _Sums:
    """Running sums over the blocks of a recording.

    Sums are in double precision: in single precision a DC offset would hide the power of a quiet signal.
    """

    totals: Float64[np.ndarray, " channels"]
    powers: Float64[np.ndarray, " channels"]
    levels: FrameSums
    frames: int = 0
    mono_total: float = 0.0
    mono_power: float = 0.0
    peak: float = 0.0
    bad: int = 0
    clipped: int = 0
    digest: "hashlib.blake2b" = field(default_factory=lambda: hashlib.blake2b(digest_size=16))
    others_digest: "hashlib.blake2b" = field(default_factory=lambda: hashlib.blake2b(digest_size=16))

    @classmethod
    def of(cls, channels: int, sample_rate: int) -> "_Sums":
        return cls(totals=np.zeros(channels), powers=np.zeros(channels), levels=FrameSums(sample_rate))

    def add(self, block: Float32[np.ndarray, "frames channels"]) -> None:
        wave = mono(block)
        self.digest.update(wave.tobytes())
        self.frames += wave.size
        if not all_finite(block):
            self.bad += int(np.count_nonzero(~np.isfinite(wave))) or 1
            return
        self.peak = max(self.peak, float(block.max()), -float(block.min()))
        exact = wave.astype(np.float64)
        self.mono_total += float(exact.sum())
        self.mono_power += float(exact @ exact)
        self.levels.add(exact)
        if block.shape[1] > 1:
            self.others_digest.update(block[:, :-1].tobytes())  # with the mean they tell the last one, too
            for number, channel in enumerate(block.T.astype(np.float64)):
                self.totals[number] += channel.sum()
                self.powers[number] += channel @ channel
        if self.peak >= NEAR_FULL_SCALE:
            self.clipped += _clipped_places(block)

    def outcome(self) -> tuple[int | None, list[str]]:
        """Return the channel to use (None: the mean of all) and the problems."""
        if self.frames == 0:
            return None, ["empty: no sample could be decoded"]
        if self.bad:
            return None, [f"NaN: {worded(self.bad, 'sample is', 'samples are')} NaN, infinite or absurdly large"]
        mean = self.mono_total / self.frames
        power = self.mono_power / self.frames - mean**2
        channel, found = None, []
        if len(self.totals) > 1:
            powers = self.powers / self.frames - (self.totals / self.frames) ** 2
            if (cancelled := cancelled_by(power, powers)) is not None:
                channel, problem = cancelled
                found.append(problem)
                power, mean = float(powers[channel]), float(self.totals[channel]) / self.frames
        level = decibels(power)
        if level < SILENCE_DB:
            found.append(f"silent: {level:.0f} dB")
        if self.peak > FAR_ABOVE_FULL_SCALE:
            found.append(f"above full scale: peak {self.peak:.5g}")
        if abs(mean) > max(LARGE_OFFSET, 0.1 * 10 ** (level / 20)):
            found.append(f"DC offset: {mean:+.4f} of full scale")
        if self.clipped:
            found.append(f"clipped: at {self.clipped} places")
        return channel, found


def _clipped_places(block: Float32[np.ndarray, "frames channels"]) -> int:
    """Count runs of `CLIPPED_RUN` or more equal samples near full scale, in all channels together."""
    if max(float(block.max()), -float(block.min())) < NEAR_FULL_SCALE or len(block) < CLIPPED_RUN:
        return 0
    flat = (np.abs(block[1:]) >= NEAR_FULL_SCALE) & (block[1:] == block[:-1])
    runs = flat[1:] & flat[:-1]  # three equal samples are two equal pairs
    return int(np.count_nonzero(runs[0]) + np.count_nonzero(runs[1:] & ~runs[:-1])) if len(runs) else 0
