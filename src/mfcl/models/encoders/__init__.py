"""Encoders by name: a waveform or a log-mel in, frames out."""

from dataclasses import dataclass
from typing import Literal

from torch import nn

from mfcl.core.settings import bounded, check_settings
from mfcl.errors import RecipeError, one_of
from mfcl.models.encoders.base import Frames
from mfcl.models.encoders.filterbank import Filterbank1d
from mfcl.models.encoders.mel import MelCnn, ResNet18
from mfcl.models.encoders.norm import NormName
from mfcl.models.encoders.wave import Reference1d, Res1dNet, Res1dNet31

__all__ = ["MEL_ENCODERS", "WAVE_ENCODERS", "EncoderSettings", "Frames", "make_encoder"]

WAVE_ENCODERS = {
    "filterbank1d": Filterbank1d,
    "res1dnet": Res1dNet,
    "res1dnet31": Res1dNet31,
    "reference1d": Reference1d,
}
MEL_ENCODERS = {"resnet18": ResNet18, "melcnn": MelCnn}


@dataclass(frozen=True)
class EncoderSettings:
    """Which encoder, and how its frames become one embedding."""

    name: str
    """Waveforms: `filterbank1d`, `res1dnet`, `res1dnet31`, `reference1d`. Log-mels: `melcnn`, `resnet18`."""
    pooling: str = "mean"
    """`mean`, `mean_max`, `thirds_max` (keeps the order of time), `statistics`, `panns`."""
    width: float = bounded(1.0, 0.001, 16.0)
    """Share of the usual number of channels."""
    norm: NormName = "batch"
    """What the layers are normalised by: `batch`, or the clip alone: `group`, `instance`."""

    def __post_init__(self) -> None:
        check_settings(self)


def make_encoder(settings: EncoderSettings, format: Literal["wave", "mel"], *, bands: int) -> nn.Module:
    """Return an encoder with random weights of torch's current generator; `features` tells the size of its frames.

    Raises:
        RecipeError: no encoder of this format has that name.
    """
    if format == "wave":
        if settings.name not in WAVE_ENCODERS:
            raise RecipeError(f"model.wave.name: {one_of('encoder of waveforms', settings.name, WAVE_ENCODERS)}")
        return WAVE_ENCODERS[settings.name](width=settings.width, norm=settings.norm)
    if settings.name not in MEL_ENCODERS:
        raise RecipeError(f"model.mel.name: {one_of('encoder of log-mels', settings.name, MEL_ENCODERS)}")
    if settings.name == "melcnn":
        return MelCnn(bands, width=settings.width, norm=settings.norm)
    return ResNet18(width=settings.width, norm=settings.norm)
