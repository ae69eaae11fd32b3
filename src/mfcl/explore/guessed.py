"""What is guessed of the clips, how it was, and how good it is."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, Int64


@dataclass(frozen=True, eq=False)
class Guesses:
    """A guess for every clip.

    Attributes:
        classes: The labels.
        codes: Class number of each clip; -1 where no label reaches it.
        confidence: Share of that class in the clip's scores, 0 to 1.
        way: How the labels were spread.
        note: What a person should know of that way; "" for nothing.
    """

    classes: tuple[str, ...]
    codes: Int64[np.ndarray, " items"]
    confidence: Float32[np.ndarray, " items"]
    way: str
    note: str


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
