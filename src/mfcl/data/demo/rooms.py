"""Simulate a room, its noise and a microphone."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, Float64

from mfcl.core import random

FRAME_SECONDS = 0.005
SPEECH_DB = 40.0  # frames this much quieter than the loudest one count as silence
PEAK = 0.97  # of full scale


@dataclass(frozen=True)
class Room:
    """Room and microphone of a speaker."""

    seed: int
    """Seed of the noise that makes up the late reverberation."""
    delays_seconds: tuple[float, ...]
    """Delays of the early reflections after the direct sound."""
    gains: tuple[float, ...]
    """Gains of the early reflections; the direct sound has 1."""
    decay_seconds: float
    """Reverberation time (60 dB decay)."""
    tail_db: float
    """Energy of the late reverberation relative to the direct sound."""
    low_hz: float
    """Lower cutoff of the microphone."""
    high_hz: float
    """Upper cutoff of the microphone."""
    level_db: float
    """RMS level of the speech relative to full scale."""
    noise_db: float
    """RMS level of the background noise relative to full scale."""
    noise_colour: float
    """Exponent of the noise's power spectrum 1 / f ** colour: 0 white, 1 pink."""


def record(
    speech: Float32[np.ndarray, " samples"], room: Room, sample_rate: int, draws: np.random.Generator
) -> Float32[np.ndarray, " recorded"]:
    """Return a word as recorded in a room: trimmed, padded with short silence, within full scale.

    `draws` gives the variation between takes: the silence before and after the word, the level of the speech, the noise
    and its level.
    """
    before, after = (round(draws.uniform(low, high) * sample_rate) for low, high in ((0.02, 0.07), (0.06, 0.14)))
    dry = np.pad(cut_silence(speech, sample_rate).astype(np.float64), (before, after))
    wet = _hear(dry, room, sample_rate)
    fade = min(after, len(wet))
    wet[len(wet) - fade :] *= np.linspace(1, 0, fade) ** 2  # fade out the reverberation, not the noise
    wet *= 10 ** ((room.level_db + draws.uniform(-2.5, 2.5)) / 20) / max(float(np.sqrt(np.mean(wet**2))), 1e-9)
    noise_db = room.noise_db + draws.uniform(-1.5, 1.5)
    recorded = wet + 10 ** (noise_db / 20) * coloured_noise(len(wet), room.noise_colour, draws)
    return np.asarray(recorded * min(1.0, PEAK / max(float(np.abs(recorded).max()), 1e-9)), dtype=np.float32)


def cut_silence(speech: Float32[np.ndarray, " samples"], sample_rate: int) -> Float32[np.ndarray, " kept"]:
    """Cut silence from both ends, in steps of 5 ms."""
    frame = max(round(FRAME_SECONDS * sample_rate), 1)
    frames = np.pad(speech, (0, -len(speech) % frame)).reshape(-1, frame)  # (frames, samples)
    power = np.mean(frames.astype(np.float64) ** 2, axis=1)
    loud = np.flatnonzero(power > power.max(initial=0) * 10 ** (-SPEECH_DB / 10))
    return np.asarray(speech[loud[0] * frame : (loud[-1] + 1) * frame] if len(loud) else speech)


def impulse_response(room: Room, sample_rate: int) -> Float64[np.ndarray, " samples"]:
    """Return the room's impulse response: direct sound, early reflections, and decaying noise as reverberation."""
    samples = round((room.decay_seconds + 0.03) * sample_rate)
    times = np.arange(samples) / sample_rate
    tail = random.generator(room.seed, "tail").standard_normal(samples)
    tail *= np.exp(-np.log(1000) * times / room.decay_seconds) * (times > min(room.delays_seconds))
    response = tail * 10 ** (room.tail_db / 20) / np.sqrt(np.sum(tail**2))
    for delay, gain in zip(room.delays_seconds, room.gains, strict=True):
        response[min(round(delay * sample_rate), samples - 1)] += gain
    response[0] = 1.0
    return np.asarray(response)


def coloured_noise(count: int, colour: float, draws: np.random.Generator) -> Float64[np.ndarray, " {count}"]:
    """Return noise of RMS 1 with a power spectrum of frequency ** -colour."""
    spectrum = np.fft.rfft(draws.standard_normal(count))
    spectrum *= np.maximum(np.arange(len(spectrum)), 1) ** (-colour / 2)
    spectrum[0] = 0
    noise = np.fft.irfft(spectrum, count)
    return np.asarray(noise / max(float(np.sqrt(np.mean(noise**2))), 1e-12))


def _hear(dry: Float64[np.ndarray, " samples"], room: Room, sample_rate: int) -> Float64[np.ndarray, " samples"]:
    """Convolve speech with the room's impulse response and filter it to the microphone's band."""
    response = impulse_response(room, sample_rate)
    size = 1 << (len(dry) + len(response)).bit_length()  # long enough to avoid circular wrap-around
    hertz = np.maximum(np.fft.rfftfreq(size, 1 / sample_rate), 1.0)
    band = 1 / np.sqrt((1 + (room.low_hz / hertz) ** 4) * (1 + (hertz / room.high_hz) ** 4))  # 12 dB an octave
    heard = np.fft.irfft(np.fft.rfft(dry, size) * np.fft.rfft(response, size) * band, size)
    return np.asarray(heard[: len(dry)])
