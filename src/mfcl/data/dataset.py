"""From a path to recordings ready for work: scanned, split and decoded."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mfcl.audio import Preparation
from mfcl.core.console import printable
from mfcl.data.layouts import open_manifest
from mfcl.data.manifest import Manifest
from mfcl.data.scanning import ScanReport, scan_once
from mfcl.data.splits import split
from mfcl.data.store import Store, open_store
from mfcl.errors import ManifestError, one_of

NAMED = 20
"""Recordings left out that are named; `mfcl scan --all` names every one."""
SPEAKER_NAMES = ("speaker", "voice", "individual", "singer", "client_id", "speaker_id")
LABEL_NAMES = ("digit", "label", "word", "species", "class", "call")


@dataclass(frozen=True)
class Data:
    """Recordings ready for work.

    Attributes:
        manifest: The usable recordings, each with its split.
        store: Their sound, in the same order.
        label: The label to measure by, if there is one.
        speaker: The label that names the voice, if there is one.
        report: What the scan found.
    """

    manifest: Manifest
    store: Store
    label: str | None
    speaker: str | None
    report: ScanReport

    def part(self, *names: str) -> Store:
        """Return the store of some parts only, such as `train`."""
        return self.store.select(np.flatnonzero(np.isin(self.manifest.splits, names)))


def open_data(
    path: str | Path,
    preparation: Preparation,
    *,
    protocol: str | None = None,
    split_by: str | None = None,
    label: str | None = None,
    speaker: str | None = None,
    seed: int = 0,
    cache: Path | None = None,
    strict: bool = False,
    progress: bool = True,
) -> Data:
    """Scan, split and decode a folder, a manifest or a corpus.

    Args:
        path: What to open; see `mfcl.data.layouts.open_manifest`.
        preparation: What is done to each recording.
        protocol: A named split (`mfcl.data.splits.PROTOCOLS`); the manifest's own if it has one, else by speaker,
            else by recording.
        split_by: A label no value of which is on two sides; `none` splits by recording.
        label: The label to measure by; guessed from the usual names if left out.
        speaker: The label that names the voice; guessed likewise.
        seed: Of the split.
        cache: Where decoded sound is kept, and what was found of the files.
        strict: Make the first bad file an error.
        progress: Show progress.

    Raises:
        MfclError: nothing usable, a label that is not there, or recordings that cannot be split as asked.
    """
    manifest = open_manifest(Path(path))
    label = _named(manifest, label, LABEL_NAMES)
    speaker = _named(manifest, speaker, SPEAKER_NAMES)
    report = scan_once(manifest, cache=cache, progress=progress)
    if report.failures:
        name, reason = report.failures[0]
        if strict:
            raise ManifestError(f"{name}: {reason}; mend or remove it, or leave out --strict")
        print(f"{len(report.failures)} of {len(manifest)} recordings cannot be used and are left out:", file=sys.stderr)  # noqa: T201
        for name, reason in report.failures[:NAMED]:
            print(f"  {printable(name)}: {printable(reason)}", file=sys.stderr)  # noqa: T201
        if len(report.failures) > NAMED:
            print(f"  ... and {len(report.failures) - NAMED} more; mfcl scan --all names every one", file=sys.stderr)  # noqa: T201
    with_splits = _split(report.usable, protocol, split_by, speaker=speaker, label=label, seed=seed)
    store = open_store(with_splits, preparation, cache=cache, strict=strict, progress=progress)
    return Data(store.manifest, store, label, speaker, report)


def _named(manifest: Manifest, asked: str | None, usual: Sequence[str]) -> str | None:
    if asked is not None:
        if asked not in manifest.label_names:
            raise ManifestError(f"{manifest.root}: {one_of('label', asked, manifest.label_names)}")
        return asked
    return next((name for name in usual if name in manifest.label_names), None)


def _split(
    manifest: Manifest, protocol: str | None, split_by: str | None, *, speaker: str | None, label: str | None, seed: int
) -> Manifest:
    if protocol is None:
        if split_by is not None:
            protocol = "recording" if split_by == "none" else "label"
        elif (manifest.splits != "").any():
            protocol = "manifest"
        else:
            protocol = "label" if speaker else "recording"
    by = split_by or speaker
    return split(manifest, protocol, seed=seed, label=by, speaker=speaker or "speaker", digit=label or "digit")
