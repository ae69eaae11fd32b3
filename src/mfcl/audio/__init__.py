"""Read, check, prepare and write audio; only this folder uses soundfile and soxr."""

from mfcl.audio.io import (
    AUDIO_SUFFIXES,
    OTHER_SUFFIXES,
    AudioFile,
    all_finite,
    mono,
    open_audio,
    read_audio,
    write_audio,
)
from mfcl.audio.judging import FAILURES, NOTICES, Judgement, judge, kind_of
from mfcl.audio.preparation import (
    SILENCE_DB,
    Preparation,
    level_db,
    prepare,
    resample,
    step_16_bit,
    to_16_bit,
)
from mfcl.audio.sound import LongSound, Sound, heard, read_prepared

__all__ = [
    "AUDIO_SUFFIXES",
    "FAILURES",
    "NOTICES",
    "OTHER_SUFFIXES",
    "SILENCE_DB",
    "AudioFile",
    "Judgement",
    "LongSound",
    "Preparation",
    "Sound",
    "all_finite",
    "heard",
    "judge",
    "kind_of",
    "level_db",
    "mono",
    "open_audio",
    "prepare",
    "read_audio",
    "read_prepared",
    "resample",
    "step_16_bit",
    "to_16_bit",
    "write_audio",
]
