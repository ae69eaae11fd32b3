"""Voices on disk: enrol, identify with "unknown" as an answer, verify, calibrate."""

from mfcl.voices.calibration import Calibration
from mfcl.voices.decisions import Identification, Verification
from mfcl.voices.enrolment import Enrolment
from mfcl.voices.evaluating import Evaluation
from mfcl.voices.gallery import Gallery
from mfcl.voices.sound import Heard, Listener
from mfcl.voices.storage import Voice
from mfcl.voices.turns import Turn

__all__ = [
    "Calibration",
    "Enrolment",
    "Evaluation",
    "Gallery",
    "Heard",
    "Identification",
    "Listener",
    "Turn",
    "Verification",
    "Voice",
]
