"""Open a folder, manifest or corpus: scan, split and decode its recordings."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mfcl.audio import Preparation
from mfcl.core.console import are, print_notes, printable, worded
from mfcl.data.layouts import open_manifest
from mfcl.data.manifest import Manifest
from mfcl.data.scanning import ScanReport, scan_once
from mfcl.data.spellings import spelling_notes
from mfcl.data.split_notes import split_notes
from mfcl.data.splits import split
from mfcl.data.store import Store, open_store
from mfcl.errors import ManifestError, check_choice, check_type

NAMED = 20
"""Most excluded recordings that are listed; `mfcl scan --all` lists every one."""
SPEAKER_NAMES = ("speaker", "voice", "individual", "singer", "client_id", "speaker_id")
LABEL_NAMES = ("digit", "label", "word", "species", "class", "call")
ONE_BY_ONE = (
    "split by recording, as no column is known to name speakers, animals or sites: one of them may be on two sides, "
    "and then figures are too high for new ones; name such a column (--speaker or --split-by), or say that there is "
    "none (--split-by none)"
)
"""The note of a split that was drawn without knowing what belongs together."""


@dataclass(frozen=True)
class Data:
    """Scanned, split and decoded recordings.

    Attributes:
        manifest: The usable recordings, each with its split.
        store: Their decoded audio, in the same order.
        label: Label to predict, if there is one.
        speaker: Label that names the speaker, if there is one.
        report: Result of the scan.
        notes: Warnings about the recordings and their split, for the reader of results.
    """

    manifest: Manifest
    store: Store
    label: str | None
    speaker: str | None
    report: ScanReport
    notes: tuple[str, ...] = ()

    def subset(self, *names: str) -> Store:
        """Return the store of some splits, such as `train`."""
        return self.store.select(np.flatnonzero(np.isin(self.manifest.splits, names)))


def scan_data(
    path: str | Path, *, cache: Path | None = None, data_root: Path | None = None, progress: bool = True
) -> ScanReport:
    """Scan a folder, a manifest or a corpus for `open_data`, which takes the report in place of its path."""
    return scan_once(open_manifest(path, data_root=data_root), cache=cache, progress=progress)


def open_data(
    path: str | Path | ScanReport,
    preparation: Preparation,
    *,
    protocol: str | None = None,
    split_by: str | None = None,
    label: str | None = None,
    speaker: str | None = None,
    seed: int = 0,
    cache: Path | None = None,
    strict: bool = False,
    data_root: Path | None = None,
    progress: bool = True,
) -> Data:
    """Scan, split and decode a folder, a manifest or a corpus.

    Args:
        path: What to open, see `mfcl.data.layouts.open_manifest`; or its scan.
        preparation: How to prepare each recording.
        protocol: Split protocol (`mfcl.data.splits.PROTOCOLS`); by default the manifest's own splits if it has them,
            else by speaker, else by recording.
        split_by: Keep recordings with the same value of this label in one split; `none` splits by recording.
        label: Label to predict; by default the first of `LABEL_NAMES` that the manifest has.
        speaker: Label that names the speaker; by default the first of `SPEAKER_NAMES` that the manifest has.
        seed: Seed of the split.
        cache: Folder for decoded audio and scan results.
        strict: Raise an error at the first bad file.
        data_root: For a manifest: folder of the recordings, if they were moved.
        progress: Show progress.

    Raises:
        MfclError: no usable recording, an unknown label, or recordings that cannot be split as asked.
    """
    manifest = path.manifest if isinstance(path, ScanReport) else open_manifest(path, data_root=data_root)
    for what, given in (("split by", split_by), ("protocol", protocol)):
        check_type(what, given, str | None, "its name", error=ManifestError)
    label = _named(manifest, label, LABEL_NAMES)
    speaker = _named(manifest, speaker, SPEAKER_NAMES)
    report = path if isinstance(path, ScanReport) else scan_once(manifest, cache=cache, progress=progress)
    if report.failures and strict:
        name, reason = report.failures[0]
        raise ManifestError(f"{name}: {reason}; repair or remove it, or set strict to false")
    usable = report.usable
    _say_left_out(report.failures, len(manifest), "used", "; mfcl scan --all lists every one")
    asked = protocol is not None or split_by is not None
    protocol = _protocol(usable, protocol, split_by, speaker)
    by = None if split_by == "none" else split_by or speaker
    with_splits = split(usable, protocol, seed=seed, label=by, speaker=speaker or "speaker", digit=label or "digit")
    used = [name for name in dict.fromkeys((label, speaker, by)) if name in usable.label_names]
    notes = (
        *manifest.notes,
        *spelling_notes(usable, used),
        *split_notes(usable, with_splits, protocol, speaker=speaker, label=label),
    )
    if label and protocol == "recording" and not asked:
        notes = (*notes, ONE_BY_ONE)
    print_notes(notes)
    store = open_store(with_splits, preparation, cache=cache, strict=strict, progress=progress)
    _say_left_out(store.failures, len(with_splits), "decoded")
    return Data(store.manifest, store, label, speaker, report, notes)


def _say_left_out(failures: Sequence[tuple[str, str]], among: int, what: str, more: str = "") -> None:
    if failures:
        left = f"{are(len(failures))} left out:"
        print(f"{len(failures)} of {worded(among, 'recording')} cannot be {what} and {left}", file=sys.stderr)  # noqa: T201
    for name, reason in failures[:NAMED]:
        print(f"  {printable(name)}: {printable(reason)}", file=sys.stderr)  # noqa: T201
    if len(failures) > NAMED:
        print(f"  ... and {len(failures) - NAMED} more{more}", file=sys.stderr)  # noqa: T201


def guessed_labels(names: Sequence[str], label: str | None, speaker: str | None) -> tuple[str | None, str | None]:
    """Return the label to predict and the label that names the speaker: the given ones, else by the usual names.

    If no label has a usual name and only one label is left, it is the label to predict.

    Example:
        >>> guessed_labels(["take", "speaker", "digit"], None, None), guessed_labels(["who"], None, None)
        (('digit', 'speaker'), ('who', None))
    """
    for what, given in (("label", label), ("speaker", speaker)):
        check_type(what, given, str | None, "its name", error=ManifestError)
    speaker = speaker or next((name for name in SPEAKER_NAMES if name in names), None)
    others = [name for name in names if name != speaker]
    alone = others[0] if len(others) == 1 else None
    return label or next((name for name in LABEL_NAMES if name in others), alone), speaker


def _named(manifest: Manifest, asked: str | None, usual: Sequence[str]) -> str | None:
    if asked is not None:
        check_choice("label", asked, manifest.label_names, error=ManifestError, where=f"{manifest.root}: ")
        return asked
    return next((name for name in usual if name in manifest.label_names), None)


def _protocol(manifest: Manifest, protocol: str | None, split_by: str | None, speaker: str | None) -> str:
    """Return the given protocol, or the default one."""
    if protocol is not None:
        return protocol
    if split_by is not None:
        return "recording" if split_by == "none" else "label"
    if (manifest.splits != "").any():
        return "manifest"
    return "label" if speaker else "recording"
