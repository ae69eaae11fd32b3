"""The model: a waveform encoder and a log-mel encoder, each with its front end; both take waveforms."""

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal, cast

import torch
from jaxtyping import Float
from torch import Tensor, nn

from mfcl.core.machine import seeded
from mfcl.core.settings import LATER, bounded, check_settings, later
from mfcl.embeddings.parts import FORMATS, WORDS, Part, Role, Stage
from mfcl.errors import RecipeError
from mfcl.models.encoders import EncoderSettings, Frames, make_encoder
from mfcl.models.encoders.base import Lengths, WaveEncoder, merged
from mfcl.models.frontends import ALIGNED_SECONDS, LogMel, MelSettings, Waveform, aligned_bands
from mfcl.models.heads import Neck, NeckSettings
from mfcl.models.landmarks import Landmarks, LandmarkSettings
from mfcl.models.pooling import Pooling


@dataclass(frozen=True)
class ModelSettings:
    """Settings of the front ends, the two encoders and the parts of their embeddings."""

    sample_rate: int = bounded(16000, 1000, 384000)
    """Sample rate of the input waveforms in Hz; must equal `preparation.sample_rate`."""
    mel_format: MelSettings = field(default_factory=MelSettings)
    wave: EncoderSettings = field(default_factory=lambda: EncoderSettings("filterbank1d", "thirds_max"))
    mel: EncoderSettings = field(default_factory=lambda: EncoderSettings("melcnn", "thirds_max"))
    voices: str | None = None
    """Pooling of the speaker part of each embedding, such as `statistics`; None: there is a content part only."""
    neck: NeckSettings | None = None
    """Shortens the content part of each embedding; None: it is the pooled values themselves."""
    landmarks: LandmarkSettings | None = field(default=None, metadata={LATER: True})
    """Adds each clip's similarity to landmarks, by alignment of frames, to the content part; None: does not."""
    spectrum: bool = later(False)
    """Adds the average log-mel of a clip's loud frames to the speaker part of the log-mel's embedding."""

    def __post_init__(self) -> None:
        check_settings(self, "model")
        if self.mel_format.pcen is not None and (self.landmarks is not None or self.spectrum):
            raise RecipeError(
                "model: landmarks and spectrum are of log-mels, which mel_format.pcen replaces; set landmarks: null "
                "and spectrum: false, or pcen: null"
            )


class FormatEncoder(nn.Module):
    """A front end, an encoder and its poolings: waveforms in, one embedding for each clip out.

    Attributes:
        front: From waveforms to the format.
        encoder: From the format to frames.
        poolings: From frames to each part of an embedding: "words" (content) and, in some models, "voices" (speaker).
        neck: Shortens the content part; None: it is the pooled values themselves.
        landmarks: Pools frames by alignment to landmarks, beside the content part; None: there are none.
        averaged: Bands of the average spectrum beside the speaker part; 0: there is none.
        dim: Values in an embedding.
    """

    def __init__(
        self,
        front: Waveform | LogMel,
        encoder: nn.Module,
        poolings: Mapping[Role, Pooling],
        neck: NeckSettings | None,
        landmarks: Landmarks | None = None,
        sample_rate: int = 16000,
        *,
        averaged: int = 0,
    ) -> None:
        super().__init__()
        self.front, self.encoder = front, encoder
        # keys are "words" and "voices", not the roles: saved weights have these names
        self.poolings = nn.ModuleDict({WORDS[role]: pooling for role, pooling in poolings.items()})
        self.neck = Neck(self.pooled["content"], neck) if neck is not None else None
        self.landmarks, self.sample_rate, self.averaged = landmarks, sample_rate, averaged

    def pooling(self, role: Role) -> Pooling:
        """Return the pooling of one part."""
        return cast(Pooling, self.poolings[WORDS[role]])

    @property
    def roles(self) -> tuple[Role, ...]:
        """Roles of the parts of an embedding: "content" and, in some models, "speaker"."""
        return tuple(role for role, word in WORDS.items() if word in self.poolings)

    @property
    def pooled(self) -> dict[Role, int]:
        """Pooled values for each part of an embedding, before the neck."""
        return {role: self.pooling(role).dim for role in self.roles}

    @property
    def dims(self) -> dict[tuple[Role, Stage], int]:
        """Values in each part of an embedding, by role and stage.

        Necks and landmarks add parts to the content, the average spectrum one to the speaker.
        """
        found: dict[tuple[Role, Stage], int] = {}
        for role, dim in self.pooled.items():
            stages: Mapping[Stage, int] = {"": dim}
            if role == "content":
                stages = stages if self.neck is None else self.neck.dims
                stages = stages if self.landmarks is None else {**stages, "landmarks": self.landmarks.dim}
            elif self.averaged:
                stages = {**stages, "spectrum": self.averaged}
            found |= {(role, stage): size for stage, size in stages.items()}
        return found

    @property
    def dim(self) -> int:
        """Values in an embedding."""
        return sum(self.dims.values())

    def frames(self, wave: Float[Tensor, "batch samples"], lengths: Lengths = None) -> Frames:
        """Return the encoder's frames.

        Args:
            wave: Waveforms, zeros after each clip's end.
            lengths: Samples of each clip; None if there is no padding.
        """
        frames: Frames = self.encoder(*self.front(wave, lengths))
        return frames

    def encode(self, represented: Float[Tensor, "batch ..."], lengths: Lengths = None) -> Float[Tensor, "batch _"]:
        """Return the embeddings of clips after the front end: the parts side by side, in float32.

        Args:
            represented: The format, zeros after each clip's end.
            lengths: In samples or frames of the format; None if there is no padding.
        """
        frames = self.encoder(represented, lengths)
        parts: dict[Role, Tensor] = {role: self.pooling(role)(frames) for role in self.roles}
        if self.neck is not None:
            parts["content"] = self.neck(parts["content"])
        if self.landmarks is not None:
            aligned = self.landmarks(self.spectrum(represented, lengths))
            parts["content"] = torch.cat([parts["content"], aligned], dim=1)
        if self.averaged:
            average = cast(LogMel, self.front).average_spectrum(represented, lengths)
            parts["speaker"] = torch.cat([parts["speaker"], average], dim=1)
        return torch.cat(list(parts.values()), dim=1)

    def spectrum(self, represented: Float[Tensor, "batch ..."], lengths: Lengths = None) -> Frames:
        """Return the log powers that landmarks align, a frame every 20 ms; see `encode`."""
        if isinstance(self.front, LogMel):
            return self.front.spectrum(represented, lengths)
        encoder = cast(WaveEncoder, self.encoder)
        step = ALIGNED_SECONDS * self.sample_rate / encoder.aligned_samples if encoder.aligned_samples else 1
        return merged(encoder.spectrum(represented, lengths), max(1, round(step)))

    def forward(self, wave: Float[Tensor, "batch samples"], lengths: Lengths = None) -> Float[Tensor, "batch _"]:
        """Return the embeddings of waveforms; each depends on its own clip alone. See `frames`."""
        return self.encode(*self.front(wave, lengths))


class MultiFormatModel(nn.Module):
    """A waveform encoder and a log-mel encoder.

    Source: Wang and van den Oord, "Multi-Format Contrastive Learning of Audio Representations", arXiv:2103.06508.

    Attributes:
        wave: The encoder of waveforms.
        mel: The encoder of log-mels; it takes waveforms too.
        default_format: What an embedding holds if no format is named: both, or the only one whose encoder is trained.
    """

    def __init__(self, settings: ModelSettings) -> None:
        super().__init__()
        self.default_format: Literal["wave", "mel", "both"] = "both"
        bands = settings.mel_format.bands
        aligned_mel = aligned_bands(settings.mel_format, settings.sample_rate)
        for name, front in (("wave", Waveform()), ("mel", LogMel(settings.mel_format, settings.sample_rate))):
            chosen: EncoderSettings = getattr(settings, name)
            encoder = make_encoder(chosen, name, bands=bands)  # type: ignore[arg-type]
            features = int(encoder.features)  # type: ignore[arg-type]
            poolings: dict[Role, str] = {"content": chosen.pooling}
            if settings.voices:
                poolings["speaker"] = settings.voices
            made = {role: Pooling(pooling, features) for role, pooling in poolings.items()}
            heard = aligned_mel.stop - aligned_mel.start if name == "mel" else int(encoder.aligned)  # type: ignore[arg-type]
            aligned = None if settings.landmarks is None else Landmarks(heard, settings.landmarks)
            averaged = bands if settings.spectrum and "speaker" in poolings and name == "mel" else 0
            whole = FormatEncoder(front, encoder, made, settings.neck, aligned, settings.sample_rate, averaged=averaged)
            setattr(self, name, whole)

    wave: FormatEncoder
    mel: FormatEncoder

    @property
    def dims(self) -> Mapping[str, int]:
        """Values in an embedding, by format."""
        return {"wave": self.wave.dim, "mel": self.mel.dim}

    @property
    def parts(self) -> dict[Part, int]:
        """Values in each part of an embedding; a format's only part has no role.

        Example:
            >>> {str(part): dim for part, dim in MultiFormatModel(ModelSettings(voices="statistics")).parts.items()}
            {'wave words': 1536, 'wave voices': 768, 'mel words': 2560, 'mel voices': 1280}
        """
        found: dict[Part, int] = {}
        for format in FORMATS:
            encoder: FormatEncoder = getattr(self, format)
            for (role, stage), dim in encoder.dims.items():
                whole = len(encoder.dims) == 1 and not stage
                found[Part(format) if whole else Part(format, role, stage)] = dim
        return found

    def forward(
        self, wave: Float[Tensor, "batch samples"], lengths: Lengths = None
    ) -> dict[str, Float[Tensor, "batch _"]]:
        """Return the embeddings of both formats."""
        return {"wave": self.wave(wave, lengths), "mel": self.mel(wave, lengths)}


@contextlib.contextmanager
def without(model: MultiFormatModel, *parts: Literal["neck", "landmarks"]) -> Iterator[None]:
    """Remove a model's necks, its landmarks or both inside a `with` block; without necks it returns all pooled values.

    Landmarks take time and are fitted last, so nothing in training needs them.
    """
    encoders = (model.wave, model.mel)
    kept = [(encoder, part, getattr(encoder, part)) for encoder in encoders for part in parts]
    try:
        for encoder, part, _ in kept:
            setattr(encoder, part, None)
        yield
    finally:
        for encoder, part, module in kept:
            setattr(encoder, part, module)


def make_model(settings: ModelSettings, *, seed: int) -> MultiFormatModel:
    """Return a model with random weights that depend on the seed alone; torch's global generator is unchanged."""
    with seeded(seed):
        return MultiFormatModel(settings)


def outline(settings: ModelSettings) -> MultiFormatModel:
    """Return a model on torch's meta device: names, shapes and dtypes of its weights, without memory for values."""
    with torch.random.fork_rng(devices=[]), torch.device("meta"):
        return MultiFormatModel(settings)
