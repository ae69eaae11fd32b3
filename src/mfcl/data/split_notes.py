"""Warnings about a split for the reader of results."""

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence

import numpy as np

from mfcl.core.console import are, worded
from mfcl.data.manifest import SPLITS, Manifest, Recording

NAMED = 3
"""Most values that a note names."""
ROUNDED = 2e-3
"""Seconds by which two recordings may overlap: times are rounded in some tables."""


def split_notes(
    before: Manifest, after: Manifest, protocol: str, *, speaker: str | None, label: str | None
) -> tuple[str, ...]:
    """Return warnings about a split, one sentence each.

    Args:
        before: The recordings as they were opened, with their own splits, if any.
        after: The same recordings with their final splits.
        protocol: Protocol that made the splits; see `mfcl.data.splits.PROTOCOLS`.
        speaker: Label that names the speaker.
        label: Label to predict.
    """
    given = (before.splits != "").any() and protocol != "manifest"
    overridden = [f"the column `split` is not used: the protocol {protocol!r} was asked for"] if given else []
    return (
        *overridden,
        *_without_split(after, speaker if protocol == "label" else None),
        *(_shared_speakers(after, speaker, protocol) if speaker else ()),
        *_shared_copies(after),
        *_overlaps(after),
        *(_lacking_classes(after, label) if label else ()),
    )


def _without_split(manifest: Manifest, speaker: str | None) -> Iterator[str]:
    without = [recording for recording in manifest if recording.split is None]
    if without:
        unknown = speaker is not None and not any(recording.label(speaker) for recording in without)
        why = f", as {'its' if len(without) == 1 else 'their'} {speaker!r} is not known" if unknown else ""
        count = f"{len(without)} of {worded(len(manifest), 'recording')}"
        yield f"{count} {are(len(without))} in no split{why}: used neither for training nor for evaluation"


def _shared_speakers(manifest: Manifest, speaker: str, protocol: str) -> Iterator[str]:
    splits = _splits_of(manifest, lambda one: one.label(speaker))
    tested = [name for name, found in splits.items() if "test" in found and len(found) > 1]
    validated = [name for name, found in splits.items() if {"train", "valid"} <= found]
    if tested:
        yield (
            f"{len(tested)} of {worded(len(splits), 'value')} of {speaker!r} {are(len(tested))} in the "
            "test split and in another "
            f"({_some(tested)}): results are not for unseen speakers; split by {speaker!r} to test on unseen ones"
        )
    elif validated and protocol != "reference":  # the reference study shares them on purpose
        yield (
            f"{len(validated)} of {worded(len(splits), 'value')} of {speaker!r} {are(len(validated))} in "
            "the train and the valid split "
            f"({_some(validated)}): settings are chosen on speakers seen in training"
        )


def _shared_copies(manifest: Manifest) -> Iterator[str]:
    shared = _digests_in_several(manifest)
    if shared:
        ids = [one.id for one in manifest if one.digest in shared]
        copied = worded(len(ids), "recording has", "recordings have")
        yield f"{copied} a copy in another split ({_some(ids)}): remove one of each pair"


def _overlaps(manifest: Manifest) -> Iterator[str]:
    """Yield a note on recordings of one file that share a stretch of it, and no split; whole copies have their own."""
    files: dict[str, list[int]] = defaultdict(list)
    for place, one in enumerate(manifest):
        if one.split:
            files[str(one.path)].append(place)
    several = (own for own in files.values() if len({manifest.recordings[place].split for place in own}) > 1)
    shared = _digests_in_several(manifest)
    found = sorted(place for own in several for place in _overlapping(manifest, own))
    ids = [one.id for one in (manifest.recordings[place] for place in found) if one.digest not in shared]
    if ids:
        yield (
            f"{worded(len(ids), 'recording overlaps in its', 'recordings overlap in their')} file with one of another "
            f"split ({_some(ids)}): these splits share "
            "sound, so figures are too good; keep the recordings of a file in one split, or leave one of each pair out"
        )


def _overlapping(manifest: Manifest, places: Sequence[int]) -> Iterator[int]:
    """Yield those of some recordings of one file that share a stretch of it with one of another split."""
    some = [manifest.recordings[place] for place in places]
    splits = np.array([one.split for one in some])
    starts = np.array([one.start or 0.0 for one in some]) + ROUNDED
    ends = np.array([math.inf if one.end is None else one.end for one in some])
    overlap = np.zeros(len(some), dtype=np.bool_)
    for split in np.unique(splits).tolist():
        own, others = np.flatnonzero(splits == split), np.flatnonzero(splits != split)
        own = own[np.argsort(starts[own], kind="stable")]
        latest = np.maximum.accumulate(np.append(-math.inf, ends[own]))  # end of those that begin before each, and none
        overlap[others] |= latest[np.searchsorted(starts[own], ends[others])] > starts[others]
    yield from (places[place] for place in np.flatnonzero(overlap).tolist())


def _digests_in_several(manifest: Manifest) -> set[str]:
    """Return the digests of recordings with a copy in another split."""
    splits = _splits_of(manifest, lambda one: one.digest)
    return {digest for digest, found in splits.items() if len(found) > 1}


def _lacking_classes(manifest: Manifest, label: str) -> Iterator[str]:
    """Yield a note on non-empty splits that lack classes of other splits."""
    splits = _splits_of(manifest, lambda one: one.label(label))
    present = [split for split in SPLITS if any(split in found for found in splits.values())]
    lacking = {split: sorted(name for name, found in splits.items() if split not in found) for split in present}
    said = [f"{split} lacks {len(names)} ({_some(names)})" for split, names in lacking.items() if names]
    if said:
        yield f"of {worded(len(splits), 'value')} of {label!r}, {'; '.join(said)}"


def _splits_of(manifest: Manifest, value: Callable[[Recording], str]) -> dict[str, set[str]]:
    """Return the splits in which each value occurs."""
    found: dict[str, set[str]] = defaultdict(set)
    for recording in manifest:
        if recording.split and value(recording):
            found[value(recording)].add(recording.split)
    return found


def _some(names: Iterable[str]) -> str:
    every = list(names)
    return ", ".join(every[:NAMED]) + (", ..." if len(every) > NAMED else "")
