"""Tiny sounds and corpora for the tests: every speaker has a pitch, every digit an overtone and a glide."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import soundfile


def tone(seconds=0.3, hz=440.0, sample_rate=16000, *, level=0.1):
    """A sine of root mean square `level`, float32, its mean removed."""
    times = np.arange(round(seconds * sample_rate)) / sample_rate
    wave = np.sin(2 * np.pi * hz * times)
    return ((wave - wave.mean()) * level * np.sqrt(2)).astype(np.float32)


def word(speaker, digit, take=0, *, seconds=0.3, sample_rate=16000):
    """A sound with the speaker's pitch, the digit's overtone and glide, and the take's own noise and length."""
    samples = round(seconds * (1 + 0.05 * (take % 3)) * sample_rate)
    times = np.arange(samples) / sample_rate
    pitch = 110.0 * 2 ** (speaker / 12)
    glide = (digit % 5 - 2) * times / seconds
    noise = np.random.default_rng([speaker, digit, take]).standard_normal(samples)
    voice = np.sin(2 * np.pi * pitch * times) + np.sin(2 * np.pi * pitch * (3 + digit + glide) * times)
    return (0.1 * voice + 0.005 * noise).astype(np.float32)


def spoken(letters, *, pace=1.0, pitch=1.0, seed=0, sample_rate=16000):
    """A word as an order of sounds: each letter is a chord of its own, 0.12 seconds long at pace 1."""
    chords = {"a": (300.0, 700.0), "b": (1000.0, 1500.0), "c": (2100.0, 3000.0), "d": (4000.0, 5500.0)}
    times = np.arange(round(0.12 / pace * sample_rate)) / sample_rate
    wave = np.concatenate([sum(np.sin(2 * np.pi * pitch * hz * times) for hz in chords[letter]) for letter in letters])
    return (0.1 * wave + 0.003 * np.random.default_rng(seed).standard_normal(len(wave))).astype(np.float32)


def write_corpus(
    root: Path,
    *,
    speakers: int | Sequence[str] = 4,
    digits: int = 3,
    takes: int = 2,
    seconds: float = 0.3,
    sample_rate: int = 16000,
    suffix: str = ".wav",
) -> Path:
    """Write `<root>/data/<speaker>/<digit>_<speaker>_<take><suffix>`, AudioMNIST's layout; return the root."""
    names = [f"{number:02d}" for number in range(1, speakers + 1)] if isinstance(speakers, int) else list(speakers)
    for number, name in enumerate(names):
        folder = root / "data" / name
        folder.mkdir(parents=True, exist_ok=True)
        for digit in range(digits):
            for take in range(takes):
                wave = word(number, digit, take, seconds=seconds, sample_rate=sample_rate)
                soundfile.write(folder / f"{digit}_{name}_{take}{suffix}", wave, sample_rate)
    return root
