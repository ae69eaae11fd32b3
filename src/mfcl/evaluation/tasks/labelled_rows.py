"""Which recordings of a split are learned from and tested, by a label."""

import numpy as np
from jaxtyping import Int64

from mfcl.core.console import are, counted, worded
from mfcl.data.ids import whole_id
from mfcl.data.manifest import WINDOW_TIMES
from mfcl.embeddings.table import Embeddings
from mfcl.errors import MeasureError
from mfcl.evaluation.linear_probe import Labelled
from mfcl.evaluation.result import Names, Tested, noted

ALONE = "without a speaker: "
"""Begins the group of a recording that has no speaker, before its id."""
NAMED = 3
"""Most classes that a note lists by name."""


def usable(
    embeddings: Embeddings, label: str, split: str, classes: Names | None = None
) -> Int64[np.ndarray, " chosen"]:
    """Return a split's recordings, without those that have no label or a class that training lacks.

    Args:
        embeddings: Embeddings of all splits.
        label: The label.
        split: The split: `train`, `valid` or `test`.
        classes: The training classes; default: those of the train split of `embeddings`.

    Raises:
        MeasureError: no recording is left, or only one class to train on or to test.
    """
    chosen = having(embeddings, label, split, classes)
    values = embeddings.label(label)[chosen]
    kinds, wanted = len(np.unique(values)), 1 if split == "valid" else 2
    if kinds < wanted:
        also = "" if split == "train" else " that training has"
        raise MeasureError(
            f"label {label!r}: wanted {wanted} or more values in the {split} split, got {kinds}{also} in "
            f"{counted(len(chosen), 'recording')}; choose another label or split"
        )
    return chosen


def tested(embeddings: Embeddings, label: str, speaker: str | None, classes: Names | None = None) -> Tested:  # noqa: PT028
    """Return the tested recordings of the test split; without `speaker`, each file is a group."""
    chosen = having(embeddings, label, "test", classes)
    every = np.flatnonzero(embeddings.splits == "test")
    values = embeddings.label(label)
    nameless = int((values[every] == "").sum())
    unknown = np.setdiff1d(every[values[every] != ""], chosen)
    said = [f"{nameless} without {label!r}"] if nameless else []
    if len(unknown):
        said.append(f"{len(unknown)} of {some(np.unique(values[unknown]))}, which training lacks")
    groups, alone = groups_of(embeddings, speaker, chosen)
    text = f"left out of {len(every)} test recordings: {', '.join(said)}" if said else ""
    return Tested(embeddings.ids[chosen], groups, values[chosen], noted(text, alone))


def groups_of(embeddings: Embeddings, speaker: str | None, chosen: Names) -> tuple[Names, str]:
    """Return what is resampled for intervals, and a note; a recording without a speaker is a group of its own.

    Segments of one file, which share a room, a moment and mostly a voice, are one group if nothing else is known: as
    independent recordings they would make intervals too narrow. They are told by their ids, if those are the default.
    So are the windows of a recording, which mostly overlap.

    Args:
        embeddings: Embeddings of all splits.
        speaker: The label whose values are the groups; None makes each file a group.
        chosen: Indices of the recordings.
    """
    ids = embeddings.ids[chosen]
    names = embeddings.label(speaker)[chosen].astype(np.str_) if speaker else np.full(len(ids), "")
    if (names != "").all():
        return names, ""
    files, told = files_of(embeddings, chosen[names == ""])
    segments = f"{told}, which are a group each" if told else ""
    if not speaker:
        return np.array(files), segments
    rest = iter(files)
    groups = np.array([name or ALONE + next(rest) for name in names.tolist()])
    alone = f"{worded(len(files), 'test recording')} without {speaker!r} {are(len(files))} a group each"
    return groups, f"without {speaker!r}, {segments}" if segments else alone


def files_of(embeddings: Embeddings, chosen: Names) -> tuple[list[str], str]:
    """Return the file of each of some test recordings, as far as its id tells, and how many share one, in words.

    Args:
        embeddings: Embeddings of all splits.
        chosen: Indices of the recordings.
    """
    windows = all(name in embeddings.labels for name in WINDOW_TIMES)
    files = [whole_id(name, window=windows) for name in embeddings.ids[chosen].tolist()]
    count, different = len(files), len(set(files))
    kind, whole = ("windows", "recordings") if windows else ("segments", "files")
    return files, f"{count} test {kind} are of {different} {whole}" if different < count else ""


def having(embeddings: Embeddings, label: str, split: str, classes: Names | None = None) -> Names:
    """Return the indices of a split's recordings with a label that occurs in training."""
    values = embeddings.label(label)
    known = values[embeddings.splits == "train"] if classes is None else classes
    return np.flatnonzero((embeddings.splits == split) & (values != "") & np.isin(values, known))


def among(items: Labelled, classes: Names) -> Labelled:
    """Keep the items of the given classes."""
    mask = np.isin(items[1], classes)
    return items if mask.all() else (items[0][mask], items[1][mask])


def some(names: Names) -> str:
    """Return the number of classes and the first few names, as text.

    Example:
        >>> some(np.array(["rare"])), some(np.array(list("abcde")))
        ('1 class (rare)', '5 classes (a, b, c, ...)')
    """
    listed = ", ".join(str(name) for name in names[:NAMED]) + (", ..." if len(names) > NAMED else "")
    return f"{len(names)} class{'es' if len(names) != 1 else ''} ({listed})"
