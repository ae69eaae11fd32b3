"""Learning from many recordings of which few are labelled: the contrastive loss of all, and what the labels say."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn
from torch.nn import functional

from mfcl.core.distributed import all_reduce_sum, processes
from mfcl.core.random import uniforms
from mfcl.data.store import Store
from mfcl.models.encoders import Frames
from mfcl.models.pair import MultiFormatModel
from mfcl.recipe import Recipe
from mfcl.training.normalisation import on_device
from mfcl.training.tasks.contrastive import Crops, Pretrain, Represented, Seen
from mfcl.training.tasks.supervised import LONGEST
from mfcl.views.batches import length_batches, make_views, whole_clips


@dataclass(frozen=True)
class Both:
    """A batch of joint training: crops of any recordings, and crops of labelled ones."""

    crops: Crops
    labelled: Crops
    targets: Int64[Tensor, " labelled"]


@dataclass(frozen=True)
class BothSeen:
    """The same in the formats, augmented: what the encoders see."""

    crops: Seen
    labelled: Mapping[str, Represented]
    targets: Int64[Tensor, " labelled"]


class Joint(Pretrain):
    """Teach two encoders without labels, and beside it a linear layer on each to name the few labelled recordings.

    To every two recordings of a batch one labelled one is drawn, however few there are.

    Args:
        model: The encoders.
        store: The training recordings.
        targets: The class of each, from 0; -1 where it is not known.
        recipe: As without labels.
        seed: Of everything drawn.

    Source: Zhai et al., "S4L: Self-supervised semi-supervised learning", arXiv:1905.03670, section 3 (both losses in
        one step).
    """

    def __init__(
        self, model: MultiFormatModel, store: Store, targets: Int64[np.ndarray, " items"], recipe: Recipe, *, seed: int
    ) -> None:
        super().__init__(model, store, recipe, seed=seed)
        self.targets, self.labelled = targets, np.flatnonzero(targets >= 0)
        classes = int(targets.max()) + 1
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.linears = nn.ModuleDict(
                {name: nn.Linear(getattr(model, name).pooled["content"], classes) for name in self.formats}
            )
        self.chance_loss += self.recipe.loss.labels * float(np.log(classes))

    def describe(self) -> dict[str, Any]:
        """Return what this task is."""
        return {"task": "joint", "classes": int(self.targets.max()) + 1, "labelled": len(self.labelled)}

    def batch(self, indices: Int64[np.ndarray, " batch"], epoch: int) -> Both:  # type: ignore[override]
        """Return crops of the recordings and of labelled ones, drawn by the recordings that they stand beside."""
        beside = indices[::2]
        draw = uniforms(self.seed, "labelled", epoch, beside, 1)[:, 0]
        chosen = self.labelled[np.minimum((draw * len(self.labelled)).astype(np.int64), len(self.labelled) - 1)]
        views = make_views(self.store, chosen, self.recipe.crops, seed=self.seed, epoch=epoch)
        return Both(super().batch(indices, epoch), Crops(views, epoch), torch.from_numpy(self.targets[chosen]))

    @torch.no_grad()
    def see(self, batch: Both) -> BothSeen:  # type: ignore[override]
        """Return what all crops become; of labelled recordings the first ones waveforms, the second ones log-mels."""
        make = {
            "wave": lambda: self._wave(batch.labelled, "first"),
            "mel": lambda: self._mel(batch.labelled, "second", (None, None)),
        }
        return BothSeen(super().see(batch.crops), {format: make[format]() for format in self.formats}, batch.targets)

    def forward(self, batch: BothSeen) -> tuple[Float[Tensor, ""], dict[str, Tensor]]:  # type: ignore[override]
        """Return both losses together over all processes, and beside the contrastive figures `labels_top1`."""
        loss, figures = super().forward(batch.crops)
        targets = batch.targets.to(self._device())
        frames = {format: self._frames(format, represented) for format, represented in batch.labelled.items()}
        named = self._named(frames)
        told = torch.stack([functional.cross_entropy(logits, targets) for logits in named]).mean()
        hits = (_together(named).argmax(dim=1) == targets).float().mean()
        figures["labels_top1"] = all_reduce_sum(hits.detach()) / processes()
        return loss + self.recipe.loss.labels * all_reduce_sum(told) / processes(), figures

    @torch.no_grad()
    def predict(self, store: Store, *, batch: int = 64) -> Int64[np.ndarray, " items"]:
        """Return the class of each recording of a store, as both formats together tell it."""
        was, found = self.training, np.zeros(len(store), dtype=np.int64)
        self.eval()
        try:
            for indices in length_batches(store.lengths, batch):
                clips = on_device(whole_clips(store, indices, longest_seconds=LONGEST), self._device())
                frames = {
                    name: self.frames(getattr(self.model, name), name, *getattr(self.model, name).front(*clips))
                    for name in self.formats
                }
                found[indices] = _together(self._named(frames)).argmax(dim=1).cpu().numpy()
        finally:
            self.train(was)
        return found

    def _named(self, frames: Mapping[str, Frames]) -> list[Float[Tensor, "batch classes"]]:
        """Return what each format's linear layer says of clips."""
        return [
            self.linears[format](getattr(self.model, format).pooling("content")(own)) for format, own in frames.items()
        ]


def _together(named: Sequence[Float[Tensor, "batch classes"]]) -> Float[Tensor, "batch classes"]:
    return torch.stack(list(named)).softmax(dim=2).mean(dim=0)
