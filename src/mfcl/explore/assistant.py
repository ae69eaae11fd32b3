"""What helps to label: guesses for all clips from a few labels, what to label next, and how good the guesses are."""

import threading
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float32, Int64, Shaped

from mfcl.core.random import generator
from mfcl.embeddings.nearest import top_k
from mfcl.explore.labels import LabelBook
from mfcl.explore.nearby import Nearby
from mfcl.explore.spaces import Spaces
from mfcl.labelling import propagate, suggest

CANDIDATES = 1500
"""Most unlabelled clips among which the most useful are looked for."""
CLOSENESS, CLOSEST = 2, 1e-3
"""Power of the inverse distance that weights the nearest clips of a new one, and what is added to the distance."""
Z = 1.96
"""Half the width of a 95 % interval in standard errors."""
HALF_WIDTH = 0.05
"""Half the width of the interval that is aimed at."""


@dataclass(frozen=True, eq=False)
class Guesses:
    """A guess for every clip.

    Attributes:
        classes: The labels.
        codes: Class number of each clip; -1 where no label reaches it.
        confidence: Share of that class in the clip's scores, 0 to 1.
        part: Part of the embeddings that they come from.
    """

    classes: tuple[str, ...]
    codes: Int64[np.ndarray, " items"]
    confidence: Float32[np.ndarray, " items"]
    part: str


@dataclass(frozen=True)
class Estimate:
    """How good the guesses are, by the held-out set.

    Attributes:
        drawn: Clips of the held-out set.
        labelled: Those of them that are labelled.
        right: Those whose guess is right.
        accuracy: Share of them; None while none is labelled or nothing can be guessed.
        low: Lower end of the 95 % interval.
        high: Upper end.
        more: Further held-out labels after which the interval is about 5 points to either side.
    """

    drawn: int
    labelled: int
    right: int
    accuracy: float | None
    low: float
    high: float
    more: int


class Assistant:
    """Guesses and suggestions of a collection; everything is worked out from the label book's present state.

    Args:
        spaces: The vectors.
        nearby: Their neighbours.
        book: The labels.
        parts: Names of the parts that guesses may come from.
    """

    def __init__(self, spaces: Spaces, nearby: Nearby, book: LabelBook, parts: list[str]) -> None:
        self._spaces, self._nearby, self._book, self._parts = spaces, nearby, book, parts
        self._kept: dict[tuple[Any, ...], Any] = {}
        self._lock = threading.Lock()

    def part(self, column: str, wanted: str = "") -> str:
        """Return the part to guess a column from: the asked one, else that in which equal labels are nearest."""
        if wanted in self._parts:
            return wanted
        labels = self._fitting(column)
        known = np.flatnonzero(labels != "")
        if len(self._parts) == 1 or len(known) < 4:
            return self._parts[0]
        return max(self._parts, key=lambda part: self._agreement(part, known, labels[known]))

    def guesses(self, column: str, wanted: str = "") -> Guesses | None:
        """Return guesses from the labels outside of the held-out set; None while fewer than two classes are known."""
        version, labels = self._book.version, self._fitting(column)
        if len(np.unique(labels[labels != ""])) < 2:
            return None
        part = self.part(column, wanted)
        found: Guesses = self._once(("guesses", column, part, version), lambda: self._guess(column, labels, part))
        return found

    def suggestions(self, column: str, order: str, count: int, *, wanted: str = "", label: str = "") -> list[int]:
        """Return unlabelled clips to look at.

        Args:
            column: The label column.
            order: `useful`: what adds most; `sure` or `unsure`: by the confidence of the guess; `held`: those of the
                held-out set that have no label.
            count: Most clips to return.
            wanted: Part to guess from; "" for the better one.
            label: Only clips that are guessed to have this label.
        """
        labels, held = self._book.labels(column), self._book.held(column)
        if order == "held":
            return [int(clip) for clip in np.flatnonzero(held & (labels == ""))[:count]]
        free = (labels == "") & ~held
        if order == "useful":
            return self._useful(column, free, count, wanted)
        guesses = self.guesses(column, wanted)
        if guesses is None:
            return self._useful(column, free, count, wanted)
        if label:
            free &= guesses.codes == guesses.classes.index(label) if label in guesses.classes else np.zeros_like(free)
        clips = np.flatnonzero(free & (guesses.codes >= 0))
        confidence = guesses.confidence[clips]
        ranked = clips[np.argsort(-confidence if order == "sure" else confidence, kind="stable")]
        return [int(clip) for clip in (ranked if label or order != "sure" else _dealt(ranked, guesses.codes))[:count]]

    def draw_held_out(self, column: str, count: int) -> list[int]:
        """Return clips for the held-out set: drawn at random from those without a label."""
        free = np.flatnonzero((self._book.labels(column) == "") & ~self._book.held(column))
        drawn = generator(0, "held out", column, self._book.version).permutation(free)[:count]
        return [int(clip) for clip in np.sort(drawn)]

    def estimate(self, column: str, wanted: str = "") -> Estimate:
        """Return how many guesses of the held-out set are right, with a 95 % interval (Wilson)."""
        held, labels = self._book.held(column), self._book.labels(column)
        told = np.flatnonzero(held & (labels != ""))
        guesses = self.guesses(column, wanted) if len(told) else None
        if guesses is None:
            return Estimate(int(held.sum()), len(told), 0, None, 0.0, 1.0, more_labels(0, 0))
        names = np.array([*guesses.classes, ""])  # code -1 is no label
        right = int((names[guesses.codes[told]] == labels[told]).sum())
        low, high = interval(right, len(told))
        return Estimate(
            int(held.sum()), len(told), right, right / len(told), low, high, more_labels(right, len(told))
        )  # fmt: skip

    def read(self, guesses: Guesses, clips: list[int], distances: list[float]) -> tuple[str, float]:
        """Return the label of a new clip and its share, by its nearest clips, weighted by inverse distance."""
        weights = 1 / (np.array(distances) + CLOSEST) ** CLOSENESS * guesses.confidence[clips]
        scores = np.zeros(len(guesses.classes))
        known = guesses.codes[clips] >= 0
        np.add.at(scores, guesses.codes[clips][known], weights[known])
        best = int(scores.argmax())
        return guesses.classes[best], float(scores[best] / max(scores.sum(), 1e-12))

    def fitting(self, column: str) -> Shaped[np.ndarray, " items"]:
        """Return the labels to learn from: those outside of the held-out set."""
        return self._fitting(column)

    def _fitting(self, column: str) -> Shaped[np.ndarray, " items"]:
        return np.where(self._book.held(column), "", self._book.labels(column))

    def _guess(self, column: str, labels: Shaped[np.ndarray, " items"], part: str) -> Guesses:
        spread = propagate(self._nearby.graph(part), labels)
        scores = spread.scores.copy()
        names = {str(name): at for at, name in enumerate(spread.classes)}
        for clip, wrong in self._book.rejected(column).items():
            scores[clip, [names[one] for one in wrong if one in names]] = 0
        sums = scores.sum(axis=1)
        codes = np.where(sums > 0, scores.argmax(axis=1), -1)
        best = scores.max(axis=1) / np.where(sums > 0, sums, 1)
        known = np.flatnonzero(labels != "")
        codes[known] = [names[str(name)] for name in labels[known]]
        best[known] = 1
        return Guesses(tuple(names), codes.astype(np.int64), best.astype(np.float32), part)

    def _useful(self, column: str, free: Bool[np.ndarray, " items"], count: int, wanted: str) -> list[int]:
        """Return what adds most, looked for among a draw of the clips: its time grows with their square."""
        clips = np.flatnonzero(free)
        if not len(clips):
            return []
        part, labels = self.part(column, wanted), self._fitting(column)
        known = np.flatnonzero(labels != "")
        drawn = np.sort(generator(0, "useful", column).permutation(clips)[:CANDIDATES])
        some = np.concatenate([drawn, known])
        count = min(count, len(drawn))

        def work() -> list[int]:
            if len(some) < 2:
                return [int(clip) for clip in drawn[:count]]
            inner = self._nearby.graph(part)[some][:, some] if len(some) < len(free) else self._nearby.graph(part)
            given = labels[some] if len(some) < len(free) else labels
            places = np.arange(len(free)) if len(some) == len(free) else some
            found = suggest(inner, count, known=given if (given != "").any() else None)
            return [int(places[at]) for at in found]

        suggested: list[int] = self._once(("useful", column, part, count, self._book.version), work)
        return suggested

    def _agreement(self, part: str, known: Int64[np.ndarray, " known"], given: Shaped[np.ndarray, " known"]) -> float:
        """Return the share of labelled clips whose nearest labelled clip has the same label."""
        vectors = self._spaces.vectors(part)[known[-500:]]
        places, _ = top_k(vectors, vectors, 2)
        own = np.arange(len(vectors))
        other = np.where(places[:, 0] == own, places[:, 1], places[:, 0])
        return float((given[-500:][other] == given[-500:]).mean())

    def _once(self, key: tuple[Any, ...], work: Any) -> Any:
        with self._lock:
            if key not in self._kept:
                made = work()
                self._kept = {one: value for one, value in self._kept.items() if one[:2] != key[:2]}
                self._kept[key] = made
            return self._kept[key]


def interval(right: int, asked: int) -> tuple[float, float]:
    """Return the 95 % interval of a share.

    Source: Wilson, "Probable inference, the law of succession, and statistical inference", 1927.

    Example:
        >>> [round(end, 3) for end in interval(18, 20)]
        [0.699, 0.972]
    """
    if not asked:
        return 0.0, 1.0
    share, square = right / asked, Z * Z
    middle = (share + square / (2 * asked)) / (1 + square / asked)
    half = Z * float(np.sqrt(share * (1 - share) / asked + square / (4 * asked * asked))) / (1 + square / asked)
    return max(0.0, middle - half), min(1.0, middle + half)


def more_labels(right: int, asked: int) -> int:
    """Return how many more held-out labels make the 95 % interval about 5 points to either side.

    Example:
        >>> more_labels(0, 0), more_labels(18, 20), more_labels(195, 200)
        (138, 118, 0)
    """
    share = (right + 2) / (asked + 4) if asked else 0.9  # Agresti and Coull's middle; 90 % before anything is known
    needed = int(np.ceil(Z * Z * share * (1 - share) / HALF_WIDTH**2))
    return max(0, needed - asked)


def _dealt(ranked: Int64[np.ndarray, " some"], codes: Int64[np.ndarray, " items"]) -> list[int]:
    """Return clips of all classes in turn, each class in its order, so that no class comes first with all its clips."""
    turn: dict[int, int] = {}
    keys: list[tuple[int, int, int]] = []
    for clip in ranked.tolist():
        code = int(codes[clip])
        turn[code] = turn.get(code, -1) + 1
        keys.append((turn[code], len(keys), clip))
    return [clip for _, _, clip in sorted(keys)]
