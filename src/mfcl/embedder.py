"""A trained model in hand: load it, and embed sounds given as arrays or files."""

import importlib
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float32, Float64

from mfcl.audio import Preparation, Sound, heard, prepare, read_prepared
from mfcl.audio.arrays import Sounds, listed, mono_samples, whole_rate
from mfcl.audio.windows import bounded, hop_of, window_samples, window_starts
from mfcl.checkpoint import Checkpoint, load_checkpoint
from mfcl.core.console import printable
from mfcl.core.machine import pick_device
from mfcl.core.urls import as_path
from mfcl.data.decoding import held_samples
from mfcl.embeddings.linalg import unit_rows
from mfcl.embeddings.parts import matching
from mfcl.embeddings.table import Embeddings
from mfcl.embeddings.whitening import Whitening
from mfcl.errors import AudioError, CheckpointError, MeasureError
from mfcl.models.inference import Format, Listed, embed_clips, part_bounds
from mfcl.models.pair import MultiFormatModel
from mfcl.recipe import Recipe

log = logging.getLogger(__name__)


def __getattr__(name: str) -> Any:
    """Find `embed` by its path of version 0.1; it lives on the floor above."""
    if name == "embed":
        return importlib.import_module("mfcl.embedding_lists").embed
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


class Windows(NamedTuple):
    """Embeddings of the windows of one recording, with their starts and ends."""

    vectors: Float32[np.ndarray, "windows dim"]
    starts: Float64[np.ndarray, " windows"]
    """Seconds."""
    ends: Float64[np.ndarray, " windows"]
    """Seconds."""


class Embedder:
    """Embed arrays or files with a trained model. Made by `mfcl.load` and `mfcl.train`.

    Attributes:
        checkpoint: The loaded model with its recipe, folder and facts of the run.
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
        """All settings that the model was trained with."""
        return self.checkpoint.recipe

    @property
    def folder(self) -> Path:
        """The folder that the model was loaded from."""
        return self.checkpoint.folder

    @property
    def info(self) -> Mapping[str, Any]:
        """The mfcl version that saved the model, the embedding sizes, and facts of the training run."""
        return self.checkpoint.info

    @property
    def whitening(self) -> Mapping[str, Whitening]:
        """The PCA whitening of each embedding part, fitted on training embeddings; empty if there is none."""
        return self.checkpoint.whitening

    @property
    def sample_rate(self) -> int:
        """The sample rate in Hz that all sound is resampled to."""
        return self.recipe.preparation.sample_rate

    def dim(self, format: Format | None = None, *, part: str | None = None) -> int:
        """Return the size of an embedding before whitening."""
        bounds = part_bounds(self.model, format)
        return sum(bounds[name][1] - bounds[name][0] for name in (bounds if part is None else matching(bounds, part)))

    def encode(
        self,
        sounds: Sounds,
        *,
        sample_rate: int | float | None = None,
        format: Format | None = None,
        part: str | None = None,
        whiten: bool = False,
        batch: int = 64,
        normalize: bool = False,
        progress: bool = False,
    ) -> Float32[np.ndarray, "items dim"]:
        """Return one vector for each file or array, in input order.

        Args:
            sounds: One sound, or a list of several. Each is a path, or samples of shape (samples,),
                (samples, channels), (1, samples) or (2, samples): floats in [-1, 1], int16, int32 or uint8. Tensors and
                lists of numbers work too.
            sample_rate: Sample rate of the arrays in Hz; default: the model's.
            format: `wave`, `mel` or `both`; default: `both`, of a model of published weights their format alone.
            part: `words` (or `content`), or `voices` (or `speaker`), of a model that has both; default: all.
            whiten: Apply the PCA whitening fitted on training embeddings, for cosine similarity.
            batch: Sounds per forward pass.
            normalize: Scale each vector to length 1.
            progress: Show a progress bar.

        Raises:
            AudioError: a file or array cannot be used; the message names it.
            MfclError: an unknown format or part, or a batch below 1.
        """
        check_asked(self.checkpoint, format, part, whiten=whiten)
        rate = self._rate(sample_rate)
        given = listed(sounds)
        if not given:
            return self._only(np.zeros((0, self.dim(format)), dtype=np.float32), format, part, whiten=whiten)
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
        format: Format | None = None,
        part: str | None = None,
        whiten: bool = False,
        batch: int = 64,
    ) -> Windows:
        """Return a vector for each window of a recording, and the windows' starts and ends in seconds.

        The last window ends where the recording ends, so all sound is covered. A recording shorter than `window` is one
        window. Silence at the ends is kept, so that times refer to the original recording.

        Args:
            sound: A path or samples; see `encode`.
            sample_rate: Sample rate of the samples in Hz; default: the model's.
            window: Window length in seconds.
            hop: Step between window starts in seconds; default: half a window.
            format: See `encode`.
            part: See `encode`.
            whiten: See `encode`.
            batch: Windows per forward pass.

        Raises:
            AudioError: the recording, the window or the hop cannot be used.
            MfclError: an unknown format or part, or a batch below 1.

        Example:
            ``vectors, starts, ends = model.encode_windows("dawn.flac", window=3.0)``
        """
        check_asked(self.checkpoint, format, part, whiten=whiten)
        rate, step = self._rate(sample_rate), hop_seconds(window, hop)
        whole = self._prepared(sound, "array", rate, self.recipe.preparation.uncut)
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
        format: Format | None = None,
        batch: int = 64,
    ) -> tuple[Float32[np.ndarray, "windows dim"], Float64[np.ndarray, " windows"]]:
        """Return vectors and starts in seconds of all windows: `encode_windows` as version 0.1 called it."""
        found = self.encode_windows(sound, window=window, hop=hop, format=format, batch=batch)
        return found.vectors, found.starts

    def similarity(
        self,
        a: Float32[np.ndarray, "items dim"] | Float32[np.ndarray, " dim"],
        b: Float32[np.ndarray, "others other_dim"] | Float32[np.ndarray, " other_dim"],
    ) -> Float32[np.ndarray, "_ _"]:
        """Return the cosine similarity of every vector of `a` with every vector of `b`; one vector is one row.

        Raises:
            MeasureError: vectors of two lengths.
        """
        rows, others = np.atleast_2d(a), np.atleast_2d(b)
        if rows.shape[1] != others.shape[1]:
            raise MeasureError(
                f"similarity: wanted vectors of equal length, got {rows.shape[1]} and {others.shape[1]} values; "
                "encode both alike (format, part, whiten)"
            )
        cosines: Float32[np.ndarray, "_ _"] = unit_rows(rows, np.float32) @ unit_rows(others, np.float32).T
        return cosines

    def _rate(self, sample_rate: int | float | None) -> int:
        return self.sample_rate if sample_rate is None else whole_rate(sample_rate)

    def _prepared(self, sound: Any, name: str, sample_rate: int, preparation: Preparation | None = None) -> Sound:
        chosen = preparation or self.recipe.preparation
        if isinstance(sound, str | Path):
            read, notices = read_prepared(as_path(sound), chosen)
            for notice in notices:
                log.warning("%s: %s", printable(str(as_path(sound))), notice)
            return heard(read)
        return heard(prepare(mono_samples(sound, name=name), sample_rate, chosen))

    def _only(
        self, vectors: Float32[np.ndarray, "items _"], format: Format | None, part: str | None, *, whiten: bool
    ) -> Float32[np.ndarray, "items _"]:
        """Select one part of the vectors and whiten it, as asked."""
        names = np.full(len(vectors), "")
        plain = Embeddings(vectors, names, {}, part_bounds(self.model, format), names)
        return chosen_part(plain, self.checkpoint, part, whiten=whiten).vectors


def load(folder: str | Path, *, device: str = "auto") -> Embedder:
    """Load a trained model from its folder or its run's folder.

    Raises:
        MfclError: there is no path, no model, or one that is damaged or of another version.
    """
    return Embedder(load_checkpoint(folder), device=device)


def checkpoint_of(given: Checkpoint | Embedder | str | Path) -> Checkpoint:
    """Return a model that is loaded, or load it from its folder."""
    if isinstance(given, Embedder):
        return given.checkpoint
    return given if isinstance(given, Checkpoint) else load_checkpoint(given)


def hop_seconds(window: int | float | None, hop: int | float | None) -> int | float:
    """Check window and hop, and return the hop in seconds: by default half a window."""
    if window is None:
        if hop is not None:
            raise AudioError(f"hop: {hop} s is the step from window to window; give a window too")
        return 0.0
    return hop_of(window, hop)


def check_asked(checkpoint: Checkpoint, format: Format | None, part: str | None, *, whiten: bool) -> None:
    """Refuse what a model cannot give, before anything is read or written.

    Raises:
        MfclError: there is no such format or part, or the model has no whitening.
    """
    bounds = part_bounds(checkpoint.model, format)
    if part is not None:
        matching(bounds, part)
    if whiten and not checkpoint.whitening:
        raise CheckpointError(f"{checkpoint.folder}: no whitening was learned with this model; set whiten=False")


def chosen_part(found: Embeddings, checkpoint: Checkpoint, part: str | None, *, whiten: bool) -> Embeddings:
    """Select one part of the embeddings, or all, and whiten it if asked; see `check_asked`."""
    chosen = found.only(part) if part else found
    return chosen.whiten(checkpoint.whitening) if whiten else chosen
