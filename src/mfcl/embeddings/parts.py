"""Parts of an embedding: format, role and layer, and their names in files and tables."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from mfcl.errors import MeasureError, MfclError, one_of, shown

FORMATS = ("wave", "mel")
Role = Literal["", "content", "speaker"]
Stage = Literal["", "projection", "pooled", "landmarks", "spectrum"]
FIXED: tuple[Stage, ...] = ("landmarks", "spectrum")
"""Stages that no gradient reaches; they stand beside what an encoder learns."""
WORDS: dict[Role, str] = {"content": "words", "speaker": "voices"}
"""Role -> its name in recipes, saved files and tables."""
_ROLES: dict[str, Role] = {word: role for role, word in WORDS.items()}
_STAGES: dict[str, Stage] = {stage: stage for stage in ("projection", "pooled", *FIXED)}


@dataclass(frozen=True)
class Part:
    """One part of an embedding.

    Example:
        >>> str(Part("mel", "content", "projection")), Part.parse("mel words")
        ('mel words projection', Part(format='mel', role='content', stage=''))
    """

    format: str
    """`wave`, `mel`, or the name of a baseline, which has one part."""
    role: Role = ""
    """`content` (what is said) or `speaker` (who says it) of a model that has both; else ""."""
    stage: Stage = ""
    """`projection`: the projection head's output. `pooled`: the pooled features before a neck. `landmarks`, `spectrum`:
    see `FIXED`. "": the embedding."""

    def __str__(self) -> str:
        """Return the part's name in files and tables."""
        return " ".join(word for word in (self.format, WORDS.get(self.role, ""), self.stage) if word)

    @classmethod
    def parse(cls, name: str) -> "Part":
        """Return the part of that name; any other name is taken for a baseline's. `str` is the inverse."""
        format, *words = name.split(" ")
        if format not in FORMATS:
            return cls(name)
        role = _ROLES.get(words[0], "") if words else ""
        rest = words[1:] if role else words
        stage = _STAGES.get(rest[0], "") if rest else ""
        part = cls(format, role, stage)
        return part if str(part) == name else cls(name)

    def matches(self, name: str) -> bool:
        """Return whether this part's name contains every word of `name`, such as `mel`, `words` or `mel speaker`.

        `content` and `words` are synonyms, and so are `speaker` and `voices`. Word order does not matter.
        """
        return _words(name) <= _words(str(self))


def matching(names: Iterable[str], wanted: str) -> list[str]:
    """Keep the part names that contain every word of `wanted`; see `Part.matches`.

    Raises:
        MeasureError: no name does.

    Example:
        >>> matching(["wave words", "mel words", "mel voices"], "content")
        ['wave words', 'mel words']
    """
    names = list(names)
    found = [name for name in names if Part.parse(name).matches(wanted)]
    if not found:
        raise MeasureError(f"embeddings: {one_of('part', wanted, names)}")
    return found


def formats_of(choice: str) -> tuple[str, ...]:
    """Return the formats that `wave`, `mel` or `both` stands for.

    Raises:
        MfclError: `choice` is something else.
    """
    if not isinstance(choice, str) or choice not in ("both", *FORMATS):
        hint = f"; give {choice!r} as part" if isinstance(choice, str) and _words(choice) & set(WORDS) else ""
        raise MfclError(f"{one_of('format', str(choice), ('both', *FORMATS))}{hint}")
    return FORMATS if choice == "both" else (choice,)


def _words(name: str) -> set[str]:
    if not isinstance(name, str) or not name.strip():
        raise MeasureError(f"part: wanted a name such as words or voices, got {shown(name)}")
    return {_ROLES.get(word, word) for word in name.split()}
