"""A trained model as a scikit-learn transformer: recordings in, vectors out."""

from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float32
from scipy.sparse import issparse
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from mfcl.audio.arrays import listed
from mfcl.checkpoint import load_checkpoint
from mfcl.core.urls import local_path
from mfcl.embedder import Embedder
from mfcl.errors import AudioError
from mfcl.models.inference import Format


class MfclEmbedder(TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """Embed recordings inside a scikit-learn `Pipeline`; nothing is learned in `fit`.

    A clone or a pickle holds the model's folder, not its weights, and loads it when it is first used.

    Args:
        model: The folder of a trained model or of a run.
        sample_rate: Sample rate of arrays in Hz; None: the model's.
        format: `wave`, `mel` or `both`; None: see `mfcl.embed`.
        part: `words`, `voices`, or None for all.
        whiten: Apply the whitening fitted on the training embeddings.
        batch: Recordings per forward pass.
        device: `auto`, `cpu`, `cuda`, ...

    Attributes:
        n_features_out_: Values in a vector.
        embedding_dim_: Values in a vector before whitening.

    Example:
        ``make_pipeline(MfclEmbedder("runs/birds", whiten=True), LogisticRegression()).fit(files, species)``
    """

    def __init__(
        self,
        model: str | Path = "",
        *,
        sample_rate: int | float | None = None,
        format: Format | None = None,
        part: str | None = None,
        whiten: bool = False,
        batch: int = 64,
        device: str = "auto",
    ) -> None:
        self.model, self.sample_rate, self.format, self.part = model, sample_rate, format, part
        self.whiten, self.batch, self.device = whiten, batch, device

    def fit(self, X: Any, y: Any = None) -> "MfclEmbedder":  # noqa: N803
        """Load the model and check that there are recordings; `y` is ignored.

        Raises:
            AudioError: there are no recordings.
            CheckpointError: there is no such model.
        """
        clips(X)
        embedder = self._embedder(again=True)
        self.embedding_dim_ = embedder.dim(self.format, part=self.part)
        silence = np.zeros(embedder.sample_rate, dtype=np.float32)
        self.n_features_out_ = self._encoded([silence], embedder.sample_rate).shape[1]
        return self

    def transform(self, X: Any) -> Float32[np.ndarray, "items dim"]:  # noqa: N803
        """Return a vector for each recording.

        Args:
            X: Paths, or arrays of samples; a 2-D array is a clip in each row. Columns of paths work too.

        Raises:
            AudioError: a recording cannot be read.
        """
        check_is_fitted(self, "n_features_out_")
        return self._encoded(clips(X), self.sample_rate)

    def get_feature_names_out(self, input_features: Any = None) -> np.ndarray:
        """Return names of the values: `mfcl0`, `mfcl1`, ..."""
        check_is_fitted(self, "n_features_out_")
        return np.array([f"mfcl{place}" for place in range(self.n_features_out_)], dtype=object)

    def __getstate__(self) -> dict[str, Any]:
        """Return the settings without the loaded weights."""
        return {name: value for name, value in super().__getstate__().items() if name != "_loaded"}

    def __sklearn_tags__(self) -> Any:
        """Say that recordings may be paths, and that a table of numbers is a clip in each row."""
        tags = super().__sklearn_tags__()
        tags.input_tags.string, tags.input_tags.two_d_array = True, True
        return tags

    def _embedder(self, *, again: bool = False) -> Embedder:
        if again or "_loaded" not in self.__dict__:
            self._loaded = Embedder(load_checkpoint(local_path(self.model, "model")), device=self.device)
        return self._loaded

    def _encoded(self, sounds: list[Any], sample_rate: int | float | None) -> Float32[np.ndarray, "items dim"]:
        return self._embedder().encode(
            sounds, sample_rate=sample_rate, format=self.format, part=self.part, whiten=self.whiten, batch=self.batch
        )


def clips(given: Any) -> list[Any]:
    """Return the recordings of what scikit-learn passes on: a list, an array of paths, or an array of clips.

    Raises:
        AudioError: there are none, or it is one recording rather than several.

    Example:
        >>> clips(np.array([["a.wav"], ["b.wav"]])), len(clips(np.zeros((3, 16000))))
        (['a.wav', 'b.wav'], 3)
    """
    values = given.to_numpy() if hasattr(given, "to_numpy") else given
    if hasattr(values, "__array__"):
        values = np.asarray(values.detach().cpu() if hasattr(values, "detach") else values)
    if issparse(values):
        raise AudioError("X: sparse input is not supported; give a list of paths or of arrays")
    table = isinstance(values, np.ndarray) and values.dtype.kind in "fiuc"
    if isinstance(values, str | Path) or (table and values.ndim < 2):
        raise AudioError("X: wanted several recordings, got one; give a list of paths or of arrays")
    found = list(values) if table else listed(values)
    if not found:
        raise AudioError("X: wanted one recording or more, got none")
    return found
