"""Apply a classifier to recordings, whole or in windows, in bounded memory."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float64, Int64, Shaped

from mfcl.audio.windows import hop_of
from mfcl.classification.sources import Data, is_embeddings, manifest_of, model_of, opened_in_blocks
from mfcl.core.console import print_notes
from mfcl.data.decoding import LeftOut, Piece, recording_windows, whole_recordings
from mfcl.data.ids import readable, window_id
from mfcl.data.manifest import Manifest
from mfcl.embedder import Embedder
from mfcl.embeddings.table import Embeddings
from mfcl.errors import MeasureError
from mfcl.labelling import LabelClassifier, Predictions
from mfcl.labelling.classifier_file import load_classifier
from mfcl.models.inference import Listed, embed_clips, part_bounds


@dataclass(frozen=True, eq=False)
class Answers:
    """The answers for recordings, or for the windows of one recording.

    Attributes:
        ids: Ids of the recordings; of windows `recording@start`, as `mfcl.embed` names them.
        paths: Their files, bytes of a name that are not UTF-8 escaped; "" where they are not known.
        predictions: The answers.
        starts: Start of each window in seconds from the file's beginning; None for whole recordings.
        ends: End of each window.
    """

    ids: Shaped[np.ndarray, " items"]
    paths: Shaped[np.ndarray, " items"]
    predictions: Predictions
    starts: Float64[np.ndarray, " items"] | None = None
    ends: Float64[np.ndarray, " items"] | None = None


def classify(
    classifier: LabelClassifier | str | Path,
    data: Data,
    *,
    model: Embedder | str | Path | None = None,
    least: int | float = 0.0,
    data_root: Path | None = None,
    device: str = "auto",
    left_out: LeftOut | None = None,
) -> Answers:
    """Say what recordings are.

    Args:
        classifier: A classifier, or its folder.
        data: Recordings or embeddings: a file, a folder, a manifest, or an `.npz` file or a folder of parts
            of `mfcl embed`.
        model: The classifier's model; default: where it was when the classifier was fitted.
        least: Least probability of an answer; below it a recording is `unknown`.
        data_root: For a manifest: the folder of the recordings, if they were moved.
        device: `auto`, `cpu`, `cuda`, ...
        left_out: Collects recordings that cannot be read; default: they are said on standard error.

    Raises:
        MfclError: another model, or no recording can be read.
    """
    made = _loaded(classifier)
    if is_embeddings(data):
        answers = [_told(made, table, least) for table in opened_in_blocks(data)]
        return answers[0] if len(answers) == 1 else _together(answers)
    hearing, skipped = _Hearing(made, model_of(made, model, device), least), left_out or LeftOut()
    manifest = manifest_of(data, data_root)
    print_notes(manifest.notes)
    some, places = [], []
    for pieces in whole_recordings(manifest, hearing.model.recipe.preparation, skipped):
        some.append(hearing(pieces))
        places += [piece.recording for piece in pieces]
    if not some:
        raise skipped.none_read(manifest.root)
    if left_out is None:
        skipped.write(None)
    chosen = np.array(places, dtype=np.int64)
    return Answers(manifest.ids[chosen], _paths(manifest)[chosen], _joined(some))


def _told(made: LabelClassifier, table: Embeddings, least: int | float) -> Answers:
    starts, ends = (_seconds(table, name) for name in ("start", "end"))
    return Answers(table.ids, np.full(len(table), ""), made.predict(table, least=least), starts, ends)


def _together(answers: list[Answers]) -> Answers:
    """Join the answers for blocks of embeddings."""
    if not answers:
        raise MeasureError("embeddings: wanted one vector or more, got none")
    starts, ends = (
        None if any(side is None for side in sides) else np.concatenate([side for side in sides if side is not None])
        for sides in ([one.starts for one in answers], [one.ends for one in answers])
    )
    ids, paths = (np.concatenate([getattr(one, name) for one in answers]) for name in ("ids", "paths"))
    return Answers(ids, paths, _joined([one.predictions for one in answers]), starts, ends)


def classify_windows(
    classifier: LabelClassifier | str | Path,
    data: Data,
    *,
    window: int | float,
    hop: int | float | None = None,
    model: Embedder | str | Path | None = None,
    least: int | float = 0.0,
    data_root: Path | None = None,
    device: str = "auto",
    left_out: LeftOut | None = None,
) -> Iterator[Answers]:
    """Yield the answers for the windows of each recording, one recording after another.

    Sound is streamed; of a recording only its windows' probabilities are kept. A silent window (below -90 dB) is
    `unknown`, whatever its vector is near to.

    Args:
        classifier: See `classify`.
        data: A file, a folder or a manifest.
        window: Length of a window in seconds.
        hop: Step between windows in seconds; default: half a window.
        model: See `classify`.
        least: See `classify`.
        data_root: See `classify`.
        device: See `classify`.
        left_out: See `classify`.

    Raises:
        MfclError: see `classify`; or window or hop cannot be used.
    """
    step = hop_of(window, hop)
    if is_embeddings(data):
        raise MeasureError(
            "windows: wanted recordings, got embeddings; embed windows with `mfcl embed --window`, then classify these"
        )
    made = _loaded(classifier)
    hearing, skipped = _Hearing(made, model_of(made, model, device), least), left_out or LeftOut()
    manifest, rate = manifest_of(data, data_root), hearing.model.sample_rate
    print_notes(manifest.notes)
    waiting: list[tuple[Predictions, list[tuple[float, float]]]] = []
    current = -1

    def collected() -> Answers:
        limits = np.array([one for _, own in waiting for one in own], dtype=np.float64)
        recording = manifest.recordings[current]
        names = np.array([window_id(recording.id, start) for start in limits[:, 0].tolist()], dtype=np.str_)
        files = np.broadcast_to(readable(str(recording.path)), len(limits))
        return Answers(names, files, _joined([one for one, _ in waiting]), limits[:, 0], limits[:, 1])

    for pieces in recording_windows(manifest, hearing.model.recipe.preparation, skipped, window=window, hop=step):
        found, owners = hearing(pieces), np.array([piece.recording for piece in pieces])
        for place in dict.fromkeys(owners.tolist()):
            if waiting and place != current:
                yield collected()
                waiting = []
            own, current = np.flatnonzero(owners == place), place
            some = [pieces[one] for one in own.tolist()]
            waiting.append((_some(found, own), [(one.start, one.start + len(one.samples) / rate) for one in some]))
    if not waiting:
        raise skipped.none_read(manifest.root)
    if left_out is None:
        skipped.write(None)
    yield collected()


@dataclass(frozen=True)
class _Hearing:
    """Embeds sound and predicts."""

    classifier: LabelClassifier
    model: Embedder
    least: int | float

    def __call__(self, pieces: list[Piece]) -> Predictions:
        clips = Listed([piece.samples for piece in pieces])
        # whatever parts the classifier was fitted on, they are among these
        vectors = embed_clips(self.model.model, clips, self.model.sample_rate, format="both")
        names = np.full(len(vectors), "")
        bounds = part_bounds(self.model.model, "both")
        silent = np.array([piece.silent for piece in pieces])
        digest = self.classifier.model  # `model_of` checked the model
        return self.classifier.predict(Embeddings(vectors, names, {}, bounds, names, digest, silent), least=self.least)


def _loaded(classifier: LabelClassifier | str | Path) -> LabelClassifier:
    return classifier if isinstance(classifier, LabelClassifier) else load_classifier(classifier)


def _some(found: Predictions, chosen: Int64[np.ndarray, " chosen"]) -> Predictions:
    return Predictions(
        found.labels[chosen], found.likeliest[chosen], found.probabilities[chosen], found.distances[chosen],
        found.classes,
    )  # fmt: skip


def _joined(some: list[Predictions]) -> Predictions:
    labels, likeliest, probabilities, distances = (
        np.concatenate([getattr(one, name) for one in some])
        for name in ("labels", "likeliest", "probabilities", "distances")
    )
    return Predictions(labels, likeliest, probabilities, distances, some[0].classes)


def _seconds(table: Embeddings, name: str) -> Float64[np.ndarray, " items"] | None:
    """Return the limits of windows that `mfcl embed --window` wrote; None for whole recordings."""
    if not all("@" in one for one in table.ids.tolist()) or name not in table.labels:
        return None
    try:
        return table.label(name).astype(np.float64)
    except ValueError as error:
        raise MeasureError(f"embeddings: wanted seconds as the label {name!r} ({error})") from None


def _paths(manifest: Manifest) -> Shaped[np.ndarray, " items"]:
    return np.array([readable(str(recording.path)) for recording in manifest])
