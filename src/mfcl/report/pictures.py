"""What a study drew: `pictures.json` with its types."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from mfcl.errors import MfclError
from mfcl.evaluation.result import Representation
from mfcl.evaluation.result_file import view_of
from mfcl.evaluation.typed_rows import (
    Numbers,
    items,
    listed,
    number,
    optional,
    optional_mapping,
    optional_text,
    same_length,
    table,
    text,
)


@dataclass(frozen=True)
class MapPicture:
    """Where recordings lie on a map of one representation.

    Attributes:
        representation: Whose vectors.
        seed: Of the representation and the map.
        ids: The recordings.
        x: Their places across.
        y: Their places up.
        labels: Label column -> its value for each recording.
        splits: Part of the split of each recording; empty where all are of the test part.
    """

    representation: Representation
    seed: int
    ids: Sequence[str]
    x: Sequence[float]
    y: Sequence[float]
    labels: Mapping[str, Sequence[str]]
    splits: Sequence[str] = ()


@dataclass(frozen=True, eq=False)
class Confusion:
    """What each class was taken for.

    Attributes:
        representation: By which.
        classes: The values of the label.
        counts: Recordings of the class of a row that were taken for the class of a column.
    """

    representation: Representation
    classes: Sequence[str]
    counts: Numbers


@dataclass(frozen=True)
class Groups:
    """How accurate a representation is for each speaker.

    Attributes:
        representation: Which.
        by: The label column that names the groups.
        names: The groups.
        accuracy: Of each, in percent.
        n: Test recordings of each.
    """

    representation: Representation
    by: str
    names: Sequence[str]
    accuracy: Sequence[float]
    n: Sequence[int]


@dataclass(frozen=True)
class Det:
    """Verification errors at every threshold.

    Attributes:
        representation: Of which.
        seed: Of the representation.
        clips: Recordings enrolled of each speaker.
        false_accept: Share of impostors accepted, 0 to 1.
        false_reject: Share of true speakers rejected, 0 to 1, at the same thresholds.
        eer: Equal error rate in percent.
    """

    representation: Representation
    seed: int
    clips: int
    false_accept: Sequence[float]
    false_reject: Sequence[float]
    eer: float


@dataclass(frozen=True)
class Epoch:
    """Where a training stood after an epoch; None where it was not measured.

    Attributes:
        epoch: Its number, from 1.
        loss: Of the last step.
        valid_knn: Accuracy of nearest neighbours on the validation part, in percent.
        valid_pairing: Validation recordings whose two formats find each other, in percent.
    """

    epoch: float
    loss: float | None
    valid_knn: float | None
    valid_pairing: float | None


@dataclass(frozen=True)
class Training:
    """How a training went.

    Attributes:
        run: Its name.
        seed: Its seed.
        epochs: In order.
        chance_loss: The loss of guessing; None where it is not known.
        chance_knn: The accuracy of guessing, in percent; None where it is not known.
    """

    run: str
    seed: int
    epochs: tuple[Epoch, ...]
    chance_loss: float | None
    chance_knn: float | None


@dataclass(frozen=True, eq=False)
class Method:
    """One recording in both formats, and the two crops of it.

    Attributes:
        id: The recording.
        seconds: Its length.
        labels: Label column -> its value.
        bands: Of the log-mel spectrogram.
        mel: (bands, frames) from 0, quiet, to 255; the low band first.
        wave: (columns, 2): lowest and highest sample of each stretch.
        crops: (crops, 2): beginning and end in seconds.
    """

    id: str
    seconds: float
    labels: Mapping[str, str]
    bands: int
    mel: Numbers
    wave: Numbers
    crops: Numbers


@dataclass(frozen=True)
class Pictures:
    """Everything that a study drew; a kind that it did not draw is empty or None."""

    maps: tuple[MapPicture, ...] = ()
    confusions: tuple[Confusion, ...] = ()
    groups: tuple[Groups, ...] = ()
    det: tuple[Det, ...] = ()
    training: tuple[Training, ...] = ()
    method: Method | None = None

    def __bool__(self) -> bool:
        """Say whether there is any."""
        return bool(self.maps or self.confusions or self.groups or self.det or self.training or self.method)


def pictures_from(row: Mapping[str, Any], where: str) -> Pictures:
    """Return what a study drew.

    Args:
        row: What `pictures.json` held.
        where: The file, to name in a message.

    Raises:
        MfclError: a value of the wrong kind; the message names file, picture and key.
    """
    method = optional_mapping(row, "method", where)
    return Pictures(
        tuple(_map(one, here) for one, here in _each(row, "maps", where)),
        tuple(_confusion(one, here) for one, here in _each(row, "confusions", where)),
        tuple(_groups(one, here) for one, here in _each(row, "groups", where)),
        tuple(_det(one, here) for one, here in _each(row, "det", where)),
        tuple(_training(one, here) for one, here in _each(row, "training", where)),
        _method(method, f"{where}, method") if method else None,
    )


def _each(row: Mapping[str, Any], kind: str, where: str) -> list[tuple[Mapping[str, Any], str]]:
    """Return the pictures of a kind, each with where it stands."""
    if row.get(kind) is None:
        return []
    here = f"{where}, {kind}"
    return [(one, f"{here}, row {place}") for place, one in enumerate(listed(row[kind], here), 1)]


def _map(row: Mapping[str, Any], where: str) -> MapPicture:
    labels = {name: items({name: values}, name, str, f"{where}, labels")
              for name, values in optional_mapping(row, "labels", where).items()}  # fmt: skip
    splits = items(row, "splits", str, where) if row.get("splits") is not None else ()
    found = MapPicture(
        view_of(row, where), int(number(row, "seed", where)), items(row, "ids", str, where),
        items(row, "x", float, where), items(row, "y", float, where), labels, splits,
    )  # fmt: skip
    same_length({**row, **labels}, ("ids", "x", "y", *labels, *(("splits",) if splits else ())), where)
    return found


def _confusion(row: Mapping[str, Any], where: str) -> Confusion:
    classes = items(row, "classes", str, where)
    counts = table(row, "counts", where, width=len(classes))
    if len(counts) != len(classes) or np.any(counts < 0):
        raise MfclError(f"{where}, 'counts': wanted a row a class and no count below 0; run `mfcl study` again")
    return Confusion(view_of(row, where), classes, counts.astype(np.int64))


def _groups(row: Mapping[str, Any], where: str) -> Groups:
    found = Groups(
        view_of(row, where), optional_text(row, "by", where) or "group", items(row, "names", str, where),
        items(row, "accuracy", float, where), items(row, "n", int, where),
    )  # fmt: skip
    same_length(row, ("names", "accuracy", "n"), where)
    return found


def _det(row: Mapping[str, Any], where: str) -> Det:
    found = Det(
        view_of(row, where), int(number(row, "seed", where)), int(number(row, "clips", where)),
        items(row, "false_accept", float, where), items(row, "false_reject", float, where), number(row, "eer", where),
    )  # fmt: skip
    same_length(row, ("false_accept", "false_reject"), where)
    return found


def _training(row: Mapping[str, Any], where: str) -> Training:
    epochs = tuple(
        Epoch(number(one, "epoch", here), *(optional(one, key, here) for key in ("loss", "valid_knn", "valid_pairing")))
        for one, here in _each(row, "epochs", where)
    )
    return Training(
        text(row, "run", where), int(number(row, "seed", where)), epochs, optional(row, "chance_loss", where),
        optional(row, "chance_knn", where),
    )  # fmt: skip


def _method(row: Mapping[str, Any], where: str) -> Method:
    labels = optional_mapping(row, "labels", where)
    mel = table(row, "mel", where)
    seconds = number(row, "seconds", where)
    if not mel.size or seconds <= 0:
        raise MfclError(f"{where}: wanted a spectrogram and a length above 0 seconds; run `mfcl study` again")
    return Method(
        text(row, "id", where), seconds, {name: text(labels, name, f"{where}, labels") for name in labels},
        int(number(row, "bands", where)), mel, *(_pairs(row, key, where) for key in ("wave", "crops")),
    )  # fmt: skip


def _pairs(row: Mapping[str, Any], key: str, where: str) -> Numbers:
    return np.zeros((0, 2)) if row.get(key) is None else table(row, key, where, width=2)
