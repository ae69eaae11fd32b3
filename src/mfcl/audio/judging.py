"""What is wrong with a recording: one judgement, asked by whatever reads sound."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from jaxtyping import Float32, Float64

from mfcl.audio.io import AudioFile, all_finite, mono, open_audio
from mfcl.audio.preparation import SILENCE_DB, decibels
from mfcl.errors import AudioError

FAILURES = {
    "unreadable": "left out",
    "empty": "left out",
    "NaN": "left out",
    "silent": "left out",
}
"""Kinds of problems for which a recording cannot be used, and what is done; the worst first."""

NOTICES = {
    "channels cancel": "the louder channel is used instead of their mean",
    "above full scale": "used as it is; divide it by its peak if other files are not like it",
    "second stream": "left out",
    "cut short": "what is there is used",
    "checksum": "used as it is decoded",
    "unfinished": "used to its end",
    "clipped": "used as it is",
    "DC offset": "removed, unless the recipe keeps it",
}
"""Kinds of problems with which a recording is used all the same, and what is done; the worst first."""

HELD = 1 << 22  # numbers; a longer recording is decoded again for each use
CANCELLED = 0.01  # of the channels' mean power; that of n channels that have nothing in common keeps 1/n
NEAR_FULL_SCALE = 0.99  # the highest value of 8 bit is 0.992
FAR_ABOVE_FULL_SCALE = 2.0  # lossy formats come back up to about 1.3
CLIPPED_RUN = 3  # equal samples in a row: of a sine, two may be equal at its top
LARGE_OFFSET = 0.02  # of full scale; a smaller one is removed like any other and changes nothing


@dataclass(frozen=True, eq=False)
class Judgement:
    """What was found of a recording when it was decoded.

    Attributes:
        frames: Samples of each channel.
        sample_rate: In Hz; 0 if the file could not be opened.
        channels: How many; 0 if the file could not be opened.
        problems: What is wrong, each beginning with its kind, such as `clipped: at 3 places`.
        digest: Of the sound and its rate; empty if there is none.
        channel: The one to use; None: the mean of all.
        mean: Of that sound.
        ignore_length: Whether the file holds more than its header says; see `open_audio`.
        blocks: All that was decoded, if it was to be kept and was not too long.
    """

    frames: int
    sample_rate: int
    channels: int
    problems: tuple[str, ...]
    digest: str = ""
    channel: int | None = None
    mean: float = 0.0
    ignore_length: bool = False
    blocks: tuple[Float32[np.ndarray, "_ channels"], ...] | None = None

    @property
    def failures(self) -> tuple[str, ...]:
        """Problems for which it cannot be used."""
        return tuple(problem for problem in self.problems if kind_of(problem) in FAILURES)

    @property
    def notices(self) -> tuple[str, ...]:
        """Problems with which it is used all the same."""
        return tuple(problem for problem in self.problems if kind_of(problem) not in FAILURES)


def kind_of(problem: str) -> str:
    """Return the kind that a problem's text begins with.

    Example:
        >>> kind_of("clipped: at 3 places")
        'clipped'
    """
    return problem.split(":")[0]


def judge(
    path: Path, start: float | None = None, end: float | None = None, *, keep_for_rate: int | None = None
) -> Judgement:
    """Decode a file, or the part from `start` to `end` in seconds, and say what is wrong with it; never raise.

    Memory does not grow with the recording's length.

    Args:
        path: The file.
        start: Seconds from the file's beginning.
        end: Seconds from the file's beginning.
        keep_for_rate: Keep what was decoded, of a recording that is not too long at this rate in Hz.
    """
    try:
        found = _judge(path, start, end, keep_for_rate)
        if any(kind_of(problem) == "checksum" for problem in found.problems):
            # the header may be wrong about the number of samples instead: what is there to its end?
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
    with open_audio(path, ignore_length=ignore_length) as file:
        sums = _Sums.of(file.channels)
        kept: list[Float32[np.ndarray, "frames channels"]] | None = [] if keep_for_rate else None
        most = HELD / max(file.channels, (keep_for_rate or 0) / file.sample_rate)
        for block in file.blocks(start, end):
            sums.add(block)
            if kept is not None:
                kept.append(block)
            if sums.frames > most:
                kept = None
        channel, problems = sums.outcome()
        digest = sums.digest.copy()
        digest.update(str(file.sample_rate).encode())
        if channel is not None:  # of channels that cancel the mean says little
            digest.update(sums.first_digest.digest())
        return Judgement(
            frames=sums.frames,
            sample_rate=file.sample_rate,
            channels=file.channels,
            problems=(*file.notices, *_cut_short(file, start, end, sums.frames), *problems),
            digest=digest.hexdigest() if sums.frames else "",
            channel=channel,
            mean=float(sums.mono_total if channel is None else sums.totals[channel]) / max(sums.frames, 1),
            ignore_length=ignore_length,
            blocks=None if kept is None else tuple(kept),
        )


def sound_of(block: Float32[np.ndarray, "frames channels"], judgement: Judgement) -> Float32[np.ndarray, " frames"]:
    """Return what is used of a block: the channels' mean, or the loudest channel where they cancel."""
    return mono(block) if judgement.channel is None else np.ascontiguousarray(block[:, judgement.channel])


def decoded_blocks(
    path: Path, start: float | None, end: float | None, judgement: Judgement
) -> Iterator[Float32[np.ndarray, " frames"]]:
    """Yield the sound that was judged, from what was kept of it or from the file again.

    Raises:
        AudioError: the file cannot be opened any more.
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
    tolerated = 0 if end is None else 1  # an end given to a few digits may round to a frame more
    return [f"cut short: {frames / rate:.3f} of {wanted / rate:.3f} s"] if frames < wanted - tolerated else []


@dataclass
class _Sums:
    """What is known of a recording from its blocks so far; powers in double precision, or an offset drowns them."""

    totals: Float64[np.ndarray, " channels"]
    powers: Float64[np.ndarray, " channels"]
    frames: int = 0
    mono_total: float = 0.0
    mono_power: float = 0.0
    peak: float = 0.0
    bad: int = 0
    clipped: int = 0
    digest: "hashlib.blake2b" = field(default_factory=lambda: hashlib.blake2b(digest_size=16))
    first_digest: "hashlib.blake2b" = field(default_factory=lambda: hashlib.blake2b(digest_size=16))

    @classmethod
    def of(cls, channels: int) -> "_Sums":
        return cls(totals=np.zeros(channels), powers=np.zeros(channels))

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
        if block.shape[1] > 1:
            self.first_digest.update(block[:, 0].tobytes())
            for number, channel in enumerate(block.T.astype(np.float64)):
                self.totals[number] += channel.sum()
                self.powers[number] += channel @ channel
        if self.peak >= NEAR_FULL_SCALE:
            self.clipped += _clipped_places(block)

    def outcome(self) -> tuple[int | None, list[str]]:
        """Return the channel to use if not the mean of all, and the problems."""
        if self.frames == 0:
            return None, ["empty: no sample could be decoded"]
        if self.bad:
            return None, [f"NaN: {self.bad} samples are no numbers"]
        mean = self.mono_total / self.frames
        power = self.mono_power / self.frames - mean**2
        channel, found = None, []
        if len(self.totals) > 1:
            powers = self.powers / self.frames - (self.totals / self.frames) ** 2
            loudest = int(np.argmax(powers))
            if power < CANCELLED * powers.mean() and decibels(float(powers[loudest])) >= SILENCE_DB:
                found.append(
                    f"channels cancel: their mean has {decibels(power):.0f} dB, "
                    f"channel {loudest + 1} has {decibels(float(powers[loudest])):.0f} dB"
                )
                channel, power, mean = loudest, float(powers[loudest]), float(self.totals[loudest]) / self.frames
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
    """Return how often some equal samples near full scale follow one another, in any channel."""
    if max(float(block.max()), -float(block.min())) < NEAR_FULL_SCALE or len(block) < CLIPPED_RUN:
        return 0
    flat = (np.abs(block[1:]) >= NEAR_FULL_SCALE) & (block[1:] == block[:-1])
    runs = flat[1:] & flat[:-1]  # three samples, two steps
    return int(np.count_nonzero(runs[0]) + np.count_nonzero(runs[1:] & ~runs[:-1])) if len(runs) else 0
