"""What there is, and what is wrong with it, file by file."""

import contextlib
import hashlib
import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import soundfile
from jaxtyping import Float32

from mfcl.audio import SILENCE_DB, all_finite, audio_blocks, mono, open_audio, promised_frames
from mfcl.core.console import table
from mfcl.core.files import cache_folder, write_json
from mfcl.core.parallel import in_parallel
from mfcl.data.manifest import Manifest, Recording, is_text, readable
from mfcl.errors import AudioError, MfclError

UNUSABLE = ("unreadable", "empty", "silent", "NaN", "name not UTF-8")
"""Problems for which a recording is left out; with any other it stays."""

VERSION = 2  # of what is found and kept of a recording; another number, and all are looked at again
KEPT = ("seconds", "sample_rate", "channels", "problems", "digest")
SHOWN = 12  # values of a label that the table counts one by one
NEAR_FULL_SCALE = 0.99  # the highest value of 8 bit is 0.992
CLIPPED_RUN = 3  # equal samples in a row: of a sine, two may be equal at its top


@dataclass(frozen=True, slots=True)
class ScanEntry:
    """What was found of one recording."""

    id: str
    path: Path
    seconds: float
    sample_rate: int
    """Hz; 0 if the file could not be opened."""
    channels: int
    problems: tuple[str, ...]
    """Each begins with its kind, such as `clipped: at 3 places`."""
    digest: str
    """Of the decoded sound and its rate; empty if there is none."""

    @property
    def kinds(self) -> tuple[str, ...]:
        """The kinds of its problems."""
        return tuple(problem.split(":")[0] for problem in self.problems)

    @property
    def usable(self) -> bool:
        """Whether it can be trained on and measured."""
        return not any(kind in UNUSABLE for kind in self.kinds)


@dataclass(frozen=True)
class ScanReport:
    """What was found of all recordings, in the manifest's order."""

    manifest: Manifest
    entries: tuple[ScanEntry, ...]

    @property
    def usable(self) -> Manifest:
        """The recordings that can be used.

        Raises:
            ManifestError: there is none.
        """
        pairs = zip(self.manifest, self.entries, strict=True)
        kept = tuple(replace(recording, digest=entry.digest) for recording, entry in pairs if entry.usable)
        return Manifest(kept, self.manifest.root)

    @property
    def failures(self) -> tuple[tuple[str, str], ...]:
        """Recordings that cannot be used: id and reason."""
        return tuple((entry.id, "; ".join(entry.problems)) for entry in self.entries if not entry.usable)

    def table(self) -> str:
        """Return what there is: files, hours, rates, lengths, labels and their counts, and the problems' numbers."""
        good = [entry for entry in self.entries if entry.usable]
        seconds = np.array([entry.seconds for entry in good] or [0.0])
        problems = Counter(kind for entry in self.entries for kind in dict.fromkeys(entry.kinds))
        copies = sum("duplicate" in entry.kinds for entry in good)
        rows = [
            ("recordings", f"{len(self.entries)} ({len(good)} usable)"),
            ("hours", f"{seconds.sum() / 3600:.2f}"),
            ("seconds each", f"{seconds.min():.2f} to {seconds.max():.2f}, median {np.median(seconds):.2f}"),
            ("rates (Hz)", _counts(str(entry.sample_rate) for entry in good)),
            ("channels", _counts(str(entry.channels) for entry in good)),
            *((f"label {name}", _label_counts(self.manifest, name)) for name in self.manifest.label_names),
            ("split", _split_counts(self.manifest)),
            *([("layout", self.manifest.layout)] if self.manifest.layout else []),
            *([("copies", f"{copies} recordings are copies of others: kept on one side")] if copies else []),
            ("problems", ", ".join(f"{kind}: {count}" for kind, count in sorted(problems.items())) or "none"),
        ]
        notes = "".join(f"\nnote: {note}" for note in self.manifest.notes)
        return table(rows, ["", readable(str(self.manifest.root))]) + notes

    def problems_table(self, most: int | None = None) -> str:
        """Return the problems, a recording a line, those left out first; an empty text if there is none.

        Args:
            most: Lines at the most; the rest is counted. None: every recording with a problem.
        """
        entries = sorted((entry for entry in self.entries if entry.problems), key=lambda entry: entry.usable)
        shown = entries if most is None else entries[:most]
        rows = [(entry.id, "kept" if entry.usable else "left out", "; ".join(entry.problems)) for entry in shown]
        more = f"\n... and {len(entries) - len(shown)} more" if len(shown) < len(entries) else ""
        return table(rows, ["recording", "is", "because"]) + more if rows else ""


def scan(manifest: Manifest, *, workers: int | None = None, progress: bool = True) -> ScanReport:
    """Decode every recording and say what is wrong with it; a bad file never stops it.

    Problems for which a recording is left out: `unreadable`, `empty`, `silent`, `NaN`, `name not UTF-8` (no list can
    name it). With these it stays: `cut short`
    (the file ends, or stops decoding, before its header says), `clipped`, `DC offset`, `duplicate` (of an earlier
    recording's sound at the same rate, in whatever format), `label missing`.

    Memory does not grow with the length of a recording.

    Args:
        manifest: The recordings.
        workers: Threads; none: all cores.
        progress: Whether to show a bar.
    """
    found = in_parallel(_inspect, manifest.recordings, workers=workers, what="Scanning", shown=progress)
    return _report(manifest, found)


def scan_once(manifest: Manifest, *, cache: Path | None = None, progress: bool = True) -> ScanReport:
    """Return what `scan` finds, without listening again to files that have not changed since the last time.

    Args:
        manifest: The recordings.
        cache: Folder for what was found; by default as `mfcl.core.files.cache_folder` has it.
        progress: Whether to show a bar.
    """
    place = cache_folder(cache) / "scan" / f"{manifest.files_key(VERSION)}.json"
    entries = _kept(place, manifest)
    if entries is None:
        entries = list(in_parallel(_inspect, manifest.recordings, what="Scanning", shown=progress))
        with contextlib.suppress(OSError, ValueError, MfclError):  # not kept: looked at again the next time
            place.parent.mkdir(parents=True, exist_ok=True)
            write_json(place, [[getattr(entry, name) for name in KEPT] for entry in entries])
    return _report(manifest, entries)


def _kept(place: Path, manifest: Manifest) -> list[ScanEntry] | None:
    """Return what was found of each recording by itself the last time; none if there was none, or it is damaged."""
    try:
        rows = json.loads(place.read_text(encoding="utf-8"))
        return [
            ScanEntry(one.id, one.path, float(seconds), int(rate), int(channels), tuple(problems), str(digest))
            for one, (seconds, rate, channels, problems, digest) in zip(manifest, rows, strict=True)
        ]
    except (OSError, ValueError, TypeError):
        return None


def _report(manifest: Manifest, found: Iterable[ScanEntry]) -> ScanReport:
    """Return the report of entries, with what only all of them together show."""
    first: dict[str, str] = {}
    entries = []
    for recording, entry in zip(manifest, found, strict=True):
        nameless = [] if is_text(recording.path) else ["name not UTF-8: rename the file or its folder"]
        problems = list(nameless)
        original = (
            first.setdefault(entry.digest, entry.id) if entry.digest and entry.usable and not nameless else entry.id
        )
        if original != entry.id:
            problems.append(f"duplicate: of {original}")
        lacking = [name for name in manifest.label_names if not recording.label(name)]
        if lacking:
            problems.append(f"label missing: {', '.join(lacking)}")
        entries.append(replace(entry, problems=(*entry.problems, *problems)) if problems else entry)
    return ScanReport(manifest, tuple(entries))


def _inspect(recording: Recording) -> ScanEntry:
    try:
        with open_audio(recording.path) as file:
            sums = _Sums()
            for block in audio_blocks(file, recording.start, recording.end):
                sums.add(block)
            problems = _cut_short(file, recording, sums.frames) + sums.problems()
            seconds = sums.frames / file.samplerate
            rate, channels = int(file.samplerate), int(file.channels)
    except AudioError as error:
        reason = str(error).removeprefix(f"{recording.path}: ").split(";")[0]
        return ScanEntry(recording.id, recording.path, 0.0, 0, 0, (f"unreadable: {reason}",), "")
    sums.digest.update(f"{rate} Hz".encode())  # equal samples at another rate are other sound
    digest = sums.digest.hexdigest() if sums.frames else ""
    return ScanEntry(recording.id, recording.path, seconds, rate, channels, tuple(problems), digest)


def _cut_short(file: soundfile.SoundFile, recording: Recording, frames: int) -> list[str]:
    rate = file.samplerate
    first = round((recording.start or 0.0) * rate)
    last = promised_frames(file) if recording.end is None else round(recording.end * rate)
    wanted = last - first
    tolerated = 0 if recording.end is None else 1  # an end given to a few digits may round to a frame more
    return [f"cut short: {frames / rate:.3f} of {wanted / rate:.3f} s"] if frames < wanted - tolerated else []


@dataclass
class _Sums:
    """What is known of a recording from its blocks so far."""

    frames: int = 0
    total: float = 0.0
    power: float = 0.0
    bad: int = 0
    clipped: int = 0
    digest: hashlib.blake2b = field(default_factory=lambda: hashlib.blake2b(digest_size=16))

    def add(self, block: Float32[np.ndarray, "frames channels"]) -> None:
        wave = mono(block)
        self.digest.update(wave.tobytes())
        self.frames += wave.size
        if not all_finite(block):
            self.bad += int(np.count_nonzero(~np.isfinite(wave))) or 1
            return
        self.total += float(np.sum(wave, dtype=np.float64))
        self.power += float(np.sum(np.square(wave), dtype=np.float64))
        self.clipped += _clipped_places(block)

    def problems(self) -> list[str]:
        if self.frames == 0:
            return ["empty: no sample could be decoded"]
        if self.bad:
            return [f"NaN: {self.bad} samples are no numbers"]
        mean = self.total / self.frames
        level = 10 * np.log10(max(self.power / self.frames - mean**2, 1e-12))
        found = [f"silent: {level:.0f} dB"] if level < SILENCE_DB else []
        if abs(mean) > max(0.001, 0.1 * 10 ** (level / 20)):
            found.append(f"DC offset: {mean:+.4f} of full scale")
        if self.clipped:
            found.append(f"clipped: at {self.clipped} places")
        return found


def _clipped_places(block: Float32[np.ndarray, "frames channels"]) -> int:
    """Return how often some equal samples near full scale follow one another, in any channel."""
    if max(float(block.max()), -float(block.min())) < NEAR_FULL_SCALE or len(block) < CLIPPED_RUN:
        return 0
    flat = (np.abs(block[1:]) >= NEAR_FULL_SCALE) & (block[1:] == block[:-1])
    runs = flat[1:] & flat[:-1]  # three samples, two steps
    return int(np.count_nonzero(runs[0]) + np.count_nonzero(runs[1:] & ~runs[:-1])) if len(runs) else 0


def _split_counts(manifest: Manifest) -> str:
    given = [recording.split for recording in manifest if recording.split]
    lacking = len(manifest) - len(given)
    return _counts(given) + (f"; none given: {lacking}" if lacking else "") if given else "none given"


def _label_counts(manifest: Manifest, name: str) -> str:
    values = [str(value) for value in manifest.column(name) if value]
    lacking = len(manifest) - len(values)
    return f"{len(set(values))} values; {_counts(values)}" + (f"; missing: {lacking}" if lacking else "")


def _counts(values: Iterable[str]) -> str:
    """Return how many there are of each value; of many values, the range."""
    found = sorted(Counter(values).items())
    if len(found) > SHOWN:
        return f"{min(count for _, count in found)} to {max(count for _, count in found)} each"
    return ", ".join(f"{value}: {count}" for value, count in found) or "none"
