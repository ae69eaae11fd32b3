"""Speech synthesis with eSpeak NG, a GPL-3 library of the extra `demo`, called through ctypes.

The library keeps state between calls, even after its own `Terminate`: a repeated word sounds slightly different. So
every speaker uses a separate copy of the library, loaded from a temporary file, and says everything in a fixed order.
The audio then does not depend on other speakers or threads.
"""

import contextlib
import ctypes
import importlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float32

from mfcl.errors import MfclError

SYNCHRONOUS = 2  # espeak_AUDIO_OUTPUT: no thread and no sound card, blocks go to the callback
DONT_EXIT = 0x8000  # else a missing file ends the process
RATE, PITCH, RANGE = 1, 3, 4  # espeak_PARAMETER
UTF8 = 1
SHORT = 150  # bytes; eSpeak stores the path of its data in a buffer of 160

Callback = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.c_void_p)


@dataclass(frozen=True)
class Speech:
    """Settings of an utterance, in eSpeak's units."""

    voice: str
    """Language and variant, such as `en-us+f2`."""
    rate: int
    """Words per minute, 80 to 450."""
    pitch: int
    """Base pitch, 0 to 99; 50 is the variant's own."""
    range: int
    """Pitch range, 0 (monotone) to 99."""


class Espeak:
    """A loaded copy of the eSpeak NG library."""

    def __init__(self, library: Any, sample_rate: int) -> None:
        self.sample_rate = sample_rate
        self._library = library
        self._blocks: list[Float32[np.ndarray, " samples"]] = []
        self._callback = Callback(self._keep)  # must live as long as the library may call it
        library.espeak_SetSynthCallback(self._callback)

    def say(self, text: str, speech: Speech, *, seed: int) -> Float32[np.ndarray, " samples"]:
        """Synthesise a text at `sample_rate`; full scale is 1.

        Args:
            text: The words.
            speech: Voice, rate and pitch.
            seed: Seed of the library's noise (breath, roughness), below 2**31.

        Raises:
            MfclError: the library does not have the voice.
        """
        self._blocks.clear()
        self._library.espeak_ng_SetRandSeed(ctypes.c_long(seed))
        if self._library.espeak_SetVoiceByName(speech.voice.encode()) != 0:
            raise MfclError(f"eSpeak NG has no voice {speech.voice!r}; install espeakng-loader 0.2.4 or later")
        for parameter, value in ((RATE, speech.rate), (PITCH, speech.pitch), (RANGE, speech.range)):
            self._library.espeak_SetParameter(parameter, value, 0)
        line = text.encode() + b"\0"
        self._library.espeak_Synth(line, ctypes.c_size_t(len(line)), 0, UTF8, 0, UTF8, None, None)
        return np.concatenate([np.zeros(0, dtype=np.float32), *self._blocks])

    def _keep(self, samples: Any, count: int, _events: Any) -> int:
        if samples and count > 0:
            block = np.ctypeslib.as_array(samples, shape=(count,))
            self._blocks.append(block.astype(np.float32) / np.float32(32768))
        return 0  # go on


@contextlib.contextmanager
def open_espeak() -> Iterator[Espeak]:
    """Load a new copy of the library, without state from earlier words.

    Raises:
        MfclError: the extra `demo` is not installed, or the library does not load here.
    """
    loader = espeak_loader()
    with tempfile.TemporaryDirectory(prefix="mfcl-", ignore_cleanup_errors=True) as folder:
        try:
            library = ctypes.CDLL(shutil.copy(loader.get_library_path(), folder))
            data = _short(Path(loader.get_data_path()), Path(folder))
            rate = library.espeak_Initialize(SYNCHRONOUS, 0, data, DONT_EXIT)
        except (OSError, RuntimeError) as error:
            raise MfclError(f"eSpeak NG does not load here ({error}); install espeakng-loader again") from error
        if rate <= 0:
            raise MfclError(f"{loader.get_data_path()}: eSpeak NG cannot read its data; install espeakng-loader again")
        try:
            yield Espeak(library, rate)
        finally:
            library.espeak_Terminate()


def espeak_loader() -> Any:
    """Return the module that has the path of the library.

    Raises:
        MfclError: the extra is not installed.
    """
    try:
        return importlib.import_module("espeakng_loader")
    except ImportError as error:
        raise MfclError(
            'the synthetic corpus needs eSpeak NG, which is not installed; run: pip install "mfcl[demo]"'
        ) from error


def _short(data: Path, folder: Path) -> bytes:
    """Return the path of the library's data; through a link if it is too long for the library."""
    if len(os.fsencode(data)) <= SHORT:
        return os.fsencode(data)
    link = folder / "data"
    link.symlink_to(data, target_is_directory=True)
    return os.fsencode(link)
