"""Search by a sound: the clips nearest to a dropped file, its label and its voice."""

import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from mfcl.embeddings.table import WHITENED
from mfcl.errors import AudioError, MfclError
from mfcl.explore import hearing
from mfcl.explore.session import Session
from mfcl.web.requests import BusyError


class Search:
    """Hears files, one at a time, and looks for them among a session's clips.

    Args:
        session: What is searched.
    """

    def __init__(self, session: Session) -> None:
        self._session = session
        self._hearing = threading.Lock()

    def by_sound(self, content: bytes, column: str) -> dict[str, Any]:
        """Return the nearest clips of a file's bytes, the guess of its label, and with a gallery its voice.

        Raises:
            MfclError: the model is not known or another one, the file is no sound, or another one is being heard.
        """
        session = self._session
        if session.collection.model is None:
            raise MfclError("search: the model of these embeddings is not known; start with a run, or give --model")
        if not content:
            raise AudioError("search: wanted an audio file, got nothing")
        if not self._hearing.acquire(blocking=False):
            raise BusyError("search: another file is being heard; try again in a moment")
        try:
            heard = hearing.hear(session.collection.model, content, voice=session.voices is not None)
        finally:
            self._hearing.release()
        self._check_model(session.collection.model, heard.digest)
        found = self._nearest(heard.vector, column)
        if session.voices is not None:
            found["voice"] = session.voices.of_file(heard)
        return found

    def _check_model(self, model: Path, digest: str) -> None:
        """Check that a file was heard as the clips were: vectors of another model may have as many values.

        Raises:
            MfclError: the model is another one than the clips', or theirs were whitened.
        """
        own = self._session.collection.embeddings.model
        if own.endswith(WHITENED):
            raise MfclError("search: the clips' vectors were whitened, a file's are not; embed without --whiten")
        if own not in ("", digest):
            raise MfclError(
                f"search: the clips were embedded by the model {own[:12]}, but {model} is {digest[:12]} now; start "
                "again with the clips' own model, or embed them again"
            )

    def _nearest(self, vector: np.ndarray, column: str) -> dict[str, Any]:
        session = self._session
        if vector.shape != (1, session.collection.embeddings.dim):
            raise MfclError(
                f"search: the model gives {vector.shape[-1]} values, a clip has {session.collection.embeddings.dim}; "
                "start with the run that embedded them"
            )
        given = session.collection.embeddings
        names = np.array(["the file"])
        one = replace(given, vectors=vector, ids=names, labels={}, splits=np.array([""]), silent=None)
        found: dict[str, Any] = {"near": {}, "guess": None, "voice": None}
        for part in session.parts:
            places, distances = session.spaces.nearest(part, session.spaces.features(part, one), 12)
            found["near"][part] = {"clips": places, "distances": [round(one, 4) for one in distances]}
        read = session.assistant.read(column, one) if column in session.book.columns else None
        if read is not None:
            found["guess"] = {"label": read[0], "confidence": round(read[1], 3)}
        return found
