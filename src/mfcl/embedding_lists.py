"""Embed lists of recordings: results in input order, bounded memory, unreadable files reported and skipped."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mfcl.audio.arrays import listed
from mfcl.checkpoint import Checkpoint, model_digest
from mfcl.core.console import print_notes
from mfcl.core.files import check_file_place, check_not_input
from mfcl.core.keywords import also_called
from mfcl.core.machine import pick_device
from mfcl.core.progress import progress as progress_bar
from mfcl.core.urls import UrlPath, as_path, local_path
from mfcl.data.decoding import LeftOut, recording_windows, whole_recordings
from mfcl.data.ids import is_window, window_id
from mfcl.data.layouts import open_manifest
from mfcl.data.manifest import WINDOW_TIMES, Manifest, Recording
from mfcl.embedder import Embedder, check_asked, checkpoint_of, chosen_part, hop_seconds
from mfcl.embeddings.table import Embeddings
from mfcl.errors import AudioError
from mfcl.models.inference import Format, Listed, embed_clips, part_bounds


@also_called(checkpoint="model", recordings="data")  # argument names of version 0.1
def embed(
    model: Embedder | Checkpoint | str | Path,
    data: str | Path | Manifest | Sequence[str | Path] | np.ndarray,
    *,
    format: Format | None = None,
    part: str | None = None,
    whiten: bool = False,
    window: int | float | None = None,
    hop: int | float | None = None,
    batch: int = 64,
    failures: str | Path | None = None,
    strict: bool = False,
    data_root: Path | None = None,
    device: str = "auto",
    progress: bool = True,
) -> Embeddings:
    """Embed every recording of an audio file, a folder, a manifest (its path or a `Manifest`) or a list of files.

    A recording's embedding depends on that recording alone, not on its batch. A file that cannot be read is skipped
    and reported; the others keep their order.

    With `window`, each window of a recording gets its own vector, with the id `recording@start`. The labels `start` and
    `end` hold the window's limits in seconds. A list of such windows alone, as the explorer exports it, gives these
    labels too. Memory does not grow with the length of a recording.

    Args:
        model: A trained model, or the folder of a model or a run.
        data: The recordings to embed.
        format: `wave` for the waveform encoder, `mel` for the spectrogram encoder, `both` for both side by side;
            default: `both`, of a model of published weights their format alone.
        part: `words` (or `content`), or `voices` (or `speaker`), of a model that has both; default: all.
        whiten: Apply the PCA whitening fitted on training embeddings, for cosine similarity.
        window: Window length in seconds; None gives one vector per recording.
        hop: Step between window starts in seconds; default: half a window.
        batch: Recordings per forward pass; each takes at most `mfcl.models.inference.LONGEST_SECONDS` at a time.
        failures: Where to write a CSV (`id,reason,kind`) of skipped files (kind `failure`) and of files with problems
            (kind `notice`). If there are none, the file of an earlier call is removed.
        strict: Raise an error at the first unreadable file.
        data_root: For a manifest: the folder that holds the recordings now, if they were moved.
        device: `auto`, `cpu`, `cuda`, ...
        progress: Show a progress bar.

    Raises:
        MfclError: no recording could be embedded, (`strict`) a file could not be read, or `failures` is an input or no
            place for a file.
    """
    place = None if failures is None else local_path(failures, "failures")
    if place is not None:
        check_file_place(place)
        check_not_input(place, *([as_path(data)] if isinstance(data, str | Path) else ()))
    asked = Asked(format, part, whiten, window, hop_seconds(window, hop), batch)
    loaded = checkpoint_of(model)
    check_asked(loaded, format, part, whiten=whiten)
    manifest = data if isinstance(data, Manifest) else _manifest(data, data_root)
    print_notes(manifest.notes)
    if not (isinstance(model, Embedder) and device == "auto"):  # an Embedder stays on the device it was loaded to
        loaded.model.to(pick_device(device))
    if place is not None and place.exists():
        check_not_input(place, *(one.path for one in manifest))
    left_out = LeftOut(strict)
    with progress_bar(total=len(manifest), what="embedding", unit="clips", shown=progress) as bar:
        found = embed_recordings(loaded, manifest, left_out, asked, bar=bar)
    left_out.write(place, said=len(found) > 0)
    if not len(found):
        raise left_out.none_read(manifest.root)
    return found


@dataclass(frozen=True)
class Asked:
    """What is asked of embeddings; see `embed`."""

    format: Format | None = None
    part: str | None = None
    whiten: bool = False
    window: int | float | None = None
    hop: int | float = 0.0
    batch: int = 64


def embed_recordings(
    loaded: Checkpoint,
    manifest: Manifest,
    left_out: LeftOut,
    asked: Asked,
    *,
    bar: Any,
    label_names: Sequence[str] | None = None,
    digest: str | None = None,
    read: Callable[[Sequence[Recording]], None] = lambda _: None,
) -> Embeddings:
    """Embed the recordings of a manifest on the model's device; there may be none that can be read.

    Args:
        loaded: The model.
        manifest: The recordings.
        left_out: Collects recordings that cannot be read.
        asked: What to embed them as.
        bar: Progress bar that counts recordings.
        label_names: Labels of the result, `WINDOW_TIMES` among them if the recordings are part of a list of windows
            alone; default: those of the recordings.
        digest: The model's digest; default: it is computed from its files.
        read: Called with recordings, in order, when they were just read.
    """
    preparation = loaded.recipe.preparation
    chunks = (
        whole_recordings(manifest, preparation, left_out)
        if asked.window is None
        else recording_windows(manifest, preparation, left_out, window=asked.window, hop=asked.hop)
    )
    format, bounds = asked.format, part_bounds(loaded.model, asked.format)
    vectors = [np.zeros((0, max(stop for _, stop in bounds.values())), dtype=np.float32)]
    places: list[tuple[int, float, float]] = []  # for each vector: recording index, start and end in seconds
    silent: list[bool] = []
    counted = 0
    for pieces in chunks:
        clips = Listed([piece.samples for piece in pieces])
        vectors.append(embed_clips(loaded.model, clips, preparation.sample_rate, format=format, batch=asked.batch))
        for piece in pieces:
            end = piece.start + len(piece.samples) / preparation.sample_rate
            places.append((piece.recording, piece.start, end))
            silent.append(asked.window is not None and piece.silent)  # a whole recording that is silent is left out
        seen = pieces[-1].recording + 1
        read(manifest.recordings[counted:seen])
        bar.update(seen - counted)
        counted = seen
        del pieces, clips  # freed before the next chunk is decoded, so that only one is in memory
    read(manifest.recordings[counted:])  # skipped recordings at the end yield no chunk
    bar.update(len(manifest) - counted)
    chosen = np.array([recording for recording, _, _ in places], dtype=np.int64)
    names = manifest.label_names if label_names is None else label_names
    # such as a list that the explorer exported: they stay windows
    windows = set(WINDOW_TIMES) <= set(names)
    if label_names is None:
        windows = all(is_window(one.id, one.start, one.end) for one in manifest)
    labels = {name: np.array([one.label(name) for one in manifest])[chosen] for name in names}
    ids = manifest.ids[chosen]
    if asked.window is not None:
        starts, ends = (
            np.array([repr(round(float(place[side]), 6)) for place in places], dtype=np.str_) for side in (1, 2)
        )
        named = zip(ids.tolist(), places, strict=True)
        ids = np.array([window_id(name, start) for name, (_, start, _) in named], dtype=np.str_)
        labels |= dict(zip(WINDOW_TIMES, (starts, ends), strict=True))
    elif windows:
        limits = [[repr(one.start), repr(one.end)] for one in manifest]
        labels |= dict(zip(WINDOW_TIMES, np.array(limits)[chosen].T, strict=True))
    digest = model_digest(loaded) if digest is None else digest
    heard = np.array(silent, dtype=np.bool_)
    found = Embeddings(np.concatenate(vectors), ids, labels, bounds, manifest.splits[chosen], digest, heard)
    return chosen_part(found, loaded, asked.part, whiten=asked.whiten)


def _manifest(data: str | Path | Sequence[str | Path] | np.ndarray, data_root: Path | None) -> Manifest:
    """Return the manifest of a path, or of a list of files, whose paths become the ids."""
    if isinstance(data, str | Path):
        return open_manifest(data, data_root=data_root)
    files = listed(data)
    for place, file in enumerate(files):
        if not isinstance(file, str | Path):
            raise AudioError(f"data: wanted paths, got {type(file).__name__} as number {place}; encode takes arrays")
    return Manifest(tuple(_one(as_path(file), str(file)) for file in files), Path())


def _one(path: Path, name: str) -> Recording:
    return Recording(path.as_posix() if isinstance(path, UrlPath) else name, path)
