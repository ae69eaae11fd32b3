"""Which clips are silent: nobody can say what they are, so none is suggested or drawn to be labelled."""

import threading
from collections.abc import Callable, Iterable, Sequence

import numpy as np
from jaxtyping import Bool
from scipy import sparse

from mfcl.core.parallel import in_parallel


class Silence:
    """Listens to clips when they are about to be shown, and remembers which are silent.

    Args:
        count: Clips of the collection.
        judge: Listens to a clip and says whether it is silent.
        known: Clips that are known to be silent, which are not listened to; None where none is.
    """

    def __init__(
        self, count: int, judge: Callable[[int], bool], known: Bool[np.ndarray, " clips"] | None = None
    ) -> None:
        self._judge = judge
        self._silent = np.zeros(count, dtype=bool) if known is None else known.copy()
        self._judged = self._silent.copy()
        self._lock = threading.Lock()

    @property
    def known(self) -> Bool[np.ndarray, " clips"]:
        """Which clips are silent, of those that were listened to."""
        with self._lock:
            return self._silent.copy()

    def found(self, clips: Iterable[int]) -> list[int]:
        """Return those of the clips that are silent and were not known to be."""
        with self._lock:
            new = [int(clip) for clip in clips if not self._judged[clip]]
        judged = in_parallel(self._judge, new, what="listening", shown=False)
        silent = [clip for clip, one in zip(new, judged, strict=True) if one]
        with self._lock:
            self._judged[new] = True
            self._silent[silent] = True
        return silent

    def found_near(self, clips: Sequence[int], ties: sparse.csr_matrix) -> bool:
        """Return whether some of the clips are silent and were not known to be; then so are many of their nearest.

        Args:
            clips: The clips.
            ties: Graph of the collection. Silent clips have nearly the same vector, so along the ties from one to the
                next they are all found, before each of them is suggested.
        """
        silent = self.found(clips)
        near = silent
        while near:
            near = self.found(np.unique(ties[near].indices).tolist())
        return bool(silent)

    def first_heard(self, ranked: Sequence[int], count: int) -> list[int]:
        """Return the first `count` clips that are not silent."""
        kept: list[int] = []
        at = 0
        while len(kept) < count and at < len(ranked):
            some = [int(clip) for clip in ranked[at : at + count - len(kept)]]
            self.found(some)
            silent = self.known
            kept += [clip for clip in some if not silent[clip]]
            at += len(some)
        return kept
