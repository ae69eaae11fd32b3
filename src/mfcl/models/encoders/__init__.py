"""Encoders by name: from a waveform or a log-mel to frames."""

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from torch import nn

from mfcl.core.settings import bounded, check_settings
from mfcl.errors import RecipeError, one_of
from mfcl.models.encoders.base import Frames, MelEncoder, WaveEncoder
from mfcl.models.encoders.bcresnet import BcResNet
from mfcl.models.encoders.filterbank import Filterbank1d
from mfcl.models.encoders.mel import MelCnn, ResNet18
from mfcl.models.encoders.norm import NormName
from mfcl.models.encoders.wave import Reference1d, Res1dNet, Res1dNet31

__all__ = [
    "MEL_ENCODERS",
    "WAVE_ENCODERS",
    "EncoderSettings",
    "Frames",
    "MelEncoder",
    "WaveEncoder",
    "make_encoder",
    "register_encoder",
]

EncoderFactory = Callable[..., nn.Module]
"""Called with the keywords `width` and `norm` of `EncoderSettings`, and `bands` for log-mels."""


def _resnet18(*, bands: int, width: float, norm: NormName) -> ResNet18:
    """Return a ResNet18; it works for any number of bands, since it takes the mean over frequency."""
    del bands
    return ResNet18(width=width, norm=norm)


WAVE_ENCODERS: dict[str, EncoderFactory] = {
    "filterbank1d": Filterbank1d,
    "res1dnet": Res1dNet,
    "res1dnet31": Res1dNet31,
    "reference1d": Reference1d,
}
MEL_ENCODERS: dict[str, EncoderFactory] = {"resnet18": _resnet18, "melcnn": MelCnn, "bcresnet": BcResNet}


@dataclass(frozen=True)
class EncoderSettings:
    """An encoder, and the pooling of its frames to one embedding."""

    name: str
    """Waveforms: `filterbank1d`, `res1dnet`, `res1dnet31`, `reference1d`. Log-mels: `melcnn`, `resnet18`,
    `bcresnet`.
    Or your own: see `register_encoder`."""
    pooling: str = "mean"
    """`mean`, `mean_max`, `thirds_max` and `course` (both keep a coarse order of time), `statistics`, `panns`."""
    width: float = bounded(1.0, 0.001, 16.0)
    """Factor on the default number of channels."""
    norm: NormName = "batch"
    """Normalisation: `batch` over the batch; `group` or `instance` over each clip alone."""

    def __post_init__(self) -> None:
        check_settings(self)


def register_encoder(name: str, format: str, factory: EncoderFactory) -> None:
    """Register your own encoder, so that recipes can use it as `model.wave.name` or `model.mel.name`.

    A checkpoint keeps the name and the weights, not the code: register the encoder before you load one.

    Args:
        name: Its name in recipes.
        format: `wave` or `mel`.
        factory: A class or a function. It is called with the keywords `width` and `norm` of `EncoderSettings`, and
            with `bands` for log-mels; it may ignore them. It returns a module like `WaveEncoder` or `MelEncoder`: an
            attribute `features`, and a `forward` that returns `Frames`. A training refuses one whose frames of a clip
            depend on the padding after it.

    Raises:
        RecipeError: the name is taken, there is no such format, or the factory does not take these keywords.

    Example:
        >>> class Loudness(WaveEncoder):
        ...     features = 1
        ...
        ...     def __init__(self, *, width: float, norm: str) -> None:
        ...         super().__init__()
        ...
        ...     def forward(self, wave, lengths=None):
        ...         whole = nn.functional.pad(wave, (0, -wave.shape[1] % 160))  # zeros, as after each clip's end
        ...         pieces = whole.abs().unfold(1, 160, 160).mean(dim=2)
        ...         return Frames(pieces[:, :, None], None if lengths is None else -(-lengths // 160))
        >>> register_encoder("loudness", "wave", Loudness)
        >>> make_encoder(EncoderSettings("loudness"), "wave", bands=80).features
        1
        >>> del WAVE_ENCODERS["loudness"]
    """
    formats = {"wave": WAVE_ENCODERS, "mel": MEL_ENCODERS}
    if format not in formats:
        raise RecipeError(f"register_encoder: {one_of('format', str(format), formats)}")
    if not isinstance(name, str) or not name:
        raise RecipeError(f"register_encoder: wanted a name for recipes, got {name!r}")
    if formats[format].get(name, factory) is not factory:
        raise RecipeError(f"register_encoder: an encoder of format {format} is called {name!r} already; choose a name")
    if not callable(factory):
        raise RecipeError(f"register_encoder: wanted a class or a function for {name!r}, got {type(factory).__name__}")
    given: dict[str, Any] = {"width": 1.0, "norm": "batch"} | ({"bands": 80} if format == "mel" else {})
    try:
        inspect.signature(factory).bind(**given)
    except TypeError as error:
        raise RecipeError(
            f"register_encoder: {name!r} must take the keywords {', '.join(given)}, but does not ({error})"
        ) from error
    formats[format][name] = factory


def make_encoder(settings: EncoderSettings, format: Literal["wave", "mel"], *, bands: int) -> nn.Module:
    """Return an encoder with random weights from torch's global generator; `features` is the size of its frames.

    Raises:
        RecipeError: no encoder of this format has that name, or it lacks what `register_encoder` asks for.
    """
    known, kind = (WAVE_ENCODERS, "waveforms") if format == "wave" else (MEL_ENCODERS, "log-mels")
    if settings.name not in known:
        raise RecipeError(
            f"model.{format}.name: {one_of(f'encoder of {kind}', settings.name, known)}; "
            "give your own to mfcl.models.register_encoder first"
        )
    sizes = {"bands": bands} if format == "mel" else {}
    made = known[settings.name](width=settings.width, norm=settings.norm, **sizes)
    features = getattr(made, "features", None)
    if not isinstance(made, nn.Module) or not isinstance(features, int) or features < 1:
        raise RecipeError(
            f"model.{format}.name: encoder {settings.name!r} must be an nn.Module with `features`, the values in a "
            f"frame, but is {type(made).__name__} with {features!r}"
        )
    return made
