"""Pieces of text for the page: times, lists of words, and texts shortened to the room there is."""

from collections.abc import Sequence

ROOM = 60
"""Letters of a name on the page; the whole is shown on hover."""
WHOLE = 1000
"""Letters of a text that is shown on hover."""


def listed(words: Sequence[str]) -> str:
    """Return words as a sentence has them.

    Example:
        >>> listed(["a", "b", "c"])
        'a, b and c'
    """
    return " and ".join([", ".join(words[:-1]), words[-1]]) if len(words) > 1 else "".join(words)


def counted(number: int | float, word: str) -> str:
    """Return how many there are of something.

    Example:
        >>> counted(1, "label"), counted(1500, "clip"), counted(108.0, "label")
        ('1 label', '1,500 clips', '108 labels')
    """
    return f"{number:,.0f} {word}{'' if round(number) == 1 else 's'}"


def shortened(text: str, room: int = ROOM) -> str:
    """Return a text that has at most `room` letters.

    Example:
        >>> shortened("a" * 9, 5)
        'aaaa…'
    """
    return text if len(text) <= room else text[: room - 1].rstrip() + "…"


def distinct(names: Sequence[str], room: int) -> list[str]:
    """Return names of at most `room` letters that differ where the names do.

    Names that begin alike keep their ends, names that do not differ there either are numbered.

    Example:
        >>> distinct(["digit-001", "digit-002"], 4), distinct(["seven", "one"], 4), distinct(["abcdef", "abXdef"], 3)
        (['…001', '…002'], ['sev…', 'one'], ['1', '2'])
    """
    heads = [shortened(name, room) for name in names]
    ends = [name if len(name) <= room else "…" + name[len(name) - room + 1 :].lstrip() for name in names]
    for short in (heads, ends):
        if len(set(short)) == len(set(names)):
            return short
    numbers = {name: str(place) for place, name in enumerate(dict.fromkeys(names), 1)}
    return [numbers[name] for name in names]
