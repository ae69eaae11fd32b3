"""The models and what they are built of: front ends, encoders, pooling, heads, losses; inference and cost."""

from mfcl.models.pair import FormatEncoder, ModelSettings, MultiFormatModel, make_model

__all__ = ["FormatEncoder", "ModelSettings", "MultiFormatModel", "make_model"]
