"""From a checkpoint and recordings to embeddings: input order, bounded memory, bad files named and left out."""

import contextlib
import csv
import logging
import sys
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import TypeVar

import numpy as np
from jaxtyping import Float32, Float64

from mfcl.audio import LongSound, Preparation, Sound, heard, prepare, read_prepared
from mfcl.checkpoint import Checkpoint, load_checkpoint
from mfcl.core.console import printable
from mfcl.core.console import progress as progress_bar
from mfcl.core.files import replacing
from mfcl.core.parallel import in_parallel
from mfcl.data.layouts import open_manifest
from mfcl.data.manifest import Manifest, Recording
from mfcl.embeddings.table import Embeddings
from mfcl.errors import AudioError, CheckpointError, MfclError
from mfcl.models.inference import Format, Listed, Part, Windows, embed_clips, part_bounds, pick_device

log = logging.getLogger(__name__)

CHUNK = 512
"""Recordings embedded at a time, at the most."""
MOST_SAMPLES = 1 << 25
"""Samples held at a time, or one recording more: 128 MiB."""
FEW_LONG = 8
"""Long recordings at a time: each is an open file."""
Decoded = TypeVar("Decoded")


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
        failures: Where to write a CSV of the files left out and of those with something wrong (`id,reason,kind`, the
            kind being `failure` or `notice`); written only if there are any.
        strict: Make the first bad file an error.
        device: `auto`, `cpu`, `cuda`, ...
        progress: Show a progress bar.

    Raises:
        MfclError: nothing could be embedded, or (`strict`) a file could not be read.
    """
    loaded = checkpoint if isinstance(checkpoint, Checkpoint) else load_checkpoint(Path(checkpoint))
    manifest = recordings if isinstance(recordings, Manifest) else open_manifest(Path(recordings))
    model = loaded.model.to(pick_device(device))
    preparation = loaded.recipe.preparation
    vectors: list[Float32[np.ndarray, "items dim"]] = []
    kept: list[int] = []
    failed: list[tuple[str, str]] = []
    noticed: list[tuple[str, str]] = []
    decoded = in_parallel(partial(_decode, preparation=preparation), manifest.recordings, what="decoding", shown=False)
    with (
        contextlib.closing(decoded),
        progress_bar(total=len(manifest), what="embedding", unit="clips", shown=progress) as bar,
    ):
        for first, chunk in _chunks(decoded):
            clips: list[Sound] = []
            for place, outcome in enumerate(chunk, start=first):
                name = manifest.recordings[place].id
                if isinstance(outcome, MfclError):
                    if strict:
                        raise outcome
                    failed.append((name, str(outcome)))
                    continue
                sound, notices = outcome
                clips.append(sound)
                kept.append(place)
                noticed += [(name, notice) for notice in notices]
            if clips:
                vectors.append(embed_clips(model, Listed(clips), preparation.sample_rate, format=format, batch=batch))
            bar.update(len(chunk))
    _report(failed, noticed, failures)
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
        if not listed:
            return np.zeros((0, self.dim(format, part=part)), dtype=np.float32)
        model = self.checkpoint.model
        prepared = (self._prepared(sound, place, sample_rate) for place, sound in enumerate(listed))
        vectors = np.concatenate(
            [
                embed_clips(model, Listed(clips), self.sample_rate, format=format, batch=batch, progress=progress)
                for _, clips in _chunks(prepared, most=len(listed))
            ]
        )
        names = np.full(len(listed), "")
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
        windows = Windows(samples, starts, size)
        vectors = embed_clips(self.checkpoint.model, windows, self.sample_rate, format=format, batch=batch)
        return vectors, starts / self.sample_rate

    def similarity(
        self, a: Float32[np.ndarray, "items dim"], b: Float32[np.ndarray, "others dim"]
    ) -> Float32[np.ndarray, "items others"]:
        """Return the cosine of every vector of `a` with every vector of `b`."""
        cosines: Float32[np.ndarray, "_ _"] = _unit(a) @ _unit(b).T
        return cosines

    def _prepared(self, sound: str | Path | np.ndarray, place: int, sample_rate: int | None) -> Sound:
        preparation = self.checkpoint.recipe.preparation
        if isinstance(sound, str | Path):
            read, notices = read_prepared(Path(sound), preparation)
            for notice in notices:
                log.warning("%s: %s", printable(str(sound)), notice)
            return heard(read)
        samples = np.asarray(sound, dtype=np.float32)
        samples = samples.mean(axis=1) if samples.ndim == 2 else samples
        if samples.ndim != 1 or len(samples) == 0 or not np.isfinite(samples).all():
            raise AudioError(f"array {place}: wanted finite samples of shape (samples,) or (samples, channels)")
        return heard(prepare(samples, sample_rate or preparation.sample_rate, preparation))


def load(folder: str | Path, *, device: str = "auto") -> Embedder:
    """Load a trained model from its folder, or from the folder of its run."""
    return Embedder(load_checkpoint(Path(folder)), device=device)


def _wanted(found: Embeddings, checkpoint: Checkpoint, part: Part | None, *, whiten: bool) -> Embeddings:
    """Return a part of embeddings, or all of them, whitened or as they are."""
    chosen = found.only(part) if part else found
    if whiten and not checkpoint.whitening:
        raise CheckpointError(f"{checkpoint.folder}: no whitening was learned with this model; leave whiten out")
    return chosen.whiten(checkpoint.whitening) if whiten else chosen


def _decode(recording: Recording, preparation: Preparation) -> tuple[Sound, tuple[str, ...]] | MfclError:
    try:
        sound, notices = read_prepared(recording.path, preparation, start=recording.start, end=recording.end)
    except MfclError as error:
        return error
    return heard(sound), notices


def _chunks(decoded: Iterable[Decoded], *, most: int = CHUNK) -> Iterator[tuple[int, list[Decoded]]]:
    """Yield what was decoded some at a time, and the place of the first; what is held counts, not only how many."""
    first, chunk, samples = 0, [], 0
    for one in decoded:
        sound = one[0] if isinstance(one, tuple) else one
        chunk.append(one)
        if isinstance(sound, LongSound):
            samples += MOST_SAMPLES // FEW_LONG
        elif isinstance(sound, np.ndarray):
            samples += sound.size
        if len(chunk) == most or samples >= MOST_SAMPLES:
            yield first, chunk
            first, chunk, samples = first + len(chunk), [], 0
    if chunk:
        yield first, chunk


def _unit(vectors: Float32[np.ndarray, "items dim"]) -> Float32[np.ndarray, "items dim"]:
    lengths = np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
    return np.asarray(vectors / lengths, dtype=np.float32)


def _report(failed: Sequence[tuple[str, str]], noticed: Sequence[tuple[str, str]], path: Path | None) -> None:
    """Print how many files are left out and how many have something wrong, and write all of them down."""
    if not failed and not noticed:
        return
    where = "" if path is None else f"; all of them in {printable(str(path))}"
    if failed:
        print(f"{len(failed)} recordings left out, the first: {printable(failed[0][1])}{where}", file=sys.stderr)  # noqa: T201
    if noticed:
        count, first = len({name for name, _ in noticed}), printable(": ".join(noticed[0]))
        print(f"{count} recordings used although something is wrong, the first: {first}{where}", file=sys.stderr)  # noqa: T201
    if path is not None:
        rows = [(*one, kind) for kind, some in (("failure", failed), ("notice", noticed)) for one in some]
        with replacing(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as out:
            csv.writer(out).writerows([("id", "reason", "kind"), *rows])
