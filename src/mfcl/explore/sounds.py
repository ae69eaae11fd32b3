"""A clip's sound as WAV, and its picture: waveform and log-mel spectrogram."""

import io
import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping

import numpy as np
import soundfile
from jaxtyping import Float32, Int8, UInt8

from mfcl.audio import resample
from mfcl.audio.io import mono, open_audio, read_audio
from mfcl.audio.log_mel import log_mel
from mfcl.audio.preparation import SILENCE_DB, swing_db
from mfcl.data.manifest import Recording
from mfcl.errors import AudioError, MfclError

LONGEST = 600.0
"""Seconds of a recording that can be heard; the rest of a longer one is left out."""
KEPT = 64 * 2**20
"""Bytes of sound that are kept decoded."""
PLAYED = (3000, 48_000)
"""Hz that browsers play; other rates are resampled."""
COLUMNS = 900
"""Most columns of a waveform's or a spectrogram's picture."""
BANDS = 64
RANGE = 70.0
"""dB below the loudest cell that a spectrogram shows."""


class Sounds:
    """Decodes clips by number and keeps the last ones.

    Args:
        recordings: Clip number -> recording.
    """

    def __init__(self, recordings: Mapping[int, Recording]) -> None:
        self._recordings = recordings
        self._kept: OrderedDict[tuple[str, int], bytes] = OrderedDict()
        self._size = 0
        self._lock = threading.Lock()

    def __contains__(self, clip: int) -> bool:
        return clip in self._recordings

    def wav(self, clip: int) -> bytes:
        """Return a clip as a WAV file of 16 bits, mono.

        Raises:
            AudioError: it has no recording, or one that cannot be read.
        """
        return self._keep(("wav", clip), lambda: wav_bytes(*self._read(clip)))

    def picture(self, clip: int) -> tuple[float, Int8[np.ndarray, "2 columns"], UInt8[np.ndarray, "bands frames"]]:
        """Return a clip's seconds, its waveform's `outline`, and its log-mel from 0 to 255.

        Raises:
            AudioError: it has no recording, or one that cannot be read.
        """
        wav = self.wav(clip)
        samples, rate = soundfile.read(io.BytesIO(wav), dtype="float32")
        return len(samples) / rate, outline(samples), spectrogram(samples, rate)

    def silent(self, clip: int) -> bool:
        """Return whether a clip can be read and nothing is to be heard in it; it is read up to its first sound."""
        if clip not in self:
            return False
        one, empty = self._recordings[clip], True
        try:
            with open_audio(one.path) as file:
                for block in file.blocks(one.start, _last(one)):
                    empty = False
                    if swing_db(mono(block)) >= SILENCE_DB:
                        return False
        except MfclError:  # it says so itself when it is to be heard
            return False
        return not empty

    def _read(self, clip: int) -> tuple[Float32[np.ndarray, " samples"], int]:
        one = self._recordings.get(clip)
        if one is None:
            raise AudioError("this clip has no recording; name the recordings with --audio")
        return read_audio(one.path, start=one.start, end=_last(one))

    def _keep(self, key: tuple[str, int], make: Callable[[], bytes]) -> bytes:
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
                return self._kept[key]
        made = make()
        with self._lock:
            if key not in self._kept and len(made) <= KEPT:
                self._kept[key] = made
                self._size += len(made)
                while self._size > KEPT:
                    _, dropped = self._kept.popitem(last=False)
                    self._size -= len(dropped)
        return made


def _last(one: Recording) -> float:
    """Return where in its file, in seconds, a clip is not heard any more."""
    last = (one.start or 0.0) + LONGEST
    return min(last, one.end if one.end is not None else last)


def wav_bytes(samples: Float32[np.ndarray, " samples"], rate: int) -> bytes:
    """Return samples as a WAV file of 16 bits, at a rate that browsers play."""
    target = min(max(rate, PLAYED[0]), PLAYED[1])
    heard = samples if target == rate else resample(samples, rate, target)
    made = io.BytesIO()
    soundfile.write(made, np.clip(heard, -1, 1), target, format="WAV", subtype="PCM_16")
    return made.getvalue()


def outline(samples: Float32[np.ndarray, " samples"]) -> Int8[np.ndarray, "2 columns"]:
    """Return the lowest and the highest sample of each column of a waveform's picture, the furthest of all as 127.

    Example:
        >>> outline(np.array([0.005, -0.01, 0.0], dtype=np.float32)).tolist()
        [[64, -127, 0], [64, -127, 0]]
    """
    edges = np.linspace(0, len(samples), min(COLUMNS, len(samples)) + 1).astype(np.int64)[:-1]
    both = np.stack([np.minimum.reduceat(samples, edges), np.maximum.reduceat(samples, edges)])
    # a quiet clip is drawn as tall as a loud one, so its steps must be as fine
    scale = 127 / max(float(np.abs(both).max(initial=0)), 1e-9)
    made: Int8[np.ndarray, "2 columns"] = np.rint(both * scale).astype(np.int8)
    return made


def spectrogram(samples: Float32[np.ndarray, " samples"], rate: int) -> UInt8[np.ndarray, "bands frames"]:
    """Return a log-mel spectrogram as shades, low bands first; 255 is the loudest cell, 0 is `RANGE` dB below."""
    hop = max(0.005, len(samples) / rate / COLUMNS)
    centred = samples - samples.mean()  # else a constant offset is a click at both ends
    decibels = log_mel(centred, rate, bands=BANDS, hop_seconds=hop, low_hz=min(40.0, rate / 16))
    shades = 255 * (1 + (decibels - decibels.max()) / RANGE)
    made: UInt8[np.ndarray, "bands frames"] = np.clip(shades, 0, 255).astype(np.uint8)
    return made
