"""Contrastive pre-training of the two encoders, without labels."""

import functools
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Float32, Int64
from torch import Tensor

from mfcl.core.distributed import broadcast, gather, own_rows
from mfcl.core.memory import give_back, most_held
from mfcl.data.store import Store
from mfcl.embeddings.parts import Role
from mfcl.embeddings.table import Embeddings
from mfcl.embeddings.whitening import MOST_ITEMS, fit_whitening
from mfcl.models.encoders import Frames
from mfcl.models.heads import Neck, make_heads
from mfcl.models.inference import embed_store
from mfcl.models.losses import TERMS, ContrastiveLoss, Related, chance_loss
from mfcl.models.pair import FormatEncoder, MultiFormatModel, without
from mfcl.models.pooling import Side
from mfcl.recipe import Recipe
from mfcl.training.frame_learning import learn_frames
from mfcl.training.landmark_choice import choose_landmarks
from mfcl.training.neighbour_search import Compared, can_align
from mfcl.training.normalisation import fit_front
from mfcl.training.positives import Neighbourhood
from mfcl.training.projections import head_sizes, projections
from mfcl.training.side_by_side import side_by_side
from mfcl.training.tasks.base import Task
from mfcl.training.tasks.inputs import Crops, Represented, Seen, cut_crops, see_crops
from mfcl.training.tasks.neighbours import due, search_aligned, search_content, search_voices
from mfcl.training.vector_search import part_of
from mfcl.views.crops import mean_seconds
from mfcl.views.own import OwnAugment, augment_name

HALVES: tuple[Side, ...] = ("first", "second")
"""The halves of a crop, which are positives for the speaker part."""


class Pretrain(Task):
    """Train two encoders by contrastive learning: crops of one recording are positives across formats.

    "inter": the first crop is a waveform, the second a log-mel. "inter+intra": each crop is used in both formats.
    "wave-wave", "mel-mel": both crops are in one format, and the other encoder is not trained.

    With `loss.neighbours` the second crop comes from a nearest neighbour of the recording, and all neighbours in a
    batch are positives: similar recordings of different speakers share their content. Neighbours are found from log-mel
    pictures and the encoders' own embeddings, again several times during training.

    If the model has a speaker part, the first half of each crop and its second half are positives for it: they share
    the speaker, but not the content. With `loss.voice_neighbours` so are halves of recordings that sound alike by
    voice, which do not share the room and the moment of one recording.

    Source: Wang and van den Oord, "Multi-Format Contrastive Learning of Audio Representations", arXiv:2103.06508;
        Dwibedi et al., "With a little help from my friends", arXiv:2104.14548 (the nearest neighbour as the positive);
        Lepage and Dehak, "SSPS: Self-supervised positive sampling for robust self-supervised speaker verification",
        arXiv:2505.14561 (positives from other recordings of what is probably one voice).
    """

    learned_before = False
    """Whether the encoders are already trained; their projections are then used for the first neighbour search."""

    def __init__(
        self,
        model: MultiFormatModel,
        store: Store,
        recipe: Recipe,
        *,
        seed: int,
        augment: OwnAugment | None = None,
    ) -> None:
        super().__init__(store, seed=seed)
        self.model, self.augment = model, augment
        self.heads = make_heads(head_sizes(recipe.model, model.parts), recipe.head, seed=seed)
        self.loss = ContrastiveLoss(recipe.loss)
        self.recipe = recipe
        asked = recipe.loss
        alike = Neighbourhood(len(store), positives=asked.neighbours, ambiguous=asked.ambiguous, seed=seed)
        self.neighbourhood = alike if alike.positives else None
        near = asked.voice_neighbours if recipe.model.voices is not None else 0
        voices = Neighbourhood(len(store), positives=near, ambiguous=asked.ambiguous, seed=seed)
        self.voices_alike = voices if voices.positives else None
        self.compared: Compared | None = None  # made at the first search, and again after a resume
        self.chance_loss = self._chance(self.budget(recipe.train).batch)
        self.most_held = most_held()

    @property
    def formats(self) -> tuple[str, ...]:
        """The formats whose encoders are trained."""
        first, second = TERMS[self.recipe.loss.terms]
        return tuple(dict.fromkeys((*first, *second)))

    @property
    def crop_seconds(self) -> float:
        """Mean seconds of a crop."""
        return mean_seconds(self.recipe.crops, self.store.lengths, self.store.sample_rate)

    @property
    def partial(self) -> bool:
        """Whether one encoder is not trained."""
        return len(self.formats) < len(self.model.dims)

    @property
    def cut_there(self) -> bool:
        """Whether crops may be cut on a GPU: not if the user's own augmentation, of arrays, gets them first."""
        return self.augment is None

    def describe(self) -> dict[str, Any]:
        """Return the task's name, and that of the user's own augmentation."""
        return {"task": "pretrain", **self._own_name()}

    def _own_name(self) -> dict[str, str]:
        return {} if self.augment is None else {"augment": augment_name(self.augment)}

    def prepare(self) -> None:
        """Fit the normalisation of both formats on the training recordings."""
        fit_front(self.model.wave, self.store, seed=self.seed)
        fit_front(self.model.mel, self.store, seed=self.seed)

    def finish(self, *, shown: bool = False) -> None:
        """Fit what is fitted on the final weights: the landmarks, or the necks' PCA where alignment tells nothing.

        The one that is not fitted is zero. Where recordings can be aligned, their PCA coordinates, in which voice and
        room come first, only blur cosines; where they cannot, their landmarks would. Before landmarks are chosen, their
        frames are learned from the neighbours that training had found, in no more steps than it had itself.
        """
        settings = self.recipe.model
        hood = self.neighbourhood
        if settings.landmarks is not None and self._alignment_tells():
            if settings.landmarks.learned and hood is not None and hood.found:
                steps = min(settings.landmarks.steps, self.budget(self.recipe.train).steps)
                learn_frames(
                    self.model, self.store, hood, self.recipe.loss.terms, steps=steps, seed=self.seed, shown=shown
                )
            choose_landmarks(self.model, self.store, settings.landmarks, seed=self.seed)
        elif settings.neck is not None and settings.neck.directions:
            with without(self.model, "neck", "landmarks"):
                embeddings = embed_store(self.model, self.some(MOST_ITEMS))
            for format in ("wave", "mel"):
                neck: Neck = getattr(self.model, format).neck
                neck.turn(fit_whitening(embeddings.part(part_of(self.model, format, "content"))))

    def _alignment_tells(self) -> bool:
        """Return whether recordings can be aligned: as a search found, or would have found, also after a resume."""
        if self.compared is not None:
            return self.compared.tells
        hood = self.neighbourhood
        return can_align(self.store if hood is None else self.store.select(hood.members), seed=self.seed)

    def begin(self, stage: int, stages: int) -> list[str]:
        """Search for nearest neighbours, in the stages given by `loss.searches`; return what to log."""
        if self.neighbourhood is None and self.voices_alike is None:
            return []
        if not due(stage, stages, searches=self.recipe.loss.searches):
            return []
        said: list[str] = []
        learned = stage > 0 or self.learned_before
        if self.neighbourhood is not None:
            said = self._search(self.neighbourhood, learned=learned)
            broadcast(self.neighbourhood.near)
        if self.voices_alike is not None:
            search_voices(self.voices_alike, self.model, self.store, self.formats, learned=learned)
            broadcast(self.voices_alike.near)
        return said

    def _search(self, hood: Neighbourhood, *, learned: bool) -> list[str]:
        """Search for recordings that say the same: by vectors or by alignment; return what to log."""
        project = self.projections if learned else None
        if self.recipe.loss.alike_by == "alignment":
            self.compared, said = search_aligned(
                hood, self.model, self.store, self.formats, compared=self.compared, project=project, seed=self.seed
            )
            return said
        search_content(hood, self.model, self.store, self.formats, project=project)
        return []

    def batch(self, indices: Int64[np.ndarray, " batch"], epoch: int) -> Crops:
        """Return two crops for each recording, and a crop of another recording if the recipe mixes log-mels."""
        others = None if self.neighbourhood is None else self.neighbourhood.partners(indices, epoch)
        return cut_crops(
            self.clips, indices, self.recipe.crops, seed=self.seed, epoch=epoch,
            others=others, partners=self.recipe.augment.needs_partner, augment=self.augment,
        )  # fmt: skip

    @torch.no_grad()
    def see(self, batch: Crops) -> Seen:
        """Make the augmented waveforms and log-mels of the crops, without trained weights."""
        return see_crops(self.model, batch, TERMS[self.recipe.loss.terms], self.recipe.augment, self.device)

    def forward(self, batch: Seen) -> tuple[Float[Tensor, ""], dict[str, Tensor]]:
        """Return the contrastive loss over all processes' crops, and top-1, temperature and spread."""
        first, second, *halves = self._projected(batch.first, batch.second)
        loss, figures = self.loss(first, second, self._relations(self.neighbourhood, batch.recordings, batch.others))
        if halves:
            speaker_loss, speaker_figures = self._speaker_loss(batch, halves)
            weight = self.recipe.loss.voices
            loss = (loss + weight * speaker_loss) / (1 + weight)
            figures |= {"voices_top1": speaker_figures["top1"]}
        return loss, figures

    def projections(self, embeddings: Embeddings) -> dict[str, Float32[np.ndarray, "items _"]]:
        """Return the projections of the content part of embeddings, by format."""
        return projections(embeddings, self.heads, self.recipe.model.neck)

    def _relations(self, hood: Neighbourhood | None, *of: Int64[Tensor, " batch"]) -> Related | None:
        """Return the positive pairs of this process's recordings with those of all: first views, then second views."""
        if hood is None:
            return None
        mine, sides = own_rows(len(of[0])), [gather(side) for side in of]
        places = torch.arange(sum(map(len, sides)), device=of[0].device).reshape(len(sides), -1)
        return hood.relations(torch.cat(sides), own=None if mine is None else places[:, mine].flatten())

    def _speaker_loss(
        self, batch: Seen, halves: Sequence[dict[str, Float[Tensor, "batch out"]]]
    ) -> tuple[Float[Tensor, ""], dict[str, Tensor]]:
        """Return the loss of the speaker part: the first half of each crop with its second half.

        Args:
            batch: For the relations between its recordings.
            halves: Projections by format of the first crops' first and second halves, and of the second crops'.
        """
        losses, figures = [], {}
        of = (batch.recordings, batch.others)
        for early, late, recordings in zip(halves[::2], halves[1::2], of, strict=True):
            related = self._relations(self.voices_alike, recordings, recordings)
            for format, other in zip(early, reversed(late), strict=True):  # across formats, where there are two
                loss, figures = self.loss({format: early[format]}, {other: late[other]}, related)
                losses.append(loss)
        return torch.stack(losses).mean(), figures

    def _chance(self, batch: int) -> float:
        """Return the loss of outputs without information; an upper bound if there are neighbours."""
        if self.neighbourhood is None:
            return chance_loss(batch)
        first, second = TERMS[self.recipe.loss.terms]
        content, speaker = math.log((len(first) + len(second)) * batch - 1), chance_loss(batch)
        weight = self.recipe.loss.voices if self.recipe.model.voices is not None else 0.0
        return (content + weight * speaker) / (1 + weight)

    def _projected(self, *views: Mapping[str, Represented]) -> list[dict[str, Float[Tensor, "batch out"]]]:
        """Return projections by format: of each view's content, then, if there is a speaker part, of its halves.

        All that a format does by itself is in here, so that two formats do it side by side.
        """
        halves = 0 if self.recipe.model.voices is None else len(HALVES)
        found: list[dict[str, Tensor]] = [{} for _ in range(len(views) * (1 + halves))]
        places = {
            format: [place for place, view in enumerate(views) if format in view]
            for format in dict.fromkeys(format for view in views for format in view)
        }

        def project(format: str) -> list[Tensor]:
            frames = [self._frames(format, views[place][format]) for place in places[format]]
            projected = self._project(format, "content", frames, [None])
            return [*projected, *self._project(format, "speaker", frames, HALVES)] if halves else projected

        made = side_by_side(
            [functools.partial(project, format) for format in places],
            [getattr(self.model, format).encoder for format in places],
        )
        for (format, here), projected in zip(places.items(), made, strict=True):
            later = [len(views) + halves * place + half for place in here for half in range(halves)]
            for place, own in zip([*here, *later], projected, strict=True):
                found[place][format] = own
        return found

    def _project(
        self, format: str, role: Role, frames: Sequence[Frames], sides: Sequence[Side | None]
    ) -> list[Float[Tensor, "batch out"]]:
        """Return the projections of one part of each view's embedding, or of that of each of its sides.

        A head runs once on all of them, which is faster than once for each.
        """
        encoder: FormatEncoder = getattr(self.model, format)
        neck = encoder.neck if role == "content" else None
        head = self.heads[str(part_of(self.model, format, role))] if neck is None else neck.project
        pooled = torch.cat([encoder.pooling(role)(own, side) for own in frames for side in sides])
        return list(head(pooled).chunk(len(frames) * len(sides)))

    def _frames(self, format: str, represented: Represented) -> Frames:
        """Return the frames of a format's encoder."""
        frames = self.frames(getattr(self.model, format), format, *represented)
        if not frames.values.is_cuda:
            give_back(above=self.most_held)
            if frames.values.requires_grad:  # and before the backward pass goes through this encoder
                frames.values.register_hook(lambda gradient: give_back(above=self.most_held))  # type: ignore[no-untyped-call]
        return frames
