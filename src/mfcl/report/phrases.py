"""Pieces of text for the page: times, lists of words, and texts shortened to the room there is."""

import re
from collections.abc import Iterator, Sequence

ROOM = 60
"""Letters of a name on the page; the whole is shown on hover."""
WHOLE = 1000
"""Letters of a text that is shown on hover."""
NUMBERED = re.compile(r"^\d+[\W_]+(?=[^\W\d_])")
"""A number before a name, as in `001 - Dog bark`."""


def listed(words: Sequence[str]) -> str:
    """Return words as a sentence has them.

    Example:
        >>> listed(["a", "b", "c"])
        'a, b and c'
    """
    return " and ".join([", ".join(words[:-1]), words[-1]]) if len(words) > 1 else "".join(words)


def mean_count(count: float) -> str:
    """Return a number that may be a mean of few things, in a decimal where a whole number would be another one.

    Example:
        >>> mean_count(1.17), mean_count(1.0), mean_count(15.6)
        ('1.2', '1', '16')
    """
    return f"{count:.1f}" if count < 10 and abs(count - round(count)) >= 0.05 else f"{count:,.0f}"


def shortened(text: str, room: int = ROOM) -> str:
    """Return a text that has at most `room` letters.

    Example:
        >>> shortened("a" * 9, 5)
        'aaaa…'
    """
    return text if len(text) <= room else text[: room - 1].rstrip() + "…"


def apart(names: Sequence[str], room: int = ROOM) -> list[str]:
    """Return names shortened one by one, or so that they differ where their first `room` letters are the same.

    Example:
        >>> apart(["aaaaaaa", "b"], 5), apart(["aaaaaa1", "aaaaaa2"], 5)
        (['aaaa…', 'b'], ['aa…a1', 'aa…a2'])
    """
    short = [shortened(name, room) for name in names]
    return short if len(set(short)) == len(set(names)) else distinct(names, room)


def distinct(names: Sequence[str], room: int) -> list[str]:
    """Return names of at most `room` letters that differ where the names do; names that fit stay whole.

    What all names share is left out first: their numbers, and the words that they begin with. If they still begin
    alike, the middle or the beginning of each is left out, or of those that look alike all that they share. Names that
    cannot be told apart in this room are numbered.

    Example:
        >>> distinct(["001 - Dog bark", "002 - Rain"], 8), distinct(["digit-001", "digit-002"], 4)
        (['Dog bark', 'Rain'], ['…001', '…002'])
        >>> distinct(["seven", "one"], 4), distinct(["abcdef", "abXdef"], 3)
        (['sev…', 'one'], ['…c…', '…X…'])
    """
    unique = list(dict.fromkeys(names))
    for short in _ways(unique, room):
        if len(set(short)) == len(unique):
            found = dict(zip(unique, short, strict=True))
            return [found[name] for name in names]
    numbers = {name: shortened(str(place), room) for place, name in enumerate(unique, 1)}
    return [numbers[name] for name in names]


def _ways(names: list[str], room: int) -> Iterator[list[str]]:
    """Yield the ways to shorten different names, the most readable first."""
    if all(len(name) <= room for name in names):
        yield names
        return
    bare = _without_shared_words(_without_numbers(names))
    for cut in (shortened, _without_middle, _ending):
        yield [cut(name, room) for name in bare]
    heads = [shortened(name, room) for name in bare]
    alike: dict[str, list[str]] = {}
    for name, head in zip(bare, heads, strict=True):
        alike.setdefault(head, []).append(name)
    yield [
        head if len(alike[head]) == 1 else _after(name, len(_shared(alike[head])), room)
        for name, head in zip(bare, heads, strict=True)
    ]


def _without_numbers(names: list[str]) -> list[str]:
    """Return names without the numbers before them, such as `001 - `, if all have one and differ without it."""
    rest = [NUMBERED.sub("", name) for name in names]
    usable = len(set(rest)) == len(names) and all(len(one) < len(name) for one, name in zip(rest, names, strict=True))
    return rest if usable else names


def _without_shared_words(names: list[str]) -> list[str]:
    """Return names without the words that all of them begin with, where something is left of each."""
    shared = _shared(names)
    words = len(shared) - len(re.split(r"[\W_]", shared)[-1])  # not within a word
    return [_after(name, words, len(name)) for name in names] if words > 1 and len(names) > 1 else names


def _shared(names: Sequence[str]) -> str:
    """Return the letters that all names begin with; there is at least one name."""
    first, last = min(names), max(names)  # whatever lies between them begins alike too
    count = next((place for place, (a, b) in enumerate(zip(first, last, strict=False)) if a != b), len(first))
    return first[:count]


def _after(name: str, left_out: int, room: int) -> str:
    """Return a name after its first letters, with a mark in their place."""
    return shortened("…" + name[left_out:].lstrip(), room)


def _without_middle(name: str, room: int) -> str:
    end = (room - 1) // 2
    return name if len(name) <= room else name[: room - 1 - end].rstrip() + "…" + name[len(name) - end :].lstrip()


def _ending(name: str, room: int) -> str:
    return name if len(name) <= room else "…" + name[len(name) - room + 1 :].lstrip()
