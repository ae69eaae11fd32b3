"""The pair of encoders, each with its front end inside: everyone takes waveforms."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from jaxtyping import Float
from torch import Tensor, nn

from mfcl.encoders import EncoderSettings, Frames, make_encoder
from mfcl.encoders.base import Lengths
from mfcl.formats import LogMel, MelSettings, Waveform
from mfcl.pooling import Pooling


@dataclass(frozen=True)
class ModelSettings:
    """A model's shape: the log-mel, and an encoder for each format."""

    sample_rate: int = 16000
    """Of the waveforms it takes, in Hz; the same as the preparation's."""
    mel_format: MelSettings = field(default_factory=MelSettings)
    wave: EncoderSettings = field(default_factory=lambda: EncoderSettings("filterbank1d", "thirds_max"))
    mel: EncoderSettings = field(default_factory=lambda: EncoderSettings("melcnn", "thirds_max"))


class FormatEncoder(nn.Module):
    """A front end, an encoder and a pooling: waveforms in, one embedding a clip out.

    Attributes:
        front: From waveforms to the format.
        encoder: From the format to frames.
        pooling: From frames to an embedding.
        dim: Values in an embedding.
    """

    def __init__(self, front: Waveform | LogMel, encoder: nn.Module, pooling: Pooling) -> None:
        super().__init__()
        self.front, self.encoder, self.pooling = front, encoder, pooling

    @property
    def dim(self) -> int:
        """Values in an embedding."""
        return self.pooling.dim

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
        embeddings: Tensor = self.pooling(self.encoder(represented, lengths))
        return embeddings

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
            setattr(self, name, FormatEncoder(front, encoder, Pooling(chosen.pooling, features)))

    wave: FormatEncoder
    mel: FormatEncoder

    @property
    def dims(self) -> Mapping[str, int]:
        """Values in an embedding, by format."""
        return {"wave": self.wave.dim, "mel": self.mel.dim}

    def forward(
        self, wave: Float[Tensor, "batch samples"], lengths: Lengths = None
    ) -> dict[str, Float[Tensor, "batch _"]]:
        """Return the embeddings of both formats."""
        return {"wave": self.wave(wave, lengths), "mel": self.mel(wave, lengths)}


def make_model(settings: ModelSettings, *, seed: int) -> MultiFormatModel:
    """Return a model whose random weights depend on the seed alone; torch's own generator is left as it was."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return MultiFormatModel(settings)
