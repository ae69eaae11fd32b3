"""Vectors with the ids and labels of what they stand for, and the file that keeps them."""

import itertools
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float32, Int64, Shaped

from mfcl.embeddings.linalg import unit_rows
from mfcl.embeddings.npz_file import FAULTS, read_npz, write_npz
from mfcl.embeddings.parts import Part, matching
from mfcl.embeddings.whitening import Whitening, fit_whitening
from mfcl.errors import MeasureError, one_of, shown

FILE_VERSION = 1


@dataclass(frozen=True, eq=False, repr=False)
class Embeddings:
    """One vector an item, in the order of the recordings they came from.

    Two are equal if they are one object: arrays have no single answer to whether they are equal.

    Raises:
        MeasureError: ids, labels or splits differ in number from the vectors, or a part lies outside of them.
    """

    vectors: Float32[np.ndarray, "items dim"]
    ids: Shaped[np.ndarray, " _"]
    """Which recording each vector stands for (strings)."""
    labels: Mapping[str, Shaped[np.ndarray, " _"]]
    """Columns of strings; "" where a recording has no such label."""
    parts: Mapping[str, tuple[int, int]]
    """Where in a vector each part lies, by its name (see `Part`): its first column and the one after its last."""
    splits: Shaped[np.ndarray, " _"]
    """"train", "valid" or "test" for each item, or "" for none."""

    def __post_init__(self) -> None:
        if self.vectors.ndim != 2:
            raise MeasureError(f"embeddings: vectors of shape (items, dim) are wanted, but came {self.vectors.shape}")
        columns = {"ids": self.ids, "splits": self.splits}
        columns |= {f"label {name!r}": column for name, column in self.labels.items()}
        for name, column in columns.items():
            if column.shape != self.vectors.shape[:1]:
                raise MeasureError(
                    f"embeddings: {len(self.vectors)} vectors, but {name} has shape {column.shape}; give one a vector"
                )
        for name, (start, stop) in self.parts.items():
            if not 0 <= start < stop <= self.vectors.shape[1]:
                raise MeasureError(
                    f"embeddings: part {name!r} is columns {start} to {stop}, but a vector has {self.vectors.shape[1]}"
                )

    def __len__(self) -> int:
        return len(self.vectors)

    def __repr__(self) -> str:
        """Return in one line what this holds.

        Example:
            >>> names = np.array(["a.wav", "b.wav"])
            >>> Embeddings(np.zeros((2, 3), np.float32), names, {"digit": names}, {"wave": (0, 3)}, np.full(2, "train"))
            <Embeddings: 2 items x 3; parts: wave 3; labels: digit; splits: train 2>
        """
        sides, counts = np.unique(self.splits, return_counts=True)
        about = {
            "parts": [f"{name} {stop - start}" for name, (start, stop) in self.parts.items()],
            "labels": list(self.labels),
            "splits": [f"{side or 'none'} {count}" for side, count in zip(sides, counts, strict=True)],
        }
        told = [f"{key}: {', '.join(values)}" for key, values in about.items() if values]
        return f"<Embeddings: {'; '.join([f'{len(self)} items x {self.dim}', *told])}>"

    @property
    def dim(self) -> int:
        """Values a vector."""
        return int(self.vectors.shape[1])

    def label(self, name: str) -> Shaped[np.ndarray, " items"]:
        """Return one column of labels.

        Raises:
            MeasureError: there is no such label.
        """
        if name not in self.labels:
            raise MeasureError(f"embeddings: {one_of('label', name, self.labels)}")
        return self.labels[name]

    @property
    def sizes(self) -> dict[Part, int]:
        """Values in each part."""
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
        """Return the same items with some columns alone: those of the parts that a name may mean; see `Part.matches`.

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
        return Embeddings(np.concatenate(columns, axis=1), self.ids, self.labels, parts, self.splits)

    def whitenings(self) -> dict[str, Whitening]:
        """Learn a whitening for each part from the training items.

        Raises:
            MeasureError: there are fewer than two of them.
        """
        train = self.splits == "train"
        return {name: fit_whitening(self.vectors[train, start:stop]) for name, (start, stop) in self._bounds().items()}

    def whiten(self, by: Mapping[str, Whitening]) -> "Embeddings":
        """Return the same items made ready for cosines: each part whitened, at length 1.

        Args:
            by: A whitening for each part; see `whitenings`.

        Raises:
            MeasureError: a part has none, or one of another size.
        """
        columns = []
        for name, (start, stop) in self._bounds().items():
            if name not in by:
                raise MeasureError(f"embeddings: {one_of('part to whiten', name, by)}")
            columns.append(by[name](self.vectors[:, start:stop]))
        edges = np.cumsum([0, *(column.shape[1] for column in columns)]).tolist()
        parts = dict(zip(self.parts, itertools.pairwise(edges), strict=False))
        return Embeddings(np.concatenate(columns, axis=1), self.ids, self.labels, parts, self.splits)

    @cached_property
    def whitened(self) -> Float32[np.ndarray, "items _"]:
        """The vectors made ready for cosines by what the training items say."""
        return self.whiten(self.whitenings()).vectors

    def _bounds(self) -> Mapping[str, tuple[int, int]]:
        return self.parts or {"": (0, self.dim)}

    def select(self, indices: Int64[np.ndarray, " chosen"]) -> "Embeddings":
        """Return the chosen items, in the order asked for."""
        labels = {name: column[indices] for name, column in self.labels.items()}
        return Embeddings(self.vectors[indices], self.ids[indices], labels, self.parts, self.splits[indices])

    def scaled(self) -> "Embeddings":
        """Return the same items with each format's part of each vector at length 1, so that none outweighs another."""
        vectors = self.vectors.copy()
        for start, stop in self._bounds().values():
            vectors[:, start:stop] = unit_rows(vectors[:, start:stop], np.float32)
        return Embeddings(vectors, self.ids, self.labels, self.parts, self.splits)

    def save(self, path: str | Path) -> None:
        """Write a NumPy archive that holds no code, whole or not at all; `.npz` is its usual ending."""
        path = Path(path)
        names = list(self.labels)
        parts = {name: list(ends) for name, ends in self.parts.items()}
        about = {"version": FILE_VERSION, "labels": names, "parts": parts}
        arrays = {f"label_{place}": self.labels[name].astype(np.str_) for place, name in enumerate(names)}
        arrays |= {"ids": self.ids.astype(np.str_), "splits": self.splits.astype(np.str_)}
        arrays["about"] = np.array(json.dumps(about))
        write_npz(Path(path), {"vectors": self.vectors, **arrays})

    @staticmethod
    def concatenate(embeddings: Sequence["Embeddings"]) -> "Embeddings":
        """Put items of equal kind one after another; a label that only some have is "" for the others.

        Raises:
            MeasureError: there are none, or their vectors are not of one kind.
        """
        kinds = {(item.dim, tuple(sorted(item.parts.items()))) for item in embeddings}
        if len(kinds) != 1:
            raise MeasureError(
                f"embeddings: items with equal parts are wanted, but came {len(kinds)} kinds; "
                "embed all with one checkpoint"
            )
        names = list(dict.fromkeys(name for item in embeddings for name in item.labels))
        labels = {
            name: np.concatenate([item.labels.get(name, np.full(len(item), "")) for item in embeddings])
            for name in names
        }
        vectors, ids, splits = (
            np.concatenate([getattr(item, name) for item in embeddings]) for name in ("vectors", "ids", "splits")
        )
        return Embeddings(vectors, ids, labels, embeddings[0].parts, splits)


def load_embeddings(path: str | Path) -> Embeddings:
    """Read what `Embeddings.save` wrote; nothing in the file is ever run.

    Raises:
        MeasureError: the file is absent, cut short, of another kind, or of another version, or a vector is not finite.
    """
    path = Path(path)
    try:
        arrays = read_npz(path, ("about", "vectors", "ids", "splits", "label_"))
        about = json.loads(str(arrays["about"]))
        if about["version"] != FILE_VERSION:
            raise MeasureError(
                f"{path}: embeddings of version {FILE_VERSION} are wanted, but these are {shown(about['version'])}; "
                "run `mfcl embed` again"
            )
        found = _built(arrays, about)
    except FileNotFoundError:
        raise MeasureError(
            f"{path}: embeddings are wanted, but there is no such file; write them with `mfcl embed`"
        ) from None
    except FAULTS as error:
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise MeasureError(f"{path}: not a whole file of embeddings ({reason}); run `mfcl embed` again") from None
    finite = np.isfinite(found.vectors).all(axis=1)
    if not finite.all():
        first = shown(str(found.ids[int(np.argmin(finite))]))
        raise MeasureError(
            f"{path}: {int((~finite).sum())} vectors are not finite, the first that of {first}; "
            "leave these recordings out, or embed them with another model"
        )
    return found


def _built(arrays: Mapping[str, np.ndarray], about: Mapping[str, Any]) -> Embeddings:
    """Return what the arrays of a file say.

    Raises:
        ValueError: they are not what such a file holds; or KeyError, TypeError.
    """
    names, vectors = about["labels"], arrays["vectors"]
    if not isinstance(names, list) or len(set(names)) < len(names) or not all(isinstance(name, str) for name in names):
        raise ValueError(f"the names of the labels are {shown(names)}")
    labels = {name: arrays[f"label_{place}"] for place, name in enumerate(names)}
    for name, column in {"ids": arrays["ids"], "splits": arrays["splits"], **labels}.items():
        if column.dtype.kind != "U":
            raise ValueError(f"{shown(name)} is {column.dtype}, wanted text")
    if vectors.dtype.kind != "f":
        raise ValueError(f"the vectors are {vectors.dtype}, wanted float32")
    parts = {name: tuple(ends) for name, ends in about["parts"].items()}
    if not all(len(ends) == 2 and all(type(end) is int for end in ends) for ends in parts.values()):
        raise ValueError(f"the parts are {shown(parts)}, wanted first and last columns")
    columns = {name: (ends[0], ends[1]) for name, ends in parts.items()}
    return Embeddings(vectors.astype(np.float32, copy=False), arrays["ids"], labels, columns, arrays["splits"])
