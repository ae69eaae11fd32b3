"""Turn recordings into voice vectors with a trained model; the only file here that loads torch."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float32, Int64

from mfcl.audio import Sound, heard, prepare
from mfcl.audio.arrays import mono_samples, whole_rate
from mfcl.audio.preparation import SILENCE_DB, swing_db
from mfcl.audio.windows import check_window
from mfcl.checkpoint import model_digest
from mfcl.data.decoding import LeftOut, recording_windows, whole_recordings
from mfcl.data.ids import whole_id
from mfcl.data.manifest import Manifest
from mfcl.embedder import Embedder, load
from mfcl.embeddings.parts import Part, matching
from mfcl.embeddings.table import Embeddings
from mfcl.errors import AudioError, GalleryError
from mfcl.models.inference import Listed, embed_clips, part_bounds
from mfcl.voices.sound import Heard, HeardWindows, amount_of_sound, joined


class ModelListener:
    """Hears clips with a trained model: the whitened part for voices, or all of a model that has none.

    Args:
        model: A trained model, or its folder.
        device: `auto`, `cpu`, `cuda`, ...

    Attributes:
        digest: Digest of weights, whitening and settings: vectors of equal digests can be compared.
        folder: The model's folder.
        part: `voices`, or "" for all.
        dim: Size of a vector.

    Raises:
        GalleryError: the model has no whitening.
    """

    def __init__(self, model: Embedder | str | Path, *, device: str = "auto") -> None:
        self.model = model if isinstance(model, Embedder) else load(model, device=device)
        folder = self.model.folder
        if not self.model.whitening:
            raise GalleryError(f"{folder}: no whitening was learned with this model; train it with this version")
        self.folder = str(folder.resolve())
        self.digest = model_digest(self.model.checkpoint)
        names = part_bounds(self.model.model)
        self.part = "voices" if "speaker" in {Part.parse(name).role for name in names} else ""
        used = matching(names, self.part) if self.part else names
        self.dim = sum(self.model.whitening[name].directions.shape[1] for name in used)

    def hear(self, manifest: Manifest, left_out: LeftOut) -> tuple[Heard, Int64[np.ndarray, " clips"]]:
        """Return all recordings that can be read, and each one's index in the manifest.

        Raises:
            AudioError: none can be read.
        """
        preparation, found, places = self.model.recipe.preparation, [], []
        for pieces in whole_recordings(manifest, preparation, left_out):
            found.append(self._heard([(manifest.recordings[one.recording].id, one.samples) for one in pieces]))
            places += [piece.recording for piece in pieces]
        if not found:
            raise left_out.none_read(manifest.root)
        return joined(found), np.array(places, dtype=np.int64)

    def windows(
        self, manifest: Manifest, left_out: LeftOut, *, window: int | float, hop: int | float
    ) -> Iterator[HeardWindows]:
        """Yield the windows of each recording, one recording after another; of one the windows' vectors are kept.

        A segment is named by its file, as its windows' times are: in seconds from the file's beginning.

        Raises:
            AudioError: none can be read, or window or hop cannot be used.
        """
        check_window(window, hop)
        rate = self.model.sample_rate
        some: list[Heard] = []
        limits: list[tuple[float, float]] = []
        current = -1

        def collected() -> HeardWindows:
            name = whole_id(manifest.recordings[current].id)
            return HeardWindows(name, joined(some), *np.array(limits, dtype=np.float64).T)

        for pieces in recording_windows(manifest, self.model.recipe.preparation, left_out, window=window, hop=hop):
            for place in dict.fromkeys(piece.recording for piece in pieces):
                if some and place != current:
                    yield collected()
                    some, limits = [], []
                current, own = place, [piece for piece in pieces if piece.recording == place]
                some.append(self._heard([(manifest.recordings[place].id, piece.samples) for piece in own]))
                limits += [(piece.start, piece.start + len(piece.samples) / rate) for piece in own]
        if not some:
            raise left_out.none_read(manifest.root)
        yield collected()

    def arrays(self, sounds: Sequence[Any], sample_rate: int | float | None) -> Heard:
        """Return what is heard of arrays of samples; they are called `array 0` and so on.

        Raises:
            AudioError: an array is no sound, or silent as no file may be: its vector would be like some voice's.
        """
        rate, preparation = self.model.sample_rate, self.model.recipe.preparation
        given = rate if sample_rate is None else whole_rate(sample_rate)
        samples = [mono_samples(one, name=f"array {place}") for place, one in enumerate(sounds)]
        for place, one in enumerate(samples):
            level = swing_db(one)
            if level < SILENCE_DB:
                raise AudioError(f"array {place}: silent: {level:.0f} dB; replace it or leave it out")
        prepared = [heard(prepare(one, given, preparation)) for one in samples]
        if not prepared:
            raise AudioError("wanted sounds, got none; give at least one")
        return self._heard([(f"array {place}", one) for place, one in enumerate(prepared)])

    def _heard(self, sounds: Sequence[tuple[str, Sound]]) -> Heard:
        rate = self.model.sample_rate
        clips = [sound for _, sound in sounds]
        return self.heard_of(embed_clips(self.model.model, Listed(clips), rate), sounds)

    def heard_of(self, vectors: Float32[np.ndarray, "items dim"], sounds: Sequence[tuple[str, Sound]]) -> Heard:
        """Return what is heard of prepared sounds that are embedded already.

        Args:
            vectors: Their embeddings by this model, of its default format.
            sounds: A name and the samples of each.
        """
        names = np.full(len(vectors), "")
        table = Embeddings(vectors, names, {}, part_bounds(self.model.model), names)
        chosen = (table.only(self.part) if self.part else table).whiten(self.model.whitening)
        amounts = np.array([amount_of_sound(clip, self.model.sample_rate) for _, clip in sounds])
        return Heard(chosen.vectors, amounts[:, 0], amounts[:, 1], tuple(name for name, _ in sounds))
