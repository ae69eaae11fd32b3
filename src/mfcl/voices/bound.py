"""The model that a gallery is bound to, and what it hears of files, folders and arrays."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from mfcl.audio.arrays import listed
from mfcl.data.decoding import LeftOut
from mfcl.data.manifest import Manifest
from mfcl.errors import GalleryError
from mfcl.voices.material import manifest_of
from mfcl.voices.sound import Heard, Listener
from mfcl.voices.storage import Storage


class BoundModel:
    """The model of a gallery, loaded when sound is to be heard, not before.

    Args:
        storage: The gallery's rows, which name the model.
        model: The model, its folder, or a `Listener`; None: the folder that the gallery was created with.
        device: Of the model: `auto`, `cpu`, `cuda`, ...
    """

    def __init__(self, storage: Storage, model: Any, device: str) -> None:
        self._storage, self._model, self._device = storage, model, device
        self._listener: Listener | None = None

    @property
    def listener(self) -> Listener:
        """The model, loaded on first use.

        Raises:
            GalleryError: it is not the model that the gallery was created with.
        """
        if self._listener is None:
            about = self._storage.about()
            found = listener_of(about["model"] if self._model is None else self._model, self._device)
            if found.digest != about["digest"]:
                raise GalleryError(
                    f"{self._storage.name}: bound to the model {about['digest'][:12]} (then in {about['model']}), but "
                    f"{found.folder} is {found.digest[:12]}; embeddings of two models cannot be compared: "
                    "give its own model (--model), or create a new gallery"
                )
            self._listener = found
        return self._listener

    def hear(self, sounds: Any, sample_rate: int | float | None) -> Heard:
        """Return what is heard of files, a folder or arrays; what was heard already stays as it is.

        Raises:
            GalleryError: what was heard already has vectors of another size, or values that are not finite.
        """
        if isinstance(sounds, Heard):
            return self._checked(sounds)
        given = sounds if isinstance(sounds, Manifest) else listed(sounds)  # once: a generator tells it once
        if isinstance(given, Manifest) or all(isinstance(one, str | Path) for one in given):
            left_out, manifest = LeftOut(), manifest_of(given)
            heard, places = self.listener.hear(manifest, left_out)
            left_out.write(None)
            return replace(heard, files=tuple(manifest.recordings[place].path for place in places.tolist()))
        return self.listener.arrays(given, sample_rate)

    def _checked(self, heard: Heard) -> Heard:
        dim, shape = int(self._storage.about()["dim"]), heard.vectors.shape
        if len(shape) != 2 or shape[1] != dim:
            raise GalleryError(f"{self._storage.name}: wanted vectors of {dim} values, got {shape[-1] if shape else 1}")
        for what, values in (("vectors", heard.vectors), ("seconds", heard.seconds), ("levels", heard.levels)):
            if len(values) != len(heard.sources) or not np.isfinite(values).all():
                raise GalleryError(
                    f"{self._storage.name}: wanted finite {what} of {len(heard.sources)} clips, got {len(values)} or "
                    "values that are not finite; leave such clips out"
                )
        return heard


def listener_of(model: Any, device: str) -> Listener:
    """Return what hears with a model, its folder, or a `Listener`, which stays as it is."""
    if isinstance(model, Listener):
        return model
    from mfcl.voices.hearing import ModelListener

    return ModelListener(model, device=device)
