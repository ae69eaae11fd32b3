"""Find values of a label that are probably one, written in two ways."""

import unicodedata
from collections.abc import Iterable

from mfcl.data.manifest import Recording
from mfcl.errors import shown


def alike(values: Iterable[str]) -> list[list[str]]:
    """Return the values that differ in capitals, spaces or the form of letters alone, each with those like it, sorted.

    Example:
        >>> alike(["Ada L", "ada  l", "Bea", "bob", "Bob"])
        [['Ada L', 'ada  l'], ['Bob', 'bob']]
    """
    found: dict[str, list[str]] = {}
    for value in sorted(set(values)):
        found.setdefault(" ".join(unicodedata.normalize("NFKC", value).casefold().split()), []).append(value)
    return [names for names in found.values() if len(names) > 1]


def spelling_notes(recordings: Iterable[Recording], names: Iterable[str]) -> tuple[str, ...]:
    """Return a note for each of some labels that has values which are alike: a speaker of two names is two speakers."""
    every = tuple(recordings)
    notes = []
    for name in names:
        groups = alike(one.label(name) for one in every)
        if groups:
            first = " and ".join(map(shown, groups[0]))
            more = f", and {len(groups) - 1} more such" if len(groups) > 1 else ""
            notes.append(
                f"values of {name!r} that differ in capitals, spaces or the form of letters alone are different ones "
                f"here: {first}{more}; write one as the other if they are not"
            )
    return tuple(notes)
