"""Fit a classifier on recordings of which few have labels."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from jaxtyping import Shaped
from scipy import sparse

from mfcl.classification.sources import Data, check_same_model, is_embeddings, manifest_of, vectors_of
from mfcl.core.urls import as_path
from mfcl.data.dataset import guessed_labels
from mfcl.data.label_table import Labels, read_label_files
from mfcl.data.manifest import WINDOW_TIMES, Recording
from mfcl.data.spellings import alike
from mfcl.data.store import open_store
from mfcl.embedder import Embedder, load
from mfcl.embeddings.table import Embeddings
from mfcl.errors import MfclError, check_type, one_of, shown
from mfcl.labelling import UNKNOWN, Collection, Fitted, draw_held_out, fit_classifier
from mfcl.labelling.collection import ALIGNMENT
from mfcl.labelling.estimate import known_labels
from mfcl.training.neighbour_search import compare


@dataclass(frozen=True, eq=False)
class FittedOn:
    """A classifier with the recordings that it was fitted on.

    Attributes:
        fitted: The classifier and what is known of the recordings.
        embeddings: Of all recordings.
        labels: The given labels.
        notes: What a person should know.
    """

    fitted: Fitted
    embeddings: Embeddings
    labels: Labels
    notes: tuple[str, ...]


def fit_on(
    model: Embedder | str | Path,
    data: Data,
    labels: str | Path | Sequence[str | Path] | Shaped[np.ndarray, " _"] | None = None,
    *,
    label: str | None = None,
    align: bool = False,
    data_root: Path | None = None,
    device: str = "auto",
    seed: int = 0,
    progress: bool = True,
) -> FittedOn:
    """Fit a classifier on recordings of which few have labels.

    Args:
        model: A trained model, or its folder.
        data: All recordings, labelled or not: a folder, a manifest, or embeddings by this model.
        labels: A CSV of labels, or a list of several (see `mfcl.data.label_table.read_label_files`), or an array with
            a label per recording; default: the column `label` of the data.
        label: The column of the labels; default: one with a usual name.
        align: Compare the recordings' sound by alignment, too, for one more graph to spread labels over. The time
            grows with the square of their number up to 4,000.
        data_root: For a manifest: the folder of the recordings, if they were moved.
        device: `auto`, `cpu`, `cuda`, ...
        seed: Seed of folds and draws.
        progress: Show a progress bar.

    Raises:
        MfclError: recordings or labels cannot be used; see `Collection.fit`.
    """
    loaded, data, embeddings, recordings = _embedded(model, data, data_root, device, progress=progress)
    given = _labels(embeddings, labels, label, recordings)
    graphs, notes = _alignment(data, embeddings, loaded, seed=seed) if align else ({}, ())
    fitted = fit_classifier(embeddings, given.values, graph=graphs, seed=seed)
    about = {**fitted.classifier.about, "label": given.name, "model_folder": str(loaded.folder.resolve())}
    fitted = replace(fitted, classifier=replace(fitted.classifier, about=about))
    return FittedOn(fitted, embeddings, given, (*given.notes, *_alike(given.values), *notes, *fitted.notes))


def _alike(labels: Shaped[np.ndarray, " _"]) -> list[str]:
    """Return a note for classes whose names are alike; of `unknown` and its like only itself is no class of events."""
    return [
        f"{' and '.join(map(shown, names))} are different classes: write one as the other if they are not"
        for names in alike({UNKNOWN, *labels.tolist()} - {""})
    ]


def clips_to_label(
    model: Embedder | str | Path,
    data: Data,
    count: int,
    *,
    at_random: bool = False,
    labels: str | Path | Sequence[str | Path] | None = None,
    label: str | None = None,
    data_root: Path | None = None,
    device: str = "auto",
    seed: int = 0,
    progress: bool = True,
    notes: list[str] | None = None,
) -> list[str]:
    """Return the ids of the recordings that are worth labelling next, or of a random draw to hold out.

    Recordings that are silent are left out. Old embeddings of windows do not tell which of them are; a note says so.

    Args:
        model: See `fit_on`.
        data: See `fit_on`.
        count: Recordings to return.
        at_random: Draw recordings without a label at random, for an honest estimate.
        labels: A CSV of the labels that are known so far, or a list of several; default: the column `label` of the
            data, or without a name one that `fit_on` would find, if some recordings have no label in it.
        label: Their column.
        data_root: See `fit_on`.
        device: `auto`, `cpu`, `cuda`, ...
        seed: Seed of the draw.
        progress: Show a progress bar.
        notes: Collects what a person should know.

    Raises:
        MfclError: there are not so many recordings without a label; see `fit_on`.
    """
    _, _, embeddings, recordings = _embedded(model, data, data_root, device, progress=progress)
    found = _known(embeddings, labels, label, recordings)
    known = None if found is None else found.values
    if notes is not None:
        notes += [*(() if found is None else found.notes), *_unheard(data, embeddings)]
    if at_random:
        blank, heard = np.full(len(embeddings), ""), embeddings.audible
        places = heard[draw_held_out((blank if known is None else known)[heard], count, seed=seed)]
    else:
        places = Collection(embeddings).suggest(count, known, seed=seed)
    return [str(name) for name in embeddings.ids[places]]


def _unheard(data: Data, embeddings: Embeddings) -> list[str]:
    """Return a note where silent windows may be listed: embeddings of before, or made elsewhere, do not tell them."""
    told = embeddings.silent is not None or not set(WINDOW_TIMES) <= set(embeddings.labels)
    if told or not is_embeddings(data):
        return []
    return [
        "these embeddings do not tell which windows are silent: leave those of the list without a label, or embed the "
        "recordings again"
    ]


def _embedded(
    model: Embedder | str | Path, data: Data, data_root: Path | None, device: str, *, progress: bool
) -> tuple[Embedder, Data, Embeddings, tuple[Recording, ...]]:
    """Return the model, the data, their embeddings, and the recordings where they are known."""
    loaded = model if isinstance(model, Embedder) else load(model, device=device)
    recordings: tuple[Recording, ...] = ()
    if not is_embeddings(data):
        data = manifest_of(data, data_root)
        recordings = data.recordings
    embeddings = vectors_of(data, loaded, progress=progress)
    check_same_model(embeddings, loaded)
    return loaded, data, embeddings, recordings


def _known(
    embeddings: Embeddings,
    labels: str | Path | Sequence[str | Path] | None,
    label: str | None,
    recordings: Sequence[Recording],
) -> Labels | None:
    """Return the labels that a fit would be given; None where there are none, or where only the truth can be meant."""
    guessed = guessed_labels(list(embeddings.labels), None, None)[0]
    if labels is None and label is None and (guessed is None or (embeddings.label(guessed) != "").all()):
        return None
    return _labels(embeddings, labels, label, recordings)


def _labels(
    embeddings: Embeddings,
    labels: str | Path | Sequence[str | Path] | Shaped[np.ndarray, " _"] | None,
    label: str | None,
    recordings: Sequence[Recording],
) -> Labels:
    if isinstance(labels, np.ndarray):
        return Labels(known_labels(labels, len(embeddings)), label or "label")
    if labels is not None:
        check_type("labels", labels, str | Path | Sequence, "an array of labels, or CSVs")
        paths = [as_path(one) for one in ([labels] if isinstance(labels, str | Path) else labels)]
        return read_label_files(paths, embeddings.ids.tolist(), recordings=recordings, label=label)
    names = list(embeddings.labels)
    name = label or guessed_labels(names, None, None)[0]
    if name is None or name not in names:
        wanted = one_of("label", name, names) if name else f"its labels are {', '.join(names) or 'none'}"
        raise MfclError(f"classify: no labels: {wanted}; give a CSV (--labels) or name a column (--label)")
    return Labels(embeddings.label(name), name)


def _alignment(
    data: Data, embeddings: Embeddings, model: Embedder, *, seed: int
) -> tuple[dict[str, sparse.csr_matrix], tuple[str, ...]]:
    """Return the graph of recordings by alignment; none where alignment tells nothing about them."""
    if is_embeddings(data):
        raise MfclError("align: wanted recordings to compare, got embeddings; give the recordings, or leave it out")
    manifest = manifest_of(data)
    places = {name: place for place, name in enumerate(manifest.ids.tolist())}
    heard = manifest.select(np.array([places[name] for name in embeddings.ids.tolist()]))
    found = compare(open_store(heard, model.recipe.preparation, progress=False), seed=seed)
    if not found.tells:
        share = found.near / found.typical
        return {}, (f"alignment tells nothing here (nearest at {share:.2f} of the usual distance), so it is not used",)
    return {ALIGNMENT: found.graph()}, ()
