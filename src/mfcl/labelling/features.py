"""Features for labelling: chosen parts of embeddings, whitened by the recordings at hand."""

import hashlib
import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, Int64, Shaped

from mfcl.embeddings.blocks import Blocks
from mfcl.embeddings.linalg import check_measurable
from mfcl.embeddings.part_whitening import CONTENT_FLOOR, fit_part
from mfcl.embeddings.parts import Part
from mfcl.embeddings.table import Embeddings
from mfcl.embeddings.whitening import MOST_ITEMS, Whitening, drawn_items, fit_centring
from mfcl.errors import MeasureError

ALL = "all"
WORDS = "words"
VOICES = "voices"
SIMPLE = "spectrum"
"""Features that no training touched: the average spectrum that some models put beside what they learn."""
APART_AT_LEAST = 1e-6
"""Most that a value may range where a part is the same for all recordings: one that the model did not learn is 0."""
ROWS_AT_ONCE = 8192
CONTENT_NOISE = 10.0
"""The floor (`CONTENT_FLOOR`) times the recordings, where these are few: the fewer there are, the more of their
directions are noise, and with all of them as important as any, each two recordings would be equally far apart."""
Vectors = Embeddings | Shaped[np.ndarray, "..."]


@dataclass(frozen=True, eq=False)
class Features:
    """Parts of an embedding, each whitened and of length 1, side by side.

    Attributes:
        name: `words`, `voices` or `all`; or `spectrum`.
        whitenings: Of each part; "" stands for a matrix without parts.
    """

    name: str
    whitenings: Mapping[str, Whitening]

    @property
    def dim(self) -> int:
        """Number of features."""
        return sum(one.directions.shape[1] for one in self.whitenings.values())

    def __call__(self, vectors: Vectors) -> Float32[np.ndarray, "items features"]:
        """Return the features of some recordings.

        Raises:
            MeasureError: a part is missing or has another size, or a vector is not finite.
        """
        table = as_embeddings(vectors)
        check_measurable(table.vectors, np.ones(len(table)), what="labelling")
        found = np.empty((len(table), self.dim), dtype=np.float32)
        edges = np.cumsum([0, *(one.directions.shape[1] for one in self.whitenings.values())])
        for (name, whitening), (start, stop) in zip(self.whitenings.items(), itertools.pairwise(edges), strict=True):
            part = table.part(name) if name else table.vectors
            for first in range(0, len(table), ROWS_AT_ONCE):
                found[first : first + ROWS_AT_ONCE, start:stop] = whitening(part[first : first + ROWS_AT_ONCE])
        return found


def fit_features(vectors: Vectors) -> list[Features]:
    """Return the features that labels may be read from: of the words' parts, of all parts, of the voices' parts.

    Embeddings without such parts, or a matrix, have only one kind, `all`. A part that is the same for all recordings is
    left out. Projections are only centred, as elsewhere.

    Args:
        vectors: Embeddings of the recordings, two or more.

    Raises:
        MeasureError: there are fewer than two, a vector is not finite, or all vectors are equal.
    """
    table = as_embeddings(vectors)
    check_measurable(table.vectors, np.ones(len(table)), what="labelling")
    if len(table) < 2:
        raise MeasureError(f"labelling: wanted 2 recordings or more, got {len(table)}; give more")
    fitted: dict[str, Whitening] = {}
    for name in table.parts or ("",):
        part = table.part(name) if name else table.vectors
        if differ(part):
            floor = max(CONTENT_FLOOR, CONTENT_NOISE / min(len(part), MOST_ITEMS))
            fitted[name] = fit_part(name, part, content_floor=floor)
    if not fitted:
        raise MeasureError("labelling: wanted vectors that differ, but all are equal; embed with another model")
    roles = {name: Part.parse(name).role for name in fitted}
    kinds = {
        WORDS: [name for name, role in roles.items() if role == "content"],
        ALL: list(fitted),
        VOICES: [name for name, role in roles.items() if role == "speaker"],
    }
    if not (kinds[WORDS] and kinds[VOICES]):
        kinds = {ALL: list(fitted)}
    return [Features(kind, {name: fitted[name] for name in names}) for kind, names in kinds.items()]


def differ(vectors: Shaped[np.ndarray, "items _"]) -> bool:
    """Return whether vectors differ in any value; not by deviations, as that of equal numbers is what rounding leaves.

    Example:
        >>> differ(np.full((300, 2), 0.1, dtype=np.float32)), differ(np.eye(2))
        (False, True)
    """
    return bool(np.ptp(vectors, axis=0).max(initial=0) > APART_AT_LEAST)


def simple_features(features: Sequence[Features]) -> Features | None:
    """Return the features of the parts that no training touched, or None where the embeddings have none beside others.

    They serve where a model has learned nothing of what is asked. Landmarks are not among them: they come from training
    recordings.

    Args:
        features: All kinds, as `fit_features` returns them.
    """
    every = next(one for one in features if one.name == ALL).whitenings
    plain = {name: own for name, own in every.items() if Part.parse(name).stage == "spectrum"}
    return Features(SIMPLE, plain) if plain and len(plain) < len(every) else None


def fit_features_of_blocks(blocks: Blocks) -> list[Features]:
    """Return the features of embeddings that are read block by block: those of `fit_features` for all of them.

    As there, at most `MOST_ITEMS` recordings, the same ones, are whitened by; projections are centred by all.

    Args:
        blocks: Two recordings or more.

    Raises:
        MeasureError: see `fit_features`; or only recordings that are not whitened by differ.
    """
    count = len(blocks)
    if count <= MOST_ITEMS:
        return fit_features(blocks.whole())
    found = fit_features(blocks.select(drawn_items(count)))
    if any(Part.parse(name).stage == "projection" for one in found for name in one.whitenings):
        total = np.zeros(next(iter(blocks)).dim)
        for block in blocks:
            total += block.vectors.sum(axis=0, dtype=np.float64)
        mean = as_embeddings((total / count)[None].astype(np.float32), like=next(iter(blocks)))
        found = [
            Features(
                one.name,
                {
                    name: fit_centring(mean.part(name)) if Part.parse(name).stage == "projection" else whitening
                    for name, whitening in one.whitenings.items()
                },
            )
            for one in found
        ]
    return found


def ordered_kinds(features: Sequence[Features], *, aligned: bool) -> list[str]:
    """Return the kinds of features, the one first that is likely to tell classes apart best.

    Words' parts come first where recordings can be told apart by alignment, as words and calls are; of scenes and
    textures, all parts together tell more.

    Args:
        features: All kinds.
        aligned: A graph by alignment is given.
    """
    names = [one.name for one in features]
    return names if aligned or has_landmarks(features) else sorted(names, key=lambda name: name != ALL)


def has_landmarks(features: Sequence[Features]) -> bool:
    """Return whether the model of these features has landmarks: alignment told its training recordings apart."""
    return any(Part.parse(part).stage == "landmarks" for one in features for part in one.whitenings)


def hashed_ids(ids: Iterable[str]) -> Int64[np.ndarray, " items"]:
    """Return 8 bytes of a digest of each id, to look one up among millions."""
    digests = [hashlib.blake2b(name.encode("utf-8", "backslashreplace"), digest_size=8).digest() for name in ids]
    return np.frombuffer(b"".join(digests), dtype="<i8").astype(np.int64)


def as_embeddings(vectors: Vectors, *, like: Embeddings | None = None) -> Embeddings:
    """Return a matrix as embeddings without model, with the parts of `like` or none; embeddings as they are.

    Raises:
        MeasureError: neither embeddings nor a matrix.
    """
    if isinstance(vectors, Embeddings):
        return vectors
    matrix = np.asarray(vectors)
    if matrix.ndim != 2 or matrix.dtype.kind not in "fiu":
        raise MeasureError(
            f"labelling: wanted embeddings or a matrix (recordings, values), got {matrix.dtype} of shape {matrix.shape}"
        )
    names = np.array([str(place) for place in range(len(matrix))], dtype=np.str_)
    parts = {} if like is None else like.parts
    return Embeddings(matrix.astype(np.float32), names, {}, parts, np.full(len(matrix), ""))
