"""What a reader of figures should know of a split, in sentences."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator

from mfcl.data.manifest import PARTS, Manifest, Recording

NAMED = 3
"""Values that a note names."""


def split_notes(
    before: Manifest, after: Manifest, protocol: str, *, speaker: str | None, label: str | None
) -> tuple[str, ...]:
    """Return what a person should know of a split.

    Args:
        before: The recordings as they were opened, with their own column `split`, if they have one.
        after: The same with their sides.
        protocol: What made the sides; see `mfcl.data.splits.PROTOCOLS`.
        speaker: The label that names the voice.
        label: The label to measure by.
    """
    given = (before.splits != "").any() and protocol != "manifest"
    overridden = [f"the column `split` is not used: the protocol {protocol!r} was asked for"] if given else []
    return (
        *overridden,
        *_on_no_side(after),
        *(_shared_speakers(after, speaker, protocol) if speaker else ()),
        *_shared_copies(after),
        *(_lacking_classes(after, label) if label else ()),
    )


def _on_no_side(manifest: Manifest) -> Iterator[str]:
    count = sum(recording.split is None for recording in manifest)
    if count:
        yield f"{count} of {len(manifest)} recordings are on no side of the split: neither trained on nor measured"


def _shared_speakers(manifest: Manifest, speaker: str, protocol: str) -> Iterator[str]:
    sides = _sides(manifest, lambda one: one.label(speaker))
    tested = [name for name, found in sides.items() if "test" in found and len(found) > 1]
    chosen = [name for name, found in sides.items() if {"train", "valid"} <= found]
    if tested:
        yield (
            f"{len(tested)} of {len(sides)} values of {speaker!r} are on the test side and on another "
            f"({_some(tested)}): figures are not of unseen speakers; split by {speaker!r} to have such"
        )
    elif chosen and protocol != "reference":  # the study that it follows chooses so
        yield (
            f"{len(chosen)} of {len(sides)} values of {speaker!r} are on the train side and the valid side "
            f"({_some(chosen)}): choices are made on speakers that are trained on"
        )


def _shared_copies(manifest: Manifest) -> Iterator[str]:
    sides = _sides(manifest, lambda one: one.digest)
    shared = {name for name, found in sides.items() if len(found) > 1}
    if shared:
        ids = [one.id for one in manifest if one.digest in shared]
        yield f"{len(ids)} recordings have a copy on another side of the split ({_some(ids)}): take one of each out"


def _lacking_classes(manifest: Manifest, label: str) -> Iterator[str]:
    """Yield which sides lack classes that others have; a side without any recording is not told here."""
    sides = _sides(manifest, lambda one: one.label(label))
    present = [part for part in PARTS if any(part in found for found in sides.values())]
    lacking = {part: sorted(name for name, found in sides.items() if part not in found) for part in present}
    said = [f"{part} lacks {len(names)} ({_some(names)})" for part, names in lacking.items() if names]
    if said:
        yield f"of {len(sides)} values of {label!r}, {'; '.join(said)}"


def _sides(manifest: Manifest, value: Callable[[Recording], str]) -> dict[str, set[str]]:
    """Return the sides that each value is on."""
    found: dict[str, set[str]] = defaultdict(set)
    for recording in manifest:
        if recording.split and value(recording):
            found[value(recording)].add(recording.split)
    return found


def _some(names: Iterable[str]) -> str:
    every = list(names)
    return ", ".join(every[:NAMED]) + (", ..." if len(every) > NAMED else "")
