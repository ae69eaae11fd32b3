"""Verification: whether clips are of one speaker, over all pairs of clips, or against speakers enrolled with a few."""

from mfcl.verification.curves import Curve
from mfcl.verification.enrolled import EnrolledResult, verify_enrolled
from mfcl.verification.pairs import VerifyResult, verify

__all__ = ["Curve", "EnrolledResult", "VerifyResult", "verify", "verify_enrolled"]
