"""Measure a trained model with the audio tasks of MTEB: python mteb_encoder.py MODEL TASK [TASK ...].

MTEB (https://github.com/embeddings-benchmark/mteb; `pip install mteb torchcodec`, in an environment of its own beside
mfcl) downloads its tasks' recordings. `mteb.get_tasks(modalities=["audio"])` lists them; with an `MfclEncoder` any task
of one's own that MTEB can evaluate runs too, also one whose recordings are on this computer.
"""

import sys
import warnings
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

import mfcl
from mfcl.checkpoint import model_digest
from mfcl.embeddings.linalg import unit_rows
from mfcl.errors import MfclError


class MfclEncoder:
    """A trained model with the methods that MTEB asks of an encoder; sound is prepared as the model's recipe says.

    Args:
        model: The folder of a model or a run.
        part: `words` or `voices`, of a model that has both; None: all.
        whiten: Apply the whitening fitted on the training embeddings, for tasks that compare by cosines.
        device: `auto`, `cpu`, `cuda`, ...
    """

    def __init__(
        self, model: str | Path, *, part: str | None = None, whiten: bool = False, device: str = "auto"
    ) -> None:
        self.model, self.part, self.whiten = mfcl.load(model, device=device), part, whiten

    def encode(self, inputs: Iterable[Mapping[str, Any]], **_: Any) -> np.ndarray:
        """Return a vector (clips, values) for each clip, in input order: zeros, and a warning, for what is no sound.

        Args:
            inputs: Batches with a list `audio` of clips: `array`, (samples,) or (channels, samples), and
                `sampling_rate` in Hz.
        """
        return np.concatenate([self._batch(batch) for batch in inputs])

    def _batch(self, batch: Mapping[str, Any]) -> np.ndarray:
        if "audio" not in batch:
            raise MfclError(f"wanted batches with `audio`, got {', '.join(batch)}; choose tasks of audio alone")
        sounds = [np.asarray(clip["array"]) for clip in batch["audio"]]
        rates = np.array([int(clip["sampling_rate"]) for clip in batch["audio"]])
        made = np.zeros((len(sounds), self._encode([], self.model.sample_rate).shape[1]), dtype=np.float32)
        for rate in np.unique(rates).tolist():
            own = np.flatnonzero(rates == rate)
            some = [sounds[place] for place in own.tolist()]
            try:
                made[own] = self._encode(some, rate)
            except MfclError:  # one of them is no sound: each alone
                for place in own.tolist():
                    made[place] = self._alone(sounds[place], rate)
        return made

    def _alone(self, sound: np.ndarray, rate: int) -> np.ndarray:
        try:
            return self._encode([sound], rate)[0]
        except MfclError as error:
            warnings.warn(f"a clip gets a vector of zeros: {error}", stacklevel=2)
            return np.zeros(self._encode([], rate).shape[1], dtype=np.float32)

    def _encode(self, sounds: list[np.ndarray], rate: int) -> np.ndarray:
        if not sounds and self.whiten:  # the size of a whitened vector is known from one
            sounds = [np.sin(np.arange(self.model.sample_rate) / 9)]
        return self.model.encode(sounds, sample_rate=rate, part=self.part, whiten=self.whiten)

    def similarity(self, embeddings1: Any, embeddings2: Any) -> np.ndarray:
        """Return the cosine of every vector with every other."""
        return self.model.similarity(_rows(embeddings1), _rows(embeddings2))

    def similarity_pairwise(self, embeddings1: Any, embeddings2: Any) -> np.ndarray:
        """Return the cosine of each vector with the one of the same place."""
        a, b = (unit_rows(_rows(vectors), np.float32) for vectors in (embeddings1, embeddings2))
        return np.asarray((a * b).sum(axis=1))

    @property
    def mteb_model_meta(self) -> Any:
        """What MTEB writes beside the results: the model's name and, as its revision, its digest."""
        from mteb.models.model_meta import ModelMeta

        name = f"mfcl/{self.model.recipe.name}"
        weights = sum(weight.numel() for weight in self.model.model.parameters())
        facts = {
            "name": name, "revision": model_digest(self.model.checkpoint)[:12], "modalities": ["audio"],
            "n_parameters": weights, "framework": ["PyTorch"], "similarity_fn_name": "cosine",
        }  # fmt: skip
        return ModelMeta.create_empty(overwrites=facts)


def _rows(vectors: Any) -> np.ndarray:
    return np.atleast_2d(np.asarray(vectors, dtype=np.float32))


def main() -> None:
    """Evaluate a model on tasks by their names, and print the main score of each."""
    import mteb

    folder, *names = sys.argv[1:]
    found = mteb.evaluate(MfclEncoder(folder), mteb.get_tasks(tasks=names), encode_kwargs={"batch_size": 32})
    for result in found.task_results:
        print(f"{result.task_name}: {result.get_score():.4f}")


if __name__ == "__main__":
    main()
