"""Models and their modules (front ends, encoders, pooling, heads, losses), inference and cost."""

from mfcl.models.encoders import (
    EncoderSettings,
    Frames,
    MelEncoder,
    WaveEncoder,
    make_encoder,
    register_encoder,
)
from mfcl.models.encoders.filterbank import Filterbank1d
from mfcl.models.encoders.mel import MelCnn, ResNet18
from mfcl.models.encoders.wave import Reference1d, Res1dNet, Res1dNet31
from mfcl.models.frontends import LogMel, MelSettings, Waveform
from mfcl.models.heads import HeadSettings, ProjectionHead
from mfcl.models.losses import ContrastiveLoss, LossSettings, NTXentLoss
from mfcl.models.pair import FormatEncoder, ModelSettings, MultiFormatModel, make_model
from mfcl.models.pooling import Pooling

__all__ = [
    "ContrastiveLoss",
    "EncoderSettings",
    "Filterbank1d",
    "FormatEncoder",
    "Frames",
    "HeadSettings",
    "LogMel",
    "LossSettings",
    "MelCnn",
    "MelEncoder",
    "MelSettings",
    "ModelSettings",
    "MultiFormatModel",
    "NTXentLoss",
    "Pooling",
    "ProjectionHead",
    "Reference1d",
    "Res1dNet",
    "Res1dNet31",
    "ResNet18",
    "WaveEncoder",
    "Waveform",
    "make_encoder",
    "make_model",
    "register_encoder",
]
