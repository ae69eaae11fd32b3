"""From a checkpoint and recordings to embeddings: input order, bounded memory, bad files named and left out."""

import csv
import sys
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from jaxtyping import Float32, Float64

from mfcl.audio import Preparation, prepare, read_audio
from mfcl.checkpoint import Checkpoint, load_checkpoint
from mfcl.core.console import progress as progress_bar
from mfcl.core.files import replacing
from mfcl.data.layouts import open_manifest
from mfcl.data.manifest import Manifest, Recording
from mfcl.embeddings.table import Embeddings
from mfcl.errors import AudioError, CheckpointError, MfclError
from mfcl.models.inference import Format, Listed, Part, Samples, embed_clips, part_bounds, pick_device

CHUNK = 512
"""Recordings decoded at a time."""


def embed(
    checkpoint: Checkpoint | str | Path,
    recordings: str | Path | Manifest,
    *,
    format: Format = "both",
    part: Part | None = None,
    whiten: bool = False,
    batch: int = 64,
    failures: Path | None = None,
    strict: bool = False,
    data_root: Path | None = None,
    device: str = "auto",
    progress: bool = True,
) -> Embeddings:
    """Embed every recording of a file, a folder, a manifest's path or a `Manifest`.

    A recording's embedding depends on that recording alone, not on its batch. A file that cannot be read is left out
    and named; the others keep their order.

    Args:
        checkpoint: A checkpoint, or the folder of one or of a run.
        recordings: What to embed.
        format: The waveform encoder's embedding, the spectrogram encoder's, or both side by side.
        part: The words' part or the voices', of a model that has both; all of it if left out.
        whiten: Make vectors ready for cosines, by what was learned from the training data.
        batch: Recordings a step; memory is bounded by `mfcl.models.inference.LONGEST_SECONDS` of sound each.
        failures: Where to write a CSV of the files left out (`id,reason`); written only if there are any.
        strict: Make the first bad file an error.
        data_root: For a list: where its recordings lie now, if they were moved.
        device: `auto`, `cpu`, `cuda`, ...
        progress: Show a progress bar.

    Raises:
        MfclError: nothing could be embedded, or (`strict`) a file could not be read.
    """
    loaded = checkpoint if isinstance(checkpoint, Checkpoint) else load_checkpoint(Path(checkpoint))
    manifest = recordings if isinstance(recordings, Manifest) else open_manifest(Path(recordings), data_root=data_root)
    for note in manifest.notes:
        print(f"note: {note}", file=sys.stderr)  # noqa: T201
    model = loaded.model.to(pick_device(device))
    preparation = loaded.recipe.preparation
    vectors: list[Float32[np.ndarray, "items dim"]] = []
    kept: list[int] = []
    failed: list[tuple[str, str]] = []
    with progress_bar(total=len(manifest), what="embedding", unit="clips", shown=progress) as bar:
        for first in range(0, len(manifest), CHUNK):
            chunk = manifest.recordings[first : first + CHUNK]
            clips: list[Samples] = []
            for offset, outcome in enumerate(_decode(chunk, preparation)):
                if isinstance(outcome, MfclError):
                    if strict:
                        raise outcome
                    failed.append((chunk[offset].id, str(outcome)))
                else:
                    clips.append(outcome)
                    kept.append(first + offset)
            if clips:
                vectors.append(embed_clips(model, Listed(clips), preparation.sample_rate, format=format, batch=batch))
            bar.update(len(chunk))
    _report(failed, failures)
    if not vectors:
        raise AudioError(
            f"{manifest.root}: no recording could be read; the first: {failed[0][1] if failed else 'none'}"
        )
    chosen = manifest.select(kept)
    found = Embeddings(
        vectors=np.concatenate(vectors),
        ids=chosen.ids,
        labels={name: chosen.column(name) for name in chosen.label_names},
        parts=part_bounds(model, format),
        splits=chosen.splits,
    )
    return _wanted(found, loaded, part, whiten=whiten)


class Embedder:
    """A trained model for use: arrays or files in, vectors out. Made by `mfcl.load`.

    Attributes:
        checkpoint: What was loaded: the model, its recipe and where it came from.
    """

    def __init__(self, checkpoint: Checkpoint, *, device: str = "auto") -> None:
        self.checkpoint = checkpoint
        checkpoint.model.to(pick_device(device))

    @property
    def sample_rate(self) -> int:
        """The rate in Hz that sound is brought to before it is embedded."""
        return self.checkpoint.recipe.preparation.sample_rate

    def dim(self, format: Format = "both", *, part: Part | None = None) -> int:
        """Return how many values an embedding has that is not whitened."""
        bounds = part_bounds(self.checkpoint.model, format)
        return sum(stop - start for name, (start, stop) in bounds.items() if part is None or part in name.split())

    def encode(
        self,
        sounds: str | Path | np.ndarray | Sequence[str | Path | np.ndarray],
        *,
        sample_rate: int | None = None,
        format: Format = "both",
        part: Part | None = None,
        whiten: bool = False,
        batch: int = 64,
        normalize: bool = False,
        progress: bool = False,
    ) -> Float32[np.ndarray, "items dim"]:
        """Return one vector for each file or array, in the order given.

        Args:
            sounds: One or several: paths, or float arrays of shape (samples,) or (samples, channels) in [-1, 1].
            sample_rate: Of the arrays, in Hz; the model's own if left out.
            format: `wave`, `mel` or `both`.
            part: `words` or `voices`, of a model that has both; all of it if left out.
            whiten: Make vectors ready for cosines, by what was learned from the training data.
            batch: Sounds a step.
            normalize: Scale each vector to length 1.
            progress: Show a progress bar.

        Raises:
            AudioError: a file or array that cannot be used; the message names it.
        """
        listed = [sounds] if isinstance(sounds, str | Path | np.ndarray) else list(sounds)
        clips = [self._prepared(sound, place, sample_rate) for place, sound in enumerate(listed)]
        if not clips:
            return np.zeros((0, self.dim(format, part=part)), dtype=np.float32)
        model = self.checkpoint.model
        vectors = embed_clips(model, Listed(clips), self.sample_rate, format=format, batch=batch, progress=progress)
        names = np.full(len(clips), "")
        plain = Embeddings(vectors, names, {}, part_bounds(model, format), names)
        wanted = _wanted(plain, self.checkpoint, part, whiten=whiten).vectors
        return _unit(wanted) if normalize else wanted

    def encode_frames(
        self,
        sound: str | Path | np.ndarray,
        *,
        window: float = 1.0,
        hop: float = 0.5,
        format: Format = "both",
        batch: int = 64,
    ) -> tuple[Float32[np.ndarray, "windows dim"], Float64[np.ndarray, " windows"]]:
        """Return a vector for each window of a long recording, and the windows' starts in seconds.

        The last window ends with the recording, so no sound is left out; a recording shorter than a window is one.

        Args:
            sound: A path, or samples at the model's rate.
            window: Length in seconds.
            hop: Step in seconds.
            format: `wave`, `mel` or `both`.
            batch: Windows a step.
        """
        if not (window > 0 and hop > 0):
            raise AudioError(f"wanted a window and a hop above 0 seconds, got {window} and {hop}")
        samples = self._prepared(sound, 0, None)
        size, step = round(window * self.sample_rate), max(1, round(hop * self.sample_rate))
        starts = np.arange(0, max(1, len(samples) - size + 1), step)
        if starts[-1] + size < len(samples):
            starts = np.append(starts, len(samples) - size)
        windows = Listed([samples[start : start + size] for start in starts])
        vectors = embed_clips(self.checkpoint.model, windows, self.sample_rate, format=format, batch=batch)
        return vectors, starts / self.sample_rate

    def similarity(
        self, a: Float32[np.ndarray, "items dim"], b: Float32[np.ndarray, "others dim"]
    ) -> Float32[np.ndarray, "items others"]:
        """Return the cosine of every vector of `a` with every vector of `b`."""
        cosines: Float32[np.ndarray, "_ _"] = _unit(a) @ _unit(b).T
        return cosines

    def _prepared(self, sound: str | Path | np.ndarray, place: int, sample_rate: int | None) -> Samples:
        preparation = self.checkpoint.recipe.preparation
        if isinstance(sound, str | Path):
            samples, rate = read_audio(Path(sound))
            return prepare(samples, rate, preparation)
        samples = np.asarray(sound, dtype=np.float32)
        samples = samples.mean(axis=1) if samples.ndim == 2 else samples
        if samples.ndim != 1 or len(samples) == 0 or not np.isfinite(samples).all():
            raise AudioError(f"array {place}: wanted finite samples of shape (samples,) or (samples, channels)")
        return prepare(samples, sample_rate or preparation.sample_rate, preparation)


def load(folder: str | Path, *, device: str = "auto") -> Embedder:
    """Load a trained model from its folder, or from the folder of its run."""
    return Embedder(load_checkpoint(Path(folder)), device=device)


def _wanted(found: Embeddings, checkpoint: Checkpoint, part: Part | None, *, whiten: bool) -> Embeddings:
    """Return a part of embeddings, or all of them, whitened or as they are."""
    chosen = found.only(part) if part else found
    if whiten and not checkpoint.whitening:
        raise CheckpointError(f"{checkpoint.folder}: no whitening was learned with this model; leave whiten out")
    return chosen.whiten(checkpoint.whitening) if whiten else chosen


def _decode(recordings: Sequence[Recording], preparation: Preparation) -> Iterable[Samples | MfclError]:
    def decode(recording: Recording) -> Samples | MfclError:
        try:
            samples, rate = read_audio(recording.path, start=recording.start, end=recording.end)
            return prepare(samples, rate, preparation)
        except MfclError as error:
            return error

    with ThreadPoolExecutor() as pool:  # libsndfile and soxr release the interpreter's lock
        return list(pool.map(decode, recordings))


def _unit(vectors: Float32[np.ndarray, "items dim"]) -> Float32[np.ndarray, "items dim"]:
    lengths = np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
    return np.asarray(vectors / lengths, dtype=np.float32)


def _report(failed: Sequence[tuple[str, str]], path: Path | None) -> None:
    if not failed:
        return
    where = "" if path is None else f"; all of them in {path}"
    print(f"{len(failed)} recordings left out, the first: {failed[0][1]}{where}", file=sys.stderr)  # noqa: T201
    if path is not None:
        with replacing(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as out:
            csv.writer(out).writerows([("id", "reason"), *failed])
