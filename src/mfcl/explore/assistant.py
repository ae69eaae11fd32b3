"""What helps to label: guesses for all clips from a few labels, what to label next, and how good the guesses are."""

import threading
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
from jaxtyping import Bool, Shaped

from mfcl.core.random import generator
from mfcl.embeddings.table import Embeddings
from mfcl.errors import MeasureError
from mfcl.explore.guessed import Chosen, Guesses, HeldOut, read_ways, write_ways
from mfcl.explore.labels import LabelBook
from mfcl.explore.silence import Silence
from mfcl.explore.spaces import Spaces
from mfcl.labelling import Fitted, Way, draw_held_out, estimate, suggest
from mfcl.labelling.choosing import chosen_way
from mfcl.labelling.collection import told_of_fallback
from mfcl.labelling.suggest import in_turn

CANDIDATES = 1500
"""Most unlabelled clips among which the most useful are looked for: the time grows with their square."""
WIDTH = 0.1
"""Width of the interval that is aimed at: 5 points to either side."""
FIRST = 141
"""Held-out labels that it takes at 90 %, which is told before anything is known."""
GROWTH = 1.25
"""Growth of the number of labels after which the best way to spread them is chosen again."""


class Assistant:
    """Guesses and suggestions of a collection; everything is worked out from the label book's present state.

    Args:
        spaces: The vectors.
        book: The labels.
        silence: Knows which clips are silent; they are neither suggested nor drawn.
    """

    def __init__(self, spaces: Spaces, book: LabelBook, silence: Silence) -> None:
        self._spaces, self._book, self._silence = spaces, book, silence
        self._kept: dict[tuple[Any, ...], Any] = {}
        self._ways_kept: dict[str, Chosen] | None = None
        self._lock = threading.Lock()
        self._working: dict[tuple[Any, ...], threading.Lock] = {}

    @property
    def ways(self) -> dict[str, str]:
        """Column -> the way that was chosen for it."""
        with self._lock:
            return {column: chosen.way for column, chosen in self._ways.items()}

    @property
    def _ways(self) -> dict[str, Chosen]:
        """What was chosen, also before the last start: until it is known, other guesses would be shown."""
        if self._ways_kept is None:
            self._ways_kept = read_ways(self._spaces.ways_file(self._book.path))
        return self._ways_kept

    @property
    def silent(self) -> int:
        """How many clips were left out so far, as they are silent."""
        return int(self._silence.known.sum())

    @property
    def ready(self) -> bool:
        """Whether the graph of the first way is in memory."""
        prepared = self._spaces.prepared
        return prepared.ready(prepared.kinds[0])

    def way(self, column: str) -> Way:
        """Return the way in which a column's labels are spread; the first until another was found to be better."""
        prepared, chosen = self._spaces.prepared, self._ways.get(column)
        return next((one for one in prepared.ways if chosen and one.name == chosen.way), prepared.ways[0])

    def unchosen(self, column: str) -> int:
        """Return the number of labels from which a column's way should be chosen anew; 0 for not now."""
        known = int((self.fitting(column) != "").sum())
        return known if known >= GROWTH * self._ways.get(column, Chosen(0, "", "")).known and known else 0

    def choose(self, column: str) -> None:
        """Choose the way that reads a column's labels best, by hiding some of them; takes seconds."""
        labels = self.fitting(column)
        known = int((labels != "").sum())
        checked = self._spaces.prepared.check(labels)
        way = chosen_way(self._spaces.prepared.ways, checked)
        found = Chosen(known, way.name, told_of_fallback(checked) if way.fallback else "")
        with self._lock:
            if way.name != self.way(column).name or found.note != self._note(column):
                # what is kept was guessed in another way
                self._kept = {key: value for key, value in self._kept.items() if key[1] != column}
            self._ways[column] = found
            write_ways(self._spaces.ways_file(self._book.path), self._ways)

    def settle(self, column: str) -> None:
        """Choose a column's way now if none was chosen so far: for what is written and stays as it is."""
        labels = self.fitting(column)
        if column not in self.ways and len(np.unique(labels[labels != ""])) > 1:
            self.choose(column)

    def guesses(self, column: str) -> Guesses | None:
        """Return guesses from the labels outside of the held-out set; None while fewer than two classes are known.

        Clips that are known to be silent have none: nobody can say what they are, and `mfcl classify` says `unknown`.
        """
        found = self._guesses_of_all(column)
        if found is None:
            return None
        silent = self._silence.known & (self._book.labels(column) == "") & (found.codes >= 0)
        codes, confidence = np.where(silent, -1, found.codes), np.where(silent, np.float32(0), found.confidence)
        return replace(found, codes=codes, confidence=confidence, silent=int(silent.sum()))

    def guesses_to_keep(self, column: str) -> Guesses | None:
        """Return guesses for what is written: first every clip with a guess is listened to, so that no silent one has.

        On the page only clips that are about to be shown are, as listening to all takes time.
        """
        found = self.guesses(column)
        if found is None:
            return None
        self._silence.found(np.flatnonzero((self._book.labels(column) == "") & (found.codes >= 0)).tolist())
        return self.guesses(column)

    def fitted(self, column: str) -> Fitted:
        """Return a classifier fitted on the spread labels.

        Raises:
            MeasureError: fewer than two classes are labelled.
        """
        labels, way = self.fitting(column), self.way(column)
        found: Fitted = self._once(
            ("fitted", column, self._book.version), lambda: self._spaces.prepared.fit(labels, way=way.name)
        )
        return found

    def read(self, column: str, embeddings: Embeddings) -> tuple[str, float] | None:
        """Return the class of a new clip, or `unknown`, and the probability of its likeliest class."""
        try:
            classifier = self.fitted(column).classifier
        except MeasureError:
            return None
        found = classifier.predict(embeddings)
        return str(found.labels[0]), float(found.confidence[0])

    def suggestions(self, column: str, order: str, count: int, *, label: str = "") -> list[int]:
        """Return unlabelled clips to look at, none of them silent.

        Args:
            column: The label column.
            order: `useful`: what adds most; `sure` or `unsure`: by the confidence of the guess; `held`: those of the
                held-out set that have no label.
            count: Most clips to return.
            label: Only clips that are guessed to have this label.
        """
        labels, held = self._book.labels(column), self._book.held(column)
        if order == "held":
            # in an order of chance: clips come folder by folder, and those labelled so far must be a fair sample too
            shuffled = generator(0, "held out", column).permutation(len(labels))
            return [int(clip) for clip in shuffled[(held & (labels == ""))[shuffled]][:count]]
        free = (labels == "") & ~held
        guesses = None if order == "useful" else self._guesses_of_all(column)
        if guesses is None:
            return self._useful(column, free, count)
        if label:
            wanted = guesses.classes.index(label) if label in guesses.classes else -2
            free &= guesses.codes == wanted
        clips = np.flatnonzero(free & (guesses.codes >= 0))
        confidence = guesses.confidence[clips]
        ranked = clips[np.argsort(-confidence if order == "sure" else confidence, kind="stable")]
        shown = in_turn(ranked, guesses.codes) if order == "sure" and not label else ranked.tolist()
        return self._silence.first_heard(shown, count)

    def draw_held_out(self, column: str, count: int) -> list[int]:
        """Return clips for the held-out set: drawn at random from those that nobody has given or denied a label.

        Of silent ones nobody can say what they are.
        """
        taken = np.where(self._book.held(column), "held out", self._book.labels(column))
        denied = list(self._book.rejected(column))  # a rejection changes the clip's own guess
        taken[denied] = np.where(taken[denied] == "", "rejected", taken[denied])
        free = int((taken == "").sum())
        if not free:
            return []
        drawn = draw_held_out(taken, free, seed=self._book.version)  # all of them, in an order of chance
        return sorted(self._silence.first_heard(drawn.tolist(), count))

    def estimate(self, column: str) -> HeldOut:
        """Return how many guesses of the held-out set are right, with a 95 % interval; see `mfcl.estimate`."""
        held, labels = self._book.held(column), self._book.labels(column)
        told = np.flatnonzero(held & (labels != ""))
        guesses = self.guesses(column) if len(told) else None
        if guesses is None:
            return HeldOut(int(held.sum()), len(told), 0, None, 0.0, 1.0, FIRST)
        names = np.array([*guesses.classes, ""])  # code -1 is no label
        found = estimate(names[guesses.codes[told]], labels[told])
        return HeldOut(
            int(held.sum()), found.count, found.right, found.accuracy, found.low, found.high, found.more_for(WIDTH)
        )  # fmt: skip

    def fitting(self, column: str) -> Shaped[np.ndarray, " items"]:
        """Return the labels to learn from: those outside of the held-out set."""
        return np.where(self._book.held(column), "", self._book.labels(column))

    def _guesses_of_all(self, column: str) -> Guesses | None:
        """Return guesses of silent clips, too: an order of clips must not change when some are found to be silent."""
        version, labels = self._book.version, self.fitting(column)
        if len(np.unique(labels[labels != ""])) < 2:
            return None
        found: Guesses = self._once(("guesses", column, version), lambda: self._guess(column, labels))
        return found

    def _guess(self, column: str, labels: Shaped[np.ndarray, " items"]) -> Guesses:
        way = self.way(column)
        spread = self._spaces.prepared.spread_sets(way, labels[None])[0]
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
        return Guesses(tuple(names), codes.astype(np.int64), best.astype(np.float32), way.name, self._note(column))

    def _note(self, column: str) -> str:
        return self._ways[column].note if column in self._ways else ""

    def _useful(self, column: str, free: Bool[np.ndarray, " items"], count: int) -> list[int]:
        """Return what adds most, looked for among a draw of the clips, until none of it is silent."""
        while True:
            silent = self._silence.known
            found = self._useful_of(column, free & ~silent, count, silent=int(silent.sum()))
            way = self.way(column)
            if not self._silence.found_near(found, self._spaces.prepared.graph(way.graph or way.features)):
                return found

    def _useful_of(self, column: str, free: Bool[np.ndarray, " items"], count: int, *, silent: int) -> list[int]:
        clips = np.flatnonzero(free)
        if not len(clips):
            return []
        way, labels = self.way(column), self.fitting(column)
        drawn = generator(0, "useful", column).permutation(clips)[:CANDIDATES]
        some = np.sort(np.concatenate([drawn, np.flatnonzero(labels != "")]))
        count = min(count, len(drawn))
        ties = self._spaces.prepared.graph(way.graph or way.features)

        def work() -> list[int]:
            if len(some) < 2:
                return [int(clip) for clip in drawn[:count]]
            known = labels[some]
            found = suggest(ties[some][:, some], count, known=known if (known != "").any() else None)
            return [int(some[at]) for at in found]

        suggested: list[int] = self._once(("useful", column, count, self._book.version, silent), work)
        return suggested

    def _once(self, key: tuple[Any, ...], work: Callable[[], Any]) -> Any:
        """Work something out once; what is of another kind or column, which is quick or slow, does not wait for it."""
        kind = key[:2]
        with self._lock:
            own = self._working.setdefault(kind, threading.Lock())
        with own:
            with self._lock:
                if key in self._kept:
                    return self._kept[key]
            made = work()
            with self._lock:
                self._kept = {one: value for one, value in self._kept.items() if one[:2] != kind}
                self._kept[key] = made
            return made
