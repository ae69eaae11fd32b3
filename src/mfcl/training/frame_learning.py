"""Learn frames from alignment: frames that say the same in recordings that align well become alike.

Recordings of one word by several voices are found without labels (`mfcl.training.neighbour_search`), and the cheapest
path between two of them matches their frames. Contrastive learning of the matched frames, across the two formats and
in each, leaves what the voices differ in out of them, and what noise adds.
"""

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias, cast

import numpy as np
import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor
from torch.nn import functional

from mfcl.core.memory import give_back, most_held
from mfcl.core.progress import progress
from mfcl.core.random import generator
from mfcl.data.store import Store
from mfcl.embeddings import alignment
from mfcl.models.frame_encoder import FrameEncoder
from mfcl.models.landmarks import Landmarks, aligned_frames
from mfcl.models.losses import TERMS
from mfcl.models.pair import FormatEncoder, MultiFormatModel
from mfcl.recipe import TrainSettings
from mfcl.training.batch_schedule import ahead
from mfcl.training.neighbour_search import LONGEST_SECONDS
from mfcl.training.normalisation import on_device
from mfcl.training.optim import learning_rate, make_optimiser
from mfcl.training.positives import Neighbourhood
from mfcl.views.batches import whole_clips
from mfcl.views.transforms import noisy

PAIRS = 48
"""Pairs of recordings in a step."""
DRAWN = 8
"""Matched frames drawn from each pair."""
TEMPERATURE = 0.1
APART = 3
"""Frames of one recording that lie no further apart than that are no negatives of each other."""
NOISE_DB = (5.0, 30.0)
"""Signal-to-noise ratios of the white noise that three in four recordings are heard in."""
NOISY_SHARE = 0.75
OPTIMISER = TrainSettings(learning_rate=2e-3, weight_decay=0.01, warmup=0.2)

Frames: TypeAlias = Mapping[str, tuple[Float[Tensor, "pairs _ _"], Int64[Tensor, " pairs"]]]
Sides: TypeAlias = tuple[Mapping[str, Float[Tensor, "frames learned"]], Mapping[str, Float[Tensor, "frames learned"]]]


def learn_frames(
    model: MultiFormatModel,
    store: Store,
    hood: Neighbourhood,
    terms: str,
    *,
    steps: int,
    seed: int,
    shown: bool = False,
) -> None:
    """Train the frame encoders of a model's landmarks; nothing else of the model changes.

    Args:
        model: With landmarks that learn frames.
        store: The training recordings.
        hood: The recordings that are alike; see `Neighbourhood`.
        terms: Which formats' frames are compared, as in the loss; see `mfcl.models.losses.TERMS`.
        steps: Steps of the training, each of `PAIRS` pairs of recordings.
        seed: The run's seed.
        shown: Whether to show progress.

    Source: Park and Glass, "Unsupervised pattern discovery in speech", 2008 (words without labels); Kamper, Elsner,
        Jansen and Goldwater, "Unsupervised neural network based feature extraction using weak top-down constraints",
        ICASSP 2015 (frames matched by alignment as the targets); here with the loss of arXiv:2103.06508.
    """
    formats = tuple(dict.fromkeys(format for side in TERMS[terms] for format in side))
    encoders = {format: cast(FormatEncoder, getattr(model, format)) for format in formats}
    learners = torch.nn.ModuleDict({format: _learner(encoder) for format, encoder in encoders.items()})
    for format in formats:
        cast(FrameEncoder, learners[format]).start(seed)
    learners.requires_grad_(True)
    optimiser = make_optimiser(learners, OPTIMISER)
    draw, most = generator(seed, "frames"), most_held()

    def hear(_: int) -> _Heard:
        return _next_heard(encoders, store, hood, draw, most=most)

    # recordings of a step are heard and aligned while the step before learns; a GPU would do both in sequence anyway
    on_cpu = next(learners.parameters()).device.type == "cpu"
    coming = ahead(hear, range(steps)) if on_cpu else ((step, hear(step)) for step in range(steps))
    with contextlib.closing(coming):
        for step, heard in progress(coming, total=steps, what="Learning frames", unit="steps", shown=shown):
            with torch.enable_grad():
                sides = [
                    {
                        format: _at(
                            cast(FrameEncoder, learners[format])(*frames), frames[1], heard.pair, heard.times[:, side]
                        )
                        for format, frames in heard.frames[side].items()
                    }
                    for side in (0, 1)
                ]
                loss = _loss((sides[0], sides[1]), terms, heard.negatives)
                loss.backward()  # type: ignore[no-untyped-call]
            for group in optimiser.param_groups:
                group["lr"] = learning_rate(step, steps, OPTIMISER)
            optimiser.step()
            optimiser.zero_grad()
    learners.requires_grad_(False)
    for encoder in encoders.values():
        _landmarks(encoder).learned.fill_(True)
    give_back()


@dataclass(frozen=True)
class _Heard:
    """What a step learns from.

    Attributes:
        frames: For the first recordings of the pairs and for the second ones: format -> frames in noise, and how many.
        pair: Number of the pair of each matched frame.
        times: Its frames in both recordings.
        negatives: Which frames of the second recordings are negatives of which of the first ones.
    """

    frames: tuple[Frames, Frames]
    pair: Int64[Tensor, " frames"]
    times: Int64[Tensor, "frames 2"]
    negatives: Bool[Tensor, "frames frames"]


def _next_heard(
    encoders: Mapping[str, FormatEncoder], store: Store, hood: Neighbourhood, draw: np.random.Generator, *, most: int
) -> _Heard:
    """Draw pairs of recordings and matched frames of them; above `most` bytes, what it has freed is given back."""
    first = draw.integers(len(hood.members), size=PAIRS)
    second = hood.near[:, : hood.positives].cpu().numpy()[first, draw.integers(hood.positives, size=PAIRS)]
    (frames, clean), (others, other_clean) = (
        _hear(encoders, store, hood.members[places], draw) for places in (first, second)
    )
    give_back(above=most)
    pair, times = _matches(clean, other_clean, draw)
    return _Heard((frames, others), pair, times, _negatives(hood, first, second, pair, times))


def _landmarks(encoder: FormatEncoder) -> Landmarks:
    return cast(Landmarks, encoder.landmarks)


def _learner(encoder: FormatEncoder) -> FrameEncoder:
    return cast(FrameEncoder, _landmarks(encoder).frame_encoder)


@torch.no_grad()
def _hear(
    encoders: Mapping[str, FormatEncoder], store: Store, recordings: Int64[np.ndarray, " pairs"],
    draw: np.random.Generator,
) -> tuple[dict[str, tuple[Tensor, Tensor]], tuple[Tensor, Tensor]]:  # fmt: skip
    """Return the spectra's frames of recordings in noise by format, and of clean ones, with their numbers."""
    front = next(iter(encoders.values())).front
    clips = whole_clips(store, recordings, longest_seconds=LONGEST_SECONDS)
    wave, lengths = on_device(clips, next(front.buffers()).device)
    if lengths is None:
        lengths = torch.full((len(wave),), wave.shape[1], device=wave.device)
    snr_db = draw.uniform(*NOISE_DB, size=len(wave)) + np.where(draw.random(len(wave)) < NOISY_SHARE, 0, 200)
    keys = torch.from_numpy(draw.integers(2**63, size=len(wave)))
    rough = noisy(wave, lengths, torch.from_numpy(snr_db).float().to(wave.device), keys.to(wave.device))
    seen = {
        format: aligned_frames(encoder.spectrum(*encoder.front(rough, lengths))) for format, encoder in encoders.items()
    }
    encoder = list(encoders.values())[-1]  # of log-mels, where there is one
    return seen, aligned_frames(encoder.spectrum(*encoder.front(wave, lengths)))


def _at(
    frames: Float[Tensor, "pairs width learned"],
    lengths: Int64[Tensor, " pairs"],
    pair: Int64[Tensor, " frames"],
    times: Int64[Tensor, " frames"],
) -> Float[Tensor, "frames learned"]:
    """Return frames at their times; the formats differ by a frame at a clip's end."""
    return frames[pair, torch.minimum(times, lengths[pair] - 1)]


def _matches(
    first: tuple[Tensor, Tensor], second: tuple[Tensor, Tensor], draw: np.random.Generator
) -> tuple[Int64[Tensor, " frames"], Int64[Tensor, "frames 2"]]:
    """Draw matched frames: the number of the pair of each, and its frames in both recordings."""
    path, there = alignment.matched(*(side.cpu().numpy() for frames in (first, second) for side in frames))
    chosen = np.floor(draw.random((DRAWN, there.shape[1])) * there.sum(axis=0)).astype(np.int64)
    pair = np.broadcast_to(np.arange(there.shape[1]), chosen.shape).ravel()
    device = first[0].device
    return torch.from_numpy(pair.copy()).to(device), torch.from_numpy(path[chosen.ravel(), pair]).to(device)


def _negatives(
    hood: Neighbourhood,
    first: Int64[np.ndarray, " pairs"],
    second: Int64[np.ndarray, " pairs"],
    pair: Int64[Tensor, " frames"],
    times: Int64[Tensor, "frames 2"],
) -> Bool[Tensor, "frames frames"]:
    """Return which frames of the second recordings are negatives of which of the first ones.

    Frames of recordings that may say the same are not, nor are those of one pair that lie close together.
    """
    near = hood.near.cpu().numpy()
    related = (near[first][:, None] == second[:, None]).any(axis=2) | (near[second][:, None] == first[:, None]).any(
        axis=2
    ).T
    related |= first[:, None] == second
    alike = torch.from_numpy(related).to(pair.device)[pair][:, pair]
    same = pair[:, None] == pair
    return torch.where(same, (times[:, None, 0] - times[:, 0]).abs() > APART, ~alike)


def _loss(sides: Sides, terms: str, negatives: Bool[Tensor, "frames frames"]) -> Float[Tensor, ""]:
    """Return the mean contrastive loss of matched frames over the formats compared, in both directions."""
    first, second = TERMS[terms]
    own = torch.arange(len(negatives), device=negatives.device)
    left_out = ~negatives & (own[:, None] != own)
    losses = []
    for one, other in ((one, other) for one in first for other in second):
        alike = (sides[0][one] @ sides[1][other].T / TEMPERATURE).masked_fill(left_out, -torch.inf)
        losses += [functional.cross_entropy(alike, own), functional.cross_entropy(alike.T, own)]
    return torch.stack(losses).mean()
