"""A trained model behind the API of the HEAR benchmark (Holistic Evaluation of Audio Representations).

Source: Turian et al., "HEAR", arXiv:2203.03022; https://hearbenchmark.com/hear-api.html
"""

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from mfcl.audio.arrays import mono_samples
from mfcl.audio.preparation import prepare, rounded
from mfcl.checkpoint import load_checkpoint
from mfcl.core.urls import local_path
from mfcl.embedder import Embedder
from mfcl.errors import AudioError
from mfcl.models.inference import Listed, embed_clips

WINDOW_SECONDS = 0.4
"""Sound around a timestamp that its embedding is of."""
HOP_SECONDS = 0.05
"""Step between timestamps, the benchmark's advice."""
MOST_WINDOWS = 4096


class HearModel(nn.Module):
    """A model as the benchmark asks for it.

    Attributes:
        sample_rate: In Hz, of the audio that it takes.
        scene_embedding_size: Values in the embedding of a whole clip.
        timestamp_embedding_size: Values in the embedding of a moment.
    """

    def __init__(self, embedder: Embedder) -> None:
        super().__init__()
        self.embedder, self.encoders = embedder, embedder.model
        self.sample_rate = embedder.sample_rate
        self.scene_embedding_size = self.timestamp_embedding_size = embedder.dim()

    def forward(self, audio: Float[Tensor, "sounds samples"]) -> Float[Tensor, "sounds dim"]:
        """Return the embeddings of whole clips; see `get_scene_embeddings`."""
        return get_scene_embeddings(audio, self)


def load_model(model_file_path: str = "") -> HearModel:
    """Load a model from its folder or its run's folder; it is on the CPU until it is moved.

    Raises:
        CheckpointError: there is no such model.
    """
    return HearModel(Embedder(load_checkpoint(local_path(model_file_path, "model")), device="cpu"))


def get_scene_embeddings(audio: Float[Tensor, "sounds samples"], model: HearModel) -> Float[Tensor, "sounds dim"]:
    """Return an embedding of each clip: what `mfcl embed` gives, on the audio's device.

    Args:
        audio: Clips of one length at the model's sample rate, from -1 to 1.
        model: From `load_model`.

    Raises:
        AudioError: the audio has another shape or type, or values that are not finite or far above full scale.
    """
    clips = _clips(audio)
    return torch.from_numpy(model.embedder.encode(clips)).to(audio.device)


def get_timestamp_embeddings(
    audio: Float[Tensor, "sounds samples"], model: HearModel
) -> tuple[Float[Tensor, "sounds times dim"], Float[Tensor, "sounds times"]]:
    """Return embeddings every 50 ms, each of the 400 ms around it, and their times in milliseconds.

    Sound before the beginning and after the end of a clip is silence. Nothing is cut off, so that times are the clip's.

    Args:
        audio: Clips of one length at the model's sample rate, from -1 to 1.
        model: From `load_model`.

    Raises:
        AudioError: the audio has another shape or type, or values that are not finite or far above full scale.
    """
    rate, preparation = model.sample_rate, model.embedder.recipe.preparation.uncut
    window, hop = round(WINDOW_SECONDS * rate), round(HOP_SECONDS * rate)
    clips = [rounded(prepare(clip, rate, preparation)) for clip in _clips(audio)]
    starts = np.arange(0, len(clips[0]), hop)
    found = []
    for clip in clips:
        around = np.pad(clip, (window // 2, window))
        pieces = [around[start : start + window] for start in starts]
        found += [
            embed_clips(model.encoders, Listed(pieces[first : first + MOST_WINDOWS]), rate)
            for first in range(0, len(pieces), MOST_WINDOWS)
        ]
    vectors = torch.from_numpy(np.concatenate(found).reshape(len(clips), len(starts), -1))
    times = torch.from_numpy(1000.0 * starts / rate).float().expand(len(clips), -1)
    return vectors.to(audio.device), times.to(audio.device)


def _clips(audio: object) -> list[np.ndarray]:
    if not isinstance(audio, Tensor) or not audio.is_floating_point():
        kind = audio.dtype if isinstance(audio, Tensor) else type(audio).__name__
        raise AudioError(f"audio: wanted a tensor of floats from -1 to 1, got {kind}; convert it first")
    if audio.ndim != 2 or not audio.numel():
        raise AudioError(f"audio: wanted clips of shape (sounds, samples), got {tuple(audio.shape)}; give mono clips")
    rows = audio.detach().cpu().float().numpy()
    return [mono_samples(row, name=f"audio: clip {number}") for number, row in enumerate(rows)]
