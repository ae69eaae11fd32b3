"""A classifier of recordings with `unknown` as an answer, bound to the model whose embeddings it was fitted on."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from jaxtyping import Float32, Float64, Shaped

from mfcl.embeddings.linalg import unit_rows
from mfcl.embeddings.table import WHITENED
from mfcl.errors import MeasureError, check_number
from mfcl.labelling.features import Features, Vectors, as_embeddings

UNKNOWN = "unknown"
"""The answer for a sound unlike every class. As a label it marks recordings of none of the classes."""


@dataclass(frozen=True, eq=False)
class Predictions:
    """The classes of recordings.

    Attributes:
        labels: The answer for each recording: a class, or `unknown`.
        likeliest: The likeliest class of each, whether it is the answer or not.
        probabilities: Probability of each class; each row sums to 1.
        distances: Distance (1 - cosine) to the nearest class's centre, 0 to 2.
        classes: The classes of the columns of `probabilities`.
    """

    labels: Shaped[np.ndarray, " items"]
    likeliest: Shaped[np.ndarray, " items"]
    probabilities: Float64[np.ndarray, "items classes"]
    distances: Float64[np.ndarray, " items"]
    classes: Shaped[np.ndarray, " classes"]

    @property
    def confidence(self) -> Float64[np.ndarray, " items"]:
        """Probability of the likeliest class of each recording."""
        highest: Float64[np.ndarray, " items"] = self.probabilities.max(axis=1)
        return highest


@dataclass(frozen=True, eq=False)
class LabelClassifier:
    """A linear classifier of embeddings that answers `unknown` for sounds unlike all that it knows.

    Made by `fit_classifier`, `Collection.fit` and `load_classifier`. It needs no graph and no recordings.

    Attributes:
        classes: The classes in alphabetical order; `unknown` may be one of them.
        features: Makes features of embeddings.
        weights: A weight for each feature and class.
        bias: Of each class.
        sharpness: Factor of the scores before the softmax; 1 where probabilities could not be calibrated.
        centres: Mean features of each class.
        farthest: Distance to the nearest centre beyond which a sound is `unknown`.
        model: Digest of the model; "" where it is not known.
        about: How it was fitted, for people.
    """

    classes: Shaped[np.ndarray, " classes"]
    features: Features
    weights: Float64[np.ndarray, "features classes"]
    bias: Float64[np.ndarray, " classes"]
    sharpness: float
    centres: Float32[np.ndarray, "classes features"]
    farthest: float
    model: str = ""
    about: Mapping[str, Any] = field(default_factory=dict)

    def predict(
        self, vectors: Vectors, *, least: int | float = 0.0, farthest: int | float | None = None
    ) -> Predictions:
        """Return the classes of recordings.

        A recording is `unknown` if it is known to be silent, if it is farther from every class than `farthest`, if no
        class is as likely as `least`, or if `unknown` was given as a label and is the likeliest.

        Args:
            vectors: Embeddings by the same model, or a matrix like the one that the classifier was fitted on.
            least: Least probability of an answer, 0 to 1.
            farthest: Distance beyond which a sound is `unknown`; default: the one that was set by fitting.

        Raises:
            MeasureError: embeddings of another model, other parts or sizes, or a limit out of range.
        """
        check_number("least", least, 0, 1, error=MeasureError)
        if farthest is not None:
            check_number("farthest", farthest, 0, 2, error=MeasureError)
        features = self.features_of(vectors)
        probabilities = self.probabilities(features)
        far = distances_to(features, self.centres)
        likeliest = self.classes[probabilities.argmax(axis=1)]
        refused = (far > (self.farthest if farthest is None else farthest)) | (probabilities.max(axis=1) < least)
        silent = as_embeddings(vectors).silent
        refused |= False if silent is None else silent
        labels = np.where(refused, UNKNOWN, likeliest.astype(np.str_))
        return Predictions(labels, likeliest, probabilities, far, self.classes)

    def features_of(self, vectors: Vectors) -> Float32[np.ndarray, "items features"]:
        """Return the features of recordings.

        Raises:
            MeasureError: see `predict`.
        """
        table = as_embeddings(vectors)
        if table.model != self.model and self.model:
            raise MeasureError(f"classifier: bound to the model {short(self.model)}, {_came(table.model)}")
        self.check_parts(table.parts, table.dim)
        return self.features(table)

    def check_parts(self, parts: Mapping[str, tuple[int, int]], dim: int) -> None:
        """Check that embeddings of the classifier's model hold the parts that it reads.

        Args:
            parts: Part name -> its columns: the first, and the one after the last.
            dim: Size of a vector.

        Raises:
            MeasureError: a part is missing, or has another size.
        """
        for name, whitening in self.features.whitenings.items():
            size = dim if not name else _size(parts, name)
            if size != len(whitening.mean):
                part = f"the part {name!r} of " if name else ""
                do = "embed with the model that the classifier was fitted on"
                if self.model and not size:
                    do = "they are its model's, but lack that: embed both formats, or fit it on embeddings like these"
                raise MeasureError(
                    f"classifier: wanted embeddings with {part}{len(whitening.mean)} values, got {size}; {do}"
                )

    def probabilities(self, features: Float32[np.ndarray, "items features"]) -> Float64[np.ndarray, "items classes"]:
        """Return the probability of each class."""
        scores = self.sharpness * (features @ self.weights + self.bias)
        chances: Float64[np.ndarray, "items classes"] = np.exp(scores - scores.max(axis=1, keepdims=True))
        chances /= chances.sum(axis=1, keepdims=True)
        return chances


def distances_to(
    features: Float32[np.ndarray, "items features"], centres: Float32[np.ndarray, "classes features"]
) -> Float64[np.ndarray, " items"]:
    """Return the distance (1 - cosine) of each recording to the nearest centre, 0 to 2.

    Example:
        >>> distances_to(np.array([[0, 2]], np.float32), np.array([[1, 0], [0, 1]], np.float32)).tolist()
        [0.0]
    """
    cosines = unit_rows(features, np.float32) @ unit_rows(centres, np.float32).T
    return np.asarray(np.maximum(1 - cosines.max(axis=1), 0), dtype=np.float64)


def _size(parts: Mapping[str, tuple[int, int]], name: str) -> int:
    start, stop = parts.get(name, (0, 0))
    return stop - start


def short(model: str) -> str:
    """Return the beginning of a digest, for messages."""
    return f"{model[:12]}{WHITENED if model.endswith(WHITENED) else ''}"


def _came(model: str) -> str:
    if not model:
        return "but these embeddings do not name theirs; embed the recordings again with it"
    return f"but these embeddings are of {short(model)}; embeddings of two models cannot be compared"
