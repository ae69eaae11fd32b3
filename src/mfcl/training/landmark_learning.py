"""Let landmarks learn by soft alignment: clips that are alike become alike in how near they are to the landmarks.

A landmark that was chosen is one clip, by one voice, in one room. As it learns, its frames move to what the clips that
align with it have in common, and away from what the others have.
"""

from typing import cast

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn
from torch.nn import functional

from mfcl.core.machine import seeded
from mfcl.core.memory import give_back, most_held
from mfcl.core.progress import progress
from mfcl.core.random import generator
from mfcl.data.store import Store
from mfcl.models.encoders.base import within
from mfcl.models.landmarks import SHORTEST, Landmarks, nearness
from mfcl.models.losses import TERMS, many_positives
from mfcl.models.pair import FormatEncoder, MultiFormatModel
from mfcl.models.soft_alignment import soft_dtw
from mfcl.recipe import TrainSettings
from mfcl.training.alike_pairs import draw_pairs, hear
from mfcl.training.optim import learning_rate, make_optimiser, set_rate
from mfcl.training.positives import Neighbourhood

PAIRS = 16
"""Pairs of recordings in a step."""
PROJECTED = 128
"""Values of a linear projection of what landmarks say of a clip, in which clips are compared."""
SMOOTHING = 0.02
"""Of the alignment, in units of the cost of two frames; see `mfcl.models.soft_alignment.soft_dtw`."""
TEMPERATURE = 0.1
OPTIMISER = TrainSettings(learning_rate=1e-2, weight_decay=1e-4, warmup=0.1)
SHARE = 0.3
"""Learning rate of landmarks as a share of the projection's."""


def learn_landmarks(
    model: MultiFormatModel,
    store: Store,
    hood: Neighbourhood,
    terms: str,
    *,
    steps: int,
    seed: int,
    shown: bool = False,
) -> None:
    """Train the frames of a model's landmarks by the contrastive loss; nothing else of the model changes.

    Two recordings that are alike are positives, in both formats; what may be alike is no negative.

    Args:
        model: With landmarks that were chosen.
        store: The training recordings.
        hood: The recordings that are alike; see `Neighbourhood`.
        terms: Which formats are compared, as in the loss; see `mfcl.models.losses.TERMS`.
        steps: Steps of the training, each of `PAIRS` pairs of recordings.
        seed: The run's seed.
        shown: Whether to show progress.

    Source: Cuturi and Blondel, "Soft-DTW", arXiv:1703.01541 (the gradient of an alignment); Grabocka et al., "Learning
        time-series shapelets", KDD 2014 (distances to learned pieces as features); here without labels, by the loss of
        arXiv:2103.06508.
    """
    sides = TERMS[terms]
    encoders = {
        format: cast(FormatEncoder, getattr(model, format))
        for format in dict.fromkeys(format for side in sides for format in side)
    }
    with seeded(seed):
        learners = nn.ModuleDict({format: Learner(_landmarks(encoder)) for format, encoder in encoders.items()})
    optimiser = make_optimiser(learners, OPTIMISER, lambda name: SHARE if name.endswith(".marks") else 1.0)
    draw, most = generator(seed, "landmarks that learn"), most_held()
    for step in progress(range(steps), what="Landmarks learn", unit="steps", shown=shown):
        views, of, recordings = [], [], []
        for side, places in enumerate(draw_pairs(hood, PAIRS, draw)):
            device = hood.near.device
            recordings.append(torch.from_numpy(hood.members[places]).to(device))
            heard = hear(store, hood.members[places], draw, device)
            for format in sides[side]:
                with torch.no_grad():
                    front = encoders[format].front(heard.rough, heard.lengths)
                    frames = _landmarks(encoders[format]).frames(encoders[format].spectrum(*front))
                with torch.enable_grad():
                    views.append(learners[format](*frames))
                of.append(torch.arange(PAIRS, device=device) + side * PAIRS)
        related = hood.relations(torch.cat(recordings))
        with torch.enable_grad():
            loss = many_positives(torch.cat(views), related, torch.cat(of), TEMPERATURE)
            loss.backward()  # type: ignore[no-untyped-call]
        set_rate(optimiser, learning_rate(step, steps, OPTIMISER))
        optimiser.step()
        optimiser.zero_grad()
        give_back(above=most)
    for format, encoder in encoders.items():
        cast(Learner, learners[format]).keep(_landmarks(encoder))
    give_back()


class Learner(nn.Module):
    """The frames of landmarks as weights, and a projection of how near clips are to them.

    Args:
        landmarks: Those of a format.
    """

    def __init__(self, landmarks: Landmarks) -> None:
        super().__init__()
        known = int((landmarks.lengths > 0).sum())
        self.ends: Int64[Tensor, " known"] = landmarks.lengths[:known]
        self.marks = nn.Parameter(landmarks.marks[:known, : int(self.ends.max())].clone())
        self.project = nn.Linear(known, PROJECTED, device=self.marks.device)

    @property
    def units(self) -> Float[Tensor, "known longest dim"]:
        """The frames, of unit length and zero after each landmark's end."""
        own = within(self.ends, self.marks.shape[1])
        return functional.normalize(self.marks * own[:, :, None], dim=2, eps=SHORTEST)

    def forward(
        self, frames: Float[Tensor, "batch steps dim"], lengths: Int64[Tensor, " batch"]
    ) -> Float[Tensor, "batch projected"]:
        """Return the projections of clips, by how near they are to the landmarks."""
        projected: Tensor = self.project(
            nearness(soft_dtw(frames, lengths, self.units, self.ends, smoothing=SMOOTHING))
        )
        return projected

    @torch.no_grad()
    def keep(self, landmarks: Landmarks) -> None:
        """Put what was learned into the landmarks."""
        landmarks.marks[: len(self.marks), : self.marks.shape[1]] = self.units


def _landmarks(encoder: FormatEncoder) -> Landmarks:
    return cast(Landmarks, encoder.landmarks)
