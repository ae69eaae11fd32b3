"""Synthesise a corpus of spoken digits offline, in AudioMNIST's layout: for demonstrations, not for results."""

import contextlib
import json
import shutil
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

from filelock import FileLock

from mfcl import audio
from mfcl.core import files, random
from mfcl.core.parallel import in_parallel
from mfcl.data.demo.espeak import espeak_loader, open_espeak
from mfcl.data.demo.rooms import record
from mfcl.data.demo.voices import DIGITS, Voice, draw_speech, draw_voice
from mfcl.errors import MfclError

VERSION = 1  # of the audio; equal settings and version give equal bytes
NOTE = "Synthetic speech by eSpeak NG in drawn rooms; no person was recorded."


@dataclass(frozen=True)
class _Settings:
    """Settings that determine every byte of a corpus."""

    voices: int
    takes: int
    seed: int
    sample_rate: int
    version: int = VERSION
    note: str = NOTE


def make_demo(
    folder: Path,
    *,
    voices: int = 60,
    takes: int = 3,
    seed: int = 0,
    sample_rate: int = 16000,
    workers: int | None = None,
    progress: bool = True,
) -> Path:
    """Synthesise `takes` recordings of every digit by speakers with different voices, accents, rooms and microphones.

    Equal settings give equal bytes for any number of `workers`. A speaker does not change with the number of voices,
    nor a take with the number of takes. A finished corpus is returned at once; an interrupted one is continued.

    Args:
        folder: Folder of the corpus. It gets `data/<speaker>/<digit>_<speaker>_<take>.wav`,
            `data/audioMNIST_meta.txt`, and `demo.json` when it is complete.
        voices: Number of speakers, 1 to 999; up to 71 speakers have different voice variants.
        takes: Recordings of each digit by each speaker, 1 to 1000.
        seed: Seed of all draws.
        sample_rate: Sample rate of the files, 8000 to 48000 Hz.
        workers: Number of threads; None: one per core.
        progress: Show progress.

    Returns:
        The folder.

    Raises:
        MfclError: a value out of range, the extra `demo` missing, a folder with other contents, or a full disk.
    """
    for name, value, low, high in (
        ("voices", voices, 1, 999),
        ("takes", takes, 1, 1000),
        ("seed", seed, 0, 2**32 - 1),
        ("sample_rate", sample_rate, 8000, 48000),
    ):
        if not low <= value <= high:
            raise MfclError(f"{name} is {value}; give {low} to {high}")
    folder, settings = Path(folder), _Settings(voices, takes, seed, sample_rate)
    with _alone(folder.absolute()):
        _check_folder(folder, settings)
        _make(folder, settings, workers, progress)
    return folder


@contextlib.contextmanager
def _alone(target: Path) -> Iterator[None]:
    """Lock the folder, so that a second process that makes the same corpus waits."""
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(target.with_name(f".{target.name}.lock"))
        lock.acquire()
    except OSError as error:
        raise MfclError(f"{target}: cannot be written ({error.strerror or error}); choose another folder") from error
    try:
        yield
    finally:
        with contextlib.suppress(OSError):  # Windows cannot delete an open file
            Path(lock.lock_file).unlink()
        lock.release()


def _make(folder: Path, settings: _Settings, workers: int | None, progress: bool) -> None:
    data, begun, finished = folder / "data", folder / "demo.part.json", folder / "demo.json"
    cast = [draw_voice(settings.seed, number) for number in range(1, settings.voices + 1)]
    absent = [voice for voice in cast if not (data / voice.name).is_dir()]
    if absent or not finished.exists():
        espeak_loader()
        files.write_json(begun, asdict(settings))
        finished.unlink(missing_ok=True)
        for remains in data.glob(".*.part"):  # left by a killed call
            shutil.rmtree(remains, ignore_errors=True)
        speak = partial(_speak, settings=settings, data=data)
        for _ in in_parallel(speak, absent, workers=workers, what="synthesising", unit="voices", shown=progress):
            pass
        files.write_json(data / "audioMNIST_meta.txt", {voice.name: voice.meta() for voice in cast})
        files.write_json(finished, asdict(settings))  # last: it marks a complete corpus
    begun.unlink(missing_ok=True)


def _check_folder(folder: Path, settings: _Settings) -> None:
    """Raise an error if a folder holds anything but this corpus, complete or begun."""
    try:
        if not folder.exists() or not any(folder.iterdir()):
            return
    except OSError as error:
        raise MfclError(f"{folder}: wanted a folder ({error.strerror}); choose another path") from error
    for name in ("demo.json", "demo.part.json"):
        with contextlib.suppress(OSError, ValueError):
            if json.loads((folder / name).read_text(encoding="utf-8")) == asdict(settings):
                return
    raise MfclError(f"{folder}: not empty, and not this synthetic corpus; choose a new folder, or remove it")


def _speak(voice: Voice, *, settings: _Settings, data: Path) -> None:
    """Write all recordings of one speaker to a hidden folder, then rename it, so that no speaker is incomplete."""
    hidden = data / f".{voice.name}.part"
    try:
        hidden.mkdir(parents=True)
        with open_espeak() as espeak:
            for take in range(settings.takes):  # in this order, so that more takes do not change the first ones
                for digit, word in enumerate(DIGITS):
                    draws = random.generator(settings.seed, "demo take", voice.number, digit, take)
                    dry = espeak.say(word, draw_speech(voice, draws), seed=int(draws.integers(2**31)))
                    speech = audio.resample(dry, espeak.sample_rate, settings.sample_rate)
                    recorded = record(speech, voice.room, settings.sample_rate, draws)
                    path = hidden / f"{digit}_{voice.name}_{take}.wav"
                    audio.write_audio(path, recorded, settings.sample_rate)
        hidden.rename(data / voice.name)
    except OSError as error:
        raise MfclError(f"{data}: cannot be written ({error.strerror}); free some space or choose another") from error
    finally:
        shutil.rmtree(hidden, ignore_errors=True)
