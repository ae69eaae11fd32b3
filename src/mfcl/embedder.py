"""From a trained model and sound to vectors: input order, bounded memory, bad files named and left out."""

import logging
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float32, Float64

from mfcl.audio import Preparation, Sound, heard, prepare, read_prepared
from mfcl.audio.arrays import Sounds, listed, mono_samples, whole_rate
from mfcl.audio.windows import bounded, check_window, window_samples, window_starts
from mfcl.checkpoint import Checkpoint, load_checkpoint
from mfcl.core.console import printable
from mfcl.core.console import progress as progress_bar
from mfcl.core.keywords import also_called
from mfcl.data.decoding import LeftOut, held_samples, recording_windows, whole_recordings
from mfcl.data.layouts import open_manifest
from mfcl.data.manifest import Manifest, Recording
from mfcl.embeddings.linalg import unit_rows
from mfcl.embeddings.parts import matching
from mfcl.embeddings.table import Embeddings
from mfcl.embeddings.whitening import Whitening
from mfcl.errors import AudioError, CheckpointError
from mfcl.models.inference import Format, Listed, embed_clips, part_bounds, pick_device
from mfcl.models.pair import MultiFormatModel
from mfcl.recipe import Recipe

log = logging.getLogger(__name__)


@also_called(checkpoint="model", recordings="data")  # their names in version 0.1
def embed(
    model: "Embedder | Checkpoint | str | Path",
    data: str | Path | Manifest | Sequence[str | Path] | np.ndarray,
    *,
    format: Format = "both",
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
    """Embed every recording of a file, a folder, a manifest's path, a `Manifest` or a list of files.

    A recording's embedding depends on that recording alone, not on its batch. A file that cannot be read is left out
    and named; the others keep their order.

    With `window` there is a vector for each window of each recording, named `recording@start`; the labels `start` and
    `end` are its place in the file in seconds. Memory does not grow with the length of a recording.

    Args:
        model: A trained model, or the folder of one or of a run.
        data: What to embed.
        format: The waveform encoder's embedding, the spectrogram encoder's, or both side by side.
        part: `words` (or `content`), or `voices` (or `speaker`), of a model that has both; all of it if left out.
        whiten: Make vectors ready for cosines, by what was learned from the training data.
        window: Length of a window in seconds; none: one vector a recording.
        hop: From window to window in seconds; half a window if left out.
        batch: Recordings a step; memory is bounded by `mfcl.models.inference.LONGEST_SECONDS` of sound each.
        failures: Where to write a CSV of the files left out and of those with something wrong (`id,reason,kind`, the
            kind being `failure` or `notice`). If there are none, such a file of an earlier call is removed.
        strict: Make the first bad file an error.
        data_root: For a list: where its recordings lie now, if they were moved.
        device: `auto`, `cpu`, `cuda`, ...
        progress: Show a progress bar.

    Raises:
        MfclError: nothing could be embedded, or (`strict`) a file could not be read.
    """
    step = _step(window, hop)
    loaded = _checkpoint(model)
    bounds = part_bounds(loaded.model, format)
    manifest = data if isinstance(data, Manifest) else _manifest(data, data_root)
    for note in manifest.notes:
        print(f"note: {printable(note)}", file=sys.stderr)  # noqa: T201
    if not (isinstance(model, Embedder) and device == "auto"):  # that one is where its owner wants it
        loaded.model.to(pick_device(device))
    preparation, left_out = loaded.recipe.preparation, LeftOut(strict)
    chunks = (
        whole_recordings(manifest, preparation, left_out)
        if window is None
        else recording_windows(manifest, preparation, left_out, window=window, hop=step)
    )
    vectors: list[Float32[np.ndarray, "items dim"]] = []
    places: list[tuple[int, float, float]] = []  # of each vector: its recording, its start and its end
    with progress_bar(total=len(manifest), what="embedding", unit="clips", shown=progress) as bar:
        for pieces in chunks:
            clips = Listed([piece.samples for piece in pieces])
            vectors.append(embed_clips(loaded.model, clips, preparation.sample_rate, format=format, batch=batch))
            for piece in pieces:
                end = piece.start + len(piece.samples) / preparation.sample_rate
                places.append((piece.recording, piece.start, end))
            bar.update(pieces[-1].recording + 1 - bar.n)
            del pieces, clips  # before the next ones are decoded: one chunk in memory, not two
        bar.update(len(manifest) - bar.n)  # the last ones may have been left out
    left_out.write(None if failures is None else Path(failures))
    if not vectors:
        first = left_out.reasons[0][1] if left_out.reasons else "none"
        raise AudioError(f"{manifest.root}: no recording could be read; the first: {first}")
    chosen = np.array([recording for recording, _, _ in places], dtype=np.int64)
    ids, labels = manifest.ids[chosen], {name: manifest.column(name)[chosen] for name in manifest.label_names}
    if window is not None:
        starts, ends = (np.array([repr(round(float(place[side]), 6)) for place in places]) for side in (1, 2))
        ids = np.array([f"{name}@{start}" for name, start in zip(ids, starts, strict=True)])
        labels |= {"start": starts, "end": ends}
    found = Embeddings(np.concatenate(vectors), ids, labels, bounds, manifest.splits[chosen])
    return _wanted(found, loaded, part, whiten=whiten)


class Windows(NamedTuple):
    """Vectors of the windows of one recording, and where they lie."""

    vectors: Float32[np.ndarray, "windows dim"]
    starts: Float64[np.ndarray, " windows"]
    """Seconds."""
    ends: Float64[np.ndarray, " windows"]
    """Seconds."""


class Embedder:
    """A trained model for use: arrays or files in, vectors out. Made by `mfcl.load` and `mfcl.train`.

    Attributes:
        checkpoint: What was loaded: the model, its recipe and where it came from.
    """

    def __init__(self, checkpoint: Checkpoint, *, device: str = "auto") -> None:
        self.checkpoint = checkpoint
        checkpoint.model.to(pick_device(device))

    @property
    def model(self) -> MultiFormatModel:
        """The pair of encoders with their front ends."""
        return self.checkpoint.model

    @property
    def recipe(self) -> Recipe:
        """Every choice that the model was made with."""
        return self.checkpoint.recipe

    @property
    def folder(self) -> Path:
        """Where the model was read."""
        return self.checkpoint.folder

    @property
    def info(self) -> Mapping[str, Any]:
        """The version that wrote the model, the sizes of its embeddings, and facts of the run."""
        return self.checkpoint.info

    @property
    def whitening(self) -> Mapping[str, Whitening]:
        """What makes each part of an embedding ready for cosines; empty if it was not learned."""
        return self.checkpoint.whitening

    @property
    def sample_rate(self) -> int:
        """The rate in Hz that sound is brought to before it is embedded."""
        return self.recipe.preparation.sample_rate

    def dim(self, format: Format = "both", *, part: str | None = None) -> int:
        """Return how many values an embedding has that is not whitened."""
        bounds = part_bounds(self.model, format)
        return sum(bounds[name][1] - bounds[name][0] for name in (bounds if part is None else matching(bounds, part)))

    def encode(
        self,
        sounds: Sounds,
        *,
        sample_rate: int | float | None = None,
        format: Format = "both",
        part: str | None = None,
        whiten: bool = False,
        batch: int = 64,
        normalize: bool = False,
        progress: bool = False,
    ) -> Float32[np.ndarray, "items dim"]:
        """Return one vector for each file or array, in the order given.

        Args:
            sounds: One or several, as a list: paths, or samples of shape (samples,), (samples, channels), (1, samples)
                or (2, samples): floats in [-1, 1], int16, int32 or uint8. Tensors and lists of numbers work too.
            sample_rate: Of the arrays, in Hz; the model's own if left out.
            format: `wave`, `mel` or `both`.
            part: `words` (or `content`), or `voices` (or `speaker`), of a model that has both; all if left out.
            whiten: Make vectors ready for cosines, by what was learned from the training data.
            batch: Sounds a step.
            normalize: Scale each vector to length 1.
            progress: Show a progress bar.

        Raises:
            AudioError: a file or array that cannot be used; the message names it.
            MfclError: no such format or part, or a batch below 1.
        """
        rate = self._rate(sample_rate)
        given = listed(sounds)
        if not given:
            return np.zeros((0, self.dim(format, part=part)), dtype=np.float32)
        prepared = (self._prepared(sound, f"array {place}", rate) for place, sound in enumerate(given))
        vectors = np.concatenate(
            [
                embed_clips(self.model, Listed(some), self.sample_rate, format=format, batch=batch, progress=progress)
                for some in bounded(prepared, held_samples)
            ]
        )
        wanted = self._only(vectors, format, part, whiten=whiten)
        return unit_rows(wanted, np.float32) if normalize else wanted

    def encode_windows(
        self,
        sound: Sounds,
        *,
        sample_rate: int | float | None = None,
        window: int | float = 1.0,
        hop: int | float | None = None,
        format: Format = "both",
        part: str | None = None,
        whiten: bool = False,
        batch: int = 64,
    ) -> Windows:
        """Return a vector for each window of a recording, and the windows' starts and ends in seconds.

        The last window ends with the recording, so no sound is left out; a recording shorter than a window is one.
        The recording is prepared as a whole, but never trimmed. Of a file only some windows are in memory at a time.

        Args:
            sound: A path or samples; see `encode`.
            sample_rate: Of samples, in Hz; the model's own if left out.
            window: Length in seconds.
            hop: From window to window in seconds; half a window if left out.
            format: `wave`, `mel` or `both`.
            part: See `encode`.
            whiten: See `encode`.
            batch: Windows a step.

        Raises:
            AudioError: a recording that cannot be used, or a window or hop that is none.
            MfclError: no such format or part, or a batch below 1.

        Example:
            ``vectors, starts, ends = model.encode_windows("dawn.flac", window=3.0)``
        """
        rate, preparation, step = self._rate(sample_rate), self.recipe.preparation, _step(window, hop)
        whole = self._prepared(sound, "array", rate, replace(preparation, trim_db=None))
        size, stride = window_samples(window, step, self.sample_rate)
        first = window_starts(len(whole), size, stride)
        pieces = (whole[start : start + size] for start in first.tolist())
        vectors = [
            embed_clips(self.model, Listed(some), self.sample_rate, format=format, batch=batch)
            for some in bounded(pieces, len)
        ]
        found = self._only(np.concatenate(vectors), format, part, whiten=whiten)
        last = np.minimum(first + size, len(whole))
        return Windows(found, first / self.sample_rate, last / self.sample_rate)

    def encode_frames(
        self,
        sound: Sounds,
        *,
        window: int | float = 1.0,
        hop: int | float = 0.5,
        format: Format = "both",
        batch: int = 64,
    ) -> tuple[Float32[np.ndarray, "windows dim"], Float64[np.ndarray, " windows"]]:
        """Return the vectors and the starts of `encode_windows`, under its name of version 0.1."""
        found = self.encode_windows(sound, window=window, hop=hop, format=format, batch=batch)
        return found.vectors, found.starts

    def similarity(
        self, a: Float32[np.ndarray, "items dim"], b: Float32[np.ndarray, "others dim"]
    ) -> Float32[np.ndarray, "items others"]:
        """Return the cosine of every vector of `a` with every vector of `b`."""
        cosines: Float32[np.ndarray, "_ _"] = unit_rows(a, np.float32) @ unit_rows(b, np.float32).T
        return cosines

    def _rate(self, sample_rate: int | float | None) -> int:
        return self.sample_rate if sample_rate is None else whole_rate(sample_rate)

    def _prepared(self, sound: Any, name: str, sample_rate: int, preparation: Preparation | None = None) -> Sound:
        chosen = preparation or self.recipe.preparation
        if isinstance(sound, str | Path):
            read, notices = read_prepared(Path(sound), chosen)
            for notice in notices:
                log.warning("%s: %s", printable(str(sound)), notice)
            return heard(read)
        return heard(prepare(mono_samples(sound, name=name), sample_rate, chosen))

    def _only(
        self, vectors: Float32[np.ndarray, "items _"], format: Format, part: str | None, *, whiten: bool
    ) -> Float32[np.ndarray, "items _"]:
        """Return the values of vectors that were asked for."""
        names = np.full(len(vectors), "")
        plain = Embeddings(vectors, names, {}, part_bounds(self.model, format), names)
        return _wanted(plain, self.checkpoint, part, whiten=whiten).vectors


def load(folder: str | Path, *, device: str = "auto") -> Embedder:
    """Load a trained model from its folder, or from the folder of its run."""
    return Embedder(load_checkpoint(Path(folder)), device=device)


def _checkpoint(given: Checkpoint | Embedder | str | Path) -> Checkpoint:
    if isinstance(given, Embedder):
        return given.checkpoint
    return given if isinstance(given, Checkpoint) else load_checkpoint(Path(given))


def _manifest(data: str | Path | Sequence[str | Path] | np.ndarray, data_root: Path | None) -> Manifest:
    """Return what lies at a path, or the files of a list, each named as it is given."""
    if isinstance(data, str | Path):
        return open_manifest(Path(data), data_root=data_root)
    files = listed(data)
    for place, file in enumerate(files):
        if not isinstance(file, str | Path):
            raise AudioError(f"data: wanted paths, got {type(file).__name__} as number {place}; encode takes arrays")
    return Manifest(tuple(Recording(str(file), Path(file)) for file in files), Path())


def _step(window: int | float | None, hop: int | float | None) -> int | float:
    """Return the seconds from window to window: half a window where nothing is said."""
    if window is None:
        if hop is not None:
            raise AudioError(f"hop: {hop} s is the step from window to window; give a window too")
        return 0.0
    step = window / 2 if hop is None else hop
    check_window(window, step)
    return step


def _wanted(found: Embeddings, checkpoint: Checkpoint, part: str | None, *, whiten: bool) -> Embeddings:
    """Return a part of embeddings, or all of them, whitened or as they are."""
    chosen = found.only(part) if part else found
    if whiten and not checkpoint.whitening:
        raise CheckpointError(f"{checkpoint.folder}: no whitening was learned with this model; leave whiten out")
    return chosen.whiten(checkpoint.whitening) if whiten else chosen
