"""The voices of a gallery in memory: read once, read again where another process has changed them."""

from mfcl.voices.server_search import FEW, likely_voices
from mfcl.voices.snapshot import Snapshot, read_snapshot
from mfcl.voices.sound import Heard
from mfcl.voices.storage import Storage


class Memory:
    """What is in memory of a gallery, and what is read of it for a question.

    Args:
        storage: The gallery's rows.
    """

    def __init__(self, storage: Storage) -> None:
        self._storage = storage
        self._snapshot: Snapshot | None = None
        self._asked = (-1, 0)  # the number of changes, and the clips asked about since

    def all(self) -> Snapshot:
        """Return all voices."""
        held = self._held()
        if held is None:
            held = self._snapshot = read_snapshot(self._storage)
        return held

    def likely(self, heard: Heard, *names: str) -> Snapshot:
        """Return the voices that are likely for some clips, and those named; all of them where none can be left out.

        All are read for more than a few clips of a gallery that nobody changes, too, and if they are in memory already.
        """
        held = self._held()
        if held is not None:
            return held
        changes = self._storage.changes()
        before, asked = self._asked
        self._asked = (changes, len(heard) + (asked if before == changes else 0))
        found = None if self._asked[1] > FEW else likely_voices(self._storage, heard, names)
        return self.all() if found is None else read_snapshot(self._storage, found)

    def forget(self) -> None:
        """Read the voices again when they are asked for."""
        self._snapshot = None

    def _held(self) -> Snapshot | None:
        """Return the voices in memory; None if they are not there, or another process has changed them."""
        held = self._snapshot
        return held if held is not None and held.changes == self._storage.changes() else None
