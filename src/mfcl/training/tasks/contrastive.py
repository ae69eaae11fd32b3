"""Learning without labels: a pair of encoders, each in its own format."""

import functools
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import torch
from jaxtyping import Float, Float32, Int64
from torch import Tensor, nn

from mfcl.core.distributed import broadcast, gather, is_main
from mfcl.data.store import Store
from mfcl.embeddings.linalg import unit_rows
from mfcl.embeddings.parts import Part, Role
from mfcl.embeddings.table import Embeddings
from mfcl.embeddings.whitening import MOST_ITEMS, fit_whitening
from mfcl.evaluation.baselines import log_mel_picture
from mfcl.models.encoders import Frames
from mfcl.models.frontends import LogMel
from mfcl.models.heads import Neck, NeckSettings, make_heads
from mfcl.models.inference import embed_store
from mfcl.models.losses import TERMS, ContrastiveLoss, Related, chance_loss
from mfcl.models.pair import FormatEncoder, ModelSettings, MultiFormatModel, pooled_whole
from mfcl.models.pooling import halves
from mfcl.recipe import Recipe
from mfcl.training.normalisation import fit_front, on_device
from mfcl.training.positives import Neighbourhood
from mfcl.training.tasks.base import Task
from mfcl.views.augment import augment_mel, augment_wave, noise_for_mel
from mfcl.views.batches import Clips, Views, make_views


@dataclass(frozen=True)
class Crops:
    """A batch of pre-training: two crops of each recording, and when they were made."""

    views: Views
    epoch: int


Represented = tuple[Float[Tensor, "batch ..."], Int64[Tensor, " batch"] | None]


@dataclass(frozen=True)
class Seen:
    """A batch of pre-training in its formats, augmented: what the encoders see."""

    recordings: Int64[np.ndarray, " batch"]
    others: Int64[np.ndarray, " batch"]
    """Whose the second crops are; see `Views`."""
    first: Mapping[str, Represented]
    """By format, what the first crops became, and how long each is in steps of the format."""
    second: Mapping[str, Represented]


Partner = tuple[Float[Tensor, "batch bands frames"] | None, Int64[Tensor, " batch"] | None]


class Pretrain(Task):
    """Teach two encoders that crops of one recording belong together, whichever format they come in.

    "inter": the first crop stays a waveform, the second becomes a log-mel. "inter+intra": both become both.
    "wave-wave", "mel-mel": both become one format, and the other encoder learns nothing.

    With `loss.neighbours` the second crop is one of another recording, drawn from those most alike to the first one's,
    and all that are alike belong together: what two voices share is what they say. Which are alike is told by a log-mel
    picture and by the encoders themselves, and again as they get better.

    Where the model has a part for voices, it sees the same frames, and brings the first half of each crop together with
    the second one: what two pieces without a common moment share is who speaks, not what is said.

    Source: Wang and van den Oord, "Multi-Format Contrastive Learning of Audio Representations", arXiv:2103.06508;
        Dwibedi et al., "With a little help from my friends", arXiv:2104.14548 (the nearest neighbour as the positive).
    """

    learned_before = False
    """Whether the encoders come from an earlier run: then they tell from the first epoch on who is alike."""

    def __init__(self, model: MultiFormatModel, store: Store, recipe: Recipe, *, seed: int) -> None:
        super().__init__(store, seed=seed)
        self.model = model
        self.heads = make_heads(head_sizes(recipe.model, model.parts), recipe.head, seed=seed)
        self.loss = ContrastiveLoss(recipe.loss)
        self.recipe = recipe
        asked = recipe.loss
        alike = Neighbourhood(len(store), positives=asked.neighbours, ambiguous=asked.ambiguous, seed=seed)
        self.neighbourhood = alike if alike.positives else None
        self.chance_loss = self._chance(min(recipe.train.batch, len(store)))

    @property
    def formats(self) -> tuple[str, ...]:
        """The formats that learn."""
        first, second = TERMS[self.recipe.loss.terms]
        return tuple(dict.fromkeys((*first, *second)))

    @property
    def partial(self) -> bool:
        """Whether one encoder learns nothing."""
        return len(self.formats) < len(self.model.dims)

    def describe(self) -> dict[str, Any]:
        """Return what this task is."""
        return {"task": "pretrain"}

    def prepare(self) -> None:
        """Fit the normalisation of both formats on the training recordings."""
        fit_front(self.model.wave, self.store, seed=self.seed)
        fit_front(self.model.mel, self.store, seed=self.seed)

    def finish(self) -> None:
        """Fit what follows from the last weights: which directions of what is pooled the necks keep."""
        if self.recipe.model.neck is None:
            return
        with pooled_whole(self.model):
            embeddings = embed_store(self.model, self.some(MOST_ITEMS))
        for format in ("wave", "mel"):
            neck: Neck = getattr(self.model, format).neck
            neck.turn(fit_whitening(embeddings.part(self._part(format, "content"))))

    def begin(self, epoch: int, epochs: int) -> None:
        """Look for the recordings most alike, if it is time to."""
        if self.neighbourhood is None:
            return
        searches = min(self.recipe.loss.searches, epochs)
        if epoch in {search * epochs // searches for search in range(searches)}:
            if is_main():
                self.neighbourhood.renew(self._described(learned=epoch > 0 or self.learned_before))
            broadcast(self.neighbourhood.near)

    def batch(self, indices: Int64[np.ndarray, " batch"], epoch: int) -> Crops:
        """Return two crops for each recording, and a partner to mix with if the recipe mixes."""
        others = indices if self.neighbourhood is None else self.neighbourhood.partners(indices, epoch)
        views = make_views(
            self.store, indices, self.recipe.crops,
            seed=self.seed, epoch=epoch, others=others, partners=self.recipe.augment.needs_partner,
        )  # fmt: skip
        return Crops(views, epoch)

    @torch.no_grad()
    def see(self, batch: Crops) -> Seen:
        """Return what the crops become: waveforms and log-mels, augmented. Nothing learned has a part in it."""
        make: dict[str, Callable[[Crops, str], Represented]] = {
            "wave": self._wave,
            "mel": functools.partial(self._mel, partner=self._partner(batch)),
        }
        first, second = (
            {format: make[format](batch, view) for format in formats}
            for view, formats in zip(("first", "second"), TERMS[self.recipe.loss.terms], strict=True)
        )
        return Seen(batch.views.recordings, batch.views.others, first, second)

    def forward(self, batch: Seen) -> tuple[Float[Tensor, ""], dict[str, Tensor]]:
        """Return the contrastive loss over all processes' crops, and top-1, temperature and spread."""
        first, second = (
            {format: self._frames(format, represented) for format, represented in view.items()}
            for view in (batch.first, batch.second)
        )
        loss, figures = self.loss(*self._projected("content", first, second), self._related(batch))
        if self.recipe.model.voices is not None:
            heard, of_voices = self._voices(first, second)
            weight = self.recipe.loss.voices
            loss = (loss + weight * heard) / (1 + weight)
            figures |= {"voices_top1": of_voices["top1"]}
        return loss, figures

    def projections(self, embeddings: Embeddings) -> dict[str, Float32[np.ndarray, "items _"]]:
        """Return what the loss sees of the content part of embeddings, by format."""
        return projections(embeddings, self.heads, self.recipe.model.neck)

    def _related(self, batch: Seen) -> Related | None:
        """Return which recordings of all processes belong together: those of first crops, then those of second ones."""
        if self.neighbourhood is None:
            return None
        device = self._device()
        sides = (gather(torch.from_numpy(side).to(device)) for side in (batch.recordings, batch.others))
        related = self.neighbourhood.relations(torch.cat(list(sides)).cpu().numpy())
        return Related(related.same.to(device), related.ambiguous.to(device))

    def _voices(self, *views: Mapping[str, Frames]) -> tuple[Float[Tensor, ""], dict[str, Tensor]]:
        """Return the loss of the voices' part: the first half of each crop against its second half."""
        losses, figures = [], {}
        parts = [{format: halves(frames) for format, frames in view.items()} for view in views]
        sides = [{format: both[side] for format, both in view.items()} for view in parts for side in (0, 1)]
        projected = self._projected("speaker", *sides)
        for early, late in zip(projected[::2], projected[1::2], strict=True):
            for format, other in zip(early, reversed(late), strict=True):  # across formats, where there are two
                loss, figures = self.loss({format: early[format]}, {other: late[other]})
                losses.append(loss)
        return torch.stack(losses).mean(), figures

    def _described(self, *, learned: bool) -> Float32[np.ndarray, "members _"]:
        """Return what is compared to tell which recordings are alike: a log-mel picture, and each format's words.

        Of encoders that have learned nothing yet it is what they pool, whitened as the picture; afterwards it is the
        projections as the loss sees them, about their mean.
        """
        store = self.store.select(cast(Neighbourhood, self.neighbourhood).members)
        picture = log_mel_picture(store, store.sample_rate)
        heard = [fit_whitening(picture)(picture)]
        if learned:
            seen = self.projections(embed_store(self.model, store))
            heard += [unit_rows(seen[format] - seen[format].mean(axis=0)) for format in self.formats]
        else:
            with pooled_whole(self.model):
                embeddings = embed_store(self.model, store)
            words = (embeddings.part(self._part(format, "content")) for format in self.formats)
            heard += [fit_whitening(vectors)(vectors) for vectors in words]
        return np.concatenate(heard, axis=1, dtype=np.float32)

    def _chance(self, batch: int) -> float:
        """Return the loss of a model that knows nothing: where many attract each other, at most that."""
        if self.neighbourhood is None:
            return chance_loss(batch)
        first, second = TERMS[self.recipe.loss.terms]
        words, voices = math.log((len(first) + len(second)) * batch - 1), chance_loss(batch)
        weight = self.recipe.loss.voices if self.recipe.model.voices is not None else 0.0
        return (words + weight * voices) / (1 + weight)

    def _part(self, format: str, role: Role) -> Part:
        """Return a part of a format's embedding as it is pooled: the only one has no role."""
        return Part(format, role) if len(getattr(self.model, format).roles) > 1 else Part(format)

    def _projected(self, role: Role, *views: Mapping[str, Frames]) -> list[dict[str, Float[Tensor, "batch out"]]]:
        """Return the projections of one part of the embeddings of frames: for each view, by format.

        A head sees all views of its format at once: its weights are read, and their gradient is written, one time.
        """
        found: list[dict[str, Tensor]] = [{} for _ in views]
        for format in dict.fromkeys(format for view in views for format in view):
            encoder: FormatEncoder = getattr(self.model, format)
            neck = encoder.neck if role == "content" else None
            head = self.heads[str(self._part(format, role))] if neck is None else neck.project
            places = [place for place, view in enumerate(views) if format in view]
            pooled = torch.cat([encoder.pooling(role)(views[place][format]) for place in places])
            for place, projected in zip(places, head(pooled).chunk(len(places)), strict=True):
                found[place][format] = projected
        return found

    def _frames(self, format: str, represented: Represented) -> Frames:
        """Return the frames of a format's encoder."""
        return self.frames(getattr(self.model, format), format, *represented)

    def _wave(self, batch: Crops, view: str) -> Represented:
        """Return the first or second crops as waveforms."""
        clips = self._clips(batch, view)
        wave = augment_wave(
            clips.wave, clips.lengths, self.recipe.augment, self.store.sample_rate,
            seed=self.seed, epoch=batch.epoch, recordings=batch.views.recordings, view=view,
        )  # fmt: skip
        represented: Represented = self.model.wave.front(wave, clips.lengths)
        return represented

    def _mel(self, batch: Crops, view: str, partner: Partner) -> Represented:
        """Return the first or second crops as log-mels."""
        clips, (other, other_frames) = self._clips(batch, view), partner
        front, augment = cast(LogMel, self.model.mel.front), self.recipe.augment
        recordings = batch.views.recordings
        draws: dict[str, Any] = {"seed": self.seed, "epoch": batch.epoch, "recordings": recordings, "view": view}
        wave = noise_for_mel(clips.wave, clips.lengths, augment, **draws)
        mel, lengths = front.log_power(wave, clips.lengths)
        mel = augment_mel(
            mel, lengths, augment, hop_seconds=front.hop_seconds, fill=front.mean,
            partner=other, partner_lengths=other_frames, **draws,
        )  # fmt: skip
        return front.normalise(mel, lengths), lengths

    def _partner(self, batch: Crops) -> Partner:
        """Return the log-mels that are mixed into both crops, made once; none if nothing is mixed."""
        if batch.views.partner is None or "mel" not in self.formats:
            return None, None
        front = cast(LogMel, self.model.mel.front)
        return front.log_power(*on_device(batch.views.partner, self._device()))

    def _clips(self, batch: Crops, view: str) -> Clips:
        clips = batch.views.first if view == "first" else batch.views.second
        return Clips(*on_device(clips, self._device()))

    def _device(self) -> torch.device:
        return next(self.parameters()).device


def head_sizes(settings: ModelSettings, parts: Mapping[Part, int]) -> dict[str, int]:
    """Return the names of the parts of embeddings that need a head, with their values: a neck has its own."""
    return {str(part): dim for part, dim in parts.items() if settings.neck is None or part.role == "speaker"}


@torch.no_grad()
def projections(
    embeddings: Embeddings, heads: nn.ModuleDict, neck: NeckSettings | None
) -> dict[str, Float32[np.ndarray, "items _"]]:
    """Return what the loss sees of the content part of embeddings, by format: where there is a neck, what it projected.

    Args:
        embeddings: Of a model.
        heads: The heads it was trained with.
        neck: Its neck's shape.
    """
    device = next((weight.device for weight in heads.parameters()), torch.device("cpu"))
    found = {}
    for part in embeddings.sizes:
        if part.role == "speaker":
            continue
        own = embeddings.part(part)
        if neck is None:
            found[part.format] = heads[str(part)](torch.from_numpy(own.copy()).to(device)).cpu().numpy()
        elif part.stage == "projection":
            found[part.format] = own
    return found
