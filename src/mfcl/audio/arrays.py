"""Audio arrays given by callers: check them, convert them to mono float32, and pad them to a batch."""

import logging
import math
import numbers
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float32, Int64, Shaped

from mfcl.audio.judging import cancelled_by
from mfcl.errors import AudioError, shown

log = logging.getLogger(__name__)
LOUDEST = 8.0
"""Highest peak of float samples, where full scale is 1. Mixes and filters overshoot by a few dB; this allows 18 dB. \
16-bit samples that were cast to float but not scaled have peaks in the hundreds and above."""
MOST_CHANNELS = 8
LEAST_RATIO = 16
"""Smallest ratio of samples to channels; in a nearly square array the time axis cannot be told."""
LOWEST_RATE, HIGHEST_RATE = 100, 10_000_000
"""Allowed sample rates in Hz, from seismometers to ultrasound; resampling from a rate beyond would take forever."""
OFFSETS = {"int16": 0, "int32": 0, "uint8": 128}
"""Accepted integer types, and the value that is silence."""
ACCEPTED = "(samples,), (samples, channels), (1, samples) or (2, samples)"

Sounds = Any
"""A path, or samples: an array, a list of numbers, or anything that converts to an array, such as a tensor. \
The type is `Any` so that `mono_samples` can report a wrong value in one line, where a type check prints a page."""


def listed(sounds: Sounds) -> list[Any]:
    """Return a list of recordings, given one recording or several.

    One recording is a path, an array of numbers (also a tensor), or a list of numbers. An array of text is several
    paths.

    Raises:
        AudioError: it is none of these.

    Example:
        >>> listed("a.wav"), listed(["a.wav", "b.wav"]), listed([0.0, 0.5])
        (['a.wav'], ['a.wav', 'b.wav'], [[0.0, 0.5]])
    """
    if isinstance(sounds, str | Path):
        return [sounds]
    if isinstance(sounds, np.ndarray) and (sounds.dtype.kind == "U" or _holds_paths(sounds)):
        return [entry if isinstance(entry, Path) else str(entry) for entry in sounds.ravel().tolist()]
    if hasattr(sounds, "__array__"):
        return [sounds]
    try:
        found = list(sounds)
    except TypeError:
        raise AudioError(f"wanted a path, samples or a list of either, got {shown(sounds)}; give recordings") from None
    return [found] if found and all(isinstance(entry, numbers.Number) for entry in found) else found


def mono_samples(sound: Sounds, *, name: str = "array") -> Float32[np.ndarray, " samples"]:
    """Convert an array of samples to mono float32, where full scale is 1; channels are averaged.

    If they cancel, the loudest is used, as of a file, and a warning is logged.

    int16, int32 and uint8 are scaled by the range of their type. Floats are not scaled. In a 2-D array the channel axis
    is the last one if it has at most 8 entries, or the first one if it has at most 2.

    Args:
        sound: Samples: an array, a tensor (its values are copied to the CPU), or a list of numbers.
        name: Name of the array in error messages.

    Raises:
        AudioError: no samples, another type or shape, or values that are NaN, infinite or far above full scale.
    """
    samples = _array(sound, name)
    kind = samples.dtype.name
    if samples.dtype.kind != "f" and kind not in OFFSETS:
        raise AudioError(f"{name}: wanted samples as floats, int16, int32 or uint8, got {kind}; convert them first")
    samples = _channels_last(samples, name)
    if kind in OFFSETS:
        full_scale = np.iinfo(np.int8 if kind == "uint8" else kind).max + 1
        samples = ((samples.astype(np.float64) - OFFSETS[kind]) / full_scale).astype(np.float32)
    else:
        _check_level(samples, name)
        samples = samples.astype(np.float32, copy=False)
    return samples[:, 0] if samples.shape[1] == 1 else _one_channel(samples, name)


def whole_rate(sample_rate: Any) -> int:
    """Check a sample rate given by a caller and return it as an integer in Hz.

    Raises:
        AudioError: it is not a whole number, or outside `LOWEST_RATE` to `HIGHEST_RATE`.

    Example:
        >>> whole_rate(44100.0)
        44100
    """
    given = isinstance(sample_rate, numbers.Real)
    if not (given and math.isfinite(sample_rate) and sample_rate == int(sample_rate)) or not (
        LOWEST_RATE <= sample_rate <= HIGHEST_RATE
    ):
        raise AudioError(
            f"sample_rate: wanted a whole number of Hz from {LOWEST_RATE} to {HIGHEST_RATE}, got {sample_rate!r}"
        )
    return int(sample_rate)


def padded(
    clips: Iterable[Float32[np.ndarray, " _"]], counts: Int64[np.ndarray, " batch"]
) -> Float32[np.ndarray, "batch samples"]:
    """Return clips as the rows of one array, padded with zeros at the end.

    Args:
        clips: Clips, consumed one at a time.
        counts: Number of samples of each clip.
    """
    rows = np.zeros((len(counts), int(counts.max(initial=0))), dtype=np.float32)
    for row, clip in zip(rows, clips, strict=True):
        row[: len(clip)] = clip
    return rows


def _holds_paths(sounds: Shaped[np.ndarray, "..."]) -> bool:
    return sounds.dtype.kind == "O" and all(isinstance(entry, str | Path) for entry in sounds.ravel().tolist())


def _array(sound: Any, name: str) -> Shaped[np.ndarray, "..."]:
    if isinstance(sound, np.ma.MaskedArray) and np.ma.is_masked(sound):
        raise AudioError(f"{name}: wanted samples, got an array of which some are masked; fill them or cut them out")
    if hasattr(sound, "detach"):  # a tensor that may have a gradient or lie on a GPU
        sound = sound.detach().cpu()
    try:
        return np.asarray(sound)
    except (TypeError, ValueError, RuntimeError) as error:
        reason = str(error).splitlines()[0]
        raise AudioError(f"{name}: cannot be read as an array of samples ({reason}); give floats or int16") from error


def _channels_last(samples: Shaped[np.ndarray, "..."], name: str) -> Shaped[np.ndarray, "samples channels"]:
    """Return samples with the channel axis last.

    Raises:
        AudioError: the array is empty, or its shape does not tell which axis is time.
    """
    if samples.size == 0:
        raise AudioError(f"{name}: wanted samples, got an empty array of shape {samples.shape}; leave it out")
    if samples.ndim == 1:
        return samples[:, None]
    if samples.ndim == 2:
        for table, most in ((samples, MOST_CHANNELS), (samples.T, 2)):  # 3 or more rows may be a batch of clips
            frames, channels = table.shape
            if channels == 1 or (channels <= most and frames >= LEAST_RATIO * channels):
                return table
    raise AudioError(f"{name}: wanted the shape {ACCEPTED}, got {samples.shape}; give several clips as a list of clips")


def _one_channel(samples: Float32[np.ndarray, "samples channels"], name: str) -> Float32[np.ndarray, " samples"]:
    mixed: Float32[np.ndarray, " samples"] = samples.mean(axis=1, dtype=np.float32)
    powers = np.array([channel.var(dtype=np.float64) for channel in samples.T])
    cancelled = cancelled_by(float(mixed.var(dtype=np.float64)), powers)
    if cancelled is None:
        return mixed
    channel, problem = cancelled
    log.warning("%s: %s", name, problem)
    return np.ascontiguousarray(samples[:, channel])


def _check_level(samples: Shaped[np.ndarray, "samples channels"], name: str) -> None:
    highest, lowest = float(samples.max()), float(samples.min())  # NaN stays NaN; makes no copy, unlike abs
    if not (math.isfinite(highest) and math.isfinite(lowest)):
        raise AudioError(f"{name}: wanted finite samples, got NaN or infinity; correct it or leave it out")
    peak = max(highest, -lowest)
    if peak > LOUDEST:
        raise AudioError(
            f"{name}: wanted samples from -1 to 1, got a peak of {peak:g}; divide by the full scale (32768 for 16 bits)"
        )
