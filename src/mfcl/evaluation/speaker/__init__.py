"""Speaker verification, over all pairs of clips or against speakers enrolled with a few clips."""

from mfcl.evaluation.speaker.curves import Curve
from mfcl.evaluation.speaker.enrolled import EnrolledResult, verify_enrolled
from mfcl.evaluation.speaker.pairs import VerifyResult, verify

__all__ = ["Curve", "EnrolledResult", "VerifyResult", "verify", "verify_enrolled"]
