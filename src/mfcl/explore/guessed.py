"""What is guessed of the clips, how it was, and how good it is."""

import contextlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float32, Int64

from mfcl.core.console import counted, have
from mfcl.core.files import write_text
from mfcl.errors import MfclError


@dataclass(frozen=True, eq=False)
class Guesses:
    """A guess for every clip.

    Attributes:
        classes: The labels.
        codes: Class number of each clip; -1 where no label reaches it, or it is known to be silent.
        confidence: Share of that class in the clip's scores, 0 to 1.
        way: How the labels were spread.
        note: What a person should know of that way; "" for nothing.
        silent: Clips that have no guess because they are silent.
    """

    classes: tuple[str, ...]
    codes: Int64[np.ndarray, " items"]
    confidence: Float32[np.ndarray, " items"]
    way: str
    note: str
    silent: int = 0

    @property
    def told(self) -> str:
        """What to say of silent clips where guesses are written; "" where there are none.

        Example:
            >>> nothing = np.full(2, -1), np.zeros(2, np.float32)
            >>> Guesses(("wren",), *nothing, "all", "", 2).told
            '2 silent clips have no guess'
        """
        return f"{counted(self.silent, 'silent clip')} {have(self.silent)} no guess" if self.silent else ""


@dataclass(frozen=True)
class Chosen:
    """The way that was chosen for a column.

    Attributes:
        known: Number of labels by which it was chosen.
        way: Its name.
        note: See `Guesses`.
    """

    known: int
    way: str
    note: str


@dataclass(frozen=True)
class HeldOut:
    """How good the guesses are, by the held-out set.

    Attributes:
        drawn: Clips of the held-out set.
        labelled: Those of them that are labelled.
        right: Those whose guess is right.
        accuracy: Share of them; None while none is labelled or nothing can be guessed.
        low: Lower end of the 95 % interval.
        high: Upper end.
        more: Further held-out labels after which the interval is about 5 points to either side.
        sharing: Of the labelled ones, windows that overlap a window whose label is learned from.
    """

    drawn: int
    labelled: int
    right: int
    accuracy: float | None
    low: float
    high: float
    more: int
    sharing: int = 0


def read_ways(path: Path) -> dict[str, Chosen]:
    """Return the ways that `write_ways` kept for columns; none where the file is not there or damaged."""
    try:
        given = json.loads(path.read_text(encoding="utf-8"))
        return {name: Chosen(int(one["known"]), str(one["way"]), str(one["note"])) for name, one in given.items()}
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return {}


def write_ways(path: Path, ways: Mapping[str, Chosen]) -> None:
    """Keep the ways that were chosen; where that fails, they are chosen anew after the next start."""
    with contextlib.suppress(OSError, MfclError):
        path.parent.mkdir(parents=True, exist_ok=True)
        write_text(path, json.dumps({name: asdict(one) for name, one in ways.items()}))
