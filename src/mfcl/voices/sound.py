"""What was heard of clips: their vectors, and how much sound they hold."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Bool, Float32, Float64, Int64

from mfcl.audio import LongSound, Sound
from mfcl.audio.preparation import decibels
from mfcl.data.decoding import LeftOut
from mfcl.data.manifest import Manifest

FRAMES_A_SECOND = 100
QUIET_DB = 30.0
"""A frame this far below the loudest tenth of a clip's frames is a pause."""


@dataclass(frozen=True, eq=False)
class Heard:
    """Clips as a gallery needs them."""

    vectors: Float32[np.ndarray, "clips dim"]
    """Whitened vectors of the model's part for voices."""
    seconds: Float64[np.ndarray, " clips"]
    """Seconds of sound of each clip, pauses left out."""
    levels: Float64[np.ndarray, " clips"]
    """Level of each clip's sound in dB relative to full scale."""
    sources: tuple[str, ...]
    """Name of each clip."""
    files: tuple[Path, ...] = ()
    """File of each clip, empty where a clip's name is its file."""

    def __len__(self) -> int:
        return len(self.vectors)

    @property
    def quality(self) -> Float64[np.ndarray, "clips 2"]:
        """Logarithm of the seconds of sound, and level in dB."""
        return np.stack([np.log(np.maximum(self.seconds, 0.01)), self.levels], axis=1)

    def select(self, chosen: Bool[np.ndarray, " clips"] | Int64[np.ndarray, " chosen"]) -> "Heard":
        """Return some of the clips."""
        places = np.arange(len(self))[chosen]
        sources = tuple(self.sources[place] for place in places.tolist())
        files = tuple(self.files[place] for place in places.tolist()) if self.files else ()
        return Heard(self.vectors[places], self.seconds[places], self.levels[places], sources, files)


@dataclass(frozen=True, eq=False)
class HeardWindows:
    """The windows of one recording."""

    source: str
    """Its name; of a segment its file's."""
    heard: Heard
    starts: Float64[np.ndarray, " windows"]
    """Seconds from the file's beginning."""
    ends: Float64[np.ndarray, " windows"]
    """Seconds from the file's beginning."""


@runtime_checkable
class Listener(Protocol):
    """What a gallery needs of a model; `mfcl.voices.hearing.ModelListener` is one."""

    digest: str
    """Digest of weights, whitening and settings."""
    folder: str
    """Where the model is."""
    part: str
    """The part of the embedding that is used, "" for all."""
    dim: int
    """Size of a vector."""

    def hear(self, manifest: Manifest, left_out: LeftOut) -> tuple[Heard, Int64[np.ndarray, " clips"]]:
        """Return all recordings that can be read, and each one's index in the manifest."""
        ...

    def windows(
        self, manifest: Manifest, left_out: LeftOut, *, window: int | float, hop: int | float
    ) -> Iterable[HeardWindows]:
        """Return the windows of each recording that can be read, in the order of the list."""
        ...

    def arrays(self, sounds: Sequence[Any], sample_rate: int | float | None) -> Heard:
        """Return what is heard of arrays of samples; they are called `array 0` and so on."""
        ...


def amount_of_sound(sound: Sound, sample_rate: int) -> tuple[float, float]:
    """Return the seconds of sound, pauses left out, and their level in dB relative to full scale.

    Example:
        >>> wave = np.concatenate([np.full(8000, 0.1), np.zeros(8000)]).astype(np.float32)
        >>> seconds, level = amount_of_sound(wave, 16000)
        >>> round(seconds, 2), round(level, 1)
        (0.5, -20.0)
    """
    frame = max(1, sample_rate // FRAMES_A_SECOND)
    blocks = sound.blocks() if isinstance(sound, LongSound) else [sound]
    powers = np.concatenate([_frame_powers(block, frame) for block in blocks])
    loud = float(np.quantile(powers, 0.9))
    spoken = powers[powers >= loud * 10 ** (-QUIET_DB / 10)]
    return len(spoken) * frame / sample_rate, decibels(float(spoken.mean()))


def joined(some: Sequence[Heard]) -> Heard:
    """Return clips that were heard apart, one after another."""
    vectors, seconds, levels = (
        np.concatenate([getattr(one, name) for one in some]) for name in ("vectors", "seconds", "levels")
    )
    return Heard(vectors, seconds, levels, tuple(source for one in some for source in one.sources))


def _frame_powers(samples: Float32[np.ndarray, " samples"], frame: int) -> Float64[np.ndarray, " frames"]:
    squares = np.square(samples.astype(np.float64))
    edges = np.arange(0, len(squares), frame)
    counts = np.minimum(frame, len(squares) - edges)
    return np.asarray(np.add.reduceat(squares, edges) / counts)
