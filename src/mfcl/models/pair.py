"""The pair of encoders, each with its front end inside: everyone takes waveforms."""

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import torch
from jaxtyping import Float
from torch import Tensor, nn

from mfcl.core.settings import bounded, check_settings
from mfcl.models.encoders import EncoderSettings, Frames, make_encoder
from mfcl.models.encoders.base import Lengths
from mfcl.models.frontends import LogMel, MelSettings, Waveform
from mfcl.models.heads import Neck, NeckSettings
from mfcl.models.pooling import Pooling


@dataclass(frozen=True)
class ModelSettings:
    """A model's shape: the log-mel, and an encoder for each format."""

    sample_rate: int = bounded(16000, 1000, 384000)
    """Of the waveforms it takes, in Hz; the same as the preparation's."""
    mel_format: MelSettings = field(default_factory=MelSettings)
    wave: EncoderSettings = field(default_factory=lambda: EncoderSettings("filterbank1d", "thirds_max"))
    mel: EncoderSettings = field(default_factory=lambda: EncoderSettings("melcnn", "thirds_max"))
    voices: str | None = None
    """A pooling for a second part of each embedding, the voice's, such as `statistics`; None: there is one part."""
    neck: NeckSettings | None = None
    """What the words' part keeps of what is pooled; None: all of it."""

    def __post_init__(self) -> None:
        check_settings(self, "model")


class FormatEncoder(nn.Module):
    """A front end, an encoder and its poolings: waveforms in, one embedding a clip out.

    Attributes:
        front: From waveforms to the format.
        encoder: From the format to frames.
        poolings: From frames to each part of an embedding: "words" and perhaps "voices".
        neck: What the words' part keeps of what is pooled; None: all of it.
        dim: Values in an embedding.
    """

    def __init__(
        self, front: Waveform | LogMel, encoder: nn.Module, poolings: Mapping[str, Pooling], neck: NeckSettings | None
    ) -> None:
        super().__init__()
        self.front, self.encoder, self.poolings = front, encoder, nn.ModuleDict(dict(poolings))
        self.neck = Neck(self.pooled["words"], neck) if neck is not None else None

    @property
    def pooled(self) -> dict[str, int]:
        """Values that are pooled for each part of an embedding."""
        return {name: int(pooling.dim) for name, pooling in self.poolings.items()}  # type: ignore[arg-type]

    @property
    def dims(self) -> dict[str, int]:
        """Values in each part of an embedding; a neck makes two of the words'."""
        others = {name: dim for name, dim in self.pooled.items() if name != "words"}
        return self.pooled if self.neck is None else self.neck.dims | others

    @property
    def dim(self) -> int:
        """Values in an embedding."""
        return sum(self.dims.values())

    def frames(self, wave: Float[Tensor, "batch samples"], lengths: Lengths = None) -> Frames:
        """Return what the encoder says about each moment.

        Args:
            wave: Waveforms, zeros after each clip's end.
            lengths: Samples of each clip; None if all fill the width.
        """
        frames: Frames = self.encoder(*self.front(wave, lengths))
        return frames

    def encode(self, represented: Float[Tensor, "batch ..."], lengths: Lengths = None) -> Float[Tensor, "batch _"]:
        """Return the embeddings of clips that are in the format already; `lengths` are in its own steps."""
        return self.pool(self.encoder(represented, lengths))

    def pool(self, frames: Frames) -> Float[Tensor, "batch _"]:
        """Return the embeddings of frames: their parts side by side, in float32."""
        parts = {name: pooling(frames) for name, pooling in self.poolings.items()}
        if self.neck is not None:
            parts["words"] = self.neck(parts["words"])
        return torch.cat(list(parts.values()), dim=1)

    def forward(self, wave: Float[Tensor, "batch samples"], lengths: Lengths = None) -> Float[Tensor, "batch _"]:
        """Return the embeddings of waveforms; each depends on its own clip alone. See `frames`."""
        return self.encode(*self.front(wave, lengths))


class MultiFormatModel(nn.Module):
    """A waveform encoder and a log-mel encoder.

    Source: Wang and van den Oord, "Multi-Format Contrastive Learning of Audio Representations", arXiv:2103.06508.

    Attributes:
        wave: The encoder of waveforms.
        mel: The encoder of log-mels; it takes waveforms too.
    """

    def __init__(self, settings: ModelSettings) -> None:
        super().__init__()
        bands = settings.mel_format.bands
        for name, front in (("wave", Waveform()), ("mel", LogMel(settings.mel_format, settings.sample_rate))):
            chosen: EncoderSettings = getattr(settings, name)
            encoder = make_encoder(chosen, name, bands=bands)  # type: ignore[arg-type]
            features = int(encoder.features)  # type: ignore[arg-type]
            poolings = {"words": chosen.pooling} | ({"voices": settings.voices} if settings.voices else {})
            made = {part: Pooling(pooling, features) for part, pooling in poolings.items()}
            setattr(self, name, FormatEncoder(front, encoder, made, settings.neck))

    wave: FormatEncoder
    mel: FormatEncoder

    @property
    def dims(self) -> Mapping[str, int]:
        """Values in an embedding, by format."""
        return {"wave": self.wave.dim, "mel": self.mel.dim}

    @property
    def parts(self) -> dict[str, int]:
        """Values in each part of an embedding, by its name: the format's, with the part's where there are two.

        Example:
            >>> MultiFormatModel(ModelSettings(voices="statistics")).parts
            {'wave words': 1536, 'wave voices': 768, 'mel words': 2560, 'mel voices': 1280}
        """
        found: dict[str, int] = {}
        for name in ("wave", "mel"):
            dims = getattr(self, name).dims
            found |= {f"{name} {part}" if len(dims) > 1 else name: dim for part, dim in dims.items()}
        return found

    def forward(
        self, wave: Float[Tensor, "batch samples"], lengths: Lengths = None
    ) -> dict[str, Float[Tensor, "batch _"]]:
        """Return the embeddings of both formats."""
        return {"wave": self.wave(wave, lengths), "mel": self.mel(wave, lengths)}


@contextlib.contextmanager
def pooled_whole(model: MultiFormatModel) -> Iterator[None]:
    """Let a model embed without its necks, for the length of a block: all that is pooled."""
    encoders = (model.wave, model.mel)
    necks = [encoder.neck for encoder in encoders]
    try:
        for encoder in encoders:
            encoder.neck = None
        yield
    finally:
        for encoder, neck in zip(encoders, necks, strict=True):
            encoder.neck = neck


def make_model(settings: ModelSettings, *, seed: int) -> MultiFormatModel:
    """Return a model whose random weights depend on the seed alone; torch's own generator is left as it was."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return MultiFormatModel(settings)


def outline(settings: ModelSettings) -> MultiFormatModel:
    """Return a model that has shapes and kinds of numbers but no values, and takes no memory for weights."""
    with torch.random.fork_rng(devices=[]), torch.device("meta"):
        return MultiFormatModel(settings)
