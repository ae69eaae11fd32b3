"""What can be learned by the one loop: a pair of encoders without labels, or one encoder with them."""

import abc
import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, cast

import numpy as np
import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn
from torch.nn import functional

from mfcl.augment import augment_mel, augment_wave
from mfcl.batches import Clips, Views, length_batches, make_views, whole_clips
from mfcl.distributed import all_reduce_sum, processes
from mfcl.encoders import Frames
from mfcl.formats import LogMel
from mfcl.heads import make_heads
from mfcl.losses import TERMS, ContrastiveLoss, chance_loss
from mfcl.models import FormatEncoder, MultiFormatModel
from mfcl.pooling import halves
from mfcl.recipe import Recipe
from mfcl.store import Store
from mfcl.training.fronts import fit_front, on_device

LONGEST = 2.0
"""Seconds of a recording that supervised training sees at once; longer ones are cropped anew in each epoch."""


class Task(nn.Module, abc.ABC):
    """Something to learn: batches made on the processor, and the loss of one on the device.

    Attributes:
        store: The sound of the training recordings, and of no others.
        seed: Of crops and augmentations.
        chance_loss: The loss of a model that knows nothing.
        precision: The arithmetic of each format's encoder, "fp32" or "bf16".
    """

    chance_loss: float

    def __init__(self, store: Store, *, seed: int) -> None:
        super().__init__()
        self.store, self.seed = store, seed
        self.precision: Mapping[str, str] = {"wave": "fp32", "mel": "fp32"}

    @property
    def count(self) -> int:
        """How many recordings there are to train on."""
        return len(self.store)

    @property
    def partial(self) -> bool:
        """Whether some weights have no part in the loss: several processes must know."""
        return False

    @abc.abstractmethod
    def describe(self) -> dict[str, Any]:
        """Return what this task is, in plain values; a run is only continued with the same."""

    @abc.abstractmethod
    def prepare(self) -> None:
        """Fit what no step learns: the front ends' normalisation."""

    @abc.abstractmethod
    def batch(self, indices: Int64[np.ndarray, " batch"], epoch: int) -> Any:
        """Return the batch of these recordings in this epoch: a pure function of them and the seed."""

    @abc.abstractmethod
    def forward(self, batch: Any) -> tuple[Float[Tensor, ""], dict[str, Tensor]]:
        """Return the loss of a batch over all processes, and figures to watch."""

    def frames(
        self, encoder: FormatEncoder, format: str, represented: Float[Tensor, "batch ..."], lengths: Tensor | None
    ) -> Frames:
        """Return an encoder's frames, in the arithmetic of its format; poolings make float32 of them."""
        device = represented.device.type
        with torch.autocast(device, torch.bfloat16, enabled=self.precision[format] == "bf16"):
            frames: Frames = encoder.encoder(represented, lengths)
        return frames


@dataclass(frozen=True)
class Crops:
    """A batch of pre-training: two crops of each recording, and when they were made."""

    views: Views
    epoch: int


Partner = tuple[Float[Tensor, "batch bands frames"] | None, Int64[Tensor, " batch"] | None]


class Pretrain(Task):
    """Teach two encoders that crops of one recording belong together, whichever format they come in.

    "inter": the first crop stays a waveform, the second becomes a log-mel. "inter+intra": both become both.
    "wave-wave", "mel-mel": both become one format, and the other encoder learns nothing.

    Where the model has a part for voices, it sees of the same frames those of one crop before the middle of both, and
    those of the other one after it: what two pieces without a common moment share is who speaks, not what is said.

        first crop   | . . e e e e|. . . |       e: early, l: late
        second crop      | . . . .|l l l l l |

    Source: Wang and van den Oord, "Multi-Format Contrastive Learning of Audio Representations", arXiv:2103.06508.
    """

    def __init__(self, model: MultiFormatModel, store: Store, recipe: Recipe, *, seed: int) -> None:
        super().__init__(store, seed=seed)
        self.model = model
        self.heads = make_heads(model.parts, recipe.head, seed=seed)
        self.loss = ContrastiveLoss(recipe.loss)
        self.recipe = recipe
        self.chance_loss = chance_loss(min(recipe.train.batch, len(store)))

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

    def batch(self, indices: Int64[np.ndarray, " batch"], epoch: int) -> Crops:
        """Return two crops of each recording, and a partner to mix with if the recipe mixes."""
        mixes = self.recipe.augment.needs_partner
        views = make_views(self.store, indices, self.recipe.crops, seed=self.seed, epoch=epoch, partners=mixes)
        return Crops(views, epoch)

    def forward(self, batch: Crops) -> tuple[Float[Tensor, ""], dict[str, Tensor]]:
        """Return the contrastive loss over all processes' crops, and top-1, temperature and spread."""
        make: dict[str, Callable[[Crops, str], Frames]] = {
            "wave": self._wave,
            "mel": functools.partial(self._mel, partner=self._partner(batch)),
        }
        first, second = (
            {format: make[format](batch, view) for format in formats}
            for view, formats in zip(("first", "second"), TERMS[self.recipe.loss.terms], strict=True)
        )
        loss, figures = self.loss(self._projected("words", first), self._projected("words", second))
        if self.recipe.model.voices is not None:
            heard, of_voices = self._voices(first, second, batch.views.middles.to(self._device()))
            weight = self.recipe.loss.voices
            loss = (loss + weight * heard) / (1 + weight)
            figures |= {"voices_top1": of_voices["top1"]}
        return loss, figures

    def _voices(
        self, first: Mapping[str, Frames], second: Mapping[str, Frames], middles: Float[Tensor, "batch 2"]
    ) -> tuple[Float[Tensor, ""], dict[str, Tensor]]:
        """Return the loss of the voices' part: before the middle in one crop against after it in the other."""
        sides = [
            {format: halves(frames, middles[:, place]) for format, frames in view.items()}
            for place, view in enumerate((first, second))
        ]
        found = []
        for early in (0, 1):
            pieces = (
                {format: both[side] for format, both in view.items()}
                for view, side in zip(sides, (early, 1 - early), strict=True)
            )
            found.append(self.loss(*(self._projected("voices", piece) for piece in pieces)))
        return (found[0][0] + found[1][0]) / 2, found[0][1]

    def _projected(self, part: str, view: Mapping[str, Frames]) -> dict[str, Float[Tensor, "batch out"]]:
        """Return the projections of one part of the embeddings of frames, by format."""
        found = {}
        for format, frames in view.items():
            poolings = getattr(self.model, format).poolings
            name = f"{format} {part}" if len(poolings) > 1 else format
            found[format] = self.heads[name](poolings[part](frames))
        return found

    def _wave(self, batch: Crops, view: str) -> Frames:
        """Return the frames of the first or second crops as waveforms."""
        clips = self._clips(batch, view)
        wave = augment_wave(
            clips.wave, clips.lengths, self.recipe.augment, self.store.sample_rate,
            seed=self.seed, epoch=batch.epoch, recordings=batch.views.recordings, view=view,
        )  # fmt: skip
        encoder = self.model.wave
        return self.frames(encoder, "wave", *encoder.front(wave, clips.lengths))

    def _mel(self, batch: Crops, view: str, partner: Partner) -> Frames:
        """Return the frames of the first or second crops as log-mels."""
        clips, (other, other_frames) = self._clips(batch, view), partner
        encoder = self.model.mel
        front = cast(LogMel, encoder.front)
        mel, lengths = front.log_power(clips.wave, clips.lengths)
        mel = augment_mel(
            mel, lengths, self.recipe.augment, hop_seconds=front.hop_seconds, fill=front.mean,
            partner=other, partner_lengths=other_frames,
            seed=self.seed, epoch=batch.epoch, recordings=batch.views.recordings, view=view,
        )  # fmt: skip
        return self.frames(encoder, "mel", front.normalise(mel, lengths), lengths)

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


@dataclass(frozen=True)
class Labelled:
    """A batch of supervised training."""

    clips: Clips
    targets: Int64[Tensor, " batch"]


class Classify(Task):
    """Teach one encoder and a linear layer to name recordings."""

    def __init__(
        self,
        model: MultiFormatModel,
        format: Literal["wave", "mel"],
        store: Store,
        targets: Int64[np.ndarray, " items"],
        recipe: Recipe,
        *,
        seed: int,
    ) -> None:
        super().__init__(store, seed=seed)
        self.format = format
        self.encoder: FormatEncoder = getattr(model, format)
        self.targets = targets
        self.classes = int(targets.max()) + 1
        self.chance_loss = float(np.log(self.classes))
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.linear = nn.Linear(self.encoder.dim, self.classes)

    def describe(self) -> dict[str, Any]:
        """Return what this task is."""
        return {"task": "classify", "format": self.format, "classes": self.classes}

    def prepare(self) -> None:
        """Fit the normalisation of the format on the training recordings."""
        fit_front(self.encoder, self.store, seed=self.seed)

    def batch(self, indices: Int64[np.ndarray, " batch"], epoch: int) -> Labelled:
        """Return whole recordings, or a part drawn for this epoch of those that are too long."""
        clips = whole_clips(self.store, indices, longest_seconds=LONGEST, seed=self.seed, epoch=epoch)
        return Labelled(clips, torch.from_numpy(self.targets[indices]))

    def forward(self, batch: Labelled) -> tuple[Float[Tensor, ""], dict[str, Tensor]]:
        """Return the cross-entropy over all processes' recordings, and top-1."""
        targets = batch.targets.to(self.linear.weight.device)
        logits = self._logits(batch.clips)
        hits = (logits.detach().argmax(dim=1) == targets).float().mean()
        loss = functional.cross_entropy(logits, targets)
        return all_reduce_sum(loss) / processes(), {"top1": all_reduce_sum(hits) / processes()}

    @torch.no_grad()
    def predict(self, store: Store, *, batch: int = 64) -> Int64[np.ndarray, " items"]:
        """Return the class of each recording of a store, in evaluation mode; weights and buffers stay as they are."""
        was, found = self.training, np.zeros(len(store), dtype=np.int64)
        self.eval()
        try:
            for indices in length_batches(store.lengths, batch):
                logits = self._logits(whole_clips(store, indices, longest_seconds=LONGEST))
                found[indices] = logits.argmax(dim=1).cpu().numpy()
        finally:
            self.train(was)
        return found

    def _logits(self, clips: Clips) -> Float[Tensor, "batch classes"]:
        represented, lengths = self.encoder.front(*on_device(clips, self.linear.weight.device))
        logits: Tensor = self.linear(self.encoder.pool(self.frames(self.encoder, self.format, represented, lengths)))
        return logits
