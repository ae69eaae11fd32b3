"""Sound in and out of files, and made alike for training and use; only here are soundfile and soxr known."""

from mfcl.audio.io import (
    AUDIO_SUFFIXES,
    all_finite,
    audio_blocks,
    mono,
    open_audio,
    promised_frames,
    read_audio,
    write_audio,
)
from mfcl.audio.preparation import SILENCE_DB, Preparation, level_db, prepare, resample

__all__ = [
    "AUDIO_SUFFIXES",
    "SILENCE_DB",
    "Preparation",
    "all_finite",
    "audio_blocks",
    "level_db",
    "mono",
    "open_audio",
    "prepare",
    "promised_frames",
    "read_audio",
    "resample",
    "write_audio",
]
