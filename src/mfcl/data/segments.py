"""Split long recordings into windows, or into stretches of sound, as rows of a manifest: nothing is copied."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np
from jaxtyping import Float32, Float64, Int64

from mfcl.audio import open_audio
from mfcl.audio.onsets import sound_spans, sounding
from mfcl.audio.preparation import SILENCE_DB, decibels
from mfcl.core.parallel import in_parallel
from mfcl.data.ids import default_id
from mfcl.data.manifest import Manifest, Recording
from mfcl.errors import AudioError, ManifestError, check_number, check_type

ONSETS = "onsets"
SHORTEST, LONGEST = 0.05, 3600.0
"""Seconds of a window."""
LONGEST_SOUND = 10.0
"""Seconds of a stretch of sound; a longer one is divided into equal pieces."""
ABOVE_DB = 6.0
"""How far a stretch of sound stands out of the background, at least."""
HELD_OUT = 0.1
"""Share of a file's segments for valid, and for test, where there are too few files to split by file."""
BY_TIME = (
    "fewer than 3 files: each is split by time, the last tenth for test, the tenth before for valid; one of fewer "
    "than 3 segments is for train"
)
SLOW = 50
"""Segments of a file in which one cannot seek (MP3) from which on a note says that reading them is slow."""


@dataclass(frozen=True)
class Segmented:
    """Recordings split into segments.

    Attributes:
        manifest: The segments. A recording of one segment that is all of it stays as it is.
        seconds: Sound in them, in seconds.
        left_out: Windows that are silent, or seconds between the stretches of sound.
        levels: Level of each window in dB of full scale, silent ones included; empty for onsets.
        failures: Id and reason of recordings that cannot be read.
        notes: Warnings, for people.
    """

    manifest: Manifest
    seconds: float
    left_out: float
    levels: Float64[np.ndarray, " windows"]
    failures: tuple[tuple[str, str], ...]
    notes: tuple[str, ...]


@dataclass(frozen=True)
class _Found:
    """The spans of one recording, in samples from the beginning of its file."""

    spans: Int64[np.ndarray, "spans 2"]
    samples: int
    rate: int
    seekable: bool
    left_out: float
    levels: Float64[np.ndarray, " windows"]


def segment(
    manifest: Manifest,
    how: int | float | Literal["onsets"],
    *,
    level_db: int | float = SILENCE_DB,
    above_db: int | float = ABOVE_DB,
    longest: int | float = LONGEST_SOUND,
    workers: int | None = None,
    progress: bool = True,
) -> Segmented:
    """Split recordings into segments, each with the labels and split of its recording; memory stays bounded.

    Windows follow one another without gaps: window k begins at sample k * size, where window k - 1 ends. The rest of a
    recording is a window of its own, or, if it is shorter than half a window, part of the one before.

    Where fewer than three files have no splits, each file's segments are split by time: the last tenth is for test, the
    tenth before for valid. With more files `mfcl train` splits by file.

    Args:
        manifest: The recordings; of a segment of a file, the windows lie in the segment.
        how: Seconds of a window, or `onsets`: stretches of sound that stand out of the background, each band of 1/16 of
            the frequencies against its own floor.
        level_db: Windows of a lower level (dB of full scale, the loudest channel, without its mean) are left out.
        above_db: For onsets: how far above the floor, in dB.
        longest: For onsets: seconds after which a stretch is divided.
        workers: Number of threads; None: one per core.
        progress: Whether to show a bar.

    Raises:
        MfclError: a number out of range, or no segment is left.
    """
    check_type("manifest", manifest, Manifest, "a manifest", error=ManifestError, do="open it by `mfcl.open_manifest`")
    if how != ONSETS:
        check_number("segment", how, SHORTEST, LONGEST, error=ManifestError)
    check_number("level", level_db, -120, 0, error=ManifestError)
    check_number("above", above_db, 1, 60, error=ManifestError)
    check_number("longest", longest, SHORTEST, LONGEST, error=ManifestError)
    look = partial(_look, how=how, level_db=level_db, above_db=above_db, longest=longest)
    kept: list[Recording] = []
    failures: list[tuple[str, str]] = []
    levels: list[Float64[np.ndarray, " windows"]] = []
    notes = list(manifest.notes)
    seconds, left_out = 0.0, 0.0
    count = workers or manifest.readers
    looked = in_parallel(look, manifest.recordings, workers=count, what="Segmenting", shown=progress)
    for recording, found in zip(manifest, looked, strict=True):
        if isinstance(found, AudioError):
            failures.append((recording.id, str(found)))
            continue
        kept += _rows(recording, found, manifest)
        levels.append(found.levels)
        seconds += float((found.spans[:, 1] - found.spans[:, 0]).sum()) / found.rate
        left_out += found.left_out
        if not found.seekable and len(found.spans) >= SLOW:
            notes.append(
                f"{recording.id}: {len(found.spans)} segments of a file in which one cannot seek; each is decoded from "
                "the file's beginning: convert it to FLAC or WAV first"
            )
    if not kept:
        first = f"; {failures[0][1]}" if failures else ""
        what = "stands out of the background; lower --above" if how == ONSETS else "is as loud; lower --level"
        raise ManifestError(f"{manifest.root}: no segment is left: nothing {what}{first}")
    if not (manifest.splits != "").any() and len({one.path for one in kept}) < 3:
        kept = _by_time(kept)
        notes.append(BY_TIME)
    made = Manifest(tuple(kept), manifest.root, manifest.layout, tuple(notes))
    every = np.concatenate(levels) if levels else np.zeros(0)
    return Segmented(made, seconds, left_out, every, tuple(failures), tuple(notes))


def _look(
    recording: Recording,
    *,
    how: int | float | str,
    level_db: int | float,
    above_db: int | float,
    longest: int | float,
) -> _Found | AudioError:
    try:
        with open_audio(recording.path) as file:
            offset = 0 if recording.start is None else round(recording.start * file.sample_rate)
            counted = _Counted(file.blocks(recording.start, recording.end))
            if isinstance(how, str):
                active = sounding(counted, file.sample_rate, above_db=above_db)
                spans = sound_spans(active, counted.samples, file.sample_rate, longest)
                silent = (counted.samples - int((spans[:, 1] - spans[:, 0]).sum())) / file.sample_rate
                levels = np.zeros(0)
            else:
                spans, levels = window_levels(counted, max(1, round(how * file.sample_rate)))
                loud = ~(levels < level_db)  # NaN is not quiet; the scan says what it is
                spans, silent = spans[loud], float((~loud).sum())
            if not counted.samples:
                return AudioError(f"{recording.path}: empty, no sample could be decoded; leave it out")
            return _Found(spans + offset, counted.samples, file.sample_rate, file.seekable, silent, levels)
    except AudioError as error:
        return error


class _Counted:
    """Blocks, counted."""

    def __init__(self, blocks: Iterator[Float32[np.ndarray, "_ channels"]]) -> None:
        self._blocks, self.samples = blocks, 0

    def __iter__(self) -> Iterator[Float32[np.ndarray, "_ channels"]]:
        for block in self._blocks:
            self.samples += len(block)
            yield block


def window_levels(
    blocks: Iterator[Float32[np.ndarray, "_ channels"]] | _Counted, size: int
) -> tuple[Int64[np.ndarray, "windows 2"], Float64[np.ndarray, " windows"]]:
    """Return the limits of consecutive windows in samples, and the level of each in dB of full scale.

    Args:
        blocks: Consecutive blocks of a recording.
        size: Samples of a window; see `segment` for the last one.

    Example:
        >>> spans, levels = window_levels(iter([np.ones((5, 1), np.float32), np.ones((4, 1), np.float32)]), 4)
        >>> spans.tolist(), levels.tolist()  # a constant is no sound
        ([[0, 4], [4, 9]], [-120.0, -120.0])
    """
    sums: list[Float64[np.ndarray, "2 channels"]] = []
    counts: list[int] = []
    for block in blocks:
        done = 0
        while done < len(block):
            if not counts or counts[-1] == size:
                sums.append(np.zeros((2, block.shape[1])))
                counts.append(0)
            part = block[done : done + size - counts[-1]].astype(np.float64)
            with np.errstate(invalid="ignore"):  # of an infinite sample; such a window's level is no number
                sums[-1] += np.stack([part.sum(axis=0), np.einsum("ij,ij->j", part, part)])
            counts[-1] += len(part)
            done += len(part)
    if len(counts) > 1 and 2 * counts[-1] < size:
        sums[-2:], counts[-2:] = [sums[-2] + sums[-1]], [counts[-2] + counts[-1]]
    ends = np.cumsum(counts, dtype=np.int64)
    spans = np.stack([ends - np.array(counts, dtype=np.int64), ends], axis=1)
    with np.errstate(invalid="ignore"):
        powers = [
            float((square / count - (total / count) ** 2).max())
            for (total, square), count in zip(sums, counts, strict=True)
        ]
    levels = [decibels(power) for power in powers]
    return spans, np.array(levels, dtype=np.float64)


def _rows(recording: Recording, found: _Found, manifest: Manifest) -> Sequence[Recording]:
    """Return the segments of a recording; itself, if the only one is all of it."""
    if len(found.spans) == 1 and found.spans[0, 1] - found.spans[0, 0] == found.samples:
        return [recording]
    rows = []
    for first, last in found.spans.tolist():
        start, end = _seconds(first, found.rate), _seconds(last, found.rate)
        plain = recording.start is None and recording.end is None
        own = recording.id == default_id(recording.path, manifest.root, recording.start, recording.end)
        name = (
            default_id(recording.path, manifest.root, start, end)
            if plain and own
            else f"{recording.id}#{start!r}-{end!r}"
        )
        rows.append(replace(recording, id=name, start=start, end=end, digest=""))
    return rows


def _by_time(rows: Sequence[Recording]) -> list[Recording]:
    """Return the segments with splits by time within each file; a file of fewer than three is for train."""
    counts = Counter(row.path for row in rows)
    seen: Counter[Path] = Counter()
    splits: dict[str, str] = {}
    for row in sorted(rows, key=lambda row: row.start or 0.0):  # the recordings of a list have any order
        held = max(1, round(HELD_OUT * counts[row.path])) if counts[row.path] >= 3 else 0
        left = counts[row.path] - seen[row.path]
        seen[row.path] += 1
        splits[row.id] = "train" if left > 2 * held else "valid" if left > held else "test"
    return [replace(row, split=splits[row.id]) for row in rows]


def _seconds(sample: int, rate: int) -> float:
    """Return the time of a sample, in microseconds where that names the sample exactly."""
    short = round(sample / rate, 6)
    return short if round(short * rate) == sample else sample / rate
