"""Answers about clips: who speaks, who speaks when, and whether a claim holds."""

from collections.abc import Iterable

from mfcl.embeddings.linalg import unit_rows
from mfcl.errors import GalleryError
from mfcl.voices.decisions import MARGIN, OVERLAP, Identification, Verification, decide, nearest_clips
from mfcl.voices.snapshot import Snapshot
from mfcl.voices.sound import Heard, HeardWindows
from mfcl.voices.turns import Turn, turns


def identifications(now: Snapshot, heard: Heard, *, least_margin: int | float | None = None) -> list[Identification]:
    """Say who speaks in each clip.

    Args:
        now: The gallery.
        heard: The clips.
        least_margin: Smallest difference between the best and the next voice; default: the gallery's.
    """
    limits, names = now.threshold(), now.profiles.names
    threshold, least_margin = limits.value, limits.margin if least_margin is None else least_margin
    scores, found = now.scores(heard), []
    for place, row in enumerate(unit_rows(heard.vectors)):
        own = scores[place]
        name, reason, best, second = decide(own, names, threshold, least_margin=least_margin)
        if reason == MARGIN and max(now.overlap(best, second), now.overlap(second, best)) >= threshold:
            reason = OVERLAP
        found.append(
            Identification(
                heard.sources[place], name, reason, names[best] if best >= 0 else "",
                float(own[best]) if best >= 0 else float("-inf"),
                float(own[best] - own[second]) if second >= 0 else None, names[second] if second >= 0 else "",
                float(heard.seconds[place]), float(heard.levels[place]),
                nearest_clips(row, now.profiles, now.sources),
            )
        )  # fmt: skip
    return found


def spoken_turns(
    now: Snapshot, recordings: Iterable[HeardWindows], *, hop: int | float, switch: int | float
) -> list[Turn]:
    """Say who speaks when in each recording; see `turns`."""
    found, threshold = [], now.threshold().value
    for one in recordings:
        kept, scores = now.window_scores(one.heard)
        names = tuple(now.profiles.names[place] for place in kept)
        found += turns(
            one.source, one.starts, one.ends, one.heard.levels, scores, names, threshold, hop=hop, switch=switch
        )
    return found


def verifications(now: Snapshot, name: str, heard: Heard) -> list[Verification]:
    """Say for each clip whether it is of the voice it is said to be of.

    Raises:
        GalleryError: the voice has no clips.
    """
    names = now.profiles.names
    if name not in names:
        raise GalleryError(f"{now.name}: {name!r} has no clips; enrol some")
    threshold = now.threshold(size=1).value
    scores, own = now.scores(heard), names.index(name)
    best = scores.argmax(axis=1)
    return [
        Verification(
            heard.sources[place], name, bool(scores[place, own] >= threshold), float(scores[place, own]), threshold,
            "" if best[place] == own else names[best[place]],
            float(heard.seconds[place]), float(heard.levels[place]),
        )
        for place in range(len(heard))
    ]  # fmt: skip
