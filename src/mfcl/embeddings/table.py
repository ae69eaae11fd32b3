"""Embeddings with ids, labels and splits, and their file format."""

import itertools
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool, Float32, Int64, Shaped

from mfcl.core.urls import local_path
from mfcl.embeddings.linalg import unit_rows
from mfcl.embeddings.npz_file import write_npz
from mfcl.embeddings.parquet_file import PARQUET, write_parquet
from mfcl.embeddings.part_whitening import fit_whitenings
from mfcl.embeddings.parts import Part, matching
from mfcl.embeddings.whitening import Whitening
from mfcl.errors import MeasureError, check_type, one_of

FILE_VERSION = 1
WHITENED = " whitened"
"""End of the name of a model whose embeddings were whitened; see `Embeddings.model`."""


@dataclass(frozen=True, eq=False, repr=False)
class Embeddings:
    """One vector per item, in the order of the recordings.

    `==` compares identity, since comparing arrays gives no single answer.

    Raises:
        MeasureError: ids, labels or splits differ in number from the vectors, or a part's columns are out of range.
    """

    vectors: Float32[np.ndarray, "items dim"]
    ids: Shaped[np.ndarray, " _"]
    """The recording id of each vector (strings)."""
    labels: Mapping[str, Shaped[np.ndarray, " _"]]
    """Label name -> one string per item, "" where it is missing."""
    parts: Mapping[str, tuple[int, int]]
    """Part name (see `Part`) -> its columns: the first, and the one after the last."""
    splits: Shaped[np.ndarray, " _"]
    """Split of each item: "train", "valid", "test", or "" for none."""
    model: str = ""
    """Digest of the model that made the vectors, followed by `WHITENED` if it whitened them; "" if it is not known."""
    silent: Bool[np.ndarray, " _"] | None = None
    """Which items are silent, so that nobody can say what they are; None where it is not known."""

    def __post_init__(self) -> None:
        check_type("vectors", self.vectors, np.ndarray, "an array of shape (items, dim)", error=MeasureError)
        for what, own in (("labels", self.labels), ("parts", self.parts)):
            check_type(what, own, Mapping, "a dict by name", error=MeasureError)
        if self.vectors.ndim != 2:
            raise MeasureError(f"embeddings: wanted vectors of shape (items, dim), got {self.vectors.shape}")
        columns = {"ids": self.ids, "splits": self.splits}
        columns |= {f"label {name!r}": column for name, column in self.labels.items()}
        columns |= {} if self.silent is None else {"silent": self.silent}
        for name, column in columns.items():
            if column.shape != self.vectors.shape[:1]:
                raise MeasureError(
                    f"embeddings: {len(self.vectors)} vectors, but {name} has shape {column.shape}; give one per vector"
                )
        for name, (start, stop) in self.parts.items():
            if not 0 <= start < stop <= self.vectors.shape[1]:
                raise MeasureError(
                    f"embeddings: part {name!r} is columns {start} to {stop}, but a vector has {self.vectors.shape[1]}"
                )

    def __len__(self) -> int:
        return len(self.vectors)

    def __repr__(self) -> str:
        """Return a summary on one line.

        Example:
            >>> names = np.array(["a.wav", "b.wav"])
            >>> Embeddings(np.zeros((2, 3), np.float32), names, {"digit": names}, {"wave": (0, 3)}, np.full(2, "train"))
            <Embeddings: 2 items x 3; parts: wave 3; labels: digit; splits: train 2>
        """
        splits, counts = np.unique(self.splits, return_counts=True)
        about = {
            "parts": [f"{name} {stop - start}" for name, (start, stop) in self.parts.items()],
            "labels": list(self.labels),
            "splits": [f"{split or 'none'} {count}" for split, count in zip(splits, counts, strict=True)],
        }
        filled = [f"{key}: {', '.join(values)}" for key, values in about.items() if values]
        return f"<Embeddings: {'; '.join([f'{len(self)} items x {self.dim}', *filled])}>"

    @property
    def dim(self) -> int:
        """Size of a vector."""
        return int(self.vectors.shape[1])

    @property
    def audible(self) -> Int64[np.ndarray, " audible"]:
        """Places of the items that are not known to be silent."""
        return np.arange(len(self)) if self.silent is None else np.flatnonzero(~self.silent)

    def label(self, name: str) -> Shaped[np.ndarray, " items"]:
        """Return one label column.

        Raises:
            MeasureError: there is no such label.
        """
        check_type("label", name, str, "its name", error=MeasureError)
        if name not in self.labels:
            raise MeasureError(f"embeddings: {one_of('label', name, self.labels)}")
        return self.labels[name]

    @property
    def sizes(self) -> dict[Part, int]:
        """Size of each part."""
        return {Part.parse(name): stop - start for name, (start, stop) in self.parts.items()}

    def part(self, name: str | Part) -> Float32[np.ndarray, "items _"]:
        """Return one part's columns of the vectors.

        Raises:
            MeasureError: the vectors hold no such part.

        Example:
            >>> names = np.array(["a.wav"])
            >>> both = Embeddings(np.array([[0, 0, 1]], np.float32), names, {}, {"wave": (0, 2), "mel": (2, 3)}, names)
            >>> both.part("mel").tolist()
            [[1.0]]
        """
        if str(name) not in self.parts:
            raise MeasureError(f"embeddings: {one_of('part', str(name), self.parts)}")
        start, stop = self.parts[str(name)]
        return self.vectors[:, start:stop]

    def only(self, name: str) -> "Embeddings":
        """Return the same items with only the parts whose name contains every word of `name`; see `Part.matches`.

        Their `whitened` vectors are columns of those of all parts: what is said tells how to whiten voices.

        Raises:
            MeasureError: there is no such part.

        Example:
            >>> names, parts = np.array(["a.wav"]), {"wave": (0, 1), "mel words": (1, 2), "mel voices": (2, 3)}
            >>> three = Embeddings(np.array([[7, 8, 9]], np.float32), names, {}, parts, names)
            >>> three.only("mel").vectors.tolist(), three.only("mel").parts
            ([[8.0, 9.0]], {'mel words': (0, 1), 'mel voices': (1, 2)})
        """
        wanted = matching(self.parts, name)
        columns = [self.part(part) for part in wanted]
        edges = np.cumsum([0, *(column.shape[1] for column in columns)]).tolist()
        parts = dict(zip(wanted, itertools.pairwise(edges), strict=True))
        found = replace(self, vectors=np.concatenate(columns, axis=1), parts=parts)
        if "_whitened" in vars(self):
            vars(found)["_whitened"] = self._whitened.only(name)
        elif found._voices and self._said != found._said:
            vars(found)["_chosen"] = (self, name)  # whitened when it is asked for, as that takes all parts
        return found

    def made_for(self, name: str) -> "Embeddings":
        """Return the part `words` or `voices` of embeddings that have both, else all of them.

        Example:
            >>> names, parts = np.array(["a.wav"]), {"mel words": (0, 1), "mel voices": (1, 2)}
            >>> both = Embeddings(np.array([[7, 8]], np.float32), names, {}, parts, names)
            >>> both.made_for("voices").parts, both.only("words").made_for("voices").parts
            ({'mel voices': (0, 1)}, {'mel words': (0, 1)})
        """
        return self.only(name) if {part.role for part in self.sizes} >= {"content", "speaker"} else self

    def whitenings(self) -> dict[str, Whitening]:
        """Fit a whitening of each part on the train split; see `mfcl.embeddings.part_whitening.fit_whitenings`.

        Raises:
            MeasureError: it has fewer than two items.
        """
        train, bounds = self.splits == "train", self._bounds()
        return fit_whitenings(bounds, lambda name: self.vectors[train, slice(*bounds[name])])

    def whiten(self, by: Mapping[str, Whitening]) -> "Embeddings":
        """Return the same items with each part whitened and scaled to length 1, for cosine similarity.

        Args:
            by: A whitening for each part; see `whitenings`.

        Raises:
            MeasureError: a part has no whitening, or one of another size.
        """
        check_type("whiten", by, Mapping, "a whitening by the name of each part", error=MeasureError)
        columns = []
        for name, (start, stop) in self._bounds().items():
            if name not in by:
                raise MeasureError(f"embeddings: {one_of('part to whiten', name, by)}")
            columns.append(by[name](self.vectors[:, start:stop]))
        edges = np.cumsum([0, *(column.shape[1] for column in columns)]).tolist()
        parts = dict(zip(self.parts, itertools.pairwise(edges), strict=False))
        model = f"{self.model}{WHITENED}" if self.model else ""
        return replace(self, vectors=np.concatenate(columns, axis=1), parts=parts, model=model)

    @property
    def whitened(self) -> Float32[np.ndarray, "items _"]:
        """The vectors whitened by their own train split, for cosine similarity; a part's are columns of the whole's."""
        return self._whitened.vectors

    @cached_property
    def _whitened(self) -> "Embeddings":
        whole, name = vars(self).pop("_chosen", (None, ""))
        return self.whiten(self.whitenings()) if whole is None else whole._whitened.only(name)

    @property
    def _voices(self) -> bool:
        return any(part.role == "speaker" for part in self.sizes)

    @property
    def _said(self) -> list[Part]:
        return [part for part in self.sizes if (part.role, part.stage) == ("content", "projection")]

    def _bounds(self) -> Mapping[str, tuple[int, int]]:
        return self.parts or {"": (0, self.dim)}

    def select(self, indices: Int64[np.ndarray, " chosen"]) -> "Embeddings":
        """Return the items at `indices`, in that order."""
        labels = {name: column[indices] for name, column in self.labels.items()}
        silent = None if self.silent is None else self.silent[indices]
        return Embeddings(
            self.vectors[indices], self.ids[indices], labels, self.parts, self.splits[indices], self.model, silent
        )

    def scaled(self) -> "Embeddings":
        """Return the same items with each part scaled to length 1, so that all parts weigh equally in a cosine."""
        vectors = self.vectors.copy()
        for start, stop in self._bounds().values():
            vectors[:, start:stop] = unit_rows(vectors[:, start:stop], np.float32)
        return replace(self, vectors=vectors)

    def save(self, path: str | Path, *, receipt: Mapping[str, Any] | None = None) -> None:
        """Write a NumPy archive (`.npz`) atomically, without pickled objects; a name in `.parquet` makes that file.

        Args:
            path: The file.
            receipt: Facts about how the vectors were made, in plain values, kept in the file.

        Raises:
            MissingExtraError: for Parquet, pyarrow is not installed.
        """
        path = local_path(path, "embeddings")
        names = list(self.labels)
        parts = {name: list(ends) for name, ends in self.parts.items()}
        about = {"version": FILE_VERSION, "labels": names, "parts": parts, "model": self.model}
        about |= {} if self.silent is None else {"silent": np.flatnonzero(self.silent).tolist()}
        about |= {} if receipt is None else {"receipt": dict(receipt)}
        if path.suffix.lower() == PARQUET:
            write_parquet(path, self.vectors, self.ids, self.splits, self.labels, about)
            return
        arrays = {f"label_{place}": self.labels[name].astype(np.str_) for place, name in enumerate(names)}
        arrays |= {"ids": self.ids.astype(np.str_), "splits": self.splits.astype(np.str_)}
        arrays["about"] = np.array(json.dumps(about))
        write_npz(Path(path), {"vectors": self.vectors, **arrays})

    @staticmethod
    def concatenate(embeddings: Sequence["Embeddings"]) -> "Embeddings":
        """Join embeddings with the same parts; labels that some of them lack become "" for their items.

        Raises:
            MeasureError: there are none, or their parts differ.
        """
        kinds = {(item.dim, tuple(sorted(item.parts.items()))) for item in embeddings}
        if len(kinds) != 1:
            raise MeasureError(
                f"embeddings: wanted items with equal parts, got {len(kinds)} kinds; embed all with one checkpoint"
            )
        names = list(dict.fromkeys(name for item in embeddings for name in item.labels))
        labels = {
            name: np.concatenate([item.labels.get(name, np.full(len(item), "")) for item in embeddings])
            for name in names
        }
        vectors, ids, splits = (
            np.concatenate([getattr(item, name) for item in embeddings]) for name in ("vectors", "ids", "splits")
        )
        models = {item.model for item in embeddings}
        model = models.pop() if len(models) == 1 else ""
        told = [item.silent for item in embeddings if item.silent is not None]
        silent = np.concatenate(told) if len(told) == len(embeddings) else None  # not known of some is not known of all
        return Embeddings(vectors, ids, labels, embeddings[0].parts, splits, model, silent)
