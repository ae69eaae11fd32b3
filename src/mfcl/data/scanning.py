"""Scan recordings: list their properties and problems, and find copies."""

import contextlib
import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from mfcl.audio import FAILURES, NOTICES, judge, kind_of
from mfcl.core.console import printable, table, worded
from mfcl.core.files import cache_folder, write_json
from mfcl.core.parallel import in_parallel
from mfcl.data.events import SoundShare, sound_share
from mfcl.data.ids import readable
from mfcl.data.manifest import Manifest, Recording, is_text
from mfcl.data.scan_counts import label_counts, rate_counts, split_counts, value_counts
from mfcl.data.spellings import spelling_notes
from mfcl.errors import ManifestError, MfclError, check_type

NAMELESS = "name not UTF-8"
DONE = {
    **FAILURES,
    NAMELESS: "left out: a manifest cannot name it; rename the file or its folder",
    **{kind: done for kind, done in NOTICES.items() if kind != "DC offset"},
    "duplicate": "used, in the same split as its first copy",
    "label missing": "used where the label is not needed",
    "DC offset": NOTICES["DC offset"],
}
"""Kind of problem -> what is done about it; the worst first."""
UNUSABLE = (*FAILURES, NAMELESS)
"""Kinds of problems with which a recording is left out."""
MAY_PASS = ("unreadable", "empty")
"""Kinds of problems that the storage of a file may have had, and not the file: they are not believed the next time."""

VERSION = 5  # of cached scan results; a new number makes all files be scanned again
KEPT = ("seconds", "sample_rate", "channels", "problems", "digest", "sound_seconds", "runs")
EXAMPLES = 2  # example recordings per kind of problem


@dataclass(frozen=True, slots=True)
class ScanEntry:
    """Scan result of one recording."""

    id: str
    path: Path
    seconds: float
    sample_rate: int
    """Hz; 0 if the file could not be opened."""
    channels: int
    problems: tuple[str, ...]
    """Each begins with its kind, such as `clipped: at 3 places`."""
    digest: str
    """Hash of the decoded samples and sample rate; empty without samples."""
    sound_seconds: float | None = None
    """Seconds that `preparation.endpoints` would keep; None if the recording is longer than 30 s or cannot be used."""
    runs: int = 0
    """Separate runs of sound in it; 0 if none stands out from its noise floor."""

    @property
    def kinds(self) -> tuple[str, ...]:
        """Kinds of its problems."""
        return tuple(kind_of(problem) for problem in self.problems)

    @property
    def usable(self) -> bool:
        """Whether it can be used for training and evaluation."""
        return not any(kind in UNUSABLE for kind in self.kinds)


@dataclass(frozen=True)
class ScanReport:
    """Scan results of all recordings, in the manifest's order."""

    manifest: Manifest
    entries: tuple[ScanEntry, ...]

    @property
    def usable(self) -> Manifest:
        """The usable recordings, with their digests.

        Raises:
            ManifestError: there are none.
        """
        pairs = zip(self.manifest, self.entries, strict=True)
        kept = tuple(replace(recording, digest=entry.digest) for recording, entry in pairs if entry.usable)
        if not kept:
            raise ManifestError(self._none_usable())
        return Manifest(kept, self.manifest.root)

    def _none_usable(self) -> str:
        kinds = Counter(next(kind for kind in entry.kinds if kind in UNUSABLE) for entry in self.entries)
        counted = ", ".join(f"{kind}: {kinds[kind]}" for kind in sorted(kinds, key=_severity))
        name, reason = self.failures[0]
        one = len(self.entries) == 1
        found = f"{name}, the only recording, cannot" if one else f"none of {len(self.entries)} recordings can"
        why = reason if one else f"{counted}; the first: {name}: {reason}"
        return f"{self.manifest.root}: {found} be used ({why}); repair the files, or name others"

    @property
    def failures(self) -> tuple[tuple[str, str], ...]:
        """Id and reason of recordings that cannot be used."""
        return tuple((entry.id, "; ".join(entry.problems)) for entry in self.entries if not entry.usable)

    @property
    def sound(self) -> SoundShare | None:
        """How much of the usable recordings is sound, and whether they look like isolated events; see `sound_share`."""
        return sound_share((entry.seconds, entry.sound_seconds, entry.runs) for entry in self.entries if entry.usable)

    @property
    def usual_rate(self) -> int:
        """The most frequent sample rate of usable recordings in Hz, the higher of two; 0 if there are none."""
        found = Counter(entry.sample_rate for entry in self.entries if entry.usable)
        return max(found, key=lambda rate: (found[rate], rate), default=0)

    def table(self) -> str:
        """Return a summary table: recordings, and of the usable ones hours, rates, labels and so on; and problems."""
        good = [entry for entry in self.entries if entry.usable]
        kept = [one for one, entry in zip(self.manifest, self.entries, strict=True) if entry.usable]
        seconds = np.array([entry.seconds for entry in good] or [0.0])
        problems = Counter(kind for entry in self.entries for kind in dict.fromkeys(entry.kinds))
        copies = sum("duplicate" in entry.kinds for entry in good)
        same = worded(copies, "recording is a copy of another", "recordings are copies of others")
        rows = [
            ("recordings", f"{len(self.entries)} ({len(good)} usable)"),
            ("hours", f"{seconds.sum() / 3600:.2f}"),
            ("seconds each", f"{seconds.min():.2f} to {seconds.max():.2f}, median {np.median(seconds):.2f}"),
            *([("sound", str(self.sound))] if self.sound else []),
            ("rates", rate_counts(entry.sample_rate for entry in good)),
            ("channels", value_counts(str(entry.channels) for entry in good)),
            *((f"label {name}", label_counts(self.manifest, kept, name)) for name in self.manifest.label_names),
            ("split", split_counts(kept)),
            *([("layout", self.manifest.layout)] if self.manifest.layout else []),
            *([("copies", f"{same}: kept in one split")] if copies else []),
            ("problems", ", ".join(f"{kind}: {problems[kind]}" for kind in sorted(problems, key=_severity)) or "none"),
        ]
        told = (*self.manifest.notes, *spelling_notes(self.manifest, self.manifest.label_names))
        notes = "".join(f"\nnote: {note}" for note in told)
        return table(rows, ["", readable(str(self.manifest.root))]) + notes

    def kinds_table(self) -> str:
        """Return a table of the kinds of problems, the worst first: counts, what is done, and examples.

        An empty string if there is no problem.
        """
        found: dict[str, dict[str, str]] = defaultdict(dict)
        for entry in self.entries:
            for kind, problem in zip(entry.kinds, entry.problems, strict=True):
                found[kind].setdefault(entry.id, problem.removeprefix(f"{kind}: "))
        rows = [
            (
                kind,
                str(len(found[kind])),
                DONE.get(kind, ""),
                "; ".join(f"{printable(name, 60)} ({text})" for name, text in list(found[kind].items())[:EXAMPLES]),
            )
            for kind in sorted(found, key=_severity)
        ]
        return table(rows, ["problem", "recordings", "what is done", "for example"]) if rows else ""

    def problems_table(self, most: int | None = None) -> str:
        """Return a table with one row per recording with problems, the worst first; an empty string if there is none.

        Args:
            most: Most rows; the others are counted. None: all.
        """
        having = (entry for entry in self.entries if entry.problems)
        entries = sorted(having, key=lambda entry: (entry.usable, min(map(_severity, entry.kinds))))
        shown = entries if most is None else entries[:most]
        rows = [(entry.id, "kept" if entry.usable else "left out", "; ".join(entry.problems)) for entry in shown]
        more = f"\n... and {len(entries) - len(shown)} more" if len(shown) < len(entries) else ""
        return table(rows, ["recording", "is", "because"]) + more if rows else ""


def scan(manifest: Manifest, *, workers: int | None = None, progress: bool = True) -> ScanReport:
    """Decode every recording and report its problems; a bad file does not stop the scan.

    The kinds of problems are in `mfcl.audio.judging`: with `FAILURES` a recording is left out, with `NOTICES` it is
    used. A file whose name is not UTF-8 is left out too. Two kinds concern the whole manifest: `duplicate` (the same
    samples and sample rate as an earlier recording, in any file format) and `label missing`.

    Memory does not grow with the length of a recording.

    Args:
        manifest: The recordings.
        workers: Number of threads; None: one per core, or more for files at URLs.
        progress: Whether to show a bar.
    """
    check_type("manifest", manifest, Manifest, "a manifest", error=ManifestError, do="open it by `mfcl.open_manifest`")
    found = in_parallel(
        _inspect, manifest.recordings, workers=workers or manifest.readers, what="Scanning", shown=progress
    )
    return _report(manifest, found)


def scan_once(manifest: Manifest, *, cache: Path | None = None, progress: bool = True) -> ScanReport:
    """Return the result of `scan` from the cache if no file has changed; else scan and cache it.

    Files that could not be read are looked at again: a disk that was away leaves size and times of a file as they are.

    Args:
        manifest: The recordings.
        cache: Cache folder; for the default see `mfcl.core.files.cache_folder`.
        progress: Whether to show a bar.
    """
    check_type("manifest", manifest, Manifest, "a manifest", error=ManifestError, do="open it by `mfcl.open_manifest`")
    place = cache_folder(cache) / "scan" / f"{manifest.files_key(VERSION, progress=progress)}.json"
    kept = _kept(place, manifest)
    entries = dict(enumerate(kept or ()))
    again = [
        number
        for number in range(len(manifest))
        if kept is None or any(kind in MAY_PASS for kind in kept[number].kinds)
    ]
    if again:
        recordings = [manifest.recordings[number] for number in again]
        found = in_parallel(_inspect, recordings, workers=manifest.readers, what="Scanning", shown=progress)
        entries |= zip(again, found, strict=True)
    every = [entries[number] for number in range(len(manifest))]
    if every != kept:
        with contextlib.suppress(OSError, ValueError, MfclError):  # not cached: scanned again the next time
            place.parent.mkdir(parents=True, exist_ok=True)
            write_json(place, [[getattr(entry, name) for name in KEPT] for entry in every])
    return _report(manifest, every)


def _kept(place: Path, manifest: Manifest) -> list[ScanEntry] | None:
    """Return cached results without `duplicate` and `label missing`; None if there are none or they are damaged."""
    try:
        rows = json.loads(place.read_text(encoding="utf-8"))
        return [_restored(recording, row) for recording, row in zip(manifest, rows, strict=True)]
    except (OSError, ValueError, TypeError):
        return None


def _restored(recording: Recording, row: Sequence[Any]) -> ScanEntry:
    """Return an entry from the values of its fields `KEPT`."""
    seconds, rate, channels, problems, digest, sound, runs = row
    return ScanEntry(
        recording.id, recording.path, float(seconds), int(rate), int(channels), tuple(problems), str(digest),
        None if sound is None else float(sound), int(runs),
    )  # fmt: skip


def _report(manifest: Manifest, found: Iterable[ScanEntry]) -> ScanReport:
    """Return a report of all entries, with the problems `duplicate` and `label missing` added."""
    first: dict[str, str] = {}
    entries = []
    for recording, entry in zip(manifest, found, strict=True):
        nameless = [] if is_text(recording.path) else [f"{NAMELESS}: rename the file or its folder"]
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
    found = judge(recording.path, recording.start, recording.end)
    seconds = found.frames / max(found.sample_rate, 1)
    sound, runs = found.sound or (None, 0)
    return ScanEntry(
        recording.id, recording.path, seconds, found.sample_rate, found.channels, found.problems, found.digest,
        sound, runs,
    )  # fmt: skip


def _severity(kind: str) -> int:
    """Return the rank of a kind of problem; 0 is the worst."""
    return list(DONE).index(kind) if kind in DONE else len(DONE)
