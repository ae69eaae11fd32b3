"""A wrapper of a store that adds noise to its recordings or changes their gain."""

import functools
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from jaxtyping import Float32, Float64, Int64

from mfcl.audio.arrays import padded
from mfcl.core.random import generator
from mfcl.data.manifest import Manifest
from mfcl.data.store import Store
from mfcl.errors import MeasureError
from mfcl.evaluation.babble import Babble, Crowd

Colour = Literal["white", "pink", "babble"]
COLOURS = ("white", "pink", "babble")
LONG = 1 << 22  # samples; for longer recordings the noise is generated in blocks
BLOCK = 1 << 20  # samples


@dataclass(frozen=True, eq=False)
class Disturbed:
    """A store's recordings with noise added or the gain changed, without clipping.

    A recording's noise depends only on the seed and its id: it does not depend on the batch, the order, or the piece
    that is read.

    Attributes:
        store: The clean recordings.
        snr_db: Signal-to-noise ratio over each whole clip in dB; None adds no noise. A silent clip stays silent.
        gain_db: Change of level in dB, applied after the noise.
        seed: Seed of the noise.
        colour: `white`, `pink` (power falls by 3 dB per octave), or `babble` (other speakers talking at once).
        babble: What babble is made of.

    Raises:
        MeasureError: the colour is unknown, a number is not finite, or babble has nothing to be made of.

    Example:
        `embed_store(model, Disturbed(data.store, snr_db=10))`
    """

    store: Store
    snr_db: float | None = None
    gain_db: float = 0.0
    seed: int = 0
    colour: Colour = "white"
    babble: Babble | None = None
    _scales: dict[int, float] = field(default_factory=dict, init=False, repr=False)

    def __post_init__(self) -> None:
        if self.colour not in COLOURS:
            raise MeasureError(f"noise: wanted a colour of {', '.join(COLOURS)}, got {self.colour!r}")
        if not np.isfinite([self.snr_db or 0.0, self.gain_db]).all():
            raise MeasureError(
                f"noise: wanted finite numbers of dB, got {self.snr_db} and {self.gain_db}; "
                "leave out snr_db for no noise"
            )
        if (self.colour == "babble") != (self.babble is not None):
            raise MeasureError(
                "noise: babble needs `babble`, the recordings that it is made of, and other colours need none; "
                f"got {self.colour!r} {'without' if self.babble is None else 'with'} them"
            )
        if self.babble is not None and self.babble.store.sample_rate != self.store.sample_rate:
            raise MeasureError(
                f"noise: wanted babble at {self.store.sample_rate} Hz like the recordings, got "
                f"{self.babble.store.sample_rate} Hz; prepare both alike"
            )

    @property
    def manifest(self) -> Manifest:
        """Return the manifest, whose order all indices refer to."""
        return self.store.manifest

    @property
    def lengths(self) -> Int64[np.ndarray, " items"]:
        """Return the length of each recording in samples."""
        return self.store.lengths

    @property
    def sample_rate(self) -> int:
        """Return the rate in Hz."""
        return self.store.sample_rate

    def __len__(self) -> int:
        return len(self.store)

    def select(self, indices: Int64[np.ndarray, " chosen"]) -> "Disturbed":
        """Return the recordings at `indices`, in that order, with the same noise."""
        return Disturbed(self.store.select(indices), self.snr_db, self.gain_db, self.seed, self.colour, self.babble)

    def clip(self, index: int) -> Float32[np.ndarray, " samples"]:
        """Return one whole recording with noise and gain."""
        return self.piece(index, 0, int(self.lengths[index]))

    def piece(self, index: int, start: int, stop: int) -> Float32[np.ndarray, " samples"]:
        """Return the samples of one recording from `start` to `stop`, with noise and gain."""
        length = int(self.lengths[index])
        if self.snr_db is None or not length:
            disturbed = self.store.piece(index, start, stop)
        elif length <= LONG:
            clean = self.store.clip(index)
            noise = noise_for(clean, self.snr_db, self.seed, self._name(index), self.colour, self._crowd(index))
            disturbed = (clean + noise)[start:stop]
        else:
            disturbed = self._long_piece(index, start, min(stop, length), self.snr_db)
        return disturbed * np.float32(10 ** (self.gain_db / 20))

    def _name(self, index: int) -> str:
        return self.manifest.recordings[index].id

    def _crowd(self, index: int) -> Crowd | None:
        return None if self.babble is None else self.babble.around(self.manifest.recordings[index])

    def _long_piece(self, index: int, start: int, stop: int, snr_db: float) -> Float32[np.ndarray, " samples"]:
        """Return a piece of a long recording with noise, generated in blocks so that memory is bounded."""
        clean, name, blocks = (
            self.store.piece(index, start, stop),
            self._name(index),
            range(start // BLOCK, -(-stop // BLOCK)),
        )
        crowd = self._crowd(index)
        noise = np.concatenate([noise_block(self.seed, name, block, self.colour, crowd) for block in blocks])
        scale = self._scale(index, snr_db)
        return clean + np.float32(scale) * noise[start - blocks.start * BLOCK :][: len(clean)]

    def _scale(self, index: int, snr_db: float) -> float:
        """Return the noise scale of a long recording, computed once from the energy of all its samples and noise."""
        if index not in self._scales:
            energy, own, name, crowd = 0.0, 0.0, self._name(index), self._crowd(index)
            for start in range(0, int(self.lengths[index]), BLOCK):
                clean = self.store.piece(index, start, start + BLOCK).astype(np.float64)
                noise = noise_block(self.seed, name, start // BLOCK, self.colour, crowd)[: len(clean)]
                energy += float(np.square(clean).sum())
                own += float(np.square(noise, dtype=np.float64).sum())
            self._scales[index] = np.sqrt(energy / own) * 10 ** (-snr_db / 20)
        return self._scales[index]

    def gather(
        self,
        indices: Int64[np.ndarray, " batch"],
        starts: Int64[np.ndarray, " batch"],
        counts: Int64[np.ndarray, " batch"],
    ) -> Float32[np.ndarray, "batch samples"]:
        """Return a batch of pieces, `counts` samples from `starts` on, padded with zeros to one length.

        Raises:
            IndexError: a piece reaches beyond its recording.
        """
        if np.any((starts < 0) | (counts < 0) | (starts + counts > self.lengths[indices])):
            raise IndexError("a piece reaches beyond its recording")
        pieces = zip(indices.tolist(), starts.tolist(), counts.tolist(), strict=True)
        return padded((self.piece(index, start, start + count) for index, start, count in pieces), counts)


def noise_for(
    clean: Float32[np.ndarray, " samples"],
    snr_db: float,
    seed: int,
    recording: str,
    colour: Colour,
    crowd: Crowd | None = None,
) -> Float32[np.ndarray, " samples"]:
    """Return noise whose energy over the whole clip is exactly `snr_db` below the clip's."""
    noise = _raw(generator(seed, "disturbed", recording), len(clean), colour, crowd)
    energy, own = (float((wave.astype(np.float64) ** 2).sum()) for wave in (clean, noise))
    scale = np.sqrt(energy / own) * 10 ** (-snr_db / 20) if own > 0 else 0.0
    return (scale * noise).astype(np.float32)


@functools.lru_cache(maxsize=4)
def noise_block(
    seed: int, recording: str, block: int, colour: Colour, crowd: Crowd | None = None
) -> Float32[np.ndarray, " samples"]:
    """Return one block of a long recording's noise, independent of the blocks before it."""
    return _raw(generator(seed, "disturbed", recording, block), BLOCK, colour, crowd).astype(np.float32)


def _raw(
    numbers: np.random.Generator, length: int, colour: Colour, crowd: Crowd | None
) -> Float64[np.ndarray, " samples"]:
    """Return noise of no particular level; a crowd makes babble."""
    if crowd is not None:
        return crowd.noise(numbers, length)
    raw = numbers.standard_normal(length)
    return raw if colour == "white" else pink(raw)


def pink(white: Float64[np.ndarray, " samples"]) -> Float64[np.ndarray, " samples"]:
    """Filter white noise to pink: power falls with 1 / frequency, and the mean is 0."""
    if len(white) < 3:
        return white
    spectrum = np.fft.rfft(white)
    spectrum[1:] /= np.sqrt(np.arange(1, len(spectrum)))
    spectrum[0] = 0
    return np.fft.irfft(spectrum, n=len(white))
