"""What is new in an enrolment, and what it says about its clips."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Int64

from mfcl.core.console import counted
from mfcl.embeddings.linalg import unit_rows
from mfcl.errors import GalleryError, advice
from mfcl.voices.agreement import SAME, agreement
from mfcl.voices.snapshot import Snapshot
from mfcl.voices.sound import Heard
from mfcl.voices.storage import Clip

FEW_SECONDS = 3.0
"""Seconds of sound below which a profile is called short."""
QUIET_DB = -50.0
"""Level below which a clip is called quiet."""
MOST_AUDIO = 2**28
"""Most bytes of a file that is kept."""


@dataclass(frozen=True)
class Enrolment:
    """What was added to a voice, and what is suspicious about it."""

    name: str
    added: int
    clips: int
    """Clips of the voice now."""
    seconds: float
    """Seconds of sound added."""
    level: float
    """Mean level of the added clips in dB; NaN if none was added."""
    agreement: float | None
    """Mean cosine of each clip of the voice with the mean of its others; None for a single clip."""
    skipped: tuple[str, ...]
    """Files that are enrolled already."""
    warnings: tuple[str, ...]


def without_copies(now: Snapshot, name: str, heard: Heard) -> tuple[Heard, tuple[str, ...]]:
    """Return the clips that a voice does not have yet, and the names of those that it has, or that came twice."""
    profiles = now.profiles
    known = profiles.names.index(name) if name in profiles.names else -1
    old = profiles.vectors[profiles.owners == known]
    whole = agreement(np.concatenate([old, unit_rows(heard.vectors, np.float32)]), now.scorer.cohort)
    copies = {second - len(old) for _, second in whole.copies if second >= len(old)}
    new = heard.select(np.array([place not in copies for place in range(len(heard))], dtype=np.bool_))
    return new, tuple(heard.sources[place] for place in sorted(copies))


def clips_of(heard: Heard, *, keep_audio: bool) -> list[Clip]:
    """Return clips to store, with the files' bytes if they are to be kept."""
    files = heard.files or tuple(map(Path, heard.sources))
    return [
        Clip(
            source, float(heard.seconds[place]), float(heard.levels[place]), heard.vectors[place],
            _bytes(files[place]) if keep_audio else None,
        )
        for place, source in enumerate(heard.sources)
    ]  # fmt: skip


def findings(name: str, added: Heard, skipped: tuple[str, ...], now: Snapshot) -> Enrolment:
    """Say what is suspicious about a voice after an enrolment.

    Args:
        name: The voice.
        added: The clips that were added.
        skipped: Files that were enrolled already.
        now: The gallery with them.
    """
    profiles, sources = now.profiles, now.sources
    own = profiles.names.index(name)
    places = np.flatnonzero(profiles.owners == own)
    vectors = profiles.vectors[places]
    found = agreement(vectors, now.scorer.cohort)
    warnings = [f"{sources[places[clip]]} disagrees with the other clips of {name!r}" for clip in found.disagreeing]
    if found.groups:
        last = found.groups[-1]
        fewer = last if 2 * found.groups.count(last) <= len(found.groups) else 1 - last
        second = [sources[places[clip]] for clip, group in enumerate(found.groups) if group == fewer]
        warnings.append(f"two voices in {name!r}? these are apart from the others: {', '.join(second)}")
    warnings += [
        f"{source} is quiet ({level:.0f} dB)"
        for source, level in zip(added.sources, added.levels.tolist(), strict=True)
        if level < QUIET_DB
    ]
    seconds, level = float(added.seconds.sum()), float(added.levels.mean()) if len(added) else float("nan")
    if seconds < FEW_SECONDS and len(places) == len(added):
        warnings.append(f"{seconds:.1f} seconds of sound are few; enrol more clips")
    warnings += _likenesses(own, places, now)
    return Enrolment(name, len(added), len(places), seconds, level, found.mean, skipped, tuple(warnings))


def _likenesses(own: int, places: Int64[np.ndarray, " clips"], now: Snapshot) -> list[str]:
    """Return warnings about other voices that are the same recording, or sound the same."""
    profiles = now.profiles
    others = profiles.owners != own
    if not others.any():
        return []
    cosines = profiles.vectors[places] @ profiles.vectors[others].T
    owners = profiles.owners[others][cosines.argmax(axis=1)]
    same: dict[str, list[str]] = {}
    for clip in np.flatnonzero(cosines.max(axis=1) > SAME).tolist():
        same.setdefault(profiles.names[owners[clip]], []).append(now.sources[places[clip]])
    if same:
        return [_is_of(owner, sources) for owner, sources in same.items()]
    nearest, score = now.likest(own)
    if score < now.threshold().value:
        return []
    return [f"{profiles.names[own]!r} sounds like {profiles.names[nearest]!r}; merge them if they are one person"]


def _is_of(owner: str, sources: list[str]) -> str:
    """Say that clips are another voice's, too."""
    if len(sources) == 1:
        return f"{sources[0]} is enrolled as {owner!r} too: the same recording"
    more = counted(len(sources) - 1, "more clip")
    return f"{sources[0]} and {more} are enrolled as {owner!r} too: the same recordings"


def _bytes(path: Path) -> bytes:
    try:
        if path.stat().st_size > MOST_AUDIO:
            raise GalleryError(f"{path}: wanted a file of at most {MOST_AUDIO >> 20} MiB to keep; cut it")
        return path.read_bytes()
    except OSError as error:
        raise GalleryError(f"{path}: cannot be kept ({error.strerror or error}); {advice(error)}") from error
