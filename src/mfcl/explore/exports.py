"""Labels as files: a list of recordings (CSV), and Audacity's and Raven's tables of labels in long recordings."""

import csv
import io
import re
import tempfile
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from mfcl.audio.io import open_audio
from mfcl.data.manifest import Manifest, Recording
from mfcl.data.manifest_csv import manifest_bytes
from mfcl.errors import AudioError, MfclError
from mfcl.explore.collection import Collection
from mfcl.explore.guessed import Guesses
from mfcl.explore.labels import LabelBook
from mfcl.labelling import LabelClassifier, save_classifier

HOW, SHARE = "_how", "_confidence"
"""Endings of the columns that say how a label came and how sure a guess is."""


@dataclass(frozen=True)
class Labelled:
    """A clip with its label.

    Attributes:
        clip: Its number.
        label: Its label.
        how: `picked`, `lassoed`, `accepted`, ... or `spread` for a guess.
        confidence: 1 for a label that was given.
    """

    clip: int
    label: str
    how: str
    confidence: float


def labelled(book: LabelBook, column: str, guesses: Guesses | None) -> list[Labelled]:
    """Return every clip with a label, and with `guesses` every other clip that has a guess, which no silent one has.

    Raises:
        MfclError: there is none.
    """
    labels, given = book.labels(column), book.given(column)
    found = [
        Labelled(int(clip), str(labels[clip]), given.get(int(clip), ("", "", "picked"))[2], 1.0)
        for clip in np.flatnonzero(labels != "")
    ]
    if guesses is not None:
        rest = np.flatnonzero((labels == "") & (guesses.codes >= 0))
        found += [
            Labelled(int(clip), guesses.classes[guesses.codes[clip]], "spread", float(guesses.confidence[clip]))
            for clip in rest
        ]
    if not found:
        raise MfclError(f"export: no clip has a label in {column!r}; label some first")
    return sorted(found, key=lambda one: one.clip)


def manifest_csv(collection: Collection, column: str, rows: Sequence[Labelled], *, spread: bool) -> bytes:
    """Return a list of the labelled recordings that `mfcl` reads, with the labels that came with them.

    Raises:
        MfclError: the clips have no recordings, or a name that no list can hold.
    """
    recordings = []
    for one in rows:
        recording = _recording(collection, one.clip)
        labels = {**recording.labels, column: one.label}
        if spread:
            labels |= {column + HOW: one.how, column + SHARE: f"{one.confidence:.3f}"}
        recordings.append(replace(recording, labels=labels))
    listed = Manifest(tuple(recordings), collection.folder)
    return manifest_bytes(listed, collection.folder / "labels.csv")


def ids_csv(collection: Collection, column: str, rows: Sequence[Labelled]) -> bytes:
    """Return ids and labels alone, for clips of which some have no recording that is known."""
    table = io.StringIO()
    writer = csv.writer(table, lineterminator="\n")
    writer.writerow(["id", column, column + HOW, column + SHARE])
    for one in rows:
        writer.writerow([str(collection.embeddings.ids[one.clip]), one.label, one.how, f"{one.confidence:.3f}"])
    return table.getvalue().encode("utf-8", "backslashreplace")


def audacity_zip(collection: Collection, rows: Sequence[Labelled]) -> bytes:
    """Return a label track for each file, as Audacity imports them."""
    tracks = {
        name: "".join(f"{start:.6f}\t{end:.6f}\t{one.label}\n" for one, start, end in own)
        for name, own in _by_file(collection, rows).items()
    }
    return _zipped(tracks, ".txt")


def raven_zip(collection: Collection, column: str, rows: Sequence[Labelled]) -> bytes:
    """Return a selection table for each file, as Raven opens them."""
    head = "Selection\tView\tChannel\tBegin Time (s)\tEnd Time (s)\tLow Freq (Hz)\tHigh Freq (Hz)\tBegin File\t"
    tables = {}
    for name, own in _by_file(collection, rows).items():
        recording = _recording(collection, own[0][0].clip)
        high = _facts(recording)[1] / 2
        lines = [
            f"{number}\tSpectrogram 1\t1\t{start:.6f}\t{end:.6f}\t0.0\t{high:.1f}\t{recording.path.name}\t{one.label}"
            for number, (one, start, end) in enumerate(own, start=1)
        ]
        tables[name] = "\n".join([head + re.sub(r"[\t\r\n]", " ", column), *lines]) + "\n"
    return _zipped(tables, ".selections.txt")


def classifier_zip(collection: Collection, column: str, classifier: LabelClassifier) -> bytes:
    """Return a classifier's folder as a zip archive, for `mfcl classify` once it is unpacked."""
    about = {**classifier.about, "label": column}
    if collection.model is not None:
        about["model_folder"] = str(collection.model.resolve())  # `mfcl classify` finds its model there
    classifier, made = replace(classifier, about=about), io.BytesIO()
    with tempfile.TemporaryDirectory(prefix="mfcl-") as folder, zipfile.ZipFile(made, "w") as archive:
        save_classifier(classifier, folder)
        for path in sorted(Path(folder).iterdir()):
            archive.write(path, f"classifier/{path.name}")
    return made.getvalue()


def _recording(collection: Collection, clip: int) -> Recording:
    one = collection.recordings.get(clip)
    if one is None:
        name = str(collection.embeddings.ids[clip])
        raise MfclError(f"export: {name!r} has no recording; name the recordings with --audio")
    return one


def _by_file(collection: Collection, rows: Sequence[Labelled]) -> dict[str, list[tuple[Labelled, float, float]]]:
    """Return for each file its labels with their times in seconds, in order.

    Raises:
        MfclError: some of the clips have no recording.
    """
    silent = [one.clip for one in rows if one.clip not in collection.recordings]
    if silent:
        raise MfclError(
            f"export: there is no recording of {len(silent)} of the {len(rows)} labelled clips, such as "
            f"{str(collection.embeddings.ids[silent[0]])!r}; name the recordings with --audio, or export the list (CSV)"
        )
    found: dict[str, list[tuple[Labelled, float, float]]] = {}
    for one in rows:
        recording = _recording(collection, one.clip)
        end = recording.end if recording.end is not None else _facts(recording)[0]
        found.setdefault(str(recording.path), []).append((one, recording.start or 0.0, end))
    return {name: sorted(own, key=lambda row: row[1:]) for name, own in found.items()}


def _facts(recording: Recording) -> tuple[float, int]:
    """Return a file's seconds and its sample rate in Hz; decoded where its header does not say."""
    with open_audio(recording.path) as file:
        frames = file.frames
        if frames is None:
            frames = sum(len(block) for block in file.blocks())
        if not frames:
            raise AudioError(f"{recording.path}: empty; leave it out")
        return frames / file.sample_rate, file.sample_rate


def _zipped(files: dict[str, str], suffix: str) -> bytes:
    """Return a zip archive; a file's name in it is that of its recording, made safe, with a number before it."""
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        for number, (name, text) in enumerate(files.items(), start=1):
            stem = re.sub(r"[^\w.-]", "_", re.split(r"[/\\]", name)[-1].rpartition(".")[0])[:80].lstrip(".") or "clip"
            archive.writestr(f"{number:05d}-{stem}{suffix}", text.encode("utf-8", "backslashreplace"))
    return made.getvalue()
