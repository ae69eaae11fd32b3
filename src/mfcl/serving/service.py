"""What is known of a sound: its embedding, and with a classifier or a gallery its class and voice."""

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float32

import mfcl
from mfcl.checkpoint import model_digest
from mfcl.classification.sources import model_of
from mfcl.core.parallel import core_count
from mfcl.embedder import Embedder, load
from mfcl.embeddings.table import Embeddings
from mfcl.errors import CheckpointError
from mfcl.labelling.classifier_file import load_classifier
from mfcl.models.inference import Listed, embed_clips, part_bounds
from mfcl.voices import Gallery
from mfcl.voices.hearing import ModelListener
from mfcl.web.decoding import Decoded, Decoders


class Service:
    """A model with what was made of it; its answers are computed in one thread.

    Args:
        model: A trained model, or its folder.
        classifier: Folder of a classifier of this model.
        gallery: A gallery of voices of this model.
        device: `auto`, `cpu`, `cuda`, ...

    Raises:
        MfclError: one of them cannot be read, or is of another model.
    """

    def __init__(
        self,
        model: Embedder | str | Path,
        *,
        classifier: str | Path | None = None,
        gallery: str | Path | None = None,
        device: str = "auto",
    ) -> None:
        self.model = model if isinstance(model, Embedder) else load(model, device=device)
        self.digest = model_digest(self.model.checkpoint)
        self.bounds = part_bounds(self.model.model)
        self.classifier = None if classifier is None else load_classifier(classifier)
        if self.classifier is not None:
            model_of(self.classifier, self.model)
            self.classifier.check_parts(self.bounds, max(stop for _, stop in self.bounds.values()))
        self.gallery: Gallery | None = None
        self.executor = ThreadPoolExecutor(1, thread_name_prefix="embedding")
        if gallery is not None:
            try:
                # SQLite's connection belongs to the thread that opened it
                self.gallery = self.executor.submit(self._opened, gallery).result()
            except BaseException:
                self.executor.shutdown()
                raise
        self.decoders = Decoders(self.model.recipe.preparation, core_count())

    def close(self) -> None:
        """Close the gallery, end the thread and the processes that decode."""
        if self.gallery is not None:
            self.executor.submit(self.gallery.close).result()
        self.executor.shutdown()
        self.decoders.close()

    def about(self) -> dict[str, Any]:
        """Return facts about the model, the classifier and the gallery."""
        return {
            "mfcl": mfcl.__version__,
            "model": self.digest,
            "recipe": self.model.recipe.name,
            "sample_rate": self.model.sample_rate,
            "parts": {name: stop - start for name, (start, stop) in self.bounds.items()},
            "whitened": bool(self.model.whitening),
            "classes": None if self.classifier is None else [str(name) for name in self.classifier.classes],
            "voices": self.gallery is not None,
            "notes": list(self.notes()),
        }

    def notes(self) -> tuple[str, ...]:
        """Return what is to be known of the gallery's threshold, such as that nothing was calibrated."""
        if self.gallery is None:
            return ()
        gallery = self.gallery
        return self.executor.submit(lambda: gallery.threshold().notes).result()

    def check_whitening(self) -> None:
        """Raise an error if the model has no whitening."""
        if not self.model.whitening:
            raise CheckpointError("whiten: no whitening was learned with this model; leave it out")

    def answers(self, sounds: Sequence[Decoded]) -> list[dict[str, Any]]:
        """Return what is known of each sound; vectors are arrays."""
        clips = [one.samples for one in sounds]
        vectors = embed_clips(self.model.model, Listed(clips), self.model.sample_rate)
        names = np.full(len(vectors), "")
        table = Embeddings(vectors, names, {}, self.bounds, names, self.digest)
        found: list[dict[str, Any]] = [
            {"seconds": round(len(clip) / self.model.sample_rate, 6), "notices": list(one.notices), "embedding": vector}
            for clip, one, vector in zip(clips, sounds, vectors, strict=True)
        ]
        if self.model.whitening:
            for own, vector in zip(found, table.whiten(self.model.whitening).vectors, strict=True):
                own["whitened"] = vector
        if self.classifier is not None:
            for own, answer in zip(found, self._classes(table), strict=True):
                own["class"] = answer
        if self.gallery is not None:
            for own, answer in zip(found, self._voices(self.gallery, vectors, clips), strict=True):
                own["voice"] = answer
        return found

    def _classes(self, table: Embeddings) -> list[Mapping[str, Any]]:
        assert self.classifier is not None
        made = self.classifier.predict(table)
        names = [str(name) for name in made.classes]
        return [
            {
                "label": str(made.labels[place]), "likeliest": str(made.likeliest[place]),
                "probability": float(made.confidence[place]), "distance": float(made.distances[place]),
                "probabilities": dict(zip(names, made.probabilities[place].tolist(), strict=True)),
            }
            for place in range(len(table))
        ]  # fmt: skip

    def _voices(
        self, gallery: Gallery, vectors: Float32[np.ndarray, "items dim"], clips: Sequence[np.ndarray]
    ) -> list[Mapping[str, Any]]:
        listener = gallery.listener
        assert isinstance(listener, ModelListener)
        heard = listener.heard_of(vectors, [("sound", clip) for clip in clips])
        kept = ("name", "reason", "best", "score", "margin", "second")
        found: list[Mapping[str, Any]] = []
        for one in gallery.identify(heard):
            facts = asdict(one)
            # of an empty gallery the score is minus infinity, which JSON has not
            found.append({
                name: None if isinstance(facts[name], float) and not np.isfinite(facts[name]) else facts[name]
                for name in kept
            })  # fmt: skip
        return found

    def _opened(self, place: str | Path) -> Gallery:
        gallery = Gallery.open(place, model=self.model)
        try:
            assert gallery.listener.digest == self.digest  # loading it checks this, too, with a message
        except BaseException:
            gallery.close()
            raise
        return gallery
