"""Whose voice a clip or a dropped file has, by a gallery of the model that embedded the clips."""

import contextlib
import hashlib
import io
import tempfile
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from jaxtyping import Float32

from mfcl.core.console import printable
from mfcl.core.files import is_there, replacing
from mfcl.core.processes import own_process
from mfcl.embeddings.table import WHITENED
from mfcl.errors import AudioError, GalleryError
from mfcl.explore.background import Background
from mfcl.explore.collection import Collection
from mfcl.explore.hearing import Dropped
from mfcl.explore.sounds import Sounds
from mfcl.voices.answers import identifications
from mfcl.voices.decisions import Identification
from mfcl.voices.snapshot import Snapshot, read_snapshot
from mfcl.voices.sound import Heard, amount_of_sound
from mfcl.voices.storage import Storage

ORDINARY = (1.0, -25.0)
"""Seconds of sound and level in dB of a clip whose sound cannot be read."""


class Voices:
    """The answers of a gallery about a collection's clips; voices that another process enrols count at once.

    Args:
        place: The gallery: a file, or the address of a PostgreSQL database.
        collection: The clips.
        sounds: Their sound, whose seconds and level a calibration may use.

    Raises:
        GalleryError: there is no gallery, it cannot be read, or it is bound to another model than the clips'.
    """

    def __init__(self, place: str, collection: Collection, sounds: Sounds) -> None:
        self._place, self._collection, self._sounds = place, collection, sounds
        self._lock = threading.Lock()
        self._vectors: Float32[np.ndarray, "items _"] | None = None
        self._snapshot: Snapshot | None = None
        with contextlib.closing(Storage.open(place)) as storage:
            about, self.name = storage.about(), printable(storage.name, 300)
        self.digest, self._part = about["digest"], about["part"]
        _check_model(self.name, about, collection)
        self.model = collection.model or Path(about["model"])
        if collection.embeddings.model.endswith(WHITENED):
            self._vectors = (
                collection.embeddings.only(self._part).vectors if self._part else collection.embeddings.vectors
            )
        self.notes = self._now().threshold().notes

    @property
    def ready(self) -> bool:
        """Whether the vectors of the clips' voices are in memory."""
        return self._vectors is not None

    def prepare(self, background: Background) -> None:
        """Whiten the clips' vectors by the model, in a process of its own that has torch, once; a background job."""
        if self.ready:
            return
        given = hashlib.sha256(np.ascontiguousarray(self._collection.embeddings.vectors).data).hexdigest()
        path = self._collection.folder / f"voices-{self.digest[:16]}-{given[:16]}.npy"
        made = _read(path, len(self._collection))
        if made is None:
            with tempfile.TemporaryDirectory(prefix="mfcl-") as folder:
                table, out = Path(folder) / "given.npz", Path(folder) / "out.npy"
                replace(self._collection.embeddings, labels={}).save(table)
                background.run(own_process("mfcl.explore.voicing", self.model, self.digest, table, out))
                made = np.load(out, allow_pickle=False)
            with replacing(path) as temporary, temporary.open("wb") as file:
                np.save(file, made)
        self._vectors = made

    def of_clip(self, clip: int) -> dict[str, Any] | None:
        """Return whose voice a clip has; None while that cannot be told yet.

        Raises:
            GalleryError: the gallery cannot be read any more, or its vectors have another size.
        """
        if self._vectors is None:
            return None
        return self._told(self._vectors[clip : clip + 1], *self._amount(clip))

    def of_file(self, dropped: Dropped) -> dict[str, Any]:
        """Return whose voice a dropped file has, which was heard for a gallery by the clips' model, the gallery's."""
        assert dropped.voice is not None
        return self._told(dropped.voice, dropped.seconds, dropped.level)

    def count(self) -> int:
        """Return the number of voices with clips."""
        return len(self._now().profiles)

    def _told(self, vector: Float32[np.ndarray, "1 _"], seconds: float, level: float) -> dict[str, Any]:
        heard = Heard(vector, np.array([seconds]), np.array([level]), ("",))
        return plain(identifications(self._now(), heard)[0])

    def _now(self) -> Snapshot:
        """Return the gallery's voices; a connection belongs to one thread, so each question has its own."""
        with self._lock, contextlib.closing(Storage.open(self._place)) as storage:
            if self._snapshot is None or self._snapshot.changes != storage.changes():
                self._snapshot = read_snapshot(storage)
            return self._snapshot

    def _amount(self, clip: int) -> tuple[float, float]:
        try:
            samples, rate = soundfile.read(io.BytesIO(self._sounds.wav(clip)), dtype="float32")
        except AudioError:
            return ORDINARY
        return amount_of_sound(samples, rate)


def plain(found: Identification) -> dict[str, Any]:
    """Return an answer as the page shows it."""
    return {
        "name": printable(found.name, 200),
        "reason": found.reason,
        "best": printable(found.best, 200),
        "score": round(found.score, 2) if found.best else None,
        "margin": None if found.margin is None else round(found.margin, 2),
        "near": [{"voice": printable(one.voice, 200), "cosine": round(one.cosine, 3)} for one in found.near],
    }


def _check_model(name: str, about: dict[str, str], collection: Collection) -> None:
    own = collection.embeddings.model.removesuffix(WHITENED)
    if not own:
        raise GalleryError(
            f"{name}: the embeddings of {collection.name} do not say which model made them, so they cannot be compared "
            "with voices; embed the recordings again (mfcl embed)"
        )
    if own != about["digest"]:
        raise GalleryError(
            f"{name}: bound to the model {about['digest'][:12]} (then in {about['model']}), but the clips of "
            f"{collection.name} were embedded by {own[:12]}; embeddings of two models cannot be compared: give a "
            "gallery of that model"
        )
    if collection.model is None and not is_there(Path(about["model"])):
        raise GalleryError(f"{name}: its model was in {about['model']}, it is not there any more; give it by --model")


def _read(path: Path, count: int) -> Float32[np.ndarray, "items _"] | None:
    try:
        found = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError):
        return None
    whole = found.dtype == np.float32 and found.ndim == 2 and len(found) == count and np.isfinite(found).all()
    return found if whole else None
